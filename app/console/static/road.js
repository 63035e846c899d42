// The road: follows the house's stream, lights stations one after the other, opens a station's sheet.
import { calmly, follow } from "/static/console/live.js";

const road = document.getElementById("road");
const sheet = document.getElementById("station-sheet");
const said = document.getElementById("road-said");
const live = document.getElementById("live");
const WORDS = { live: "live", reconnecting: "reconnecting", "signed-out": "signed out: load the page again" };

let pinned = road.dataset.pinned; // the order that somebody chose; empty: the last one
let states = new Map(); // of the stations as they were last drawn
let drawn = null; // the order they belong to
let open = null; // the station whose sheet is open
let stale = false; // whether that sheet shows an earlier state

const refresh = calmly(() => {
  htmx.ajax("GET", `/floor/road${pinned ? `?order=${pinned}` : ""}`, { source: road, target: road, swap: "innerHTML" });
}, 70);

document.body.addEventListener("order-changed", ({ detail }) => {
  if (detail.kind === "order.pending") pinned = ""; // a new sale is what one wants to see
  if (!pinned || pinned === detail.order) refresh();
});
document.body.addEventListener("member-changed", () => refresh()); // points and coupons are on the road, too
document.body.addEventListener("live", () => refresh());

/** Which stations are new since the last picture, in the order of the road, get their turn to light up. */
function light(picture) {
  const order = picture.dataset.order;
  const before = order === drawn ? states : new Map();
  const first = drawn === null;
  states = new Map();
  let turn = 0;
  for (const stop of picture.querySelectorAll("[data-station]")) {
    const { station, state } = stop.dataset;
    states.set(station, state);
    if (state === "done" && before.get(station) !== "done" && !first) {
      stop.dataset.turn = turn++; // an attribute: htmx copies them, and the content policy forbids copied styles
      stop.classList.add("lit");
    }
    if (station === open) stale = before.get(station) !== state;
  }
  drawn = order;
}

function announce(picture) {
  const mood = picture.dataset.mood;
  const words = mood === "running" || mood === "empty" ? "" : (document.getElementById("road-sentence")?.innerText ?? "");
  if (said.textContent !== words) said.textContent = words;
}

function mark() {
  for (const stop of road.querySelectorAll("button.stop")) {
    stop.setAttribute("aria-expanded", String(stop.id === `station-${open}`));
  }
}

function shut(focus) {
  const stop = document.getElementById(`station-${open}`);
  open = null;
  sheet.hidden = true;
  sheet.replaceChildren();
  mark();
  if (focus) stop?.focus();
}

document.body.addEventListener("htmx:afterSwap", ({ detail: { target } }) => {
  if (target === road) {
    const picture = road.querySelector(".road");
    const changed = drawn !== null && picture.dataset.order !== drawn;
    pinned = picture.dataset.pinned;
    light(picture);
    announce(picture);
    mark();
    if (open && (changed || stale)) {
      stale = false;
      htmx.ajax("GET", `/floor/road/${drawn}/${open}`, { target: sheet, swap: "innerHTML" });
    }
  }
  if (target === sheet) {
    const body = sheet.querySelector(".sheet-body");
    const isNew = open !== body.dataset.station;
    open = body.dataset.station;
    sheet.hidden = false;
    mark();
    if (isNew) sheet.scrollIntoView({ block: "nearest", behavior: "smooth" });
  }
});
// A second press on an open station closes it.
road.addEventListener("click", (event) => {
  if (event.target.closest(`#station-${open}`)) {
    event.stopPropagation();
    event.preventDefault();
    shut(true);
  }
}, true);
sheet.addEventListener("click", ({ target }) => target.closest("[data-close]") && shut(true));
document.addEventListener("keydown", ({ key }) => key === "Escape" && open && shut(true));

follow("/floor/live", (state) => {
  live.dataset.live = state;
  const words = document.getElementById("live-words");
  if (words.textContent !== WORDS[state]) words.textContent = WORDS[state];
});
