"""④ Where Voucherify posts its webhooks: verified, stored, answered. What they mean is worked out by the worker."""

from typing import Any

from litestar import Request, Router, post
from litestar.datastructures import State

from app.db import storable
from app.errors import BadInput, NotSignedIn
from app.telemetry import WEBHOOKS, log
from app.voucherify.signature import verify
from app.webhooks import inbox
from app.webhooks.parse import parse

MAX_BODY = 1024 * 1024


@post(
    "/webhooks/voucherify",
    role="public",
    status_code=202,
    operation_id="voucherifyWebhook",
    request_max_body_size=MAX_BODY,
)
async def receive(request: Request[Any, Any, Any], state: State) -> dict[str, bool]:
    """Take in one signed webhook. 202 when it is stored, also when it was stored before; 401 when it is not signed."""
    body = await request.body()
    if not verify(
        state.settings.webhook_secret.get_secret_value(), body, request.headers.get("x-voucherify-signature", "")
    ):
        WEBHOOKS.labels("bad_signature").inc()
        raise NotSignedIn(
            "x-voucherify-signature does not fit this body: check that VOUCHERIFY_WEBHOOK_SECRET is the secret key "
            "shown beside the webhooks in Voucherify's project settings."
        )
    try:
        decoded = storable.parsed(body)
    except ValueError as error:
        raise BadInput("The body is not valid JSON.") from error
    parsed = parse(decoded)
    if parsed is None:
        WEBHOOKS.labels("not_an_envelope").inc()
        raise BadInput("The body has no source.id and event.id: set the webhook's version to v2024-01-01.")
    async with state.database.connection() as connection:
        new = await inbox.put(connection, parsed, decoded)
    log.info("webhook.received", type=parsed.type, order_id=parsed.order_id, new=new)
    WEBHOOKS.labels("stored" if new else "duplicate").inc()
    return {"stored": new}


router = Router("/", route_handlers=[receive], tags=["webhooks"])
