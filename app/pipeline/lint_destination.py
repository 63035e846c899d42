"""What a person should know about the mappings of one destination together: events that are sent twice.

Whether two mappings take the same event is found out by showing events to both of their triggers: events of every type,
made of what the triggers themselves ask for.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any, Final

from app import jsvalues
from app.jsvalues import UNDEFINED
from app.pipeline.lint_events import TYPES, TYPES_WITH
from app.pipeline.lint_finding import Finding
from app.pipeline.lint_write import alternatives
from app.pipeline.subscriptions import Trigger, TriggerError, compile_reading
from app.pipeline.trigger_reading import Condition, Reading, read

_ORDER_ACTIONS: Final = "order"
"""How the slugs of the actions begin that move an order, and earn by it."""
_EVENT_ACTION: Final = "addCustomEvent"


@dataclass(frozen=True, slots=True)
class Subscription:
    """One mapping of a destination, as plain values."""

    slug: str
    action: str
    trigger: str
    mapping: Mapping[str, Any]
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class _Compiled:
    subscription: Subscription
    reading: Reading
    takes: Trigger


def lint_destination(mappings: Sequence[Subscription]) -> list[Finding]:
    """Events that two enabled mappings send the same way, or both as an order and as a custom event."""
    compiled = [found for mapping in mappings if mapping.enabled and (found := _compiled(mapping)) is not None]
    findings = []
    for first, second in combinations(compiled, 2):
        code = _clash(first.subscription.action, second.subscription.action)
        if code and (event := _common(first, second)) is not None:
            findings.append(_finding(code, first.subscription, second.subscription, event))
    return findings


def _compiled(mapping: Subscription) -> _Compiled | None:
    try:
        reading = read(mapping.trigger)
    except TriggerError:
        return None
    return _Compiled(mapping, reading, compile_reading(reading))


def _clash(first: str, second: str) -> str:
    if first == second:
        return "sent-twice"
    orders = [action.startswith(_ORDER_ACTIONS) for action in (first, second)]
    return "order-and-event" if any(orders) and _EVENT_ACTION in (first, second) else ""


def _finding(code: str, first: Subscription, second: Subscription, event: dict[str, Any]) -> Finding:
    names = f"{first.slug} and {second.slug}"
    if code == "sent-twice":
        sentence = f"{names} both take {_named(event)} and send it by {first.action}: it arrives twice."
        return Finding(code, "warning", sentence)
    sentence = (
        f"{names} both take {_named(event)}, as an order and as a custom event: a programme that earns by both pays "
        "twice. Leave the event out of one trigger."
    )
    return Finding(code, "error", sentence)


def _named(event: dict[str, Any]) -> str:
    """An event in words: `track "Order Completed" without userId`."""
    title = event.get("event") or event.get("name")
    said = f'{event["type"]} "{title}"' if title else f"events of type {event['type']}"
    more = [
        f"{parent}.{key} {jsvalues.stringify(value)}"
        for parent in ("properties", "traits", "context")
        for key, value in event.get(parent, {}).items()
    ]
    said += f" with {', '.join(more)}" if more else ""
    return said if "userId" in event else f"{said} of an anonymous visitor"


def _common(first: _Compiled, second: _Compiled) -> dict[str, Any] | None:
    """An event that both take: one that meets an alternative of the first and an alternative of the second."""
    for one, other in product(alternatives(first.reading), alternatives(second.reading)):
        for event in _events([*one, *other]):
            try:
                if first.takes(event) and second.takes(event):
                    return event
            except TriggerError:
                return None
    return None


def _events(together: Sequence[Condition]) -> Iterator[dict[str, Any]]:
    """For each type the plainest event that meets all of the conditions, where there is one."""
    by_field: dict[tuple[str, ...], list[Condition]] = {}
    for condition in together:
        by_field.setdefault(condition.keys or (), []).append(condition)
    for type_ in TYPES:
        fields: dict[tuple[str, ...], Any] = {("userId",): "u1"}
        for keys, asked in by_field.items():
            there = type_ in TYPES_WITH.get(keys[0] if keys else "", TYPES)
            candidates = [type_] if keys == ("type",) else [*(_values(asked) if there else []), UNDEFINED]
            for value in candidates:
                if all(compile_reading(condition)(_event({keys: value})) for condition in asked):
                    fields[keys] = value
                    break
            else:
                break
        else:
            yield _event({("type",): type_, **fields})


def _values(asked: Sequence[Condition]) -> list[Any]:
    """Values that may meet all the conditions on one field."""
    numbers = [condition.value for condition in asked if isinstance(condition.value, float)]
    texts = [condition.value for condition in asked if condition.operator in ("=", "contains")]
    heads = [condition.value for condition in asked if condition.operator == "starts_with"]
    tails = [condition.value for condition in asked if condition.operator == "ends_with"]
    between = [(one + other) / 2 for one, other in combinations(numbers, 2)]
    around = [number + more for number in numbers for more in (0, 1, -1, 0.5)]
    head, tail = (max(words, key=len, default="") for words in (heads, tails))
    wholes = ["".join([head, *texts, more, tail]) for more in ("", "something else")]
    return [*texts, *heads, *tails, *wholes, *around, *between, True, False]


def _event(fields: Mapping[tuple[str, ...], Any]) -> dict[str, Any]:
    event: dict[str, Any] = {}
    for keys, value in fields.items():
        if value is UNDEFINED or not keys:
            continue
        place = event
        for key in keys[:-1]:
            inside = place.setdefault(key, {})
            if not isinstance(inside, dict):
                break
            place = inside
        else:
            place[keys[-1]] = value
    return event
