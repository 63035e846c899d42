"""Messages at the door: checked with Segment's rejection codes, completed, stamped. Pure."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from uuid import uuid4

import msgspec

from app.log.log import NewEvent

TYPES = frozenset({"identify", "track", "page", "screen", "group", "alias"})
MAX_MESSAGE = 32 * 1024
MAX_MESSAGE_ID = 100


@dataclass(frozen=True)
class Envelope:
    """What a batch says for all of its messages."""

    sent_at: datetime | None
    context: Mapping[str, Any]
    integrations: Mapping[str, Any]


def rejection(message: Any) -> str | None:
    """Segment's code for why a message can't be taken in, or None."""
    if not isinstance(message, dict):
        return "bad_request"
    type_ = message.get("type")
    if not isinstance(type_, str) or type_ not in TYPES:
        return "bad_request"
    for name in ("userId", "anonymousId", "groupId", "previousId", "messageId"):
        if message.get(name) is not None and not isinstance(message[name], str):
            return "id_not_string"
    if not message.get("userId") and not message.get("anonymousId"):
        return "no_user_anon_id"
    if len(message.get("messageId") or "") > MAX_MESSAGE_ID:
        return "bad_request"
    if type_ == "track":
        if message.get("event") in (None, ""):
            return "event_not_defined"
        if not isinstance(message["event"], str):
            return "event_not_string"
    if (type_ == "group" and not message.get("groupId")) or (type_ == "alias" and not message.get("previousId")):
        return "id_required"
    for name, code in (("properties", "properties_not_object"), ("traits", "traits_not_object")):
        if message.get(name) is not None and not isinstance(message[name], dict):
            return code
    return None


def complete(message: dict[str, Any], envelope: Envelope, received_at: datetime) -> dict[str, Any]:
    """The message as consumers see it: batch-level context and integrations merged in, ids and times filled.

    `timestamp = receivedAt - (sentAt - originalTimestamp)`: corrects a sender's wrong clock. Without `sentAt` there is
    nothing to correct by, and the time that was given counts.
    """
    sent_at = _moment(message.get("sentAt")) or envelope.sent_at
    original = _moment(message.get("timestamp"))
    timestamp = original or received_at
    if original is not None and sent_at is not None:
        # Two clocks that are millennia apart have no difference to correct by.
        with contextlib.suppress(OverflowError):
            timestamp = received_at - (sent_at - original)
    done = dict(message)
    for name, merged in (("context", envelope.context), ("integrations", envelope.integrations)):
        own = message.get(name)
        if merged:
            done[name] = {**merged, **own} if isinstance(own, dict) else dict(merged)
    done["messageId"] = message.get("messageId") or f"api-{uuid4()}"
    if original is not None:
        done["originalTimestamp"] = _text(original)
    if sent_at is not None:
        done["sentAt"] = _text(sent_at)
    done["timestamp"] = _text(timestamp)
    done["receivedAt"] = _text(received_at)
    # The client libraries send absent ids and names as null: to a trigger, null and absent are the same.
    return {name: value for name, value in done.items() if value is not None or name in {"traits", "properties"}}


def new_event(message: dict[str, Any], source: str, received_at: datetime) -> NewEvent:
    """A completed message as a row of the log."""
    properties = message.get("properties")
    order_id = properties.get("order_id") if isinstance(properties, dict) else None
    return NewEvent(
        message_id=message["messageId"],
        source=source,
        type=message["type"],
        name=message.get("event"),
        person=message.get("userId") or message["anonymousId"],
        order_id=order_id if isinstance(order_id, str) and len(order_id) <= 100 else None,
        message=msgspec.json.encode(message),
        received_at=received_at,
    )


def _moment(value: Any) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):  # no time, or one that leaves the calendar on its way to UTC
        return None


@lru_cache(maxsize=16)  # a batch has its times of sending and receiving in each of its messages
def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def envelope_of(body: Mapping[str, Any]) -> Envelope:
    """The batch's own fields; of a single message, nothing (it has them itself)."""
    context, integrations = body.get("context"), body.get("integrations")
    return Envelope(
        sent_at=_moment(body.get("sentAt")),
        context=context if isinstance(context, dict) else {},
        integrations=integrations if isinstance(integrations, dict) else {},
    )
