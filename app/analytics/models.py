"""⑤ Facts for reports: what was sold, and every movement of points."""

from datetime import datetime
from uuid import UUID

from sqlmodel import Field, Index, SQLModel, text

from app.db.base import amount_field, utc_field


class OrderFact(SQLModel, table=True):
    """One completed order, as its event told it. Money in minor units."""

    __tablename__ = "order_fact"
    __table_args__ = (Index(None, "location_id", "completed_at"),)

    order_id: str = Field(primary_key=True)
    user_id: str | None = None
    location_id: str | None = None
    source: str
    currency: str
    amount: int = amount_field()
    discount: int = amount_field()
    total: int = amount_field()
    items: int
    coupon: str | None = None
    completed_at: datetime = utc_field()


class PointMovement(SQLModel, table=True):
    """One transaction of a loyalty card, by Voucherify's transaction id."""

    __tablename__ = "point_movement"
    __table_args__ = (
        Index(None, "member_id", "created_at"),
        Index("ix_point_movement_order_id", "order_id", postgresql_where=text("order_id IS NOT NULL")),
    )

    transaction_id: str = Field(primary_key=True)
    member_id: UUID
    card: str
    type: str
    """`POINTS_ACCRUAL`, `POINTS_REDEMPTION`, …"""
    points: int = amount_field()
    balance: int | None = amount_field(default=None)
    """Of the card, after it."""
    order_id: str | None = None
    reason: str | None = None
    created_at: datetime = utc_field()
