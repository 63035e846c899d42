"""An insert function on one event, dry: it reads what there is, and what it would write is shown and not written."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import asdict
from types import TracebackType
from typing import Any, Self

from app.db import embedded
from app.db.session import Database
from app.destinations.voucherify import VOUCHERIFY
from app.errors import LoyaltyError
from app.pipeline.functions import FunctionPool, Outcome, discover
from app.settings import Settings, load_settings

SHOWN = ("outcome", "event", "error", "log", "calls")
NOWHERE = "postgresql://127.0.0.1:1/loyalty"
"""Stands in for a database that does not run; nobody connects to it."""

Answer = dict[str, Any]


class _Forgetful(FunctionPool):
    """Where no database runs, no function has kept anything."""

    async def _recall(self, function: str, key: str) -> Answer:  # noqa: ARG002 - the pool's signature
        return {"kept": False, "result": None}


class Functions:
    """The functions of `functions/`, in a process of their own while the block lasts."""

    def __enter__(self) -> Self:
        self._runner = asyncio.Runner()
        self._stack = AsyncExitStack()
        self._pool: FunctionPool | None = None
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        self._runner.run(self._stack.aclose())
        self._runner.close()

    def answer(self, question: Answer) -> Answer:
        """`{"function"?, "event"}`: what became of the event. Without a name: the function of Voucherify."""
        event, name = question.get("event"), question.get("function")
        if not isinstance(event, dict) or not isinstance(event.get("type"), str):
            return {"error": "The event must be an object with a type."}
        try:
            found = discover()
            name = found.get(VOUCHERIFY.name) if name is None else name
            if name not in found.values():
                there = ", ".join(sorted(found.values())) or "none"
                return {"error": f"There is no function {name!r} in functions/. There is: {there}."}
            outcome: Outcome = self._runner.run(self._run(str(name), event))
        except LoyaltyError as fault:
            return {"error": fault.sentence}
        return {key: value for key, value in asdict(outcome).items() if key in SHOWN}

    async def _run(self, name: str, event: Answer) -> Outcome:
        if self._pool is None:
            url = _url(load_settings())
            database = Database(url or NOWHERE, 3)
            self._stack.push_async_callback(database.close)
            pool = FunctionPool(database, 1) if url else _Forgetful(database, 1)
            self._pool = await self._stack.enter_async_context(pool.running())
        return await self._pool.run(name, event, dry=True)


def _url(settings: Settings) -> str | None:
    """The database that is set, else the embedded one if it runs. Trying a function starts nothing."""
    if settings.database.database_url is not None:
        return settings.database.database_url.get_secret_value()
    base = embedded.running(settings.data_dir)
    return embedded.database_url(base, "loyalty") if base else None
