"""The relay: from the outbox to Segment, through the SDK's request layer, in order within a source (rule 3).

The SDK's own queue is a thread that drops what it holds on exit, fork and overflow, so an order never lives there.
"""

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import asyncpg
import requests
from segment.analytics.request import APIError, parse_retry_after, post

from app.backoff import backoff
from app.db import lease
from app.db.session import Database
from app.live import changes
from app.telemetry import log

BATCH = 100
BATCH_BYTES = 450_000
"""Segment takes 500 KB a batch; the rest is room for the envelope."""
BLAMES_A_MESSAGE = frozenset({400, 413, 422})
"""These say that something in the batch is wrong. All others speak of the key, the address or the receiver: no message
is at fault, so none is given up, and the source waits where everybody can see why."""

WAITING = """
WITH RECURSIVE waiting AS (
    (SELECT source FROM emission WHERE status = 'pending' ORDER BY source LIMIT 1)
    UNION ALL
    SELECT (SELECT source FROM emission WHERE status = 'pending' AND source > waiting.source ORDER BY source LIMIT 1)
    FROM waiting WHERE waiting.source IS NOT NULL
)
SELECT source FROM waiting WHERE source IS NOT NULL
"""
"""The sources that have something waiting: one step in the index for each, where DISTINCT would read all that waits."""


@dataclass(frozen=True)
class Relay:
    """Sends what waits in the outbox. Any number of workers may run one: each source has one sender at a time."""

    database: Database
    host: str
    owner: str
    lease_seconds: float
    write_keys: Mapping[str, str]
    """Given by settings; for our own door they are read from the sources' own rows."""
    _held: dict[str, float] = field(default_factory=dict)
    """Until when a source is surely ours without asking, by this process's monotonic clock."""

    async def run_once(self) -> bool:
        """Send one batch of each source that has something due; whether anything was sent."""
        async with self.database.connection() as connection:
            sources = await connection.fetch(WAITING)
        return any(await asyncio.gather(*(self._source(row["source"]) for row in sources)))

    async def _source(self, source: str) -> bool:
        async with self.database.connection() as connection:
            if not await self._hold(connection, source):
                return False
            rows = await connection.fetch(
                """SELECT id, message, attempts, order_id, due_at > now() AS waits FROM emission
                   WHERE source = $1 AND status = 'pending' ORDER BY id LIMIT $2""",
                source,
                BATCH,
            )
            key = self.write_keys.get(source) or await connection.fetchval(
                "SELECT key FROM write_key WHERE source = $1 ORDER BY created_at DESC LIMIT 1", source
            )
        if not rows or rows[0]["waits"]:
            return False
        if key is None:
            await self._back_off(rows, f"The source {source} has no write key.", 60.0)
            return False
        return await self._send(source, key, _fitting(rows))

    async def _send(self, source: str, key: str, rows: Sequence[asyncpg.Record]) -> bool:
        """Post the rows. A refusal of several is split until the culprit stands alone."""
        batch = [row["message"] for row in rows]
        try:
            answer = await asyncio.to_thread(
                post,
                key,
                host=self.host,
                gzip=True,
                # Answered or given up while the lease holds: so long to connect, so long for the answer.
                timeout=(self.lease_seconds * 0.2, self.lease_seconds * 0.6),
                retry_count=rows[0]["attempts"],
                batch=batch,
            )
        except (APIError, requests.RequestException) as error:
            status = getattr(error, "status", None)
            if status in BLAMES_A_MESSAGE:
                if len(rows) == 1:
                    await self._bury(rows[0], str(error))
                    return True
                middle = len(rows) // 2
                async with self.database.connection() as connection:
                    if not await lease.take(connection, f"relay:{source}", self.owner, self.lease_seconds):
                        return False
                return await self._send(source, key, rows[:middle]) and await self._send(source, key, rows[middle:])
            log.warning("relay.failed", source=source, waiting=len(rows), status=status, error=type(error).__name__)
            # A response of 4xx or 5xx is false in a condition.
            refused = error.response if isinstance(error, APIError) else None
            asked = parse_retry_after(refused) if refused is not None else None
            await self._back_off(rows, str(error), asked or backoff(rows[0]["attempts"]))
            return False
        async with self.database.transaction() as connection:
            marked = await connection.fetch(
                """UPDATE emission SET status = 'sent', sent_at = now(), attempts = attempts + 1, answer = $2
                   WHERE id = ANY($1) AND status = 'pending' RETURNING order_id""",
                [row["id"] for row in rows],
                f"{answer.status_code} {answer.text}"[:500],
            )
            of_orders = [row["order_id"] for row in marked if row["order_id"]]
            await changes.append(connection, [changes.of_order(order_id, "emission.sent") for order_id in of_orders])
        for order_id in of_orders:
            log.info("emission.sent", order_id=order_id, source=source)
        return True

    async def _hold(self, connection: asyncpg.Connection, source: str) -> bool:
        """Whether the source is ours, for long enough to send something. Prolonged only now and then: it is a write."""
        moment = time.monotonic()
        if moment < self._held.get(source, 0.0):
            return True
        mine = await lease.take(connection, f"relay:{source}", self.owner, self.lease_seconds)
        self._held[source] = moment + self.lease_seconds * 0.1 if mine else 0.0
        return mine

    async def _back_off(self, rows: Sequence[asyncpg.Record], answer: str, seconds: float) -> None:
        async with self.database.connection() as connection:
            await connection.execute(
                """UPDATE emission SET due_at = now() + make_interval(secs => $2), attempts = attempts + 1, answer = $3
                   WHERE id = ANY($1) AND status = 'pending'""",
                [row["id"] for row in rows],
                seconds,
                answer[:500],
            )

    async def _bury(self, row: asyncpg.Record, answer: str) -> None:
        log.error("emission.dead", emission=row["id"], order_id=row["order_id"])
        async with self.database.connection() as connection:
            await connection.execute(
                """UPDATE emission SET status = 'dead', attempts = attempts + 1, answer = $2
                   WHERE id = $1 AND status = 'pending'""",
                row["id"],
                answer[:500],
            )


def _fitting(rows: Sequence[asyncpg.Record]) -> Sequence[asyncpg.Record]:
    """As many of the first rows as fit into one request; always one."""
    size = 0
    for count, row in enumerate(rows):
        size += len(json.dumps(row["message"])) + 2  # as the SDK writes it: letters beyond ASCII take six bytes
        if size > BATCH_BYTES and count > 0:
            return rows[:count]
    return rows
