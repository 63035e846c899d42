"""Lanes: the deliveries of one person to one destination, claimed by lease and walked in order (rule 8).

A lease is a due time in the future: a lane whose worker died is simply due again. A claim reads the index on
`(destination, due_at)`, so it costs the same with ten rows waiting and with a million, and lanes of a destination that
is down cost nothing at all.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import uuid4

import asyncpg

from app.db import many
from app.db.wake import wake

CLAIM = """
WITH due AS MATERIALIZED (
    SELECT waiting.destination, waiting.person FROM destination_state AS state
    CROSS JOIN LATERAL (
        SELECT destination, person, due_at FROM lane
        WHERE lane.destination = state.destination AND due_at <= now()
        ORDER BY due_at LIMIT $3 FOR UPDATE SKIP LOCKED
    ) AS waiting
    WHERE state.down_since IS NULL AND state.paused_at IS NULL
    AND (state.rest_until IS NULL OR state.rest_until <= now())
    ORDER BY waiting.due_at LIMIT $3
)
UPDATE lane SET owner = $1, due_at = now() + make_interval(secs => $2)
FROM due WHERE lane.destination = due.destination AND lane.person = due.person
RETURNING lane.destination, lane.person
"""
"""$1 holder, $2 seconds, $3 how many. Materialized: the planner could else run the locking part more than once."""


@dataclass
class Fence:
    """Until when a lane is surely ours, by this process's own clock, which goes on while the process is stopped."""

    until: float

    def holds(self) -> bool:
        return time.monotonic() < self.until


@dataclass(frozen=True)
class Claim:
    """A lane that was leased."""

    destination: str
    person: str
    holder: str
    """New with every claim: a worker that slept over its lease and claims the lane again is somebody else, so what it
    had begun before the sleep changes nothing any more."""
    fence: Fence


async def claim(connection: asyncpg.Connection, owner: str, seconds: float, limit: int) -> list[Claim]:
    """Lease up to `limit` lanes that are due, of destinations that may be called, the longest waiting first."""
    holder = f"{owner}/{uuid4().hex[:8]}"
    fence_until = time.monotonic() + seconds  # begun before the database's lease, so it ends before that
    rows = await connection.fetch(
        CLAIM,
        holder,
        seconds,
        limit,
    )
    return [Claim(row["destination"], row["person"], holder, Fence(fence_until)) for row in rows]


async def make_due(connection: asyncpg.Connection, lanes: Iterable[tuple[str, str]]) -> None:
    """Make lanes, as (destination, person), due now, and wake who delivers. Inside the transaction of their rows.

    The conflicting update locks a lane's row even where it changes nothing, and so waits for (or makes wait) the worker
    that is just leaving the lane: none of the two overlooks the other. A lane that is held stays with its holder.
    """
    await many.execute(
        connection,
        # Locked one after the other as they are sorted here: two who make the same lanes due do not deadlock.
        """INSERT INTO lane (destination, person, due_at)
           SELECT destination, person, now() FROM unnest($1::text[], $2::text[])
           WITH ORDINALITY AS row (destination, person, place) ORDER BY place
           ON CONFLICT (destination, person) DO UPDATE SET due_at = least(coalesce(lane.due_at, now()), now())
           WHERE lane.owner IS NULL""",
        sorted(set(lanes)),
    )
    await wake(connection, "deliver")


async def prolong(connection: asyncpg.Connection, lane: Claim, seconds: float) -> bool:
    """Keep the lane; False when it is not ours any more, and then nothing of it may be touched."""
    fence_until = time.monotonic() + seconds
    kept = await connection.fetchval(
        """UPDATE lane SET due_at = now() + make_interval(secs => $4)
           WHERE destination = $1 AND person = $2 AND owner = $3 AND due_at > now() RETURNING true""",
        lane.destination,
        lane.person,
        lane.holder,
        seconds,
    )
    if kept:
        lane.fence.until = fence_until
    return bool(kept)


async def leave(connection: asyncpg.Connection, lanes: Sequence[Claim]) -> None:
    """Give lanes back, each due when its first waiting row is. Inside a transaction.

    The rows are locked first and read in a second statement, whose snapshot then has what a router committed meanwhile.
    They are locked in the order in which routers lock them.
    """
    mine = await connection.fetch(
        """SELECT destination, person FROM lane
           JOIN unnest($1::text[], $2::text[], $3::text[]) AS left_by (destination, person, holder)
           USING (destination, person)
           WHERE owner = holder ORDER BY destination COLLATE "C", person COLLATE "C" FOR UPDATE OF lane""",
        [lane.destination for lane in lanes],
        [lane.person for lane in lanes],
        [lane.holder for lane in lanes],
    )
    if not mine:
        return
    due = await connection.fetch(
        """UPDATE lane SET owner = NULL, due_at = (
               -- Rows go in order: the first that may not be passed, and those before it that may be. What is
               -- behind it waits for it, else a lane would be due for a row that nobody may take yet.
               SELECT min(due_at) FROM delivery
               WHERE destination = lane.destination AND person = lane.person AND status = 'pending'
               AND id <= coalesce((SELECT min(id) FROM delivery
                                   WHERE destination = lane.destination AND person = lane.person
                                   AND status = 'pending' AND NOT passed), 9223372036854775807))
           FROM unnest($1::text[], $2::text[]) AS mine (destination, person)
           WHERE lane.destination = mine.destination AND lane.person = mine.person
           RETURNING lane.due_at <= now() AS due""",
        [row["destination"] for row in mine],
        [row["person"] for row in mine],
    )
    if any(row["due"] for row in due):  # rows came while it was held, and who brought them woke nobody for it
        await wake(connection, "deliver")
