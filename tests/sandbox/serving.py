"""A sandbox behind a real server, and a receiver for its webhooks."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import uvicorn

from app.sandbox.app import Sandbox
from app.sandbox.config import SandboxConfig

SECRET = "secretKey"
KEYS = {"X-App-Id": "app-id", "X-App-Token": "app-token"}


@dataclass
class Received:
    headers: dict[str, str]
    raw: bytes
    at: float

    @property
    def body(self) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(self.raw)
        return body

    @property
    def type(self) -> str:
        return str(self.body["event"]["type"])


@dataclass
class Sink:
    """An HTTP receiver that keeps what it gets and answers `status`."""

    url: str = ""
    status: int = 202
    hang: bool = False
    got: list[Received] = field(default_factory=list)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                headers = {
                    name.lower(): value.strip()
                    for name, _, value in (line.partition(":") for line in head.splitlines()[1:] if line)
                }
                raw = await reader.readexactly(int(headers["content-length"]))
                self.got.append(Received(headers, raw, asyncio.get_running_loop().time()))
                if self.hang:
                    await asyncio.sleep(60)
                writer.write(f"HTTP/1.1 {self.status} X\r\ncontent-length: 0\r\n\r\n".encode())
                await writer.drain()
        writer.close()

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [each.body for each in self.got if each.type == kind]

    async def wait(self, count: int, kind: str | None = None, seconds: float = 60) -> list[dict[str, Any]]:
        """The bodies received (of one event type) once there are `count`; fails when they do not come."""
        until = asyncio.get_running_loop().time() + seconds
        while True:
            bodies = [each.body for each in self.got if kind in {None, each.type}]
            if len(bodies) >= count:
                return bodies
            assert asyncio.get_running_loop().time() < until, f"only {[each.type for each in self.got]} came"
            await asyncio.sleep(0.005)


def config_for(database_url: str, *targets: str, url: str = "http://127.0.0.1") -> SandboxConfig:
    return SandboxConfig(
        database_url=database_url,
        application_id="app-id",
        secret_key="app-token",
        integration_application_id="integration-id",
        integration_secret_key="integration-secret",
        webhook_secret=SECRET,
        webhook_targets=targets,
        url=url,
        webhook_timeout=0.3,
    )


@contextlib.asynccontextmanager
async def served(make: Callable[[str], Sandbox]) -> AsyncIterator[tuple[str, Sandbox]]:
    """The sandbox behind a real server on a free port; answers its address."""
    # Told that it is TCP, asyncio sends each write at once; else every answer waits 40 ms for the client's ACK.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    sandbox = make(url)
    server = uvicorn.Server(uvicorn.Config(sandbox, log_config=None, access_log=False, ws="none"))
    task = asyncio.create_task(server.serve([listener]))
    while not server.started:
        assert not task.done(), "the sandbox did not start"
        await asyncio.sleep(0.01)
    try:
        yield url, sandbox
    finally:
        server.should_exit = True
        await task
