"""A real sandbox behind a real server, on a real Postgres, empty at the start of each test."""

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest_asyncio
from pydantic import SecretStr

from app.programmes.caller import Caller
from app.programmes.load import Target
from app.programmes.own_sandbox import OwnSandbox
from app.sandbox.app import Sandbox, create_app
from app.voucherify.client import Client
from tests.sandbox.serving import config_for, served

ROOT = Path(__file__).parents[2]
SHIPPED = sorted((ROOT / "app/programmes/shipped").glob("*.yaml"))
MakeDatabase = Callable[[str], Awaitable[str]]


@dataclass
class Place:
    """A sandbox that programmes are loaded into."""

    own: OwnSandbox
    app: Sandbox
    http: httpx.AsyncClient
    target: Target

    def written(self) -> list[str]:
        """The calls to the API that change something, oldest first, as `POST /v1/campaigns`."""
        return [f"{row['method']} {row['path']}" for row in self.app.edge.log if row["method"] != "GET"]

    async def fault(self, **faults: Any) -> None:
        assert (await self.http.post("/sandbox/faults", json=faults)).status_code == 200

    def command(self, folder: Path, *arguments: str) -> "subprocess.Popen[str]":
        """`python -m app.programmes` as a process of its own that has this sandbox in its settings."""
        secrets = {
            "auth_secret": "a" * 32,
            "sandbox_application_id": "app-id",
            "sandbox_secret_key": "app-token",
            "sandbox_integration_application_id": "integration-id",
            "sandbox_integration_secret_key": "integration-secret",
            "sandbox_webhook_secret": "secretKey",
        }
        (folder / "data").mkdir(exist_ok=True)
        (folder / "data/install.json").write_text(json.dumps(secrets))
        bare = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG", "TMPDIR"}}
        return subprocess.Popen(
            [sys.executable, "-m", "app.programmes", *arguments],
            cwd=folder,
            env={**bare, "DATA_DIR": str(folder / "data"), "SANDBOX_URL": self.own.url, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip


@pytest_asyncio.fixture(scope="session")
async def opened_place(make_database: MakeDatabase) -> AsyncIterator[Place]:
    database = await make_database("programmes")
    async with served(lambda url: create_app(config_for(database, url=url))) as (url, app):
        client = Client(url, SecretStr("app-id"), SecretStr("app-token"), timeout=60)
        own = OwnSandbox(url, client, SecretStr("integration-id"), SecretStr("integration-secret"))
        async with httpx.AsyncClient(base_url=url, timeout=60) as http:
            target = Target(Caller(client), sandbox=True, public_url="http://backend.test")
            yield Place(own, app, http, target)
        await client.close()


@pytest_asyncio.fixture
async def place(opened_place: Place) -> AsyncIterator[Place]:
    assert (await opened_place.http.post("/sandbox/reset")).status_code == 200
    yield opened_place
    assert (await opened_place.http.delete("/sandbox/faults")).status_code == 200
