"""What a member sees on the phone: read from our own tables, as Voucherify last told them (rule 10)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Self
from uuid import UUID

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.analytics.models import PointMovement
from app.errors import NotSignedIn
from app.members.models import Member
from app.profiles.models import Coupon
from app.profiles.read import loyalty_of, usable_coupons

LATEST = 20
"""Movements and coupons shown: more is a page of its own."""


@dataclass(frozen=True)
class CouponRead:
    """A coupon in the wallet. `title` says what it gives."""

    code: str
    title: str
    campaign: str
    published_at: datetime
    expires_at: datetime | None
    redeemed_at: datetime | None
    order_id: str | None
    """The order that earned it."""

    @classmethod
    def of(cls, coupon: Coupon) -> Self:
        return cls(
            coupon.code,
            coupon.title,
            coupon.campaign,
            coupon.published_at,
            coupon.expires_at,
            coupon.redeemed_at,
            coupon.order_id,
        )


@dataclass(frozen=True)
class MovementRead:
    """Points that came (positive) or went (negative)."""

    id: str
    points: int
    type: str
    reason: str | None
    order_id: str | None
    balance: int | None
    created_at: datetime

    @classmethod
    def of(cls, movement: PointMovement) -> Self:
        return cls(
            movement.transaction_id,
            movement.points,
            movement.type,
            movement.reason,
            movement.order_id,
            movement.balance,
            movement.created_at,
        )


@dataclass(frozen=True)
class Wallet:
    """A member with points, card, coupons that can be used, and the latest movements."""

    id: UUID
    name: str
    phone: str
    card: str | None
    """Null until Voucherify gave it, a moment after the enrolment."""
    balance: int | None
    """Points to spend; null until Voucherify told."""
    tier: str | None
    as_of: datetime | None
    """When Voucherify stated the balance."""
    coupons: list[CouponRead]
    movements: list[MovementRead]


async def wallet(session: AsyncSession, member_id: UUID, now: datetime) -> Wallet:
    """The wallet of a member, or `NotSignedIn` when the member is gone and the token is not."""
    member = await session.get(Member, member_id)
    if member is None:
        raise NotSignedIn("This member does not exist any more: sign in again.")
    movements = await session.exec(
        select(PointMovement)
        .where(PointMovement.member_id == member_id)
        .order_by(col(PointMovement.created_at).desc(), col(PointMovement.transaction_id).desc())
        .limit(LATEST)
    )
    loyalty = await loyalty_of(session, member_id)
    as_of = loyalty.get("as_of")
    return Wallet(
        id=member.id,
        name=f"{member.first_name} {member.last_name}".strip(),
        phone=member.phone,
        card=member.card or loyalty.get("card"),
        balance=loyalty.get("balance"),
        tier=loyalty.get("tier"),
        as_of=datetime.fromisoformat(as_of) if as_of else None,
        coupons=[CouponRead.of(coupon) for coupon in await usable_coupons(session, member_id, now, LATEST)],
        movements=[MovementRead.of(movement) for movement in movements.all()],
    )
