"""Voucherify's own Python SDK, unmodified and in an environment of its own, drives the sandbox and reads it."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from app.sandbox.app import Sandbox
from tests.sandbox.installed import installed
from tests.sandbox.sdk.calls import CALLS, Call
from tests.sandbox.serving import KEYS

HERE = Path(__file__).parent
ELSEWHERE = {"PublicationsApi.create_publication1"}
"""By GET, where the SDK writes its models into the address as Python prints them; a test of our own calls it."""
APIS = sorted({call.method.partition(".")[0] for call in CALLS})


@pytest.fixture(scope="session")
def sdk() -> Path:
    """A folder with the SDK and what it needs, installed at the first run and then kept beside the environment."""
    return installed(HERE / "requirements.lock", "voucherify-sdk")


@pytest_asyncio.fixture(scope="session")
async def driven(shared_sandbox: tuple[str, Sandbox], sdk: Path) -> dict[str, Any]:
    """All calls, made once by one process; and what else the SDK could call, with what the sandbox says to that."""
    url, sandbox = shared_sandbox
    keys = {**KEYS, "X-Management-Id": KEYS["X-App-Id"], "X-Management-Token": KEYS["X-App-Token"]}
    async with httpx.AsyncClient(base_url=url, headers=keys, timeout=60) as client:
        await client.post("/sandbox/reset")
        await client.post("/sandbox/webhooks", json={"target_urls": []})
        schema = {"related_object": "customer", "properties": {"vip": "boolean", "level": "number"}}
        assert (await client.post("/sandbox/metadata-schemas", json=schema)).is_success
        async with asyncio.timeout(600):
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-S",  # none of our packages: the folder has all that it needs
                str(HERE / "drive.py"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": str(sdk)},
            )
            kept = {"files": str(HERE / "files"), "project": sandbox.store.project_id}
            wanted = {"url": url, "keys": keys, "kept": kept, "apis": APIS, "calls": [call.sent for call in CALLS]}
            out, said = await process.communicate(json.dumps(wanted).encode())
        assert process.returncode == 0, said.decode()[-2000:]
        told: dict[str, Any] = json.loads(out)
        called = {call.method for call in CALLS}
        told["others"] = {
            name: (await client.request(method, address, json={})).status_code
            for name, (method, address) in told["offered"].items()
            if name not in called
        }
        return told


def _names() -> Iterator[str]:
    seen: dict[str, int] = {}
    for each in CALLS:
        seen[each.method] = seen.get(each.method, 0) + 1
        yield each.method + (f" {seen[each.method]}" if seen[each.method] > 1 else "")


@pytest.mark.parametrize(("place", "call"), list(enumerate(CALLS)), ids=list(_names()))
async def test_the_sdk_reads_the_answer(driven: dict[str, Any], place: int, call: Call) -> None:
    """The status is the expected one, the SDK's model takes the answer, and holds of each field what was sent."""
    outcome = driven["outcomes"][place]
    assert outcome["status"] == call.status, outcome
    if call.status < 400:
        assert outcome["problem"] is None, outcome
        if call.reads:
            assert _differences(outcome["raw"], outcome["read"]) == []
    else:
        assert outcome["raw"]["code"] == call.status


def _differences(raw: Any, read: Any, at: str = "") -> list[str]:
    """Where a model holds something else than was sent. What it does not know it may leave out."""
    if isinstance(read, dict) and isinstance(raw, dict):
        return [
            each
            for name, value in read.items()
            if value is not None or raw.get(name) is not None
            for each in _differences(raw.get(name), value, f"{at}.{name}")
        ]
    if isinstance(read, list) and isinstance(raw, list) and len(read) == len(raw):
        return [
            each
            for place, (sent, value) in enumerate(zip(raw, read, strict=True))
            for each in _differences(sent, value, f"{at}[{place}]")
        ]
    return [] if raw == read else [f"{at}: {raw!r} was read as {read!r}"]


async def test_every_operation_that_the_sandbox_emulates_is_in_the_table(driven: dict[str, Any]) -> None:
    """What the SDK offers and no line calls is answered 501: a new endpoint of the sandbox gets its line."""
    assert driven["version"] == "6.1.1"
    assert {name for name, status in driven["others"].items() if status != 501} == ELSEWHERE
