"""JSON values as JavaScript sees them, for Segment's mapping and trigger languages are written in it.

Values are what `json.loads` gives (dict, list, str, int, float, bool, None) and `UNDEFINED`, which is not `None`: an
object drops a key that is undefined and keeps one that is null. Numbers are doubles, text is UTF-16, and some values
count as false that Python takes for true.
"""

import json
import math
import re
from enum import Enum
from functools import cache
from json.encoder import encode_basestring
from typing import Any, Final


class Undefined(Enum):
    """The type of `UNDEFINED`, with a single member so that type checkers follow `is UNDEFINED`."""

    UNDEFINED = "undefined"

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "UNDEFINED"


UNDEFINED: Final = Undefined.UNDEFINED

OBJECT_MEMBERS: Final = frozenset(
    {
        "constructor",
        "hasOwnProperty",
        "isPrototypeOf",
        "propertyIsEnumerable",
        "toLocaleString",
        "toString",
        "valueOf",
        "__proto__",
        "__defineGetter__",
        "__defineSetter__",
        "__lookupGetter__",
        "__lookupSetter__",
    }
)
"""Names that every object of JavaScript answers to. Segment's code looks some names up without asking whose they are.
"""

# ECMAScript's white space and line ends; Python's `str.strip` also takes U+001C to U+001F and U+0085, not U+FEFF.
WHITE_SPACE: Final = "\t\n\v\f\r \u00a0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff" + "".join(
    map(chr, range(0x2000, 0x200B))
)
MAX_SAFE_INTEGER: Final = 2**53
_NUMERIC: Final = re.compile(r"[+-]?(?:Infinity|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)")
_PREFIXED: Final = {"0x": 16, "0o": 8, "0b": 2}
_INDEX: Final = re.compile(r"0|[1-9][0-9]{0,9}")
_LONE_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def type_of(value: Any) -> str:
    """The type's name as Segment's messages say it: `string`, `number`, `boolean`, `null`, `array`, `object`, …"""
    if value is UNDEFINED:
        return "undefined"
    if value is None:
        return "null"
    if isinstance(value, str):
        return "string"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    return "array" if isinstance(value, list) else "object"


def article(word: str) -> str:
    """The word with `a` or `an` before it, by its first letter alone: `an array`, `a null`, `an undefined`."""
    return f"an {word}" if word[:1] in tuple("aeiou") else f"a {word}"


def truthy(value: Any) -> bool:
    """Whether `if (value)` holds: empty lists and objects do, and NaN does not."""
    return bool(value) and value == value if not isinstance(value, (dict, list)) else True  # noqa: PLR0124 - NaN


def is_array_index(key: str) -> bool:
    """Whether a key is an array index, which is also what sorts before all other keys of an object."""
    return _INDEX.fullmatch(key) is not None and int(key) < 2**32 - 1


def utf16(text: str) -> str:
    """The text with one character per UTF-16 code unit, so that positions and lengths are JavaScript's."""
    return "".join(map(chr, memoryview(text.encode("utf-16-le", "surrogatepass")).cast("H"))) if wide(text) else text


def joined(units: str) -> str:
    """The opposite of `utf16`: surrogates that belong together become one character again."""
    if not has_surrogates(units):
        return units
    return units.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def wide(text: str) -> bool:
    """Whether any character takes two UTF-16 code units."""
    return not text.isascii() and max(text) > "\uffff"


def length(text: str) -> int:
    """The length in UTF-16 code units."""
    return len(text) if text.isascii() else len(text) + sum(1 for character in text if character > "\uffff")


def trim(text: str) -> str:
    """The text without the white space around it."""
    return text.strip(WHITE_SPACE)


def number_to_string(number: float) -> str:
    """`String(number)`: `1.0` is `1`, `1e21` is `1e+21`, integers beyond 2**53 lose what a double can't hold."""
    if isinstance(number, int) and -MAX_SAFE_INTEGER <= number <= MAX_SAFE_INTEGER:
        return str(number)
    value = double(number)
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    # The value is 0.digits * 10**point.
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    if len(digits) <= point <= 21:
        return sign + digits + "0" * (point - len(digits))
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    tail = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{tail}e{point - 1:+d}"


def double(number: float) -> float:
    """The number as a double; integers too great for one are infinite."""
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def to_number(value: Any) -> float:
    """`Number(value)`: white space around digits is fine, `""` is 0, other text is NaN."""
    if isinstance(value, (bool, int, float)):
        return double(value)
    if value is None:
        return 0.0
    if isinstance(value, list):
        value = to_string(value)
    if not isinstance(value, str):
        return math.nan
    text = trim(value)
    if not text:
        return 0.0
    base = _PREFIXED.get(text[:2].lower())
    if base is not None:
        digits = text[2:]
        try:
            return double(int(digits, base)) if digits.isascii() and digits.isalnum() else math.nan
        except ValueError:
            return math.nan
    return float(text) if _NUMERIC.fullmatch(text) else math.nan


def to_string(value: Any) -> str:
    """`String(value)`: lists are joined by commas, their nulls empty; an object is `[object Object]`."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return number_to_string(value)
    if isinstance(value, list):
        return ",".join("" if item is None or item is UNDEFINED else to_string(item) for item in value)
    if value is UNDEFINED:
        return "undefined"
    return "null" if value is None else "[object Object]"


def loosely_empty(value: Any) -> bool:
    """`value == ''`: true for `""`, 0, false, and for lists that turn into an empty text."""
    if isinstance(value, list):
        return to_string(value) == ""
    return value == "" or (isinstance(value, (bool, int, float)) and value == 0)


def entries(value: Any) -> list[tuple[str, Any]]:
    """`Object.entries(value)` in its order: array indexes first and ascending, the other keys as they came."""
    if isinstance(value, list):
        return [(str(index), item) for index, item in enumerate(value)]
    if isinstance(value, str):
        return [(str(index), unit) for index, unit in enumerate(utf16(value))]
    if not isinstance(value, dict):
        return []
    indexes = {key for key in value if is_array_index(key)}
    if not indexes:
        return list(value.items())
    ordered = [*sorted(indexes, key=int), *(key for key in value if key not in indexes)]
    return [(key, value[key]) for key in ordered]


def stringify(value: Any) -> str | Undefined:
    """`JSON.stringify(value)`: no spaces, text raw, numbers as JavaScript writes them, what is undefined left out."""
    if isinstance(value, Undefined):
        return value
    if value is None:
        return "null"
    if isinstance(value, str):
        quoted: str = encode_basestring(value)
        return _LONE_SURROGATE.sub(_escaped, quoted)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return number_to_string(value) if math.isfinite(double(value)) else "null"
    if isinstance(value, list):
        return "[" + ",".join("null" if item is UNDEFINED else str(stringify(item)) for item in value) + "]"
    kept = ((key, item) for key, item in entries(value) if item is not UNDEFINED)
    return "{" + ",".join(f"{stringify(key)}:{stringify(item)}" for key, item in kept) + "}"


def _escaped(surrogate: re.Match[str]) -> str:
    return f"\\u{ord(surrogate[0]):04x}"


def parse(text: str) -> Any:
    """`JSON.parse(text)`: NaN and Infinity are refused, and integers become what a double holds.

    Raises:
        ValueError: the text is not JSON.
    """
    try:
        return json.loads(text, parse_int=_integer, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def remove_undefined(value: Any, hole: Any = UNDEFINED) -> Any:
    """A copy without the keys that are undefined, at any depth; list items that are undefined become `hole`.

    A key named `__proto__` is lost, as it is when Segment copies an object.
    """
    if type(value) is dict:
        return {
            key: remove_undefined(item, hole) if type(item) in (dict, list) else item
            for key, item in value.items()
            if item is not UNDEFINED and key != "__proto__"
        }
    if type(value) is list:
        return [hole if item is UNDEFINED else remove_undefined(item, hole) for item in value]
    return value


def clean(value: Any) -> Any:
    """The value as JSON has it: what is undefined is gone from objects and null in lists."""
    return remove_undefined(value, hole=None)


def fold_case(units: str) -> str:
    """UTF-16 text as a regular expression with the flag `i` compares it: one unit for one, never into ASCII.

    So `ß` stays (two letters in upper case) and the Kelvin sign and the dotless i are not `k` and `i`.
    """
    return "".join(map(_fold_unit, units))


def has_surrogates(text: str) -> bool:
    """Whether the text has half a character in it."""
    return not text.isascii() and _LONE_SURROGATE.search(text) is not None


@cache
def _fold_unit(unit: str) -> str:
    upper = unit.upper()
    return upper if len(upper) == 1 and not (unit > "\x7f" >= upper) else unit


def _integer(digits: str) -> float:
    if len(digits) <= 15:
        return int(digits)
    value = float(digits)
    return int(number_to_string(value)) if abs(value) < 1e21 else value


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")
