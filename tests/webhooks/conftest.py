"""One door for webhooks, with the database behind it; each test has members of its own."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.conftest import MakeDatabase
from tests.web import Web, open_web


@pytest_asyncio.fixture(scope="session")
async def web(make_database: MakeDatabase, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Web]:
    async with open_web(tmp_path_factory.mktemp("webhooks"), await make_database("webhooks")) as opened:
        yield opened
