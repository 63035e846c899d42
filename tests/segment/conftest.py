"""One door for all tests here; each uses message ids of its own."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.conftest import MakeDatabase
from tests.web import Web, open_web


@pytest_asyncio.fixture(scope="session")
async def web(make_database: MakeDatabase, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Web]:
    async with open_web(tmp_path_factory.mktemp("door"), await make_database("door")) as opened:
        yield opened


@pytest_asyncio.fixture(scope="session")
async def write_key(web: Web) -> str:
    async with web.database.connection() as connection:
        key: str = await connection.fetchval("SELECT key FROM write_key WHERE source = 'till'")
    return key
