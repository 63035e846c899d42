"""What changed, by position, for screens that were away for a moment."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger
from sqlmodel import Field, Index, SQLModel

from app.db.base import json_field, utc_field


class Change(SQLModel, table=True):
    """One change that somebody may be watching."""

    __tablename__ = "change"
    __table_args__ = (Index(None, "created_at"), Index(None, "topic", "position"))

    position: int | None = Field(default=None, primary_key=True, sa_type=BigInteger)
    topic: str
    """`order:<id>` or `member:<id>`."""
    kind: str
    """What happened, as `noun.verb`."""
    data: dict[str, Any] = json_field()
    created_at: datetime = utc_field()
