"""In which tier a member is: what a programme asks for, and what changes when points or days do. Pure.

documented: by the balance (in the range of a tier) or by the points collected in a period of the calendar (a tier's
lower end reached); when a tier starts and ends; a balance tier with a term of its own keeps a member in it till then;
inside a term a member only goes up. inferred: the term is counted from the day the tier was reached (the guide; the
reference says: from the day the balance dropped); at the end of a term a member gets the tier that the points are
worth then; reaching the same tier again in a later period prolongs it; with `NEXT_PERIOD`, so does what was collected
in the period that is over; without settings, tiers go by the balance and change at once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

from app.sandbox.calendar_days import NEVER, PERIODS, add_days, add_months, next_period, period_end, period_start
from app.sandbox.errors import NotEmulated, invalid_payload
from app.sandbox.fidelity import documented, inferred
from app.sandbox.read import mapping, one_of
from app.sandbox.validity import duration, duration_text

BY_BALANCE: dict[str, Any] = {
    "qualification_type": "BALANCE",
    "start_date": {"type": "IMMEDIATE"},
    "expiration_date": {"type": "BALANCE_DROP"},
}


def read(body: dict[str, Any]) -> dict[str, Any] | None:
    """The `loyalty_tiers_expiration` of a request, checked; None where there is none.

    Raises:
        Failure: it is not valid.
    """
    if body.get("loyalty_tiers_expiration") is None:
        return None
    at = ".loyalty_tiers_expiration"
    given = mapping(body, "loyalty_tiers_expiration")
    kind = one_of(given, "qualification_type", ("BALANCE", "POINTS_IN_PERIOD"), at=at)
    if kind is None:
        raise invalid_payload(f"Property {at} should have required property 'qualification_type'")
    by_balance = kind == "BALANCE"
    starts = ("IMMEDIATE",) if by_balance else ("IMMEDIATE", "NEXT_PERIOD")
    ends = ("BALANCE_DROP", "CUSTOM") if by_balance else ("END_OF_PERIOD", "END_OF_NEXT_PERIOD")
    start = one_of(mapping(given, "start_date", at=at), "type", starts, at=f"{at}.start_date")
    expiration = mapping(given, "expiration_date", at=at)
    at_end = f"{at}.expiration_date"
    end: dict[str, Any] = {"type": one_of(expiration, "type", ends, at=at_end) or ends[0]}
    if (extend := duration_text(expiration, "extend", at_end)) is not None:
        end["extend"] = extend
    elif end["type"] == "CUSTOM":
        raise invalid_payload(f"Property {at_end} should have required property 'extend'")
    if expiration.get("rounding") is not None:
        rounding = mapping(expiration, "rounding", at=at_end)
        unit = one_of(rounding, "type", (*PERIODS, "CUSTOM"), at=f"{at_end}.rounding")
        if unit == "CUSTOM" or one_of(rounding, "strategy", ("START", "END"), at=f"{at_end}.rounding") == "START":
            raise NotEmulated("Rounding the end of a tier in another way than to the end of a period")
        if unit is not None:
            end["rounding"] = {"type": unit, "strategy": "END"}
    made: dict[str, Any] = {
        "qualification_type": kind,
        "start_date": {"type": start or "IMMEDIATE"},
        "expiration_date": end,
    }
    if not by_balance:
        period = one_of(given, "qualification_period", tuple(PERIODS), at=at)
        if period is None:
            raise invalid_payload(f"Property {at} should have required property 'qualification_period'")
        made["qualification_period"] = period
    return made


@dataclass(frozen=True)
class Tier:
    id: str
    from_points: int
    to_points: int | None


@dataclass(frozen=True)
class Place:
    """Where a member is: the tier, its days, and the tier that begins with the next period."""

    tier: str | None = None
    start: date | None = None
    end: date | None = None
    next_tier: str | None = None
    next_start: date | None = None


def reached(tiers: Sequence[Tier], points: int, *, within: bool) -> Tier | None:
    """The highest tier that these points reach; `within` its range, or only from its lower end on."""
    fitting = [
        tier
        for tier in tiers
        if tier.from_points <= points and (not within or tier.to_points is None or points <= tier.to_points)
    ]
    return max(fitting, key=lambda tier: tier.from_points, default=None)


def term(settings: Mapping[str, Any], start: date) -> date | None:
    """The last day of a tier that starts on this day; None: it has no term."""
    rule = settings["expiration_date"]
    if rule["type"] == "BALANCE_DROP":
        return None
    day = start
    if rule["type"] != "CUSTOM":
        period = settings["qualification_period"]
        day = period_end(start if rule["type"] == "END_OF_PERIOD" else next_period(start, period), period)
    if extend := rule.get("extend"):
        longer = duration(extend)
        if longer.months and rule["type"] != "CUSTOM":  # an end of a month put off by a month is an end of a month
            day = add_days(add_months(add_days(day, 1), longer.months), -1)
        else:
            day = add_months(day, longer.months)
        day = add_days(day, longer.rest.days)
    if rounding := rule.get("rounding"):
        day = period_end(day, rounding["type"])
    return None if day == NEVER else day


def by_period(settings: Mapping[str, Any]) -> bool:
    return bool(settings["qualification_type"] == "POINTS_IN_PERIOD")


def settle(
    settings: Mapping[str, Any],
    tiers: Sequence[Tier],
    place: Place,
    today: date,
    points: int,
    before: int = 0,
) -> tuple[Place, str | None]:
    """Where a member is now, and what that is (`joined`, `upgraded`, `downgraded`, `left`, `prolonged`) if anything.

    `points` is the balance, or what was collected in this period; `before` what was collected in the period before.
    """
    now = reached(tiers, points, within=not by_period(settings))
    if settings["start_date"]["type"] == "NEXT_PERIOD":
        return _in_next_period(settings, tiers, place, today, now, reached(tiers, before, within=False))
    return _changed(settings, tiers, place, today, now)


def _in_next_period(
    settings: Mapping[str, Any],
    tiers: Sequence[Tier],
    place: Place,
    today: date,
    now: Tier | None,
    then: Tier | None,
) -> tuple[Place, str | None]:
    rank = {tier.id: tier.from_points for tier in tiers}
    begun = place.next_start is not None and place.next_start <= today
    what = None
    if begun or _over(place, today):
        due = [each for each in (place.next_tier if begun else None, then.id if then else None) if each in rank]
        best = max(due, key=lambda each: rank[each], default=None)
        after = next((tier for tier in tiers if tier.id == best), None)
        place, what = _changed(settings, tiers, place, today, after)
        if begun:
            place = replace(place, next_tier=None, next_start=None)
    if now is not None and rank[now.id] > rank.get(place.next_tier or "", -1):
        place = replace(place, next_tier=now.id, next_start=next_period(today, settings["qualification_period"]))
    return place, what


def _over(place: Place, today: date) -> bool:
    return place.end is not None and place.end < today


def _changed(
    settings: Mapping[str, Any], tiers: Sequence[Tier], place: Place, today: date, target: Tier | None
) -> tuple[Place, str | None]:
    rank = {tier.id: tier.from_points for tier in tiers}
    old = place.tier if place.tier in rank else None
    free = place.end is None or _over(place, today)  # to go down; up is always possible
    if target is None:
        if old is None or not free:
            return (place if old == place.tier else replace(place, tier=None, start=None, end=None)), None
        return replace(place, tier=None, start=None, end=None), "left"
    end = term(settings, today)
    if old == target.id:
        longer = _over(place, today) or (by_period(settings) and place.end and end and end > place.end)
        if longer:
            return replace(place, end=end), "prolonged"
        return place, None
    if old is not None and target.from_points < rank[old] and not free:
        return place, None
    moved = replace(place, tier=target.id, start=today, end=end)
    if old is None:
        return moved, "joined"
    return moved, "upgraded" if target.from_points > rank[old] else "downgraded"


def periods(settings: Mapping[str, Any], today: date) -> tuple[date, date]:
    """The first days of this period and of the one before."""
    period = settings["qualification_period"]
    this = period_start(today, period)
    return this, period_start(this - timedelta(days=1), period)


FIDELITY = (
    documented(
        "**Tiers** of a programme: by balance or by points collected in a month, quarter, half-year or "
        "year; start at once or with the next period; end when the balance drops, after a term (`extend`, "
        "rounded to the end of a period), at the end of this or the next period"
    ),
    inferred(
        "a tier's term by balance begins when it is reached (the guide; the reference says: when the "
        "balance drops); at its end counts what the points are worth then; points added by hand count as "
        "collected, transfers do not; a balance above the range of the highest tier is in no tier; a "
        "multiplied number is rounded to the nearest"
    ),
)
