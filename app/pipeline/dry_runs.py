"""Insert functions tried in the web process: one host process, started when somebody first tries one."""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any

from app.db.session import Database
from app.pipeline.functions import FunctionPool, Outcome, discover


class DryRuns:
    """Runs functions dry: nothing is written, at Voucherify or here. One per web process."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._functions: Mapping[str, str] | None = None
        self._pool: FunctionPool | None = None
        self._stack = AsyncExitStack()
        self._starting = asyncio.Lock()

    def function_of(self, destination: str) -> str | None:
        """The insert function of a destination, by the destination's name."""
        if self._functions is None:
            self._functions = discover()
        return self._functions.get(destination)

    async def run(self, function: str, event: dict[str, Any]) -> Outcome:
        """Run one event through a function."""
        async with self._starting:
            if self._pool is None:
                self._pool = await self._stack.enter_async_context(FunctionPool(self._database, 1).running())
        return await self._pool.run(function, event, dry=True)

    async def close(self) -> None:
        """End the host process, if there is one."""
        await self._stack.aclose()
