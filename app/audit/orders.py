"""One order: the till's row against the log, the facts, and what Voucherify has. Pure: values in, findings out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from app.audit.findings import Finding
from app.voucherify.redemptions import standing


@dataclass(frozen=True)
class Told:
    """A message in the outbox that tells of an order."""

    message_id: str
    status: str


@dataclass(frozen=True)
class Logged:
    """An `Order Completed` of an order in the log, and what the router made of it."""

    position: int
    message_id: str
    routed: bool
    poison: bool
    deliveries: dict[str, str]
    """Status by `<destination>/<mapping>`."""


@dataclass(frozen=True)
class Fact:
    """What reports know of an order. Money in minor units."""

    user_id: str | None
    currency: str
    amount: int
    discount: int
    total: int
    coupon: str | None


@dataclass(frozen=True)
class OrderRow:
    """An order with all that our own tables have of it."""

    id: UUID
    number: int
    status: str
    member_id: UUID | None
    currency: str
    amount: int
    discount: int
    total: int
    coupon: str | None
    redemption_id: str | None
    """The redemption in Voucherify, when we know that there is one."""
    sent_redemption: bool
    recheck_at: datetime | None
    at: datetime
    """When it came to its status."""
    told: Sequence[Told] = ()
    logged: Sequence[Logged] = ()
    refunded: bool = False
    """A refund of it is on its way to a destination, or there."""
    fact: Fact | None = None
    coupon_used_by: str | None = None
    """Whom the wallet names as the order that used the coupon; None also where the wallet has no such coupon."""
    in_wallet: bool = False

    @property
    def subject(self) -> str:
        return f"order {self.id}"

    def delivered(self, mappings: frozenset[str]) -> bool:
        """Whether one of these (`<destination>/<mapping>`) was delivered for it."""
        return any(event.deliveries.get(mapping) == "delivered" for event in self.logged for mapping in mappings)


def check(order: OrderRow, *, own_door: bool) -> Iterator[Finding]:
    """Follow a paid order through our own tables, up to where it is still on the road.

    Without our own door the events go to real Segment, and the road ends at the outbox.
    """
    if order.status != "PAID":
        if order.told or order.logged:
            yield _found(
                order, "emission_unexpected", f"It is {order.status}, and a message says that it is completed."
            )
        if order.status == "CANCELED" and order.in_wallet and order.coupon_used_by == str(order.id):
            yield _found(
                order, "coupon_used_unequal", f"It is canceled, and the wallet says that it used {order.coupon}."
            )
        return
    if not order.told:
        yield _found(order, "emission_missing", "It is paid, and the outbox has no message that tells of it.")
        return
    if len(order.told) > 1:
        ids = ", ".join(told.message_id for told in order.told)
        yield _found(order, "emission_doubled", f"{len(order.told)} messages tell of it: {ids}.")
    if not own_door or order.told[0].status != "sent":
        return
    if not order.logged:
        yield _found(order, "event_missing", f"{order.told[0].message_id} was sent, and the log does not have it.")
        return
    if len(order.logged) > 1:
        positions = ", ".join(str(event.position) for event in order.logged)
        yield _found(order, "event_doubled", f"The log has it {len(order.logged)} times, at {positions}.")
    elif order.logged[0].message_id != order.told[0].message_id:
        said = f"The log has {order.logged[0].message_id}, and {order.told[0].message_id} was sent."
        yield _found(order, "event_missing", said)
    event = order.logged[0]
    if not event.routed or event.poison:
        return
    yield from _fact(order)
    if order.member_id is not None and not event.deliveries:
        yield _found(
            order, "delivery_missing", f"Its event {event.position} was routed, and nothing is delivered of it."
        )


def _fact(order: OrderRow) -> Iterator[Finding]:
    if order.fact is None:
        yield _found(order, "fact_missing", "Its event was routed, and there is no fact of it.")
        return
    member = str(order.member_id) if order.member_id else None
    pairs: dict[str, tuple[Any, Any]] = {
        "member": (member, order.fact.user_id),
        "currency": (order.currency, order.fact.currency),
        "amount": (order.amount, order.fact.amount),
        "discount": (order.discount, order.fact.discount),
        "total": (order.total, order.fact.total),
        "coupon": (order.coupon, order.fact.coupon),
    }
    for name, (till, fact) in pairs.items():
        if till != fact:
            yield _found(order, "fact_unequal", f"Its {name} is {till} at the till and {fact} in the facts.")


def asks(order: OrderRow, pays: frozenset[str]) -> bool:
    """Whether Voucherify may know this order; `pays` are the mappings that move an order to PAID there."""
    return order.status != "PENDING" and (order.sent_redemption or order.delivered(pays))


def check_against(order: OrderRow, found: dict[str, Any] | None, pays: frozenset[str]) -> Iterator[Finding]:
    """Compare an order with Voucherify's (`GET /v1/orders/{source_id}`; None: it has none)."""
    live = standing(found or {})
    if order.status == "CANCELED":
        if live and order.recheck_at is None:
            yield _found(order, "redemption_left", f"It is canceled, and {', '.join(live)} still uses up its coupon.")
        return
    if len(live) > 1:
        yield _found(order, "redemption_doubled", f"It used {len(live)} redemptions: {', '.join(live)}.")
    elif order.sent_redemption and not live:
        yield _found(order, "redemption_missing", f"It took {order.coupon}, and Voucherify has no redemption for it.")
    elif live and live[0] != order.redemption_id:
        said = f"Voucherify's redemption is {live[0]}, ours is {order.redemption_id}."
        yield _found(order, "redemption_doubled", said)
    if live and order.in_wallet and order.coupon_used_by != str(order.id):
        named = order.coupon_used_by or "nobody"
        said = f"It used {order.coupon}, and the wallet names {named} as the one who did."
        yield _found(order, "coupon_used_unequal", said)
    if not order.delivered(pays):
        return
    status = found.get("status") if found else None
    if status == "CANCELED" and order.refunded:
        return
    if status not in {"PAID", "FULFILLED"}:
        yield _found(order, "order_not_paid", f"It was delivered, and Voucherify has it as {status or 'unknown'}.")
        return
    assert found is not None
    # Tax on top of the prices is the till's alone: Voucherify counts what there was to pay for the goods.
    ours, theirs = order.amount - order.discount, _total(found)
    if ours != theirs:
        yield _found(order, "order_unequal", f"Its goods came to {ours} at the till and to {theirs} in Voucherify.")


def _total(found: dict[str, Any]) -> int:
    total = found.get("total_amount")
    amount = int(found.get("amount") or 0)
    return amount - int(found.get("total_discount_amount") or 0) if total is None else int(total)


def _found(order: OrderRow, kind: str, sentence: str) -> Finding:
    return Finding(kind, order.subject, sentence, order.at)
