"""Random trouble from one seed: processes are killed and frozen, Voucherify misbehaves, Postgres restarts."""

import contextlib
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.house import PATIENCE, House

PROCESSES = ("web", "worker", "worker2", "sandbox")
API = ("/v1/", "/segmentio/", "/v1/orders", "/v1/redemptions", "/v1/publications", "/v1/loyalties")


@dataclass
class Havoc:
    """One thread of trouble."""

    house: House
    seed: str
    restart_postgres: Callable[[], None]
    pause: tuple[float, float] = (0.4, 2.0)
    """Seconds between two troubles: at least, at most."""
    happened: Counter[str] = field(default_factory=Counter)
    log: list[str] = field(default_factory=list)
    """What happened when, to read beside the processes' logs."""

    def __post_init__(self) -> None:
        self.random = random.Random(f"{self.seed}:havoc")
        self._began = time.monotonic()

    def run(self, closing: threading.Event) -> None:
        while not closing.wait(self.random.uniform(*self.pause)):
            trouble = self.random.choices((self.kill, self.freeze, self.fault, self.postgres), (8, 4, 12, 2))[0]
            trouble()

    def end(self) -> None:
        """Switch off what can be switched off; the supervisor has started again whatever was killed."""
        until = time.monotonic() + PATIENCE
        while True:
            try:
                answer = httpx.delete(f"{self.house.sandbox}/sandbox/faults", timeout=5)
                if answer.status_code == 200:
                    return
                said = answer.text
            except httpx.TransportError as error:
                said = repr(error)
            assert time.monotonic() < until, (
                f"the sandbox did not come back: {said}\n{self.house.log('sandbox')[-3000:]}"
            )
            time.sleep(0.1)

    def kill(self) -> None:
        name = self.random.choice(PROCESSES)
        if self._works(name):
            self._signal(name, signal.SIGKILL, "kill")

    def freeze(self) -> None:
        """A process that stands still for longer than its leases, and goes on as if nothing had been."""
        name, seconds = self.random.choice(PROCESSES), self.random.uniform(0.5, 4.5)
        if self._works(name):
            pid = self._signal(name, signal.SIGSTOP, "freeze")
            time.sleep(seconds)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def _works(self, name: str) -> bool:
        """Whether there is something to harm: a process that is just starting is in the middle of nothing."""
        path = "/sandbox/health" if name == "sandbox" else "/health/live"
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(self.house.url(name) + path, timeout=2).status_code == 200
        return False

    def fault(self) -> None:
        path, count = self.random.choice(API), self.random.randint(1, 4)
        faults: list[dict[str, Any]] = [
            {"fail_next": {"path": path, "count": count, "status": self.random.choice((429, 500, 502, 503, 504))}},
            {"lose_answer_next": {"path": path, "count": count}},
            {"lose_answer_next": {"path": "/v1/", "method": "POST", "count": count}},
            {"latency_ms": self.random.choice((0, 0, 200, 2500))},
            {"lose_answer_next": {"path": "/v1/orders", "method": "POST", "count": count}},
            {"ignore_redemption_order_status": self._even()},
            {
                "webhook_duplicate": self._even(),
                "webhook_shuffle": self._even(),
                "webhook_delay_ms": self.random.choice((0, 0, 400, 1500)),
            },
        ]
        # The harshest reading of what is not documented: whoever pays an order twice has paid for it.
        wanted = {"earn_again_on_paid": True, **self.random.choice(faults)}
        with contextlib.suppress(httpx.TransportError):  # it is down just now
            httpx.post(f"{self.house.sandbox}/sandbox/faults", json=wanted, timeout=2)
            self._note("fault", str(wanted))

    def postgres(self) -> None:
        self._note("postgres restart", "")
        self.restart_postgres()

    def _signal(self, name: str, sig: signal.Signals, what: str) -> int:
        pid = self.house.pid(name)
        with contextlib.suppress(ProcessLookupError):  # it has just died and is about to be started again
            os.kill(pid, sig)
            self._note(f"{what} {name}", "")
        return pid

    def _note(self, what: str, more: str) -> None:
        self.happened[what] += 1
        self.log.append(f"{time.monotonic() - self._began:7.2f} {what} {more}")

    def _even(self) -> bool:
        return self.random.random() < 0.5
