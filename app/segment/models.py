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
    address: str | None = None
    """Where it came from: each address has its share of the room."""


class RejectCount(SQLModel, table=True):
    """How many messages were refused in an hour, also those that were not kept."""

    __tablename__ = "reject_count"

    source: str = Field(primary_key=True)
    """Empty: of an unknown write key."""
    code: str = Field(primary_key=True)
    hour: datetime = utc_field(primary_key=True)
    count: int = Field(sa_type=BigInteger)


class EventSchema(SQLModel, table=True):
    """A kind of event that a source has sent."""

    __tablename__ = "event_schema"

    source: str = Field(primary_key=True)
    type: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    """The `event` of a track call, the name of a page or screen; else empty."""
    count: int = Field(sa_type=BigInteger)
    first_seen: datetime = utc_field()
    last_seen: datetime = utc_field()


class PropertySchema(SQLModel, table=True):
    """A property or trait that came with a kind of event."""

    __tablename__ = "property_schema"

    source: str = Field(primary_key=True)
    type: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    path: str = Field(primary_key=True)
    """As in `properties.products[].price`."""
    types: dict[str, int] = json_field()
    """How often it had which type: string, number, boolean, object, array, null."""
    first_seen: datetime = utc_field()
    last_seen: datetime = utc_field()
