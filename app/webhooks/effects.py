"""What each kind of webhook does to profile and facts. Adding one is a function and a line in `EFFECTS`."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from app.analytics import facts
from app.live.changes import Change, of_member, of_order
from app.members import service as members
from app.profiles import coupons, loyalty
from app.profiles.loyalty import CardState
from app.voucherify.loyalty import card_of


@dataclass(frozen=True)
class Notice:
    """A webhook about a member."""

    type: str
    event_id: str
    member_id: UUID
    order_id: str | None
    data: dict[str, Any]
    received_at: datetime


Effect = Callable[[asyncpg.Connection, Notice], Awaitable[list[Change]]]


async def publication(connection: asyncpg.Connection, notice: Notice) -> list[Change]:
    """A code was given to the member: a loyalty card, or a coupon for the wallet."""
    told = notice.data["publication"]
    at = _moment(told, notice)
    made: list[Change] = []
    for voucher in _vouchers(notice.data):
        if voucher.get("type") == "LOYALTY_CARD":
            card = card_of(voucher)
            await loyalty.note_card(connection, notice.member_id, CardState(card.code, card.campaign, card.balance, at))
            await members.set_card(connection, notice.member_id, card.code)
            made.append(of_member(notice.member_id, "card.issued", balance=card.balance))
        elif await coupons.published(connection, notice.member_id, voucher, at, notice.order_id):
            made.append(of_member(notice.member_id, "coupon.arrived", code=voucher["code"]))
    return made


async def transaction(connection: asyncpg.Connection, notice: Notice) -> list[Change]:
    """Points moved: the movement to the facts, the stated balance to the profile."""
    told, voucher = notice.data["transaction"], notice.data["voucher"]
    details = told["details"]
    balance = details["balance"]
    points, after = int(balance["points"]), balance.get("balance")
    after = int(balance["total"] if after is None else after)
    is_new = await facts.add_movement(
        connection,
        transaction_id=told["id"],
        member_id=notice.member_id,
        card=voucher["code"],
        type_=told["type"],
        points=points,
        balance=after,
        order_id=notice.order_id,
        reason=told.get("reason") or _banner(details),
        created_at=_moment(told, notice),
    )
    if not is_new:
        return []
    state = CardState(voucher["code"], voucher.get("campaign") or "", after, _moment(told, notice))
    await loyalty.note_card(connection, notice.member_id, state, moved=points)
    return [of_member(notice.member_id, "balance.changed", balance=after, points=points, order_id=notice.order_id)]


async def redemption(connection: asyncpg.Connection, notice: Notice) -> list[Change]:
    """A code was redeemed: a coupon is used up."""
    voucher = notice.data.get("voucher") or {}
    if voucher.get("type") == "LOYALTY_CARD" or not voucher.get("code"):
        return []
    await coupons.redeemed(connection, voucher["code"], notice.order_id, notice.received_at)
    return [of_member(notice.member_id, "coupon.used", code=voucher["code"])]


async def order_paid(_connection: asyncpg.Connection, notice: Notice) -> list[Change]:
    """Voucherify counts the order as paid: the road shows it; what was earned comes as a transaction."""
    return [of_order(notice.order_id, "voucherify.paid")] if notice.order_id else []


async def rewarded(_connection: asyncpg.Connection, _notice: Notice) -> list[Change]:
    """Points were given. Their movement comes by its own webhook; this one is for Segment."""
    return []


EFFECTS: dict[str, Effect] = {
    "publication.succeeded": publication,
    "customer.publication.succeeded": publication,
    "voucher.loyalty_card.transaction.created": transaction,
    "redemption.succeeded": redemption,
    "customer.redemption.succeeded": redemption,
    "customer.order.paid": order_paid,
    "customer.rewarded.loyalty_points": rewarded,
}


def _vouchers(data: dict[str, Any]) -> list[dict[str, Any]]:
    """The published vouchers, wherever this kind of event has them."""
    found = data.get("vouchers") or [data.get("voucher") or data["publication"].get("voucher")]
    return [voucher for voucher in found if isinstance(voucher, dict)]


def _moment(told: dict[str, Any], notice: Notice) -> datetime:
    created = told.get("created_at")
    return datetime.fromisoformat(created) if isinstance(created, str) else notice.received_at


def _banner(details: dict[str, Any]) -> str | None:
    source = (details.get("earning_rule") or {}).get("source") or {}
    banner = source.get("banner")
    return str(banner) if banner else None
