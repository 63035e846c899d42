"""What can be said of the events that a trigger takes, from its reading alone."""

from typing import Final

from app.pipeline.lint_meaning import contradict
from app.pipeline.trigger_reading import Condition, Reading

TYPES: Final = ("identify", "track", "page", "screen", "group", "alias")
TYPES_WITH: Final = {
    "event": ("track",),
    "name": ("page", "screen"),
    "category": ("page", "screen"),
    "properties": ("track", "page", "screen"),
    "traits": ("identify", "group"),
    "groupId": ("group",),
    "previousId": ("alias",),
}
"""Which types of message have a field; fields that are not here are on all."""


def takes_types(reading: Reading | None) -> frozenset[str]:
    """The types that events taken by a trigger can have."""
    if reading is None:
        return frozenset()
    if isinstance(reading, Condition):
        return frozenset(type_ for type_ in TYPES if _allows(reading, type_))
    each = [takes_types(item) for item in reading.items]
    return frozenset.intersection(*each) if reading.connector == "and" else frozenset.union(*each)


def _allows(condition: Condition, type_: str) -> bool:
    if condition.keys == ("type",):
        return not contradict(condition, Condition(("type",), "=", type_))
    field = (condition.keys or ("",))[0]
    return condition.operator in ("!=", "not_exists") or type_ in TYPES_WITH.get(field, TYPES)


def makes_sure_of(reading: Reading | None, keys: tuple[str, ...]) -> bool:
    """Whether every event that a trigger takes has this field."""
    if reading is None:
        return False
    if isinstance(reading, Condition):
        return reading.keys == keys and reading.operator not in ("!=", "not_exists")
    each = [makes_sure_of(item, keys) for item in reading.items]
    return any(each) if reading.connector == "and" else all(each)
