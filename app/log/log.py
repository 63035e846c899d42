"""The seam of the event log: append, lease, read, advance. Another log would stand behind the same four verbs.

`append` holds one advisory lock from just before the insert until the commit, so position order is commit order: a
reader that has seen position n will never find a smaller one later (rule 4).
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg

from app.db import lease as leases
from app.db.wake import wake
from app.live import changes

_LOCK = 7_220_002


@dataclass(frozen=True)
class NewEvent:
    """A message that passed the door, ready to be stored."""

    message_id: str
    source: str
    type: str
    name: str | None
    person: str
    order_id: str | None
    message: bytes
    """JSON."""
    received_at: datetime


@dataclass(frozen=True)
class StoredEvent:
    """An event as its consumers read it."""

    position: int
    person: str
    source: str
    order_id: str | None
    """The order that it is about, as found at intake."""
    message: dict[str, Any]


def partition_of(person: str, partitions: int) -> int:
    """The share of the log that a person's events are in: the same in every process and version."""
    return int.from_bytes(hashlib.blake2b(person.encode(), digest_size=4).digest()) % partitions


async def append(connection: asyncpg.Connection, events: Sequence[NewEvent], partitions: int) -> set[str]:
    """Store the events whose `message_id` is new, inside the caller's transaction; returns the new ids.

    An id that is stored already, or twice in `events`, is stored once: the first wins.
    """
    by_id: dict[str, NewEvent] = {}
    for event in events:
        by_id.setdefault(event.message_id, event)
    # Sorted, so that two appends with the same ids wait for each other and do not deadlock.
    fresh = {
        row["message_id"]
        for row in await connection.fetch(
            """INSERT INTO event_key (message_id, received_at)
               SELECT id, now() FROM unnest($1::text[]) AS id ON CONFLICT DO NOTHING RETURNING message_id""",
            sorted(by_id),
        )
    }
    rows = [event for event in by_id.values() if event.message_id in fresh]
    if not rows:
        return fresh
    await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
    await connection.copy_records_to_table(
        "event",
        columns=["partition", "person", "message_id", "source", "type", "name", "order_id", "message", "received_at"],
        records=[
            (
                partition_of(row.person, partitions),
                row.person,
                row.message_id,
                row.source,
                row.type,
                row.name,
                row.order_id,
                row.message.decode(),
                row.received_at,
            )
            for row in rows
        ],
    )
    await wake(connection, "route")
    await changes.append(
        connection, [changes.of_order(row.order_id, "event.stored") for row in rows if row.order_id is not None]
    )
    return fresh


async def lease(
    connection: asyncpg.Connection, consumer: str, owner: str, partitions: int, seconds: float
) -> dict[int, int]:
    """Lease a fair share of the partitions; returns each with the position that it was read to.

    A share that nobody prolonged is free again. A consumer with more than its share gives up what is too much, so that
    a new worker gets work within one lease.
    """
    await connection.execute(
        """INSERT INTO log_cursor (consumer, partition, position)
           SELECT $1, n, 0 FROM generate_series(0, $2 - 1) AS n ON CONFLICT DO NOTHING""",
        consumer,
        partitions,
    )
    # Everybody who asks is counted, also who has no partition yet: else the first would never make room.
    await leases.take(connection, f"log:{consumer}:{owner}", owner, seconds)
    consumers = await connection.fetchval(
        "SELECT count(*) FROM lease WHERE starts_with(name, $1) AND until > now()", f"log:{consumer}:"
    )
    share = -(-partitions // consumers)
    rows = await connection.fetch(
        """WITH mine AS (
               SELECT partition FROM log_cursor
               WHERE consumer = $1 AND (owner = $2 OR owner IS NULL OR until < now())
               ORDER BY (owner = $2) DESC NULLS LAST, partition LIMIT $3 FOR UPDATE SKIP LOCKED
           ), given_up AS (
               UPDATE log_cursor SET owner = NULL, until = NULL
               WHERE consumer = $1 AND owner = $2 AND partition NOT IN (SELECT partition FROM mine)
           )
           UPDATE log_cursor SET owner = $2, until = now() + make_interval(secs => $4)
           WHERE consumer = $1 AND partition IN (SELECT partition FROM mine) RETURNING partition, position""",
        consumer,
        owner,
        share,
        seconds,
    )
    return {row["partition"]: row["position"] for row in rows}


async def read(connection: asyncpg.Connection, partition: int, after: int, limit: int) -> list[StoredEvent]:
    """The next events of a partition, in order."""
    rows = await connection.fetch(
        """SELECT position, person, source, order_id, message FROM event
           WHERE partition = $1 AND position > $2 ORDER BY position LIMIT $3""",
        partition,
        after,
        limit,
    )
    return [StoredEvent(row["position"], row["person"], row["source"], row["order_id"], row["message"]) for row in rows]


async def advance(
    connection: asyncpg.Connection, consumer: str, owner: str, partition: int, read_to: int, new: int
) -> bool:
    """Move a cursor inside the caller's transaction; False when the lease was lost, and then nothing may be kept."""
    moved = await connection.fetchval(
        """UPDATE log_cursor SET position = $5
           WHERE consumer = $1 AND partition = $3 AND owner = $2 AND position = $4 RETURNING true""",
        consumer,
        owner,
        partition,
        read_to,
        new,
    )
    return bool(moved)


async def give_back(connection: asyncpg.Connection, consumer: str, owner: str) -> None:
    """Release all partitions, so that others need not wait for the lease to run out."""
    await connection.execute(
        "UPDATE log_cursor SET owner = NULL, until = NULL WHERE consumer = $1 AND owner = $2", consumer, owner
    )
    await connection.execute("DELETE FROM lease WHERE name = $1", f"log:{consumer}:{owner}")
