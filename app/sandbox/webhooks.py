"""The sender of webhooks: reads the deliveries that were committed with their effects, signs and posts them.

documented: v2024-01-01 envelopes, compact signed bodies, 10 s to answer with a 2xx, 12 retries at stated times after
the first attempt, then the webhook is disabled (a distribution: paused). inferred: `id` stays the same in retries;
first attempts of one customer keep their order, a retry does not hold up what comes after it.
"""

import asyncio
import contextlib
import hashlib
import hmac
import random
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import structlog

from app.db import trouble
from app.sandbox.errors import Failure
from app.sandbox.fidelity import documented, inferred
from app.sandbox.posting import NotPosted, Posting
from app.sandbox.store import Store

RETRIES = [timedelta(minutes=2**power) for power in range(11)] + [timedelta(hours=24)]
"""After the first attempt: 1, 2, 4 … minutes, the eleventh after 17h04, the last after 24 h."""
_POLL = 1.0
_BATCH = 500
_AT_ONCE = 8
_KEPT = timedelta(days=7)
_PRUNE_EVERY = 3600.0
log = structlog.get_logger()


def sign(secret: str, body: bytes) -> str:
    """`x-voucherify-signature` of a compact body."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def due_again(first_attempt: datetime, attempts: int) -> datetime | None:
    """When a delivery that failed `attempts` times is tried next; None: never, give up."""
    return first_attempt + RETRIES[attempts - 1] if attempts <= len(RETRIES) else None


class Sender:
    """One per sandbox process. `wake` it after a commit; it also looks by itself once a second."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._awake = asyncio.Event()
        self._lanes: dict[str, asyncio.Task[None]] = {}
        self._posting = Posting()
        self._pruned = 0.0

    def wake(self) -> None:
        self._awake.set()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Send while the block runs. What is under way when it ends is broken off and sent again at the next start."""
        self._store.wake = self.wake
        task = asyncio.create_task(self._run())
        try:
            yield
        finally:
            tasks = [task, *self._lanes.values()]
            for each in tasks:
                each.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._posting.close()

    async def _run(self) -> None:
        while True:
            self._awake.clear()
            try:
                await self._dispatch()
                await self._prune()
            except trouble.ANY as error:
                log.warning("webhooks.database_unreachable", error=str(error))
                await asyncio.sleep(_POLL)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._awake.wait(), _POLL)

    async def _dispatch(self) -> None:
        """Start a task for every lane that has something due and is not being sent already."""
        room = _AT_ONCE - len(self._lanes)
        if room < 1:
            return
        rows = await (await self._store.pool()).fetch(
            "WITH due AS (SELECT d.seq, d.lane FROM delivery d JOIN webhook w ON w.id = d.webhook_id AND w.active "
            # A first attempt is always due: going by its time, a clock that was set back would change the order.
            "WHERE d.state = 'WAITING' AND (d.attempts = 0 OR d.due_at <= $1) AND d.lane <> ALL($2) "
            "ORDER BY d.seq LIMIT $3), "
            # The bodies of those lanes only that there is room for: there are many more, and they are large.
            "next AS (SELECT lane FROM due GROUP BY lane ORDER BY min(seq) LIMIT $4) "
            "SELECT d.*, w.target_url FROM due JOIN next USING (lane) JOIN delivery d ON d.seq = due.seq "
            "JOIN webhook w ON w.id = d.webhook_id ORDER BY d.seq",
            self._store.clock.now(),
            list(self._lanes),
            _BATCH,
            room,
        )
        if self._store.faults.webhook_shuffle:
            random.shuffle(rows)
        lanes: dict[str, list[asyncpg.Record]] = {}
        for row in rows:
            lanes.setdefault(row["lane"], []).append(row)
        for lane, waiting in list(lanes.items())[:room]:
            self._lanes[lane] = asyncio.create_task(self._send_lane(lane, waiting))

    async def _send_lane(self, lane: str, rows: list[asyncpg.Record]) -> None:
        """Send what waits in a lane. Without its database it can't note what was accepted, and sends that again."""
        try:
            await asyncio.sleep(self._store.faults.webhook_delay_ms / 1000)
            await self._send_all(rows)
        except trouble.ANY as error:
            log.warning("webhooks.database_unreachable", error=str(error))
        finally:
            del self._lanes[lane]
            self.wake()

    async def _send_all(self, rows: list[asyncpg.Record]) -> None:
        delivered: list[int] = []
        try:
            for row in rows:
                problem = await self._send(row)
                if problem is None and self._store.faults.webhook_duplicate:
                    await self._send(row)
                if problem is None:
                    delivered.append(row["seq"])
                else:
                    await self._failed(row, problem)
        finally:
            if delivered:
                await (await self._store.pool()).execute(
                    "UPDATE delivery SET state = 'DELIVERED', attempts = attempts + 1, delivered_at = $2, "
                    "first_attempt_at = coalesce(first_attempt_at, $2), answer = '2xx' WHERE seq = ANY($1)",
                    delivered,
                    self._store.clock.now(),
                )

    async def _send(self, row: asyncpg.Record) -> str | None:
        """Post one; answers what was wrong, None when it was accepted."""
        body: bytes = row["body"]
        headers = {
            "content-type": "application/json",
            "x-voucherify-signature": sign(self._store.config.webhook_secret, body),
        }
        try:
            # One limit for all of it: a receiver that dribbles its answer must not have longer.
            async with asyncio.timeout(self._store.config.webhook_timeout):
                status = await self._posting.post(row["target_url"], body, headers)
        except TimeoutError as error:
            return type(error).__name__
        except NotPosted as error:
            return str(error)
        return None if 200 <= status < 300 else str(status)

    async def _failed(self, row: asyncpg.Record, problem: str) -> None:
        now = self._store.clock.now()
        first, attempts = row["first_attempt_at"] or now, row["attempts"] + 1
        again = due_again(first, attempts)
        async with (await self._store.pool()).acquire() as connection, connection.transaction():
            await connection.execute(
                "UPDATE delivery SET attempts = $2, first_attempt_at = $3, answer = $4, due_at = coalesce($5, due_at), "
                "state = CASE WHEN $5::timestamptz IS NULL THEN 'FAILED' ELSE state END WHERE seq = $1",
                row["seq"],
                attempts,
                first,
                problem,
                again,
            )
            if again is None:
                await connection.execute("UPDATE webhook SET active = false WHERE id = $1", row["webhook_id"])
        if again is None:
            log.warning("webhook.disabled", webhook=row["webhook_id"], attempts=attempts, answer=problem)
            await self._store.load_webhooks()

    async def _prune(self) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._pruned < _PRUNE_EVERY:
            return
        self._pruned = now
        await (await self._store.pool()).execute(
            "DELETE FROM delivery WHERE state = 'DELIVERED' AND delivered_at < $1", self._store.clock.now() - _KEPT
        )


async def overview(store: Store) -> list[dict[str, Any]]:
    """Every webhook and distribution with the number of its deliveries by state, and the last trouble it had."""
    rows = await (await store.pool()).fetch(
        """
        SELECT w.*, count(d.seq) FILTER (WHERE d.state = 'WAITING') AS waiting,
          count(d.seq) FILTER (WHERE d.state = 'DELIVERED') AS delivered,
          count(d.seq) FILTER (WHERE d.state = 'FAILED') AS failed,
          max(d.answer) FILTER (WHERE d.state <> 'DELIVERED') AS last_trouble
        FROM webhook w LEFT JOIN delivery d ON d.webhook_id = w.id
        GROUP BY w.id ORDER BY w.target_url, w.object DESC, w.name
        """
    )
    return [dict(row) for row in rows]


async def send_again(store: Store, delivery: str) -> dict[str, Any] | None:
    """Let a delivery be sent now, whatever became of it, with its retries anew; None where there is no such delivery.

    Raises:
        Failure: its webhook is switched off, so it would wait for ever.
    """
    async with (await store.pool()).acquire() as connection, connection.transaction():
        row = await connection.fetchrow(
            "SELECT d.seq, w.id AS webhook, w.active FROM delivery d JOIN webhook w ON w.id = d.webhook_id "
            "WHERE d.id = $1 ORDER BY d.seq DESC LIMIT 1 FOR UPDATE OF d",
            delivery,
        )
        if row is None:
            return None
        if not row["active"]:
            raise Failure(
                400,
                "webhook_disabled",
                "Webhook disabled",
                f"The webhook {row['webhook']} is switched off; POST /sandbox/webhooks/{row['webhook']}/enable first",
            )
        # No attempts so far means due at once.
        sent = await connection.fetchrow(
            "UPDATE delivery SET state = 'WAITING', attempts = 0, due_at = $2, first_attempt_at = NULL, "
            "delivered_at = NULL, answer = NULL WHERE seq = $1 RETURNING id, webhook_id, event_type, state",
            row["seq"],
            store.clock.now(),
        )
    store.wake()
    return dict(sent) if sent is not None else None


async def switch(store: Store, webhook: str, *, active: bool) -> bool:
    """Switch a webhook on or off; answers whether there is one. What waits for it goes out when it is on again."""
    found = await (await store.pool()).fetchval(
        "UPDATE webhook SET active = $2 WHERE id = $1 RETURNING true", webhook, active
    )
    await store.load_webhooks()
    store.wake()
    return bool(found)


FIDELITY = (
    documented(
        "10 s for a 2xx; 12 retries at 1, 2, 4, … 512 min, 17 h 04 and 24 h after the first attempt, on "
        "the sandbox's clock; then the webhook is disabled, a distribution paused"
    ),
    inferred(
        "`id` stays the same in retries; one customer's first attempts keep their order; a retry does not "
        "hold up what comes after"
    ),
)
