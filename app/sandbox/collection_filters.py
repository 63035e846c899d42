"""The conditions of a product collection that fills itself: a filter read from a request, and what it lets in. Pure."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from app.sandbox.clock import parse_time
from app.sandbox.errors import NotEmulated, invalid_payload

_FIELDS = (
    *("id", "product_id", "source_id", "name", "price", "object", "attributes", "image_url", "skus"),
    *("created_at", "updated_at"),
)


def matches(wanted: dict[str, Any], row: dict[str, Any]) -> bool:
    answers = [
        _OPERATORS[operator](value(row, name), operands)
        for name, field in wanted.items()
        if name != "junction"
        for operator, operands in field["conditions"].items()
    ]
    return bool(answers) and (all(answers) if wanted["junction"] == "and" else any(answers))


def value(row: dict[str, Any], name: str) -> Any:
    if name.startswith("metadata."):
        return row["metadata"].get(name.removeprefix("metadata."))
    if name == "name" and row["object"] == "sku":
        return row["sku"]
    return row.get(name)


def _same(value: Any, operand: Any) -> bool:
    return bool(_folded(value) == _folded(operand))


def _folded(value: Any) -> Any:
    return value.casefold() if isinstance(value, str) else value


def _is_any(value: Any, operands: list[Any]) -> bool:
    values = value if isinstance(value, list) else [value]
    return any(_same(each, operand) for each in values for operand in operands)


def _has(value: Any, operands: list[Any]) -> bool:
    if isinstance(value, str):
        return any(isinstance(operand, str) and operand.casefold() in value.casefold() for operand in operands)
    return value is not None and _is_any(value, operands)


def _text(test: Callable[[str, str], bool]) -> Callable[[Any, list[Any]], bool]:
    def tested(value: Any, operands: list[Any]) -> bool:
        return isinstance(value, str) and any(test(value.casefold(), str(each).casefold()) for each in operands)

    return tested


def _number(test: Callable[[float, float], bool]) -> Callable[[Any, list[Any]], bool]:
    def tested(value: Any, operands: list[Any]) -> bool:
        numbers = [
            each for each in (value, operands[0]) if isinstance(each, int | float) and not isinstance(each, bool)
        ]
        return len(numbers) == 2 and test(numbers[0], numbers[1])

    return tested


def _time(test: Callable[[datetime, datetime], bool]) -> Callable[[Any, list[Any]], bool]:
    def tested(value: Any, operands: list[Any]) -> bool:
        try:
            return test(parse_time(str(value)), parse_time(str(operands[0])))
        except ValueError:
            return False

    return tested


_OPERATORS: dict[str, Callable[[Any, list[Any]], bool]] = {
    "$is": _is_any,
    "$in": _is_any,
    "$is_not": lambda value, operands: not _is_any(value, operands),
    "$not_in": lambda value, operands: not _is_any(value, operands),
    "$contains": _has,
    "$not_contain": lambda value, operands: not _has(value, operands),
    "$has_value": lambda value, _: value not in (None, "", [], {}),
    "$is_unknown": lambda value, _: value in (None, "", [], {}),
    "$starts_with": _text(str.startswith),
    "$ends_with": _text(str.endswith),
    "$more_than": _number(lambda a, b: a > b),
    "$less_than": _number(lambda a, b: a < b),
    "$more_than_equal": _number(lambda a, b: a >= b),
    "$less_than_equal": _number(lambda a, b: a <= b),
    "$after": _time(lambda a, b: a > b),
    "$before": _time(lambda a, b: a < b),
}


def read(given: Any) -> dict[str, Any]:
    """A filter, checked; its operands are lists afterwards."""
    if not isinstance(given, dict) or "junction" not in given:
        raise invalid_payload("'AUTO_UPDATE' collection must contain valid filter with 'junction' property")
    if given["junction"] not in ("and", "or"):
        raise invalid_payload("Property .filter has wrong `junction` property. It must be one of: and, or")
    made: dict[str, Any] = {"junction": given["junction"]}
    for name, field in given.items():
        if name == "junction":
            continue
        if name not in _FIELDS and not name.startswith("metadata."):
            raise invalid_payload(f"Property .filter.{name} is not one of {', '.join(_FIELDS)}, metadata.*")
        conditions = field.get("conditions") if isinstance(field, dict) else None
        if not isinstance(conditions, dict) or not conditions:
            raise invalid_payload(f"Property .filter.{name} should have required property 'conditions'")
        if unknown := set(conditions) - set(_OPERATORS):
            raise NotEmulated(f"The condition {min(unknown)} of a product collection")
        made[name] = {"conditions": {key: _operands(key, value, name) for key, value in conditions.items()}}
    return made


def _operands(operator: str, value: Any, name: str) -> list[Any]:
    operands = value if isinstance(value, list) else [value]
    if not operands and operator not in ("$has_value", "$is_unknown"):
        raise invalid_payload(f"Property .filter.{name}.conditions.{operator} must NOT have fewer than 1 items")
    return operands
