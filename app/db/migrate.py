"""Alembic, driven from Python: no `alembic.ini`, no address in a file."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from app.db.session import OLDEST, engine_url
from app.errors import SettingError

MIGRATIONS = Path(__file__).parents[2] / "migrations"
_LOCK = 7_220_001
"""Advisory lock: two containers that migrate at once take turns."""


def config(connection: Connection) -> Config:
    made = Config()
    made.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    made.attributes["connection"] = connection
    return made


def head() -> str | None:
    """The revision that the newest migration leads to."""
    made = Config()
    made.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return ScriptDirectory.from_config(made).get_current_head()


async def create_database(url: str) -> None:
    """Create the database that `url` names, when it is missing and this user may."""
    try:
        await (await asyncpg.connect(url)).close()
    except asyncpg.InvalidCatalogNameError:
        wanted = make_url(url)
        admin = wanted.set(database="postgres", drivername="postgresql").render_as_string(hide_password=False)
        connection = await asyncpg.connect(admin)
        try:
            # Another process may be faster: two at once differ only in which error the slower one gets.
            with suppress(asyncpg.DuplicateDatabaseError, asyncpg.UniqueViolationError):
                await connection.execute(f'CREATE DATABASE "{wanted.database}"')
        finally:
            await connection.close()


async def refuse_old_server(url: str) -> None:
    """Raise a `SettingError` when the server is too old for what every session asks of it."""
    connection = await asyncpg.connect(url)
    version = connection.get_server_version()
    await connection.close()
    if version.major < OLDEST:
        raise SettingError(f"DATABASE_URL: PostgreSQL {OLDEST} or newer is needed, and this one is {version.major}.")


async def upgrade(url: str, revision: str = "head") -> None:
    """Bring the schema to `revision`; waits its turn when another process migrates."""
    await _run(url, lambda connection: command.upgrade(config(connection), revision))


async def downgrade(url: str, revision: str) -> None:
    await _run(url, lambda connection: command.downgrade(config(connection), revision))


async def write(url: str, message: str) -> None:
    """Write a new migration from the difference between the models and the database."""
    await _run(url, lambda connection: command.revision(config(connection), message, autogenerate=True))


async def check(url: str) -> None:
    """Raise when the models and the migrated schema differ."""
    await _run(url, lambda connection: command.check(config(connection)))


async def _run(url: str, work: Callable[[Connection], object]) -> None:
    engine = create_async_engine(engine_url(url))

    def run(connection: Connection) -> None:
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
        # A migration that waits for a lock must not make the whole application wait behind it.
        connection.execute(text("SET LOCAL lock_timeout = '10s'"))
        work(connection)

    try:
        async with engine.begin() as connection:
            await connection.run_sync(run)
    finally:
        await engine.dispose()
