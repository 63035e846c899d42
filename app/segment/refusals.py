"""What was answered 200 and not taken in: some of it is kept to be looked at, all of it is counted.

Whoever has a write key, or none, can have a row stored by every message that is refused. So each source and each
address has a bucket of rows, all strangers together have one as a source has, and a row is short. With more than that
nobody fills a disk: a source's rows of seven days are at most 20,360, of one web process, at 2 KB or so.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import asyncpg
import msgspec

from app.db import many
from app.db.base import now
from app.db.session import Database
from app.db.trouble import NOT_THE_WORK
from app.segment.limits import Buckets, neighbourhood
from app.telemetry import INGESTED, log

KEPT_OF_REFUSED = 2_048
"""Letters of a refused message."""
OF_A_SOURCE = (200, 120)
"""Rows at once, and rows an hour: so that the newest trouble is soon seen, also after a flood."""
OF_AN_ADDRESS = (50, 60)
COUNTED_EVERY = 1.0
"""Seconds. So much of the counts is lost with a process that is killed; no message is."""


@dataclass(frozen=True)
class Refused:
    """A message that was answered 200 and not taken in."""

    code: str
    message: Any
    source: str | None
    """None: of an unknown write key."""
    address: str
    count: int = 1
    """Messages that it stands for: those of a batch that is too long are told of once."""


def _buckets(size: float, an_hour: float) -> Buckets:
    return Buckets(an_hour / 3600, size)


@dataclass
class Refusals:
    """One per web process."""

    _sources: Buckets = field(default_factory=lambda: _buckets(*OF_A_SOURCE))
    _addresses: Buckets = field(default_factory=lambda: _buckets(*OF_AN_ADDRESS))
    _counts: Counter[tuple[str, str, datetime]] = field(default_factory=Counter)
    _writing: asyncio.Lock = field(default_factory=asyncio.Lock)

    def to_keep(self, refused: Sequence[Refused]) -> list[Refused]:
        """As many of one request's refusals as there is room for."""
        kept: list[Refused] = []
        for row in refused:
            if self._addresses.take(neighbourhood(row.address)) or self._sources.take(row.source or ""):
                break
            kept.append(row)
        return kept

    def count(self, refused: Sequence[Refused]) -> None:
        """Remember what was refused, kept or not, until it is written."""
        hour = now().replace(minute=0, second=0, microsecond=0)
        for row in refused:
            self._counts[row.source or "", row.code, hour] += row.count
            INGESTED.labels(row.source or "unknown", row.code).inc(row.count)

    async def write(self, database: Database) -> None:
        """Add what was counted to the table: one statement, of its own, so that no event waits for it.

        When it returns, all that was counted before is there: also what another write had taken with it.
        """
        async with self._writing:
            await self._write(database)

    async def _write(self, database: Database) -> None:
        counts, self._counts = self._counts, Counter()
        if not counts:
            return
        rows = sorted(counts.items())  # so that two processes lock them in the same order
        try:
            async with database.connection() as connection:
                await connection.execute(
                    """INSERT INTO reject_count (source, code, hour, count)
                       SELECT * FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::bigint[])
                       ON CONFLICT (source, code, hour) DO UPDATE SET count = reject_count.count + excluded.count""",
                    [source for (source, _, _), _ in rows],
                    [code for (_, code, _), _ in rows],
                    [hour for (_, _, hour), _ in rows],
                    [count for _, count in rows],
                )
        except BaseException:
            self._counts.update(counts)
            raise

    async def keep_writing(self, database: Database) -> None:
        """Write what was counted, now and then, until cancelled."""
        while True:
            await asyncio.sleep(COUNTED_EVERY)
            try:
                await self.write(database)
            except NOT_THE_WORK as error:
                log.warning("refusals.not_counted", error=repr(error)[:500])


async def keep(connection: asyncpg.Connection, refused: Sequence[Refused]) -> None:
    """Store these, inside the caller's transaction."""
    await many.execute(
        connection,
        """INSERT INTO reject (source, code, message, address, received_at)
           SELECT source, code, message::jsonb, address, now()
           FROM unnest($1::text[], $2::text[], $3::text[], $4::text[])
           WITH ORDINALITY AS row (source, code, message, address, place) ORDER BY place""",
        [(row.source, row.code, _kept(row.message), row.address) for row in refused],
    )


def _kept(message: Any) -> str:
    """A refused message as it is kept: whole when it is small, else its beginning."""
    text = msgspec.json.encode(message).decode()
    kept = {"message": message} if len(text) <= KEPT_OF_REFUSED else {"beginning": text[:KEPT_OF_REFUSED]}
    return msgspec.json.encode(kept).decode()
