"""Add custom event: a track, page or screen becomes a custom event of the customer in Voucherify."""

from typing import Any, Final

from app.destinations.base import Action, Payload, Request, Settings
from app.destinations.fields import Fault, Field, PayloadError
from app.destinations.voucherify import transport


def customer_field(email: Any) -> Field:
    """The customer of an event or of a group; `email` is the default mapping of the address."""
    return Field(
        "customer",
        "Customer Object",
        "object",
        required=True,
        properties=(Field("source_id", "Source ID", required=True), Field("email", "Email")),
        default={"source_id": {"@path": "$.userId"}, "email": email},
    )


def _first_of(first: str, second: str) -> dict[str, Any]:
    return {"@if": {"exists": {"@path": first}, "then": {"@path": first}, "else": {"@path": second}}}


FIELDS: Final = (
    customer_field(_first_of("$.properties.email", "$.context.traits.email")),
    Field(
        "referral",
        "Referral Object",
        "object",
        properties=(Field("code", "code"), Field("referrer_id", "referrer_id")),
        default={
            "code": {"@path": "$.properties.referral.code"},
            "referrer_id": {"@path": "$.properties.referral.referrer_id"},
        },
        help="The code of a referral programme whose conversion is this event.",
    ),
    Field(
        "loyalty",
        "Loyalty Object",
        "object",
        properties=(Field("code", "code"),),
        default={"code": {"@path": "$.properties.loyalty.code"}},
        help="The loyalty card that earns, where an earning rule counts this event.",
    ),
    Field(
        "metadata",
        "Track Event Metadata",
        "object",
        default={"@path": "$.properties.metadata"},
        help="The event's attributes as Voucherify's event schema defines them. Other properties are not sent.",
    ),
    Field("event", "Event Name", default=_first_of("$.event", "$.name")),
    Field("type", "Event Type", required=True, default={"@path": "$.type"}),
)


def build(payload: Payload, settings: Settings) -> Request:
    """The request that sends the event.

    Raises:
        PayloadError: the event has no name, which the gateway accepts and the public API does not.
    """
    if transport.uses_v1(settings):
        return transport.v1(settings, "events", _event(payload))
    return transport.segmentio(settings, "event-processing", payload)


def _event(payload: Payload) -> dict[str, Any]:
    if not payload.get("event"):
        raise PayloadError(Fault("$", "", "The root value is missing the required field 'event'."))
    # No email: through the gateway a track never changes the customer, through the API it would.
    event = {"event": payload["event"], "customer": {"source_id": payload["customer"]["source_id"]}}
    return event | {key: payload[key] for key in ("referral", "loyalty", "metadata") if payload.get(key)}


ADD_CUSTOM_EVENT: Final = Action(
    slug="addCustomEvent",
    title="Add custom event",
    description="Send a track, page or screen as a custom event.",
    default_trigger='type = "track" or type = "page" or type = "screen"',
    fields=FIELDS,
    build=build,
)
