"""Destination filters: rules that keep events, or parts of them, from a destination. Compiled once; pure.

Segment's order: sample, drop, drop properties, allow properties. A filter that fails on an event drops it, as there: it
may be there to keep something private.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.errors import BadInput, LoyaltyError
from app.pipeline.subscriptions import Trigger, compile_trigger

MOST = 10
"""Filters of one destination, as in Segment."""
LONGEST_CONDITION = 5 * 1024
_OBJECTS = ("properties", "traits", "context")

Event = dict[str, Any]
_Tree = dict[str, "_Tree"]
"""Names below a name; one without any is whole."""


@dataclass(frozen=True)
class Rule:
    """A filter as it was set up; see `DestinationFilter`."""

    name: str
    condition: str
    kind: str
    paths: tuple[str, ...] = ()
    percent: float | None = None


@dataclass(frozen=True)
class Filters:
    """The filters of one destination."""

    rejects: Sequence[tuple[str, Callable[[Event], bool]]] = ()
    """Name and test of those that keep whole events away, in order."""
    shapes: Sequence[tuple[str, Trigger, Callable[[Event], Event]]] = field(default=())

    def reason(self, event: Event) -> str | None:
        """Why the event may not go to the destination, or None when it may."""
        for name, rejects in self.rejects:
            try:
                if rejects(event):
                    return f"The filter {name} keeps it from this destination."
            except LoyaltyError as error:
                return f"The filter {name} failed, so the event does not go out: {error.sentence}"
        for name, condition, _ in self.shapes:
            try:
                condition(event)
            except LoyaltyError as error:
                return f"The filter {name} failed, so the event does not go out: {error.sentence}"
        return None

    def shape(self, event: Event) -> Event:
        """The event without what its destination may not see. The one that was given stays as it is."""
        for _, condition, cut in self.shapes:
            if condition(event):
                event = cut(event)
        return event


def compile_filters(rules: Iterable[Rule]) -> Filters:
    """Compile them, in Segment's order.

    Raises:
        BadInput: a filter can't be read; the sentence names its field.
    """
    rejects: list[tuple[str, Callable[[Event], bool]]] = []
    shapes: list[tuple[str, Trigger, Callable[[Event], Event]]] = []
    order = ("sample", "drop", "drop_properties", "allow_properties")
    for rule in sorted(rules, key=lambda rule: order.index(rule.kind) if rule.kind in order else 0):
        condition = _condition(rule)
        if rule.kind == "sample":
            rejects.append((rule.name, _sample(rule, condition)))
        elif rule.kind == "drop":
            rejects.append((rule.name, condition))
        elif rule.kind in {"drop_properties", "allow_properties"}:
            cut = _without if rule.kind == "drop_properties" else _only
            shapes.append((rule.name, condition, cut(_tree(rule))))
        else:
            raise BadInput(f"kind: a filter is one of {', '.join(order)}.")
    return Filters(tuple(rejects), tuple(shapes))


def _condition(rule: Rule) -> Trigger:
    if len(rule.condition.encode()) > LONGEST_CONDITION:
        raise BadInput("condition: 5 KB at most.")
    try:
        return compile_trigger(rule.condition)
    except LoyaltyError as error:
        raise BadInput(f"condition: {error.sentence}") from error


def _sample(rule: Rule, condition: Trigger) -> Callable[[Event], bool]:
    percent = rule.percent
    if percent is None or not 0 <= percent <= 100:
        raise BadInput("percent: say how many of a hundred events pass, 0 to 100.")
    if len(rule.paths) > 1:
        raise BadInput("paths: a sample is decided by one path at most.")
    keys = rule.paths[0].split(".") if rule.paths else ["messageId"]

    def rejects(event: Event) -> bool:
        if not condition(event):
            return False
        value: Any = event
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        # By a hash: the same event, or the same person, is in or out whoever decides, and at every replay.
        digest = hashlib.sha256(str(value).encode("utf-8", "replace")).digest()
        return int.from_bytes(digest[:8], "big") / 2**64 * 100 >= percent

    return rejects


def _tree(rule: Rule) -> _Tree:
    if not rule.paths:
        raise BadInput("paths: name one property at least, as in properties.card_number.")
    tree: _Tree = {}
    for path in rule.paths:
        keys = path.split(".")
        if keys[0] not in _OBJECTS or len(keys) < 2 or not all(keys):
            raise BadInput(f"paths: {path} is not a property. Paths begin with properties., traits. or context.")
        below = tree
        for key in keys:
            below = below.setdefault(key, {})
    return tree


def _without(tree: _Tree) -> Callable[[Event], Event]:
    return lambda event: _dropped(event, tree)


def _dropped(value: Any, tree: _Tree) -> Any:
    """The value without what the tree names. In a list, of each of its items."""
    if isinstance(value, list):
        return [_dropped(item, tree) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: _dropped(item, tree[key]) if key in tree else item
        for key, item in value.items()
        if key not in tree or tree[key]
    }


def _only(tree: _Tree) -> Callable[[Event], Event]:
    def cut(event: Event) -> Event:
        return {key: _kept(item, tree[key]) if key in tree else item for key, item in event.items()}

    return cut


def _kept(value: Any, tree: _Tree) -> Any:
    """Of the value only what the tree names; whole where it names nothing below."""
    if not tree:
        return value
    if isinstance(value, list):
        return [_kept(item, tree) for item in value]
    if not isinstance(value, dict):
        return None
    return {key: _kept(item, tree[key]) for key, item in value.items() if key in tree}
