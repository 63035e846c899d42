"""Which source a write key belongs to, remembered for a moment: a query less for every request."""

from collections import OrderedDict
from dataclasses import dataclass, field
from time import monotonic

from app.db.session import Database

REMEMBERED = 10.0
"""Seconds. For so long a key that was revoked may still write."""
MOST_REMEMBERED = 1_000
LONGEST = 200
"""Letters: no key of ours is as long, and what is longer is not worth the memory."""


@dataclass
class WriteKeys:
    """One per web process."""

    database: Database
    _known: OrderedDict[str, tuple[float, str | None]] = field(default_factory=OrderedDict)

    async def source_of(self, key: str) -> str | None:
        """The slug of the enabled source that writes under this key; None when there is none."""
        if len(key) > LONGEST or "\x00" in key:  # Postgres has no text with a NUL, so no source has such a key
            return None
        until, slug = self._known.get(key, (0.0, None))
        if monotonic() < until:
            return slug
        async with self.database.connection() as connection:
            found: str | None = await connection.fetchval(
                "SELECT source.slug FROM write_key JOIN source ON source.slug = source WHERE key = $1 AND enabled", key
            )
        self._known[key] = monotonic() + REMEMBERED, found
        self._known.move_to_end(key)
        if len(self._known) > MOST_REMEMBERED:
            self._known.popitem(last=False)
        return found
