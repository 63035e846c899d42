"""The sandbox's database: its pool, its schema, and the one transaction that each request is.

A request's effects and the webhooks that tell about them commit together, or not at all: killed in the middle, the
ledger is right and nothing was announced that did not happen.
"""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
from litestar.di import NamedDependency

from app.db.migrate import create_database
from app.errors import SettingError
from app.sandbox import activity_entries, outbox, stacking
from app.sandbox.clock import Clock
from app.sandbox.config import SandboxConfig
from app.sandbox.faults import Faults
from app.sandbox.ids import new_id
from app.sandbox.limits import Limits
from app.sandbox.work import Work

SCHEMA = Path(__file__).with_name("schema.sql")
SCHEMA_VERSION = 2
_LOCK = 7_220_002
"""Advisory lock: two sandboxes that start at once load the schema in turns."""
_START_WITHIN = 30.0
_CLOSE_WITHIN = 1.0


class Store:
    """The database of one sandbox, opened by its first use."""

    def __init__(self, config: SandboxConfig) -> None:
        self.config = config
        self.clock = Clock()
        self.faults = Faults()
        self.limits = Limits(config.calls_per_minute)
        self.project_id = "proj_" + hashlib.sha256(config.application_id.encode()).hexdigest()[:24]
        self.wake: Callable[[], None] = lambda: None
        """Called after a commit that announced something; the sender sets it."""
        self._pool: asyncpg.Pool[Any] | None = None
        self._opening = asyncio.Lock()
        self._webhooks: list[asyncpg.Record] = []
        self._stacking: dict[str, Any] = stacking.DEFAULTS
        self._loading_stacking = asyncio.Lock()
        self.before_commit: Callable[[Work], Awaitable[None]] = _nothing
        """What follows from a transaction in the same transaction; the application sets it."""
        self.nightly = asyncio.Lock()
        """Held while the jobs of a night are done."""

    async def pool(self) -> "asyncpg.Pool[Any]":
        if self._pool is None:
            async with self._opening:
                if self._pool is None:
                    self._pool = await self._open()
        return self._pool

    async def close(self) -> None:
        if self._pool is not None:
            try:
                await asyncio.wait_for(self._pool.close(), _CLOSE_WITHIN)
            except TimeoutError:
                self._pool.terminate()
            self._pool = None

    @contextlib.asynccontextmanager
    async def work(self, now: datetime | None = None) -> AsyncIterator[Work]:
        """The transaction of this request: commits at the end, with its webhooks, or rolls back on any error.

        `now` is the moment that it happens at, where that is not the present: a midnight that is made up for.
        """
        async with (await self.pool()).acquire() as connection, connection.transaction():
            work = Work(connection, now or self.clock.now(), self.config, self.faults)
            work.stacking = self._stacking
            yield work
            await self.before_commit(work)
            if work.announced:
                await outbox.write(work, self._webhooks, self.project_id)
                await activity_entries.write(work)
        if work.announced:
            self.wake()

    async def register_webhooks(self, targets: tuple[str, ...]) -> None:
        """Send everything to these addresses from now on: a project webhook and the distributions for each.

        Where they are the addresses already, they are switched on again and keep what waits to be sent.
        """
        rows: list[tuple[str, str, str, str | None, str]] = []
        for target in targets:
            rows.append((new_id("wh"), "webhook", "Project events", None, target))
            rows += [
                (new_id("distr"), "distribution", name, trigger, target)
                for trigger, name in outbox.DISTRIBUTIONS.items()
            ]
        async with (await self.pool()).acquire() as connection, connection.transaction():
            known = await connection.fetch("UPDATE webhook SET active = true RETURNING target_url")
            if {row["target_url"] for row in known} != set(targets):
                await connection.execute("DELETE FROM webhook")
                await connection.executemany(
                    "INSERT INTO webhook (id, object, name, trigger, target_url) VALUES ($1, $2, $3, $4, $5)", rows
                )
        await self.load_webhooks()

    async def load_webhooks(self) -> None:
        self._webhooks = await (await self.pool()).fetch("SELECT * FROM webhook ORDER BY target_url, object DESC, id")

    async def load_stacking(self) -> None:
        """Take up the stacking rules as they are stored now; kept here, for every validation asks them."""
        async with self._loading_stacking:  # else the older of two could be taken up last
            row = await (await self.pool()).fetchval("SELECT value FROM setting WHERE name = 'stacking_rules'")
            self._stacking = stacking.DEFAULTS | (row or {})

    async def save_clock(self) -> None:
        await (await self.pool()).execute(
            "INSERT INTO setting VALUES ('clock', $1) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            self.clock.offset.total_seconds(),
        )

    async def wipe(self) -> None:
        """Back to the first start: no data, real time, no faults, no limits, the configured webhooks."""
        async with (await self.pool()).acquire() as connection, connection.transaction():
            await _empty(connection)
        self.clock.reset()
        self.faults.clear()
        self.limits.clear()
        await self.load_stacking()
        await self._first_start()

    async def _open(self) -> "asyncpg.Pool[Any]":
        until = asyncio.get_running_loop().time() + _START_WITHIN
        while True:
            try:
                await create_database(self.config.database_url)
                break
            except (OSError, asyncpg.CannotConnectNowError) as error:  # Postgres is starting beside us
                if asyncio.get_running_loop().time() > until:
                    raise SettingError(f"SANDBOX_DATABASE_URL: no Postgres answers there ({error}).") from error
                await asyncio.sleep(0.5)
        pool: asyncpg.Pool[Any] = await asyncpg.create_pool(
            self.config.database_url,
            min_size=1,
            max_size=10,
            init=_json_as_bytes,
            reset=_keep,
            server_settings={"timezone": "UTC"},
        )
        async with pool.acquire() as connection, connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
            await connection.execute(SCHEMA.read_text())
            version = await connection.fetchval("SELECT value FROM setting WHERE name = 'schema_version'")
            if version not in {None, SCHEMA_VERSION}:
                raise SettingError(
                    f"SANDBOX_DATABASE_URL names a database of schema version {version}; this sandbox needs version "
                    f"{SCHEMA_VERSION}. Drop that database: the sandbox makes a new one at its next start."
                )
            offset = await connection.fetchval("SELECT value FROM setting WHERE name = 'clock'")
            self.clock.offset = timedelta(seconds=offset or 0)
        self._pool = pool
        await self.load_stacking()
        if version is None:
            await self._first_start()
        else:
            await self._follow_targets()
        return pool

    async def _follow_targets(self) -> None:
        """Go on sending to the configured addresses where these moved since the last start, to another port say.

        Ids stay, and with them what waits to be sent. Addresses that were registered by a call are left alone.
        """
        pool = await self._opened()
        known = await pool.fetchval("SELECT value FROM setting WHERE name = 'targets'") or []
        for old, new in zip(known, self.config.webhook_targets, strict=False):
            await pool.execute("UPDATE webhook SET target_url = $2, active = true WHERE target_url = $1", old, new)
        await self._keep_targets()
        await self.load_webhooks()

    async def _keep_targets(self) -> None:
        await (await self._opened()).execute(
            "INSERT INTO setting VALUES ('targets', $1) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            list(self.config.webhook_targets),
        )

    async def _first_start(self) -> None:
        await self._keep_targets()
        await self.register_webhooks(self.config.webhook_targets)
        # Last, for it says that the first start is done: one that was broken off is done again.
        await (await self._opened()).execute(
            "INSERT INTO setting VALUES ('schema_version', $1) ON CONFLICT DO NOTHING", SCHEMA_VERSION
        )

    async def _opened(self) -> "asyncpg.Pool[Any]":
        assert self._pool is not None
        return self._pool


TheStore = NamedDependency[Store]
"""How a handler asks for the store."""


async def _nothing(_work: Work) -> None:
    """Follows from a transaction where no application is around, as in a test of the store alone."""


async def _keep(_connection: object) -> None:
    """Nothing to reset between two uses: nobody here changes a session's settings."""


async def _empty(connection: "asyncpg.Connection[Any]") -> None:
    """Delete all rows of all tables, in one statement, so that no reference is in the way.

    TRUNCATE needs a new file for each table and index: a quarter of a second where there is next to nothing to delete.
    """
    tables = await connection.fetch(
        "SELECT quote_ident(relname) AS name FROM pg_class "
        "WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace ORDER BY relname"
    )
    names = [row["name"] for row in tables]
    await connection.execute(f"LOCK TABLE {', '.join(names)} IN SHARE ROW EXCLUSIVE MODE")
    gone = ", ".join(f"gone_{place} AS (DELETE FROM {name})" for place, name in enumerate(names))  # noqa: S608
    await connection.execute(f"WITH {gone} SELECT")


async def _json_as_bytes(connection: "asyncpg.Connection[Any]") -> None:
    # The binary form of jsonb is a version byte and the text; it saves a copy and a decode in each direction.
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        format="binary",
        encoder=lambda value: b"\x01" + msgspec.json.encode(value),
        decoder=lambda data: msgspec.json.decode(data[1:]),
    )
