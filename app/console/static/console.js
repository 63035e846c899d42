// Times of console screens in the viewer's own zone; UTC stays in the tooltip.
const shown = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit" });

export function localTimes(root) {
  for (const time of root.querySelectorAll("time[datetime]")) time.textContent = shown.format(new Date(time.dateTime));
}

localTimes(document);
document.addEventListener("htmx:afterSettle", (event) => localTimes(event.target));
