"""The feed of a source as a stream: one reader a web process looks twice a second for all who watch.

Nothing here grows with the rate at which events come: a look shows so many rows and counts the rest, and whoever reads
slowly finds older rows counted too.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import msgspec
from litestar.response import ServerSentEvent, ServerSentEventMessage

from app.console.sources_codes import meaning
from app.console.sources_feed import MOST, SEARCHED, Arrival, Cursor, Watched, arrived, head, number
from app.db.session import Database
from app.db.wake import Wakeups
from app.errors import Busy
from app.live.stream import KEEP_ALIVE, LIFETIME
from app.telemetry import log

LOOK_EVERY = 0.5
"""Seconds."""
ROWS = 25
"""Of a look: fifty rows a second is more than anybody reads."""
LOOKED_AT = 20_000
"""Positions of a look: at 15,000 events a second one has 7,500."""
MOST_WAITING = 100
"""Rows that wait for one who reads slowly."""
MISSED = 100
"""Rows of what one missed who was away."""
MOST_OPEN = 100
"""Streams of a process."""
OVERLAP = 50
"""Ids of rejects that are looked at again: they are not given in the order of commits, as positions are."""


@dataclass
class Watcher:
    """One stream: what it has still to send."""

    start: Cursor
    """What comes after this reaches the watcher; what was before it has to be read."""
    _rows: deque[Arrival] = field(default_factory=deque)
    """The oldest first."""
    _more: int = 0
    _unread: int = 0
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.at = self.start
        """How far it was looked."""

    def give(self, rows: list[Arrival], more: int, unread: int, to: Cursor) -> None:
        """What a look found; `rows`: the newest first."""
        self.at = to
        if not rows and not unread:
            return
        self._rows.extend(reversed(rows))
        self._more += more
        self._unread += unread
        while len(self._rows) > MOST_WAITING:
            self._rows.popleft()
            self._more += 1
        self._arrived.set()

    async def take(self, seconds: float) -> ServerSentEventMessage | None:
        """What has come since the last time; None when nothing comes for so long."""
        try:
            async with asyncio.timeout(seconds):
                await self._arrived.wait()
        except TimeoutError:
            return None
        self._arrived.clear()
        message = frame(list(self._rows), self._more, self._unread, self.at)
        self._rows.clear()
        self._more = self._unread = 0
        return message


@dataclass
class _Watch:
    """What all those see who watch the same."""

    at: Cursor
    seen: deque[int]
    """Ids of the latest rejects."""
    watchers: list[Watcher] = field(default_factory=list)


@dataclass
class Feed:
    """One per web process."""

    database: Database
    wakeups: Wakeups
    _watches: dict[Watched, _Watch] = field(default_factory=dict)
    _task: asyncio.Task[None] | None = None
    _open: int = 0

    def stream(self, watched: Watched, after: Cursor | None) -> ServerSentEvent:
        """What arrives from now on, or after a place in the feed. Raises `Busy` when too many watch."""
        if self._open >= MOST_OPEN:
            raise Busy("Too many screens are watching. Try again in a moment.", retry_after=5)
        return ServerSentEvent(self._messages(watched, after))

    async def _messages(self, watched: Watched, after: Cursor | None) -> AsyncIterator[ServerSentEventMessage]:
        ends = asyncio.get_running_loop().time() + LIFETIME
        async with self._watching(watched) as watcher:
            yield ServerSentEventMessage(event="ready", data="{}")
            if after is not None:
                floor = Cursor(max(after.position, watcher.start.position - SEARCHED), after.reject)
                unread = floor.position - after.position
                async with self.database.connection() as connection:
                    rows, more = await arrived(connection, watched, floor, watcher.start, MISSED)
                if rows or unread:
                    yield frame(rows[::-1], more, unread, watcher.start)
            while (left := ends - asyncio.get_running_loop().time()) > 0:
                message = await watcher.take(min(left, KEEP_ALIVE))
                # With its place: who comes back after a long silence need not have all of it looked through again.
                yield message or ServerSentEventMessage(comment="still here", id=str(watcher.at))

    @contextlib.asynccontextmanager
    async def _watching(self, watched: Watched) -> AsyncIterator[Watcher]:
        self._open += 1
        try:
            watch = self._watches.get(watched) or await self._begin(watched)
            watcher = Watcher(watch.at)
            watch.watchers.append(watcher)
            if self._task is None or self._task.done():
                self._task = asyncio.create_task(self._run())
            try:
                yield watcher
            finally:
                watch.watchers.remove(watcher)
                if not watch.watchers:
                    self._watches.pop(watched, None)
                if not self._watches and self._task is not None:
                    self._task.cancel()
                    self._task = None
        finally:
            self._open -= 1

    async def _begin(self, watched: Watched) -> _Watch:
        async with self.database.connection() as connection:
            at = await head(connection)
            latest, _ = await arrived(connection, watched, Cursor(at.position, at.reject - OVERLAP), at, 0)
        # Another may have begun the same meanwhile, and then both follow that one.
        return self._watches.setdefault(watched, _Watch(at, deque(map(number, latest), maxlen=MOST)))

    async def _run(self) -> None:
        while self._watches:
            try:
                await asyncio.gather(self.wakeups.wait("route", 1.0), asyncio.sleep(LOOK_EVERY))
                await self._look()
            except Exception as error:  # noqa: BLE001 - whatever it was, screens must not stay deaf until a restart
                log.warning("feed.failed", error=repr(error)[:500])
                await asyncio.sleep(1)

    async def _look(self) -> None:
        async with self.database.connection() as connection:
            newest = await head(connection)
            for watched, watch in list(self._watches.items()):
                after = Cursor(max(watch.at.position, newest.position - LOOKED_AT), max(0, watch.at.reject - OVERLAP))
                rows, more = await arrived(connection, watched, after, newest, ROWS, watch.seen)
                unread = after.position - watch.at.position
                watch.seen.extend(number(row) for row in rows if row.code is not None)
                watch.at = newest
                for watcher in watch.watchers:
                    watcher.give(rows[:ROWS], more + len(rows[ROWS:]), unread, newest)


def frame(rows: list[Arrival], more: int, unread: int, to: Cursor) -> ServerSentEventMessage:
    """Rows, the oldest first, without their messages; how many fitted beside them, and how many were not looked at."""
    data = {"rows": [shown(row) for row in rows], "more": more, "unread": unread}
    return ServerSentEventMessage(event="arrived", id=str(to), data=msgspec.json.encode(data).decode())


def shown(row: Arrival) -> dict[str, object]:
    """An arrival as a row of the screen."""
    kept = {name: getattr(row, name) for name in ("key", "at", "type", "name", "person", "order_id", "code")}
    return {**kept, "meaning": meaning(row.code) if row.code is not None else None}
