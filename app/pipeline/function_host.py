"""The process in which insert functions run: one event at a time, JSON lines in and out.

A function may hang, crash or print; none of it reaches the worker. The worker kills this process after the time limit
and starts another. In:  `{"function", "event"}`  Out: `{"outcome", "event", "error", "log", "calls", "ms"}`; between
them, for `Context.once`: `{"recall": key}` and `{"keep": key, "result"}`, each answered by one line.
"""

import asyncio
import importlib
import io
import json
import os
import sys
import time
import traceback
from dataclasses import asdict
from typing import Any

from app.api import Context, FunctionError, Voucherify
from app.errors import VoucherifyError
from app.settings import load_settings
from app.voucherify.client import Call, Client
from app.voucherify.loyalty import LoyaltyV1

MAX_LOG = 4096


class _Pipe:
    """The worker at the other end."""

    def __init__(self) -> None:
        # The real pipes are kept aside; what functions print must not get between the protocol's lines.
        self._in = os.fdopen(os.dup(0), "rb")
        self._out = os.fdopen(os.dup(1), "wb", buffering=0)
        os.dup2(2, 1)

    async def read(self) -> Any:
        line = await asyncio.to_thread(self._in.readline)
        if not line:
            sys.exit(0)  # the worker is gone
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


async def run(function: str, event: dict[str, Any], client: Client, memory: _Pipe) -> dict[str, Any]:
    """Run the handler for this event and tell what became of it."""
    calls: list[Call] = []
    client.observe = calls.append
    context = Context(Voucherify(client, LoyaltyV1(client)), memory)
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
                answer["event"] = returned
            else:
                answer |= {"outcome": "bad_request", "error": f"on_{event['type']} did not return the event."}
    except FunctionError as error:
        answer |= {"outcome": error.kind, "error": str(error) or error.__doc__}
    except VoucherifyError as error:
        answer |= {"outcome": "retry" if error.retryable else "bad_request", "error": error.sentence}
        answer["retry_after"] = error.retry_after
    except Exception as error:  # noqa: BLE001 - whatever a function raises is its own failure, not the worker's
        where = "".join(traceback.format_tb(error.__traceback__)[-1:])
        answer |= {"outcome": "bad_request", "error": f"{type(error).__name__}: {error}\n{where}"[:2000]}
    sys.stdout = sys.__stdout__
    return {
        **answer,
        "log": "\n".join([*context.notes, printed.getvalue()]).strip()[:MAX_LOG],
        "calls": [asdict(call) for call in calls],
        "ms": round((time.perf_counter() - started) * 1000, 1),
    }


async def main() -> None:
    pipe = _Pipe()
    client = Client.of(load_settings())
    while True:
        order = await pipe.read()
        pipe.write(await run(order["function"], order["event"], client, pipe))


if __name__ == "__main__":
    asyncio.run(main())
