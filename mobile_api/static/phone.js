// The phone on the floor: signs in as the member at the till, shows the wallet, and what arrives in it.
import { localTimes } from "/static/console/page.js";
import { buyReward, showRewards } from "/static/phone/rewards.js";

const screen = document.getElementById("phone-screen");
const news = document.getElementById("phone-news");
const whose = document.getElementById("phone-whose");
const STAYS = 6000; // ms that news stay on the screen

let signedIn = null; // {member, token}
let busy = false;
let again = false;

/** What of a wallet can be news. */
function seen() {
  const wallet = screen.querySelector(".wallet");
  if (!wallet) return null;
  return {
    balance: wallet.dataset.balance === "" ? null : Number(wallet.dataset.balance),
    coupons: new Set([...wallet.querySelectorAll("[data-coupon]")].map((ticket) => ticket.dataset.coupon)),
    movements: new Set([...wallet.querySelectorAll("[data-movement]")].map((movement) => movement.dataset.movement)),
  };
}

function tell(words, icon) {
  const line = document.createElement("p");
  line.className = "news";
  line.innerHTML = `<svg class="icon" aria-hidden="true"><use href="/static/console/icons.svg#${icon}"/></svg><span></span>`;
  line.lastElementChild.textContent = words;
  news.append(line);
  document.querySelector('a[href="#phone-room"]')?.setAttribute("data-news", "");
  setTimeout(() => line.remove(), STAYS);
}

function highlight(before) {
  const now = seen();
  if (!before || !now) return;
  const gained = (now.balance ?? 0) - (before.balance ?? 0);
  if (gained !== 0) {
    tell(`${gained > 0 ? "+" : "−"}${Math.abs(gained)} points`, "star");
    document.getElementById("points")?.classList.add("arrived");
  }
  for (const ticket of screen.querySelectorAll("[data-coupon]")) {
    if (before.coupons.has(ticket.dataset.coupon)) continue;
    ticket.classList.add("arrived");
    tell(`Coupon arrived: ${ticket.dataset.title}`, "ticket");
  }
  for (const movement of screen.querySelectorAll("[data-movement]")) {
    if (!before.movements.has(movement.dataset.movement)) movement.classList.add("arrived");
  }
}

/** Draw the wallet again. Calls that come meanwhile are answered by one more drawing. */
async function draw() {
  if (!signedIn) return;
  if (busy) {
    again = true;
    return;
  }
  busy = true;
  const who = signedIn;
  try {
    const response = await fetch("/phone/floor", { headers: { Authorization: `Bearer ${who.token}` } });
    if (!response.ok) throw new Error(String(response.status));
    const html = await response.text();
    if (who === signedIn) {
      const before = who.drawn ? seen() : null;
      screen.innerHTML = html;
      localTimes(screen);
      who.drawn = true;
      highlight(before);
      showRewards(screen, who, () => who === signedIn);
    }
  } catch {
    if (!who.drawn) screen.innerHTML = '<p class="loading">The phone can’t reach the house. It tries again as soon as it is live.</p>';
  } finally {
    busy = false;
    if (again) {
      again = false;
      draw();
    }
  }
}

async function signIn({ member, phone, name }) {
  signedIn = null;
  news.replaceChildren();
  whose.textContent = name;
  if (!phone) {
    screen.innerHTML = '<p class="loading">Nobody’s phone: there is no member at the till.</p>';
    return;
  }
  const response = await fetch("/phone/sign-in", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ phone }),
  });
  if (!response.ok) {
    screen.innerHTML = '<p class="loading">This member can’t sign in on the phone now.</p>';
    return;
  }
  signedIn = { member, token: (await response.json()).token, drawn: false };
  await draw();
}

screen.addEventListener("click", async ({ target }) => {
  const button = target.closest("[data-key]");
  if (!button || !signedIn) return;
  const who = signedIn;
  const name = button.closest("[data-reward]").dataset.name;
  if ((await buyReward(screen, who, button, () => who === signedIn)) && who === signedIn) tell(`${name} is yours`, "check");
});
document.addEventListener("click", ({ target }) => target.closest('a[href="#phone-room"]')?.removeAttribute("data-news"));
document.body.addEventListener("till-member", ({ detail }) => signIn(detail));
document.body.addEventListener("member-changed", ({ detail }) => detail.member === signedIn?.member && draw());
document.body.addEventListener("live", draw);
