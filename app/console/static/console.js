// Times of console screens in the viewer's own zone; UTC stays in the tooltip.
const shown = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit" });

export function localTimes(root) {
  for (const time of root.querySelectorAll("time[datetime]")) time.textContent = shown.format(new Date(time.dateTime));
}

localTimes(document);
document.addEventListener("htmx:afterSettle", (event) => localTimes(event.target));

// On a phone the rail is wider than the screen: the place that one is at shall be in sight.
const here = document.querySelector(".rail a[aria-current]");
if (here && here.parentElement.parentElement.scrollWidth > innerWidth) here.scrollIntoView({ inline: "center", block: "nearest" });
