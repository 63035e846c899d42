// The live feed: rows come in above, can be held back, and each opens a sheet with its message.
import { localTimes } from "/static/console/console.js";

const MOST = 500; // rows on the page
const REOPEN = 2000; // ms; the browser reconnects by itself only while the server answers 200
const WORDS = { live: "live", reconnecting: "reconnecting", "signed-out": "signed out: load the page again" };

const feed = document.getElementById("feed");
const sheet = document.getElementById("sheet");
const live = document.getElementById("live");
const pause = document.getElementById("pause");

let paused = false;
let held = []; // what arrived while paused, as it came
let connection = "connecting";
let open = null; // the key of the row whose sheet is open

function line(text) {
  const made = document.createElement("li");
  made.className = "beside";
  made.textContent = text;
  return made;
}

function made(row) {
  const item = document.getElementById(row.code === null ? "accepted" : "refused").content.firstElementChild.cloneNode(true);
  const button = item.querySelector("button");
  button.dataset.key = row.key;
  const time = item.querySelector("time");
  time.dateTime = row.at;
  time.title = row.at;
  item.querySelector(".type").textContent = row.type ?? "";
  item.querySelector("strong").textContent = row.name ?? "";
  item.querySelector(".person").textContent = row.person ?? "";
  if (row.code !== null) {
    item.querySelector(".why code").textContent = row.code;
    item.querySelector(".why span").textContent = row.meaning;
  }
  localTimes(item);
  return item;
}

function count(number, words) {
  return `${number.toLocaleString("en")} more ${words}`;
}

function show({ rows, more, unread }) {
  document.getElementById("nothing")?.remove();
  const fresh = rows.filter((row) => !feed.querySelector(`[data-key="${row.key}"]`)).map(made);
  const beside = [];
  if (more) beside.push(line(`${count(more, "arrived in this moment and are not shown")}`));
  if (unread) beside.push(line(`Up to ${count(unread, "came too fast to be looked at")}`));
  feed.prepend(...fresh.reverse(), ...beside);
  while (feed.children.length > MOST) feed.lastElementChild.remove();
}

function say() {
  const waiting = held.reduce((sum, each) => sum + each.rows.length + each.more + each.unread, 0);
  const words = paused ? `paused${waiting ? `, ${waiting.toLocaleString("en")} more arrived` : ""}` : WORDS[connection];
  live.dataset.live = paused ? "paused" : connection;
  const place = document.getElementById("live-words");
  if (place.textContent !== words) place.textContent = words;
}

function arrived(event) {
  const given = JSON.parse(event.data);
  if (!paused) {
    show(given);
    return;
  }
  held.push(given);
  let rows = 0;
  // Only the newest are shown afterwards: of the others the number is kept.
  held = held.reverse().map((each) => {
    rows += each.rows.length;
    return rows <= MOST ? each : { rows: [], more: each.more + each.rows.length, unread: each.unread };
  }).reverse();
  const lost = held.filter((each) => !each.rows.length);
  if (lost.length > 1) {
    const sum = lost.reduce((all, each) => ({ rows: [], more: all.more + each.more, unread: all.unread + each.unread }));
    held = [sum, ...held.filter((each) => each.rows.length)];
  }
  say();
}

function follow(url) {
  const source = new EventSource(url);
  let last = null;
  source.addEventListener("ready", () => { connection = "live"; say(); });
  source.addEventListener("arrived", (event) => { last = event.lastEventId; arrived(event); });
  source.addEventListener("error", async () => {
    connection = "reconnecting";
    say();
    if (source.readyState !== EventSource.CLOSED) return;
    const from = new URL(url, location.href);
    if (last) from.searchParams.set("after", last);
    // An EventSource does not say why it was refused, so ask in a way that does.
    const controller = new AbortController();
    const status = await fetch(from, { signal: controller.signal }).then((answer) => answer.status, () => 0);
    controller.abort();
    if (status === 401) {
      connection = "signed-out";
      say();
    } else setTimeout(() => follow(from), REOPEN);
  });
}

pause?.addEventListener("click", () => {
  paused = !paused;
  pause.setAttribute("aria-pressed", String(paused));
  pause.textContent = paused ? "Go on" : "Pause";
  if (!paused) {
    held.forEach(show);
    held = [];
  }
  say();
});

function mark() {
  for (const button of feed.querySelectorAll("button[data-key]")) button.setAttribute("aria-expanded", String(button.dataset.key === open));
}

function shut() {
  const button = feed.querySelector(`[data-key="${open}"]`);
  open = null;
  sheet.hidden = true;
  sheet.replaceChildren();
  mark();
  button?.focus();
}

feed.addEventListener("click", ({ target }) => {
  const button = target.closest("button[data-key]");
  if (!button) return;
  if (button.dataset.key === open) {
    shut();
    return;
  }
  open = button.dataset.key;
  mark();
  htmx.ajax("GET", `/console/sources/${feed.dataset.source}/events/${open}`, { target: sheet, swap: "innerHTML" });
});

document.body.addEventListener("htmx:afterSwap", ({ detail: { target } }) => {
  if (target !== sheet || open === null) return;
  sheet.hidden = false;
  sheet.scrollTop = 0;
  sheet.querySelector("h2").focus();
});
document.body.addEventListener("htmx:responseError", () => {
  sheet.replaceChildren(line("It can't be shown: it was deleted meanwhile, or the server can't be reached."));
  sheet.hidden = false;
});

sheet.addEventListener("click", ({ target }) => {
  if (target.closest("[data-close]")) {
    shut();
    return;
  }
  const view = target.closest("[data-view]")?.dataset.view;
  if (!view) return;
  for (const name of ["pretty", "raw"]) {
    sheet.querySelector(`#${name}`).hidden = name !== view;
    sheet.querySelector(`[data-view="${name}"]`).setAttribute("aria-pressed", String(name === view));
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && open) shut();
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  const here = document.activeElement.closest?.("#feed button[data-key]");
  if (!step || !here) return;
  const buttons = [...feed.querySelectorAll("button[data-key]")];
  const next = buttons[buttons.indexOf(here) + step];
  if (next) {
    event.preventDefault();
    next.focus();
  }
});

if (live) follow(live.dataset.url);
