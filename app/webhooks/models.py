"""④ The inbox of Voucherify's webhooks."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger
from sqlmodel import Field, Index, SQLModel, UniqueConstraint, text

from app.db.base import json_field, utc_field


class Webhook(SQLModel, table=True):
    """One webhook, stored as it came. Unique on (source.id, event.id)."""

    __tablename__ = "webhook"
    __table_args__ = (
        UniqueConstraint("source_id", "event_id"),
        Index("ix_webhook_pending", "due_at", "id", postgresql_where=text("status = 'pending'")),
        Index("ix_webhook_failed", "id", postgresql_where=text("status = 'failed'")),
        Index("ix_webhook_done", "applied_at", postgresql_where=text("status IN ('applied', 'ignored')")),
        Index("ix_webhook_order_id", "order_id", postgresql_where=text("order_id IS NOT NULL")),
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=BigInteger)
    source_id: str
    event_id: str
    type: str
    """The `event.type`: a distribution's own `type` is free text."""
    body: dict[str, Any] = json_field()
    member_id: UUID | None = None
    order_id: str | None = None
    status: str = "pending"
    """`pending`, `applied`, `ignored`, `failed`."""
    attempts: int = 0
    due_at: datetime = utc_field()
    error: str | None = None
    received_at: datetime = utc_field()
    applied_at: datetime | None = utc_field(default=None)


class PolledList(SQLModel, table=True):
    """How far one of Voucherify's lists was read."""

    __tablename__ = "polled_list"

    name: str = Field(primary_key=True)
    watermark: datetime | None = utc_field(default=None)
    """All that happened before is read, by Voucherify's clock."""
    walk: dict[str, Any] | None = json_field(default=None, nullable=True)
    """The place of a walk through the list that is not at its end."""
    read_at: datetime | None = utc_field(default=None)


class PolledCard(SQLModel, table=True):
    """Whose loyalty card a voucher is: the list of transactions names the voucher's id only."""

    __tablename__ = "polled_card"

    voucher_id: str = Field(primary_key=True)
    code: str
    campaign: str
    member_id: UUID | None = None
    """Null where the holder is nobody of ours."""
