"""What a plan is made of: calls to make, and what differs."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from app.programmes.caller import Caller
from app.programmes.project import Key, Project

Do = Callable[[Caller, Project], Awaitable[None]]


@dataclass(frozen=True)
class Step:
    """One call, what it makes, and a sentence about it."""

    says: str
    do: Do
    makes: tuple[Key, ...] = ()


@dataclass(frozen=True)
class Difference:
    """Something is there, but not as the file says."""

    kind: str
    name: str
    field: str
    there: Any
    wanted: Any
    change: Step | None = None
    """The call that would make it as the file says, where there is one."""

    def __str__(self) -> str:
        return f"{self.kind} {self.name}: {self.field} is {_short(self.there)}, the file says {_short(self.wanted)}"


@dataclass
class Plan:
    """In the order in which it has to be done."""

    steps: list[Step] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    by_hand: list[str] = field(default_factory=list)
    as_wanted: int = 0
    """Things that are there already just as the file says."""

    @property
    def changes(self) -> list[Step]:
        """Each call once, however many fields it mends."""
        return list({each.change.says: each.change for each in self.differences if each.change is not None}.values())


def _short(value: Any) -> str:
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return str(value).lower()
    shown = repr(value)
    return shown if len(shown) <= 80 else f"{shown[:77]}…"
