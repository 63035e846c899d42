"""What a batch of events says about what a source sends: kinds of event, properties, their types. Pure, and total."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import NoneType
from typing import Any

from app.log.log import StoredEvent

MOST_NAMES = 1_000
"""Kinds of event of a source; what comes beyond is counted under `BEYOND_NAMES`, or typing would fill a disk."""
MOST_PATHS = 300
"""Properties of a kind of event."""
BEYOND_NAMES = f"(beyond {MOST_NAMES:,} names)"
BEYOND_PATHS = f"(beyond {MOST_PATHS} properties)"
LONGEST_NAME = 200
LONGEST_PATH = 300
"""Letters. Both are in one index, whose rows may have 2,700 bytes, and a letter may have four."""
DEEPEST = 8
"""Levels of objects and lists; what is deeper counts only as the object or list that it begins with."""
MOST_ELEMENTS = 100
"""Elements of one list that are looked at."""
MOST_IN_A_BATCH = 20_000
"""Properties that one batch may name, of all its kinds: a bound for memory."""

_TYPES: Mapping[type, str] = {
    str: "string",
    int: "number",
    float: "number",
    bool: "boolean",
    dict: "object",
    list: "array",
    NoneType: "null",
}

Key = tuple[str, str, str]
"""Source, type, name."""


@dataclass
class Property:
    """A property of a kind of event."""

    first: datetime
    last: datetime
    types: dict[str, int] = field(default_factory=dict)
    """How often it had which type."""


@dataclass
class Kind:
    """A kind of event."""

    first: datetime
    last: datetime
    count: int = 0
    paths: dict[str, Property] = field(default_factory=dict)


@dataclass
class Fold:
    """What the events of a batch say, as far as they were added."""

    kinds: dict[Key, Kind] = field(default_factory=dict)
    _room: int = MOST_IN_A_BATCH

    def add(self, events: Iterable[StoredEvent], moment: datetime) -> None:
        """Count events by kind, and the types of their properties and traits.

        An event counts at its `receivedAt`; `moment` stands in where that is no time.
        """
        for event in events:
            message = event.message
            at = _received(message.get("receivedAt"), moment)
            key = (event.source, str(message.get("type", "")), _name(message)[:LONGEST_NAME])
            kind = self.kinds.get(key)
            if kind is None:
                kind = self.kinds[key] = Kind(at, at)
            kind.count += 1
            if at > kind.last:
                kind.last = at
            elif at < kind.first:
                kind.first = at
            for part in ("properties", "traits"):
                values = message.get(part)
                if isinstance(values, dict):
                    for name, value in values.items():
                        self._walk(kind, value, f"{part}.{name}", at, 1)

    def _walk(self, kind: Kind, value: Any, path: str, at: datetime, depth: int) -> None:
        found = kind.paths.get(path)
        if found is None:
            path = path[:LONGEST_PATH] if self._room else BEYOND_PATHS
            found = kind.paths.get(path)
            if found is None:
                self._room = max(0, self._room - 1)
                found = kind.paths[path] = Property(at, at)
        if at > found.last:
            found.last = at
        elif at < found.first:
            found.first = at
        type_ = _TYPES[type(value)]
        found.types[type_] = found.types.get(type_, 0) + 1
        if depth == DEEPEST:
            return
        if type_ == "object":
            for name, inner in value.items():
                self._walk(kind, inner, f"{path}.{name}", at, depth + 1)
        elif type_ == "array":
            path += "[]"
            for inner in value[:MOST_ELEMENTS]:
                self._walk(kind, inner, path, at, depth + 1)


def _name(message: Mapping[str, Any]) -> str:
    """What the screens call a kind of event: the event of a track call, else the name of a page or screen."""
    name = message.get("event" if message.get("type") == "track" else "name")
    return name if isinstance(name, str) else ""


def _received(text: Any, moment: datetime) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return moment
    return at if at.tzinfo else moment


def beyond_names(kinds: Mapping[Key, Kind], known: set[Key], counts: Mapping[str, int]) -> dict[Key, Kind]:
    """The same with what is new and beyond the bound counted together. `counts`: names that each source has."""
    room = {source: MOST_NAMES - counts.get(source, 0) for source, _, _ in kinds}
    bounded: dict[Key, Kind] = {}
    for key, kind in kinds.items():
        source, type_, name = key
        if key not in known and name != BEYOND_NAMES:
            room[source] -= 1
            if room[source] < 0:
                key = source, type_, BEYOND_NAMES
        found = bounded.get(key)
        if found is None:
            bounded[key] = kind
            continue
        found.count += kind.count
        found.first, found.last = min(found.first, kind.first), max(found.last, kind.last)
        for path, one in kind.paths.items():
            _add(found.paths, path, one)
    return bounded


def beyond_paths(
    kinds: Mapping[Key, Kind], known: set[tuple[str, str, str, str]], counts: Mapping[Key, int]
) -> dict[Key, dict[str, Property]]:
    """The properties of each kind, those that are new and beyond the bound counted together."""
    bounded: dict[Key, dict[str, Property]] = {}
    for key, kind in kinds.items():
        room = MOST_PATHS - counts.get(key, 0)
        paths = bounded[key] = {}
        for path, one in kind.paths.items():
            if (*key, path) not in known and path != BEYOND_PATHS:
                room -= 1
                if room < 0:
                    path = BEYOND_PATHS
            _add(paths, path, one)
    return bounded


def _add(paths: dict[str, Property], path: str, more: Property) -> None:
    found = paths.get(path)
    if found is None:
        paths[path] = Property(more.first, more.last, dict(more.types))
        return
    found.first, found.last = min(found.first, more.first), max(found.last, more.last)
    for type_, count in more.types.items():
        found.types[type_] = found.types.get(type_, 0) + count
