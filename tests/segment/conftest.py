"""One door for all tests here; each uses message ids of its own."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from app.segment.refusals import Refusals
from tests.conftest import MakeDatabase
from tests.web import Web, open_web


@pytest_asyncio.fixture(scope="session")
async def web(make_database: MakeDatabase, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Web]:
    async with open_web(tmp_path_factory.mktemp("door"), await make_database("door")) as opened:
        yield opened


@pytest.fixture(autouse=True)
def room_for_refusals(request: pytest.FixtureRequest) -> None:
    """Each test finds all the room that there is for what is refused: they share one door and one address."""
    if "web" in request.fixturenames:
        refusals: Refusals = request.getfixturevalue("web").app.state.intake.refusals
        refusals._sources._levels.clear()
        refusals._addresses._levels.clear()


@pytest_asyncio.fixture(scope="session")
async def write_key(web: Web) -> str:
    async with web.database.connection() as connection:
        key: str = await connection.fetchval("SELECT key FROM write_key WHERE source = 'till'")
    return key
