"""How much one web process works on at the same time. What is beyond is asked to come again, before anything suffers.

Each part of the API (the first word of its path) has room of its own, so a flood at the door leaves the tills theirs.
"""

from collections import Counter
from collections.abc import Mapping

from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Receive, Scope, Send
from prometheus_client import Counter as Metric

from app.errors import Busy

READS = frozenset({"GET", "HEAD", "OPTIONS"})
TURNED_AWAY = Metric("loyalty_requests_turned_away_total", "Requests for which there was no room.", ["part"])


class Admission(ASGIMiddleware):
    """Turns requests that write away with 503 and `Retry-After` while their part of the API is full.

    It comes before keys and bodies are read, so a request that is turned away costs next to nothing.
    """

    scopes = (ScopeType.HTTP,)

    def __init__(self, rooms: Mapping[str, int], room: int) -> None:
        """`rooms`: requests at the same time by part, where it is not `room`."""
        self._rooms, self._room = rooms, room
        self._inside: Counter[str] = Counter()

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        if scope["type"] != ScopeType.HTTP or scope["method"] in READS:
            await next_app(scope, receive, send)
            return
        part = scope["path"].split("/", 2)[1]
        if self._inside[part] >= self._rooms.get(part, self._room):
            TURNED_AWAY.labels(part).inc()
            raise Busy("Too much at once. Come again in a moment.", retry_after=1)
        self._inside[part] += 1
        try:
            await next_app(scope, receive, send)
        finally:
            self._inside[part] -= 1
            if not self._inside[part]:
                del self._inside[part]  # a stranger's paths must not stay in memory
