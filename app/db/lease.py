"""Leases: who does a job now, by the database's clock. A worker that died loses it; one that slept changes nothing."""

from datetime import datetime

import asyncpg
from sqlmodel import Field, SQLModel

from app.db.base import utc_field


class Lease(SQLModel, table=True):
    """A job that one worker at a time does."""

    __tablename__ = "lease"

    name: str = Field(primary_key=True)
    owner: str
    until: datetime = utc_field()


async def take(connection: asyncpg.Connection, name: str, owner: str, seconds: float) -> bool:
    """Take or prolong the lease; False when somebody else holds it."""
    return bool(
        await connection.fetchval(
            """INSERT INTO lease (name, owner, until) VALUES ($1, $2, now() + make_interval(secs => $3))
               ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, until = excluded.until
               WHERE lease.owner = excluded.owner OR lease.until < now() RETURNING true""",
            name,
            owner,
            seconds,
        )
    )


async def release(connection: asyncpg.Connection, owner: str) -> None:
    """Give back everything that this owner holds."""
    await connection.execute("DELETE FROM lease WHERE owner = $1", owner)
