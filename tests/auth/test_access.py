"""The command that lists, makes and revokes keys."""

import pytest

from app import access
from app.auth import keys
from app.db.session import Database
from app.errors import BadInput, NotFound
from app.migrate import first_start


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
