// What every part of the floor shares: problems in words, times in the viewer's zone, selects that submit.

/** The sentence of a problem+json body, or a plain one. */
export function sentence(text, status) {
  try {
    const problem = JSON.parse(text);
    return problem.detail || problem.title || `The server answered ${status}.`;
  } catch {
    return status ? `The server answered ${status}.` : "The server can't be reached. Nothing was changed.";
  }
}

/** Show a problem beside the till, or clear it with an empty text. */
export function problem(text) {
  const place = document.getElementById("till-problem");
  if (place) place.textContent = text;
}

/** Put the times under `root` into the viewer's zone, or the zone that they name. */
export function localTimes(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const moment = new Date(time.dateTime);
    if (Number.isNaN(moment.valueOf())) continue;
    const zone = time.dataset.zone;
    const words = "day" in time.dataset
      ? { day: "numeric", month: "short", year: "numeric" }
      : zone
        ? { hour: "2-digit", minute: "2-digit", timeZone: zone }
        : { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" };
    time.title = moment.toISOString();
    time.textContent = new Intl.DateTimeFormat("en-GB", words).format(moment);
  }
}

document.body.addEventListener("htmx:afterSwap", (event) => localTimes(event.detail.target));
document.body.addEventListener("htmx:responseError", ({ detail }) => {
  if (detail.target?.id === "till") problem(sentence(detail.xhr.responseText, detail.xhr.status));
});
document.body.addEventListener("htmx:sendError", ({ detail }) => {
  if (detail.target?.id === "till") problem(sentence("", 0));
});
document.body.addEventListener("htmx:beforeRequest", ({ detail }) => {
  if (detail.target?.id === "till") problem("");
});
document.body.addEventListener("change", ({ target }) => {
  if (target.matches("select[data-submits]")) target.form.requestSubmit();
});
// A menu that stays open would cover what it does not belong to.
document.addEventListener("pointerdown", ({ target }) => {
  for (const open of document.querySelectorAll("details.menu[open], details.enrol[open]")) {
    if (!open.contains(target)) open.open = false;
  }
});
document.addEventListener("keydown", ({ key }) => {
  if (key !== "Escape") return;
  for (const open of document.querySelectorAll("details.menu[open], details.enrol[open]")) {
    open.open = false;
    open.querySelector("summary").focus();
  }
});
