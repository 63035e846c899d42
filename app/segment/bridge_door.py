"""① The entry for a Segment *Webhooks* destination: what members do goes to Segment and comes from there to us."""

import hashlib
import hmac
from typing import Any

from litestar import Request, Router, post
from litestar.datastructures import State

from app.db import storable
from app.db.base import now
from app.errors import BadInput, Busy, NotSignedIn
from app.segment import examples, messages, reading
from app.segment.errors import TooManyRequests
from app.segment.intake import Intake
from app.segment.write_keys import WriteKeys

SOURCE = "segment"
"""The slug of the source that these events are stored under."""
MAX_BODY = 500 * 1024
MAX_MESSAGE = 2 * messages.MAX_MESSAGE
"""What came in at Segment with 32 KB at most, and what Segment adds."""


def sign(secret: str, body: bytes) -> str:
    """Segment's `x-signature`: lowercase hex HMAC-SHA1 of the body under the shared secret."""
    return hmac.new(secret.encode(), body, hashlib.sha1).hexdigest()


@post(
    "/bridge/segment",
    role="public",
    status_code=200,
    operation_id="segmentWebhook",
    operation_class=examples.FROM_SEGMENT,
    request_max_body_size=MAX_BODY,
    tags=["segment"],
)
async def receive(request: Request[Any, Any, Any], state: State) -> dict[str, bool]:
    """Take in one signed event, or a list of them. 200 when it is committed; 503 when Segment is to send it again.

    What breaks a rule is kept as a reject and answered 200 too: sent again it would be refused again.
    """
    body = await request.body()
    signature = request.headers.get("x-signature", "").strip().lower()
    secret: str = state.settings.segment_webhook_secret.get_secret_value()
    if not hmac.compare_digest(sign(secret, body).encode(), signature.encode()):
        raise NotSignedIn(
            "x-signature does not fit this body: check that SEGMENT_WEBHOOK_SECRET is the shared secret of the "
            "Webhooks destination in Segment, and that it sends one event at a time."
        )
    try:
        decoded = storable.parsed(body)
    except ValueError as error:
        raise BadInput("The body is not valid JSON.") from error
    keys: WriteKeys = state.write_keys
    owner = await keys.source(SOURCE)
    if owner is None:
        raise Busy(f"There is no source named {SOURCE}: run python -m app.migrate.", retry_after=60)
    sender = reading.Sender(owner, request.client.host if request.client else "")
    items = decoded if isinstance(decoded, list) else [decoded]
    intake: Intake = state.intake
    try:
        await state.backlog.refuse_when_full()
        async with intake.turn():
            received_at = now()
            taken, refused = reading.sorted_out(
                items,
                sender,
                lambda item: messages.as_segment_completed_it(item, received_at),
                received_at,
                MAX_MESSAGE,
            )
        await intake.store(taken, refused)
    except TooManyRequests as error:  # of a webhook, a 503 is surely repeated
        raise Busy(error.sentence, retry_after=error.retry_after) from error
    return {"success": True}


router = Router("/", route_handlers=[receive])
