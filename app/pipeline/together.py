"""Group commit: what many lanes want to write at the same time goes to the database together.

A transaction costs much the same for one row and for thirty, most of it waiting. Who comes alone is written at once;
what arrives while one group is being written is the next group.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from app.db.trouble import NOT_THE_WORK

MOST = 200
GATHER = 0.001
"""Seconds that are waited between two groups while they have several items: then more are surely on their way, and
fuller groups are worth more than the wait."""
Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass
class Together(Generic[Item, Result]):
    """Call it with one item; `run` gets the items of a moment, and gives their results in the same order."""

    run: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]]
    _waiting: list[tuple[Item, asyncio.Future[Result]]] = field(default_factory=list)
    _task: asyncio.Task[None] | None = None

    async def __call__(self, item: Item) -> Result:
        done: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, done))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work())
        return await done

    async def _work(self) -> None:
        gathered = 0
        while self._waiting:
            if gathered > 1:
                await asyncio.sleep(GATHER)
            group, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
            gathered = len(group)
            await self._group(group)

    async def _group(self, group: Sequence[tuple[Item, asyncio.Future[Result]]]) -> None:
        """What can't be written together is written apart: an item that breaks it harms only itself (rule 9)."""
        try:
            results = await self.run([item for item, _ in group])
        except Exception as error:  # noqa: BLE001 - whatever it was, each that waits must hear of it
            if len(group) > 1 and not isinstance(error, NOT_THE_WORK):
                for one in group:
                    await self._group([one])
                return
            for _, done in group:
                if not done.done():
                    done.set_exception(error)
        else:
            for (_, done), result in zip(group, results, strict=True):
                if not done.done():  # who waited may have been cancelled
                    done.set_result(result)
