"""The difference between two JSON values, as a list of paths: pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

MOST = 200
"""Changes that are listed."""


@dataclass(frozen=True)
class Change:
    """One place where two values differ."""

    path: str
    """As in `body.items[0].price`; empty for the whole."""
    kind: Literal["changed", "added", "removed"]
    old: Any = None
    new: Any = None


def differences(old: Any, new: Any) -> list[Change]:
    """Where the new value differs from the old one, in the order of the old one's keys; `MOST` places at most.

    Lists are compared item by item. `1` and `1.0` are the same number, `1` and `true` are not.
    """
    found: list[Change] = []
    for change in _walk("", old, new):
        found.append(change)
        if len(found) == MOST:
            break
    return found


def _walk(path: str, old: Any, new: Any) -> Iterator[Change]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(key for key in new if key not in old)]:
            below = f"{path}.{key}" if path else str(key)
            if key not in new:
                yield Change(below, "removed", old=old[key])
            elif key not in old:
                yield Change(below, "added", new=new[key])
            else:
                yield from _walk(below, old[key], new[key])
    elif isinstance(old, list) and isinstance(new, list):
        for place in range(max(len(old), len(new))):
            below = f"{path}[{place}]"
            if place >= len(new):
                yield Change(below, "removed", old=old[place])
            elif place >= len(old):
                yield Change(below, "added", new=new[place])
            else:
                yield from _walk(below, old[place], new[place])
    elif isinstance(old, bool) != isinstance(new, bool) or old != new:
        yield Change(path, "changed", old, new)
