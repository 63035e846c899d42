"""The command that lists, makes and revokes keys."""

import asyncio
import os
import sys

import pytest
from sqlalchemy.engine import make_url

from app import access
from app.auth import keys
from app.db.session import Database
from app.errors import BadInput, NotFound
from app.migrate import first_start
from tests.conftest import MakeDatabase


async def run(url: str, *arguments: str) -> tuple[int | None, str, str]:
    """The command's end, what it printed, and what it said on stderr."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "app.access",
        *arguments,
        env={**os.environ, "DATABASE_URL": url},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        printed, said = await process.communicate()
    return process.returncode, printed.decode(), said.decode()


async def test_a_key_works_until_it_is_revoked_and_its_name_is_free_then(database: Database) -> None:
    """A made key is found by its token, is refused once revoked, and its name can be given again."""
    token = await access.make(database, "operator", "ada")
    async with database.connection() as connection:
        assert await keys.find(connection, token) is not None
    with pytest.raises(BadInput, match="already"):
        await access.make(database, "operator", "ada")
    await access.revoke(database, "ada")
    async with database.connection() as connection:
        assert await keys.find(connection, token) is None
    assert await access.make(database, "operator", "ada") != token


async def test_a_register_needs_a_location_that_exists(database: Database) -> None:
    """A register's key names its location, and a location that is not there is refused by name."""
    async with database.session() as session:
        await first_start(session)
    await access.make(database, "register", "warsaw/9")
    assert "register  warsaw/9             valid" in await access.listed(database)
    with pytest.raises(BadInput, match="'mars'"):
        await access.make(database, "register", "mars/1")
    with pytest.raises(NotFound, match="'nobody'"):
        await access.revoke(database, "nobody")


async def test_a_register_has_a_positive_number(database: Database) -> None:
    """A register whose number is not one is refused, and no key is made of it."""
    async with database.session() as session:
        await first_start(session)
    before = await access.listed(database)
    for end in ("", "/", "/0", "/01", "/-1", "/1.5", "/x", "/²", "/9/9"):
        with pytest.raises(BadInput, match="<location>/<number>"):
            await access.make(database, "register", f"warsaw{end}")
    assert await access.listed(database) == before


async def test_a_name_can_be_shown(database: Database) -> None:
    """A key is not made for a name that is empty, long, or would spoil the list; sixty letters and spaces are fine."""
    for name in ("", " ", "a" * 61, "a\nb", "a\x1b[2J", "a\0", " a", "\udcff"):
        with pytest.raises(BadInput, match="1 to 60 characters"):
            await access.make(database, "operator", name)
    await access.make(database, "operator", f"Łucja {'a' * 54}")
    assert len(await access.listed(database)) == 1


async def test_a_database_that_cannot_be_had_is_told_in_one_sentence(
    make_database: MakeDatabase,
) -> None:
    """Nobody listening, no such database, and one that is not migrated: a sentence each, and no traceback."""
    empty = make_url(await make_database("unmigrated"))
    urls = [
        "postgresql://loyalty:secret@127.0.0.1:1/loyalty",
        empty.set(database="no_such_database").render_as_string(hide_password=False),
        empty.render_as_string(hide_password=False),
    ]
    for end, printed, said in await asyncio.gather(*(run(url, "list") for url in urls)):
        assert (end, printed, len(said.splitlines())) == (1, "", 1), said
        assert said.startswith("The database can't be used: ")
        assert "secret" not in said
