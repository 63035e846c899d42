"""./scripts/try: a mapping, a trigger, the whole bridge or an insert function on an event, without sending anything.

Without options it reads JSON lines and answers each with one, in order, so that other programs can hold it against
theirs. With `--event` it answers that one, and says on stderr what is worth knowing about the trigger and the mapping.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from app import jsvalues
from app.destinations.catalogue import DESTINATIONS
from app.errors import LoyaltyError
from app.pipeline.lint import Finding, lint_mapping, lint_trigger
from scripts.lib import try_answers
from scripts.lib.say import say
from scripts.lib.try_answers import SETTINGS, Answer

EXAMPLES = """
examples:
  ./scripts/try mapping --mapping '{"to": {"@path": "$.userId"}}' --event '{"userId": "u1"}'
  ./scripts/try mapping --action upsertCustomer --event identify.json
  ./scripts/try fql --trigger 'type = "track" and properties.total >= 100' --event order.json
  ./scripts/try bridge --event '{"type": "identify", "userId": "u1", "traits": {"name": "Ann"}}'
  ./scripts/try function --event order.json

JSON lines, one answer to each question, in order:
  mapping   {"mapping", "payload"}                     -> {"output": ...} | {"undefined": true} | {"error": "..."}
  fql       {"fql", "event"}                           -> {"match": true or false} | {"error": "..."}
  bridge    {"event", "settings"?, "subscriptions"?}   -> {"requests": [{method, url, headers, body}], "errors": [...]}
  function  {"event", "function"?}                     -> {"outcome", "event", "error", "log", "calls"}
  Subscriptions are {"subscribe", "partnerAction", "mapping"}; left out, the presets of Segment's destination.

A function reads from Voucherify (or the sandbox) as always; what it would write is in calls, with "dry": true.
"""

ACTIONS = {slug: action for destination in DESTINATIONS for slug, action in destination.actions.items()}
"""Of all destinations, by slug."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Answer one event given by options, or all the lines of stdin."""
    options = _options(arguments)
    if options.kind == "function":
        # Not above: the database's packages take a second to load, and nothing else here needs them.
        from scripts.lib.try_function import Functions

        with Functions() as functions:
            return _function(functions.answer, options) if options.event is not None else _lines(functions.answer)
    if options.event is None:
        return _lines(LINES[options.kind])
    return {"mapping": _mapping, "fql": _trigger, "bridge": _bridge}[options.kind](options)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./scripts/try",
        description="Try a mapping, a trigger (fql), the whole Voucherify bridge or an insert function on an event. "
        "Nothing is sent and nothing is kept. Exit code: 0 answered, 1 it fails on this event, 2 asked wrongly.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("kind", choices=(*LINES, "function"))
    parser.add_argument("--event", type=_json, help="the event: JSON, or the name of a file with JSON")
    parser.add_argument("--mapping", type=_json, help="for mapping: the mapping, likewise; else the action's own")
    parser.add_argument(
        "--action", choices=ACTIONS, metavar="ACTION",
        help=f"for mapping: check the output as this action does ({', '.join(ACTIONS)})",
    )  # fmt: skip
    parser.add_argument("--trigger", help='for fql: the trigger, such as type = "track"; for mapping: whose it is')
    parser.add_argument("--settings", type=_json, help="for bridge: the destination's settings, JSON or a file")
    parser.add_argument("--function", help="for function: the name of its file; else the one of Voucherify")
    options = parser.parse_args(arguments)
    belongs = {
        "mapping": ("mapping", "action", "trigger"), "fql": ("trigger",), "bridge": ("settings",),
        "function": ("function",),
    }[options.kind]  # fmt: skip
    given = [
        name for name in ("mapping", "action", "trigger", "settings", "function") if getattr(options, name) is not None
    ]
    if foreign := [f"--{name}" for name in given if name not in belongs]:
        parser.error(f"{options.kind} takes no {', '.join(foreign)}")
    if options.event is None and given:
        parser.error("give an --event too, or none of these options to read JSON lines")
    if options.event is not None and options.kind == "mapping" and options.mapping is None and options.action is None:
        parser.error("mapping needs --mapping or --action as well")
    if options.event is not None and options.kind == "fql" and options.trigger is None:
        parser.error("fql needs --trigger as well")
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


def _mapping(options: argparse.Namespace) -> int:
    """The output, as the action would send it where one is named; and what is worth knowing of the mapping."""
    action = ACTIONS.get(options.action)
    mapping = action.default_mapping if options.mapping is None and action is not None else options.mapping
    trigger = options.trigger or (action.default_trigger if action is not None else "")
    answered = try_answers.mapping({"mapping": mapping, "payload": options.event})
    if "error" not in answered and action is not None:
        try:
            answered = {"output": action.validate(answered.get("output"))}
        except LoyaltyError as fault:
            answered = {"error": fault.sentence}
    if isinstance(mapping, dict):
        came = [options.event] if isinstance(options.event, dict) and "error" not in answered else []
        findings = lint_mapping(action, trigger, mapping, came)
        _tell(findings)
        if "error" in answered and any(finding.code in {"invalid-mapping", "bad-liquid"} for finding in findings):
            return 1  # the findings have said it
    return _show(answered)


def _trigger(options: argparse.Namespace) -> int:
    """Whether the event is taken, how Segment reads the trigger, and how to say what was meant."""
    _tell(lint_trigger(options.trigger))
    return _show(try_answers.trigger({"fql": options.trigger, "event": options.event}))


def _bridge(options: argparse.Namespace) -> int:
    """The requests; and for each preset whether its trigger takes the event, and the payload."""
    for told in try_answers.steps(options.event):
        say(told)
    answered = try_answers.bridge({"event": options.event, "settings": options.settings or SETTINGS})
    _print(answered)
    return 1 if answered["errors"] else 0


def _function(answer: Callable[[Answer], Answer], options: argparse.Namespace) -> int:
    answered = answer({"event": options.event, "function": options.function})
    if "outcome" not in answered:
        return _show(answered)
    _print(answered)
    return 0 if answered["outcome"] in ("returned", "dropped") else 1


def _show(answered: Answer) -> int:
    """The answer on stdout, or what is wrong on stderr; the exit code."""
    if "error" in answered:
        say(str(answered["error"]))
        return 1
    _print(answered.get("output", answered))
    return 0


def _print(shown: Any) -> None:
    print(json.dumps(json.loads(str(jsvalues.stringify(shown))), indent=2, ensure_ascii=False))


def _tell(findings: Iterable[Finding]) -> None:
    """Findings for a person, on stderr: stdout is for the answer alone. What all of them share is said once."""
    told: set[tuple[str, str]] = set()
    for finding in findings:
        at = f"{finding.at}: " if finding.at and not finding.sentence.startswith(finding.at) else ""
        say(f"{finding.level}: {at}{finding.sentence}")
        lines = [("Segment reads", finding.reads_as), ("write instead", finding.write_instead)]
        lines += [("one mapping for", trigger) for trigger in finding.split]
        for name, text in lines:
            if text and (name, text) not in told:
                told.add((name, text))
                say(f"  {name}: {text}")


LINES: dict[str, Callable[[Answer], Answer]] = {
    "mapping": try_answers.mapping,
    "fql": try_answers.trigger,
    "bridge": try_answers.bridge,
}
"""By kind, what answers a line; functions have a process that must be started first."""


if __name__ == "__main__":
    sys.exit(main())
