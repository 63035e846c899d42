"""Segment's own Python library, two releases of it, on a bad road to the door: all of it arrives, and once."""

import asyncio
import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from tests.segment.clients.front import LOST_AFTER, LOST_BEFORE, SILENT_AFTER, SILENT_BEFORE, Front, bad_road
from tests.web import Web

CLIENTS = Path(__file__).parent / "clients"
LOCK = CLIENTS / "requirements.lock"
BATCH, CALLS = 6, 60
TROUBLES = [
    ["429"],
    ["500"],
    ["503"],
    [LOST_BEFORE],
    [LOST_AFTER],
    [SILENT_BEFORE],
    [SILENT_AFTER],
    [LOST_AFTER, "500"],
    ["429", LOST_AFTER],
]
"""By batch; the last one, the tenth, passes."""
RUNS = [(version, packed) for version in ("2.3.6", "2.4.0") for packed in (False, True)]
IDS = [f"{version} {'gzip' if packed else 'plain'}" for version, packed in RUNS]


@dataclass(frozen=True)
class Run:
    """What one process with the library did, and what the road saw of it."""

    told: dict[str, Any]
    front: Front


@pytest.fixture(scope="session")
def older_release() -> Path:
    """A folder with the older release, installed at the first run and then kept beside the environment."""
    digest = hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]
    folder = Path(sys.prefix) / "segment-clients" / digest
    if not folder.exists():
        making = folder.with_name(f"{digest}-{os.getpid()}")
        pip = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--quiet"]
        try:
            subprocess.run(
                [*pip, "--no-deps", "--require-hashes", "--target", str(making), "-r", str(LOCK)],
                check=True,
                timeout=120,
            )
            making.replace(folder)
        finally:
            shutil.rmtree(making, ignore_errors=True)
    return folder


async def run(web: Web, write_key: str, version: str, packed: bool, older: Path) -> Run:
    wanted = {"write_key": write_key, "gzip": packed, "batch": BATCH, "calls": CALLS, "timeout": 1.5}
    async with bad_road(web.url, TROUBLES) as front, asyncio.timeout(60):
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(CLIENTS / "send.py"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(older) if version == "2.3.6" else ""},
        )
        try:
            out, said = await process.communicate(
                json.dumps({**wanted, "host": front.url, "person": str(uuid4())}).encode()
            )
        finally:
            if process.returncode is None:
                process.kill()
        assert process.returncode == 0, said.decode()[-2000:]
    return Run(json.loads(out), front)


@pytest_asyncio.fixture(scope="session")
async def runs(web: Web, write_key: str, older_release: Path) -> AsyncIterator[dict[tuple[str, bool], Run]]:
    """All of them at once: nearly all of their time is waiting."""
    done = await asyncio.gather(*(run(web, write_key, *one, older_release) for one in RUNS))
    yield dict(zip(RUNS, done, strict=True))


@pytest.mark.parametrize("which", RUNS, ids=IDS)
async def test_what_the_library_was_given_arrives_once(
    web: Web, runs: dict[tuple[str, bool], Run], which: tuple[str, bool]
) -> None:
    """Refused, failed, cut off and unanswered, before and after the door had it: each call is one event."""
    told, front = runs[which].told, runs[which].front
    assert told["version"] == which[0]
    assert told["given_up"] == []
    assert len(set(told["ids"])) == CALLS
    async with web.database.connection() as connection:
        rows = await connection.fetch("SELECT message_id FROM event WHERE message_id = ANY($1)", told["ids"])
    assert Counter(row["message_id"] for row in rows) == dict.fromkeys(told["ids"], 1)
    assert Counter(front.met) == Counter(trouble for troubles in TROUBLES for trouble in troubles)
    assert len(front.requests) >= CALLS / BATCH + len(front.met)


@pytest.mark.parametrize("which", RUNS, ids=IDS)
async def test_what_the_library_puts_on_the_wire_is_what_the_door_is_made_for(
    write_key: str, runs: dict[tuple[str, bool], Run], which: tuple[str, bool]
) -> None:
    """Both have the write key in the body, the newer one in Basic auth too; one `sentAt` for all; gzip when asked."""
    version, packed = which
    basic = "Basic " + base64.b64encode(f"{write_key}:".encode()).decode()
    for headers, body in runs[which].front.requests:
        assert body["writeKey"] == write_key
        assert headers.get("authorization") == (basic if version == "2.4.0" else None)
        assert headers.get("content-encoding") == ("gzip" if packed else None)
        assert "sentAt" in body
        assert not any("sentAt" in message for message in body["batch"])
