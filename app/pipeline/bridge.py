"""One event through one mapping, up to the request that would be sent: mapping, fields, request.

Pure. The deliverer sends such requests; the console and `scripts/try` only show them.
"""

from typing import Any

from app.destinations.base import Action, Payload, Request, Settings
from app.pipeline.mapping import Mapped, MappingError


def payload_for(action: Action, maps: Mapped, event: dict[str, Any]) -> Payload:
    """What the action gets of an event: mapped, without empty values, checked.

    Raises:
        MappingError: the event does not fit the mapping, or its context is null.
        PayloadError: a required field is missing, or a value has the wrong type.
    """
    payload = action.validate(maps(event))
    # Segment looks for audience data in context.personas just before it sends, and fails on a null there.
    context = event.get("context", {})
    if context is None or (isinstance(context, dict) and context.get("personas", {}) is None):
        raise MappingError("The event's context, or personas in it, is null.")
    return payload


def request_for(action: Action, maps: Mapped, event: dict[str, Any], settings: Settings) -> Request:
    """The request that the action makes of an event.

    Raises:
        MappingError, PayloadError: as `payload_for`.
        SettingsError: the destination's settings can't be used.
    """
    return action.build(payload_for(action, maps, event), settings)
