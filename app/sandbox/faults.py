"""Trouble on demand: what `POST /sandbox/faults` switches on, so that others can prove that they survive it."""

import random
import re
from dataclasses import asdict, dataclass, field, fields
from typing import Any

_LONGEST = 600_000
_METHODS = ("GET", "POST", "PUT", "DELETE")


@dataclass
class Planned:
    """Something that happens to requests whose path begins with `path` (and whose method fits)."""

    count: int | None = 1
    """To so many of them, then no more; None: until it is taken away. One by default, where there is no `rate`."""
    rate: float = 1.0
    """How many of those it happens to: 1.0 all, 0.1 about every tenth."""
    path: str = "/"
    """How the path begins; `*` stands for one part of it: `/v1/loyalties/*/members`."""
    method: str | None = None
    status: int = 500
    """What `fail_next` answers."""
    milliseconds: int = 1000
    """How long `delay_next` waits."""

    def takes(self, method: str, path: str) -> bool:
        """Whether it happens to this request; counts it if so."""
        if (self.count is not None and self.count < 1) or (self.method or method).upper() != method:
            return False
        if not re.match(re.escape(self.path).replace(r"\*", "[^/]+"), path):
            return False
        if random.random() >= self.rate:  # noqa: S311 - nothing is kept secret by it
            return False
        if self.count is not None:
            self.count -= 1
        return True


@dataclass
class Faults:
    """The switches. All off is an honest sandbox."""

    earn_again_on_paid: bool = False
    """Earning rules fire on every order that is sent as PAID, also when it was PAID before."""
    ignore_redemption_order_status: bool = False
    """An order sent with a redemption becomes PAID (and earns) whatever status was asked for."""
    latency_ms: int = 0
    """Every answer of the API waits this long."""
    webhook_delay_ms: int = 0
    webhook_duplicate: bool = False
    """Every webhook is sent twice."""
    webhook_shuffle: bool = False
    """Webhooks that wait together are sent in any order."""
    fail_next: list[Planned] = field(default_factory=list)
    """These requests are answered with `status`, and nothing is done."""
    lose_answer_next: list[Planned] = field(default_factory=list)
    """These requests are done, and then the connection breaks before a byte of the answer."""
    reset_next: list[Planned] = field(default_factory=list)
    """The connection of these requests breaks before anything is done."""
    delay_next: list[Planned] = field(default_factory=list)
    """These requests wait `milliseconds` before they are done, beside what `latency_ms` says."""

    def clear(self) -> None:
        for name, value in vars(Faults()).items():
            setattr(self, name, value)

    def change(self, wanted: dict[str, Any]) -> None:
        """Set what is named, leave the rest. A planned fault may be given alone or as a list.

        Raises:
            ValueError: a name or a value that there is not.
        """
        kinds = {item.name: item.type for item in fields(self)}
        made: dict[str, Any] = {}
        for name, value in wanted.items():
            if name not in kinds:
                raise ValueError(f"there is no fault {name!r}; there are {', '.join(kinds)}")
            if name.endswith("_next"):
                made[name] = [_planned(name, each) for each in (value if isinstance(value, list) else [value])]
            elif type(value) is not kinds[name] or (kinds[name] is int and not 0 <= value <= _LONGEST):
                raise ValueError(f"{name} must be {'true or false' if kinds[name] is bool else 'milliseconds'}")
            else:
                made[name] = value
        for name, value in made.items():
            setattr(self, name, value)

    def shown(self) -> dict[str, Any]:
        return {
            name: [_shown(name, each) for each in value] if name.endswith("_next") else value
            for name, value in asdict(self).items()
        }


_OWN = {"status": ("fail_next", "lose_answer_next"), "milliseconds": ("delay_next",)}
"""What not every kind of planned fault has. (A lost answer's `status` means nothing; it was always taken.)"""


def _planned(name: str, value: Any) -> Planned:
    if not isinstance(value, dict):
        raise ValueError(f"{name} must be an object or a list of objects, but is {value!r}")  # noqa: TRY004
    allowed = ("count", "rate", "path", "method", *(own for own, kinds in _OWN.items() if name in kinds))
    if unknown := set(value) - set(allowed):
        raise ValueError(f"{name} has no {min(unknown)!r}; it has {', '.join(allowed)}")
    checks = {
        "count": (value.get("count") is None or _is_int(value["count"], 1, 10**9), "a number from 1, or null for all"),
        "rate": (_is_rate(value.get("rate", 1.0)), "a number from 0.0 to 1.0"),
        "path": (str(value.get("path", "/")).startswith("/"), "the beginning of a path, as /v1/orders"),
        "method": (str(value.get("method") or "GET").upper() in _METHODS, " or ".join(_METHODS)),
        "status": (_is_int(value.get("status", 500), 400, 599), "a status from 400 to 599"),
        "milliseconds": (_is_int(value.get("milliseconds", 0), 0, _LONGEST), f"a number from 0 to {_LONGEST}"),
    }
    for key, (right, meaning) in checks.items():
        if not right:
            raise ValueError(f"{name}.{key} must be {meaning}, but is {value[key]!r}")
    return Planned(**{**({"count": None} if "rate" in value else {}), **value})


def _is_int(value: Any, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _is_rate(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def _shown(name: str, planned: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in planned.items() if name in _OWN.get(key, (name,))}


def take(planned: list[Planned], method: str, path: str) -> Planned | None:
    """The first planned fault that happens to this request, if any."""
    return next((fault for fault in planned if fault.takes(method, path)), None)
