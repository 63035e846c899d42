"""The way to destinations anywhere on the open net, with nothing on the way that an address could be misused for.

Addresses come out of mappings and may come out of events. So a name is resolved here, checked, and connected to at the
address that was checked; no redirect is followed, no proxy asked, no more read than is kept, and no time spent beyond
the limit. TLS and the `Host` header still go by the name.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Final, Self, cast

import httpcore
import httpx

from app import jsvalues
from app.destinations.addresses import VARIABLE, AllowedHosts, refused
from app.errors import DestinationError, LeaseLost
from app.http import answers
from app.settings import Settings

TIME_LIMIT: Final = 10.0
"""Seconds for all of a call, Segment's own. An answer that has begun by then counts, however slowly the rest comes."""
LARGEST_ANSWER: Final = 64 * 1024
"""Bytes that are read of an answer."""
IDLE: Final = 10
"""Connections that are kept for the next call. A pool looks at each of them at every call: with 64 of them a call cost
four times the CPU."""
LOOK_UPS: Final = 4
"""Names that are resolved at once: in threads of their own, so that a dead name server holds up nothing else."""

NOT_AN_ADDRESS: Final = "The URL must be one of http or https with a host, and without a name and password in it."

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


class WebError(DestinationError):
    """The receiver answered with an error."""

    speaks_for_all = False
    """The addresses of one destination may be many: that one is down says nothing of the others."""


class WebRefused(WebError):
    """The receiver refused the request, or its address may not be called; sending again would not change that."""


class WebRejectsKeys(WebError):
    """The receiver does not accept our secret, or whatever else it knows us by."""

    rejects_keys = True


class WebUnavailable(WebError):
    """The receiver can't take the request now."""

    retryable = True


class WebUnclear(WebError):
    """The request was sent and no answer came back: it may have been done."""

    retryable = True
    may_be_done = True


KINDS: Final[Mapping[answers.Meaning, type[WebError]]] = {
    "refused": WebRefused,
    "rejects_keys": WebRejectsKeys,
    "not_now": WebUnavailable,
    "unclear": WebUnclear,
}
OVERLOADED: Final = frozenset({408, 429, 502, 503, 504})
"""What only says that a server, or what stands behind it, is not there."""


@dataclass(frozen=True)
class WebAnswer:
    """What a receiver answered."""

    status: int
    answered: Any
    rest: float


@dataclass
class _Exchange:
    """How far a call came."""

    left: bool = False
    """The first byte has gone out."""
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)


class WebTransport:
    """Sends requests to any public address, and to those that are allowed besides."""

    def __init__(
        self,
        allowed: AllowedHosts,
        *,
        time_limit: float = TIME_LIMIT,
        resolve: Resolve | None = None,
        trusted: ssl.SSLContext | None = None,
    ) -> None:
        """`resolve` gives the addresses of a name; `trusted` is the TLS context, by default that of public servers."""
        self._time_limit = time_limit
        self._threads = ThreadPoolExecutor(LOOK_UPS, thread_name_prefix="resolve")
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=trusted or httpx.create_ssl_context(),
            max_connections=None,  # as many as there are lanes
            max_keepalive_connections=IDLE,
            keepalive_expiry=5.0,
            network_backend=_Guard(allowed, resolve or self._resolve),
        )

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(AllowedHosts.read(settings.general.webhook_allowed_hosts))

    async def send(
        self,
        method: str,
        url: str,
        body: Any,
        headers: Mapping[str, str],
        *,
        may_leave: Callable[[], bool] | None = None,
    ) -> WebAnswer:
        """Send one request; `body` leaves as `JSON.stringify` writes it. See `Transport`.

        A HEAD only asks whether somebody is there: every answer says yes, but those of a server that is not up to it.
        """
        place = _place(url)
        content = encoded(body) or (b"" if method in {"POST", "PUT", "PATCH"} else None)
        exchange = _Exchange()
        try:
            async with asyncio.timeout(self._time_limit):
                await self._exchange(method, place, content, headers, exchange, may_leave)
        except (
            TimeoutError,
            httpcore.TimeoutException,
            httpcore.NetworkError,
            httpcore.ProtocolError,
            OSError,
        ) as error:
            if not exchange.status:
                raise self._silence(place.host, error, sent=exchange.left) from error
        answered = answers.parsed(bytes(exchange.body))
        if _is_good(method, exchange.status):
            return WebAnswer(exchange.status, answered, answers.rest(exchange.headers))
        raise KINDS[answers.meaning(exchange.status)](
            f"{place.host} answered {exchange.status}{_told(answered)}",
            code=exchange.status,
            answer=answered,
            retry_after=answers.retry_after(exchange.headers),
        )

    async def close(self) -> None:
        await self._pool.aclose()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _exchange(
        self,
        method: str,
        place: httpx.URL,
        content: bytes | None,
        headers: Mapping[str, str],
        exchange: _Exchange,
        may_leave: Callable[[], bool] | None,
    ) -> None:
        async def watch(event: str, _info: Mapping[str, Any]) -> None:
            if event == "http11.send_request_headers.started":
                if may_leave is not None and not may_leave():
                    raise LeaseLost
                exchange.left = True

        sent = {"host": place.netloc.decode("ascii"), "user-agent": "Loyalty Accelerator", "accept": "*/*", **headers}
        address = httpcore.URL(scheme=place.raw_scheme, host=place.raw_host, port=place.port, target=place.raw_path)
        extensions = {"trace": watch, "timeout": {"connect": self._time_limit / 2}}
        async with self._pool.stream(
            method, address, headers=list(sent.items()), content=content, extensions=extensions
        ) as response:
            exchange.status = response.status
            exchange.headers = {
                key.decode("latin-1").lower(): value.decode("latin-1") for key, value in response.headers
            }
            async with aclosing(cast("AsyncGenerator[bytes]", response.aiter_stream())) as chunks:
                async for chunk in chunks:
                    exchange.body += chunk[: LARGEST_ANSWER - len(exchange.body)]
                    if len(exchange.body) >= LARGEST_ANSWER:
                        break

    def _silence(self, host: str, error: Exception, *, sent: bool) -> WebError:
        """The error of a call that got no answer."""
        if sent:
            return WebUnclear(f"{host} gave no answer within {self._time_limit:g} s ({type(error).__name__}).")
        return WebUnavailable(f"{host} can't be reached. Nothing was sent ({type(error).__name__}).")

    async def _resolve(self, host: str, port: int) -> Sequence[str]:
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(
            self._threads, lambda: socket.getaddrinfo(host.encode("ascii"), port, type=socket.SOCK_STREAM)
        )
        return list(dict.fromkeys(str(address[0]) for *_, address in found))


class _Guard(httpcore.AsyncNetworkBackend):
    """Connects to what it has checked, so that a name can't mean one address at the check and another afterwards."""

    def __init__(self, allowed: AllowedHosts, resolve: Resolve) -> None:
        self._allowed = allowed
        self._resolve = resolve
        self._sockets = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the base class's signature
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        addresses = await self._resolve(host, port)
        if not self._allowed.has(host, port) and refused(addresses):
            raise WebRefused(
                f"{host} is at an address that is not public, so nothing was sent. If it shall be called, name it in "
                f"{VARIABLE}."
            )
        failed: Exception = httpcore.ConnectError(f"{host} has no address")
        for address in addresses:
            try:
                return await self._sockets.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error
        raise failed

    async def sleep(self, seconds: float) -> None:
        await self._sockets.sleep(seconds)


def encoded(body: Any) -> bytes | None:
    """The bytes that a body leaves as: those of `JSON.stringify`, which a signature is made of as well."""
    return None if body is None else str(jsvalues.stringify(body)).encode()


def is_address(url: str) -> bool:
    """Whether this can be called at all: http or https, with a host, and no name or password in it."""
    try:
        _place(url)
    except WebRefused:
        return False
    return True


def _place(url: str) -> httpx.URL:
    try:
        place = httpx.URL(url)
        in_range = place.port is None or 0 < place.port < 65536
        good = place.scheme in {"http", "https"} and place.host and not place.userinfo and in_range
    except httpx.InvalidURL:
        good = False
    if not good:
        # The address is not told: what made it unfit may be the password in it.
        raise WebRefused(f"{NOT_AN_ADDRESS} Nothing was sent.")
    return place


def _is_good(method: str, status: int) -> bool:
    return 200 <= status < 300 or (method == "HEAD" and status not in OVERLOADED)


def _told(answered: Any) -> str:
    text = answered if isinstance(answered, str) else "" if answered is None else str(jsvalues.stringify(answered))
    return f": {' '.join(text.split())[:200]}" if text else "."
