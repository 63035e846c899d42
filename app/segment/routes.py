"""① The door: Segment's HTTP Tracking API. Whatever is well-formed is answered 200 once it is committed."""

from collections.abc import Callable
from typing import Any

from litestar import Request, Response, Router, post
from litestar.datastructures import ResponseHeader, State
from litestar.params import FromPath

from app.db.base import now
from app.log.log import NewEvent
from app.segment import examples, messages, reading
from app.segment.browsers import FOR_BROWSERS, preflight
from app.segment.errors import door_errors
from app.segment.intake import Intake
from app.segment.limits import Pace
from app.segment.refusals import Refused
from app.segment.write_keys import WriteKeys, key_of

ItemsOf = Callable[[Any], tuple[list[Any], str | None]]
"""The messages in a body, or none and Segment's code for why."""


@post(["/v1/batch", "/v1/b"], role="source", status_code=200, operation_class=examples.BATCH)
async def batch(request: Request[Any, Any, Any], state: State) -> dict[str, bool]:
    """Many messages at once, as the client libraries send them."""
    return await _take_in(request, state, reading.listed)


@post("/v1/import", role="source", status_code=200, operation_class=examples.IMPORT)
async def import_(request: Request[Any, Any, Any], state: State) -> dict[str, bool]:
    """The same as a batch. Old clients name a message's type `action` here."""

    def items_of(body: Any) -> tuple[list[Any], str | None]:
        items, code = reading.listed(body)
        return [reading.renamed(item) for item in items], code

    return await _take_in(request, state, items_of)


@post("/v1/{call:str}", role="source", status_code=200, operation_id="call", operation_class=examples.SINGLE)
async def single(request: Request[Any, Any, Any], state: State, call: FromPath[str]) -> Response[Any]:
    """One message; its type is the last word of the path, or that word's first letter."""
    type_ = messages.CALLS.get(call)
    if type_ is None:
        return Response({"code": "not_found", "message": f"There is no call named {call[:50]}."}, status_code=404)

    def items_of(body: Any) -> tuple[list[Any], str | None]:
        if not isinstance(body, dict):
            return [], "bad_request"
        return [{**_without_key(body), "type": type_}], None

    return Response(await _take_in(request, state, items_of), status_code=200)


async def _take_in(request: Request[Any, Any, Any], state: State, items_of: ItemsOf) -> dict[str, bool]:
    await state.backlog.refuse_when_full()
    # Whatever it calls itself: a browser's last words (sendBeacon) are text/plain, or have no type at all.
    text = reading.inflated(await request.body(), request.headers.get("content-encoding", ""))
    body = reading.decoded(text)
    items, code = items_of(body)
    whole = body if isinstance(body, dict) else {}
    keys: WriteKeys = state.write_keys
    key = key_of(request.headers.get("authorization", ""), whole.get("writeKey"))
    sender = reading.Sender(await keys.owner_of(key), request.client.host if request.client else "")
    pace: Pace = state.pace
    pace.refuse_too_fast(key if sender.owner else None, sender.address, len(items))
    intake: Intake = state.intake
    received_at = now()
    async with intake.turn():
        if code is not None:
            kept = _without_key(body) if isinstance(body, dict) else body
            taken: list[NewEvent] = []
            refused = [Refused(sender.rejection() or code, kept, sender.source, sender.address)]
        else:
            if len(text) > messages.MAX_MESSAGE:
                reading.refuse_too_large(items)
            envelope = messages.envelope_of(whole if "batch" in whole else {})
            taken, refused = reading.sorted_out(
                items, sender, lambda item: messages.complete(item, envelope, received_at), received_at
            )
    await intake.store(taken, refused)
    return {"success": True}


def _without_key(body: dict[str, Any]) -> dict[str, Any]:
    """Keys are for writing and not to be stored with what was written."""
    return {name: value for name, value in body.items() if name != "writeKey"}


router = Router(
    "/",
    # Preflight first: to a path that has no answer to OPTIONS yet, Litestar gives one of its own, which would win.
    route_handlers=[preflight, batch, import_, single],
    tags=["segment"],
    exception_handlers=door_errors,
    response_headers=[ResponseHeader(name=name, value=value) for name, value in FOR_BROWSERS.items()],
)
