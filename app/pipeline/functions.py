"""Insert functions from the worker's side: a few host processes, five seconds each, results kept by the caller."""

import asyncio
import contextlib
import importlib
import json
import pkgutil
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import functions
from app.db.session import Database
from app.pipeline.verdict import Blame
from app.telemetry import log
from app.voucherify.client import count

TIME_LIMIT = 5.0
"""Seconds; Segment's own limit."""
START_LIMIT = 20.0
"""Seconds that a new host may take to import its modules."""
MAX_LINE = 4 * 1024 * 1024
RETRYABLE = frozenset({"retry", "timeout", "internal"})


@dataclass(frozen=True)
class Outcome:
    """What became of one run. `outcome` is `returned`, `dropped`, or the kind of error in Segment's words."""

    outcome: str
    event: dict[str, Any] | None = None
    error: str | None = None
    log: str = ""
    calls: list[dict[str, Any]] = field(default_factory=list)
    milliseconds: float = 0.0
    retry_after: float | None = None
    blames: Blame = "row"
    """Whose fault it is where it is to be tried again."""

    @property
    def retryable(self) -> bool:
        return self.outcome in RETRYABLE


def discover() -> dict[str, str]:
    """The function of each destination, by the destination's name: every file in `functions/` with `DESTINATION`."""
    found: dict[str, str] = {}
    for info in pkgutil.iter_modules(functions.__path__):
        destination = getattr(importlib.import_module(f"functions.{info.name}"), "DESTINATION", None)
        if destination is None:
            continue
        if destination in found:
            raise RuntimeError(
                f"functions/{found[destination]}.py and functions/{info.name}.py both say DESTINATION = "
                f"{destination!r}: a destination has one insert function."
            )
        found[destination] = info.name
    return found


class FunctionPool:
    """A few host processes. An event waits for a free one; a host that hangs is killed and replaced."""

    def __init__(self, database: Database, size: int, time_limit: float = TIME_LIMIT) -> None:
        self._database = database
        self._time_limit = time_limit
        self._free: asyncio.Queue[_Host | None] = asyncio.Queue()
        self._size = size
        for _ in range(size):
            self._free.put_nowait(None)

    async def run(self, function: str, event: dict[str, Any], *, dry: bool = False) -> Outcome:
        """Run one event through a function.

        `dry`: nothing is written, at Voucherify or here. What would have been written is in `calls`, with
        `"dry": true` and the answer that was made up for it; `Context.once` gives what it kept earlier, if anything.
        A function that reaches the world by other means than its `Context` is not held back.
        """
        host = await self._free.get()
        try:
            if host is None or not host.alive:
                host = await _Host.start()
            async with asyncio.timeout(START_LIMIT):
                await host.ready()
            async with asyncio.timeout(self._time_limit):
                answer = await self._converse(host, function, event, dry=dry)
            for call in answer["calls"]:  # made in the host's process, counted in this one
                if not call.get("dry"):
                    count(call["method"], call["path"], call["status"], call["milliseconds"] / 1000)
        except TimeoutError:
            await _kill(host)
            host = None
            return Outcome("timeout", error=f"The function took longer than {self._time_limit:g} s and was stopped.")
        except (EOFError, OSError, ValueError) as error:  # ValueError: a line that is too long, or no JSON
            log.warning("function.crashed", function=function, error=type(error).__name__)
            await _kill(host)
            host = None
            return Outcome("internal", error="The process of the function ended before it answered.")
        except BaseException:
            await _kill(host)  # cancelled in the middle: its next line would be the answer to this event
            host = None
            raise
        finally:
            self._free.put_nowait(host)
        return Outcome(
            outcome=answer["outcome"],
            event=answer["event"],
            error=answer["error"],
            log=answer["log"],
            calls=answer["calls"],
            milliseconds=answer["ms"],
            retry_after=answer.get("retry_after"),
            blames=answer.get("blames", "row"),
        )

    async def _converse(self, host: "_Host", function: str, event: dict[str, Any], *, dry: bool) -> dict[str, Any]:
        answer = await host.ask({"function": function, "event": event, "dry": dry})
        while "outcome" not in answer:
            if "recall" in answer:
                answer = await host.ask(await self._recall(function, answer["recall"]))
            else:
                if not dry:
                    await self._keep(function, answer["keep"], answer["result"])
                answer = await host.ask({})
        return answer

    async def _recall(self, function: str, key: str) -> dict[str, Any]:
        async with self._database.connection() as connection:
            row = await connection.fetchrow(
                "SELECT result FROM function_once WHERE function = $1 AND key = $2", function, key
            )
        return {"kept": row is not None, "result": row["result"] if row else None}

    async def _keep(self, function: str, key: str, result: Any) -> None:
        async with self._database.connection() as connection:
            await connection.execute(
                """INSERT INTO function_once (function, key, result, created_at) VALUES ($1, $2, $3, now())
                   ON CONFLICT DO NOTHING""",
                function,
                key,
                json.dumps(result),
            )

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["FunctionPool"]:
        for _ in range(self._size):  # started now, so that the first event does not wait for them
            self._free.get_nowait()
            self._free.put_nowait(await _Host.start())
        try:
            yield self
        finally:
            for _ in range(self._size):
                if not self._free.empty():
                    await _kill(self._free.get_nowait())


class _Host:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._is_ready = False

    @classmethod
    async def start(cls) -> "_Host":
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "app.pipeline.function_host",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=MAX_LINE,
        )
        return cls(process)

    @property
    def alive(self) -> bool:
        return self._process.returncode is None

    async def ready(self) -> None:
        """Wait until it has imported its modules, which does not count as time of a function."""
        if not self._is_ready:
            await self._read()
            self._is_ready = True

    async def ask(self, line: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(line, separators=(",", ":")).encode() + b"\n")
        await self._process.stdin.drain()
        return await self._read()

    async def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        answer = await self._process.stdout.readline()
        if not answer:
            raise EOFError
        decoded: dict[str, Any] = json.loads(answer)
        return decoded

    async def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()


async def _kill(host: _Host | None) -> None:
    """Kill a host, if there is one."""
    if host is not None:
        await host.kill()
