"""Which source a write key belongs to, remembered for a moment: a query less for every request."""

import base64
from collections import OrderedDict
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from app.db.session import Database

REMEMBERED = 10.0
"""Seconds. For so long a key that was revoked may still write."""
MOST_REMEMBERED = 1_000
LONGEST = 200
"""Letters: no key of ours is as long, and what is longer is not worth the memory."""


@dataclass(frozen=True)
class KeyOwner:
    """The source that a write key belongs to."""

    slug: str
    enabled: bool


@dataclass
class WriteKeys:
    """One per web process."""

    database: Database
    _known: OrderedDict[str, tuple[float, KeyOwner | None]] = field(default_factory=OrderedDict)

    async def owner_of(self, key: str) -> KeyOwner | None:
        """The source that writes under this key; None when there is none."""
        # Postgres has no text with a NUL, so no source has such a key.
        if not key or len(key) > LONGEST or "\x00" in key:
            return None
        return await self._remembered(
            key, "SELECT slug, enabled FROM write_key JOIN source ON source.slug = source WHERE key = $1", key
        )

    async def source(self, slug: str) -> KeyOwner | None:
        """A source by its slug, for an entry that has no write keys."""
        # Behind a letter that no key can have, so that nobody writes under a key which is only the name of a source.
        return await self._remembered(f"\x00{slug}", "SELECT slug, enabled FROM source WHERE slug = $1", slug)

    async def _remembered(self, name: str, query: str, value: str) -> KeyOwner | None:
        until, owner = self._known.get(name, (0.0, None))
        if monotonic() < until:
            return owner
        async with self.database.connection() as connection:
            row = await connection.fetchrow(query, value)
        found = KeyOwner(row["slug"], row["enabled"]) if row is not None else None
        self._known[name] = monotonic() + REMEMBERED, found
        self._known.move_to_end(name)
        if len(self._known) > MOST_REMEMBERED:
            self._known.popitem(last=False)
        return found


def key_of(authorization: str, in_body: Any) -> str:
    """The write key of a request: the user of Basic auth, else what the body says. Empty: none that can be read.

    Segment's libraries with OAuth send `Bearer` and the key in the body: the token is theirs and Segment's, it is not
    looked at here.
    """
    key = in_body if isinstance(in_body, str) else ""
    scheme, _, credentials = authorization.partition(" ")
    if scheme.lower() == "basic":
        try:
            key = base64.b64decode(credentials).decode().partition(":")[0] or key
        except ValueError:  # not base64, or what is in it is not UTF-8
            return ""
    return key
