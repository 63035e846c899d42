"""Python loads this at the start of a process that has this folder on its path: a wrong clock, a place to stop at.

TEST_CLOCK_AHEAD: seconds by which all that Python says about the time is wrong in this process and its children.

TEST_STOPS: a file with `<module>:<function>` in each line, all of them coroutine functions. This process stops itself
(SIGSTOP: as if its machine were paused) when it comes by the place that a file of the same name with `.now` at its end
holds: the word `before` or `after`, such a line, and a part of the call's arguments. Who stops removes that file, so it
happens once.
"""

import contextlib
import functools
import importlib
import os
import signal
import sys
from pathlib import Path
from typing import Any


def put_clock_ahead(seconds: float) -> None:
    """Replace the clocks of the standard library. Moments that are made from numbers or text stay as they are."""
    import datetime as dt
    import time

    right, ahead = dt.datetime, dt.timedelta(seconds=seconds)
    right_time, right_time_ns = time.time, time.time_ns

    class Kind(type):
        def __instancecheck__(cls, found: Any) -> bool:
            return isinstance(found, right)

        def __subclasscheck__(cls, found: Any) -> bool:
            return issubclass(found, right)

    class Wrong(right, metaclass=Kind):  # type: ignore[misc, valid-type]
        def __new__(cls, *given: Any, **named: Any) -> Any:
            return right(*given, **named)

        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return right.now(tz) + ahead

        @classmethod
        def utcnow(cls) -> Any:
            return right.now(dt.UTC).replace(tzinfo=None) + ahead

    dt.datetime = Wrong  # type: ignore[misc]
    time.time = lambda: right_time() + seconds
    time.time_ns = lambda: right_time_ns() + int(seconds * 1e9)


def stop_at(place: str, order: Path) -> None:
    """Wrap the function, so that a call of it stops the process when that was ordered."""
    module, _, path = place.partition(":")
    *outer, name = path.split(".")
    holder: Any = importlib.import_module(module)
    for part in outer:
        holder = getattr(holder, part)
    original = getattr(holder, name)

    def ordered(call: str) -> str | None:
        with contextlib.suppress(FileNotFoundError):
            when, where, argument = order.read_text().split(" ", 2)
            if where == place and argument in call:
                order.unlink()
                return when
        return None

    @functools.wraps(original)
    async def wrapped(*given: Any, **named: Any) -> Any:
        when = ordered(f"{given} {named}")
        if when == "before":
            os.kill(os.getpid(), signal.SIGSTOP)
        result = await original(*given, **named)
        if when == "after":
            os.kill(os.getpid(), signal.SIGSTOP)
        return result

    setattr(holder, name, wrapped)


if wrong := os.environ.get("TEST_CLOCK_AHEAD"):
    put_clock_ahead(float(wrong))
if (stops := os.environ.get("TEST_STOPS")) and "app.pipeline.function_host" not in sys.orig_argv:
    try:
        for line in Path(stops).read_text().splitlines():
            stop_at(line, Path(f"{stops}.now"))
    except AttributeError as error:  # Python would go on without this file, and the test would wait for nothing
        raise SystemExit(f"TEST_STOPS names a place that there is not: {error}") from error
