"""The deliverer's writes, of all its lanes together."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from app.db.session import Database
from app.pipeline import attempts, lanes
from app.pipeline.attempts import Finished, Ran, Trying
from app.pipeline.functions import Outcome
from app.pipeline.lanes import Claim
from app.pipeline.together import Together
from app.pipeline.waiting import Row, waiting


@dataclass
class Books:
    """One per worker. Each returns when what it was given is committed."""

    database: Database
    waiting: Together[Claim, list[Row]] = field(init=False)
    """The rows that wait in a lane."""
    keep: Together[Ran, Outcome] = field(init=False)
    """Keeps the result of an insert function; gives the one that counts."""
    start: Together[Trying, int | None] = field(init=False)
    """Notes a try before it leaves; gives its id, or None when nothing may leave."""
    finish: Together[Finished, bool] = field(init=False)
    """Writes how a row ended; whether it was ours to write."""
    leave: Together[Claim, None] = field(init=False)
    """Gives a lane back."""

    def __post_init__(self) -> None:
        self.waiting = Together(self._waiting)
        self.keep = Together(self._keep)
        self.start = Together(self._start)
        self.finish = Together(self._finish)
        self.leave = Together(self._leave)

    async def _waiting(self, of: Sequence[Claim]) -> list[list[Row]]:
        async with self.database.connection() as connection:
            return await waiting(connection, of)

    async def _keep(self, ran: Sequence[Ran]) -> list[Outcome]:
        async with self.database.transaction() as connection:
            return await attempts.keep_functions(connection, ran)

    async def _start(self, trying: Sequence[Trying]) -> list[int | None]:
        async with self.database.connection() as connection:
            return await attempts.start(connection, trying)

    async def _finish(self, finished: Sequence[Finished]) -> list[bool]:
        async with self.database.transaction() as connection:
            return await attempts.finish(connection, finished)

    async def _leave(self, left: Sequence[Claim]) -> list[None]:
        async with self.database.transaction() as connection:
            await lanes.leave(connection, left)
        return [None] * len(left)
