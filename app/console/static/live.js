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

/** Follow the stream at `url`; `shown(state)` hears live, reconnecting and connecting. */
export function follow(url, shown) {
  const source = new EventSource(url);
  source.addEventListener("ready", () => {
    shown("live");
    tell("live");
  });
  source.addEventListener("change", heard);
  source.addEventListener("error", () => {
    shown("reconnecting");
    if (source.readyState === EventSource.CLOSED) setTimeout(() => follow(url, shown), REOPEN);
  });
}
