"""The door's own limit: while the router is too far behind, senders are asked to wait, before the disk is full."""

import asyncio
from dataclasses import dataclass, field
from time import monotonic

from app.db.session import Database
from app.log.log import waiting
from app.segment.errors import Backlogged

READER = "route"
"""The consumer of the log that the door waits for."""
MEASURED_EVERY = 1.0
"""Seconds."""


@dataclass
class Backlog:
    """One per web process."""

    database: Database
    most: int
    _waiting: int = 0
    _until: float = 0.0
    _measuring: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def refuse_when_full(self) -> None:
        """Raise `Backlogged` while `most` events or more are stored and not routed."""
        if monotonic() >= self._until:
            async with self._measuring:
                if monotonic() >= self._until:
                    async with self.database.connection() as connection:
                        self._waiting = await waiting(connection, READER)
                    self._until = monotonic() + MEASURED_EVERY
        if self._waiting >= self.most:
            raise Backlogged("Too many events wait to be worked on.", retry_after=30)
