"""① The door: Segment's HTTP Tracking API. Whatever is well-formed is answered 200 once it is committed."""

import base64
import zlib
from datetime import datetime
from typing import Any

import msgspec
from litestar import Request, Response, Router, post
from litestar.datastructures import State
from litestar.params import FromPath

from app.db.base import now
from app.db.trouble import without_nul
from app.log.log import NewEvent
from app.segment import messages
from app.segment.errors import DoorError, door_errors, too_large
from app.segment.intake import Intake, Refused
from app.segment.write_keys import WriteKeys

MAX_BATCH = 500 * 1024
MAX_BATCH_MESSAGES = 2_500


@post(["/v1/batch", "/v1/import"], role="source", status_code=200)
async def batch(request: Request[Any, Any, Any], state: State) -> dict[str, bool]:
    """Many messages at once, as the client libraries send them."""
    await state.backlog.refuse_when_full()
    body = _decoded(await request.body(), request.headers.get("content-encoding", ""))
    items = body.get("batch")
    if not isinstance(items, list):
        raise DoorError("bad_request", "The body must have a list named batch.")
    return await _take_in(request, state, body, items)


@post("/v1/{call:str}", role="source", status_code=200, operation_id="call")
async def single(request: Request[Any, Any, Any], state: State, call: FromPath[str]) -> Response[Any]:
    """One message; its type is the last word of the path."""
    if call not in messages.TYPES:
        return Response({"code": "not_found", "message": f"There is no call named {call[:50]}."}, status_code=404)
    await state.backlog.refuse_when_full()
    body = _decoded(await request.body(), request.headers.get("content-encoding", ""))
    message = {name: value for name, value in body.items() if name != "writeKey"}
    return Response(await _take_in(request, state, body, [{**message, "type": call}]), status_code=200)


async def _take_in(
    request: Request[Any, Any, Any], state: State, body: dict[str, Any], items: list[Any]
) -> dict[str, bool]:
    source = await _source(state, request.headers.get("authorization", ""), body.get("writeKey"))
    intake: Intake = state.intake
    async with intake.turn():
        taken, refused = _sorted(items, source, messages.envelope_of(body if "batch" in body else {}), now())
    await intake.store(taken, refused)
    return {"success": True}


def _sorted(
    items: list[Any], source: str | None, envelope: messages.Envelope, received_at: datetime
) -> tuple[list[NewEvent], list[Refused]]:
    """What is taken in, and what is not with the reason why."""
    if any(len(msgspec.json.encode(item)) > messages.MAX_MESSAGE for item in items):
        raise DoorError("message_too_large", "A message may have 32 KB at most.")
    taken, refused = [], []
    for index, item in enumerate(items):
        code = messages.rejection(item) if index < MAX_BATCH_MESSAGES else "too_many_requests"
        if source is None:
            code = "unknown_source"
        if code is None and source is not None:
            taken.append(messages.new_event(messages.complete(item, envelope, received_at), source, received_at))
        else:
            refused.append(Refused(code or "unknown_source", item, source))
    return taken, refused


async def _source(state: State, authorization: str, in_body: Any) -> str | None:
    """The source of a write key: by Basic auth (the key is the user name), else by the body."""
    key = in_body if isinstance(in_body, str) else ""
    scheme, _, credentials = authorization.partition(" ")
    if scheme.lower() == "basic":
        try:
            key = base64.b64decode(credentials).decode().partition(":")[0] or key
        except ValueError:  # not base64, or what is in it is not UTF-8
            return None
    keys: WriteKeys = state.write_keys
    return await keys.source_of(key)


def _decoded(body: bytes, encoding: str) -> dict[str, Any]:
    """The JSON object in a body, gzipped or plain, never more than the limit when inflated."""
    if encoding.lower() == "gzip":
        inflate = zlib.decompressobj(wbits=31)
        try:
            body = inflate.decompress(body, MAX_BATCH + 1)
        except zlib.error as error:
            raise DoorError("bad_request", "The body says that it is gzip, but it is not.") from error
    if len(body) > MAX_BATCH:
        raise too_large()
    try:
        decoded = msgspec.json.decode(without_nul(body))
    except (ValueError, RecursionError) as error:  # msgspec's own, bytes that are not UTF-8, and a tower of brackets
        raise DoorError("bad_request", "The body is not valid JSON.") from error
    if not isinstance(decoded, dict):
        raise DoorError("bad_request", "The body must be a JSON object.")
    return decoded


router = Router("/", route_handlers=[batch, single], tags=["segment"], exception_handlers=door_errors)
