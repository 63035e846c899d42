"""The member at the till: what a cashier sees of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.errors import NotFound
from app.members.models import Member
from app.profiles.models import Coupon, Profile, ProfileIdentifier

LISTED = 30
"""Members offered in the demo's list."""


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
    profile = (
        await session.exec(
            select(Profile)
            .join(ProfileIdentifier, col(ProfileIdentifier.profile_id) == col(Profile.id))
            .where(ProfileIdentifier.type == "user_id", ProfileIdentifier.value == str(member_id))
        )
    ).first()
    coupons = await session.exec(
        select(Coupon)
        .where(
            Coupon.member_id == member_id,
            col(Coupon.redeemed_at).is_(None),
            col(Coupon.expires_at).is_(None) | (col(Coupon.expires_at) > now),
        )
        .order_by(col(Coupon.published_at).desc())
        .limit(2)
    )
    loyalty = profile.loyalty if profile else {}
    return Customer(member, loyalty.get("balance"), loyalty.get("tier"), coupons.all())


async def latest_members(session: AsyncSession) -> Sequence[Member]:
    """The members who joined last, for the demo's list."""
    query = select(Member).order_by(col(Member.created_at).desc()).limit(LISTED)
    return (await session.exec(query)).all()
