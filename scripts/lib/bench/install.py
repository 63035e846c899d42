"""An install of the bench's own: an embedded Postgres, settings that nobody else has, processes on free ports.

It lies in `.data` of the clone, for that is a disk: in a `/tmp` of memory a commit would cost nothing.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import IO, Any

from app.db import embedded
from app.db.session import Database, database_url
from app.settings import Settings, load_settings
from app.telemetry import configure_logging
from scripts.lib.client import NoAnswer, call
from scripts.lib.say import Stop

ROOT = Path(__file__).parents[3]
READY_WITHIN = 30.0
STOPPED_WITHIN = 10.0
_KEPT = frozenset({"PATH", "HOME", "LANG", "TMPDIR", "SYSTEMROOT"})


@dataclass
class Install:
    """A migrated database with the demo shop in it, and the processes that were started on it."""

    folder: Path
    settings: Settings
    keys: Mapping[str, Any]
    """`admin_token`, and `register_keys` by register."""
    _running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def web(self) -> str:
        return self.settings.public_url

    @property
    def url(self) -> str:
        """The address of the database."""
        return database_url(self.settings)

    def database(self, pool: int = 15) -> Database:
        return Database(self.url, pool)

    def start(self, module: str) -> int:
        """Start a process of the project; returns its pid. What it says goes to a file."""
        with (self.folder / f"{module}.log").open("ab") as said:
            process = subprocess.Popen([sys.executable, "-m", module], stdout=said, stderr=said, cwd=self.folder)
        self._running[module] = process
        return process.pid

    def pids(self) -> dict[str, int]:
        """What was started, by module."""
        return {module: process.pid for module, process in self._running.items()}

    def run(self, module: str) -> None:
        """Run a command of the project to its end."""
        _run(module, self.folder)

    def wait_for(self, url: str) -> None:
        """Wait until an address answers 200. Raises `Stop` with what the processes said when it does not."""
        until = time.monotonic() + READY_WITHIN
        while time.monotonic() < until:
            try:
                if call("GET", url, timeout=5)[0] == 200:
                    return
            except NoAnswer:
                pass
            time.sleep(0.05)
        said = "\n".join(log.read_text()[-1500:] for log in sorted(self.folder.glob("*.log")))
        raise Stop(f"{url} did not get ready within {READY_WITHIN:.0f} s.\n{said}")

    def stop_all(self) -> None:
        """End what was started, the youngest first."""
        for process in reversed(self._running.values()):
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOPPED_WITHIN)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._running.clear()


@contextmanager
def private_install(**settings: str) -> Iterator[Install]:
    """Make an install and work in it for the length of the block; then nothing of it is left.

    This process takes its environment and its folder on, so that neither the caller's settings nor the clone's `.env`
    count. `settings` are environment variables.
    """
    data = ROOT / ".data"
    data.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=data))
    before, environment = Path.cwd(), dict(os.environ)
    data_dir = folder / "data"
    os.environ.clear()
    os.environ.update({name: value for name, value in environment.items() if name in _KEPT})
    os.environ.update(_environment(data_dir) | settings)
    os.chdir(folder)
    try:
        keys = json.loads(_run("app.migrate", folder, "--json"))
        made = Install(folder, load_settings(), keys)
        with redirect_stderr(_nowhere()):
            configure_logging(made.settings, "bench")  # lines are made as in production: they are a part of the cost
        try:
            yield made
        finally:
            made.stop_all()
    finally:
        embedded.remove(data_dir)
        os.chdir(before)
        os.environ.clear()
        os.environ.update(environment)
        shutil.rmtree(folder, ignore_errors=True)


@cache
def _nowhere() -> IO[str]:
    """Where this process's own log goes. Loggers keep it for good, so it is never closed."""
    return Path(os.devnull).open("w")


def _environment(data_dir: Path) -> dict[str, str]:
    with socket.socket() as web, socket.socket() as worker, socket.socket() as sandbox:
        ports = {"WEB_PORT": web, "WORKER_PORT": worker, "SANDBOX_PORT": sandbox}
        for listener in ports.values():
            listener.bind(("127.0.0.1", 0))
        found = {name: str(listener.getsockname()[1]) for name, listener in ports.items()}
    return {"DATA_DIR": str(data_dir), "PYTHONPATH": str(ROOT), "PYTHONNOUSERSITE": "1", **found}


def _run(module: str, folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    if done.returncode != 0:
        raise Stop(f"{module} failed:\n{done.stderr[-1500:]}")
    return done.stdout
