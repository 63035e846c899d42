"""What screens and APIs read of a member's profile."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.profiles.models import Coupon, Profile, ProfileIdentifier


async def loyalty_of(session: AsyncSession, member_id: UUID) -> dict[str, Any]:
    """The mirror of the member's loyalty; empty until Voucherify told something."""
    found = await session.exec(
        select(Profile.loyalty)
        .join(ProfileIdentifier, col(ProfileIdentifier.profile_id) == col(Profile.id))
        .where(ProfileIdentifier.type == "user_id", ProfileIdentifier.value == str(member_id))
    )
    return dict(found.first() or {})


async def usable_coupons(session: AsyncSession, member_id: UUID, now: datetime, most: int) -> Sequence[Coupon]:
    """The member's coupons that are neither used nor expired, the latest first."""
    found = await session.exec(
        select(Coupon)
        .where(
            Coupon.member_id == member_id,
            col(Coupon.redeemed_at).is_(None),
            col(Coupon.expires_at).is_(None) | (col(Coupon.expires_at) > now),
        )
        .order_by(col(Coupon.published_at).desc())
        .limit(most)
    )
    return found.all()
