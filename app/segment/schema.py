"""The schema of a source, kept from what it sends: a reader of the log beside the router, which may lag behind it."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import msgspec

from app.db.base import now
from app.db.session import Database
from app.errors import LeaseLost
from app.log import log as event_log
from app.log.share import Share
from app.segment.schema_fold import BEYOND_NAMES, BEYOND_PATHS, Fold, Key, Kind, Property, beyond_names, beyond_paths
from app.telemetry import log

CONSUMER = "schema"
BATCH = 2_000
AT_ONCE = 250
"""Events that are counted before the other stages of this worker have their turn: 5 ms of work."""
REST = 3.0
"""After a full batch it rests so many times as long as that took: a quarter of a core, and the rest is the router's."""
_LOCK = 7_220_010
"""Advisory: who adds names or properties does so alone, else two workers would both use the last free place."""


@dataclass
class SchemaReader:
    """Reads the partitions that this worker holds."""

    database: Database
    owner: str
    partitions: int
    lease_seconds: float
    share: Share = field(init=False)

    def __post_init__(self) -> None:
        self.share = Share(self.database, CONSUMER, self.owner, self.partitions, self.lease_seconds)

    async def run_once(self) -> bool:
        """Count one batch; whether there is likely more. After a small one it is worth waiting until more has come."""
        began = time.monotonic()
        read_to = await self.share.read_to()
        try:
            new, full = await self._batch(read_to)
        except BaseException:
            self.share.forget()
            raise
        self.share.moved(new)
        if full:
            await asyncio.sleep(REST * (time.monotonic() - began))
        return full

    async def _batch(self, read_to: Mapping[int, int]) -> tuple[dict[int, int], bool]:
        """Count the next events in one transaction with the cursors; how far each partition is read, and if more is."""
        async with self.database.transaction() as connection:
            events = await event_log.read(connection, read_to, BATCH)
            if not events:
                return {}, False
            fold = Fold()
            for at in range(0, len(events), AT_ONCE):
                fold.add(events[at : at + AT_ONCE], now())
                await asyncio.sleep(0)
            await keep(connection, fold.kinds)
            new = {event.partition: event.position for event in events}
            if not await event_log.advance(connection, CONSUMER, self.owner, read_to, new):
                log.warning("schema.lease_lost")
                raise LeaseLost  # rolls all back: another has it now
        return new, len(events) == BATCH


async def keep(connection: asyncpg.Connection, kinds: Mapping[Key, Kind]) -> None:
    """Add what a batch said, inside the caller's transaction.

    Rows are written in the order of their keys, first kinds, then properties: two workers wait for each other at most.
    """
    keys = list(kinds)
    known = await _known_names(connection, keys)
    counts: dict[str, int] = {}
    if len(known) < len(keys):
        await _alone(connection)
        known = await _known_names(connection, keys)
        counts = await _names(connection, {source for source, _, _ in keys})
    bounded = beyond_names(kinds, known, counts)
    paths = await _paths(connection, bounded)
    await _write_names(connection, sorted(bounded.items(), key=lambda item: item[0]))
    await _write_paths(connection, sorted((*key, path, one) for key, of in paths.items() for path, one in of.items()))


async def _paths(connection: asyncpg.Connection, kinds: Mapping[Key, Kind]) -> dict[Key, dict[str, Property]]:
    keys = [(*key, path) for key, kind in kinds.items() for path in kind.paths]
    known = await _known_paths(connection, keys)
    counts: dict[Key, int] = {}
    if len(known) < len(keys):
        await _alone(connection)
        known = await _known_paths(connection, keys)
        counts = await _counts_of_paths(connection, list({key[:3] for key in keys}))
    return beyond_paths(kinds, known, counts)


async def _alone(connection: asyncpg.Connection) -> None:
    """Be the only one who adds until the commit. Before any row is written, so that nobody waits in a circle."""
    await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)


async def _known_names(connection: asyncpg.Connection, keys: list[Key]) -> set[Key]:
    rows = await connection.fetch(
        """SELECT source, type, name FROM unnest($1::text[], $2::text[], $3::text[]) AS given (source, type, name)
           WHERE EXISTS (SELECT FROM event_schema AS kept WHERE kept.source = given.source AND kept.type = given.type
                         AND kept.name = given.name)""",
        *_columns(keys, 3),
    )
    return {tuple(row) for row in rows}


async def _known_paths(
    connection: asyncpg.Connection, keys: list[tuple[str, str, str, str]]
) -> set[tuple[str, str, str, str]]:
    rows = await connection.fetch(
        """SELECT source, type, name, path
           FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS given (source, type, name, path)
           WHERE EXISTS (SELECT FROM property_schema AS kept WHERE kept.source = given.source AND kept.type = given.type
                         AND kept.name = given.name AND kept.path = given.path)""",
        *_columns(keys, 4),
    )
    return {tuple(row) for row in rows}


async def _names(connection: asyncpg.Connection, sources: set[str]) -> dict[str, int]:
    """How many names each source has."""
    rows = await connection.fetch(
        "SELECT source, count(*) FROM event_schema WHERE source = ANY($1) AND name <> $2 GROUP BY source",
        list(sources),
        BEYOND_NAMES,
    )
    return {row["source"]: row["count"] for row in rows}


async def _counts_of_paths(connection: asyncpg.Connection, keys: list[Key]) -> dict[Key, int]:
    rows = await connection.fetch(
        """SELECT source, type, name, count
           FROM unnest($1::text[], $2::text[], $3::text[]) AS given (source, type, name) CROSS JOIN LATERAL (
               SELECT count(*) FROM property_schema AS kept WHERE kept.source = given.source
               AND kept.type = given.type AND kept.name = given.name AND path <> $4) AS counted""",
        *_columns(keys, 3),
        BEYOND_PATHS,
    )
    return {(row["source"], row["type"], row["name"]): row["count"] for row in rows}


async def _write_names(connection: asyncpg.Connection, rows: list[tuple[Key, Kind]]) -> None:
    await connection.execute(
        """INSERT INTO event_schema (source, type, name, count, first_seen, last_seen)
           SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::timestamptz[], $6::timestamptz[])
           ON CONFLICT (source, type, name) DO UPDATE SET
               count = event_schema.count + excluded.count,
               first_seen = least(event_schema.first_seen, excluded.first_seen),
               last_seen = greatest(event_schema.last_seen, excluded.last_seen)""",
        *_columns([key for key, _ in rows], 3),
        [kind.count for _, kind in rows],
        [kind.first for _, kind in rows],
        [kind.last for _, kind in rows],
    )


async def _write_paths(connection: asyncpg.Connection, rows: list[tuple[str, str, str, str, Property]]) -> None:
    await connection.execute(
        """INSERT INTO property_schema (source, type, name, path, types, first_seen, last_seen)
           SELECT source, type, name, path, types::jsonb, first_seen, last_seen
           FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::timestamptz[])
                AS given (source, type, name, path, types, first_seen, last_seen)
           ON CONFLICT (source, type, name, path) DO UPDATE SET
               types = (SELECT jsonb_object_agg(type, count) FROM (
                            SELECT key AS type, sum(value::bigint) AS count FROM (
                                SELECT * FROM jsonb_each_text(property_schema.types)
                                UNION ALL SELECT * FROM jsonb_each_text(excluded.types)) AS both_of_them
                            GROUP BY key) AS added),
               first_seen = least(property_schema.first_seen, excluded.first_seen),
               last_seen = greatest(property_schema.last_seen, excluded.last_seen)""",
        *_columns([row[:4] for row in rows], 4),
        [msgspec.json.encode(one.types).decode() for *_, one in rows],
        [one.first for *_, one in rows],
        [one.last for *_, one in rows],
    )


def _columns(rows: list[Any], width: int) -> list[list[str]]:
    """Rows as the lists that `unnest` takes."""
    return [[row[at] for row in rows] for at in range(width)]
