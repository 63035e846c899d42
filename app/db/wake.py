"""Waking the next stage: one NOTIFY in the transaction, heard when it commits; a poll is the net (rule 15).

Stages are `relay`, `route`, `deliver`, `apply` and `live`, all on one channel, so that a process listens once.
"""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator

import asyncpg

from app.db import trouble
from app.telemetry import log

CHANNEL = "loyalty_wake"


async def wake(connection: asyncpg.Connection, stage: str) -> None:
    """Wake a stage when this connection's transaction commits."""
    await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, stage)


class Wakeups:
    """One listening connection per process, reopened when it breaks; each stage waits on its own event."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._events: dict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._task: asyncio.Task[None] | None = None

    async def wait(self, stage: str, seconds: float) -> None:
        """Return when the stage was woken, or after `seconds`."""
        event = self._events[stage]
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(event.wait(), seconds)
        event.clear()

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator["Wakeups"]:
        self._task = asyncio.create_task(self._listen())
        try:
            yield self
        finally:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _listen(self) -> None:
        while True:
            try:
                connection = await asyncpg.connect(self._url, timeout=10)
                gone = asyncio.Event()
                connection.add_termination_listener(lambda _, gone=gone: gone.set())
                await connection.add_listener(CHANNEL, self._heard)
                try:
                    for event in self._events.values():
                        event.set()  # something may have been committed while nobody listened
                    await gone.wait()
                finally:
                    await connection.close(timeout=2)
            except trouble.ANY as error:
                log.warning("listener.lost", error=repr(error))
            await asyncio.sleep(1)

    def _heard(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        self._events[str(payload)].set()
