"""The filters that `@liquid` templates may use, on JavaScript's values: those of LiquidJS that Segment leaves switched
on.

python-liquid's own filters count in Python's numbers, print `None` and `{'a': 1}`, and refuse what LiquidJS converts;
these do not. Arguments that are missing or undefined take the default, too many are ignored.
"""

import base64
import binascii
import hashlib
import hmac
import inspect
import math
import re
from collections.abc import Callable
from typing import Any, Final

from app import jsvalues
from app.jsvalues import UNDEFINED
from app.pipeline import liquid_dates
from app.pipeline.liquid_text import MAX_TEXT, TEXT_FILTERS, Filter, as_number, limit, plain, stringify
from app.pipeline.mapping_check import MappingError

SEGMENTS_MEMORY: Final = 1e8
_OF_TWO_NUMBERS: Final = frozenset({"divided_by", "minus", "modulo", "plus", "times"})
"""With one number they count with undefined, unlike with a variable that is undefined, which is 0."""


def compile_filter(name: str, function: Filter) -> Filter:
    """The function as python-liquid calls it: any arguments in, plain values through, and no more text out than
    allowed.
    """
    parameters = list(inspect.signature(function).parameters.values())
    defaults = [parameter.default for parameter in parameters]

    def filtered(value: Any, *given: Any, **named: Any) -> Any:
        if not given and name in _OF_TWO_NUMBERS:
            return math.nan
        if not given and name in ("append", "prepend"):
            raise MappingError(f"{name} expect 2 arguments")
        arguments = [plain(value), *map(plain, given)][: len(parameters)]
        if name == "default":
            return function(*arguments[:2], *[UNDEFINED] * (2 - len(arguments)), named.get("allow_false", False))
        arguments += [UNDEFINED] * (len(parameters) - len(arguments))
        for index, default in enumerate(defaults):
            if arguments[index] is UNDEFINED and default is not inspect.Parameter.empty:
                arguments[index] = default
        result = function(*arguments)
        if isinstance(result, str):
            limit(len(result))
        return result

    return filtered


def _numeric(compute: Callable[[float, float], float]) -> Filter:
    return lambda left, right: compute(as_number(left), as_number(right))


def _divided(dividend: float, divisor: float) -> float:
    if divisor:
        return dividend / divisor
    if not dividend or math.isnan(dividend):
        return math.nan
    return math.copysign(math.inf, dividend) * math.copysign(1, divisor)


def _divided_by(dividend: Any, divisor: Any, whole: Any = 0) -> float:
    quotient = _divided(as_number(dividend), as_number(divisor))
    return _whole(math.floor, quotient) if as_number(whole) else quotient


def _modulo(left: float, right: float) -> float:
    if not right or math.isinf(left):
        return math.nan
    return math.fmod(math.fmod(left, right) + right, right)


def _whole(function: Callable[[float], int], number: float) -> float:
    return float(function(number)) if math.isfinite(number) else number


def _round(value: Any, places: Any = 0) -> float:
    number, digits = as_number(value), as_number(places)
    scaled = _shifted(abs(number), digits)
    if not scaled <= jsvalues.MAX_SAFE_INTEGER - 1:
        return number
    rounded = _shifted(math.floor(scaled + 0.5), -digits)
    return -rounded if number < 0 else rounded


def _shifted(number: float, exponent: float) -> float:
    mantissa, _, power = jsvalues.number_to_string(number).partition("e")
    return jsvalues.to_number(f"{mantissa}e{jsvalues.number_to_string(float(power or 0) + exponent)}")


def _list(value: Any) -> list[Any]:
    if value is None or value is UNDEFINED:
        return []
    return value if isinstance(value, list) else [value]


def _join(value: Any, separator: Any = " ") -> str:
    between = " " if separator is None else stringify(separator)
    parts = ["" if item is None or item is UNDEFINED else jsvalues.to_string(item) for item in _list(value)]
    limit(sum(map(len, parts)) + len(between) * len(parts))
    return between.join(parts)


def _end(index: int) -> Filter:
    def end(value: Any) -> Any:
        if isinstance(value, list):
            return value[index] if value else UNDEFINED
        return value[index] if isinstance(value, str) and value else ""

    return end


def _size(value: Any) -> Any:
    if isinstance(value, str):
        return jsvalues.length(value)
    return len(value) if isinstance(value, list) else 0


def _read(item: Any, path: str) -> Any:
    for key in path.split("."):
        item = item.get(key, UNDEFINED) if isinstance(item, dict) else UNDEFINED
    return item


def _sum(value: Any, field: Any = UNDEFINED) -> float:
    items = [_read(item, stringify(field)) if field else item for item in _list(value)]
    return sum(as_number(item) if item is not UNDEFINED else 0.0 for item in items)


def _where(value: Any, field: Any, wanted: Any = UNDEFINED) -> list[Any]:
    path = stringify(field)

    def fits(item: Any) -> bool:
        found = _read(item, path)
        if wanted is None:
            return found is None or found is UNDEFINED
        if wanted is UNDEFINED:
            return found is not UNDEFINED and found is not None and found is not False
        return jsvalues.type_of(found) == jsvalues.type_of(wanted) and bool(found == wanted)

    return [item for item in _list(value) if fits(item)]


def _slice(value: Any, begin: Any, length: Any = 1) -> Any:
    if value is None or value is UNDEFINED:
        return []
    sequence = value if isinstance(value, list) else stringify(value)
    if as_number(length) > SEGMENTS_MEMORY:
        raise MappingError("memory alloc limit exceeded")
    if isinstance(value, list) and math.isnan(jsvalues.to_number(begin)):
        return []
    start, count = (int(max(min(as_number(number), MAX_TEXT), -MAX_TEXT)) for number in (begin, length))
    start += len(sequence) if start < 0 else 0
    return sequence[start : start + count] if start >= 0 and count >= 0 else sequence[:0]


def _default(value: Any, fallback: Any, allow_false: Any) -> Any:
    if isinstance(value, (list, str)):
        return value or fallback
    if value is False and allow_false:
        return False
    return fallback if value is None or value is UNDEFINED or value is False else value


def _json(value: Any, indent: Any = 0) -> Any:
    text = jsvalues.stringify(value)
    if not jsvalues.truthy(indent) or text is UNDEFINED:
        return text
    raise MappingError("@liquid: the filter json takes no indentation here")


def _base64_decoded(value: Any) -> str:
    text = re.sub(r"[\t\n\f\r ]", "", stringify(value))
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True).decode("utf-8", "replace")
    except binascii.Error:
        raise MappingError("invalid base64 provided to base64_decode") from None


def _bytes(value: Any) -> bytes:
    return stringify(value).encode("utf-8", "replace")


FILTERS: Final[dict[str, Filter]] = TEXT_FILTERS | {
    "abs": lambda value: abs(as_number(value)),
    "at_least": lambda value, least=-math.inf: max(as_number(value), as_number(least)),
    "at_most": lambda value, most=math.inf: min(as_number(value), as_number(most)),
    "base64_decode": _base64_decoded,
    "base64_encode": lambda value: base64.b64encode(_bytes(value)).decode(),
    "ceil": lambda value: _whole(math.ceil, as_number(value)),
    "compact": lambda value: [item for item in _list(value) if item is not None and item is not UNDEFINED],
    "date": liquid_dates.date,
    "date_to_long_string": liquid_dates.date_to_long_string,
    "date_to_rfc822": liquid_dates.date_to_rfc822,
    "date_to_string": liquid_dates.date_to_string,
    "date_to_xmlschema": liquid_dates.date_to_xmlschema,
    "default": _default,
    "divided_by": _divided_by,
    "first": _end(0),
    "floor": lambda value: _whole(math.floor, as_number(value)),
    "hmac_sha256": lambda value, key: hmac.new(_bytes(key), _bytes(value), hashlib.sha256).hexdigest(),
    "inspect": _json,
    "join": _join,
    "json": _json,
    "jsonify": _json,
    "last": _end(-1),
    "minus": _numeric(lambda left, right: left - right),
    "modulo": _numeric(_modulo),
    "plus": _numeric(lambda left, right: left + right),
    "pop": lambda value: _list(value)[:-1],
    "push": lambda value, item: [*_list(value), item],
    "raw": lambda value: value,
    "round": _round,
    "sha256": lambda value: hashlib.sha256(_bytes(value)).hexdigest(),
    "shift": lambda value: _list(value)[1:],
    "size": _size,
    "slice": _slice,
    "sum": _sum,
    "times": _numeric(lambda left, right: left * right),
    "to_integer": jsvalues.to_number,
    "unshift": lambda value, item: [item, *_list(value)],
    "where": _where,
}

DISABLED_FILTERS: Final = frozenset(
    {
        "array_to_sentence_string", "concat", "find", "find_exp", "find_index", "find_index_exp", "group_by",
        "group_by_exp", "has", "has_exp", "map", "newline_to_br", "reject", "reject_exp", "reverse", "sort",
        "sort_natural", "uniq", "where_exp", "type",
    }
)  # fmt: skip
"""Switched off by Segment. All other unknown names pass the value through."""
