"""Two pools per process: bare asyncpg connections for the hot paths, SQLModel sessions for the rest.

The bare ones don't come through SQLAlchemy: with its check before each use that was three round trips and five times
the work of the pool that asyncpg has, which knows by itself when a connection was cut.

Nobody commits but `Database.session()` and `Database.transaction()`, once, at their end.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import asyncpg
import msgspec
from sqlalchemy import event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession

from app.db import embedded
from app.settings import Settings

CONNECT_WITHIN = 10.0
WAIT_FOR_ONE = 10.0
"""Seconds for a connection to become free."""
SERVER_SETTINGS = {
    "application_name": "loyalty-accelerator",
    # A process that is paused in the middle of a transaction, or whose machine is gone, holds its locks. The server
    # breaks it off, so that others can take over: ours wait for nothing inside a transaction (rule 2).
    "idle_in_transaction_session_timeout": "5s",
    # Between the reading of a new statement and its running the server waits for us and does not count as idle: this
    # ends a transaction also there. It is longer than any of ours, which are bounded by their batches.
    "transaction_timeout": "30s",
}
OLDEST = 17
"""PostgreSQL's version that has all of these."""


class Database:
    """The database of one process."""

    def __init__(self, url: str, pool: int) -> None:
        """`pool`: connections that this process may hold, a third of them for sessions."""
        self.url = url
        self.engine: AsyncEngine = create_async_engine(
            engine_url(url),
            pool_size=max(1, pool // 3),
            max_overflow=0,
            pool_timeout=WAIT_FOR_ONE,
            hide_parameters=True,  # in error messages: they are people's data
            json_deserializer=msgspec.json.decode,
            connect_args={"timeout": CONNECT_WITHIN, "server_settings": SERVER_SETTINGS},
        )
        event.listen(self.engine.sync_engine, "checkout", _refuse_closed)
        self._bare: asyncpg.Pool | None = None
        self._size = pool - max(1, pool // 3)
        self._opening = asyncio.Lock()

    @asynccontextmanager
    async def session(self) -> AsyncIterator[AsyncSession]:
        """A session that commits when the block ends well and rolls back when it does not."""
        async with AsyncSession(self.engine, expire_on_commit=False) as session:
            yield session
            await session.commit()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[asyncpg.Connection]:
        """A bare asyncpg connection; each statement commits by itself unless the block opens a transaction.

        `jsonb` comes as Python values and goes as JSON text.
        """
        pool = self._bare or await self._open()
        async with pool.acquire(timeout=WAIT_FOR_ONE) as connection:
            yield connection

    async def _open(self) -> asyncpg.Pool:
        async with self._opening:
            if self._bare is None:
                self._bare = await asyncpg.create_pool(
                    self.url,
                    min_size=0,
                    max_size=self._size,
                    timeout=CONNECT_WITHIN,
                    server_settings=SERVER_SETTINGS,
                    init=_codecs,
                    reset=_keep,
                )
            return self._bare

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[asyncpg.Connection]:
        """A bare asyncpg connection inside one transaction."""
        async with self.connection() as connection, connection.transaction():
            yield connection

    async def close(self) -> None:
        await self.engine.dispose()
        if self._bare is not None:
            self._bare.terminate()
            self._bare = None


def database_url(settings: Settings) -> str:
    """The address of the app's database; starts the embedded Postgres when no other one is set."""
    if settings.database.database_url is not None:
        return settings.database.database_url.get_secret_value()
    return embedded.database_url(embedded.start(settings.data_dir), "loyalty")


def open_database(settings: Settings) -> Database:
    """Open the pool of this process. Connects at first use, not before."""
    return Database(database_url(settings), settings.database.database_pool)


def engine_url(url: str) -> URL:
    """The same address for SQLAlchemy, which wants its driver named."""
    return make_url(url).set(drivername="postgresql+asyncpg")


async def raw_connection(session: AsyncSession) -> asyncpg.Connection:
    """The asyncpg connection under a session. Inside the session's transaction once that has run a statement."""
    connection = await session.connection()
    raw: Any = await connection.get_raw_connection()
    return cast("asyncpg.Connection", raw.driver_connection)


def _refuse_closed(connection: Any, _record: object, _proxy: object) -> None:
    """Have the pool take another connection for one that the server closed: free, where a ping is three round trips."""
    if connection.driver_connection.is_closed():
        raise DisconnectionError("The server closed this connection.")


async def _codecs(connection: asyncpg.Connection) -> None:
    """`jsonb` comes as Python values and goes as JSON text, as it does through SQLAlchemy."""
    for name, mark in (("jsonb", b"\x01"), ("json", b"")):
        await connection.set_type_codec(
            name,
            schema="pg_catalog",
            format="binary",
            encoder=lambda text, mark=mark: mark + text.encode(),
            decoder=lambda data, mark=mark: msgspec.json.decode(data[len(mark) :]),
        )


async def _keep(_connection: object) -> None:
    """Nothing to reset: nobody changes a session's settings, and asyncpg itself ends an open transaction."""
