"""Lanes: the deliveries of one person to one destination, claimed by lease and walked in order (rule 8).

A lease is a due time in the future: a lane whose worker died is simply due again. A claim reads the index on `due_at`,
so it costs the same with ten rows waiting and with a million.
"""

from dataclasses import dataclass

import asyncpg


@dataclass(frozen=True)
class LaneKey:
    destination: str
    person: str


async def claim(connection: asyncpg.Connection, owner: str, seconds: float, limit: int) -> list[LaneKey]:
    """Lease up to `limit` lanes that are due, the longest waiting first."""
    rows = await connection.fetch(
        """UPDATE lane SET owner = $1, due_at = now() + make_interval(secs => $2)
           WHERE (destination, person) IN (
               SELECT destination, person FROM lane WHERE due_at <= now()
               ORDER BY due_at LIMIT $3 FOR UPDATE SKIP LOCKED
           ) RETURNING destination, person""",
        owner,
        seconds,
        limit,
    )
    return [LaneKey(row["destination"], row["person"]) for row in rows]


async def prolong(connection: asyncpg.Connection, lane: LaneKey, owner: str, seconds: float) -> bool:
    """Keep the lane; False when it is not ours any more, and then nothing of it may be touched."""
    return bool(
        await connection.fetchval(
            """UPDATE lane SET due_at = now() + make_interval(secs => $4)
               WHERE destination = $1 AND person = $2 AND owner = $3 AND due_at > now() RETURNING true""",
            lane.destination,
            lane.person,
            owner,
            seconds,
        )
    )


async def leave(connection: asyncpg.Connection, lane: LaneKey, owner: str) -> None:
    """Give the lane back, due when its first waiting row is. Inside a transaction.

    The row is locked first and read in a second statement, whose snapshot then has what a router committed meanwhile.
    """
    mine = await connection.fetchval(
        "SELECT true FROM lane WHERE destination = $1 AND person = $2 AND owner = $3 FOR UPDATE",
        lane.destination,
        lane.person,
        owner,
    )
    if mine:
        await connection.execute(
            """UPDATE lane SET owner = NULL, due_at = (
                   -- Rows go in order: the first that may not be passed decides; those that may be, for themselves.
                   SELECT least(
                       min(due_at) FILTER (WHERE passed),
                       (array_agg(due_at ORDER BY id) FILTER (WHERE NOT passed))[1])
                   FROM delivery WHERE destination = $1 AND person = $2 AND status = 'pending')
               WHERE destination = $1 AND person = $2""",
            lane.destination,
            lane.person,
        )
