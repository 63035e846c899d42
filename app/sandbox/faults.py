"""Trouble on demand: what `POST /sandbox/faults` switches on, so that others can prove that they survive it."""

from dataclasses import asdict, dataclass, field, fields
from typing import Any


@dataclass
class Planned:
    """Something that happens to the next `count` requests whose path begins with `path` (and whose method fits)."""

    count: int = 1
    path: str = "/"
    method: str | None = None
    status: int = 500

    def takes(self, method: str, path: str) -> bool:
        """Whether it happens to this request; counts it if so."""
        if self.count < 1 or not path.startswith(self.path) or (self.method or method).upper() != method:
            return False
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
            elif type(value) is not kinds[name] or (kinds[name] is int and not 0 <= value <= 600_000):
                raise ValueError(f"{name} must be {'true or false' if kinds[name] is bool else 'milliseconds'}")
            else:
                made[name] = value
        for name, value in made.items():
            setattr(self, name, value)

    def shown(self) -> dict[str, Any]:
        return asdict(self)


def _planned(name: str, value: Any) -> Planned:
    shapes = {"count": int, "path": str, "method": str, "status": int}
    if (
        not isinstance(value, dict)
        or not all(key in shapes and isinstance(each, shapes[key]) for key, each in value.items())
        or not 400 <= value.get("status", 500) <= 599
    ):
        raise ValueError(f"{name} must be {{status: 400..599, count, path, method}} or a list of them")
    return Planned(**value)


def take(planned: list[Planned], method: str, path: str) -> Planned | None:
    """The first planned fault that happens to this request, if any."""
    return next((fault for fault in planned if fault.takes(method, path)), None)
