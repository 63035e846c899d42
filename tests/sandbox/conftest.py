"""One sandbox for all tests here: its real server on a free port, its own database, and a receiver for its webhooks.

Each test starts with an empty sandbox. `make_database` (the name in, the address of a new database out) comes
from `tests/conftest.py`.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest
import pytest_asyncio

from app.sandbox.app import Sandbox, create_app
from tests.sandbox.serving import KEYS, Sink, config_for, served

MakeDatabase = Callable[[str], Awaitable[str]]


@pytest_asyncio.fixture(scope="session")
async def shared_sink() -> AsyncIterator[Sink]:
    sink = Sink()
    server = await asyncio.start_server(sink.answer, "127.0.0.1", 0)
    sink.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/webhooks"
    yield sink
    server.close()


@pytest_asyncio.fixture(scope="session")
async def shared_sandbox(make_database: MakeDatabase, shared_sink: Sink) -> AsyncIterator[tuple[str, Sandbox]]:
    database = await make_database("sandbox")
    async with served(lambda url: create_app(config_for(database, shared_sink.url, url=url))) as running:
        yield running


@pytest_asyncio.fixture
async def api(shared_sandbox: tuple[str, Sandbox], sink: Sink) -> AsyncIterator[httpx.AsyncClient]:
    """A client with the project's keys, on an empty sandbox."""
    url, _ = shared_sandbox
    async with httpx.AsyncClient(base_url=url, headers=KEYS, timeout=60) as client:
        assert (await client.post("/sandbox/reset")).status_code == 200
        sink.got.clear()
        yield client
        await client.delete("/sandbox/faults")


@pytest.fixture
def sandbox(shared_sandbox: tuple[str, Sandbox]) -> Sandbox:
    return shared_sandbox[1]


@pytest.fixture
def sink(shared_sink: Sink) -> Sink:
    shared_sink.got.clear()
    shared_sink.status, shared_sink.hang = 202, False
    return shared_sink
