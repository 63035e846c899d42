"""What one condition of a trigger means to a person: the field, the comparison, the value."""

import math
import re
from collections.abc import Callable
from typing import Final

from app import jsvalues
from app.pipeline.lint_meaning import ORDER, Every, Meaning, Unsayable, negated
from app.pipeline.lint_words import WORD_OPERATORS, Value
from app.pipeline.trigger_reading import OBJECTS, Condition

SCALARS: Final = ("type", "event", "name", "userId")
_UNSEEN: Final = frozenset(
    [
        "anonymousId",
        "groupId",
        "messageId",
        "timestamp",
        "sentAt",
        "receivedAt",
        "originalTimestamp",
        "integrations",
        "previousId",
        "category",
        "channel",
        "version",
        "writeKey",
        "projectId",
    ]
)
Note = Callable[[str, str], None]
"""Takes the code and the piece of a slip."""


def keys_of(piece: str, note: Note) -> tuple[str, ...] | Unsayable:
    """The keys that a field's name means, or why it can't be said."""
    keys = _split(piece)
    if keys is None:
        return Unsayable(f"{piece} has a key with a dot or a bracket in it, which no path reaches")
    if keys[0] == "$":
        note("unknown-field", piece)
        keys = keys[1:]
    if len(keys) > 1 and keys[0] not in OBJECTS and keys[1] in (*SCALARS, *OBJECTS):
        note("deep-in-scalar" if keys[0] in SCALARS else "unknown-field", piece)
        keys = keys[1:]
    first = keys[0] if keys else ""
    if first in OBJECTS:
        if "[" in piece and "\\[" not in piece:
            note("brackets", piece)
        if len(keys) > 1:
            return keys
        note("whole-object", piece)
        return Unsayable(f"{first} as a whole can't be tested, only fields in it")
    if first in SCALARS:
        if len(keys) == 1:
            return keys
        note("deep-in-scalar", piece)
        return Unsayable(f"{first} is a text and has no {'.'.join(keys[1:])}")
    note("unknown-field", piece)
    known = {name.lower(): name for name in (*SCALARS, *OBJECTS)} | {"user_id": "userId"}
    if first.lower() in known and (len(keys) == 1) == (known[first.lower()] in SCALARS):
        return (known[first.lower()], *keys[1:])
    if first in _UNSEEN or not keys:
        return Unsayable(f"Segment's triggers can't see {first or piece}")
    return ("properties", *keys)


def compared(keys: tuple[str, ...], operator: str, value: Value, note: Note) -> Meaning:
    name, scalar = ".".join(keys), len(keys) == 1
    if operator in WORD_OPERATORS:
        return Condition(keys, operator, value.piece if value.kind != "text" else value.value)
    if operator in ORDER:
        number = jsvalues.to_number(value.value) if value.kind in ("number", "text") else math.nan
        if scalar or math.isnan(number) or not value.piece.strip("\"' "):
            note("not-a-number", f"{name} {operator} {value.piece}")
            what = f"{name} is a text" if scalar else f"{value.piece} is not one"
            return Unsayable(f"{operator} compares numbers alone, and {what}")
        if value.kind == "text":
            note("number-in-quotes", value.piece)
        return Condition(keys, operator, float(number))
    if value.kind == "null":
        if keys in (("type",), ("event",)):
            note("null-text", f"{name} {operator} null")
        found = Condition(keys, "not_exists", "null")
    elif scalar or value.kind == "text":
        if value.kind == "boolean" and keys != ("type",):
            note("word-is-text", value.piece)
        text = value.value if value.kind == "text" else value.piece.lower() if value.kind == "boolean" else value.piece
        found = Condition(keys, "=", text)
    elif value.kind == "number":
        found = Condition(keys, "number_equals", value.value)
    else:
        if operator == "!=":
            note("not-true", f"{name} != {value.piece}")
        found = Condition(keys, f"is_{value.piece.lower()}", value.value)
    return found if operator == "=" else negated(found)


def matched(keys: tuple[str, ...], pattern: str, note: Note) -> Meaning:
    """`*` at one end or at both, or in the middle; `?` and the like are plain letters."""
    if "*" not in pattern:
        note("match-without-star", pattern)
        return Condition(keys, "=", pattern)
    inner = pattern.strip("*")
    if pattern.startswith("*") and pattern.endswith("*"):
        if inner:
            note("match-two-stars", pattern)
        meaning: Meaning = Condition(keys, "contains", inner)
    elif pattern.endswith("*"):
        meaning = Condition(keys, "starts_with", pattern.rstrip("*"))
    elif pattern.startswith("*"):
        meaning = Condition(keys, "ends_with", pattern.lstrip("*"))
    else:
        note("match-inner-star", pattern)
        head, tail = pattern.split("*", 1)[0], pattern.rsplit("*", 1)[1]
        overlap = any(head.endswith(tail[:size]) for size in range(1, len(tail) + 1))
        if pattern.count("*") > 1 or overlap:
            return Unsayable(f"match() can't look for {pattern!r}, with a star in the middle")
        return Every((Condition(keys, "starts_with", head), Condition(keys, "ends_with", tail)))
    if "*" in inner:
        note("match-inner-star", pattern)
        return Unsayable(f"match() can't look for {pattern!r}, with a star in the middle")
    return meaning


def _split(piece: str) -> tuple[str, ...] | None:
    """The keys of a name, `["…"]` and escapes taken away. None where a key could not be reached."""
    keys: list[str] = []
    for match in re.finditer(r"""\[["']?([^"'\]]*)["']?\]|((?:\\.|[^.\[])+)""", piece):
        if match[1] is not None:
            if re.search(r"[.\[\]]", match[1]):
                return None
            keys.append(match[1])
        else:
            # An escaped dot or bracket still parts keys, on Segment.
            keys += [key for key in re.split(r"[.\[\]]", re.sub(r"\\(.)", r"\1", match[2])) if key]
    return tuple(keys)
