"""Clients of the console's API in the roles that use it, and a source of one's own. Each file serves its own web."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest_asyncio

from tests.console.arrivals import made
from tests.web import Web


@pytest_asyncio.fixture
async def admin(web: Web) -> AsyncIterator[httpx.AsyncClient]:
    async with web.client(web.admin_token) as client:
        yield client


@pytest_asyncio.fixture
async def operator(web: Web) -> AsyncIterator[httpx.AsyncClient]:
    async with web.client(web.operator_key) as client:
        yield client


@pytest_asyncio.fixture
async def source(admin: httpx.AsyncClient) -> dict[str, Any]:
    """A source of this test, as the API tells it to an admin."""
    return await made(admin)
