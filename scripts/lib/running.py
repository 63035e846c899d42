"""The processes of one clone's demo: started, found again, stopped. `DATA_DIR/run.json` says which they are.

A supervised demo and one that was left in the background differ only in whether somebody watches: both are what
`run.json` says, so `--stop` and `--restart` work on either. A pid counts only together with the moment at which its
process began, for numbers are given again.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # it has no types

ROOT = Path(__file__).parents[2]
MODULES = {"sandbox": "app.sandbox", "web": "app.main", "worker": "app.worker"}
STOP_WITHIN = 8.0
"""Seconds; every process promises to stop within 5."""


@dataclass(frozen=True)
class Pid:
    """One process, not only its number."""

    pid: int
    began: float

    def listens_on(self, port: int) -> bool:
        """Whether it is this process that answers on a port, and not another one that was quicker."""
        try:
            found = psutil.Process(self.pid).net_connections(kind="tcp")
        except psutil.Error:
            return False
        return any(one.status == psutil.CONN_LISTEN and one.laddr.port == port for one in found)

    def is_alive(self) -> bool:
        try:
            process = psutil.Process(self.pid)
            # The system tells the beginning in hundredths of a second, and not quite the same after a suspend.
            return bool(abs(process.create_time() - self.began) < 2 and process.status() != psutil.STATUS_ZOMBIE)
        except psutil.Error:
            return False


@dataclass(frozen=True)
class Run:
    """What runs: the processes by name, where they are reached, and the settings they were started with."""

    supervisor: Pid | None = None
    processes: Mapping[str, Pid] = field(default_factory=dict)
    urls: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)

    def alive(self) -> dict[str, Pid]:
        return {name: pid for name, pid in self.processes.items() if pid.is_alive()}


def read(data_dir: Path) -> Run:
    """The run that `run.json` describes; an empty one when there is none."""
    try:
        stored = json.loads((data_dir / "run.json").read_text())
        return Run(
            supervisor=Pid(**stored["supervisor"]) if stored["supervisor"] else None,
            processes={name: Pid(**pid) for name, pid in stored["processes"].items()},
            urls=stored["urls"],
            environment=stored["environment"],
        )
    except (OSError, ValueError, KeyError, TypeError):
        return Run()


def write(data_dir: Path, run: Run) -> None:
    draft = data_dir / f".run.json.{os.getpid()}"
    draft.write_text(json.dumps(asdict(run), indent=2) + "\n")
    draft.replace(data_dir / "run.json")


def forget(data_dir: Path) -> None:
    (data_dir / "run.json").unlink(missing_ok=True)


def this_process() -> Pid:
    return Pid(os.getpid(), psutil.Process().create_time())


def log_of(data_dir: Path, name: str) -> Path:
    return data_dir / "logs" / f"{name}.log"


def start(data_dir: Path, name: str, environment: Mapping[str, str]) -> tuple[Pid, "subprocess.Popen[bytes]"]:
    """Start one process with a log of its own.

    It gets a session of its own as well: Ctrl-C reaches the supervisor alone, which stops them in the right order.
    """
    log = log_of(data_dir, name)
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists():
        log.replace(log.with_suffix(".log.1"))
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", MODULES[name]],
            cwd=ROOT,
            env={**os.environ, **environment, "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return Pid(process.pid, psutil.Process(process.pid).create_time()), process


def stop(pids: Mapping[str, Pid]) -> None:
    """Stop processes: the worker first, so that it finishes what it holds while its neighbours still answer."""
    for names in (["worker"], ["web"], ["sandbox"]):
        _stop_all([pids[name] for name in names if name in pids])
    _stop_all([pid for name, pid in pids.items() if name not in MODULES])


def _stop_all(pids: list[Pid]) -> None:
    for number, patience in ((signal.SIGTERM, STOP_WITHIN), (signal.SIGKILL, 2.0)):
        waiting = [pid for pid in pids if pid.is_alive()]
        for pid in waiting:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid.pid, number)
        until = time.monotonic() + patience
        while any(pid.is_alive() for pid in waiting) and time.monotonic() < until:
            time.sleep(0.05)


def last_lines(log: Path, count: int = 12) -> list[str]:
    try:
        return log.read_text(errors="replace").rstrip().splitlines()[-count:]
    except OSError:
        return []


def is_free(host: str, port: int) -> bool:
    """Whether a server may listen there: nobody answers, and the system gives the port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.settimeout(0.5)
        if probe.connect_ex((host, port)) == 0:
            return False
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def free_port(host: str, wanted: int, taken: set[int]) -> int:
    """The wanted port or the next one that is free."""
    candidates = (port for port in range(wanted, min(wanted + 100, 65536)) if port not in taken and is_free(host, port))
    port = next(candidates, None)
    if port is None:
        with socket.socket() as probe:
            probe.bind((host, 0))
            port = int(probe.getsockname()[1])
    return port
