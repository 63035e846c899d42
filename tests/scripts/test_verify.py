"""./scripts/verify: asked of the sandbox it finds what the sandbox does; with a switch on, the difference."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from scripts.lib.say import Stop
from scripts.lib.verify import MOST_CALLS, QUESTIONS, Answer, Project, ask, clean
from tests.sandbox.conftest import api, shared_sandbox, shared_sink, sink
from tests.sandbox.serving import KEYS

__all__ = ["api", "shared_sandbox", "shared_sink", "sink"]  # the fixtures of a sandbox behind a real server
ROOT = Path(__file__).parents[2]


def project_at(api: httpx.AsyncClient, prefix: str = "verify-test") -> Project:
    return Project(str(api.base_url), KEYS["X-App-Id"], KEYS["X-App-Token"], prefix, 0.0)


async def asked(api: httpx.AsyncClient) -> tuple[list[Answer], Project]:
    with project_at(api) as project:
        return await asyncio.to_thread(ask, project), project


async def test_the_sandbox_does_what_is_written_of_it(api: httpx.AsyncClient) -> None:
    """Every question has the answer that stands beside it, within the stated number of calls."""
    answers, project = await asked(api)
    assert [(each.name, each.answer) for each in answers] == [(each.name, each.sandbox) for each in QUESTIONS]
    seen = (await api.get("/sandbox/requests")).json()["total"]
    assert seen == project.made <= MOST_CALLS


@pytest.mark.parametrize(
    ("switch", "name", "answer"),
    [
        ("earn_again_on_paid", "paid twice", "+1 points"),
        ("ignore_redemption_order_status", "order status", "PAID"),
    ],
)
async def test_a_project_that_differs_is_found(api: httpx.AsyncClient, switch: str, name: str, answer: str) -> None:
    """With a switch the sandbox is such a project: that answer differs, no other does, and the switch is named."""
    await api.post("/sandbox/faults", json={switch: True})
    answers, _ = await asked(api)
    assert [(each.name, each.answer, switch in each.switch) for each in answers if each.differs] == [
        (name, answer, True)
    ]


async def test_nothing_is_left_that_can_be_deleted(api: httpx.AsyncClient) -> None:
    """The customer is gone; every name begins with the prefix; what can't be deleted is told."""
    await asked(api)
    assert (await api.get("/v1/customers")).json()["total"] == 0
    campaigns = (await api.get("/v1/campaigns")).json()["campaigns"]
    orders = (await api.get("/v1/orders")).json()["orders"]
    assert all(each["name"].startswith("verify-test") for each in campaigns)
    assert {each["source_id"] for each in orders} == {"verify-test-order-1", "verify-test-order-2"}


async def test_a_run_that_breaks_off_cleans_up(api: httpx.AsyncClient) -> None:
    """A failure in the middle ends the run with a sentence, and the customer is deleted all the same."""
    await api.post("/sandbox/faults", json={"fail_next": {"path": "/v1/orders", "status": 500}})
    with pytest.raises(Stop, match="POST /v1/orders: 500"):
        await asked(api)
    assert (await api.get("/v1/customers")).json()["total"] == 0
    with project_at(api) as project:
        left = await asyncio.to_thread(clean, project)
    assert not any("customers" in each for each in left)


async def test_it_never_makes_more_calls_than_it_says(api: httpx.AsyncClient) -> None:
    """The call after the last is not made; three are kept for tidying up."""
    with project_at(api) as project:
        project.made = MOST_CALLS - 5
        with pytest.raises(Stop, match="no more are allowed"):
            await asyncio.to_thread(ask, project)
    assert (await api.get("/sandbox/requests")).json()["total"] == 5


def test_without_live_nothing_is_called(tmp_path: Path) -> None:
    """The command says what it would ask, where, and at what cost; nobody is there to be called."""
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "DATA_DIR": str(tmp_path), "SANDBOX_PORT": "9"}
    command = [sys.executable, "-m", "scripts.lib.verify"]
    planned = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    assert f"at most {MOST_CALLS} calls" in planned.stdout
    assert all(each.asks in planned.stdout for each in QUESTIONS)
    nobody = subprocess.run(
        [*command, "--live", "--json"], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert (nobody.returncode, nobody.stdout) == (2, "")
    assert "no answer (ConnectError)" in nobody.stderr
    assert "--clean verify-" in nobody.stderr


async def test_the_command_prints_json(api: httpx.AsyncClient, tmp_path: Path) -> None:
    """With --json stdout is one object with every answer, and the exit code says whether one differs."""
    environment = {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": str(ROOT),
        "DATA_DIR": str(tmp_path),
        "VOUCHERIFY_API_URL": str(api.base_url),
        "VOUCHERIFY_TRANSPORT": "v1",
        "VOUCHERIFY_APPLICATION_ID": KEYS["X-App-Id"],
        "VOUCHERIFY_SECRET_KEY": KEYS["X-App-Token"],
    }
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "scripts.lib.verify", "--live", "--json", "--wait", "0"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["answers"]) == len(QUESTIONS)
