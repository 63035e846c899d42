"""A sandbox for the deliverer, and a deliverer that works when it is told to."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest_asyncio
from pydantic import SecretStr

from app.backoff import backoff
from app.db.session import Database
from app.pipeline.books import Books
from app.pipeline.deliver import Deliverer
from app.pipeline.functions import FunctionPool
from app.pipeline.send import Sender, Way
from app.pipeline.watch import Watch
from app.sandbox.app import create_app
from app.voucherify.client import Client
from tests.conftest import MakeDatabase
from tests.pipeline.road import registry
from tests.sandbox.serving import KEYS, config_for, served

MakeDeliverer = Callable[..., Deliverer]


@pytest_asyncio.fixture(scope="session")
async def pipeline_sandbox(make_database: MakeDatabase) -> AsyncIterator[str]:
    database = await make_database("pipeline_sandbox")
    async with served(lambda url: create_app(config_for(database, url=url))) as (url, _):
        yield url


@pytest_asyncio.fixture
async def api(pipeline_sandbox: str) -> AsyncIterator[httpx.AsyncClient]:
    """The emptied sandbox."""
    async with httpx.AsyncClient(base_url=pipeline_sandbox, headers=KEYS, timeout=60) as client:
        await client.post("/sandbox/reset")
        await client.delete("/sandbox/requests")
        yield client
        await client.delete("/sandbox/faults")


@pytest_asyncio.fixture
async def deliverer(database: Database, pipeline_sandbox: str) -> AsyncIterator[MakeDeliverer]:
    """Makes deliverers to the sandbox, or to what plays it."""
    clients: list[Client] = []

    def make(transport: httpx.AsyncBaseTransport | None = None, **more: Any) -> Deliverer:
        client = Client(
            pipeline_sandbox,
            SecretStr(KEYS["X-App-Id"]),
            SecretStr(KEYS["X-App-Token"]),
            timeout=2.0,
            transport=transport,
        )
        clients.append(client)
        api = {"apiKey": KEYS["X-App-Id"], "secretKey": more.pop("key", "app-token"), "customURL": pipeline_sandbox}
        known = registry(database, more.pop("settings", {**api, "transport": "v1", "api": api}))
        transports, books = {"voucherify": client}, Books(database)
        given: dict[str, Any] = {
            "database": database,
            "owner": "deliverer",
            "books": books,
            "sender": Sender(database, books, {"voucherify": Way(client, more.pop("interval", 0.0))}),
            "watch": Watch(database, transports, known, 10),
            "pool": FunctionPool(database, 1),
            "registry": known,
            "functions": {},
            "retry": lambda attempts: backoff(attempts, cap=300.0),
            "lease_seconds": 10,
            "order_hold": 300,
            "budget": 4 * 3600,
            "most_lanes": 4,
        }
        return Deliverer(**{**given, **more})

    yield make
    for client in clients:
        await client.close()
