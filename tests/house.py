"""A whole house of real processes on free ports: what a newcomer starts, for tests that need all of it."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from socket import socket
from typing import IO, Any
from uuid import uuid4

import httpx

ROOT = Path(__file__).parent.parent
MODULES = {"sandbox": "app.sandbox", "web": "app.main", "worker": "app.worker"}
PATIENCE = 90.0
"""Seconds for anything to happen before a test says that it did not."""


class House:
    """Web, worker and sandbox of one install, each a process that a test may kill and start again."""

    def __init__(self, folder: Path, database_url: str, sandbox_database_url: str, **settings: str) -> None:
        ports = {name: _free_port() for name in ("WEB_PORT", "SANDBOX_PORT", "WORKER_PORT")}
        self.folder = folder
        self.web = f"http://127.0.0.1:{ports['WEB_PORT']}"
        self.sandbox = f"http://127.0.0.1:{ports['SANDBOX_PORT']}"
        self.worker = f"http://127.0.0.1:{ports['WORKER_PORT']}"
        self._environment = {
            **{name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG", "TMPDIR"}},
            "DATA_DIR": str(folder),
            "DATABASE_URL": database_url,
            "SANDBOX_DATABASE_URL": sandbox_database_url,
            "PYTHONPATH": str(ROOT),
            "WORKER_LEASE": "2",  # a killed worker's share is free sooner, so tests wait less
            "PUBLIC_URL": self.web,  # also of a second web process
            **{name: str(port) for name, port in ports.items()},
            **settings,
        }
        self._running: dict[str, tuple[subprocess.Popen[bytes], IO[bytes]]] = {}
        self._ports: dict[str, str] = {}
        self.deaths: Counter[str] = Counter()
        """How often each process died by itself while it was supervised."""
        self.admin_token = ""
        self.register_keys: dict[str, str] = {}

    @property
    def register_key(self) -> str:
        return self.register_keys["warsaw/2"]

    def open(self) -> "House":
        """Migrate, start everything, load the demo programme."""
        made = json.loads(self.run("app.migrate", "--json"))
        self.admin_token, self.register_keys = made["admin_token"], made["register_keys"]
        for name in MODULES:
            self.start(name)
        self.wait_until_ready()
        self.run("app.seed")
        return self

    def close(self) -> None:
        for name in list(self._running):
            self.stop(name)

    def run(self, module: str, *arguments: str) -> str:
        """Run a command of the project to its end and return what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self, name: str, **settings: str) -> int:
        """Start one process; returns its pid. A number at the end (`worker2`) makes it another of its kind."""
        kind = name.rstrip("0123456789")
        environment = {**self._environment, **settings}
        if name != kind:
            variable = f"{kind.upper()}_PORT"
            environment[variable] = self._ports.setdefault(name, str(_free_port()))
        output = (self.folder / f"{name}.log").open("ab")
        process = subprocess.Popen(
            [sys.executable, "-m", MODULES[kind]], cwd=self.folder, env=environment, stdout=output, stderr=output
        )
        self._running[name] = process, output
        return process.pid

    def url(self, name: str) -> str:
        """Where a process is reached."""
        return f"http://127.0.0.1:{self._ports[name]}" if name in self._ports else str(getattr(self, name))

    def pid(self, name: str) -> int:
        return self._running[name][0].pid

    def stop(self, name: str, sig: signal.Signals = signal.SIGTERM) -> None:
        """End one process by a signal and wait until it is gone."""
        process, output = self._running.pop(name)
        process.send_signal(sig)
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        output.close()

    def kill(self, name: str) -> None:
        """SIGKILL: nothing can be tidied up."""
        self.stop(name, signal.SIGKILL)

    @contextmanager
    def supervised(self) -> Iterator[None]:
        """Start every process again that dies while the block runs, as a supervisor in production does."""
        ended = threading.Event()
        watch = threading.Thread(target=self._supervise, args=(ended,), daemon=True)
        watch.start()
        try:
            yield
        finally:
            ended.set()
            watch.join()

    def _supervise(self, ended: threading.Event) -> None:
        while not ended.wait(0.05):
            for name, (process, output) in list(self._running.items()):
                if process.poll() is not None:
                    output.close()
                    self.deaths[name] += 1
                    self.start(name)

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def wait_until_ready(self) -> None:
        until = time.monotonic() + PATIENCE
        said = "nothing yet"
        while time.monotonic() < until:
            try:
                answer = httpx.get(f"{self.web}/health", timeout=5)
                if answer.status_code == 200:
                    return
                said = answer.text
            except httpx.HTTPError as error:
                said = repr(error)
            time.sleep(0.1)
        raise AssertionError(f"The house did not get ready: {said}\n" + "\n".join(map(self.log, self._running)))

    def till(self, register: str = "warsaw/2") -> httpx.Client:
        """A till: a client with the key of a register."""
        return httpx.Client(
            base_url=self.web, timeout=60, headers={"authorization": f"Bearer {self.register_keys[register]}"}
        )

    def operator(self) -> httpx.Client:
        """An operator: a client with the admin token."""
        return httpx.Client(base_url=self.web, timeout=60, headers={"authorization": f"Bearer {self.admin_token}"})

    def voucherify(self, method: str, path: str, body: Any = None) -> Any:
        """A call to the sandbox with the keys of this install."""
        keys = json.loads((self.folder / "install.json").read_text())
        headers = {"x-app-id": keys["sandbox_application_id"], "x-app-token": keys["sandbox_secret_key"]}
        answer = httpx.request(method, self.sandbox + path, json=body, headers=headers, timeout=60)
        assert answer.is_success, answer.text
        return answer.json()

    def enrol(self, phone: str, first_name: str = "Test") -> dict[str, Any]:
        """Enrol a member at the till and wait for the card."""
        with self.till() as till:
            member = till.post("/members", json={"phone": phone, "first_name": first_name}).json()
            until = time.monotonic() + PATIENCE
            while member["card"] is None and time.monotonic() < until:
                time.sleep(0.05)
                member = till.get(f"/members/{member['id']}").json()
        assert member["card"], "no card arrived"
        found: dict[str, Any] = member
        return found

    def pay(
        self, member_id: str | None, lines: dict[str, int], coupon: str | None = None, key: str | None = None
    ) -> Any:
        """Pay a basket at the till; returns the response."""
        body = {
            "member_id": member_id,
            "lines": [{"product_id": product, "quantity": quantity} for product, quantity in lines.items()],
            "coupon": coupon,
        }
        with self.till() as till:
            return till.post("/pos/orders", json=body, headers={"idempotency-key": key or str(uuid4())})

    def trace(self, order_id: str, *, complete: bool = True) -> dict[str, Any]:
        """The trace of an order; waits until it is whole, unless told not to."""
        until = time.monotonic() + PATIENCE
        with self.operator() as operator:
            while True:
                answer = operator.get(f"/console/orders/{order_id}/trace")
                assert answer.status_code == 200, answer.text
                trace: dict[str, Any] = answer.json()
                if trace["complete"] or not complete:
                    return trace
                assert time.monotonic() < until, f"missing: {trace['missing']}"
                time.sleep(0.05)


def _free_port() -> int:
    with closing(socket()) as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
