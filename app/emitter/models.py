"""⓪ The outbox: what must reach Segment, committed together with what it tells of."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger
from sqlmodel import Field, Index, SQLModel, text

from app.db.base import json_field, utc_field


class Emission(SQLModel, table=True):
    """One message on its way to Segment. Sent in the order of `id`, one sender per source."""

    __tablename__ = "emission"
    __table_args__ = (
        Index("ix_emission_pending", "source", "id", postgresql_where=text("status = 'pending'")),
        Index("ix_emission_dead", "id", postgresql_where=text("status = 'dead'")),
        Index("ix_emission_sent", "sent_at", postgresql_where=text("status = 'sent'")),
        Index(None, "order_id"),
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=BigInteger)
    source: str
    """Slug of the source whose write key it goes under."""
    message_id: str = Field(unique=True, max_length=100)
    """Deterministic, so that sending twice stores once."""
    message: dict[str, Any] = json_field()
    """The Segment message as it goes out, without `sentAt`."""
    order_id: str | None = None
    status: str = "pending"
    """`pending`, `sent`, `dead`."""
    attempts: int = 0
    due_at: datetime = utc_field()
    created_at: datetime = utc_field()
    sent_at: datetime | None = utc_field(default=None)
    answer: str | None = None
    """What the receiver said last."""
