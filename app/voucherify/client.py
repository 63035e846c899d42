"""One httpx client for Voucherify: keys, time-outs, its rate limits, and every failure as one of our errors.

It never repeats what may change something: who calls it knows whether that is safe. A read that met a connection which
the server had closed meanwhile goes once more, on a new one. Bodies and keys are not logged. Bodies go as they are
given, so that null clears a field; answers come as they are, so that what is new in them harms nobody.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self
from urllib.parse import SplitResult, urlsplit

import httpx
import msgspec
from pydantic import SecretStr

from app.errors import (
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
from app.voucherify.wire import BROKE, Passage, Wire

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
        self._wire = Wire(api_url, transport)

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
        passage = Passage(may_leave)
        url = url if "://" in url else self._api_url + url
        request = httpx.Request(
            method,
            url,
            content=None if body is None else msgspec.json.encode(body),
            headers={**HEADERS, **headers},
            params=params,
            extensions={
                "timeout": _timeouts(self._timeout if timeout is None else timeout),
                **({"trace": passage.watch} if may_leave is not None or method == "GET" else {}),
            },
        )
        try:
            return await self._sent(request, urlsplit(url), body)
        except VoucherifyUnclear as error:
            if method != "GET" or not passage.met_a_closed_door(error.__cause__):
                raise
        return await self._sent(request, urlsplit(url), body, new=True)

    async def _sent(self, request: httpx.Request, address: SplitResult, body: Any, *, new: bool = False) -> Call:
        """One request that leaves, counted whatever becomes of it."""
        method, path = request.method, address.path
        started = time.perf_counter()
        try:
            response = await self._wire.exchange(request, new=new)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            self._seen(method, path, body, 0, repr(error), started)
            raise VoucherifyUnavailable("Voucherify can't be reached. Nothing was sent.") from error
        except httpx.RequestError as error:  # also an answer that can't be decoded: it was sent and may be done
            call = self._seen(method, path, body, 0, repr(error), started)
            how = "The connection to Voucherify broke" if isinstance(error, BROKE) else "Voucherify gave no answer"
            raise VoucherifyUnclear(
                f"{how} within {call.milliseconds / 1000:.1f} s ({type(error).__name__})."
            ) from error
        self._paces[address.netloc].heard(response.status_code, response.headers, time.monotonic())
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
        await self._wire.close()


async def _turn(pace: Pace, *, urgent: bool) -> None:
    """Wait until a call may leave."""
    seconds = pace.wait(time.monotonic(), urgent=urgent, longest=LONGEST_TURN)
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
