"""An outbox, and a real HTTP receiver that answers as it is told."""

import asyncio
import base64
import gzip
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest_asyncio

from app.db import migrate
from app.db.base import now
from app.db.session import Database
from app.emitter import messages
from app.emitter.outbox import emit
from app.emitter.relay import Relay
from tests.conftest import MakeDatabase
from tests.web import served

Answer = tuple[int, dict[str, str]]


@dataclass
class Receiver:
    """Takes batches as Segment does. What it took with a 2xx is in `taken`, every request in `requests`."""

    url: str = ""
    answer: Callable[[list[dict[str, Any]]], Answer] = lambda _: (200, {})
    hold: asyncio.Event | None = None
    """While it is not set, requests that came in get no answer."""
    came: asyncio.Event = field(default_factory=asyncio.Event)
    """Set by the first request."""
    requests: list[dict[str, Any]] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    taken: list[str] = field(default_factory=list)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        raw, more = b"", True
        while more:
            event = await receive()
            raw, more = raw + event.get("body", b""), event.get("more_body", False)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        inflated = gzip.decompress(raw)
        body = json.loads(inflated)
        self.requests.append(body)
        self.sizes.append(len(inflated))
        self.headers.append(headers)
        self.keys.append(base64.b64decode(headers["authorization"].removeprefix("Basic ")).decode())
        self.came.set()
        if self.hold is not None:
            await self.hold.wait()
        status, extra = self.answer(body["batch"])
        if status < 300:
            self.taken += [message["messageId"] for message in body["batch"]]
        content = b'{"success": true}' if status < 300 else b'{"code": "told", "message": "as I was told"}'
        sent = [(name.encode(), value.encode()) for name, value in extra.items()]
        sent += [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": sent})
        await send({"type": "http.response.body", "body": content})


@dataclass(frozen=True)
class Outbox:
    """The table of emissions, and what is done to it in tests."""

    database: Database

    async def put(self, *names: str, source: str = "till", **properties: Any) -> None:
        async with self.database.transaction() as connection:
            for name in names:
                await emit(connection, source, messages.track("mia", name, now(), "Tested", properties))

    async def rows(self) -> list[dict[str, Any]]:
        async with self.database.connection() as connection:
            return [dict(row) for row in await connection.fetch("SELECT *, now() AS now FROM emission ORDER BY id")]

    async def states(self) -> dict[str, str]:
        return {row["message_id"]: row["status"] for row in await self.rows()}

    async def let_time_pass(self) -> None:
        """What was put off is due, and leases have run out."""
        async with self.database.connection() as connection:
            await connection.execute("UPDATE emission SET due_at = now()")
            await connection.execute("DELETE FROM lease")

    def relay(self, url: str, owner: str = "one", **keys: str) -> Relay:
        return Relay(self.database, url, owner, 10.0, {"till": "till-key", "phone": "phone-key", **keys})


@pytest_asyncio.fixture(scope="session")
async def emitter_database(make_database: MakeDatabase) -> AsyncIterator[Database]:
    url = await make_database("emitter")
    await migrate.upgrade(url)
    database = Database(url, pool=10)
    yield database
    await database.close()


@pytest_asyncio.fixture
async def outbox(emitter_database: Database) -> Outbox:
    async with emitter_database.connection() as connection:
        await connection.execute("TRUNCATE emission, lease, change, source CASCADE")
    return Outbox(emitter_database)


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver()
    async with served(made) as made.url:
        yield made
