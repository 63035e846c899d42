"""Schemathesis, in an environment of its own, tries what it makes of the sandbox's OpenAPI document."""

import asyncio
import base64
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.sandbox.app import V1
from tests.sandbox.installed import installed
from tests.sandbox.programme import coupons, join, loyalty, send
from tests.sandbox.serving import KEYS, Sink

HERE = Path(__file__).parent
SEED = 5
PER_OPERATION = 3
OUT_OF_REACH = "^/sandbox/(faults|reset|webhooks|requests|clock)"
"""What would plan 500s, empty the sandbox, or send its webhooks anywhere."""
HEADERS = {
    **KEYS,
    "authorization": "Basic " + base64.b64encode(b"integration-id").decode(),
    "secret-key": base64.b64encode(b"integration-secret").decode(),
}


async def run(api: httpx.AsyncClient, folder_of_its_own: Path, *options: str, seconds: float) -> str:
    """Run it to its end; answers what it printed. It keeps what it found in the folder that it runs in."""
    folder = await asyncio.to_thread(installed, HERE / "requirements.lock", "schemathesis")
    url = str(api.base_url).rstrip("/")
    given = [part for name, value in HEADERS.items() for part in ("--header", f"{name}: {value}")]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-S", "-m", "schemathesis.cli", "--config-file", str(HERE / "schemathesis.toml")),
        *("run", f"{url}/sandbox/openapi.json", "--seed", str(SEED), "--exclude-path-regex", OUT_OF_REACH),
        *("--warnings", "off", "--suppress-health-check", "all", *options, *given),
        cwd=folder_of_its_own,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "PYTHONPATH": str(folder), "NO_COLOR": "1"},
    )
    try:
        async with asyncio.timeout(seconds):
            out, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    said = out.decode(errors="replace")
    assert process.returncode == 0, said[-6000:]
    return said


async def _furnished(api: httpx.AsyncClient) -> None:
    """Something to run into; nobody listens to what is told of it."""
    await api.post("/sandbox/webhooks", json={"target_urls": []})
    await loyalty(api, points=100)
    await coupons(api, vouchers_count=1)
    await join(api)
    await send(api, "POST", "/v1/orders", {"source_id": "o-1", "amount": 5000, "customer": {"source_id": "u-1"}})
    await send(api, "POST", "/v1/products", {"source_id": "mug", "name": "Mug"})


def _cases(said: str) -> int:
    found = re.search(r"(\d+) generated, (\d+) passed", said)
    assert found, said[-3000:]
    assert found[1] == found[2], said[-3000:]
    return int(found[1])


async def test_generated_requests_never_get_a_500(api: httpx.AsyncClient, tmp_path: Path) -> None:
    """Valid, nearly valid and wild requests to every operation are answered, refused or not emulated: no 500."""
    await _furnished(api)
    said = await run(api, tmp_path, "--phases", "fuzzing", "--max-examples", str(PER_OPERATION), seconds=600)
    assert _cases(said) > 300


@pytest.mark.long
async def test_boundaries_never_get_a_500(api: httpx.AsyncClient, tmp_path: Path) -> None:
    """The same for every boundary of every parameter and property, some thousand requests."""
    await _furnished(api)
    assert _cases(await run(api, tmp_path, "--phases", "coverage", seconds=600)) > 1000


async def test_a_500_would_be_found(api: httpx.AsyncClient, tmp_path: Path) -> None:
    """The run is not blind: where the sandbox answers one request in it with a 500, it fails and says which."""
    await send(api, "POST", "/sandbox/faults", {"fail_next": {"path": "/v1/products", "status": 500, "count": 1000}})
    with pytest.raises(AssertionError, match="POST /v1/products"):
        await run(
            api, tmp_path, "--phases", "fuzzing", "--max-examples", "1", "--include-path", "/v1/products", seconds=300
        )


async def test_the_document_lists_every_route(api: httpx.AsyncClient, sink: Sink) -> None:
    """Every operation of every module is in it, with its path parameters; nothing that answers 404 or 405 is."""
    document: dict[str, Any] = (await api.get("/sandbox/openapi.json")).json()
    routes = {
        f"{method} /v1{re.sub(r':[a-z]+', '', route.path)}"
        for module in V1
        for route in module.router.routes
        for method in route.methods
        if method != "OPTIONS"
    }
    listed = {f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods}
    assert len(routes) > 50
    assert routes <= listed
    for path, methods in document["paths"].items():
        for operation in methods.values():
            named = [each["name"] for each in operation["parameters"] if each["in"] == "path"]
            assert named == re.findall(r"\{(\w+)\}", path)
    assert "requestBody" in document["paths"]["/v1/orders"]["post"]
    assert json.dumps(document).count("operationId") == len(listed)
