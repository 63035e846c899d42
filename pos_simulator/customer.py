"""The member at the till: what a cashier sees of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.errors import NotFound
from app.members.models import Member
from app.profiles.models import Coupon
from app.profiles.read import loyalty_of, usable_coupons

LISTED = 30
"""Members offered in the demo's list."""
COUPONS = 2
"""Coupons shown at the till: there is room for two."""


@dataclass(frozen=True)
class Customer:
    """A member, the points Voucherify last stated, and the coupons that can be used now."""

    member: Member
    balance: int | None
    tier: str | None
    coupons: Sequence[Coupon]

    @property
    def name(self) -> str:
        return display_name(self.member)


def display_name(member: Member) -> str:
    """The name, or the phone number of somebody who gave none."""
    return f"{member.first_name} {member.last_name}".strip() or member.phone


async def customer(session: AsyncSession, member_id: UUID, now: datetime) -> Customer:
    member = await session.get(Member, member_id)
    if member is None:
        raise NotFound("No member has this id.")
    loyalty = await loyalty_of(session, member_id)
    coupons = await usable_coupons(session, member_id, now, COUPONS)
    return Customer(member, loyalty.get("balance"), loyalty.get("tier"), coupons)


async def latest_members(session: AsyncSession) -> Sequence[Member]:
    """The members who joined last, for the demo's list."""
    query = select(Member).order_by(col(Member.created_at).desc()).limit(LISTED)
    return (await session.exec(query)).all()
