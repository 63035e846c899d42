"""One httpx client for Voucherify: keys, time-outs, its rate limits, and every failure as one of our errors.

It never retries: who calls it knows whether that is safe. Bodies and keys are not logged. Bodies go as they are given,
so that null clears a field; answers come as they are, so that what is new in them harms nobody.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx
import msgspec
from pydantic import SecretStr

from app.errors import (
    LeaseLost,
    VoucherifyError,
    VoucherifyRefused,
    VoucherifyRejectsKeys,
    VoucherifyUnavailable,
    VoucherifyUnclear,
)
from app.http import answers
from app.settings import Settings
from app.telemetry import VOUCHERIFY_CALLS, VOUCHERIFY_SECONDS
from app.voucherify.pace import Pace

KINDS: Final[Mapping[answers.Meaning, type[VoucherifyError]]] = {
    "refused": VoucherifyRefused,
    "rejects_keys": VoucherifyRejectsKeys,
    "not_now": VoucherifyUnavailable,
    "unclear": VoucherifyUnclear,
}
HEADERS: Final = {"accept": "*/*", "user-agent": "Loyalty Accelerator", "content-type": "application/json"}


@dataclass(frozen=True)
class Call:
    """One call and its answer, for traces and audits. `path` has no host and the headers are left out."""

    method: str
    path: str
    sent: Any
    status: int
    answered: Any
    milliseconds: float
    rest: float = 0.0
    """Seconds that Voucherify asks to be left alone after this, by its rate headers."""


LONGEST_TURN: Final = 2.0
"""Seconds that a call waits here for its turn; where it would be longer, it is refused before it leaves."""
POOLS, CONNECTIONS = 13, 4
"""httpcore asks every connection of a pool, twice for each request, whether it still lives: with sixteen at once a call
cost twice the CPU of one alone. Several small pools cost the same at any number."""


class Client:
    """Calls to one Voucherify project (or the sandbox)."""

    def __init__(
        self,
        api_url: str,
        application_id: SecretStr,
        secret_key: SecretStr,
        *,
        timeout: float = 10.0,
        transport: httpx.AsyncBaseTransport | None = None,
        observe: Callable[[Call], None] | None = None,
    ) -> None:
        """`timeout` in seconds; `observe` is handed every call that got an answer or none (status 0)."""
        self._keys = {
            "X-App-Id": application_id.get_secret_value(),
            "X-App-Token": secret_key.get_secret_value(),
            "X-Voucherify-Channel": "Loyalty Accelerator",
        }
        self.observe = observe
        self._api_url = api_url.rstrip("/")
        self._timeout = timeout
        self._paces: defaultdict[str, Pace] = defaultdict(Pace)
        """By host: the door for Segment has a limit of its own."""
        trusted, proxy = httpx.create_ssl_context(), _proxy(api_url)
        limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
        # Not a client of httpx but its transports: no cookies, redirects or sign-ins are needed, and they were a third
        # of the CPU of a call.
        self._pools = [
            transport or httpx.AsyncHTTPTransport(verify=trusted, limits=limits, proxy=proxy) for _ in range(POOLS)
        ]
        self._busy = [0] * POOLS

    @classmethod
    def of(cls, settings: Settings, observe: Callable[[Call], None] | None = None) -> Self:
        return cls(
            settings.voucherify_api_url,
            settings.voucherify_application_id,
            settings.voucherify_secret_key,
            timeout=settings.voucherify_timeout,
            observe=observe,
        )

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        params: Mapping[str, str | int | bool] | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - handed on to the connection, which says what it waited for
        urgent: bool = False,
    ) -> Any:
        """Call the public API and return the parsed answer, or raise a `VoucherifyError`.

        `timeout` in seconds, where this call must not take as long as others; `urgent` where somebody waits at the
        counter: it does not stand in line while the rate limit is near.
        """
        await _turn(self._paces[urlsplit(self._api_url).netloc], urgent=urgent)
        return (await self.send(method, path, body, self._keys, params=params, timeout=timeout)).answered

    async def send(
        self,
        method: str,
        url: str,
        body: Any,
        headers: Mapping[str, str],
        *,
        params: Mapping[str, str | int | bool] | None = None,
        may_leave: Callable[[], bool] | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - see `call`
    ) -> Call:
        """Send one request, to a path of the API or to a whole address, with just these headers.

        `may_leave` is asked at the last moment, when the connection is there and the first byte is about to go: a
        process that was stopped meanwhile must not do what somebody else does by now. False raises `LeaseLost`.
        It does not wait for the rate limit: deliveries are held back for all workers together, in the database.
        """
        url = url if "://" in url else self._api_url + url
        address = urlsplit(url)
        path, pace = address.path, self._paces[address.netloc]
        content = None if body is None else msgspec.json.encode(body)
        started = time.perf_counter()
        pool = self._busy.index(min(self._busy))
        self._busy[pool] += 1
        try:
            response = await _exchange(
                self._pools[pool],
                httpx.Request(
                    method,
                    url,
                    content=content,
                    headers={**HEADERS, **headers},
                    params=params,
                    extensions={
                        "timeout": _timeouts(self._timeout if timeout is None else timeout),
                        **({"trace": _gate(may_leave)} if may_leave is not None else {}),
                    },
                ),
            )
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            self._seen(method, path, body, 0, repr(error), started)
            raise VoucherifyUnavailable("Voucherify can't be reached. Nothing was sent.") from error
        except httpx.RequestError as error:  # also an answer that can't be decoded: it was sent and may be done
            call = self._seen(method, path, body, 0, repr(error), started)
            raise VoucherifyUnclear(
                f"Voucherify gave no answer within {call.milliseconds / 1000:.1f} s ({type(error).__name__})."
            ) from error
        finally:
            self._busy[pool] -= 1
        pace.heard(response.status_code, response.headers, time.monotonic())
        answered, rest = answers.parsed(response.content), answers.rest(response.headers)
        call = self._seen(method, path, body, response.status_code, answered, started, rest)
        if not response.is_success:
            raise failure(response.status_code, call.answered, response.headers)
        return call

    def _seen(
        self, method: str, path: str, sent: Any, status: int, answered: Any, started: float, rest: float = 0.0
    ) -> Call:
        seconds = time.perf_counter() - started
        count(method, path, status, seconds)
        call = Call(method, path, sent, status, answered, round(seconds * 1000, 1), rest)
        if self.observe is not None:
            self.observe(call)
        return call

    async def close(self) -> None:
        for pool in self._pools:
            await pool.aclose()


async def _turn(pace: Pace, *, urgent: bool) -> None:
    """Wait until a call may leave."""
    seconds = pace.wait(time.monotonic(), urgent=urgent)
    if seconds > LONGEST_TURN:
        raise VoucherifyUnavailable(
            f"Voucherify's rate limit allows no call for {seconds:.0f} s. Nothing was sent.",
            code=429,
            retry_after=seconds,
        )
    if seconds:
        await asyncio.sleep(seconds)


def _timeouts(seconds: float) -> dict[str, float]:
    return {"connect": min(seconds, 5.0), "read": seconds, "write": seconds, "pool": seconds}


async def _exchange(transport: httpx.AsyncBaseTransport, request: httpx.Request) -> httpx.Response:
    """One request and its whole answer."""
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


def _gate(may_leave: Callable[[], bool]) -> Callable[[str, Mapping[str, Any]], Awaitable[None]]:
    async def watch(event: str, _info: Mapping[str, Any]) -> None:
        if event == "http11.send_request_headers.started" and not may_leave():
            raise LeaseLost

    return watch


def count(method: str, path: str, status: int, seconds: float) -> None:
    """Count a call. Every path begins with `/v1/<resource>` or `/segmentio/<resource>`: short enough for a label."""
    resource = "/".join(path.split("/")[1:3])
    VOUCHERIFY_CALLS.labels(method, resource, status).inc()
    VOUCHERIFY_SECONDS.labels(resource).observe(seconds)


def failure(status: int, answer: Any, headers: Mapping[str, str]) -> VoucherifyError:
    """The error that an answer other than 2xx stands for."""
    body = answer if isinstance(answer, dict) else {}
    key = str(body.get("key") or "")
    told = ": ".join(str(part) for part in (body.get("message"), body.get("details")) if part) or str(answer)[:200]
    sentence = f"Voucherify answered {status}{f' {key}' if key else ''}: {told}"
    return KINDS[answers.meaning(status)](
        sentence, code=status, key=key, answer=answer, retry_after=answers.retry_after(headers)
    )
