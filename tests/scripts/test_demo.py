"""./scripts/demo for real: every process, every hop. Only the installation of packages is left out."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]  # it has no types
import pytest

from app.db import embedded
from scripts.lib import running
from scripts.lib.client import call

ROOT = Path(__file__).parents[2]
STEPS = 13


class Clone:
    """One clone's demo, with a data folder of its own."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir

    @property
    def environment(self) -> dict[str, str]:
        ours = ("DATABASE_URL", "SANDBOX_", "VOUCHERIFY_", "SEGMENT_", "WEB_", "WORKER_", "PUBLIC_URL")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        return {**kept, "DATA_DIR": str(self.data_dir)}

    def demo(self, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "scripts.lib.demo", *options], cwd=ROOT, env={**self.environment, **environment},
            capture_output=True, text=True, timeout=150, check=False,
        )  # fmt: skip

    def begin(self, *options: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "scripts.lib.demo", *options], cwd=ROOT, env=self.environment,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )  # fmt: skip

    def order(self) -> dict[str, Any]:
        done = self.demo("--once", "--json")
        assert done.returncode == 0, done.stderr
        return whole(done.stdout)


def whole(printed: str) -> dict[str, Any]:
    """What --json printed, which must be the whole road and nothing else."""
    assert printed.count("\n") == 1
    said: dict[str, Any] = json.loads(printed)
    assert [step["step"] for step in said["steps"]] == list(range(1, STEPS + 1))
    assert {step["state"] for step in said["steps"]} <= {"done", "skipped"}
    return said


def left_over(clone: Clone) -> list[str]:
    """Processes that still know this clone's data folder, and its socket."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get("DATA_DIR") == str(clone.data_dir):
                found.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return found + ([running_at] if (running_at := embedded.running(clone.data_dir)) else [])


@pytest.fixture
def clone(tmp_path: Path) -> Iterator[Clone]:
    made = Clone(tmp_path / "my data")
    yield made
    made.demo("--stop")
    embedded.remove(made.data_dir)


def test_one_order_the_whole_road(clone: Clone) -> None:
    """--once --json: one order with all its steps, points and a coupon; nothing runs afterwards; data is kept."""
    first = clone.order()
    assert first["points"] > 0
    assert first["coupon"]
    assert left_over(clone) == []
    assert (clone.data_dir / "demo.json").stat().st_mode & 0o077 == 0
    second = clone.order()
    assert second["member"] == first["member"]
    assert second["order_id"] != first["order_id"]
    assert second["coupon"] != first["coupon"]


@pytest.mark.long
def test_left_in_the_background(clone: Clone) -> None:
    """--keep leaves it running; a second demo says where; --once uses it; --restart and --stop work on it."""
    kept = clone.demo("--once", "--keep", "--json")
    assert kept.returncode == 0, kept.stderr
    web = whole(kept.stdout)["urls"]["web"]
    again = clone.demo()
    assert again.returncode == 1
    assert f"runs already: {web}" in again.stderr
    worker = running.read(clone.data_dir).processes["worker"]
    os.kill(worker.pid, signal.SIGKILL)
    assert clone.demo("--restart", "worker").returncode == 0
    assert running.read(clone.data_dir).processes["worker"] != worker
    assert clone.order()["urls"]["web"] == web
    assert clone.demo("--stop").stderr == "Stopped.\n"
    assert left_over(clone) == []
    assert clone.demo("--stop").stderr == "No demo runs in this clone.\n"


@pytest.mark.long
def test_a_taken_port(clone: Clone) -> None:
    """Where a default port is taken another is picked and told, and the webhooks find their way there; where the
    setting names a taken port, that is an error."""
    clone.order()
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        refused = clone.demo("--once", WEB_PORT=str(port))
        assert refused.returncode == 1
        assert f"WEB_PORT: port {port} is in use." in refused.stderr
    taken = []
    try:
        taken = [
            socket.create_server(("127.0.0.1", port))
            for port in (8000, 8100, 8200)
            if running.is_free("127.0.0.1", port)
        ]
        picked = clone.order()["urls"]
        assert not {url.rsplit(":", 1)[1] for url in picked.values()} & {"8000", "8100", "8200"}
    finally:
        for server in taken:
            server.close()


@pytest.mark.long
def test_sigterm_stops_everything(clone: Clone) -> None:
    """SIGTERM ends the demo that stays up with 0 and leaves no process behind."""
    process = clone.begin()
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("Ctrl-C stops everything"):
            break
    process.send_signal(signal.SIGTERM)
    rest = process.communicate(timeout=60)[0]
    assert process.returncode == 0, rest
    assert left_over(clone) == []


@pytest.mark.long
def test_a_signal_during_the_start(clone: Clone) -> None:
    """Ctrl-C while it is still starting leaves no process behind either."""
    process = clone.begin("--once")
    assert process.stdout is not None
    for line in process.stdout:
        if "  web  " in line:
            break
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert left_over(clone) == []


def test_a_worker_is_killed_in_the_middle_of_a_sale(clone: Clone) -> None:
    """The demo says that the worker is gone and goes on; a sale made meanwhile is whole once a worker is back; Ctrl-C
    then ends it all with 0."""
    process = clone.begin()
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("Ctrl-C stops everything"):
            break
    run = running.read(clone.data_dir)
    os.kill(run.processes["worker"].pid, signal.SIGKILL)
    assert "The worker is gone" in process.stdout.readline()
    keys = json.loads((clone.data_dir / "demo.json").read_text())
    till, admin = keys["register_keys"]["warsaw/2"], keys["admin_token"]
    web = run.urls["web"]
    _, member = call("POST", f"{web}/members", key=till, body={"phone": "+48601234567"})
    basket = {"member_id": member["id"], "lines": [{"product_id": "fuel", "quantity": 1}]}
    status, sold = call("POST", f"{web}/pos/orders", key=till, body=basket, headers={"Idempotency-Key": "k1"})
    assert status == 201
    assert clone.demo("--restart", "worker").returncode == 0
    until = time.monotonic() + 60
    trace: dict[str, Any] = {}
    while time.monotonic() < until and not trace.get("complete"):
        _, trace = call("GET", f"{web}/console/orders/{sold['id']}/trace", key=admin)
        time.sleep(0.2)
    assert trace["missing"] == []
    process.send_signal(signal.SIGINT)
    assert "The worker is back." in process.communicate(timeout=60)[0]
    assert process.returncode == 0
    assert left_over(clone) == []


def test_a_broken_setting(clone: Clone) -> None:
    """A wrong value ends the start with one sentence that names the variable."""
    done = clone.demo("--once", WEB_PORT="eight")
    assert done.returncode == 1
    assert done.stderr.startswith("WEB_PORT ")
    assert done.stderr.count("\n") == 1


@pytest.mark.long
def test_reset_starts_clean(clone: Clone) -> None:
    """--reset deletes what was there, and nothing in DATA_DIR that is not the demo's."""
    clone.order()
    (clone.data_dir / "mine.txt").write_text("")
    done = clone.demo("--once", "--json", "--reset")
    assert done.returncode == 0, done.stderr
    assert (clone.data_dir / "mine.txt").exists()


@pytest.mark.long
def test_two_clones_at_once(clone: Clone, tmp_path: Path) -> None:
    """Two clones that start at the same moment each get their own ports and bring their order home."""
    other = Clone(tmp_path / "other data")
    try:
        both = [each.begin("--once", "--keep") for each in (clone, other)]
        for process in both:
            said = process.communicate(timeout=150)[0]
            assert process.returncode == 0, said
        urls = [set(running.read(each.data_dir).urls.values()) for each in (clone, other)]
        assert not urls[0] & urls[1]
    finally:
        other.demo("--stop")
        embedded.remove(other.data_dir)
