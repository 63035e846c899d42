"""What every request to the API passes before and after Voucherify itself: keys, headers, log, trouble on demand.

Plain ASGI around the application, because the answer must be held back whole to be counted, logged, or lost.
"""

import asyncio
import hmac
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
from litestar.di import NamedDependency
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from app.sandbox import segmentio
from app.sandbox.clock import iso
from app.sandbox.errors import Failure, FrameworkFailure
from app.sandbox.faults import take
from app.sandbox.fidelity import documented, inferred
from app.sandbox.store import Store
from app.sandbox.work import CALL, Call

_KEYS = ("x-app-id", "x-app-token")
_MANAGEMENT_KEYS = ("x-management-id", "x-management-token")
API = ("/v1/", "/v2/", "/client/", "/management/", "/segmentio/")
LARGEST_BODY = 10 * 2**20
_LOGGED_BODY = 64 * 2**10
_LOGGED = 1000


@dataclass
class Answer:
    status: int = 500
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""


class Edge:
    """The outermost ASGI application of the sandbox."""

    def __init__(self, app: ASGIApp, store: Store) -> None:
        self.app = app
        self.store = store
        self.log: deque[dict[str, Any]] = deque(maxlen=_LOGGED)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP or not scope["path"].startswith(API):
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()
        method, path = str(scope["method"]), scope["path"]
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        call = Call(
            channel=headers.get("x-voucherify-channel"),
            app_id=headers.get("x-app-id") or self.store.config.integration_application_id,
        )
        CALL.set(call)
        faults = self.store.faults
        body = await _whole_body(receive)
        if take(faults.reset_next, method, path):
            self._remember(scope, call, headers, body or b"", None, reset=True, seconds=time.perf_counter() - began)
            await _lose(receive, send)
            return
        delayed = take(faults.delay_next, method, path)
        await asyncio.sleep((faults.latency_ms + (delayed.milliseconds if delayed else 0)) / 1000)
        if body is None:
            message = f"Payload content length greater than maximum allowed: {LARGEST_BODY}"
            answer = _json(413, FrameworkFailure(413, message).body())
        elif planned := take(faults.fail_next, method, path):
            answer = _planned_failure(planned.status, call.request_id)
        elif (refused := self._refusal(path, headers)) is not None:
            answer = _json(refused.code, refused.body(call.request_id))
        elif self._over_the_limit(path):
            answer = _too_many()
        else:
            answer = await self._answered(scope, body, receive)
        lost = body is not None and take(faults.lose_answer_next, method, path) is not None
        answer.headers += self.store.limits.read(self.store.clock.now()).headers(answer.status)
        self._remember(scope, call, headers, body or b"", answer, lost=lost, seconds=time.perf_counter() - began)
        if lost:
            await _lose(receive, send)
            return
        await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
        await send({"type": "http.response.body", "body": answer.body, "more_body": False})

    def _refusal(self, path: str, headers: dict[str, str]) -> Failure | None:
        if "\x00" in path:
            return Failure(404, "not_found", "Resource not found")
        config = self.store.config
        if path.startswith("/segmentio/"):
            return None if segmentio.allowed(headers, config) else segmentio.unauthorized()
        managed = path.startswith("/management/") and "/stacking-rules" in path  # the rest of it is 501 for everybody
        if managed or path.startswith(("/v1/", "/v2/")):
            names = _MANAGEMENT_KEYS if managed else _KEYS
            given = headers.get(names[0], ""), headers.get(names[1], "")
            wanted = config.application_id, config.secret_key
            if not all(hmac.compare_digest(a.encode(), b.encode()) for a, b in zip(given, wanted, strict=True)):
                return Failure(401, "unauthorized", "Unauthorized")
        return None

    async def _answered(self, scope: Scope, body: bytes, receive: Receive) -> Answer:
        """Run the application on a body that is read already, and hold its answer back."""
        answer = Answer()
        parts: list[bytes] = []
        given = False

        async def give() -> Any:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        async def keep(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer.status = message["status"]
                answer.headers = list(message["headers"])
            elif message["type"] == "http.response.body":
                parts.append(message["body"])

        await self.app(scope, give, keep)
        answer.body = b"".join(parts)
        return answer

    def _over_the_limit(self, path: str) -> bool:
        """Count this call. Those through the Segment door have a bucket of their own, without a limit here."""
        return not path.startswith("/segmentio/") and self.store.limits.call(self.store.clock.now()).refused

    def _remember(
        self,
        scope: HTTPScope,
        call: Call,
        headers: dict[str, str],
        body: bytes,
        answer: Answer | None,
        *,
        lost: bool = False,
        reset: bool = False,
        seconds: float,
    ) -> None:
        self.log.append(
            {
                "request_id": call.request_id,
                "at": iso(self.store.clock.now()),
                "method": scope["method"],
                "path": scope["path"],
                "query": scope["query_string"].decode("latin-1"),
                "channel": headers.get("x-voucherify-channel"),
                "status": answer.status if answer else None,
                "lost": lost,
                "reset": reset,
                "milliseconds": round(seconds * 1000, 2),
                "request": _logged(body),
                "answer": _logged(answer.body) if answer else None,
            }
        )


TheEdge = NamedDependency[Edge]
"""How a handler asks for the edge (for its log)."""


async def _whole_body(receive: Receive) -> bytes | None:
    """The body, or None if it is too large (the rest is read and thrown away, so that the answer gets through)."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return b""
        part = message["body"]
        size += len(part)
        if size <= LARGEST_BODY:
            parts.append(part)
        if not message["more_body"]:
            return b"".join(parts) if size <= LARGEST_BODY else None


async def _lose(receive: Receive, send: Send) -> None:
    """Break the connection without a byte of the answer; where the server does not lend it, never answer."""
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    abort: Callable[[], None] | None = getattr(transport, "abort", None)
    if abort is not None:
        abort()
    while (await receive())["type"] != "http.disconnect":
        pass


def _planned_failure(status: int, request_id: str) -> Answer:
    if status == 429:
        return _too_many()
    key = "internal_error" if status >= 500 else "planned_failure"
    return _json(status, Failure(status, key, "Planned by POST /sandbox/faults", "Nothing was done").body(request_id))


def _too_many() -> Answer:
    return _json(429, {"code": 429, "message": "Too many requests hit the API too quickly."})


def _json(status: int, body: dict[str, Any]) -> Answer:
    encoded = msgspec.json.encode(body)
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(encoded)).encode())]
    return Answer(status, headers, encoded)


def _logged(body: bytes) -> Any:
    if len(body) > _LOGGED_BODY:
        return f"({len(body)} bytes)"
    try:
        return msgspec.json.decode(body) if body else None
    except (msgspec.DecodeError, RecursionError):
        return body.decode("utf-8", "replace")


FIDELITY = (
    documented(
        "`X-App-Id` and `X-App-Token` on `/v1`; integration key by `authorization: Basic base64(id)` and "
        "`secret-key: base64(secret)` on `/segmentio`"
    ),
    inferred(
        '401 `{"code":401,"key":"unauthorized","message":"Unauthorized"}`',
        "for `/v1` (documented for management)",
    ),
    inferred("`X-Management-Id` and `X-Management-Token` on the management API: they are the keys of `/v1`"),
    documented(
        "`X-Rate-Limit-*` on every answer; over a limit 429 with `Retry-After` and `X-Rate-Limit-Type`, "
        "nothing done. Limits are off until `POST /sandbox/limits` switches them on; the Segment door has "
        "none"
    ),
    inferred(
        "the windows are minutes and hours of the sandbox's clock; what is refused does not count; both "
        "limits have the type `api_calls`"
    ),
)
