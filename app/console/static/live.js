// One stream of everything that changes in the house, told to the page as DOM events on the body:
// `order-changed` {order, kind}, `member-changed` {member, kind}, and `live` when the stream (re)opens.

const REOPEN = 2000; // ms; the browser reconnects by itself only while the server answers 200

/** Call `work` now, and once more after `pause` ms for all the calls in between. */
export function calmly(work, pause) {
  let again = null;
  let timer = null;
  return (...given) => {
    if (timer !== null) {
      again = given;
      return;
    }
    work(...given);
    timer = setTimeout(function rest() {
      timer = null;
      if (again !== null) {
        const latest = again;
        again = null;
        work(...latest);
        timer = setTimeout(rest, pause);
      }
    }, pause);
  };
}

function tell(name, detail = {}) {
  document.body.dispatchEvent(new CustomEvent(name, { detail }));
}

function heard(message) {
  const { topic, kind } = JSON.parse(message.data);
  const [noun, id] = topic.split(":");
  if (noun === "order") tell("order-changed", { order: id, kind });
  if (noun === "member") tell("member-changed", { member: id, kind });
}

/** Follow the stream at `url`; `shown(state)` hears live, reconnecting, and signed-out, after which nothing comes. */
export function follow(url, shown) {
  const source = new EventSource(url);
  source.addEventListener("ready", () => {
    shown("live");
    tell("live");
  });
  source.addEventListener("change", heard);
  source.addEventListener("error", async () => {
    shown("reconnecting");
    if (source.readyState !== EventSource.CLOSED) return;
    // An EventSource does not say why it was refused, so ask in a way that does.
    const controller = new AbortController();
    const status = await fetch(url, { signal: controller.signal }).then((answer) => answer.status, () => 0);
    controller.abort();
    if (status === 401) shown("signed-out");
    else setTimeout(() => follow(url, shown), REOPEN);
  });
}
