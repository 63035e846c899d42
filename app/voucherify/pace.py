"""Rate limits followed, not hit: what the rate headers of the last answers say about the next call.

documented: `X-Rate-Limit-Limit` (of a minute), `X-Rate-Limit-Remaining`, `X-Rate-Limit-Retry` (epoch seconds), and
`Retry-After` beside a 429. The last tenth of a limit is kept for who waits at the counter: other calls go one by one,
as fast as the limit fills up again. Where none is left, nothing leaves until the time that was named.
"""

import math
from collections.abc import Mapping
from typing import Final

from app.http import answers

RESERVE: Final = 0.1
"""Share of the limit from which on calls that nobody waits for are spread out."""
LARGEST_RESERVE: Final = 10
"""Calls. A large plan needs no tenth of its limit for a moment at the counter."""
MINUTE: Final = 60.0


class Pace:
    """What one process heard of one project's limit. Times are seconds of any one clock that does not go back."""

    def __init__(self) -> None:
        self._closed_until = 0.0
        self._next_slot = 0.0
        self._gap = 0.0

    def heard(self, status: int, headers: Mapping[str, str], now: float) -> None:
        """Take in the headers of an answer."""
        asked = (answers.retry_after(headers) if status == 429 else answers.rest(headers)) or 0.0
        if asked:
            self._closed_until = now + asked
        limit, remaining = _number(headers, "x-rate-limit-limit"), _number(headers, "x-rate-limit-remaining")
        near = limit is not None and remaining is not None and 0 < remaining <= min(limit * RESERVE, LARGEST_RESERVE)
        self._gap = MINUTE / limit if near and limit else 0.0

    def wait(self, now: float, *, urgent: bool = False, longest: float = math.inf) -> float:
        """Seconds until a call may leave. The caller takes that place in the line, unless it is more than `longest`."""
        closed = max(0.0, self._closed_until - now)
        if urgent or not self._gap:
            return closed
        slot = max(now + closed, self._next_slot)
        if slot - now <= longest:  # who goes away holds up nobody
            self._next_slot = slot + self._gap
        return slot - now


def _number(headers: Mapping[str, str], name: str) -> float | None:
    try:
        return float(headers[name])
    except (KeyError, ValueError):
        return None
