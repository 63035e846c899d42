"""The event log: append-only, read by position."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger
from sqlmodel import Field, Index, SQLModel, text

from app.db.base import json_field, utc_field


class Event(SQLModel, table=True):
    """One message that was taken in. Position order is commit order (rule 4)."""

    __tablename__ = "event"
    __table_args__ = (
        Index(None, "partition", "position"),
        Index(None, "received_at"),
        Index("ix_event_order_id", "order_id", postgresql_where=text("order_id IS NOT NULL")),
    )

    position: int | None = Field(default=None, primary_key=True, sa_type=BigInteger)
    partition: int
    person: str
    """`userId ?? anonymousId` as it was at intake: the lane of the event."""
    message_id: str
    source: str
    type: str
    name: str | None = None
    """The `event` of a track call."""
    order_id: str | None = None
    message: dict[str, Any] = json_field()
    received_at: datetime = utc_field()


class EventKey(SQLModel, table=True):
    """Message ids of the de-duplication window."""

    __tablename__ = "event_key"
    # They come in the order of their times: ranges of pages do to find the old ones, at next to no cost for a new one.
    __table_args__ = (Index(None, "received_at", postgresql_using="brin", postgresql_with={"autosummarize": True}),)

    message_id: str = Field(primary_key=True)
    received_at: datetime = utc_field()


class LogCursor(SQLModel, table=True):
    """How far a consumer has read a partition, and who reads it now."""

    __tablename__ = "log_cursor"

    consumer: str = Field(primary_key=True)
    partition: int = Field(primary_key=True)
    position: int = Field(default=0, sa_type=BigInteger)
    owner: str | None = None
    until: datetime | None = utc_field(default=None)
