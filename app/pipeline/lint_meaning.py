"""What a trigger means, apart from how it is written: a tree of conditions in which nothing is negated but conditions.

Both readings of a trigger, the person's and Segment's, become such trees; here they are made alike, compared and put
into plain words.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from app import jsvalues
from app.pipeline.subscriptions import OPERATORS
from app.pipeline.trigger_reading import Condition, Reading

MOST_TERMS: Final = 48
ORDER: Final = ("<", "<=", ">", ">=")
_OPPOSITES: Final = {
    "=": "!=",
    "number_equals": "number_not_equals",
    "<": ">=",
    ">": "<=",
    "contains": "not_contains",
    "starts_with": "not_starts_with",
    "ends_with": "not_ends_with",
    "exists": "not_exists",
}
COMPLEMENTS: Final = _OPPOSITES | {negative: positive for positive, negative in _OPPOSITES.items()}
NEVER: Final = Condition((), "never", None)
EVERY_EVENT: Final = Condition(("type",), "!=", "")
_WORDS: Final = {
    "=": "is {}",
    "!=": "is anything but {} (missing, too)",
    "number_equals": "is the number {}",
    "number_not_equals": "is a number other than {}",
    "<": "is a number less than {}",
    "<=": "is a number of at most {}",
    ">": "is a number greater than {}",
    ">=": "is a number of at least {}",
    "contains": "contains {}",
    "starts_with": "starts with {}",
    "ends_with": "ends with {}",
    "not_contains": "is a text without {}",
    "not_starts_with": "is a text that does not start with {}",
    "not_ends_with": "is a text that does not end with {}",
    "exists": "exists",
    "not_exists": "is missing or null",
    "is_true": "is true",
    "is_false": "is false",
}


@dataclass(frozen=True, slots=True)
class Unsayable:
    """A condition for which Segment has no words, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class Every:
    """Holds where each of its items does."""

    items: "tuple[Meaning, ...]"


@dataclass(frozen=True, slots=True)
class Either:
    """Holds where one of its items does."""

    items: "tuple[Meaning, ...]"


Meaning = Condition | Unsayable | Every | Either
"""Negations stand on the conditions themselves. A condition on a value of the wrong type is neither true nor false, and
so is its negation, as in SQL: `not (total > 5)` is `total <= 5`, and a total that is missing meets neither."""


Term = tuple[Condition, ...]


class TooMany(Exception):
    """There are too many combinations of conditions."""


def negated(meaning: Meaning) -> Meaning:
    """The opposite, with the negation on the conditions."""
    if isinstance(meaning, Every):
        return Either(tuple(map(negated, meaning.items)))
    if isinstance(meaning, Either):
        return Every(tuple(map(negated, meaning.items)))
    if isinstance(meaning, Unsayable):
        return meaning
    if meaning.operator in ("is_true", "is_false"):
        other = "is_false" if meaning.operator == "is_true" else "is_true"
        value = not meaning.value
        return Either((Condition(meaning.keys, other, value), Condition(meaning.keys, "not_exists", "null")))
    return Condition(meaning.keys, COMPLEMENTS[meaning.operator], meaning.value)


def as_meaning(reading: Reading | None) -> Meaning:
    """What Segment has read, in the form of what a person means."""
    if reading is None:
        return Unsayable("empty parentheses, on which Segment fails")
    if not isinstance(reading, Condition):
        items = tuple(map(as_meaning, reading.items))
        return Every(items) if reading.connector == "and" else Either(items)
    if reading.keys is None:
        return Unsayable("a field without a key in its name, on which Segment fails")
    operator, value = reading.operator, reading.value
    if operator in (*ORDER, "number_equals"):
        value = jsvalues.to_number(value)
    if not reading.keys or operator not in OPERATORS or value != value:  # noqa: PLR0124 - NaN
        return NEVER
    if operator in ("=", "!="):
        value = jsvalues.to_string(value)
    return Condition(reading.keys, operator, value)


def simplified(meaning: Meaning) -> Meaning:
    """Levels of one kind made one, nothing said twice."""
    if isinstance(meaning, (Condition, Unsayable)):
        return meaning
    kind = type(meaning)
    items: list[Meaning] = []
    for item in map(simplified, meaning.items):
        items += item.items if isinstance(item, kind) else (item,)
    kept = tuple(dict.fromkeys(items))
    return kept[0] if len(kept) == 1 else kind(kept)


def conditions(meaning: Meaning) -> list[Condition | Unsayable]:
    """Every conditions, from left to right."""
    if isinstance(meaning, (Condition, Unsayable)):
        return [meaning]
    return [condition for item in meaning.items for condition in conditions(item)]


def same(first: Meaning, second: Meaning) -> bool:
    """Whether both take the same events, as far as can be told from the form: each condition counts by itself.

    Where conditions are not negated, the alternatives of which none is superfluous are the same for the same meaning.
    """
    if any(isinstance(condition, Unsayable) for condition in [*conditions(first), *conditions(second)]):
        return False
    first, second = simplified(first), simplified(second)
    if first == second:
        return True
    for inner in (Every, Either):
        try:
            one, other = (set(map(frozenset, terms(meaning, inner))) for meaning in (first, second))
        except TooMany:
            continue
        return one == other
    return False


def terms(meaning: Meaning, inner: "type[Every | Either]") -> list[Term]:
    """The alternatives, each a row of conditions that must all hold, without superfluous ones (`inner` is `Every`); or
    their dual, the rows of which one condition must hold each (`inner` is `Either`).

    Raises:
        TooMany: there are more than are of use.
    """
    if isinstance(meaning, Condition):
        return [] if meaning == NEVER and inner is Every else [(meaning,)]
    assert isinstance(meaning, (Every, Either))
    each = [terms(item, inner) for item in meaning.items]
    if not isinstance(meaning, inner):
        return _kept(row for rows in each for row in rows)
    rows: list[Term] = [()]
    for more in each:
        rows = _kept((*row, *added) for row in rows for added in more if inner is Either or not _clash(row, added))
    return rows


def _clash(first: Term, second: Term) -> bool:
    return any(contradict(one, other) for one in first for other in second)


def _kept(rows: Iterable[Term]) -> list[Term]:
    """Without rows that a shorter one makes superfluous."""
    kept: list[Term] = []
    for row in sorted((tuple(dict.fromkeys(row)) for row in rows), key=len):
        if not any(set(shorter) <= set(row) for shorter in kept):
            kept.append(row)
        if len(kept) > MOST_TERMS:
            raise TooMany
    return kept


def contradict(one: Condition, other: Condition) -> bool:
    """Whether two conditions can never hold together, as far as is easily told."""
    if one.keys != other.keys:
        return False
    if one.operator == other.operator and one.operator in ("=", "number_equals"):
        return bool(one.value != other.value)
    if {one.operator, other.operator} == {"is_true", "is_false"}:
        return True
    if {one.operator, other.operator} == {"=", "not_exists"}:
        return True
    return COMPLEMENTS.get(one.operator) == other.operator and one.value == other.value


def in_words(meaning: Meaning, *, outer: bool = True) -> str:
    """A meaning as a person reads it, every group in parentheses."""
    if isinstance(meaning, Unsayable):
        return f"({meaning.reason})"
    if isinstance(meaning, Condition):
        if meaning == NEVER:
            return "(a condition that never holds)"
        value = meaning.value if isinstance(meaning.value, str) else jsvalues.to_string(meaning.value)
        shown = f'"{value}"' if isinstance(meaning.value, str) else value
        return f"{'.'.join(meaning.keys or ())} {_WORDS[meaning.operator].format(shown)}"
    joined = (" and " if isinstance(meaning, Every) else " or ").join(
        in_words(item, outer=False) for item in meaning.items
    )
    return joined if outer else f"({joined})"
