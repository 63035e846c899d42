"""Lanes: the deliveries of one person to one destination, claimed by lease and walked in order (rule 8).

A lease is a due time in the future: a lane whose worker died is simply due again. A claim reads the index on `due_at`,
so it costs the same with ten rows waiting and with a million.
"""

from dataclasses import dataclass
from uuid import uuid4

import asyncpg


@dataclass(frozen=True)
class Claim:
    """A lane that was leased."""

    destination: str
    person: str
    holder: str
    """New with every claim: a worker that slept over its lease and claims the lane again is somebody else, so what it
    had begun before the sleep changes nothing any more."""


async def claim(connection: asyncpg.Connection, owner: str, seconds: float, limit: int) -> list[Claim]:
    """Lease up to `limit` lanes that are due, the longest waiting first."""
    holder = f"{owner}/{uuid4().hex[:8]}"
    rows = await connection.fetch(
        """UPDATE lane SET owner = $1, due_at = now() + make_interval(secs => $2)
           WHERE (destination, person) IN (
               SELECT destination, person FROM lane WHERE due_at <= now()
               ORDER BY due_at LIMIT $3 FOR UPDATE SKIP LOCKED
           ) RETURNING destination, person""",
        holder,
        seconds,
        limit,
    )
    return [Claim(row["destination"], row["person"], holder) for row in rows]


async def prolong(connection: asyncpg.Connection, lane: Claim, seconds: float) -> bool:
    """Keep the lane; False when it is not ours any more, and then nothing of it may be touched."""
    return bool(
        await connection.fetchval(
            """UPDATE lane SET due_at = now() + make_interval(secs => $4)
               WHERE destination = $1 AND person = $2 AND owner = $3 AND due_at > now() RETURNING true""",
            lane.destination,
            lane.person,
            lane.holder,
            seconds,
        )
    )


async def leave(connection: asyncpg.Connection, lane: Claim) -> None:
    """Give the lane back, due when its first waiting row is. Inside a transaction.

    The row is locked first and read in a second statement, whose snapshot then has what a router committed meanwhile.
    """
    mine = await connection.fetchval(
        "SELECT true FROM lane WHERE destination = $1 AND person = $2 AND owner = $3 FOR UPDATE",
        lane.destination,
        lane.person,
        lane.holder,
    )
    if mine:
        await connection.execute(
            """UPDATE lane SET owner = NULL, due_at = (
                   -- Rows go in order: the first that may not be passed, and those before it that may be. What is
                   -- behind it waits for it, else a lane would be due for a row that nobody may take yet.
                   SELECT min(due_at) FROM delivery WHERE destination = $1 AND person = $2 AND status = 'pending'
                   AND id <= coalesce((SELECT min(id) FROM delivery WHERE destination = $1 AND person = $2
                                       AND status = 'pending' AND NOT passed), 9223372036854775807))
               WHERE destination = $1 AND person = $2""",
            lane.destination,
            lane.person,
        )
