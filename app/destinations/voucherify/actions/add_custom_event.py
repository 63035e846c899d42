"""Add custom event: a track, page or screen becomes a custom event of the customer in Voucherify."""

from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import quote

from app.destinations.base import Action, Payload, Repeat, Request, Sent, Settings
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


LONGEST_ON_ITS_WAY: Final = timedelta(minutes=3)
"""Voucherify's gateway gives a request this long. What is recorded later is not what we sent."""
MOST_ENTRIES: Final = 100
"""The largest page of an activity."""


def look_up(payload: Payload, settings: Settings) -> Request:
    """The question which custom events of the customer Voucherify has, the newest first."""
    customer = quote(payload["customer"]["source_id"], safe="")
    path = f"customers/{customer}/activity?type=customer.custom_event&limit={MOST_ENTRIES}"
    return transport.v1(settings["api"], path, None, "GET")


def is_recorded(found: Any, sent: Sent) -> bool:
    """Whether the activity proves that Voucherify recorded this very event.

    Nothing in an entry names our message, so it is known by what it looks like: the event's name, no metadata that we
    did not send (through the gateway undefined keys are dropped, so fewer keys are possible), and recorded between the
    moment of sending and the longest time that a request may be on its way. Only where exactly one entry is like that
    it is ours. None, or several: nobody can know which, and the answer is no, which sends nothing again and asks an
    operator. So is an activity whose page ends within that time, or which cannot be read.

    Events of one person leave one at a time and later ones wait for this one, so an entry like ours is somebody else's
    only if another system sends the same event for the same customer in these minutes, or if Voucherify's clock is
    ahead of ours by more than the time since the person's last event of the same look. The time of sending is therefore
    not stretched backwards to make up for clocks that differ: a clock that is behind makes the event unclear, not lost.
    """
    entries = found.get("data") if isinstance(found, dict) else None
    if not isinstance(entries, list):
        return False
    moments = [_recorded_at(entry) for entry in entries]
    known = [moment for moment in moments if moment is not None]
    # Voucherify's times are cut to whole milliseconds, so that of sending has to be as well.
    since = sent.started_at.replace(microsecond=sent.started_at.microsecond // 1000 * 1000)
    if len(known) < len(entries) or (found.get("has_more") and min(known, default=since) >= since):
        return False
    in_time = [entry for entry, at in zip(entries, known, strict=True) if since <= at <= since + LONGEST_ON_ITS_WAY]
    return sum(_looks_like(entry, sent.payload) for entry in in_time) == 1


def _recorded_at(entry: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(entry["created_at"])
    except (KeyError, TypeError, ValueError):
        return None
    return moment if moment.tzinfo else None


def _looks_like(entry: dict[str, Any], payload: Payload) -> bool:
    data = entry.get("data")
    # The published schema has the event's data one level down; other samples of the same entries do not.
    details = data.get("data", data) if isinstance(data, dict) else None
    event = details.get("event") if isinstance(details, dict) else None
    if not isinstance(event, dict) or not payload.get("event") or event.get("type") != payload["event"]:
        return False
    sent, kept = payload.get("metadata") or {}, event.get("metadata") or {}
    return isinstance(kept, dict) and all(name in sent and sent[name] == value for name, value in kept.items())


ADD_CUSTOM_EVENT: Final = Action(
    slug="addCustomEvent",
    title="Add custom event",
    description="Send a track, page or screen as a custom event.",
    default_trigger='type = "track" or type = "page" or type = "screen"',
    fields=FIELDS,
    build=build,
    repeat=Repeat(
        safe=False,  # a repeat is another event, and earns again
        look_up=look_up,
        is_done=is_recorded,
        delay=10.0,  # Voucherify works in the background for some seconds, and who looks too early asks a person
        sends_again=False,
    ),
)
