"""The date filters of `@liquid`: from whatever an event has for a time to text, in UTC and in English, as LiquidJS does
it.
"""

import re
from datetime import UTC, datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from app import jsvalues
from app.jsvalues import UNDEFINED

DEFAULT_FORMAT: Final = "%A, %B %-e, %Y at %-l:%M %P %z"

_CODE: Final = re.compile(r"%([-_0^#:]+)?(\d+)?([EO])?(.)")
_ISO: Final = re.compile(
    r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:\.(\d+))?)?)? ?(Z|z|[+-]\d{2}:?\d{2})?"
)
_WIDTHS: Final = {"C": 2, "j": 3, "L": 3, "Y": 4, **dict.fromkeys("deHIklmMSUWy", 2)}
_PADDED_WITH_SPACES: Final = frozenset("aAbBceklpP")
_LONGEST: Final = 100
_WEEKDAYS: Final = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_MONTHS: Final = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip


def date(value: Any, pattern: Any = UNDEFINED, zone: Any = UNDEFINED) -> Any:
    """`value | date: "%Y-%m-%d"`; a value that is no time is given back. `zone` is minutes west of UTC, or a name."""
    moment = _moment(value)
    if moment is None:
        return value
    if zone is not UNDEFINED:
        moment = moment.astimezone(_zone(zone))
    return strftime(moment, DEFAULT_FORMAT if pattern is UNDEFINED or pattern is None else jsvalues.to_string(pattern))


def date_to_xmlschema(value: Any) -> Any:
    return date(value, "%Y-%m-%dT%H:%M:%S%:z")


def date_to_rfc822(value: Any) -> Any:
    return date(value, "%a, %d %b %Y %H:%M:%S %z")


def date_to_string(value: Any, kind: Any = UNDEFINED, style: Any = UNDEFINED) -> Any:
    return _in_words(value, "%b", kind, style)


def date_to_long_string(value: Any, kind: Any = UNDEFINED, style: Any = UNDEFINED) -> Any:
    return _in_words(value, "%B", kind, style)


def _in_words(value: Any, month: str, kind: Any, style: Any) -> Any:
    if kind == "ordinal":
        return date(value, f"{month} %-d%q, %Y" if style == "US" else f"%-d%q {month} %Y")
    return date(value, f"%d {month} %Y")


def _moment(value: Any) -> datetime | None:
    """A time in UTC: seconds since 1970, `now`, ISO 8601, or the form of an e-mail's Date."""
    if isinstance(value, str) and value in ("now", "today"):
        return datetime.now(UTC)
    if isinstance(value, str) and value.isascii() and value.isdecimal():
        value = float(value)
    try:
        if isinstance(value, bool):
            return datetime.fromtimestamp(value / 1000, UTC)
        if isinstance(value, (int, float)):
            return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=int(value * 1000))
        if isinstance(value, str):
            return _from_text(value)
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
    return None


def _from_text(text: str) -> datetime:
    found = _ISO.fullmatch(text.strip())
    if found is None:
        return parsedate_to_datetime(text).astimezone(UTC)
    year, month, day, hour, minute, second, fraction, zone = found.groups()
    offset = timedelta()
    if zone and zone not in "Zz":
        sign = -1 if zone[0] == "-" else 1
        offset = sign * timedelta(hours=int(zone[1:3]), minutes=int(zone[-2:]))
    milliseconds = int((fraction or "0").ljust(3, "0")[:3])
    moment = datetime(int(year), int(month or 1), int(day or 1), tzinfo=UTC)
    return (
        moment
        - offset
        + timedelta(hours=int(hour or 0), minutes=int(minute or 0), seconds=int(second or 0), milliseconds=milliseconds)
    )


def _zone(zone: Any) -> timezone | ZoneInfo:
    if isinstance(zone, str):
        try:
            return ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            return UTC
    try:
        return timezone(-timedelta(minutes=jsvalues.to_number(zone) or 0))
    except (ValueError, OverflowError):
        return UTC


def strftime(moment: datetime, pattern: str) -> str:
    """Ruby's directives with its flags: `-` no padding, `_` spaces, `0` zeros, `^` upper case, `#` other case, `:` in
    zones.
    """
    return _CODE.sub(lambda match: _format(moment, match), pattern)


def _format(moment: datetime, match: re.Match[str]) -> str:
    flags, width, _, code = match.groups()
    flags = flags or ""
    text = _part(moment, code, colon=":" in flags, width=int(width) if width else 0)
    if text is None:
        return match[0]
    if "^" in flags:
        text = text.upper()
    elif "#" in flags:
        text = text.upper() if any("a" <= letter <= "z" for letter in text) else text.lower()
    fill = " " if "_" in flags or (code in _PADDED_WITH_SPACES and "0" not in flags) else "0"
    size = 0 if "-" in flags else min(int(width or 0) or _WIDTHS.get(code, 0), _LONGEST)
    return text.rjust(size, fill)


def _part(moment: datetime, code: str, *, colon: bool, width: int) -> str | None:
    hour, weekday = moment.hour, (moment.weekday() + 1) % 7
    day_of_year = moment.timetuple().tm_yday
    match code:
        case "a" | "A":
            return _WEEKDAYS[weekday][: 3 if code == "a" else None]
        case "b" | "B" | "h":
            return _MONTHS[moment.month - 1][: None if code == "B" else 3]
        case "c":
            return f"{_part(moment, 'x', colon=colon, width=0)}, {_part(moment, 'X', colon=colon, width=0)}"
        case "I" | "l":
            return str(hour % 12 or 12)
        case "L":
            return str(moment.microsecond // 1000)
        case "N":
            size = min(width or 9, _LONGEST)
            return f"{moment.microsecond // 1000:03}"[:size].ljust(size, "0")
        case "p" | "P":
            return ("AM" if hour < 12 else "PM") if code == "p" else ("am" if hour < 12 else "pm")
        case "q":
            return "th" if moment.day in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(moment.day % 10, "th")
        case "s":
            return str(int(moment.timestamp() // 1))
        case "U":
            return str((day_of_year - 1 - weekday + 7) // 7)
        case "W":
            return str((day_of_year - 1 - (weekday - 1) % 7 + 7) // 7)
        case "x":
            return f"{moment.month}/{moment.day}/{moment.year}"
        case "X":
            return f"{hour % 12 or 12}:{moment.minute:02}:{moment.second:02} {'AM' if hour < 12 else 'PM'}"
        case "z":
            offset = f"{moment:%z}"[:5]
            return f"{offset[:3]}:{offset[3:]}" if colon else offset
        case "Z":
            return moment.tzname() or ""
        case "t" | "n" | "%":
            return {"t": "\t", "n": "\n", "%": "%"}[code]
    numbers = {
        "C": moment.year // 100, "d": moment.day, "e": moment.day, "H": hour, "k": hour, "j": day_of_year,
        "m": moment.month, "M": moment.minute, "S": moment.second, "u": weekday or 7, "w": weekday,
        "y": moment.year % 100, "Y": moment.year,
    }  # fmt: skip
    return str(numbers[code]) if code in numbers else None
