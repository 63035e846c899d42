"""One command at a time in one folder."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from scripts.lib.say import say


@contextlib.contextmanager
def turn(folder: Path) -> Iterator[None]:
    """Hold the folder for the length of the block; wait, and say so, while another command holds it.

    The folder itself is locked, so no file is left behind, and the system lets go when the holder dies.
    """
    lock = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Another command is at work in this clone; waiting for it …")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
