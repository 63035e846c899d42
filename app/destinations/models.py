"""The destinations that are connected, their mappings with every version, and their filters."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint
from sqlmodel import Field, SQLModel, UniqueConstraint

from app.db.base import json_field, ordered_json_field, utc_field


class ConnectedDestination(SQLModel, table=True):
    """A destination as it was set up. What it can do is in the code: `app/destinations/catalogue.py`."""

    __tablename__ = "destination"

    slug: str = Field(primary_key=True)
    """Deliveries name it; never changed."""
    type: str
    """The slug of the catalogue's destination."""
    name: str
    enabled: bool = True
    """Off: events that come are not for it. What waits for it already still goes out."""
    settings: dict[str, Any] = json_field(default_factory=dict)
    """By field. Empty where they come from the environment, as Voucherify's do."""
    created_at: datetime = utc_field()
    updated_at: datetime = utc_field()


class Mapping(SQLModel, table=True):
    """Which events go to which action of a destination, and what they become."""

    __tablename__ = "mapping"
    __table_args__ = (UniqueConstraint("destination", "slug"),)

    id: int | None = Field(default=None, primary_key=True, sa_type=BigInteger)
    destination: str = Field(foreign_key="destination.slug")
    slug: str
    """Deliveries name it; never changed."""
    name: str
    action: str
    trigger: str
    mapping: dict[str, Any] = ordered_json_field()
    enabled: bool = True
    place: int
    """Mappings of one event are delivered in this order."""
    version: int = 1
    """Grows with every change: who changes it says which version was seen."""
    created_at: datetime = utc_field()
    updated_at: datetime = utc_field()


class MappingVersion(SQLModel, table=True):
    """A mapping as it was from a moment on. Never changed, never deleted, not even with its mapping."""

    __tablename__ = "mapping_version"
    __table_args__ = (UniqueConstraint("mapping_id", "version"),)

    id: int | None = Field(default=None, primary_key=True, sa_type=BigInteger)
    mapping_id: int = Field(sa_type=BigInteger)
    destination: str
    slug: str
    version: int
    change: str
    """`created`, `edited`, `enabled`, `disabled`, `moved`, `restored`, `deleted`."""
    name: str
    action: str
    trigger: str
    mapping: dict[str, Any] = ordered_json_field()
    enabled: bool
    place: int
    changed_by: str
    changed_at: datetime = utc_field()


class DestinationFilter(SQLModel, table=True):
    """A rule that keeps events, or parts of them, from a destination."""

    __tablename__ = "destination_filter"
    __table_args__ = (
        CheckConstraint("kind IN ('sample', 'drop', 'drop_properties', 'allow_properties')", name="kind"),
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=BigInteger)
    destination: str = Field(foreign_key="destination.slug", ondelete="CASCADE", index=True)
    name: str
    condition: str
    """In the trigger language: the events that the filter is about."""
    kind: str
    """`sample`, `drop`, `drop_properties`, `allow_properties`."""
    paths: list[str] = json_field(default_factory=list)
    """Of the properties, such as `properties.card.number`; of a sample, the one whose value decides (or none)."""
    percent: float | None = None
    """Of a sample: how many of a hundred pass."""
    enabled: bool = True
    created_at: datetime = utc_field()
    updated_at: datetime = utc_field()


class Configuration(SQLModel, table=True):
    """One row: the number of the present state of destinations, mappings and filters. Every change of them counts."""

    __tablename__ = "configuration"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: int = Field(default=1, primary_key=True)
    version: int = Field(default=0, sa_type=BigInteger)
