"""The seam of the event log: append, lease, read, advance. Another log would stand behind the same four verbs.

`append` holds one advisory lock from just before the insert until the commit, so position order is commit order: a
reader that has seen position n will never find a smaller one later (rule 4).
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg

from app.db import lease as leases
from app.db import many
from app.db.wake import CHANNEL
from app.live import changes

_LOCK = 7_220_002
FEW = 1_000
"""Events of a partition that are counted one by one."""


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
    partition: int
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
    await connection.execute("SELECT pg_advisory_xact_lock($1), pg_notify($2, 'route')", _LOCK, CHANNEL)
    await many.execute(
        connection,
        # Positions are given in the order of the rows, which is that in which a person's events came.
        """INSERT INTO event (partition, person, message_id, source, type, name, order_id, message, received_at)
           SELECT partition, person, message_id, source, type, name, order_id, message::jsonb, received_at
           FROM unnest($1::integer[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
                       $8::text[], $9::timestamptz[])
           WITH ORDINALITY
           AS row (partition, person, message_id, source, type, name, order_id, message, received_at, place)
           ORDER BY place""",
        [
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


async def read(connection: asyncpg.Connection, positions: Mapping[int, int], limit: int) -> list[StoredEvent]:
    """The next events of some partitions, each read from its position, in the order of the log."""
    rows = await connection.fetch(
        """SELECT event.* FROM unnest($1::int[], $2::bigint[]) AS read (partition, position)
           CROSS JOIN LATERAL (
               SELECT position, partition, person, source, order_id, message FROM event
               WHERE event.partition = read.partition AND event.position > read.position
               ORDER BY event.position LIMIT $3
           ) AS event ORDER BY event.position LIMIT $3""",
        list(positions),
        list(positions.values()),
        limit,
    )
    return [
        StoredEvent(row["position"], row["partition"], row["person"], row["source"], row["order_id"], row["message"])
        for row in rows
    ]


async def waiting(connection: asyncpg.Connection, consumer: str) -> int:
    """How many events a consumer has still to read: exact while few wait, an estimate by positions where many do."""
    found: int = await connection.fetchval(
        """SELECT coalesce(sum(
                      -- Positions count all partitions: of what lies between, each has its share, more or less.
                      CASE WHEN unread.few < $2 THEN unread.few
                           ELSE greatest(unread.few, (newest.position - log_cursor.position) / log.partitions) END
                  )::bigint, (SELECT max(position) FROM event), 0)
           FROM log_cursor
           CROSS JOIN (SELECT count(*) AS partitions FROM log_cursor WHERE consumer = $1) AS log
           CROSS JOIN LATERAL (
               SELECT count(*) AS few FROM (
                   SELECT FROM event WHERE partition = log_cursor.partition AND position > log_cursor.position
                   ORDER BY position LIMIT $2) AS first) AS unread
           CROSS JOIN LATERAL (
               SELECT max(position) AS position FROM event WHERE partition = log_cursor.partition) AS newest
           WHERE consumer = $1""",
        consumer,
        FEW,
    )
    return found


async def advance(
    connection: asyncpg.Connection, consumer: str, owner: str, read_to: Mapping[int, int], new: Mapping[int, int]
) -> bool:
    """Move the cursors of the partitions in `new` inside the caller's transaction, from where they were read.

    False when the lease of one of them was lost, and then nothing may be kept.
    """
    moved = await connection.fetch(
        """UPDATE log_cursor SET position = moves.new
           FROM unnest($3::int[], $4::bigint[], $5::bigint[]) AS moves (partition, old, new)
           WHERE consumer = $1 AND owner = $2 AND log_cursor.partition = moves.partition AND position = moves.old
           RETURNING log_cursor.partition""",
        consumer,
        owner,
        list(new),
        [read_to[partition] for partition in new],
        list(new.values()),
    )
    return len(moved) == len(new)


async def give_back(connection: asyncpg.Connection, consumer: str, owner: str) -> None:
    """Release all partitions, so that others need not wait for the lease to run out."""
    await connection.execute(
        "UPDATE log_cursor SET owner = NULL, until = NULL WHERE consumer = $1 AND owner = $2", consumer, owner
    )
    await connection.execute("DELETE FROM lease WHERE name = $1", f"log:{consumer}:{owner}")
