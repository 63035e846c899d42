"""Laws that hold whatever members, tills and coupons do, in any order and at once: a state machine over HTTP."""

import asyncio
import itertools
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import httpx
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from tests.sandbox import programme
from tests.sandbox.programme import COUPONS, LOYALTY
from tests.sandbox.serving import KEYS, Sink

INITIAL, PRICE, VISIT = 30, 50, 5
NUMBERS = itertools.count()


@dataclass
class Member:
    """What a member has by what was done, which the sandbox must agree with."""

    id: str
    card: str
    balance: int = INITIAL
    paid: list[str] = field(default_factory=list)
    bought: list[str] = field(default_factory=list)
    """Purchases of rewards that were not rolled back."""


@dataclass
class Coupon:
    """One code: free, or redeemed by `redemption`."""

    member: Member
    code: str
    redemption: str | None = None
    order: str = ""
    rolled_back: list[str] = field(default_factory=list)


class Trade(RuleBasedStateMachine):
    """Two members of one programme, their orders and coupons; some things happen at once."""

    url: str
    sink: Sink
    reward: str
    coupons: Bundle[Coupon] = Bundle("coupons")
    who = st.integers(0, 1)

    def __init__(self) -> None:
        super().__init__()
        self.api = httpx.Client(base_url=self.url, headers=KEYS, timeout=60)
        self.members: list[Member] = []

    def send(self, method: str, path: str, body: Any = None) -> httpx.Response:
        return self.api.request(method, path, json=body)

    def at_once(self, calls: list[Callable[[], httpx.Response]]) -> list[httpx.Response]:
        with ThreadPoolExecutor(len(calls)) as threads:
            return list(threads.map(lambda call: call(), calls))

    @initialize()
    def two_members_join(self) -> None:
        for _ in range(2):
            name = f"m-{next(NUMBERS)}"
            body = {"campaign": {"name": LOYALTY}, "customer": {"source_id": name}}
            answer = self.send("POST", "/v1/publications?join_once=true", body)
            self.members.append(Member(name, answer.json()["voucher"]["code"]))

    @rule(who=who, amounts=st.lists(st.integers(0, 30_000), min_size=1, max_size=3))
    def orders_are_paid_at_once(self, who: int, amounts: list[int]) -> None:
        member = self.members[who]
        ids = [f"o-{next(NUMBERS)}" for _ in amounts]
        bodies = [
            {"source_id": each, "status": "PAID", "amount": amount, "customer": {"source_id": member.id}}
            for each, amount in zip(ids, amounts, strict=True)
        ]
        answers = self.at_once([lambda body=body: self.send("POST", "/v1/orders", body) for body in bodies])  # type: ignore[misc]
        assert {each.status_code for each in answers} == {200}
        member.paid += ids
        member.balance += sum(amount // 100 for amount in amounts)
        self.agrees(member)

    @rule(who=who, status=st.sampled_from(["PAID", "CANCELED"]))
    def an_order_is_sent_again(self, who: int, status: str) -> None:
        member = self.members[who]
        if member.paid:
            order = member.paid[-1] if status == "PAID" else member.paid.pop()
            assert self.send("POST", "/v1/orders", {"source_id": order, "status": status}).status_code == 200
            self.agrees(member)

    @rule(who=who, points=st.integers(-150, 150).filter(bool))
    def points_are_adjusted(self, who: int, points: int) -> None:
        member = self.members[who]
        answer = self.send("POST", f"/v1/loyalties/members/{member.card}/balance", {"points": points})
        if member.balance + points < 0:
            assert answer.json()["key"] == "loyalty_card_points_exceeded"
        else:
            assert answer.status_code == 200
            member.balance += points
        self.agrees(member)

    @rule(who=who)
    def a_member_visits(self, who: int) -> None:
        member = self.members[who]
        assert self.send("POST", "/v1/events", {"event": "visit", "customer": {"source_id": member.id}}).is_success
        member.balance += VISIT
        self.agrees(member)

    @rule(who=who, times=st.integers(2, 4))
    def rewards_are_bought_at_once(self, who: int, times: int) -> None:
        member, body = self.members[who], {"reward": {"id": self.reward}}
        if member.balance < PRICE:  # at least one can be bought, and mostly not all
            self.points_are_adjusted(who, PRICE)
        path = f"/v1/loyalties/members/{member.card}/redemption"
        answers = self.at_once([lambda: self.send("POST", path, body)] * times)
        bought = sum(each.status_code == 200 for each in answers)
        assert bought == min(times, member.balance // PRICE)
        assert {each.json()["key"] for each in answers if each.is_error} <= {"loyalty_card_points_exceeded"}
        member.balance -= bought * PRICE
        member.bought += [each.json()["id"] for each in answers if each.is_success]
        self.agrees(member)

    @rule(who=who, times=st.integers(2, 3))
    def a_purchase_is_rolled_back_at_once(self, who: int, times: int) -> None:
        member = self.members[who]
        if not member.bought:
            return
        path = f"/v1/redemptions/{member.bought.pop()}/rollback"
        answers = self.at_once([lambda: self.send("POST", path)] * times)
        assert sorted(each.status_code for each in answers) == [200, *[400] * (times - 1)]
        assert {each.json()["key"] for each in answers if each.is_error} <= {"already_rolled_back"}
        member.balance += PRICE
        self.agrees(member)

    @rule(target=coupons, who=who)
    def a_coupon_is_published(self, who: int) -> Coupon:
        member = self.members[who]
        body = {"campaign": COUPONS, "customer": {"source_id": member.id}}
        return Coupon(member, self.send("POST", "/v1/publications", body).json()["voucher"]["code"])

    @rule(coupon=coupons, times=st.integers(2, 4))
    def a_code_is_redeemed_at_once(self, coupon: Coupon, times: int) -> None:
        bodies = [
            {
                "redeemables": [{"object": "voucher", "id": coupon.code}],
                "order": {"source_id": f"o-{next(NUMBERS)}", "status": "CREATED", "amount": 1000},
                "customer": {"source_id": coupon.member.id},
            }
            for _ in range(times)
        ]
        answers = self.at_once([lambda body=body: self.send("POST", "/v1/redemptions", body) for body in bodies])  # type: ignore[misc]
        done = [each.json() for each in answers if each.is_success]
        assert len(done) == (1 if coupon.redemption is None else 0)
        assert {each.json()["key"] for each in answers if each.is_error} <= {"quantity_exceeded"}
        if done:
            coupon.redemption, coupon.order = done[0]["redemptions"][0]["id"], done[0]["order"]["id"]
            assert done[0]["order"]["total_amount"] == 900
        assert self.send("GET", f"/v1/vouchers/{coupon.code}").json()["redemption"]["redeemed_quantity"] == 1

    @rule(coupon=coupons, times=st.integers(2, 3))
    def a_redemption_is_rolled_back_at_once(self, coupon: Coupon, times: int) -> None:
        if coupon.redemption is None:
            return
        path = f"/v1/redemptions/{coupon.redemption}/rollback"
        answers = self.at_once([lambda: self.send("POST", path)] * times)
        assert sorted(each.status_code for each in answers) == [200, *[400] * (times - 1)]
        assert {each.json()["key"] for each in answers if each.is_error} <= {"already_rolled_back"}
        order = self.send("GET", f"/v1/orders/{coupon.order}").json()
        assert (order["status"], order["total_amount"], order.get("total_discount_amount")) == ("CANCELED", 1000, None)
        assert self.send("GET", f"/v1/vouchers/{coupon.code}").json()["redemption"]["redeemed_quantity"] == 0
        coupon.redemption = None

    def agrees(self, member: Member) -> None:
        """The balance is what was done, never less than nothing, and the sum of the ledger."""
        card = self.send("GET", f"/v1/loyalties/members/{member.card}").json()["loyalty_card"]
        moved = [each["details"]["balance"] for each in self.transactions(member)]
        assert card["balance"] == member.balance >= 0
        assert card["balance"] == INITIAL + sum(each["points"] for each in moved)
        wallet = self.send("GET", f"/v1/customers/{member.id}").json()["loyalty"]["campaigns"][LOYALTY]
        assert wallet["points"] == member.balance

    def transactions(self, member: Member) -> list[dict[str, Any]]:
        """All of a card's, newest first."""
        rows: list[dict[str, Any]] = []
        while True:
            after = f"&starting_after_id={rows[-1]['id']}" if rows else ""
            path = f"/v1/loyalties/members/{member.card}/transactions?limit=100{after}"
            answer = self.send("GET", path).json()
            rows += answer["data"]
            if not answer["has_more"]:
                return rows

    def teardown(self) -> None:
        """The webhooks of a card tell one story: every transaction once, each balance out of the one before."""
        for member in self.members:
            expected = [each["id"] for each in reversed(self.transactions(member))]
            until = time.monotonic() + 60
            while len(told := self.told(member.card)) < len(expected) and time.monotonic() < until:
                time.sleep(0.01)
            assert [each["transaction"]["id"] for each in told] == expected
            balance = INITIAL
            for each in told:
                balance += each["balance"]["points"]
                assert each["balance"]["balance"] == balance
                assert each["voucher"]["loyalty_card"]["balance"] == balance
        self.api.close()

    def told(self, card: str) -> list[dict[str, Any]]:
        kind = "voucher.loyalty_card.transaction.created"
        return [each["data"] for each in self.sink.of(kind) if each["data"]["voucher"]["code"] == card]


async def test_trade_keeps_its_laws(api: httpx.AsyncClient, sink: Sink) -> None:
    """Ledger sums, no negative balance, one redemption of a code, rollback restores, webhooks that fit together."""
    await programme.loyalty(api, points=INITIAL)
    await programme.rule(api, "visit", {"type": "FIXED", "points": VISIT})
    await programme.coupons(api)
    prizes = await programme.coupons(api, "Prizes")
    reward = {"name": "A prize", "parameters": {"campaign": {"id": prizes["id"]}}}
    made = await programme.send(api, "POST", "/v1/rewards", reward)
    assignment = [{"reward": made["id"], "parameters": {"loyalty": {"points": PRICE}}}]
    await programme.send(api, "POST", f"/v1/loyalties/{LOYALTY}/rewards", assignment)
    Trade.url, Trade.sink, Trade.reward = str(api.base_url), sink, made["id"]
    limits = settings(max_examples=12, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck))
    await asyncio.to_thread(run_state_machine_as_test, Trade, settings=limits)
