"""What a command tells the person at the terminal. All of it goes to stderr: stdout is for results alone."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Stop(Exception):
    """Ends the command; its text is the sentence to show."""


def say(line: str = "") -> None:
    print(line, file=sys.stderr, flush=True)


class Step:
    """One line of progress. Set `result` to what shall stand on it in the end."""

    def __init__(self, name: str, doing: str) -> None:
        self.name = name
        self.result = "done"
        self._begin = time.monotonic()
        self._on_terminal = sys.stderr.isatty()
        self.show(doing)

    def show(self, doing: str) -> None:
        """Say what is being done; on a terminal in place of what stood there."""
        if self._on_terminal:
            print(f"\r\033[K  {self.name:<10} {doing}", end="", file=sys.stderr, flush=True)
        else:
            say(f"  {self.name:<10} {doing}")

    def end(self) -> None:
        self.show(f"{self.result}  ({time.monotonic() - self._begin:.1f} s)")
        if self._on_terminal:
            say()

    def fail(self) -> None:
        if self._on_terminal:
            say()


@contextmanager
def step(name: str, doing: str) -> Iterator[Step]:
    """Show one line of progress for the length of the block, then its result and how long it took."""
    line = Step(name, doing)
    try:
        yield line
    except BaseException:
        line.fail()
        raise
    line.end()
