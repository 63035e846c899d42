"""A sandbox of one's own for the length of a block: its own folder, Postgres, keys and port, and gone afterwards."""

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
from pydantic import SecretStr

from app.db import embedded
from app.errors import SettingError
from app.install import install_secrets
from app.setting_groups import variables
from app.voucherify.client import Client

START_WITHIN = 60.0


@dataclass(frozen=True)
class OwnSandbox:
    """Where it is, and the keys of the door for Segment."""

    url: str
    client: Client
    integration_id: SecretStr
    integration_key: SecretStr


@contextlib.asynccontextmanager
async def running() -> AsyncIterator[OwnSandbox]:
    """Start a sandbox that shares nothing with any other, and take it away in the end.

    Raises:
        SettingError: it does not start; the sentence has the end of its log.
    """
    with tempfile.TemporaryDirectory(prefix="programme-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        try:
            server = await asyncio.to_thread(embedded.start, folder)
            async with _served(folder, embedded.database_url(server, "sandbox")) as sandbox:
                yield sandbox
        finally:
            await asyncio.to_thread(embedded.remove, folder)


@contextlib.asynccontextmanager
async def _served(folder: Path, database_url: str) -> AsyncIterator[OwnSandbox]:
    port, log = _free_port(), folder / "sandbox.log"
    ours = {name for setting in variables() for name in (setting, f"{setting}_FILE")}
    environment = {name: value for name, value in os.environ.items() if name not in ours}
    environment |= {
        "DATA_DIR": str(folder),
        "SANDBOX_DATABASE_URL": database_url,
        "SANDBOX_HOST": "127.0.0.1",
        "SANDBOX_PORT": str(port),
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    with log.open("wb") as output:
        # In a folder of its own, where no .env is.
        process = subprocess.Popen(  # noqa: ASYNC220 - returns at once
            [sys.executable, "-m", "app.sandbox"],
            cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        url = f"http://127.0.0.1:{port}"
        await _until_up(url, process, log)
        made = install_secrets(folder)
        client = Client(url, SecretStr(made.sandbox_application_id), SecretStr(made.sandbox_secret_key), timeout=30)
        try:
            yield OwnSandbox(
                url,
                client,
                SecretStr(made.sandbox_integration_application_id),
                SecretStr(made.sandbox_integration_secret_key),
            )
        finally:
            await client.close()
    finally:
        process.terminate()
        try:
            await asyncio.to_thread(process.wait, 10)
        except subprocess.TimeoutExpired:
            process.kill()
            await asyncio.to_thread(process.wait)


async def _until_up(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    until = asyncio.get_running_loop().time() + START_WITHIN
    async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
        while True:
            with contextlib.suppress(httpx.HTTPError):
                if (await client.get(f"{url}/sandbox/health")).status_code == 200:
                    return
            if process.poll() is not None or asyncio.get_running_loop().time() > until:
                raise SettingError(f"The sandbox for the tests does not start: {_end_of(log)}")
            await asyncio.sleep(0.05)


def _end_of(log: Path) -> str:
    return " ".join(log.read_text(errors="replace").split("\n")[-6:])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
