"""When points expire: the rules of a programme or of an earning rule, and the last day on which points can be used.

documented: the kinds of rules, that an earning rule's own win over the programme's, that `expires_at` is the last day,
the month-end (31 January and a month is the end of February). inferred: points that come on the fixed day of the year
can be used until its end; a `PARTICULAR_MONTH` that is the month itself is not put off by a year.
"""

from collections.abc import Mapping
from datetime import date
from typing import Any

from app.sandbox.calendar_days import NEVER, add_months, in_year, period_end
from app.sandbox.errors import invalid_payload
from app.sandbox.fidelity import documented, inferred
from app.sandbox.read import integer, mapping, one_of

_ENDS = {
    "END_OF_MONTH": "MONTH",
    "END_OF_QUARTER": "QUARTER",
    "END_OF_HALF_YEAR": "HALF_YEAR",
    "END_OF_YEAR": "YEAR",
}
_MOST_MONTHS = 1200


def read(body: dict[str, Any], at: str = "") -> dict[str, Any] | None:
    """The `expiration_rules` of a request, checked; None where there are none.

    Raises:
        Failure: they are not valid.
    """
    if body.get("expiration_rules") is None:
        return None
    given, at = mapping(body, "expiration_rules", at=at), f"{at}.expiration_rules"
    kind = one_of(given, "period_type", ("MONTH", "FIXED_DAY_OF_YEAR"), at=at)
    if kind is None:
        raise invalid_payload(f"Property {at} should have required property 'period_type'")
    if kind == "FIXED_DAY_OF_YEAR":
        month = _required(given, "fixed_month", 1, 12, at)
        return {"period_type": kind, "fixed_month": month, "fixed_day": _required(given, "fixed_day", 1, 31, at)}
    made: dict[str, Any] = {
        "period_type": kind,
        "period_value": _required(given, "period_value", 0, _MOST_MONTHS, at),
    }
    if rounding := one_of(given, "rounding_type", (*_ENDS, "PARTICULAR_MONTH"), at=at):
        made["rounding_type"] = rounding
        if rounding == "PARTICULAR_MONTH":
            made["rounding_value"] = _required(given, "rounding_value", 1, 12, at)
    return made


def _required(given: dict[str, Any], name: str, least: int, most: int, at: str) -> int:
    value = integer(given, name, least=least, most=most, at=at)
    if value is None:
        raise invalid_payload(f"Property {at} should have required property '{name}'")
    return value


def last_day(rules: Mapping[str, Any] | None, earned: date) -> date:
    """The last day on which points that came on the day `earned` can be used; NEVER without rules."""
    if rules is None:
        return NEVER
    if rules["period_type"] == "FIXED_DAY_OF_YEAR":
        return _next_on(earned, rules["fixed_month"], rules["fixed_day"])
    day, rounding = add_months(earned, rules["period_value"]), rules.get("rounding_type")
    if rounding is None or day == NEVER:
        return day
    if rounding == "PARTICULAR_MONTH":
        return _next_on(day, rules["rounding_value"], 31)
    return period_end(day, _ENDS[rounding])


def _next_on(day: date, month: int, of_month: int) -> date:
    if day.year >= NEVER.year:
        return NEVER
    this_year = in_year(day.year, month, of_month)
    return this_year if this_year >= day else in_year(day.year + 1, month, of_month)


FIDELITY = (
    documented(
        "**Expiry** of points: `expiration_rules` of the programme and of an earning rule (the rule's "
        "win), by months with every rounding and by a day of the year; a month that is too short is "
        "rounded down; `expires_at` is the last day; `expiration_type` of an adjustment"
    ),
    inferred(
        "points that come on a fixed day of the year can be used until its end; initial points expire by "
        "the programme's rules from the day the card is published"
    ),
)
