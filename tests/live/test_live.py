"""Live changes: from a committed effect to a screen, also over a gap and a lost connection."""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from sqlalchemy.engine import make_url

from app.auth import tokens
from app.live import changes
from app.live.stream import _events
from tests.web import Web


@contextlib.asynccontextmanager
async def watching(web: Web, member: UUID, last_event_id: str | None = None) -> AsyncIterator[AsyncIterator[Any]]:
    """A phone's event stream: its changes as (id, data), once the server said that it is ready."""
    headers = [] if last_event_id is None else [(b"last-event-id", last_event_id.encode("latin-1"))]
    token = tokens.make(web.settings.auth_secret, f"member:{member}", ["member"], member=str(member))
    async with (
        web.client(token) as client,
        client.stream("GET", "/phone/live", headers=headers) as response,
    ):
        assert response.status_code == 200, await response.aread()
        lines = response.aiter_lines()
        async with asyncio.timeout(60):
            async for line in lines:
                if line.startswith("data:"):
                    break  # `ready`
        yield _changes(lines)


async def _changes(lines: AsyncIterator[str]) -> AsyncIterator[tuple[int, dict[str, Any]]]:
    id_ = 0
    async for line in lines:
        name, _, value = line.partition(":")
        if name == "id":
            id_ = int(value)
        elif name == "data":
            yield id_, json.loads(value)


async def change(web: Web, member: UUID, *numbers: int) -> None:
    async with web.database.transaction() as connection:
        await changes.append(connection, [changes.of_member(member, "balance.changed", balance=n) for n in numbers])


async def take(stream: AsyncIterator[Any], count: int) -> list[tuple[int, int]]:
    """The next changes as (position, balance); fails when they do not come."""
    got: list[tuple[int, int]] = []
    async with asyncio.timeout(60):
        while len(got) < count:
            id_, data = await anext(stream)
            assert data["position"] == id_
            got.append((id_, data["data"]["balance"]))
    return got


async def test_a_change_reaches_who_watches_its_topic(web: Web) -> None:
    """A committed change is on the member's phone with its position; nobody else's is."""
    member = uuid4()
    async with watching(web, member) as stream:
        await change(web, uuid4(), 1)
        await change(web, member, 2, 3)
        assert [balance for _, balance in await take(stream, 2)] == [2, 3]


async def test_a_change_that_is_rolled_back_is_never_seen(web: Web) -> None:
    """Screens hear of effects that are committed and of no others."""
    member = uuid4()
    async with watching(web, member) as stream:
        with contextlib.suppress(RuntimeError):
            async with web.database.transaction() as connection:
                await changes.append(connection, [changes.of_member(member, "balance.changed", balance=1)])
                raise RuntimeError("it fails after the change")
        await change(web, member, 2)
        assert [balance for _, balance in await take(stream, 1)] == [2]


async def test_positions_are_in_the_order_of_commits(web: Web) -> None:
    """Who appends second waits for the first to commit, and gets the later positions: a screen skips none of them."""
    first, second = uuid4(), uuid4()

    async def positions(member: UUID) -> list[int]:
        async with web.database.connection() as connection:
            rows = await connection.fetch("SELECT position FROM change WHERE topic = $1 ORDER BY 1", f"member:{member}")
        return [row["position"] for row in rows]

    async with web.database.transaction() as connection:
        await changes.append(connection, [changes.of_member(first, "balance.changed", balance=1)])
        waiting = asyncio.create_task(change(web, second, 1, 2))
        await asyncio.sleep(0.2)
        assert not waiting.done()
        await changes.append(connection, [changes.of_member(first, "balance.changed", balance=2)])
    await waiting
    assert max(await positions(first)) < min(await positions(second))


async def test_what_was_missed_comes_first_and_once(web: Web) -> None:
    """A browser that comes back with `Last-Event-ID` gets what it missed in order, then what is new, nothing twice."""
    member = uuid4()
    async with watching(web, member) as stream:
        await change(web, member, 1)
        ((seen, _),) = await take(stream, 1)
    await change(web, member, *range(2, 8))
    async with watching(web, member, str(seen)) as stream:
        await change(web, member, 8)
        got = await take(stream, 7)
    assert [balance for _, balance in got] == list(range(2, 9))
    assert [id_ for id_, _ in got] == sorted({id_ for id_, _ in got})


async def test_a_long_absence_leaves_no_gap(web: Web) -> None:
    """More than a thousand missed changes are all replayed."""
    member = uuid4()
    await change(web, member, 0)
    async with web.database.connection() as connection:
        last = await connection.fetchval("SELECT max(position) FROM change")
    await change(web, member, *range(1, 1_101))
    async with watching(web, member, str(last)) as stream:
        assert [balance for _, balance in await take(stream, 1_100)] == list(range(1, 1_101))


@pytest.mark.parametrize("last_event_id", ["", "abc", "-1", "9" * 40, "\u00b2"])
async def test_a_nonsense_last_event_id_is_none_at_all(web: Web, last_event_id: str) -> None:
    """A header that we never sent starts the stream at what is new."""
    member = uuid4()
    async with watching(web, member, last_event_id) as stream:
        await change(web, member, 5)
        assert [balance for _, balance in await take(stream, 1)] == [5]


async def test_the_listener_survives_the_loss_of_its_connections(web: Web) -> None:
    """All connections of the web process are cut: the same open stream gets the next change, and it listens again."""
    member = uuid4()
    listeners = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = current_database()"
    async with watching(web, member) as stream:
        async with web.database.connection() as connection:
            cut = await connection.fetchval(
                """SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                   WHERE datname = current_database() AND pid <> pg_backend_pid()"""
            )
            assert cut >= 2
            await changes.append(connection, [changes.of_member(member, "balance.changed", balance=7)])
            assert [balance for _, balance in await take(stream, 1)] == [7]
            async with asyncio.timeout(60):
                while await connection.fetchval(listeners) != 1:  # noqa: ASYNC110 - the server has no event for it
                    await asyncio.sleep(0.05)
        await change(web, member, 8)
        assert [balance for _, balance in await take(stream, 1)] == [8]


async def test_a_change_between_subscribing_and_replaying_is_told_once(web: Web) -> None:
    """What is committed in that moment is in the replay and in the subscription, and the screen gets it once."""
    member = uuid4()
    events = _events(web.database, web.app.state.channels, f"member:{member}", 0)
    assert isinstance(events, AsyncGenerator)
    try:
        assert (await anext(events)).event == "ready"  # subscribed, and nothing replayed yet
        await change(web, member, 1)
        await asyncio.sleep(0.5)  # the listener hands it over meanwhile
        first = await anext(events)
        await change(web, member, 2)
        async with asyncio.timeout(60):
            second = await anext(events)
    finally:
        await events.aclose()
    told = [json.loads(str(message.data))["data"]["balance"] for message in (first, second)]
    assert told == [1, 2]


async def test_a_database_that_is_away_for_a_moment_does_not_deafen_screens(web: Web, postgres: str) -> None:
    """While nothing can connect the open stream waits, and afterwards it goes on by itself."""
    member, name = uuid4(), make_url(web.database.url).database
    admin = await asyncpg.connect(postgres)
    try:
        async with watching(web, member) as stream:
            await admin.execute(f'ALTER DATABASE "{name}" WITH ALLOW_CONNECTIONS false')
            await admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
            await asyncio.sleep(1.5)  # longer than the poll: the listener has met it
            await admin.execute(f'ALTER DATABASE "{name}" WITH ALLOW_CONNECTIONS true')
            await change(web, member, 9)
            assert [balance for _, balance in await take(stream, 1)] == [9]
    finally:
        await admin.execute(f'ALTER DATABASE "{name}" WITH ALLOW_CONNECTIONS true')
        await admin.close()
