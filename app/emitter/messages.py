"""Segment messages as values: what `identify` and `track` calls look like on the wire."""

from datetime import datetime
from typing import Any

VOUCHERIFY = "Voucherify (Actions)"
"""The destination's name in an `integrations` object; names there are case-sensitive."""


def identify(user_id: str, message_id: str, timestamp: datetime, traits: dict[str, Any]) -> dict[str, Any]:
    """An identify call. `traits` should carry both spellings that its readers know: see `members.service`."""
    return _message("identify", user_id, message_id, timestamp, traits=traits)


def track(
    user_id: str | None,
    message_id: str,
    timestamp: datetime,
    event: str,
    properties: dict[str, Any],
    *,
    anonymous_id: str | None = None,
    integrations: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """A track call. Money in `properties` is in major units, as Segment's e-commerce spec has it."""
    message = _message("track", user_id, message_id, timestamp, event=event, properties=properties)
    if anonymous_id is not None:
        message["anonymousId"] = anonymous_id
    if integrations is not None:
        message["integrations"] = integrations
    return message


def _message(type_: str, user_id: str | None, message_id: str, timestamp: datetime, **fields: Any) -> dict[str, Any]:
    return {
        "type": type_,
        "messageId": message_id,
        "timestamp": timestamp.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        **({"userId": user_id} if user_id is not None else {}),
        "context": {"library": {"name": "loyalty-accelerator", "version": "0.1.0"}},
        **fields,
    }
