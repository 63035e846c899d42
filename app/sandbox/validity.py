"""When something is valid: between two dates, on some days of the week, at some hours, in a recurring time frame.

documented: the fields, days from 0 (Sunday), a time frame needs a `start_date`, `activity_duration_after_publishing`.
inferred: hours and days are those of the project's time zone; all that is given must hold; the moment at which
something ends is not in it, whether a date or an hour; a time frame's duration begins at `start_date` and after every
interval; the duration after publishing sets both dates of a voucher and never prolongs its expiration date.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

from app.sandbox.calendar_days import NEVER, add_months
from app.sandbox.clock import iso, parse_time
from app.sandbox.errors import invalid_payload
from app.sandbox.fidelity import documented
from app.sandbox.read import mapping, text

FIELDS = ("start_date", "expiration_date", "validity_timeframe", "validity_day_of_week", "validity_hours")
_DURATION = re.compile(
    r"P(?=\d|T\d)(?:(\d{1,4})Y)?(?:(\d{1,4})M)?(?:(\d{1,5})W)?(?:(\d{1,6})D)?"
    r"(?:T(?=\d)(?:(\d{1,6})H)?(?:(\d{1,8})M)?(?:(\d{1,9})S)?)?"
)
_LONG_AGO = 1900


@dataclass(frozen=True)
class Duration:
    """A length of time by ISO 8601: months have no length of their own, all else has."""

    months: int
    rest: timedelta

    def after(self, moment: datetime, times: int = 1) -> datetime:
        """The moment this much later; a day that its month has not becomes that month's last.

        Raises:
            OverflowError: beyond the calendar.
        """
        day = add_months(moment.date(), self.months * times)
        if day == NEVER:
            raise OverflowError("beyond the calendar")
        return moment.replace(year=day.year, month=day.month, day=day.day) + self.rest * times

    @property
    def about(self) -> timedelta:
        return timedelta(days=30 * self.months) + self.rest


def duration(value: str) -> Duration:
    """Read `P24D`, `PT1H`, `P1M`.

    Raises:
        ValueError: it is not a duration, or one of no length.
    """
    match = _DURATION.fullmatch(value)
    if match is None:
        raise ValueError(value)
    years, months, weeks, days, hours, minutes, seconds = (int(each or 0) for each in match.groups())
    rest = timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)
    made = Duration(12 * years + months, rest)
    if not made.about:
        raise ValueError(value)
    return made


def read(body: dict[str, Any], at: str = "") -> dict[str, Any]:
    """The fields that `body` names, checked; null stays null, for it clears a field."""
    found: dict[str, Any] = {name: date(body, name, at) for name in FIELDS[:2] if name in body}
    if "validity_timeframe" in body:
        found["validity_timeframe"] = _timeframe(mapping(body, "validity_timeframe", at=at), at)
    if "validity_day_of_week" in body:
        found["validity_day_of_week"] = _days(body["validity_day_of_week"], f"{at}.validity_day_of_week")
    if "validity_hours" in body:
        found["validity_hours"] = _hours(mapping(body, "validity_hours", at=at), f"{at}.validity_hours")
    return found


def check(doc: dict[str, Any], at: str = "") -> None:
    """What can be said only of all fields together.

    Raises:
        Failure: a time frame without a start date.
    """
    if doc.get("validity_timeframe") and not doc.get("start_date"):
        raise invalid_payload(f"Property {at}.start_date is required when there is a validity_timeframe")


def date(body: dict[str, Any], name: str, at: str = "") -> str | None:
    value = text(body, name, at=at)
    if value is None:
        return None
    try:
        moment = parse_time(value).astimezone(UTC)
    except (ValueError, OverflowError):
        moment = None
    if moment is None or moment.year < _LONG_AGO:
        raise invalid_payload(f"Property {at}.{name} cannot be recognized as a ISO-8601 compliant date")
    return iso(moment)


def duration_text(body: dict[str, Any], name: str, at: str = "") -> str | None:
    value = text(body, name, longest=40, at=at)
    if value is not None:
        try:
            duration(value)
        except ValueError as error:
            raise invalid_payload(f"Property {at}.{name} must be an ISO-8601 duration") from error
    return value


def _timeframe(given: dict[str, Any], at: str) -> dict[str, Any] | None:
    if not given:
        return None
    at = f"{at}.validity_timeframe"
    found = {name: duration_text(given, name, at) for name in ("interval", "duration")}
    if None in found.values():
        raise invalid_payload(f"Property {at} should have required properties 'interval' and 'duration'")
    return found


def _days(given: Any, at: str) -> list[int] | None:
    if given is None:
        return None
    if not isinstance(given, list) or not all(type(day) is int and 0 <= day <= 6 for day in given):
        raise invalid_payload(f"Property {at} must be an array of integers between 0 and 6")
    return sorted(set(given)) or None


def _hours(given: dict[str, Any], at: str) -> dict[str, Any] | None:
    if not given:
        return None
    daily = given.get("daily")
    if not isinstance(daily, list) or not all(isinstance(each, dict) for each in daily):
        raise invalid_payload(f"Property {at}.daily must be array")
    found = []
    for place, each in enumerate(daily):
        inside = f"{at}.daily[{place}]"
        hours: dict[str, Any] = {}
        for name in ("start_time", "expiration_time"):
            hours[name] = text(each, name, longest=5, at=inside)
            if hours[name] is not None:
                _hour(hours[name], f"{inside}.{name}")
        hours["days_of_week"] = _days(each.get("days_of_week"), f"{inside}.days_of_week")
        found.append({name: value for name, value in hours.items() if value is not None})
    return {"daily": found} if found else None


def _hour(value: str, at: str) -> time:
    try:
        return datetime.strptime(value, "%H:%M").time()  # noqa: DTZ007 - a time of day has no zone
    except ValueError as error:
        raise invalid_payload(f"Property {at} must match format HH:mm") from error


def state(doc: Mapping[str, Any], now: datetime, zone: str) -> Literal["early", "late", "not_now"] | None:
    """Why this is not valid at that moment, if so; days and hours are those of this time zone."""
    start, end = doc.get("start_date"), doc.get("expiration_date")
    if start and parse_time(start) > now:
        return "early"
    if end and parse_time(end) <= now:
        return "late"
    days, hours = doc.get("validity_day_of_week"), doc.get("validity_hours")
    if days or hours:
        local = now.astimezone(ZoneInfo(zone))
        today = local.isoweekday() % 7
        if days and today not in days:
            return "not_now"
        if hours and not any(_in_hours(each, today, local.time()) for each in hours["daily"]):
            return "not_now"
    frame = doc.get("validity_timeframe")
    if frame and start and not _in_frame(parse_time(start), frame, now):
        return "not_now"
    return None


def _in_hours(given: dict[str, Any], today: int, at: time) -> bool:
    if given.get("days_of_week") and today not in given["days_of_week"]:
        return False
    start, end = given.get("start_time"), given.get("expiration_time")
    return not (start and at < _hour(start, "")) and not (end and at >= _hour(end, ""))


def _in_frame(start: datetime, frame: dict[str, str], now: datetime) -> bool:
    interval, length = duration(frame["interval"]), duration(frame["duration"])
    # Months have no length of their own, so that the count is a guess that may be off by some.
    guess = int((now - start) / interval.about)
    margin = 2 + guess // 60 if interval.months else 1
    try:
        for times in range(max(0, guess - margin), guess + margin + 1):
            begins = interval.after(start, times)
            if begins <= now < length.after(begins):
                return True
    except OverflowError:
        return False
    return False


def since_publishing(doc: dict[str, Any], value: str, now: datetime) -> dict[str, Any]:
    """The dates of a voucher that is valid for this long from now."""
    try:
        ends = iso(duration(value).after(now))
    except OverflowError:
        return {}
    before = doc.get("expiration_date")
    return {"start_date": iso(now), "expiration_date": min(before, ends) if before and ends else ends}


FIDELITY = (
    documented(
        "`validity_timeframe`, `validity_day_of_week`, `validity_hours` of codes (`voucher_not_active_now`), "
        "campaigns, promotion tiers and earning rules",
        "that days and hours are those of the project's time zone and that the minute of an `expiration_time` is over: "
        "inferred",
    ),
    documented(
        "`activity_duration_after_publishing` sets both dates of the code when it is published",
        "that it never prolongs the expiration date: inferred",
    ),
)
