"""The process in which insert functions run: one event at a time, JSON lines in and out.

A function may hang, crash or print; none of it reaches the worker. The worker kills this process after the time limit
and starts another. First, once: `{"ready": true}`. In:  `{"function", "event", "dry"}`  Out: `{"outcome", "event",
"error", "log", "calls", "ms"}`; between them, for `Context.once`: `{"recall": key}` and `{"keep": key, "result"}`, each
answered by one line.
"""

import asyncio
import contextlib
import importlib
import io
import json
import os
import pkgutil
import signal
import sys
import time
import traceback
from dataclasses import asdict
from typing import Any

import msgspec
import uvloop

import functions
from app.api import Context, FunctionError, Voucherify
from app.errors import VoucherifyError, VoucherifyRejectsKeys
from app.pipeline.function_dry import DryVoucherify, ReadingClient
from app.pipeline.verdict import verdict
from app.settings import load_settings
from app.voucherify.client import Call, Client
from app.voucherify.loyalty import LoyaltyV1

MAX_LOG = 4096
MAX_LINE = 4 * 1024 * 1024
ORPHAN_LIMIT = 60
"""Seconds after which a run ends this process by itself: the worker that should do so may be dead."""


class _Pipe:
    """The worker at the other end."""

    def __init__(self) -> None:
        # The real pipes are kept aside; what functions print must not get between the protocol's lines.
        self._in = os.fdopen(os.dup(0), "rb", buffering=0)
        self._lines = asyncio.StreamReader(limit=MAX_LINE)
        self._out = os.fdopen(os.dup(1), "wb", buffering=0)
        os.dup2(2, 1)

    async def open(self) -> None:
        # Read by the loop itself: a thread for each line was most of the time of a short run.
        protocol = asyncio.StreamReaderProtocol(self._lines)
        await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, self._in)

    async def read(self) -> Any:
        line = await self._lines.readline()
        if not line:
            os._exit(0)  # the worker is gone
        return json.loads(line)

    def write(self, answer: Any) -> None:
        self._out.write(json.dumps(answer, separators=(",", ":")).encode() + b"\n")

    async def recall(self, key: str) -> tuple[bool, Any]:
        self.write({"recall": key})
        answer = await self.read()
        return answer["kept"], answer["result"]

    async def keep(self, key: str, result: Any) -> None:
        self.write({"keep": key, "result": result})
        await self.read()


async def run(function: str, event: dict[str, Any], voucherify: Voucherify, memory: _Pipe) -> dict[str, Any]:
    """Run the handler for this event and tell what became of it."""
    calls: list[dict[str, Any]] = []
    voucherify.client.observe = lambda call: calls.append(_told(call))
    context = Context(voucherify, memory)
    answer: dict[str, Any] = {"outcome": "returned", "event": None, "error": None}
    sys.stdout = printed = io.StringIO()
    started = time.perf_counter()
    try:
        module = importlib.import_module(f"functions.{function}")
        handler = getattr(module, f"on_{event['type']}", None)
        if handler is None:
            answer |= {"outcome": "unsupported_event_type", "error": f"There is no handler on_{event['type']}."}
        else:
            returned = await handler(event, module.Settings(), context)
            if isinstance(returned, dict):
                json.dumps(returned)  # what is no JSON fails here, as the function's own error
                answer["event"] = returned
            else:
                answer |= {"outcome": "bad_request", "error": f"on_{event['type']} did not return the event."}
    except FunctionError as error:
        answer |= {"outcome": error.kind, "error": str(error) or error.__doc__}
    except VoucherifyError as error:
        judged = verdict(error)
        answer |= {"outcome": "bad_request" if judged.outcome == "refused" else "retry", "error": error.sentence}
        # Wrong keys and an outage are not the event's fault: it waits as it would before the destination itself.
        answer |= {"retry_after": judged.wait if isinstance(error, VoucherifyRejectsKeys) else error.retry_after}
        answer |= {"blames": judged.blames}
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a function raises is its own failure, not the worker's
        where = "".join(traceback.format_tb(error.__traceback__)[-1:])
        answer |= {"outcome": "bad_request", "error": f"{type(error).__name__}: {error}\n{where}"[:2000]}
    sys.stdout = sys.__stdout__
    return {
        **answer,
        "log": "\n".join([*map(str, context.notes), printed.getvalue()]).strip()[:MAX_LOG],
        "calls": msgspec.to_builtins(calls),
        "ms": round((time.perf_counter() - started) * 1000, 1),
    }


def _told(call: Call) -> dict[str, Any]:
    """A call as it is kept with the run."""
    kept = asdict(call)
    del kept["rest"]  # for who keeps the pace
    return kept


async def main() -> None:
    pipe = _Pipe()
    await pipe.open()
    settings = load_settings()
    client, reading = Client.of(settings), ReadingClient.of(settings)
    real, dry = Voucherify(client, LoyaltyV1(client)), DryVoucherify(reading, LoyaltyV1(reading))
    for found in pkgutil.iter_modules(functions.__path__):
        with contextlib.suppress(Exception):  # told where it matters: when an event comes
            importlib.import_module(f"functions.{found.name}")
    pipe.write({"ready": True})
    while True:
        order = await pipe.read()
        signal.alarm(ORPHAN_LIMIT)
        pipe.write(await run(order["function"], order["event"], dry if order["dry"] else real, pipe))
        signal.alarm(0)


if __name__ == "__main__":
    uvloop.run(main())
