"""Store, then answer: what arrives together is stored together, in one append (rules 1 and 4)."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from app.db.session import Database
from app.db.trouble import NOT_THE_WORK
from app.errors import Busy
from app.log.log import NewEvent, append
from app.segment.errors import Backlogged
from app.segment.refusals import Refusals, Refused, keep
from app.telemetry import INGESTED, log

MOST_WAITING = 20_000
"""Events that may wait for their append in one process; more are asked to come again, before memory suffers."""
MOST_AT_ONCE = 2_500


@dataclass
class _Waiting:
    events: list[NewEvent]
    refused: list[Refused]
    done: asyncio.Future[None]

    @property
    def size(self) -> int:
        return len(self.events) + len(self.refused)


@dataclass
class Intake:
    """One per web process. `store` returns when the events are committed."""

    database: Database
    partitions: int
    refusals: Refusals = field(default_factory=Refusals)
    _waiting: list[_Waiting] = field(default_factory=list)
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)
    _reading: asyncio.Lock = field(default_factory=asyncio.Lock)

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """One request's turn to have its messages checked: 12 ms of work for a large one.

        Forty at once would keep the process from everything else for half a second at a time; so between two of them
        everybody else goes first, above all the tills.
        """
        async with self._reading:
            yield
            await asyncio.sleep(0)  # held still, so that no other request can begin in this round of the loop

    async def store(self, events: list[NewEvent], refused: list[Refused]) -> None:
        """Hand over what one request brought and wait for its commit. What is refused and not kept waits for none."""
        kept = self.refusals.to_keep(refused)
        if events or kept:
            if sum(waiting.size for waiting in self._waiting) > MOST_WAITING:
                raise Backlogged("Too many events wait to be stored.", retry_after=2)
            waiting = _Waiting(events, kept, asyncio.get_running_loop().create_future())
            self._waiting.append(waiting)
            self._arrived.set()
            await waiting.done
        self.refusals.count(refused)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        tasks = [
            asyncio.create_task(self._run()),
            asyncio.create_task(self.refusals.keep_writing(self.database)),
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            with contextlib.suppress(*NOT_THE_WORK):
                await self.refusals.write(self.database)

    async def _run(self) -> None:
        while True:
            await self._arrived.wait()
            taken: list[_Waiting] = []
            size = 0
            while self._waiting and (not taken or size + self._waiting[0].size <= MOST_AT_ONCE):
                taken.append(self._waiting.pop(0))
                size += taken[-1].size
            if not self._waiting:
                self._arrived.clear()
            await self._store(taken)

    async def _store(self, taken: list[_Waiting]) -> None:
        """Append and tell each request. What can't be appended together is tried apart: one harms only itself."""
        try:
            await self._append(taken)
        except NOT_THE_WORK as error:
            self._fail(taken, error)
        except Exception as error:  # noqa: BLE001 - whatever it was, each waiting request must hear of it
            if len(taken) == 1:
                self._fail(taken, error)
                return
            for waiting in taken:
                await self._store([waiting])
        else:
            for waiting in taken:
                if not waiting.done.done():
                    waiting.done.set_result(None)

    def _fail(self, taken: list[_Waiting], error: Exception) -> None:
        log.error("intake.failed", error=repr(error)[:500], requests=len(taken))
        for waiting in taken:
            if not waiting.done.done():
                waiting.done.set_exception(Busy("The events could not be stored. Send them again.", retry_after=2))
                waiting.done.exception()

    async def _append(self, taken: list[_Waiting]) -> None:
        events = [event for waiting in taken for event in waiting.events]
        refused = [refusal for waiting in taken for refusal in waiting.refused]
        async with self.database.transaction() as connection:
            if refused:
                await keep(connection, refused)
            fresh = await append(connection, events, self.partitions) if events else set()
        taken_in = Counter((event.source, "stored" if event.message_id in fresh else "duplicate") for event in events)
        for (source, outcome), count in taken_in.items():
            INGESTED.labels(source, outcome).inc(count)
        for event in events:
            if event.order_id is not None:
                log.info("event.stored", order_id=event.order_id, source=event.source)
