"""./scripts/verify: the questions that Voucherify's documentation leaves open, asked of a project of one's own.

It makes a programme, a coupon campaign, a customer and two orders with a prefix of their own, asks, compares each
answer with what the sandbox does, and takes away what can be taken away. Without `--live` it only says what it would
do.
"""

import argparse
import contextlib
import json
import secrets
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self
from urllib.parse import quote

import httpx

from app.errors import LoyaltyError
from app.settings import load_settings
from scripts.lib.say import Stop, say

MOST_CALLS = 30
"""What one run may cost, with its tidying up. A trial project has some 100 calls an hour."""
SETTLES = 6.0
"""Seconds: Voucherify does a part of its work after it has answered."""
STEP, AMOUNT, TOO_MANY = 100, 199, 1_000_000
TIDY = 3
"""Calls that are kept for the end."""


class Project:
    """The calls of one run, counted, and what it made."""

    def __init__(self, url: str, application_id: str, secret_key: str, prefix: str, settles: float) -> None:
        self.prefix, self.settles = prefix, settles
        self.made = 0
        headers = {"X-App-Id": application_id, "X-App-Token": secret_key, "X-Voucherify-Channel": "scripts/verify"}
        self.http = httpx.Client(base_url=url, headers=headers, timeout=30)
        self.codes: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def call(self, method: str, path: str, body: Any = None, *, tidying: bool = False) -> httpx.Response:
        """One call. Raises `Stop` when the stated number is used up, or nothing answers."""
        if self.made >= MOST_CALLS - (0 if tidying else TIDY):
            raise Stop(f"{self.made} calls were made, and no more are allowed.")
        self.made += 1
        try:
            answer = self.http.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise Stop(f"{method} {path}: no answer ({type(error).__name__}).") from error
        if answer.status_code in {401, 403, 429}:
            raise Stop(f"{method} {path}: {_named(answer)}. Ask ./scripts/doctor.")
        return answer

    def done(self, method: str, path: str, body: Any = None) -> Any:
        """The same where another answer than 2xx ends the run."""
        answer = self.call(method, path, body)
        if not answer.is_success:
            raise Stop(f"{method} {path}: {_named(answer)}.")
        return answer.json()

    @property
    def customer(self) -> dict[str, str]:
        return {"source_id": f"{self.prefix}-customer"}

    @property
    def programme(self) -> str:
        return f"{self.prefix} programme"

    @property
    def coupons(self) -> str:
        return f"{self.prefix} coupons"

    def order(self, number: int) -> str:
        return f"{self.prefix}-order-{number}"

    def points(self) -> int:
        """The balance of the card, once what is under way has settled."""
        time.sleep(self.settles)
        voucher = self.done("GET", f"/v1/loyalties/members/{quote(self.codes['card'], safe='')}")
        return int(voucher["loyalty_card"].get("balance", voucher["loyalty_card"]["points"]))

    def pay(self, number: int, status: str = "PAID") -> None:
        body = {"source_id": self.order(number), "status": status, "amount": AMOUNT, "customer": self.customer}
        self.done("POST", "/v1/orders", body)


@dataclass(frozen=True)
class Question:
    """One open question; `ask` answers it in a few words, in the state that the questions before it left."""

    name: str
    asks: str
    sandbox: str
    """What the sandbox answers."""
    ask: Callable[[Project], str]
    switch: str = ""
    """How the sandbox can be made to answer otherwise."""


def _make(project: Project) -> None:
    card = {"type": "LOYALTY_CARD", "loyalty_card": {"points": 0}, "code_config": {"pattern": "VERIFY-########"}}
    made = project.done("POST", "/v1/loyalties", {"name": project.programme, "type": "AUTO_UPDATE", "voucher": card})
    step = {"amount": {"every": STEP, "points": 1}}
    gives = {"type": "PROPORTIONAL", "calculation_type": "ORDER_AMOUNT", "order": step}
    rule = {"event": "order.paid", "loyalty": gives, "source": {"banner": project.programme}}
    project.done("POST", f"/v1/loyalties/{made['id']}/earning-rules", [rule])
    voucher = {
        "type": "DISCOUNT_VOUCHER",
        "discount": {"type": "AMOUNT", "amount_off": 10},
        "redemption": {"quantity": 1},
        "code_config": {"pattern": "VERIFY-########"},
    }
    project.done("POST", "/v1/campaigns", {"name": project.coupons, "type": "AUTO_UPDATE", "voucher": voucher})


def _joins_twice(project: Project) -> str:
    body = {"campaign": {"name": project.programme}, "customer": project.customer}
    first = project.done("POST", "/v1/publications", body)
    project.codes["card"] = first["voucher"]["code"]
    again = project.call("POST", "/v1/publications", body)
    if not again.is_success:
        return _named(again)
    return "the same card" if again.json()["voucher"]["code"] == project.codes["card"] else "a second card"


def _publishes_twice(project: Project) -> str:
    body = {
        "campaign": {"name": project.coupons},
        "customer": project.customer,
        "source_id": f"{project.prefix}-publication",
    }
    project.codes["coupon"] = project.done("POST", "/v1/publications", body)["voucher"]["code"]
    again = project.call("POST", "/v1/publications", body)
    if not again.is_success:
        return _named(again)
    return "the same code" if again.json()["voucher"]["code"] == project.codes["coupon"] else "another code"


def _rounds(project: Project) -> str:
    project.pay(1)
    earned = project.points()
    return {AMOUNT // STEP: "down", AMOUNT // STEP + 1: "up or to the nearest"}.get(earned, f"{earned} points")


def _earns_again(project: Project) -> str:
    before = AMOUNT // STEP if "points" not in project.codes else int(project.codes["points"])
    project.pay(1)
    after = project.points()
    project.codes["points"] = str(after)
    return "nothing" if after == before else f"{after - before:+d} points"


def _cancels(project: Project) -> str:
    before = int(project.codes["points"])
    project.pay(1, "CANCELED")
    after = project.points()
    project.codes["points"] = str(after)
    return "they stay" if after == before else f"{after - before:+d} points"


def _keeps_status(project: Project) -> str:
    body = {
        "redeemables": [{"object": "voucher", "id": project.codes["coupon"]}],
        "order": {"source_id": project.order(2), "status": "CREATED", "amount": AMOUNT},
        "customer": project.customer,
    }
    answer = project.done("POST", "/v1/redemptions", body)
    return str((answer.get("order") or {}).get("status"))


def _fails(project: Project) -> str:
    body = {
        "redeemables": [{"object": "voucher", "id": project.codes["coupon"]}],
        "order": {"source_id": project.order(2), "status": "CREATED", "amount": AMOUNT},
        "customer": project.customer,
    }
    answer = project.call("POST", "/v1/redemptions", body)
    told = _body(answer)
    return f"{_named(answer)}, resource {str(told.get('resource_id', 'none')).partition('_')[0]}"


def _unknown_event(project: Project) -> str:
    body = {"event": f"{project.prefix} event", "customer": project.customer}
    answer = project.call("POST", "/v1/events", body)
    return "taken" if answer.is_success else _named(answer)


def _takes_too_many(project: Project) -> str:
    code = quote(project.codes["card"], safe="")
    answer = project.call("POST", f"/v1/loyalties/members/{code}/balance", {"points": -TOO_MANY})
    return f"taken, balance {answer.json()['balance']}" if answer.is_success else _named(answer)


QUESTIONS: tuple[Question, ...] = (
    Question(
        "join twice",
        "A customer joins a programme again, without join_once",
        "400 voucher_cannot_be_published",
        _joins_twice,
    ),
    Question(
        "publish twice",
        "A publication is sent again with its source_id",
        "400 duplicate_source_id",
        _publishes_twice,
    ),
    Question("rounding", f"{AMOUNT} at one point for every {STEP} is rounded", "down", _rounds),
    Question(
        "paid twice",
        "An order that is PAID is sent as PAID again and earns",
        "nothing",
        _earns_again,
        'POST /sandbox/faults {"earn_again_on_paid": true}',
    ),
    Question("canceled", "A paid order becomes CANCELED; its points", "they stay", _cancels),
    Question(
        "order status",
        "An order sent with a redemption as CREATED is then",
        "CREATED",
        _keeps_status,
        'POST /sandbox/faults {"ignore_redemption_order_status": true}',
    ),
    Question("used code", "A code that is used up is redeemed", "400 quantity_exceeded, resource rf", _fails),
    Question("unknown event", "A custom event that nobody defined is", "taken", _unknown_event),
    Question(
        "too many points",
        f"{TOO_MANY:,} points are taken off a card with few",
        "400 loyalty_card_points_exceeded",
        _takes_too_many,
    ),
)
NOT_ASKED = (
    "whether a webhook keeps its `id` over retries, and how what goes to Segment is flattened: look at what comes",
    "where the group's traits are kept: needs a schema that defines them",
    "what a refund does to a coupon that was a reward, and to expiry: takes a day",
)


@dataclass
class Answer:
    """What the project said, beside what the sandbox says."""

    name: str
    asks: str
    answer: str
    sandbox: str
    switch: str
    differs: bool = field(init=False)

    def __post_init__(self) -> None:
        self.differs = self.answer != self.sandbox


def ask(project: Project) -> list[Answer]:
    """All questions, in order, of what is made for them; at the end it is taken away, whatever happened."""
    try:
        _make(project)
        return [Answer(each.name, each.asks, each.ask(project), each.sandbox, each.switch) for each in QUESTIONS]
    finally:
        clean(project)


def clean(project: Project) -> list[str]:
    """Take away what a run made; answers what is left. Orders can't be deleted in Voucherify: they stay."""
    left = []
    for path in (
        f"/v1/customers/{project.customer['source_id']}",
        f"/v1/campaigns/{quote(project.programme)}?force=true",
        f"/v1/campaigns/{quote(project.coupons)}?force=true",
    ):
        with contextlib.suppress(Stop):
            if project.call("DELETE", path, tidying=True).status_code in {200, 202, 204, 404}:
                continue
        left.append(path.partition("?")[0])
    for path in left:
        say(f"Not deleted: {path}")
    return left


def _body(answer: httpx.Response) -> dict[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _named(answer: httpx.Response) -> str:
    return f"{answer.status_code} {_body(answer).get('key') or _body(answer).get('message') or ''}".strip()


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    try:
        settings = load_settings()
    except LoyaltyError as error:
        say(error.sentence)
        return 2
    where = "the sandbox" if settings.uses_sandbox else "your Voucherify project"
    prefix = options.clean or f"verify-{secrets.token_hex(4)}"
    if not (options.live or options.clean):
        print(f"It would ask {where} at {settings.voucherify_api_url}, with at most {MOST_CALLS} calls:\n")
        print("\n".join(f"  {each.asks} …" for each in QUESTIONS))
        print(f"\nWhat it makes is named {prefix}…: a programme, a coupon campaign, a customer, two orders. It deletes")
        print("them again; orders can't be deleted in Voucherify, so those two stay. With --live it begins.")
        print("\nIt can't ask:\n" + "\n".join(f"  {each}" for each in NOT_ASKED))
        return 0
    with Project(
        settings.voucherify_api_url,
        settings.voucherify_application_id.get_secret_value(),
        settings.voucherify_secret_key.get_secret_value(),
        prefix,
        0.0 if settings.uses_sandbox else options.wait,
    ) as project:
        if options.clean:
            return 1 if clean(project) else 0
        return _run(project, as_json=options.json)


def _run(project: Project, *, as_json: bool) -> int:
    try:
        answers = ask(project)
    except (Stop, KeyError, TypeError, ValueError, AttributeError) as error:
        say(f"Broken off after {project.made} calls: {error}")
        say(f"What may be left of it: ./scripts/verify --clean {project.prefix}")
        return 2
    except KeyboardInterrupt:
        say(f"Stopped. What may be left of it: ./scripts/verify --clean {project.prefix}")
        return 130
    _show(answers, project, as_json=as_json)
    return 1 if any(answer.differs for answer in answers) else 0


def _show(answers: list[Answer], project: Project, *, as_json: bool) -> None:
    if as_json:
        told = {"prefix": project.prefix, "calls": project.made, "answers": [asdict(answer) for answer in answers]}
        print(json.dumps(told, indent=2, ensure_ascii=False))
        return
    for answer in answers:
        print(f"{'differs' if answer.differs else 'as here':8} {answer.asks}: {answer.answer}")
        if answer.differs:
            print(f"{'':8} the sandbox: {answer.sandbox}")
            if answer.switch:
                print(f"{'':8} to try it there: {answer.switch}")
    print(f"\n{project.made} calls; what was made is named {project.prefix}…")


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./scripts/verify",
        description="Ask a Voucherify project of yours what its documentation leaves open, and say where the sandbox "
        f"differs. Without --live nothing is called. One run costs {MOST_CALLS} calls at most, and takes a minute.",
        epilog="Exit code: 0 the project does what the sandbox does; 1 it differs; 2 it could not be asked.",
    )
    parser.add_argument("--live", action="store_true", help="make the calls: things with a prefix, deleted afterwards")
    parser.add_argument("--clean", metavar="PREFIX", help="only take away what a run that was broken off left behind")
    parser.add_argument("--wait", type=float, default=SETTLES, metavar="S", help=f"seconds to settle ({SETTLES:g})")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else on stdout")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
