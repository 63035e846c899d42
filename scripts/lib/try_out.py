"""./scripts/try: a mapping, a trigger or the whole bridge on an event, without sending anything.

Without options it reads JSON lines and answers each with one, in order, so that other programs can hold it against
theirs.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from app import jsvalues
from app.destinations.voucherify import VOUCHERIFY
from app.destinations.voucherify.presets import OFFICIAL_PRESETS
from app.errors import LoyaltyError
from app.jsvalues import UNDEFINED
from app.pipeline.bridge import request_for
from app.pipeline.mapping import compile_mapping
from app.pipeline.subscriptions import TriggerError, compile_trigger

EXAMPLES = """
examples:
  ./scripts/try mapping --mapping '{"to": {"@path": "$.userId"}}' --event '{"userId": "u1"}'
  ./scripts/try fql --trigger 'type = "track" and properties.total >= 100' --event order.json
  ./scripts/try bridge --event '{"type": "identify", "userId": "u1", "traits": {"name": "Ann"}}'

JSON lines, one answer to each question, in order:
  mapping   {"mapping", "payload"}                     -> {"output": ...} | {"undefined": true} | {"error": "..."}
  fql       {"fql", "event"}                           -> {"match": true or false} | {"error": "..."}
  bridge    {"event", "settings"?, "subscriptions"?}   -> {"requests": [{method, url, headers, body}], "errors": [...]}
  Subscriptions are {"subscribe", "partnerAction", "mapping"}; left out, the presets of Segment's destination.
"""

SETTINGS = {
    "apiKey": "voucherifyApiKey",
    "secretKey": "voucherifySecretKey",
    "customURL": "https://us1.segmentio.voucherify.io",
}
"""Placeholders: nothing is sent."""

Answer = dict[str, Any]


def main(arguments: Sequence[str] | None = None) -> int:
    """Answer one event given by options, or all the lines of stdin."""
    options = _options(arguments)
    answer = ANSWERS[options.kind]
    if options.event is None:
        return _lines(answer)
    question = {"event": options.event, "payload": options.event}
    question |= {
        name: value
        for name, value in (("mapping", options.mapping), ("fql", options.trigger), ("settings", options.settings))
        if value is not None
    }
    answered = answer(question)
    if "error" in answered:
        print(answered["error"], file=sys.stderr)
        return 1
    shown = answered.get("output", answered)
    print(json.dumps(json.loads(str(jsvalues.stringify(shown))), indent=2, ensure_ascii=False))
    return 1 if answered.get("errors") else 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./scripts/try",
        description="Try a mapping, a trigger (fql) or the whole Voucherify bridge on an event. Nothing is sent.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("kind", choices=ANSWERS)
    parser.add_argument("--event", type=_json, help="the event: JSON, or the name of a file with JSON")
    parser.add_argument("--mapping", type=_json, help="for mapping: the mapping, likewise")
    parser.add_argument("--trigger", help='for fql: the trigger, such as type = "track"')
    parser.add_argument("--settings", type=_json, help="for bridge: the destination's settings, JSON or a file")
    options = parser.parse_args(arguments)
    needed = {"mapping": "mapping", "fql": "trigger"}.get(options.kind)
    if options.event is None and any((options.mapping, options.trigger, options.settings)):
        parser.error("give an --event too, or none of these options to read JSON lines")
    if options.event is not None and needed and getattr(options, needed) is None:
        parser.error(f"{options.kind} needs --{needed} as well")
    if options.event is None and sys.stdin.isatty():
        parser.error("give an --event, or send JSON lines")
    return options


def _json(text: str) -> Any:
    try:
        return jsvalues.parse(text)
    except ValueError as fault:
        reason = f"not JSON ({fault})"
    file = Path(text)
    try:
        return jsvalues.parse(file.read_text("utf-8"))
    except ValueError as fault:
        raise argparse.ArgumentTypeError(f"the file {file} is not JSON ({fault})") from None
    except OSError:
        raise argparse.ArgumentTypeError(f"{reason}, and no file of that name can be read: {text[:80]}") from None


def _lines(answer: Callable[[Answer], Answer]) -> int:
    for number, line in enumerate(sys.stdin.buffer, 1):
        if not line.strip():
            continue
        try:
            question = jsvalues.parse(line.decode("utf-8", "surrogatepass"))
        except ValueError as fault:
            answered: Answer = {"error": f"Line {number} is not JSON: {fault}."}
        else:
            answered = answer(question) if isinstance(question, dict) else {"error": f"Line {number} is no object."}
        sys.stdout.buffer.write(str(jsvalues.stringify(answered)).encode() + b"\n")
        sys.stdout.buffer.flush()
    return 0


def _mapping(question: Answer) -> Answer:
    try:
        output = compile_mapping(question.get("mapping"))(question.get("payload", UNDEFINED))
    except LoyaltyError as fault:
        return {"error": fault.sentence}
    return {"undefined": True} if output is UNDEFINED else {"output": output}


def _trigger(question: Answer) -> Answer:
    text = question.get("fql")
    if not isinstance(text, str):
        return {"error": "The trigger must be a text."}
    try:
        return {"match": compile_trigger(text)(question.get("event", UNDEFINED))}
    except LoyaltyError as fault:
        return {"error": fault.sentence}


def _bridge(question: Answer) -> Answer:
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
            trigger = compile_trigger(str(subscription.get("subscribe") or ""))
        except TriggerError:
            # Segment says so in the result of a call that has succeeded.
            continue
        try:
            if not trigger(event):
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


ANSWERS: dict[str, Callable[[Answer], Answer]] = {"mapping": _mapping, "fql": _trigger, "bridge": _bridge}


if __name__ == "__main__":
    sys.exit(main())
