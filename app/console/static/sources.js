// Write keys are shown when asked for; whatever has a copy button can be copied.

async function copy(button, text) {
  const words = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Select it and copy"; // the browser gives no clipboard, as on plain http
  }
  setTimeout(() => { button.textContent = words; }, 1500);
}

document.addEventListener("click", ({ target }) => {
  const button = target.closest("button");
  if (!button) return;
  if ("reveal" in button.dataset) {
    const key = button.parentElement.querySelector("[data-secret]");
    const shown = button.getAttribute("aria-pressed") === "true";
    key.textContent = shown ? `••••••${key.dataset.secret.slice(-4)}` : key.dataset.secret;
    button.setAttribute("aria-pressed", String(!shown));
    button.textContent = shown ? "Show" : "Hide";
  }
  if (button.dataset.copy) copy(button, button.dataset.copy);
  if (button.dataset.copyOf) copy(button, document.getElementById(button.dataset.copyOf).textContent);
});
