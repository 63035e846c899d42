"""What a person should know about a mapping: what never leaves, what may be missing, what erases.

It looks at the mapping, at the action's fields and at what the trigger says about the events; where sample events are
given, also at what becomes of them.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from app import jsvalues
from app.destinations.base import Action
from app.destinations.fields import Field
from app.pipeline import liquid
from app.pipeline.lint_events import TYPES, TYPES_WITH, makes_sure_of, takes_types
from app.pipeline.lint_finding import Finding
from app.pipeline.lint_leaving import names_and_nulls, never_leave, refused, taken_of
from app.pipeline.lint_walk import Directive, Keys, Text, paths, walk
from app.pipeline.mapping import compile_mapping
from app.pipeline.mapping_check import MappingError, check, is_directive
from app.pipeline.paths import path_keys
from app.pipeline.trigger_lexer import TriggerError
from app.pipeline.trigger_reading import Reading, read

_MESSAGE: Final = frozenset(
    [
        "anonymousId",
        "channel",
        "context",
        "integrations",
        "messageId",
        "originalTimestamp",
        "receivedAt",
        "sentAt",
        "timestamp",
        "type",
        "userId",
        "version",
        "writeKey",
        "projectId",
        "_metadata",
        "event",
        "properties",
        "name",
        "category",
        "traits",
        "groupId",
        "previousId",
    ]
)
"""What a Segment message can have at its top."""
_INTERNAL: Final = "__segment_internal_"


def lint_mapping(
    action: Action | None, trigger: str, mapping: Mapping[str, Any], samples: Sequence[dict[str, Any]] = ()
) -> list[Finding]:
    """All that is to be known about a mapping. Samples are events that came; those that the trigger takes count.

    Without an action nothing is said about its fields.
    """
    plain = dict(mapping)
    try:
        maps = compile_mapping(plain)
        found = list(walk(plain))
    except MappingError as fault:
        return [_invalid(message) for message in fault.messages]
    try:
        reading: Reading | None = read(trigger)
    except TriggerError:
        reading = None
    taken = list(taken_of(reading, samples))
    directives = [item for item in found if isinstance(item, Directive)]
    read_paths = [path for directive in directives for path in paths(directive)]
    rooted = is_directive(plain) or f"{_INTERNAL}directive" in plain
    fields = () if rooted or action is None else action.fields
    return [
        *(_root() if rooted else ()),
        *(_fields(fields, plain, "") if fields else ()),
        *_texts(found),
        *_options(directives),
        *_liquids(directives),
        *_in_lists(plain, ""),
        *_paths(directives, reading),
        *_required(fields, plain, reading, ""),
        *names_and_nulls(fields, plain, read_paths, taken),
        *never_leave(read_paths, reading, taken, guess=not samples),
        *refused(action, maps, taken),
    ]


def _invalid(message: str) -> Finding:
    at = message.partition(" ")[0]
    return Finding("invalid-mapping", "error", message, at=at if at.startswith("/") else None)


def _root() -> Iterator[Finding]:
    yield Finding(
        "root-directive",
        "note",
        "One directive makes the whole payload, so its fields can't be checked before an event comes; where the "
        "directive finds nothing, the event is refused.",
        at="/",
    )


def _fields(fields: Sequence[Field], mapping: Mapping[str, Any], at: str) -> Iterator[Finding]:
    """Keys that no field names, and required fields that nothing fills."""
    known = {field.name: field for field in fields}
    for key, value in mapping.items():
        if key.startswith(_INTERNAL):
            continue
        if key not in known:
            names = ", ".join(known)
            yield Finding(
                "unknown-key", "warning", f"The action has no field {key}, so it is not sent. It has {names}.",
                at=f"{at}/{key}",
            )  # fmt: skip
        elif known[key].properties and isinstance(value, dict) and not is_directive(value):
            yield from _fields(known[key].properties, value, f"{at}/{key}")
    for field in fields:
        if field.required and field.name not in mapping:
            yield Finding(
                "required-unmapped", "error", f"The action can't do without {field.name}: every event is refused.",
                at=f"{at}/{field.name}",
            )  # fmt: skip


def _texts(found: Sequence[Directive | Text]) -> Iterator[Finding]:
    """Texts that look as if they were meant for a directive, and templates with paths in them."""
    for item in found:
        if isinstance(item, Directive):
            if item.name == "@template" and isinstance(item.operand, str) and "{{$." in item.operand.replace(" ", ""):
                right = item.operand.replace("$.", "")
                sentence = f"In @template a path has no $. in front: {item.operand!r} leaves a gap. Write {right!r}."
                yield Finding("template-with-path", "warning", sentence, at=item.at)
        elif item.text.startswith("$."):
            sentence = f'{item.text} is sent as it stands. To look it up, write {{"@path": "{item.text}"}}.'
            yield Finding("text-not-path", "warning", sentence, at=item.at)
        elif "{{" in item.text and "}}" in item.text:
            sentence = f'{item.text!r} is sent as it stands. To fill it in, write {{"@template": …}} around it.'
            yield Finding("text-not-template", "warning", sentence, at=item.at)


def _options(directives: Sequence[Directive]) -> Iterator[Finding]:
    """Options that are valid and do not do what they say."""
    for directive in directives:
        options, name = directive.operand, directive.name
        if not isinstance(options, dict):
            continue
        if name == "@if" and "else" in options and options["else"] in ("", 0, False, None):
            yield Finding(
                "else-is-nothing", "note", 'An else of "", 0, false or null counts as no else: the field is left out.',
                at=directive.at,
            )  # fmt: skip
        key = {"@json": "mode", "@merge": "direction"}.get(name)
        value = options.get(key) if key else None
        if isinstance(value, str) and value != value.lower():
            sentence = f"{key} {value!r} is accepted and then not understood: write it in small letters."
            yield Finding("capital-option", "warning", sentence, at=directive.at)


def _liquids(directives: Sequence[Directive]) -> Iterator[Finding]:
    """Liquid templates that fail on every event: Segment looks at them when one comes."""
    for directive in directives:
        if directive.name != "@liquid" or not isinstance(directive.operand, str):
            continue
        length, fault = jsvalues.length(directive.operand), None
        if length > liquid.MAX_LENGTH:
            fault = f"it has {length:,} characters, and {liquid.MAX_LENGTH:,} is the most"
        else:
            fault = liquid.unreadable(directive.operand)
        if fault:
            sentence = f"The @liquid template can't be used, so every event that gets to it is refused: {fault}."
            yield Finding("bad-liquid", "error", sentence, at=directive.at)


def _in_lists(mapping: Any, at: str, *, inside: bool = False) -> Iterator[Finding]:
    """Directives where Segment looks at nothing beforehand, that will fail when an event gets there."""
    if isinstance(mapping, list):
        for index, member in enumerate(mapping):
            yield from _in_lists(member, f"{at}/{index}", inside=True)
    elif isinstance(mapping, dict):
        if inside and any(key.startswith("@") for key in mapping):
            try:
                check(mapping)
            except MappingError as fault:
                sentence = f"It stands where nothing is checked before an event comes: {' '.join(fault.messages)}"
                yield Finding("bad-in-list", "warning", sentence, at=at)
                return
        for key, member in mapping.items():
            yield from _in_lists(member, f"{at}/{key}", inside=inside or key in ("@literal", "@excludeWhenNull"))


def _paths(directives: Sequence[Directive], reading: Reading | None) -> Iterator[Finding]:
    """Paths that no event has, or none of those that the trigger takes."""
    types = takes_types(reading)
    for directive in directives:
        if directive.name == "@liquid":
            continue
        for path in paths(directive):
            if not path:
                continue
            first, shown = path[0], ".".join(path)
            if first not in _MESSAGE:
                yield Finding(
                    "no-such-path", "note" if directive.guarded else "warning",
                    f"No Segment message has {first} at its top: $.{shown} is empty unless an insert function adds it.",
                    at=directive.at,
                )  # fmt: skip
            elif types and not directive.guarded and types.isdisjoint(TYPES_WITH.get(first, TYPES)):
                yield Finding(
                    "not-in-these-events", "warning",
                    f"Events of the type {' or '.join(sorted(types))} have no {first}, so $.{shown} is empty.",
                    at=directive.at,
                )  # fmt: skip


def _required(
    fields: Sequence[Field], mapping: Mapping[str, Any], reading: Reading | None, at: str
) -> Iterator[Finding]:
    """Required fields that come from a field of the message which not every event has."""
    for field in fields:
        value = mapping.get(field.name)
        if field.properties and isinstance(value, dict) and not is_directive(value):
            yield from _required(field.properties, value, reading, f"{at}/{field.name}")
        elif field.required and is_directive(value) and isinstance(value, dict):
            path = value.get("@path")
            keys = path_keys(path) if isinstance(path, str) else ()
            if keys in (("userId",), ("name",), ("event",)) and not _is_there(keys, reading):
                why = "events of anonymous visitors have none" if keys == ("userId",) else "not every event has one"
                hint = " Add `userId != null` to the trigger." if keys == ("userId",) else ""
                yield Finding(
                    "required-can-be-missing", "note",
                    f"{field.name} is required and comes from {keys[0]}: {why}, and such events are refused.{hint}",
                    at=f"{at}/{field.name}",
                )  # fmt: skip


def _is_there(keys: Keys, reading: Reading | None) -> bool:
    if keys == ("event",) and takes_types(reading) == {"track"}:
        return True
    return makes_sure_of(reading, keys)
