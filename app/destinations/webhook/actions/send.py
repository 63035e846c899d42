"""Send: the mapped data as JSON to a URL."""

from typing import Any, Final

from app.destinations.base import Action, Payload, Repeat, Request, Settings
from app.destinations.fields import Fault, Field, PayloadError
from app.destinations.webhook.request import request

METHODS: Final = ("POST", "PUT", "PATCH")

FIELDS: Final = (
    Field("url", "URL", help="Where it is sent to. Without one: the URL of the destination's settings."),
    Field("method", "Method", required=True, default="POST", help="POST, PUT or PATCH."),
    Field("headers", "Headers", "object", help="Headers to send besides, in ASCII."),
    Field("data", "Data", "object", default={"@path": "$."}, help="What is sent, as JSON."),
    Field(
        "idempotency_key",
        "Idempotency Key",
        default={"@path": "$.messageId"},
        help="Sent as Idempotency-Key, the same at every try, so that the receiver can leave out what it has already. "
        "Without one: the messageId in the data. Two mappings that send one event to one URL need keys that differ, "
        "such as {{messageId}}-coupon.",
    ),
)


def build(payload: Payload, settings: Settings) -> Request:
    """The request that sends the data.

    Raises:
        PayloadError: there is no URL or it is none, the method is another, or a header can't be sent.
    """
    url = payload.get("url") or settings.get("url")
    if not url:
        raise PayloadError(Fault("$", "", "The root value is missing the required field 'url'."))
    if payload["method"] not in METHODS:
        raise PayloadError(Fault("$.method", "/method", f"Method must be one of {', '.join(METHODS)}."))
    data = payload.get("data")
    key = payload.get("idempotency_key") or _message_id(data)
    return request(payload["method"], url, payload.get("headers") or {}, data, settings, key)


def _message_id(data: Any) -> str:
    """A mapping that comes from Segment names no key, but mostly sends the whole event."""
    found = data.get("messageId") if isinstance(data, dict) else None
    return found if isinstance(found, str) else ""


SEND: Final = Action(
    slug="send",
    title="Send",
    description="Send an HTTP request.",
    default_trigger='type = "track"',
    fields=FIELDS,
    build=build,
    # A webhook comes once or more often, as webhooks do: an answer that was lost can't be looked up anywhere, and an
    # event that is held for a person because of it would be of less use than one that comes twice under one key.
    # Later it is another matter: receivers forget keys, and what was an e-mail or a push would be a second one.
    repeat=Repeat(safe=True, again=False),
)
