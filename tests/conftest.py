"""What tests share: a real Postgres, databases of their own on it, and a house of real processes."""

import os
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio
import structlog
from sqlalchemy.engine import make_url

from app.db import embedded, migrate
from app.db.session import Database
from tests.house import House

MakeDatabase = Callable[[str], Awaitable[str]]

# structlog's own default prints every local variable of a traceback, which takes seconds for one of asyncpg's.
structlog.configure(processors=[structlog.processors.format_exc_info, structlog.dev.ConsoleRenderer(colors=False)])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files that take minutes go first: at the end one of them would run alone while the other cores are idle."""
    items.sort(key=lambda item: not item.path.is_relative_to(Path(__file__).parent / "chaos"))


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of a Postgres: the one that TEST_DATABASE_URL names, else an embedded one of this run's own."""
    if given := os.environ.get("TEST_DATABASE_URL"):
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="loyalty-tests-", ignore_cleanup_errors=True) as folder:
        data_dir = Path(folder) / "data"
        try:
            yield embedded.start(data_dir)
        finally:
            embedded.remove(data_dir)


@pytest_asyncio.fixture(scope="session")
async def make_database(postgres: str) -> AsyncIterator[MakeDatabase]:
    """Makes an empty database and returns its address; the name is a hint for people who read server logs."""
    made: list[str] = []

    async def make(name: str) -> str:
        unique = f"{name}_{uuid4().hex[:8]}"
        await _execute(postgres, f'CREATE DATABASE "{unique}"')
        made.append(unique)
        return embedded.database_url(postgres, unique)

    yield make
    for name in made:
        await _execute(postgres, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@pytest_asyncio.fixture(scope="session")
async def template(make_database: MakeDatabase) -> str:
    """A migrated database that others are copied from: a copy takes milliseconds, a migration does not."""
    url = await make_database("template")
    await migrate.upgrade(url)
    return url


@pytest_asyncio.fixture
async def database(postgres: str, template: str) -> AsyncIterator[Database]:
    """A migrated database of one test, with real commits."""
    name = f"test_{uuid4().hex[:8]}"
    await _execute(postgres, f'CREATE DATABASE "{name}" TEMPLATE "{make_url(template).database}"')
    made = Database(embedded.database_url(postgres, name), pool=10)
    yield made
    await made.close()
    await _execute(postgres, f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest_asyncio.fixture(scope="session")
async def house(make_database: MakeDatabase, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """Web, worker and sandbox as real processes. Shared: a test makes members of its own and leaves all running."""
    opened = House(tmp_path_factory.mktemp("house"), await make_database("house"), await make_database("house_sandbox"))
    try:
        yield opened.open()
    finally:
        opened.close()


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
