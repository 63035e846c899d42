"""Messages at the door: checked with Segment's rejection codes, completed, stamped. Pure."""

import contextlib
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from uuid import uuid4

import msgspec

from app.log.log import NewEvent

TYPES = frozenset({"identify", "track", "page", "screen", "group", "alias"})
CALLS = {**{type_: type_ for type_ in TYPES}, **{type_[0]: type_ for type_ in TYPES}}
"""The types by what a path may call them: the whole word, or its first letter as the browser's library has it."""
MAX_MESSAGE = 32 * 1024
MAX_MESSAGE_ID = 100
_MAY_BE_NULL = frozenset({"traits", "properties"})
_NEEDED_IDS = {"group": ("groupId",), "alias": ("previousId", "userId")}
"""Beside an id of the person."""


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
    if any(not message.get(name) for name in _NEEDED_IDS.get(type_, ())):
        return "id_required"
    if type_ in {"page", "screen"}:
        for name, code in (("name", "name_not_string"), ("category", "category_not_string")):
            if message.get(name) is not None and not isinstance(message[name], str):
                return code
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
    given = message.get("timestamp")
    original = _moment(given)
    timestamp = original or received_at
    if original is not None and sent_at is not None:
        # Two clocks that are millennia apart have no difference to correct by.
        with contextlib.suppress(OverflowError):
            timestamp = received_at - (sent_at - original)
    done = _without_nulls(message)
    for name, merged in (("context", envelope.context), ("integrations", envelope.integrations)):
        if merged:
            own = message.get(name)
            done[name] = {**merged, **own} if isinstance(own, dict) else dict(merged)
    if not message.get("messageId"):
        done["messageId"] = f"api-{uuid4()}"
    if original is not None:
        done["originalTimestamp"] = given if _is_text(given) else _text(original)
    if sent_at is not None:
        done["sentAt"] = _text_of_many(sent_at)
    done["timestamp"] = _text(timestamp)
    done["receivedAt"] = _text_of_many(received_at)
    return done


def as_segment_completed_it(message: dict[str, Any], received_at: datetime) -> dict[str, Any]:
    """A message that has passed Segment: merged, stamped and corrected there, which once more would spoil it.

    What Segment left out is filled in. An id is made of the message itself, so that a repetition has the same one.
    """
    done = _without_nulls(message)
    done.pop("writeKey", None)
    if not message.get("messageId"):
        done["messageId"] = f"segment-{hashlib.sha256(msgspec.json.encode(message)).hexdigest()[:32]}"
    came = _moment(message.get("receivedAt")) or received_at
    done["receivedAt"] = _text(came)
    done["timestamp"] = _text(_moment(message.get("timestamp")) or came)
    return done


def _without_nulls(message: dict[str, Any]) -> dict[str, Any]:
    """The client libraries send absent ids and names as null: to a trigger, null and absent are the same."""
    return {name: value for name, value in message.items() if value is not None or name in _MAY_BE_NULL}


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
        if moment.tzinfo is UTC:
            return moment
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):  # no time, or one that leaves the calendar on its way to UTC
        return None


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")[:-6] + "Z"


_text_of_many = lru_cache(maxsize=16)(_text)
"""A batch has its times of sending and receiving in each of its messages."""


def _is_text(value: Any) -> bool:
    """Whether a time that can be read is written as we write it, as most libraries do."""
    return len(value) == 24 and value[7] == "-" and value[10] == "T" and value[19] == "." and value[23] == "Z"


def envelope_of(body: Mapping[str, Any]) -> Envelope:
    """The batch's own fields; of a single message, nothing (it has them itself)."""
    context, integrations = body.get("context"), body.get("integrations")
    return Envelope(
        sent_at=_moment(body.get("sentAt")),
        context=context if isinstance(context, dict) else {},
        integrations=integrations if isinstance(integrations, dict) else {},
    )
