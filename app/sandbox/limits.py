"""Plan limits: how many calls the project may make in a minute or an hour, and what the rate headers say of it.

documented: the headers, the body of a 429, `Retry-After`, a fixed window, that calls through the Segment door have a
bucket of their own. inferred: a window begins with the minute or hour of the clock, a call that is refused does not
count, and the limit of an hour has the same `X-Rate-Limit-Type` as that of a minute. Both are off until
`POST /sandbox/limits` switches them on; until then the headers count and nothing is refused.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

_SECONDS = {"calls_per_minute": 60, "calls_per_hour": 3600}
_MOST = 10**9


@dataclass(frozen=True)
class Reading:
    """What the counters say at one call: for its headers, and whether it is refused."""

    limit: int
    remaining: int
    now: int
    window_ends: int
    refused: bool

    def headers(self, status: int) -> list[tuple[bytes, bytes]]:
        wait = 0 if status != 429 else self.window_ends - self.now if self.refused else 1
        values: dict[bytes, Any] = {
            b"x-rate-limit-limit": self.limit,
            b"x-rate-limit-remaining": self.remaining,
            b"x-rate-limit-retry": self.now + wait,
        }
        if wait:
            values |= {b"retry-after": wait, b"x-rate-limit-type": "api_calls"}
        return [(name, str(value).encode()) for name, value in values.items()]


class Limits:
    """The limits that are on, and the calls counted in their windows."""

    def __init__(self, advertised: int) -> None:
        self._advertised = advertised
        """What the headers count down from in a minute while nothing is limited."""
        self._on: dict[str, int] = {}
        self._windows: dict[str, tuple[int, int]] = {}
        """For each name the window that is counted, and the calls in it."""

    def clear(self) -> None:
        self._on, self._windows = {}, {}

    def change(self, wanted: dict[str, Any]) -> None:
        """Switch on what has a number, off what is null, leave the rest. The windows begin anew.

        Raises:
            ValueError: a name or a value that there is not.
        """
        for name, value in wanted.items():
            if name not in _SECONDS:
                raise ValueError(f"there is no limit {name!r}; there are {', '.join(_SECONDS)}")
            if value is not None and (type(value) is not int or not 0 <= value <= _MOST):
                raise ValueError(f"{name} must be a number of calls, or null for no limit, but is {value!r}")
        on = {**self._on, **wanted}
        self._on, self._windows = {name: on[name] for name in _SECONDS if on.get(name) is not None}, {}

    def shown(self) -> dict[str, Any]:
        return {name: self._on.get(name) for name in _SECONDS}

    def call(self, moment: datetime) -> Reading:
        """Count one call, unless it is refused."""
        reading = self.read(moment)
        if reading.refused:
            return reading
        self._windows = {name: (window, calls + 1) for name, (window, calls) in self._windows.items()}
        return replace(reading, remaining=max(0, reading.remaining - 1))

    def read(self, moment: datetime) -> Reading:
        """What the counters say without a call: of the limit that refuses longest, or else has the least left."""
        now = int(moment.timestamp())
        limits = self._on or {"calls_per_minute": self._advertised}
        readings = [self._read(name, limit, now) for name, limit in limits.items()]
        return max(readings, key=lambda each: (each.refused, each.window_ends if each.refused else -each.remaining))

    def _read(self, name: str, limit: int, now: int) -> Reading:
        window, calls = self._windows.get(name, (0, 0))
        if window != now // _SECONDS[name]:
            window, calls = now // _SECONDS[name], 0
        self._windows[name] = window, calls
        remaining = max(0, limit - calls)
        return Reading(limit, remaining, now, (window + 1) * _SECONDS[name], refused=bool(self._on) and not remaining)
