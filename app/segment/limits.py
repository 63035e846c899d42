"""Buckets that fill up again: how fast one sender may write, and how much of what is refused is kept."""

import math
from collections import OrderedDict
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address
from time import monotonic

from app.segment.errors import TooFast

MOST_KEYS = 10_000
"""Buckets that one set of them remembers. The one that was used longest ago is forgotten first, as if it were full."""


@dataclass
class Buckets:
    """One bucket for each key, full at first. Of this process: nothing is shared and nothing is stored."""

    rate: float
    """Units that flow in, a second."""
    size: float
    _levels: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)
    """What is left by key, and when that was."""

    def take(self, key: str, units: float = 1.0) -> float:
        """Take some units out; answers 0.0, or the seconds after which to ask again, and then nothing was taken.

        A bucket that is not empty gives whatever is asked and owes the rest: so a batch larger than the bucket passes,
        and what follows it waits the longer.
        """
        moment = monotonic()
        level, since = self._levels.pop(key, (self.size, moment))
        level = min(self.size, level + (moment - since) * self.rate)
        wait = (1.0 - level) / self.rate if level < 1.0 else 0.0
        self._levels[key] = (level if wait else level - units), moment
        if len(self._levels) > MOST_KEYS:
            self._levels.popitem(last=False)
        return wait


@dataclass
class Pace:
    """The rate that is set for the door, if one is: a bucket for each write key, else for each address."""

    of_keys: Buckets | None
    of_strangers: Buckets | None

    @classmethod
    def of(cls, events_per_second: float | None) -> "Pace":
        if events_per_second is None:
            return cls(None, None)
        # One second's worth at once, so that a sender who gathers for that long is not held up.
        size = max(1.0, events_per_second)
        return cls(Buckets(events_per_second, size), Buckets(events_per_second, size))

    def refuse_too_fast(self, key: str | None, address: str, events: int) -> None:
        """Raise `TooFast` when the one who writes has used up its share. `key`: only one that is known."""
        buckets = self.of_strangers if key is None else self.of_keys
        if buckets is None:
            return
        wait = buckets.take(neighbourhood(address) if key is None else key, max(1, events))
        if wait:
            raise TooFast("This is faster than the rate that is set for one write key.", retry_after=math.ceil(wait))


def neighbourhood(address: str) -> str:
    """What one sender can take addresses from: of IPv6 a network of 64 bits, of IPv4 the address itself."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:  # a Unix socket, or no address at all
        return address
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(IPv6Address(int(parsed) >> 64 << 64))
