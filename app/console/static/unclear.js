// Times in the viewer's zone, to the second: they are compared with what Voucherify's dashboard says.
const words = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit" });
for (const time of document.querySelectorAll("time[datetime]")) {
  const moment = new Date(time.dateTime);
  if (Number.isNaN(moment.valueOf())) continue;
  time.title = moment.toISOString();
  time.textContent = words.format(moment);
}
