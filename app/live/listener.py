"""One listener per web process: reads new changes by position and hands them to who subscribed to their topic."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import asyncpg
import msgspec
from litestar.channels import ChannelsPlugin

from app.db.session import Database
from app.db.wake import Wakeups
from app.telemetry import log

GATHER = 0.03
"""Seconds between two looks while changes come in a stream: nobody sees the difference, and each look is a query."""
ALL = "all"
"""The topic that gets every change, for the floor."""


@contextlib.asynccontextmanager
async def listening(database: Database, wakeups: Wakeups, channels: ChannelsPlugin) -> AsyncIterator[None]:
    """Feed the channels while the block runs."""
    task = asyncio.create_task(_feed(database, wakeups, channels))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _feed(database: Database, wakeups: Wakeups, channels: ChannelsPlugin) -> None:
    position: int | None = None
    while True:
        try:
            async with database.connection() as connection:
                if position is None:
                    position = await connection.fetchval("SELECT coalesce(max(position), 0) FROM change")
                rows = await connection.fetch(
                    "SELECT position, topic, kind, data FROM change WHERE position > $1 ORDER BY position LIMIT 500",
                    position,
                )
            for row in rows:
                position = row["position"]
                channels.publish(frame(row), [row["topic"], ALL])
            if rows:
                await asyncio.sleep(GATHER)
            else:
                await wakeups.wait("live", 1.0)
        except Exception as error:  # noqa: BLE001 - whatever it was, screens must not stay deaf until a restart
            log.warning("live.failed", error=repr(error))
            await asyncio.sleep(1)


def frame(row: asyncpg.Record) -> bytes:
    """A change as its subscribers get it."""
    return msgspec.json.encode({name: row[name] for name in ("position", "topic", "kind", "data")})
