"""One pool per process: SQLModel sessions for the rest, bare asyncpg connections for the hot paths.

Nobody commits but `Database.session()` and `Database.transaction()`, once, at their end.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import asyncpg
import msgspec
from sqlalchemy.engine import URL, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession

from app.db import embedded
from app.settings import Settings


class Database:
    """The database of one process."""

    def __init__(self, url: str, pool: int) -> None:
        self.url = url
        self.engine: AsyncEngine = create_async_engine(
            engine_url(url),
            pool_size=pool,
            max_overflow=0,
            pool_timeout=10,
            pool_pre_ping=True,
            hide_parameters=True,  # in error messages: they are people's data
            json_deserializer=msgspec.json.decode,
            connect_args={"timeout": 10, "server_settings": {"application_name": "loyalty-accelerator"}},
        )

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
        async with self.engine.connect() as connection:
            raw = await connection.get_raw_connection()
            yield cast("asyncpg.Connection", raw.driver_connection)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[asyncpg.Connection]:
        """A bare asyncpg connection inside one transaction."""
        async with self.connection() as connection, connection.transaction():
            yield connection

    async def close(self) -> None:
        await self.engine.dispose()


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
