"""The operators of conditions, for validation rules and for the filters of segments alike. Pure.

documented: the names, that a condition's values stand in a list, that several conditions of one rule must all hold,
and that `$more_than` and `$less_than` with a number count days back when the value is a date. inferred: of several
values one must fit (for `$is_not`, `$not_in` and `$not_contain` none may); a value that is not there is nothing but
unknown; a number and its text are equal; text is compared with its capitals; days are days of UTC.
"""

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from app.sandbox.clock import parse_time
from app.sandbox.fidelity import documented, inferred

_ALIASES = {
    "$more_than_equal": "$more_than_or_equal",
    "$greater_than_or_equal": "$more_than_or_equal",
    "$greater_than": "$more_than",
    "$less_than_equal": "$less_than_or_equal",
    "$not_contains": "$not_contain",
    "is_days_ago": "$is_days_ago",
}
"""Other spellings in Voucherify's published samples and tables."""
_NEGATED = {"$is_not": "$is", "$not_in": "$in", "$not_contain": "$contains"}
_COMPARED: dict[str, Callable[[float, float], bool]] = {
    "$more_than": lambda actual, wanted: actual > wanted,
    "$more_than_or_equal": lambda actual, wanted: actual >= wanted,
    "$less_than": lambda actual, wanted: actual < wanted,
    "$less_than_or_equal": lambda actual, wanted: actual <= wanted,
}
_TEXT: dict[str, Callable[[str, str], bool]] = {
    "$contains": lambda actual, wanted: wanted in actual,
    "$starts_with": lambda actual, wanted: actual.startswith(wanted),
    "$ends_with": lambda actual, wanted: actual.endswith(wanted),
}
_DAYS: dict[str, Callable[[int, int], bool]] = {
    "$more_than_ago": lambda days, wanted: days > wanted,
    "$less_than_ago": lambda days, wanted: 0 <= days < wanted,
    "$is_days_ago": lambda days, wanted: days == wanted,
    "$more_than_future": lambda days, wanted: -days > wanted,
    "$less_than_future": lambda days, wanted: 0 <= -days < wanted,
    "$is_days_in_future": lambda days, wanted: -days == wanted,
}
_COUNTS: dict[str, Callable[[int, int], bool]] = {
    "$count": lambda size, wanted: size == wanted,
    "$count_more": lambda size, wanted: size > wanted,
    "$count_less": lambda size, wanted: size < wanted,
}
_DATES = ("$before", "$after")
_PRESENCE = ("$has_value", "$is_unknown")
EMULATED = frozenset(
    {"$is", "$in", "$next_month", *_NEGATED, *_COMPARED, *_TEXT, *_DAYS, *_COUNTS, *_DATES, *_PRESENCE}
)
NUMERIC = frozenset({"$is", "$is_not", "$in", "$not_in", *_COMPARED})


def canonical(operator: str) -> str:
    return _ALIASES.get(operator, operator)


def values(given: Any) -> list[Any]:
    """A condition's values: a list, or one alone."""
    return given if isinstance(given, list) else [given]


def unreadable(operator: str, given: Any) -> str | None:
    """What is wrong with a condition's values, if anything is. The operator is one of `EMULATED`."""
    wanted = values(given)
    if operator in _PRESENCE or operator == "$next_month":
        return None
    if not wanted:
        return "needs a value"
    if any(isinstance(each, list) for each in wanted):
        return "can't have a list in its list"
    if operator in {*_DAYS, *_COUNTS} and any(_number(each) is None for each in wanted):
        return "needs a number"
    if operator in _COMPARED and any(_number(each) is None and _moment(each) is None for each in wanted):
        return "needs a number or a date"
    if operator in _DATES and any(_moment(each) is None for each in wanted):
        return "needs a date"
    if operator in _TEXT and not all(isinstance(each, str) for each in wanted):
        return "needs text"
    return None


def satisfied(conditions: Mapping[str, Any], actual: Any, now: datetime) -> bool:
    """Whether a value fits all conditions."""
    return all(fits(canonical(operator), given, actual, now) for operator, given in conditions.items())


def fits(operator: str, given: Any, actual: Any, now: datetime) -> bool:
    """Whether a value fits one condition; `operator` in its canonical spelling."""
    if operator in _NEGATED:
        return not fits(_NEGATED[operator], given, actual, now)
    unknown = actual is None or actual in ("", [])
    if operator in _PRESENCE:
        return unknown is (operator == "$is_unknown")
    if operator in _COUNTS:
        size = len(actual) if isinstance(actual, list) else 0 if unknown else 1
        return any(_COUNTS[operator](size, int(_number(each) or 0)) for each in values(given))
    if unknown:
        return False
    several = actual if isinstance(actual, list) else [actual]
    return any(_fits_one(operator, wanted, each, now) for wanted in values(given) for each in several)


def _fits_one(operator: str, wanted: Any, actual: Any, now: datetime) -> bool:
    if operator in {"$is", "$in"}:
        return same(actual, wanted)
    if operator in _TEXT:
        return _TEXT[operator](str(actual), str(wanted))
    if operator in _COMPARED:
        return _compared(operator, wanted, actual, now)
    moment = _moment(actual)
    if moment is None:
        return False
    if operator in _DATES:
        limit = _moment(wanted)
        return limit is not None and (moment < limit if operator == "$before" else moment > limit)
    if operator == "$next_month":
        return (moment.month == now.month % 12 + 1) is (wanted is not False)
    days = (now.astimezone(UTC).date() - moment.date()).days
    return _DAYS[operator](days, int(_number(wanted) or 0))


def _compared(operator: str, wanted: Any, actual: Any, now: datetime) -> bool:
    number, limit = _number(actual), _number(wanted)
    if number is not None and limit is not None:
        return _COMPARED[operator](number, limit)
    moment = _moment(actual)
    if moment is None:
        return False
    if limit is not None:
        return _COMPARED[operator]((now - moment).total_seconds() / 86400, limit)
    bound = _moment(wanted)
    return bound is not None and _COMPARED[operator](moment.timestamp(), bound.timestamp())


def same(actual: Any, wanted: Any) -> bool:
    """Equal, where a number or a truth value may be written as text."""
    if isinstance(actual, bool) or isinstance(wanted, bool):
        return str(actual).lower() == str(wanted).lower()
    if isinstance(actual, str) and isinstance(wanted, str):
        return actual == wanted
    one, other = _number(actual), _number(wanted)
    return one == other if one is not None and other is not None else bool(actual == wanted)


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value) if isinstance(value, str) else value
        return number if math.isfinite(number) else None
    except (ValueError, OverflowError):
        return None


def _moment(value: Any) -> datetime | None:
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    if not isinstance(value, str):
        return None
    try:
        return parse_time(value).astimezone(UTC)
    except (ValueError, OverflowError):  # the second: a day before the first or after the last that there is
        return None


FIDELITY = (
    documented("several conditions of a validation rule must all hold"),
    inferred(
        "a value that is not there satisfies only `$is_not`, `$not_in`, `$not_contain` and `$is_unknown`; "
        "numbers and truth values may be written as text"
    ),
)
