"""Brings everything up in its order, looks after it, and takes it down again."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace

from app.db import embedded
from app.settings import Settings
from scripts.lib import first_start, running
from scripts.lib.client import NoAnswer, call
from scripts.lib.running import Run
from scripts.lib.say import Stop, say, step

READY_WITHIN = 60.0
HEALTH = {"sandbox": "/sandbox/health", "web": "/health/live", "worker": "/health/live"}
"""In the order in which they are started. Live, not ready: the web process is ready only when a worker runs."""


class PortTaken(Exception):
    """Another program took a port between the look and the start."""


class Supervisor:
    """The processes of one clone, seen from the command that starts, watches or stops them."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.data_dir = settings.data_dir
        self.embedded = settings.database.database_url is None
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        """Those that this very process started: they have to be waited for, lest they stay as zombies."""

    def start(self) -> first_start.Keys:
        """Bring everything up and write `run.json`. Where one part does not come up, stop the rest and raise `Stop`."""
        running.write(self.data_dir, Run(running.this_process()))
        try:
            if self.embedded:
                with step("postgres", "starting …") as line:
                    embedded.start(self.data_dir)
                    line.result = f"runs on the data in {self.data_dir / 'postgres'}"
            with step("database", "migrating …") as line:
                keys = first_start.migrate(self.data_dir, {"DATA_DIR": str(self.data_dir)})
                line.result = "up to date"
            self._start_processes()
            if self.settings.uses_sandbox:
                with step("programme", "loading the demo programme into the sandbox …") as line:
                    self._seed()
                    line.result = "loaded"
        except BaseException:
            self.stop()
            raise
        return keys

    def _start_processes(self) -> None:
        for _ in range(5):
            try:
                return self._start_on(self._ports())
            except PortTaken:
                running.stop(running.read(self.data_dir).alive())
                # Two clones that start together must not look again at the same moment for ever.
                time.sleep(random.random() * 2)  # noqa: S311  # chance, not a secret
        raise Stop("Other programs take every port that is picked. Name some: WEB_PORT, WORKER_PORT, SANDBOX_PORT.")

    def _start_on(self, ports: dict[str, int]) -> None:
        urls = {name: f"http://{_reachable(self._host(name))}:{port}" for name, port in ports.items()}
        environment = {f"{name.upper()}_PORT": str(port) for name, port in ports.items()}
        environment |= {"DATA_DIR": str(self.data_dir), **_no_proxy()}
        run = Run(running.this_process(), {}, urls, environment)
        for name in ports:
            run = self.spawn(name, run)
        for name in ports:
            with step(name, "starting …") as line:
                self.wait_until_up(name, run)
                line.result = f"{urls[name]}  pid {run.processes[name].pid}"

    def spawn(self, name: str, run: Run) -> Run:
        """Start one process and write it down."""
        pid, self._children[name] = running.start(self.data_dir, name, run.environment)
        run = replace(run, processes={**run.processes, name: pid})
        running.write(self.data_dir, run)
        return run

    def wait_until_up(self, name: str, run: Run) -> None:
        """Wait until a process of ours answers. Raises `PortTaken`, or `Stop` with the end of its log."""
        child = self._children[name]
        port = int(run.environment[f"{name.upper()}_PORT"])
        until = time.monotonic() + READY_WITHIN
        last = "no answer"
        while time.monotonic() < until:
            if child.poll() is not None:
                said = "\n".join(running.last_lines(running.log_of(self.data_dir, name))).lower()
                # The other program may have let go of it again by now: another clone's demo that looks for ports, too.
                if "address already in use" in said or not running.is_free(self._host(name), port):
                    raise PortTaken
                raise Stop(self.with_log(name, f"The {name} ended at its start (exit code {child.returncode})."))
            if not run.processes[name].listens_on(port):
                time.sleep(0.05)
                continue
            with contextlib.suppress(NoAnswer):
                status, body = call("GET", run.urls[name] + HEALTH[name], timeout=2)
                if status == 200:
                    return
                last = f"{status} {body}"
            time.sleep(0.05)
        raise Stop(self.with_log(name, f"The {name} is not ready after {READY_WITHIN:.0f} s ({last})."))

    def _ports(self) -> dict[str, int]:
        """A port for each process: the one in the settings or, where nobody asked for that very one, the next free."""
        ports: dict[str, int] = {}
        for name in HEALTH:
            if name == "sandbox" and not self.settings.uses_sandbox:
                continue
            wanted = getattr(self.settings.listen, f"{name}_port")
            port = running.free_port(self._host(name), wanted, set(ports.values()))
            if port != wanted:
                if f"{name}_port" in self.settings.listen.model_fields_set:
                    raise Stop(
                        f"{name.upper()}_PORT: port {wanted} is in use. Stop the program that uses it, name another "
                        "port, or unset it to have a free one picked."
                    )
                say(f"  {name:<10} port {wanted} is in use; it gets {port}")
            ports[name] = port
        return ports

    def _host(self, name: str) -> str:
        return str(getattr(self.settings.listen, f"{name}_host"))

    def _seed(self) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "app.seed"],
            cwd=running.ROOT, env={**os.environ, **running.read(self.data_dir).environment},
            capture_output=True, text=True, errors="replace", check=False,
        )  # fmt: skip
        if done.returncode != 0:
            said = (done.stderr or done.stdout).strip().splitlines()[-8:]
            raise Stop("\n".join(["The demo programme could not be loaded:", *(f"    {text}" for text in said)]))

    def watch(self) -> None:
        """Say when a process ends and when it is back, for ever.

        Nothing is started again by itself: that a process can be killed and its work waits is what there is to see.
        """
        gone: set[str] = set()
        while True:
            time.sleep(1)
            for child in self._children.values():
                child.poll()
            run = running.read(self.data_dir)
            now_gone = set(run.processes) - set(run.alive())
            if self.embedded and not embedded.running(self.data_dir):
                now_gone.add("postgres")
            for name in sorted(now_gone - gone):
                say(self.with_log(name, f"The {name} is gone, the rest goes on."))
                say(f"Start it again: ./scripts/demo --restart {name}")
            for name in sorted(gone - now_gone):
                say(f"The {name} is back.")
            gone = now_gone

    def stop(self) -> bool:
        """Stop everything, Postgres last; answers whether there was anything to stop."""
        with _undisturbed():
            alive = running.read(self.data_dir).alive()
            running.stop(alive)
            for child in self._children.values():
                child.poll()
            postgres = self.embedded and embedded.running(self.data_dir) is not None
            if postgres:
                embedded.stop(self.data_dir)
            running.forget(self.data_dir)
        return bool(alive) or postgres

    def with_log(self, name: str, sentence: str) -> str:
        """A sentence with the last lines of that process's log below it."""
        log = running.log_of(self.data_dir, name)
        return "\n".join([f"{sentence} The end of {log}:", *(f"    {text}" for text in running.last_lines(log))])


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """A second Ctrl-C must not leave half of it running."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, signal.SIG_IGN) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _reachable(host: str) -> str:
    return "127.0.0.1" if host in {"0.0.0.0", "::"} else host  # noqa: S104  # compared, not bound


def _no_proxy() -> dict[str, str]:
    """Our processes talk to each other on this machine, where a proxy from the environment could not find them."""
    return {
        name: ",".join(part for part in (os.environ.get(name), "127.0.0.1,localhost") if part)
        for name in ("NO_PROXY", "no_proxy")
    }
