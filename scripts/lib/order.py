"""Places one order as a till would, over HTTP, and follows it down the whole road.

`python -m scripts.lib.order` does it against what runs already, in docker-compose for one.
"""

import argparse
import json
import shutil
import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.demo.shop import MEMBERS
from app.errors import LoyaltyError
from app.settings import load_settings
from scripts.lib.client import NoAnswer, call
from scripts.lib.first_start import Keys, stored
from scripts.lib.say import Stop, say

REGISTER = "warsaw/2"
"""Where the floor stands at first, so that the order is seen there."""
TRACE_WITHIN = 30.0
"""Seconds that the road may take; it takes about one."""


@dataclass(frozen=True)
class Placed:
    """One order and what its trace said last."""

    order: Mapping[str, Any]
    member: Mapping[str, Any]
    trace: Mapping[str, Any]

    @property
    def missing(self) -> list[str]:
        """The steps that did not happen, by name."""
        return [str(name) for name in self.trace["missing"]]

    def as_json(self, urls: Mapping[str, str]) -> dict[str, Any]:
        """What `--json` prints."""
        return {
            "order_id": self.order["id"],
            "member": {"id": self.member["id"], "phone": self.member["phone"]},
            "points": self.trace["points"],
            "coupon": self.trace["coupon"],
            "steps": self.trace["steps"],
            "profile": self.trace["profile"],
            "urls": dict(urls),
        }


def place(web: str, keys: Keys) -> Placed:
    """Sell a basket to the demo member, and wait until the trace is whole or time is up.

    Raises `Stop` when the till's API refuses or nobody answers.
    """
    till = keys.register_keys[REGISTER]
    try:
        member = _want(call("POST", f"{web}/members", key=till, body=MEMBERS[0]))
        catalogue = _want(call("GET", f"{web}/pos/catalogue", key=till))
        order = _want(
            call(
                "POST",
                f"{web}/pos/orders",
                key=till,
                headers={"Idempotency-Key": str(uuid.uuid4())},
                body={"member_id": member["id"], "lines": basket(catalogue["products"]), "coupon": None},
            )
        )
        until = time.monotonic() + TRACE_WITHIN
        while True:
            trace = _want(call("GET", f"{web}/console/orders/{order['id']}/trace", key=keys.admin_token))
            if trace["complete"] or time.monotonic() > until:
                return Placed(order, member, trace)
            time.sleep(0.1)
    except NoAnswer as error:
        raise Stop(f"No answer from {error}") from error


def basket(products: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The three dearest products, two of each: enough for the coupon of the shipped function."""
    dearest = sorted(products, key=lambda product: -int(product["price"]))[:3]
    return [{"product_id": product["id"], "quantity": 2} for product in dearest]


def _want(answer: tuple[int, Any]) -> Any:
    status, body = answer
    if status >= 400:
        sentence = body.get("detail", body) if isinstance(body, dict) else body
        raise Stop(f"The order could not be placed ({status}): {sentence}")
    return body


def lines(placed: Placed, width: int) -> list[str]:
    """The trace as text: each step with its time and its file, what was sent and what was answered."""
    order, member, trace = placed.order, placed.member, placed.trace
    name = f"{member['first_name']} {member['last_name']}".strip()
    amount = f"{order['total'] / 100:.2f} {order['currency']}"
    text = [f"Order {order['number']}  ·  {amount}  ·  {name} {member['phone']}", ""]
    for step in trace["steps"]:
        at = "" if step["at_ms"] is None else f"{step['at_ms']:.0f} ms"
        state = "" if step["state"] == "done" else f"  [{step['state']}]"
        text.append(f"{step['step']:>2} {at:>9}  {step['title']}{state}  ({step['where']})")
        parts = (("→", step["sent"]), ("←", step["received"]), (" ", step["note"]))
        text += [_cut(f"{arrow:>15} {_compact(part)}", width) for arrow, part in parts if part]
    text += ["", f"Points   {trace['points']}", f"Coupon   {trace['coupon'] or 'none'}"]
    text.append(_cut(f"Profile  {_compact(trace['profile'])}", width * 4))
    return text


def _compact(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def show(placed: Placed, urls: Mapping[str, str], as_json: bool) -> int:
    """Print the trace on stdout; answers 0 when every step is there, else says which is missing and answers 1."""
    if as_json:
        print(json.dumps(placed.as_json(urls), ensure_ascii=False), flush=True)
    else:
        print("\n".join(lines(placed, shutil.get_terminal_size((140, 24)).columns)), flush=True)
    if placed.missing:
        say(f"Missing after {TRACE_WITHIN:.0f} s: {', '.join(placed.missing)}.")
        return 1
    return 0


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m scripts.lib.order", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else on stdout")
    options = parser.parse_args(arguments)
    try:
        settings = load_settings()
        web = f"http://127.0.0.1:{settings.listen.web_port}"
        urls = {"web": settings.public_url, "sandbox": settings.sandbox_url}
        return show(place(web, stored(Path(settings.data_dir))), urls, options.json)
    except (Stop, LoyaltyError) as error:
        say(str(error))
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
