// The till's client: sells the basket through POST /pos/orders under one Idempotency-Key, however often it has to ask.
import { localTimes, problem, sentence } from "/static/console/page.js";

const PAUSES = [500, 1000, 2000, 4000, 8000, 8000]; // ms between attempts when the server doesn't answer
const SLOW = 1500; // ms until the till says that it is still paying
const LOCKED_OUT = new Set([401, 403, 408, 429]);
const STORE = "loyalty.sale"; // the sale under way, so that a reload goes on with it
const till = document.getElementById("till");
const register = document.querySelector("main").dataset.register;

let paying = false;
let refreshing = false;
let stale = false; // something came while the till was busy
let shown = null; // the member whom the page was told

const wait = (ms) => new Promise((done) => setTimeout(done, ms));

/** 128 random bits. Not randomUUID: that exists on secure origins only, and a till may be opened by its address. */
function newKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The sale of this form: the one under way when it is the same basket, with its key, else a new one. */
function saleOf(form) {
  const given = new FormData(form);
  const order = {
    lines: JSON.parse(given.get("lines")),
    member_id: given.get("member") || null,
    coupon: given.get("coupon") || null,
  };
  const kept = keptSale();
  if (kept && JSON.stringify(kept.order) === JSON.stringify(order)) return kept;
  return { key: newKey(), register, basket: Number(given.get("basket")), order };
}

function keptSale() {
  const kept = JSON.parse(sessionStorage.getItem(STORE) ?? "null");
  return kept?.register === register ? kept : null;
}

/** Ask until there is an answer that stands. Gives the order, or throws an Error with a sentence. */
async function sell(sale, said) {
  sessionStorage.setItem(STORE, JSON.stringify(sale));
  let trouble = "";
  for (const pause of [...PAUSES, null]) {
    let response;
    try {
      response = await fetch("/pos/orders", {
        method: "POST",
        headers: { "Content-Type": "application/json", "Idempotency-Key": sale.key },
        body: JSON.stringify(sale.order),
      });
    } catch {
      response = null;
    }
    if (response && response.status < 500) {
      // Whoever is not let in is not told what became of an earlier attempt: the key must live on.
      if (!LOCKED_OUT.has(response.status)) sessionStorage.removeItem(STORE);
      if (response.ok) return response.json();
      throw new Error(sentence(await response.text(), response.status));
    }
    trouble = response ? sentence(await response.text(), response.status) : "The server can't be reached.";
    if (pause === null) break;
    const asked = Number(response?.headers.get("Retry-After")) * 1000 || 0;
    const next = Math.max(pause, Math.min(asked, 30000));
    said(`${trouble} Asking again in ${Math.ceil(next / 1000)} s with the same key, so nothing is sold twice.`);
    await wait(next);
  }
  throw new Error(`${trouble} The sale is kept: press Pay to ask again. Nothing is sold twice.`);
}

async function finish(sale, button) {
  if (paying) return;
  paying = true;
  problem("");
  const said = (words) => {
    const place = till.querySelector(".said");
    if (place) place.textContent = words;
  };
  const slow = setTimeout(() => said("Still paying…"), SLOW);
  const controls = [...button.form.elements].filter((control) => !control.disabled);
  button.setAttribute("aria-busy", "true");
  for (const control of controls) control.disabled = true;
  try {
    const order = await sell(sale, said);
    draw(await receipt(order, sale.basket, said));
    till.querySelector("[data-focus]")?.focus({ preventScroll: true });
  } catch (error) {
    said("");
    problem(error.message);
    for (const control of controls) control.disabled = false;
    button.removeAttribute("aria-busy");
    button.focus();
  } finally {
    clearTimeout(slow);
    paying = false;
    if (stale) refresh();
  }
}

/** The receipt of a paid order. It is asked for until it comes: giving the basket back would invite to sell it twice. */
async function receipt(order, basket, said) {
  for (let attempt = 0; ; attempt += 1) {
    const response = await fetch(`/pos/floor/orders/${order.id}?basket=${basket}`).catch(() => null);
    if (response?.ok) return response.text();
    said(`Order ${order.number} is paid. Fetching its receipt…`);
    await wait(PAUSES[Math.min(attempt, PAUSES.length - 1)]);
  }
}

/** Show a panel that was fetched by hand; htmx does the same for its own. */
function draw(html) {
  till.innerHTML = html;
  htmx.process(till);
  localTimes(till);
  tellMember();
}

const drawing = () => till.matches(".htmx-request");

function pay() {
  const button = document.getElementById("pay");
  if (!button || button.disabled) return;
  // What was just pressed is on its way to the basket: pay what will be shown, not what was.
  if (drawing()) till.addEventListener("htmx:afterSettle", pay, { once: true });
  else finish(saleOf(button.form), button);
}

/** Draw the receipt or the basket again, for points or a coupon came. Whatever somebody presses meanwhile wins. */
async function refresh() {
  if (refreshing || drawing() || paying) {
    stale = true;
    return;
  }
  stale = false;
  const before = till.firstElementChild;
  const request = redrawing(before);
  if (!request) return;
  refreshing = true;
  const html = await request.then((response) => (response.ok ? response.text() : null), () => null);
  refreshing = false;
  if (html !== null && !drawing() && !paying && till.firstElementChild === before && !typing()) {
    const focused = document.activeElement?.id;
    draw(html);
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
  }
  if (stale) refresh();
}

const typing = () => document.querySelector("details.enrol[open]") !== null;

function redrawing(shownNow) {
  const { order, basket } = shownNow?.dataset ?? {};
  if (order) return fetch(`/pos/floor/orders/${order}?basket=${basket}`);
  // With a coupon on it, drawing would ask Voucherify once more for nothing; nor is somebody who types interrupted.
  const form = document.getElementById("basket");
  if (!form || form.elements.coupon.value || typing()) return null;
  return fetch("/pos/floor", { method: "POST", body: new URLSearchParams(new FormData(form)) });
}

/** Tell the page who stands at the till, whenever that is somebody else. */
function tellMember() {
  const { phone = "", name = "", member = "" } = till.firstElementChild?.dataset ?? {};
  if (member === shown) return;
  shown = member;
  document.body.dispatchEvent(new CustomEvent("till-member", { detail: { member, phone, name } }));
}

till.addEventListener("click", ({ target }) => target.closest("#pay") && pay());
document.addEventListener("keydown", (event) => {
  if (event.key !== "F9") return;
  event.preventDefault();
  pay();
});
document.body.addEventListener("htmx:afterSettle", ({ detail }) => {
  if (detail.target !== till) return;
  tellMember();
  const left = keptSale();
  const button = document.getElementById("pay");
  if (left && button && !paying) finish(left, button);
});
document.body.addEventListener("htmx:afterRequest", ({ detail }) => {
  if (detail.target === till && stale) refresh();
});
document.body.addEventListener("member-changed", ({ detail }) => detail.member === shown && refresh());
