"""Days of the project's calendar: months that are added, ends of periods, midnights. Pure.

documented: the project's time zone decides when a day begins; a month that is too short is rounded down to its last
day. The sandbox's project is in UTC unless its configuration says otherwise.
"""

import calendar
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

NEVER = date.max
"""The day that never comes; Postgres writes it as `infinity`."""
PERIODS = {"MONTH": 1, "QUARTER": 3, "HALF_YEAR": 6, "YEAR": 12}
"""How many months each period of the calendar has."""


def day_of(moment: datetime, zone: str) -> date:
    return moment.astimezone(ZoneInfo(zone)).date()


def midnight(day: date, zone: str) -> datetime:
    """The moment at which this day begins."""
    return datetime.combine(day, datetime.min.time(), ZoneInfo(zone)).astimezone(UTC)


def add_months(day: date, months: int) -> date:
    """The same day some months later, or the last of that month where it is shorter. Beyond year 9998 it is NEVER."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    if year >= date.max.year:
        return NEVER
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def add_days(day: date, days: int) -> date:
    """So many days later, or earlier; beyond the calendar it is NEVER, and what never comes stays so."""
    try:
        return day if day == NEVER else day + timedelta(days=days)
    except OverflowError:
        return NEVER


def period_start(day: date, period: str) -> date:
    """The first day of the month, quarter, half-year or year that this day is in."""
    months = PERIODS[period]
    return date(day.year, (day.month - 1) // months * months + 1, 1)


def next_period(day: date, period: str) -> date:
    return add_months(period_start(day, period), PERIODS[period])


def period_end(day: date, period: str) -> date:
    """The last day of the period that this day is in."""
    after = next_period(day, period)
    return after if after == NEVER else after - timedelta(days=1)


def in_year(year: int, month: int, day: int) -> date:
    """This day of a year; 29 February, 31 April and the like are the last of their month."""
    return date(year, month, min(day, calendar.monthrange(year, month)[1]))
