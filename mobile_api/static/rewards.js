// Rewards on the phone. The list is asked for once and kept, for each question costs a call to Voucherify; whether the
// points are enough is told anew with every drawing of the wallet.
import { sentence } from "/static/console/page.js";

function show(screen, who) {
  const place = screen.querySelector("[data-rewards]");
  if (!place) return;
  place.innerHTML = who.rewards ?? '<p class="mute">…</p>';
  screen.querySelector("[data-rewards-said]").textContent = who.said ?? "";
  const balance = Number(screen.querySelector(".wallet").dataset.balance);
  const waiting = new Set([...screen.querySelectorAll("[data-waiting]")].map((line) => line.dataset.waiting));
  for (const row of place.querySelectorAll("[data-reward]")) {
    const { reward, price } = row.dataset;
    const missing = Number(price) - balance;
    row.querySelector("button").disabled = missing > 0 || waiting.has(reward) || who.buying === reward;
    row.querySelector("[data-missing]").textContent = missing > 0 ? ` · ${missing} to go` : "";
  }
}

/** Draw the rewards of this member into the wallet; ask for them first where they are not known. */
export async function showRewards(screen, who, isCurrent) {
  show(screen, who);
  if (who.rewards?.includes("data-rewards-known") || who.asking) return;
  who.asking = true;
  try {
    const response = await fetch("/phone/floor/rewards", { headers: { Authorization: `Bearer ${who.token}` } });
    if (response.ok) who.rewards = await response.text();
  } catch {
    // The next drawing asks again.
  } finally {
    who.asking = false;
  }
  if (isCurrent()) show(screen, who);
}

/** Buy the reward of this button; whether it is bought. Its key is kept until there is an answer, so it is bought once. */
export async function buyReward(screen, who, button, isCurrent) {
  const { reward } = button.closest("[data-reward]").dataset;
  who.buying = reward;
  who.said = "";
  show(screen, who);
  let status = 0;
  try {
    const response = await fetch(`/phone/rewards/${encodeURIComponent(reward)}/purchases`, {
      method: "POST",
      headers: { Authorization: `Bearer ${who.token}`, "Idempotency-Key": button.dataset.key },
    });
    const text = await response.text();
    status = response.status;
    if (!response.ok) who.said = sentence(text, status);
  } catch {
    who.said = "The house can’t be reached. Press again: it is bought once.";
  }
  who.buying = null;
  if (status > 0 && status < 500) who.rewards = null; // answered: the next press is another purchase, with a key of its own
  if (isCurrent()) {
    await showRewards(screen, who, isCurrent);
    if (document.activeElement === document.body) screen.querySelector(`[data-reward="${CSS.escape(reward)}"] button`)?.focus();
  }
  return status === 201;
}
