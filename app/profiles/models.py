"""⑤ What events and webhooks say about a person, and the person's coupons."""

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlmodel import Field, Index, SQLModel, text

from app.db.base import json_field, utc_field


class Profile(SQLModel, table=True):
    """A person as known from events. `loyalty` mirrors Voucherify and is never calculated here (rule 10)."""

    __tablename__ = "profile"
    __table_args__ = (
        Index("ix_profile_unsettled", "updated_at", postgresql_where=text("jsonb_exists(loyalty, 'unsettled')")),
    )

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    traits: dict[str, Any] = json_field(default_factory=dict)
    loyalty: dict[str, Any] = json_field(default_factory=dict)
    """`{card, campaign, balance, as_of, tier?}`, points."""
    merged_into: UUID | None = None
    created_at: datetime = utc_field()
    updated_at: datetime = utc_field()


class ProfileIdentifier(SQLModel, table=True):
    """An external id of a profile: `user_id` or `anonymous_id`."""

    __tablename__ = "profile_identifier"

    type: str = Field(primary_key=True)
    value: str = Field(primary_key=True)
    profile_id: UUID = Field(foreign_key="profile.id", index=True)


class Coupon(SQLModel, table=True):
    """A voucher in a member's wallet, as Voucherify last told of it."""

    __tablename__ = "coupon"
    __table_args__ = (Index(None, "member_id", "published_at"),)

    code: str = Field(primary_key=True)
    member_id: UUID
    campaign: str
    title: str
    """What it gives, in words: `10 % off`, `2.00 off`."""
    order_id: str | None = None
    """The order that earned it."""
    published_at: datetime = utc_field()
    expires_at: datetime | None = utc_field(default=None)
    redeemed_at: datetime | None = utc_field(default=None)
    redeemed_order_id: str | None = None
