"""A consumer's share of the log: which partitions a worker holds, and how far it has read each."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from app.db.session import Database
from app.log.log import lease


@dataclass
class Share:
    """One per consumer and worker."""

    database: Database
    consumer: str
    owner: str
    partitions: int
    lease_seconds: float
    _positions: Mapping[int, int] = field(default_factory=dict)
    _renew_at: float = 0.0
    """When the leases are prolonged and shared out anew, by this process's monotonic clock."""

    async def read_to(self) -> Mapping[int, int]:
        """How far each partition that this worker holds was read. The leases are prolonged when a third is over."""
        if time.monotonic() >= self._renew_at:
            self._renew_at = time.monotonic() + self.lease_seconds / 3
            async with self.database.transaction() as connection:
                self._positions = await lease(
                    connection, self.consumer, self.owner, self.partitions, self.lease_seconds
                )
        return self._positions

    def moved(self, new: Mapping[int, int]) -> None:
        """A batch was committed: these partitions are read to there now."""
        self._positions = {**self._positions, **new}

    def forget(self) -> None:
        """A batch broke off, and it is not known how far it came: the next look asks the database."""
        self._renew_at = 0.0
