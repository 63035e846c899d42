"""What ./scripts/try answers to one question about a mapping, a trigger or the bridge. Pure: nothing is sent."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from app import jsvalues
from app.destinations.base import Preset
from app.destinations.voucherify import VOUCHERIFY
from app.destinations.voucherify.presets import OFFICIAL_PRESETS
from app.errors import LoyaltyError
from app.jsvalues import UNDEFINED
from app.pipeline.bridge import payload_for, request_for
from app.pipeline.mapping import compile_mapping
from app.pipeline.subscriptions import TriggerError, compile_trigger

SETTINGS = {
    "apiKey": "voucherifyApiKey",
    "secretKey": "voucherifySecretKey",
    "customURL": "https://us1.segmentio.voucherify.io",
}
"""Placeholders: nothing is sent."""

Answer = dict[str, Any]


def mapping(question: Answer) -> Answer:
    """`{"mapping", "payload"}`: the output, undefined, or an error."""
    try:
        output = compile_mapping(question.get("mapping"))(question.get("payload", UNDEFINED))
    except LoyaltyError as fault:
        return {"error": fault.sentence}
    return {"undefined": True} if output is UNDEFINED else {"output": output}


def trigger(question: Answer) -> Answer:
    """`{"fql", "event"}`: whether it is taken, or an error."""
    text = question.get("fql")
    if not isinstance(text, str):
        return {"error": "The trigger must be a text."}
    try:
        return {"match": compile_trigger(text)(question.get("event", UNDEFINED))}
    except LoyaltyError as fault:
        return {"error": fault.sentence}


def bridge(question: Answer) -> Answer:
    """As Segment: the settings are checked before any subscription, and each subscription fails for itself."""
    event: Any = question.get("event")
    try:
        settings = VOUCHERIFY.validate_settings(question.get("settings", SETTINGS))
    except LoyaltyError as fault:
        return {"requests": [], "errors": [fault.sentence]}
    requests, errors = [], []
    for subscription in _subscriptions(question):
        name = str(subscription.get("partnerAction"))
        action = VOUCHERIFY.actions.get(name)
        try:
            takes = compile_trigger(str(subscription.get("subscribe") or ""))
        except TriggerError:
            # Segment says so in the result of a call that has succeeded.
            continue
        try:
            if not takes(event):
                continue
            if name in jsvalues.OBJECT_MEMBERS:
                # Other unknown actions Segment passes over in silence.
                errors.append(f"{name} is not an action.")
            elif action is not None:
                maps = compile_mapping(subscription.get("mapping") or {})
                requests.append(asdict(request_for(action, maps, event, settings)))
        except LoyaltyError as fault:
            errors.append(fault.sentence)
    return {"requests": requests, "errors": errors}


def _subscriptions(question: Answer) -> list[Answer]:
    asked = question.get("subscriptions")
    if asked is None:
        return [
            {"subscribe": preset.trigger, "partnerAction": preset.action, "mapping": preset.mapping}
            for preset in OFFICIAL_PRESETS
        ]
    return [item for item in asked if isinstance(item, dict)] if isinstance(asked, list) else []


def steps(event: Any, presets: Sequence[Preset] = OFFICIAL_PRESETS) -> list[str]:
    """For each preset, in words, whether its trigger takes the event, and the payload or what is wrong with it."""
    told = []
    for preset in presets:
        try:
            if not compile_trigger(preset.trigger)(event):
                told.append(f"not taken by {preset.name}: {preset.trigger}")
                continue
            payload = payload_for(VOUCHERIFY.actions[preset.action], compile_mapping(dict(preset.mapping)), event)
            told.append(f"taken by {preset.name}: {preset.trigger}\n  payload: {jsvalues.stringify(payload)}")
        except LoyaltyError as fault:
            told.append(f"refused by {preset.name}: {fault.sentence}")
    return told
