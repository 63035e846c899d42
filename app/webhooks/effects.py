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
from app.webhooks.parse import uuid_of


@dataclass(frozen=True)
class Notice:
    """A webhook about a member."""

    type: str
    event_id: str
    member_id: UUID
    order_id: str | None
    data: dict[str, Any]
    received_at: datetime


ROLLBACKS = ("redemption.rollback.succeeded", "customer.redemption.rollback.succeeded")
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
        reason=told.get("reason") or _banner(details) or (details.get("reward") or {}).get("name"),
        created_at=_moment(told, notice),
    )
    if not is_new:
        return []
    state = CardState(voucher["code"], voucher.get("campaign") or "", after, _moment(told, notice))
    await loyalty.note_card(connection, notice.member_id, state, moved=points)
    return [of_member(notice.member_id, "balance.changed", balance=after, points=points, order_id=notice.order_id)]


async def redemption(connection: asyncpg.Connection, notice: Notice) -> list[Change]:
    """A code was redeemed: a coupon is used up, unless its rollback was heard of first."""
    voucher = notice.data.get("voucher") or {}
    if voucher.get("type") == "LOYALTY_CARD" or not voucher.get("code"):
        return []
    told = notice.data.get("redemption") or {}
    if _source_id(notice.data.get("holder")) == str(notice.member_id):
        # The coupon's own webhook may be behind this one: then it finds the coupon there, and used up.
        await coupons.published(connection, notice.member_id, voucher, notice.received_at, None)
    # Locked before looking: a rollback that is received while we look waits here, and then finds what we wrote.
    await coupons.lock(connection, voucher["code"])
    if await _rolled_back(connection, notice.order_id, told.get("id")):
        return []
    await coupons.redeemed(connection, voucher["code"], notice.order_id, _moment(told, notice))
    # An order that is canceled already: what was redeemed for it is to be given back, and the sweeper does that.
    await connection.execute(
        """UPDATE orders SET recheck_at = now()
           WHERE id = $1 AND status = 'CANCELED' AND NOT jsonb_exists(redemption, 'rolled_back')""",
        uuid_of(notice.order_id),
    )
    return [of_member(notice.member_id, "coupon.used", code=voucher["code"])]


async def redemption_rollback(connection: asyncpg.Connection, notice: Notice) -> list[Change]:
    """A redemption was taken back: its coupon can be used again."""
    code = (notice.data.get("voucher") or {}).get("code")
    if not code or not await coupons.given_back(connection, code, notice.order_id):
        return []
    return [of_member(notice.member_id, "coupon.returned", code=code)]


async def _rolled_back(connection: asyncpg.Connection, order_id: str | None, redemption_id: str | None) -> bool:
    """Whether a webhook said that this redemption was rolled back; stored is enough, applied it need not be."""
    return bool(
        await connection.fetchval(
            """SELECT true FROM webhook WHERE order_id = $1 AND type = ANY($2)
               AND body -> 'data' -> 'redemption' ->> 'id' = $3 LIMIT 1""",
            order_id,
            list(ROLLBACKS),
            redemption_id,
        )
    )


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
    **dict.fromkeys(ROLLBACKS, redemption_rollback),
    "customer.order.paid": order_paid,
    "customer.rewarded.loyalty_points": rewarded,
}


def _vouchers(data: dict[str, Any]) -> list[dict[str, Any]]:
    """The published vouchers, wherever this kind of event has them."""
    found = data.get("vouchers") or [data.get("voucher") or data["publication"].get("voucher")]
    return [voucher for voucher in found if isinstance(voucher, dict)]


def _source_id(customer: Any) -> str | None:
    return customer.get("source_id") if isinstance(customer, dict) else None


def _moment(told: dict[str, Any], notice: Notice) -> datetime:
    created = told.get("created_at") or told.get("date")
    return datetime.fromisoformat(created) if isinstance(created, str) else notice.received_at


def _banner(details: dict[str, Any]) -> str | None:
    source = (details.get("earning_rule") or {}).get("source") or {}
    banner = source.get("banner")
    return str(banner) if banner else None
