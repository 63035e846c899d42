"""① Sources, their write keys, and what the door refused."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger
from sqlmodel import Field, Index, SQLModel

from app.db.base import json_field, utc_field


class Source(SQLModel, table=True):
    """Where events come from."""

    __tablename__ = "source"

    slug: str = Field(primary_key=True)
    name: str
    enabled: bool = True
    created_at: datetime = utc_field()


class WriteKey(SQLModel, table=True):
    """The key under which a source writes. Readable, as in Segment: it can only write."""

    __tablename__ = "write_key"

    key: str = Field(primary_key=True)
    source: str = Field(foreign_key="source.slug", index=True)
    created_at: datetime = utc_field()


class Reject(SQLModel, table=True):
    """A message that was answered 200 and not taken in, with Segment's code for the reason."""

    __tablename__ = "reject"
    __table_args__ = (Index(None, "received_at"),)

    id: int | None = Field(default=None, primary_key=True, sa_type=BigInteger)
    source: str | None = None
    code: str
    message: dict[str, Any] = json_field()
    received_at: datetime = utc_field()
