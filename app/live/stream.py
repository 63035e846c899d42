"""Server-sent events: what was missed since `Last-Event-ID`, then what comes; ten minutes at most."""

import asyncio
import json
from collections.abc import AsyncIterator

from litestar.channels import ChannelsPlugin
from litestar.channels.subscriber import Subscriber
from litestar.response import ServerSentEvent, ServerSentEventMessage

from app.db.session import Database
from app.errors import Busy
from app.live.listener import ALL, frame

LIFETIME = 600.0
"""Seconds. A stream without an end would outlive deployments and revoked sessions; browsers reconnect by themselves."""
KEEP_ALIVE = 15.0
MOST_OPEN = 500
"""Streams of one process: each holds a connection, and a thousand waiting changes at worst."""
_open: set[object] = set()


class Watcher(Subscriber):
    """A subscriber whose stream ends when more changes wait than it may hold.

    A change that was left out in silence would never be seen; the browser comes back with `Last-Event-ID` and gets it.
    """

    _full = False

    def put_nowait(self, item: bytes | None) -> bool:
        if self._full:
            return False
        if super().put_nowait(item):
            return True
        self._full = True
        while self.qsize:
            self._queue.get_nowait()
        super().put_nowait(None)
        return False


def stream(database: Database, channels: ChannelsPlugin, topic: str, last_event_id: str | None) -> ServerSentEvent:
    """The changes of one topic (or of all) as an SSE response. Raises `Busy` when too many are open."""
    if len(_open) >= MOST_OPEN:
        raise Busy("Too many screens are watching. Try again in a moment.", retry_after=5)
    return ServerSentEvent(_events(database, channels, topic, _position(last_event_id)))


def _position(last_event_id: str | None) -> int | None:
    """The position that a browser saw last; None when it says none, or something that we never sent."""
    text = last_event_id or ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


async def _events(
    database: Database, channels: ChannelsPlugin, topic: str, after: int | None
) -> AsyncIterator[ServerSentEventMessage]:
    ends = asyncio.get_running_loop().time() + LIFETIME
    mark = object()
    _open.add(mark)
    waiting: asyncio.Task[bytes | None] | None = None
    try:
        async with channels.start_subscription([topic]) as subscriber:
            yield ServerSentEventMessage(event="ready", data="{}")
            sent = after or 0
            missed = after is not None
            while missed:
                async with database.connection() as connection:
                    rows = await connection.fetch(
                        """SELECT position, topic, kind, data FROM change
                           WHERE position > $1 AND ($2 = $3 OR topic = $2) ORDER BY position LIMIT 1000""",
                        sent,
                        topic,
                        ALL,
                    )
                for row in rows:
                    sent = row["position"]
                    yield _message(frame(row))
                missed = len(rows) == 1000
            events = subscriber.iter_events().__aiter__()
            while (left := ends - asyncio.get_running_loop().time()) > 0:
                waiting = waiting or asyncio.ensure_future(anext(events, None))
                done, _ = await asyncio.wait({waiting}, timeout=min(left, KEEP_ALIVE))
                if not done:
                    yield ServerSentEventMessage(comment="still here")
                    continue
                data, waiting = waiting.result(), None
                if data is None:
                    return
                if json.loads(data)["position"] > sent:
                    yield _message(data)
    finally:
        _open.discard(mark)
        if waiting is not None:
            waiting.cancel()


def _message(data: bytes) -> ServerSentEventMessage:
    change = json.loads(data)
    return ServerSentEventMessage(event="change", id=str(change["position"]), data=data.decode())
