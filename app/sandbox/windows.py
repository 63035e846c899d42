"""When something is valid: from and until a moment, in recurring time frames, on days of the week, at hours. Pure.

documented: the fields; 0 is Sunday; a `validity_timeframe` needs a `start_date`, from which on it is open for
`duration` in each `interval`. inferred: `expiration_date` is the first moment at which it is over; hours are those of
the project's time zone, the last minute is included; all that is given must hold.
"""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from app.sandbox.calendar_days import NEVER, add_months
from app.sandbox.clock import parse_time
from app.sandbox.errors import invalid_payload
from app.sandbox.read import mapping, required_text, text

FIELDS = ("start_date", "expiration_date", "validity_timeframe", "validity_day_of_week", "validity_hours")
_DURATION = re.compile(r"P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?")
_HOUR = re.compile(r"([01]\d|2[0-3]):[0-5]\d")
_LONGEST = timedelta(days=100 * 366)


def read(body: dict[str, Any], at: str = "") -> dict[str, Any]:
    """What a request says of when something is valid, checked; only the fields that it has.

    Raises:
        Failure: one of them is not valid.
    """
    made: dict[str, Any] = {}
    for name in ("start_date", "expiration_date"):
        if (value := text(body, name, at=at)) is not None:
            try:
                parse_time(value)
            except ValueError as error:
                raise invalid_payload(
                    f"Property {at}.{name} cannot be recognized as a ISO-8601 compliant date"
                ) from error
            made[name] = value
    if body.get("validity_timeframe") is not None:
        made["validity_timeframe"] = _frame(mapping(body, "validity_timeframe", at=at), f"{at}.validity_timeframe")
        if "start_date" not in made:
            raise invalid_payload(f"Property {at}.start_date is required with 'validity_timeframe'")
    if body.get("validity_day_of_week") is not None:
        made["validity_day_of_week"] = _days(body, "validity_day_of_week", at)
    if body.get("validity_hours") is not None:
        made["validity_hours"] = _hours(mapping(body, "validity_hours", at=at), f"{at}.validity_hours")
    return made


def _frame(given: dict[str, Any], at: str) -> dict[str, str]:
    made = {name: required_text(given, name, at=at) for name in ("interval", "duration")}
    for name, value in made.items():
        months, rest = read_duration(value, f"{at}.{name}")
        if not months and not rest:
            raise invalid_payload(f"Property {at}.{name} must be longer than nothing")
    return made


def read_duration(value: str, at: str) -> tuple[int, timedelta]:
    """An ISO-8601 duration as months and the rest.

    Raises:
        Failure: it is none, or is longer than a hundred years.
    """
    match = _DURATION.fullmatch(value)
    if match is None or not any(match.groups()):
        raise invalid_payload(f"Property {at} must be a valid ISO-8601 duration")
    if any(len(part or "") > 9 for part in match.groups()):
        raise invalid_payload(f"Property {at} must be a shorter duration")
    years, months, weeks, days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    rest = timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)
    if years * 12 + months > 1200 or rest > _LONGEST:
        raise invalid_payload(f"Property {at} must be a shorter duration")
    return years * 12 + months, rest


def _days(given: dict[str, Any], name: str, at: str) -> list[int]:
    days = given[name]
    if not isinstance(days, list) or not all(type(day) is int and 0 <= day <= 6 for day in days):
        raise invalid_payload(f"Property {at}.{name} must be array of numbers from 0 to 6")
    return days


def _hours(given: dict[str, Any], at: str) -> dict[str, Any]:
    daily = given.get("daily")
    if not isinstance(daily, list) or not all(isinstance(each, dict) for each in daily):
        raise invalid_payload(f"Property {at}.daily must be array")
    made = []
    for place, each in enumerate(daily):
        inside = f"{at}.daily[{place}]"
        hours = {name: required_text(each, name, at=inside) for name in ("start_time", "expiration_time")}
        if not all(_HOUR.fullmatch(hour) for hour in hours.values()):
            raise invalid_payload(f"Property {inside}.start_time and expiration_time must be in the format HH:mm")
        days = _days(each, "days_of_week", inside) if each.get("days_of_week") is not None else None
        made.append({**hours, **({"days_of_week": days} if days is not None else {})})
    return {"daily": made}


def is_open(window: Mapping[str, Any], now: datetime, zone: str) -> bool:
    """Whether `now` is in all that the window asks for."""
    start, end = window.get("start_date"), window.get("expiration_date")
    if (start and parse_time(start) > now) or (end and parse_time(end) <= now):
        return False
    frame = window.get("validity_timeframe")
    if frame and not (start and _in_frame(frame, parse_time(start), now)):
        return False
    local = now.astimezone(ZoneInfo(zone))
    weekday, hour = local.isoweekday() % 7, local.strftime("%H:%M")
    days = window.get("validity_day_of_week")
    if days is not None and weekday not in days:
        return False
    hours = window.get("validity_hours")
    return not hours or any(
        each["start_time"] <= hour <= each["expiration_time"] and weekday in each.get("days_of_week", range(7))
        for each in hours["daily"]
    )


def _in_frame(frame: Mapping[str, Any], start: datetime, now: datetime) -> bool:
    months, rest = read_duration(frame["interval"], ".interval")
    if months:  # months differ in length: count them, then see where this one began
        passed = ((now.year - start.year) * 12 + now.month - start.month) // months
        began = _later(start, passed * months, rest * passed)
        while began > now and passed > 0:
            passed -= 1
            began = _later(start, passed * months, rest * passed)
    else:
        began = start + (now - start) // rest * rest
    open_months, open_rest = read_duration(frame["duration"], ".duration")
    return began <= now < _later(began, open_months, open_rest)


def _later(moment: datetime, months: int, rest: timedelta) -> datetime:
    day = add_months(moment.date(), months)
    if day == NEVER:
        return datetime.max.replace(tzinfo=moment.tzinfo)
    return moment.replace(year=day.year, month=day.month, day=day.day) + rest
