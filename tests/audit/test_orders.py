"""What is found about one order, from values: above all, what is not found while it is on the road."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from app.audit import orders
from app.audit.orders import Fact, Logged, OrderRow, Told

AT = datetime(2026, 11, 22, 12, tzinfo=UTC)
MEMBER, PAYS = UUID(int=2), frozenset({"v/order-paid"})
TOLD = Told("m", "sent")
EVENT = Logged(7, "m", routed=True, poison=False, deliveries={"v/order-paid": "delivered"})
FACT = Fact(str(MEMBER), "USD", 1000, 100, 900, "TEN")
DONE = OrderRow(
    id=UUID(int=1),
    number=1001,
    status="PAID",
    member_id=MEMBER,
    currency="USD",
    amount=1000,
    discount=100,
    total=900,
    coupon="TEN",
    redemption_id="r_1",
    sent_redemption=True,
    recheck_at=None,
    at=AT,
    told=(TOLD,),
    logged=(EVENT,),
    fact=FACT,
    coupon_used_by=str(UUID(int=1)),
    in_wallet=True,
)
THERE: dict[str, Any] = {"status": "PAID", "total_amount": 900, "redemptions": {"r_1": {"date": "x"}}}
CANCELED: dict[str, Any] = {"status": "CANCELED", "told": (), "logged": (), "fact": None, "coupon_used_by": None}
ROLLED_BACK = {"r_1": {"rollback_id": "rr_1"}}


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, []),
        # On the road: what is not there yet is not missed.
        ({"told": (Told("m", "pending"),), "logged": (), "fact": None}, []),
        ({"told": (Told("m", "dead"),), "logged": (), "fact": None}, []),
        ({"logged": (replace(EVENT, routed=False, deliveries={}),), "fact": None}, []),
        ({"logged": (replace(EVENT, poison=True, deliveries={}),), "fact": None}, []),
        ({"logged": (replace(EVENT, deliveries={"v/order-paid": "pending"}),)}, []),
        ({"status": "PENDING", "told": (), "logged": (), "fact": None}, []),
        (CANCELED, []),
        # An order without a member has no deliveries, and nobody's fact.
        ({"member_id": None, "logged": (replace(EVENT, deliveries={}),), "fact": replace(FACT, user_id=None)}, []),
        ({"logged": (replace(EVENT, deliveries={}),)}, ["delivery_missing"]),
        ({"told": (TOLD, TOLD)}, ["emission_doubled"]),
        ({"logged": (EVENT, EVENT)}, ["event_doubled"]),
        ({"fact": replace(FACT, discount=0, user_id=None)}, ["fact_unequal", "fact_unequal"]),
        ({**CANCELED, "told": (TOLD,)}, ["emission_unexpected"]),
        ({**CANCELED, "coupon_used_by": str(UUID(int=1))}, ["coupon_used_unequal"]),
    ],
)
def test_our_own_tables(changed: dict[str, Any], expected: list[str]) -> None:
    """Each state of an order in our own tables gives its findings, and none for what is on the road."""
    order = replace(DONE, **changed)
    assert [finding.kind for finding in orders.check(order, own_door=True)] == expected


def test_with_real_segment_the_road_ends_at_the_outbox() -> None:
    """Where events go to Segment, what our own log lacks is not missed."""
    assert list(orders.check(replace(DONE, logged=(), fact=None), own_door=False)) == []


@pytest.mark.parametrize(
    ("changed", "there", "expected"),
    [
        ({}, {}, []),
        ({}, {"status": "FULFILLED"}, []),
        ({}, {"status": "CREATED"}, ["order_not_paid"]),
        ({}, None, ["redemption_missing", "order_not_paid"]),
        # Not delivered yet, or earned by something else than the order: Voucherify need not have it as paid.
        ({"logged": (replace(EVENT, deliveries={"v/order-paid": "pending"}),)}, {"status": "CREATED"}, []),
        ({"logged": (replace(EVENT, deliveries={"v/track": "delivered"}),)}, {"status": "CREATED"}, []),
        # The total is Voucherify's, or what its amount and discount come to.
        ({}, {"total_amount": 1000}, ["order_unequal"]),
        ({}, {"total_amount": None, "amount": 1000, "total_discount_amount": 100}, []),
        # Tax on top of the prices is the till's alone.
        ({"total": 980}, {}, []),
        # One redemption that stands, and ours.
        ({}, {"redemptions": {}}, ["redemption_missing"]),
        ({}, {"redemptions": ROLLED_BACK}, ["redemption_missing"]),
        ({}, {"redemptions": {**ROLLED_BACK, "r_2": {}}}, ["redemption_doubled"]),
        ({}, {"redemptions": {"r_1": {}, "r_2": {}}}, ["redemption_doubled"]),
        ({"coupon_used_by": None}, {}, ["coupon_used_unequal"]),
        ({"coupon_used_by": None, "in_wallet": False}, {}, []),
        ({"coupon": None, "redemption_id": None, "sent_redemption": False}, {}, ["redemption_doubled"]),
        # Canceled: nothing may be left, unless the sweeper is going to look.
        (CANCELED, {}, ["redemption_left"]),
        (CANCELED, {"redemptions": ROLLED_BACK}, []),
        (CANCELED, None, []),
        ({**CANCELED, "recheck_at": AT}, {}, []),
    ],
)
def test_against_voucherify(changed: dict[str, Any], there: dict[str, Any] | None, expected: list[str]) -> None:
    """Each way in which Voucherify's order can be gives its findings."""
    found = None if there is None else {**THERE, **there}
    kinds = [finding.kind for finding in orders.check_against(replace(DONE, **changed), found, PAYS)]
    assert kinds == expected


@pytest.mark.parametrize(
    ("changed", "asked"),
    [
        ({}, True),
        ({"status": "PENDING"}, False),
        (CANCELED, True),
        ({"sent_redemption": False}, True),
        ({**CANCELED, "sent_redemption": False}, False),
        ({"sent_redemption": False, "logged": (replace(EVENT, deliveries={}),)}, False),
    ],
)
def test_only_what_voucherify_may_know_is_asked_about(changed: dict[str, Any], asked: bool) -> None:
    """A call is spent on an order that was redeemed for or delivered, and on no other."""
    assert orders.asks(replace(DONE, **changed), PAYS) == asked


def test_a_refunded_order_may_be_canceled_in_voucherify() -> None:
    """CANCELED there is a difference for an order that was paid, unless a refund of it was sent."""
    theirs = {**THERE, "status": "CANCELED"}
    assert [finding.kind for finding in orders.check_against(DONE, theirs, PAYS)] == ["order_not_paid"]
    assert list(orders.check_against(replace(DONE, refunded=True), theirs, PAYS)) == []
