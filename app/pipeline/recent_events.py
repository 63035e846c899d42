"""The latest events of the log, for somebody who tries a mapping on a real one."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.db.session import Database
from app.errors import LoyaltyError, NotFound
from app.pipeline.subscriptions import Trigger

LOOK_BACK = 500
"""Events that are searched for one that a trigger takes."""
BATCH = 100


@dataclass(frozen=True)
class RecentEvent:
    """An event of the log."""

    position: int
    type: str
    name: str | None
    person: str
    source: str
    received_at: datetime
    message: dict[str, Any]


async def recent(database: Database, limit: int, before: int | None = None) -> list[RecentEvent]:
    """The latest events, the newest first; with `before`, those before that position."""
    async with database.connection() as connection:
        rows = await connection.fetch(
            """SELECT position, type, name, person, source, received_at, message FROM event
               WHERE $2::bigint IS NULL OR position < $2 ORDER BY position DESC LIMIT $1""",
            limit,
            before,
        )
    return [RecentEvent(**row) for row in rows]


async def event_at(database: Database, position: int) -> dict[str, Any]:
    """The message at a position of the log.

    Raises:
        NotFound: there is none, or it was deleted in the meantime.
    """
    async with database.connection() as connection:
        found = await connection.fetchval("SELECT message FROM event WHERE position = $1", position)
    if found is None:
        raise NotFound(f"There is no event at position {position}. It may have been deleted in the meantime.")
    message: dict[str, Any] = found
    return message


async def newest_taken(database: Database, takes: Trigger) -> RecentEvent | None:
    """The newest of the latest events that a trigger takes."""
    before, left = None, LOOK_BACK
    while left > 0:
        events = await recent(database, min(BATCH, left), before)
        for event in events:
            if takes_safely(takes, event.message):
                return event
        if len(events) < BATCH:
            break
        before, left = events[-1].position, left - BATCH
    return None


def takes_safely(takes: Trigger, message: dict[str, Any]) -> bool:
    """Whether the trigger takes it; one that fails on it does not."""
    try:
        return takes(message)
    except LoyaltyError:
        return False
