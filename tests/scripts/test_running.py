"""The processes of a demo: found by more than their number, stopped for certain, on ports that are free."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # it has no types
import pytest

from scripts.lib import running
from scripts.lib.running import Pid, Run

STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
)


@pytest.fixture
def sleeper() -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], text=True)
    yield process
    process.kill()
    process.wait()


def began(pid: int) -> float:
    return float(psutil.Process(pid).create_time())


def test_a_pid_is_more_than_its_number(sleeper: "subprocess.Popen[str]") -> None:
    """A process counts as alive only when it began at the moment that was written down, and not as a zombie."""
    pid = Pid(sleeper.pid, began(sleeper.pid))
    assert pid.is_alive()
    assert not Pid(sleeper.pid, pid.began - 60).is_alive()
    sleeper.kill()
    until = time.monotonic() + 60
    while pid.is_alive() and time.monotonic() < until:  # nobody has waited for it yet
        time.sleep(0.01)
    assert not pid.is_alive()


def test_the_run_is_read_as_it_was_written(tmp_path: Path) -> None:
    """run.json gives back what was put in; a missing, broken or foreign one is no run, never an error."""
    run = Run(Pid(1, 2.5), {"web": Pid(3, 4.5)}, {"web": "http://127.0.0.1:8000"}, {"WEB_PORT": "8000"})
    running.write(tmp_path, run)
    assert running.read(tmp_path) == run
    for text in ("", "[]", "{}", json.dumps({"supervisor": 1})):
        (tmp_path / "run.json").write_text(text)
        assert running.read(tmp_path) == Run()
    running.forget(tmp_path)
    running.forget(tmp_path)
    assert running.read(tmp_path) == Run()


def test_a_process_that_does_not_listen_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What ignores SIGTERM is gone all the same after the patience is over."""
    monkeypatch.setattr(running, "STOP_WITHIN", 0.3)
    with subprocess.Popen([sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        running.stop({"worker": Pid(process.pid, began(process.pid))})
        assert process.wait(5) == -9


def test_a_number_that_is_now_somebody_elses_is_left_alone(sleeper: "subprocess.Popen[str]") -> None:
    """Stopping a run whose process has died does not touch the program that has its number now."""
    running.stop({"web": Pid(sleeper.pid, began(sleeper.pid) - 60)})
    assert sleeper.poll() is None


def test_ports() -> None:
    """The wanted port where it is free, the next free one where somebody listens or it is promised already."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        wanted = server.getsockname()[1]
        picked = running.free_port("127.0.0.1", wanted, {wanted + 1})
        assert picked not in {wanted, wanted + 1}
        assert running.is_free("127.0.0.1", picked)
        assert not running.is_free("127.0.0.1", wanted)
    assert running.free_port("127.0.0.1", picked, set()) == picked


def test_last_lines(tmp_path: Path) -> None:
    """The end of a log is told, and a log that is not there is empty."""
    (tmp_path / "log").write_text("".join(f"{n}\n" for n in range(30)))
    assert running.last_lines(tmp_path / "log", 3) == ["27", "28", "29"]
    assert running.last_lines(tmp_path / "none") == []
