"""What every table shares: one naming convention, JSONB and UTC column types."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, DateTime
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

# Named constraints, so that a migration can name what it drops.
SQLModel.metadata.naming_convention = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


def now() -> datetime:
    """The present moment in UTC. Leases go by the database's clock instead: machines' clocks differ."""
    return datetime.now(UTC)


def utc_field(**options: Any) -> Any:
    """A `timestamptz` column."""
    return Field(sa_type=DateTime(timezone=True), **options)


def amount_field(**options: Any) -> Any:
    """A `bigint` column for money in minor units, or points: an `int` ends at 21 million of a currency with cents."""
    return Field(sa_type=BigInteger, **options)


def json_field(**options: Any) -> Any:
    """A `jsonb` column."""
    return Field(sa_type=JSONB(none_as_null=True), **options)


def ordered_json_field(**options: Any) -> Any:
    """A `json` column: it keeps the order of keys, which `jsonb` does not."""
    return Field(sa_type=JSON(none_as_null=True), **options)
