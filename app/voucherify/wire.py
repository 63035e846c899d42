"""The connections to Voucherify: several small pools, and what is known of a connection that broke.

Servers close connections that nobody uses, and do it without asking: a request that leaves in the same moment meets a
closed door. Whether it was done can't be seen, so the client repeats nothing but reads, which change nothing.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx

from app.errors import LeaseLost

POOLS, CONNECTIONS = 13, 4
"""httpcore asks every connection of a pool, twice for each request, whether it still lives: with sixteen at once a call
cost twice the CPU of one alone. Several small pools cost the same at any number."""
IDLE: Final = 2.0
"""Seconds that a connection is kept while nobody uses it. uvicorn and Node.js close theirs after 5 s, load balancers
after 60 s and more: who lets go first, and well before, never sends into a connection that is being closed. httpx's
own 5 s is the worst figure there is for that."""
BROKE: Final = (httpx.ReadError, httpx.WriteError, httpx.CloseError, httpx.RemoteProtocolError)
"""How a connection that the other side closed fails; a time-out is none of them."""


class Passage:
    """What one request met on its way, told by httpcore's trace."""

    def __init__(self, may_leave: Callable[[], bool] | None = None) -> None:
        self._may_leave = may_leave
        self._opened = self._left = self._answered = False

    async def watch(self, event: str, _info: Mapping[str, Any]) -> None:
        if event == "http11.send_request_headers.started":
            if self._may_leave is not None and not self._may_leave():
                raise LeaseLost
            self._left = True
        elif event in {"connection.connect_tcp.started", "connection.connect_unix_socket.started"}:
            self._opened = True
        elif event == "http11.receive_response_headers.complete":
            self._answered = True

    def met_a_closed_door(self, error: BaseException | None) -> bool:
        """Whether it failed as it does on a connection that was kept, and that the server closed meanwhile."""
        return isinstance(error, BROKE) and self._left and not self._opened and not self._answered


class Wire:
    """The way to one address, through the proxy that the environment names for it."""

    def __init__(self, api_url: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        trusted, proxy = httpx.create_ssl_context(), _proxy(api_url)
        kept = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS, keepalive_expiry=IDLE)
        # Not a client of httpx but its transports: no cookies, redirects or sign-ins are needed, and they were a third
        # of the CPU of a call.
        self._pools = [
            transport or httpx.AsyncHTTPTransport(verify=trusted, limits=kept, proxy=proxy) for _ in range(POOLS)
        ]
        self._new = transport or httpx.AsyncHTTPTransport(
            verify=trusted, limits=httpx.Limits(max_keepalive_connections=0), proxy=proxy
        )
        """Keeps no connection, so that each request opens one: the pools may hold more that are closed by now."""
        self._busy = [0] * POOLS

    async def exchange(self, request: httpx.Request, *, new: bool = False) -> httpx.Response:
        """One request and its whole answer; `new` where it must not go on a connection that was used before."""
        if new:
            return await _exchange(self._new, request)
        pool = self._busy.index(min(self._busy))
        self._busy[pool] += 1
        try:
            return await _exchange(self._pools[pool], request)
        finally:
            self._busy[pool] -= 1

    async def close(self) -> None:
        for pool in (*self._pools, self._new):
            await pool.aclose()


async def _exchange(transport: httpx.AsyncBaseTransport, request: httpx.Request) -> httpx.Response:
    response = await transport.handle_async_request(request)
    response.request = request
    try:
        await response.aread()
    finally:
        await response.aclose()
    return response


def _proxy(url: str) -> str | None:
    """The proxy that the environment names for this address, as httpx's own clients find it."""
    parts = urlsplit(url)
    return None if proxy_bypass(parts.hostname or "") else getproxies().get(parts.scheme)
