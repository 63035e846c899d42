"""Two profiles turn out to be one person while another partition writes to one of them."""

import asyncio
from typing import Any

import asyncpg
import pytest

from app.db.session import Database
from app.profiles import store


def identify(user: str | None, visitor: str | None, **traits: Any) -> dict[str, Any]:
    return {"type": "identify", "userId": user, "anonymousId": visitor, "traits": traits}


async def apply(connection: asyncpg.Connection, *messages: dict[str, Any]) -> None:
    await store.apply_events(connection, messages)


async def traits(connection: asyncpg.Connection, user: str) -> dict[str, Any]:
    found: dict[str, Any] = await connection.fetchval(
        "SELECT traits FROM profile JOIN profile_identifier ON profile_id = id WHERE type = 'user_id' AND value = $1",
        user,
    )
    return found


async def both(database: Database, first: dict[str, Any], second: dict[str, Any]) -> None:
    """Apply `second` in a transaction of its own after `first` was applied, and before that is committed."""

    async def after(begun: asyncio.Event) -> None:
        async with database.transaction() as connection:
            begun.set()
            await apply(connection, second)

    begun = asyncio.Event()
    async with database.transaction() as connection:
        await apply(connection, first)
        late = asyncio.create_task(after(begun))
        await begun.wait()
        await asyncio.sleep(0.2)
        assert not late.done()
    await late


@pytest.mark.parametrize("merged_first", [True, False])
async def test_what_a_visitor_says_while_being_merged_is_kept(database: Database, merged_first: bool) -> None:
    """Whichever comes first, the merge or the visitor's own identify: the member has the traits of both."""
    merge, own = identify("u-1", "v-1", joined=1), identify(None, "v-1", said=1)
    async with database.transaction() as connection:
        await apply(connection, identify("u-1", None, first=1), identify(None, "v-1", before=1))
    await both(database, *((merge, own) if merged_first else (own, merge)))
    async with database.connection() as connection:
        assert await traits(connection, "u-1") == {"first": 1, "before": 1, "joined": 1, "said": 1}


async def test_one_visitor_becomes_one_of_two_people_at_once(database: Database) -> None:
    """Two members sign in on one device at the same moment: the visitor becomes the first, the second stays apart."""
    async with database.transaction() as connection:
        await apply(connection, identify("u-1", None), identify("u-2", None), identify(None, "v-1", before=1))
    await both(database, identify("u-1", "v-1", one=1), identify("u-2", "v-1", two=1))
    async with database.connection() as connection:
        assert await traits(connection, "u-1") == {"before": 1, "one": 1}
        assert await traits(connection, "u-2") == {"two": 1}
        merged = await connection.fetchval("SELECT merged_into FROM profile WHERE merged_into IS NOT NULL")
        kept = await connection.fetchval("SELECT profile_id FROM profile_identifier WHERE value = 'u-1'")
    assert merged == kept
