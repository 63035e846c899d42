"""Turning a value into the type that a field asks for, by the rules of AJV's `coerceTypes: "array"`."""

from collections.abc import Callable
from typing import Any, Final

from app import jsvalues
from app.jsvalues import UNDEFINED, double, to_number


class NotCoercible(ValueError):
    """The value can't become what is wanted; `value` is what was left after a list of one gave its item."""

    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value


def coerce(value: Any, wanted: tuple[str, ...]) -> Any:
    """The value as one of the wanted types, by the rules of AJV's `coerceTypes: "array"`.

    A list of one stands for its item, except where several types are wanted: then AJV asks the item to be of *all* of
    them, which nothing is, so `["text"]` is refused where `[5]` becomes "5".
    """
    if any(_is(value, kind) for kind in wanted):
        return value
    if wanted == ("object",):
        raise NotCoercible(value)
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
        if len(wanted) == 1 and _is(value, wanted[0]):
            return value
    for kind in wanted:
        converted = _CONVERSIONS[kind](value) if kind in _CONVERSIONS else UNDEFINED
        if converted is not UNDEFINED:
            return converted
    raise NotCoercible(value)


def _is(value: Any, kind: str) -> bool:
    found = jsvalues.type_of(value)
    if kind == "integer":
        return found == "number" and double(value).is_integer()
    return found == kind


def _to_text(value: Any) -> Any:
    if value is None:
        return ""
    return jsvalues.to_string(value) if isinstance(value, (bool, int, float)) else UNDEFINED


def _to_number(value: Any) -> Any:
    if isinstance(value, str):
        number = to_number(value)
        if not value or number != number:  # noqa: PLR0124 - NaN
            return UNDEFINED
    elif value is None or isinstance(value, bool):
        number = to_number(value)
    else:
        return UNDEFINED
    return int(number) if number.is_integer() and abs(number) <= jsvalues.MAX_SAFE_INTEGER else number


def _to_integer(value: Any) -> Any:
    number = _to_number(value)
    return number if number is not UNDEFINED and double(number).is_integer() else UNDEFINED


def _to_boolean(value: Any) -> Any:
    if value is None or value == "false" or _is_number(value, 0):
        return False
    return True if value == "true" or _is_number(value, 1) else UNDEFINED


def _to_null(value: Any) -> Any:
    return None if value == "" or value is False or _is_number(value, 0) else UNDEFINED


def _to_list(value: Any) -> Any:
    return [value] if value is None or isinstance(value, (str, bool, int, float)) else UNDEFINED


def _is_number(value: Any, number: int) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value == number


_CONVERSIONS: Final[dict[str, Callable[[Any], Any]]] = {
    "string": _to_text,
    "number": _to_number,
    "integer": _to_integer,
    "boolean": _to_boolean,
    "null": _to_null,
    "array": _to_list,
}
