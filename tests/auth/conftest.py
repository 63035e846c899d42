"""One served app for all tests here: they read, or make keys of their own."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.conftest import MakeDatabase
from tests.web import Web, open_web


@pytest_asyncio.fixture(scope="session")
async def web(make_database: MakeDatabase, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Web]:
    async with open_web(tmp_path_factory.mktemp("auth"), await make_database("auth")) as opened:
        yield opened
