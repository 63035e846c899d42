"""A meaning as Segment must be told it: one trigger where its language can say it, else one for each of several
mappings.

Segment's language can hold parentheses one deep, with one function at most in each, at its end. An `and` of `or`s or
an `or` of `and`s often fits; where too many functions stand together, one mapping for each alternative says it.
"""

import math
import re
from dataclasses import dataclass
from itertools import combinations, product
from typing import Final

from app import jsvalues
from app.pipeline.lint_meaning import (
    EVERY_EVENT,
    ORDER,
    Either,
    Every,
    Meaning,
    Term,
    TooMany,
    Unsayable,
    as_meaning,
    conditions,
    contradict,
    simplified,
    terms,
)
from app.pipeline.trigger_reading import Condition, Reading

MOST_TRIGGERS: Final = 8
"""A mapping for each: more are no help to anybody."""
_FUNCTIONS: Final = frozenset(
    {"contains", "starts_with", "ends_with", "not_contains", "not_starts_with", "not_ends_with"}
)


@dataclass(frozen=True, slots=True)
class Written:
    """A meaning in Segment's language: one trigger; or None and why, and then several that say it together, if any."""

    trigger: str | None
    split: tuple[str, ...] = ()
    reason: str = ""


class _Impossible(Exception):
    """Segment's language can't say it."""


def alternatives(reading: Reading) -> list[Term]:
    """The rows of conditions of which an event must meet one; none where Segment fails or there are too many."""
    meaning = as_meaning(reading)
    if any(isinstance(condition, Unsayable) for condition in conditions(meaning)):
        return []
    try:
        return terms(meaning, Every)
    except TooMany:
        return []


def written(meaning: Meaning) -> Written:
    """The meaning in Segment's language."""
    meaning = simplified(meaning)
    try:
        prepared = simplified(_sayable(meaning))
        if isinstance(direct := _direct(prepared), str):
            return Written(direct)
        rows = terms(prepared, Every)
        if not rows:
            return Written(None, reason="No event can meet it.")
        whole = _shortest(_direct(Either(tuple(map(_all_of, rows)))), _dual(prepared))
        return Written(whole) if whole else _split(rows)
    except TooMany:
        return Written(None, reason="It has too many combinations to be said in another way.")
    except _Impossible as impossible:
        return Written(None, reason=f"Segment's triggers can't say it: {impossible}.")


def _sayable(meaning: Meaning) -> Meaning:
    """The meaning without what must be said in another way; raises `_Impossible` where there is none."""
    if isinstance(meaning, Unsayable):
        raise _Impossible(meaning.reason)
    if not isinstance(meaning, Condition):
        items: list[Meaning] = []
        for item in map(_sayable, meaning.items):
            # Every event has a type, so a test of that says nothing in `and` and everything in `or`.
            if item == EVERY_EVENT and isinstance(meaning, Either):
                return EVERY_EVENT
            if item != EVERY_EVENT:
                items.append(item)
        return type(meaning)(tuple(items)) if items else EVERY_EVENT
    if meaning.keys == ("type",) and meaning.operator == "exists":
        return EVERY_EVENT
    if meaning.keys == ("event",) and meaning.operator == "exists":
        return Condition(("event",), "contains", "")
    condition_text(meaning)
    return meaning


def condition_text(condition: Condition) -> str:
    """One condition in Segment's language."""
    keys, operator, value = condition.keys or (), condition.operator, condition.value
    if not keys:
        raise _Impossible("a condition that never holds")
    name = ".".join([keys[0], *map(_key, keys[1:])])
    if operator in ("exists", "not_exists"):
        if keys in (("type",), ("event",)):
            raise _Impossible(f"that {name} is missing")
        return f"{name} {'!=' if operator == 'exists' else '='} null"
    if operator in ("is_true", "is_false"):
        return f"{name} = {operator.removeprefix('is_')}"
    if operator in ("number_equals", "number_not_equals"):
        return f"{name} {'=' if operator == 'number_equals' else '!='} {_number(value)}"
    if operator in ORDER:
        return f"{name} {operator} {_number(value)}"
    text = _quoted(str(value), operator)
    if operator in ("=", "!="):
        return f"{name} {operator} {text}"
    if keys == ("type",):
        raise _Impossible("functions can't look at the type")
    negation = "!" if operator.startswith("not_") else ""
    return f"{negation}{'contains' if operator.endswith('contains') else 'match'}({name}, {text})"


def _quoted(text: str, operator: str) -> str:
    if '"' in text:
        raise _Impossible("a text with a double quote in it")
    if operator.endswith("starts_with"):
        return f'"{text}*"'
    if operator.endswith("ends_with"):
        if text.endswith("*"):
            raise _Impossible("a text that ends with a star")
        return f'"*{text}"'
    return f'"{text}"'


def _key(key: str) -> str:
    """A key of a path, with what may not stand in a name escaped."""
    if not key or any(character > "\uffff" for character in key) or re.search(r"[.\[\]]", key):
        raise _Impossible(f"a path with the key {key!r}")
    escaped = re.sub(r"[^a-zA-Z0-9_-]", lambda match: f"\\{match[0]}", key)
    return f"\\{escaped}" if re.match(r"[0-9-]|(and|or|null)\Z", escaped) else escaped


def _number(number: float) -> str:
    """Digits alone: the language has no exponents."""
    if not math.isfinite(number):
        raise _Impossible("a number that is too great")
    text = jsvalues.number_to_string(number)
    return text if "e" not in text else f"{number:.400f}".rstrip("0").rstrip(".")


def _is_function(condition: Meaning) -> bool:
    return isinstance(condition, Condition) and condition.operator in _FUNCTIONS


def _direct(meaning: Meaning) -> str | None:
    """The trigger of the same form, where Segment can read that form."""
    if isinstance(meaning, Condition):
        return condition_text(meaning)
    assert isinstance(meaning, (Every, Either))
    parts = []
    for item in meaning.items:
        if isinstance(item, Condition):
            parts.append(condition_text(item))
        elif isinstance(item, (Every, Either)) and all(isinstance(part, Condition) for part in item.items):
            if sum(map(_is_function, item.items)) > 1:
                return None
            parts.append(f"({_joined(item)})")
        else:
            return None
    return (" and " if isinstance(meaning, Every) else " or ").join(parts)


def _joined(level: Every | Either) -> str:
    """Inside parentheses. A function comes last: its own `)` closes them, and Segment ignores the one after it."""
    connector = " and " if isinstance(level, Every) else " or "
    items = sorted((item for item in level.items if isinstance(item, Condition)), key=_is_function)
    return connector.join(map(condition_text, items))


def _all_of(term: Term) -> Meaning:
    return term[0] if len(term) == 1 else Every(term)


def _dual(meaning: Meaning) -> str | None:
    try:
        clauses = terms(meaning, Either)
    except TooMany:
        return None
    return _direct(Every(tuple(clause[0] if len(clause) == 1 else Either(clause) for clause in clauses)))


def _shortest(*triggers: str | None) -> str | None:
    return min((trigger for trigger in triggers if trigger), key=len, default=None)


def _split(rows: list[Term]) -> Written:
    """One trigger for each alternative with several functions in it, and one for all the others."""
    alone = [row for row in rows if sum(map(_is_function, row)) > 1]
    together = [row for row in rows if row not in alone]
    if len(alone) + bool(together) > MOST_TRIGGERS:
        return Written(None, reason="Segment's triggers can't say it, and it would take too many mappings.")
    triggers = [str(_direct(_all_of(row))) for row in alone]
    if together:
        triggers.insert(0, str(_direct(simplified(Either(tuple(map(_all_of, together)))))))
    reason = (
        "No single trigger can say it, for the `)` of a function ends the parentheses around it: "
        "make a mapping for each of several."
    )
    if not _apart(rows):
        reason += " An event that meets several is then sent by each of them."
    return Written(None, tuple(triggers), reason)


def _apart(rows: list[Term]) -> bool:
    """Whether no event can meet two of the terms."""
    return all(any(contradict(*pair) for pair in product(*two)) for two in combinations(rows, 2))
