"""A web process whose screens can be watched."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.conftest import MakeDatabase
from tests.web import Web, open_web


@pytest_asyncio.fixture(scope="session")
async def web(make_database: MakeDatabase, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Web]:
    async with open_web(tmp_path_factory.mktemp("live"), await make_database("live")) as opened:
        yield opened
