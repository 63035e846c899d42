"""Kill points inside the processes of a house, with no hook in the product: the seams to others are wrapped.

A process touches the world by commits and by calls. Each such place is a point with a name:

    worker:pipeline.send:Sender._leave:call:sent
    │      │             │             │    └ `before` or `after` a commit; `before`, `sent` (no answer yet) or
    │      │             │             │      `answered` for a call
    │      │             │             └ `commit`, `write` (a statement that commits by itself) or `call`
    │      │             └ the function, by its qualified name
    │      └ the innermost module of ours, without `app.`
    └ the kind of process; `any` arms it in all kinds

`CHAOS_DIR/armed/<name>` arms a point: who gets there first takes the file away and dies of SIGKILL, or kills its parent
where the file says so. While `CHAOS_DIR/recording` exists, every point that is passed is appended to
`CHAOS_DIR/recorded`, with its line of code.
"""

import contextlib
import functools
import os
import re
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import FrameType
from typing import Any

KINDS = {"app.main": "web", "app.worker": "worker", "app.sandbox": "sandbox", "app.pipeline.function_host": "function"}
OURS = ("app.", "pos_simulator.", "mobile_api.", "functions.", "segment.")
THROUGH = ("app.db.", "app.sandbox.store", "app.sandbox.posting", "app.voucherify.client", "app.voucherify.wire",
           "app.destinations.web")  # fmt: skip
"""Who calls these tells more than they do."""
PARENT = "parent"
WRITES = re.compile(r"\s*(INSERT|UPDATE|DELETE|WITH\b.*?\b(INSERT|UPDATE|DELETE))\b", re.DOTALL)

_main = sys.orig_argv[sys.orig_argv.index("-m") + 1] if "-m" in sys.orig_argv else ""
_folder = Path(os.environ.get("CHAOS_DIR", os.devnull))


def install() -> None:
    """Wrap the seams of this process, if it is one of those that a house starts and keeps."""
    if _main in KINDS:
        _wrap_database()
        _wrap_calls()
        if _main == "app.sandbox":
            _wrap_posting()


def _reach(what: str, when: str) -> None:
    """Pass a point, or die there."""
    frame = _place()
    module = _module(frame).removeprefix("app.")
    name = f"{module}:{frame.f_code.co_qualname}:{what}:{when}"
    if (_folder / "recording").exists():
        with (_folder / "recorded").open("a") as record:
            record.write(f"{KINDS[_main]}:{name} {frame.f_lineno}\n")
    for armed in (_folder / "armed" / f"{KINDS[_main]}:{name}", _folder / "armed" / f"any:{name}"):
        with contextlib.suppress(FileNotFoundError):
            who = armed.read_text()
            armed.unlink()
            os.kill(os.getppid() if who == PARENT else os.getpid(), signal.SIGKILL)


def _place() -> FrameType:
    """The innermost frame that tells whose point it is."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and (not _module(frame).startswith(OURS) or _module(frame).startswith(THROUGH)):
        frame = frame.f_back
    assert frame is not None, "a commit or call that no module of ours asked for"
    return frame


def _module(frame: FrameType) -> str:
    module: str = frame.f_globals.get("__name__", "")
    return _main if module == "__main__" else module


def _wrap_database() -> None:
    from asyncpg import PostgresError
    from asyncpg.connection import Connection
    from asyncpg.transaction import Transaction

    commit = Transaction._Transaction__commit

    async def watched_commit(self: Any) -> None:
        if self._nested or not await has_written(self._connection):
            await commit(self)
            return
        _reach("commit", "before")
        await commit(self)
        _reach("commit", "after")

    async def has_written(connection: Any) -> bool:
        try:
            return await connection.fetchval("SELECT pg_current_xact_id_if_assigned()") is not None
        except PostgresError:  # it failed already, and its commit will roll it back
            return False

    Transaction._Transaction__commit = watched_commit

    execute = Connection.execute

    def watched(run: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        @functools.wraps(run)
        async def statement(self: Any, query: str, *args: Any, **kwargs: Any) -> Any:
            inner = run is execute and args  # then `execute` goes on to `_execute`
            if inner or self.is_in_transaction() or not WRITES.match(query):
                return await run(self, query, *args, **kwargs)
            _reach("write", "before")
            result = await run(self, query, *args, **kwargs)
            _reach("write", "after")
            return result

        return statement

    for name in ("execute", "_execute", "_executemany"):
        setattr(Connection, name, watched(getattr(Connection, name)))


def _wrap_calls() -> None:
    from http.client import HTTPConnection

    import httpx
    from requests.adapters import HTTPAdapter

    handle = httpx.AsyncHTTPTransport.handle_async_request

    async def watched_handle(self: httpx.AsyncHTTPTransport, request: httpx.Request) -> httpx.Response:
        watch = request.extensions.get("trace")

        async def trace(event: str, info: Any) -> None:
            if watch is not None:
                await watch(event, info)
            if event == "http11.send_request_body.complete":
                _reach("call", "sent")

        request.extensions = {**request.extensions, "trace": trace}
        _reach("call", "before")
        response = await handle(self, request)
        _reach("call", "answered")
        return response

    httpx.AsyncHTTPTransport.handle_async_request = watched_handle  # type: ignore[method-assign]

    # What the Segment SDK calls with, in a thread.
    send, receive = HTTPAdapter.send, HTTPConnection.getresponse

    def watched_send(self: HTTPAdapter, *args: Any, **kwargs: Any) -> Any:
        _reach("call", "before")
        response = send(self, *args, **kwargs)
        _reach("call", "answered")
        return response

    def watched_receive(self: HTTPConnection) -> Any:
        _reach("call", "sent")
        return receive(self)

    HTTPAdapter.send = watched_send  # type: ignore[method-assign]
    HTTPConnection.getresponse = watched_receive  # type: ignore[method-assign]


def _wrap_posting() -> None:
    """What the sandbox posts its webhooks with."""
    from app.sandbox import posting

    post, answer = posting.Posting.post, posting._answer

    async def watched_post(self: posting.Posting, url: str, body: bytes, headers: dict[str, str]) -> int:
        _reach("call", "before")
        status = await post(self, url, body, headers)
        _reach("call", "answered")
        return status

    async def watched_answer(reader: Any) -> tuple[int, bool]:
        _reach("call", "sent")
        return await answer(reader)

    posting.Posting.post = watched_post  # type: ignore[method-assign]
    posting._answer = watched_answer
