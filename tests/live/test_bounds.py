"""Screens that are too many or too slow: refused or sent away, and no change is lost on them."""

import asyncio
import json
from collections.abc import AsyncGenerator
from uuid import uuid4

import pytest

from app.live import stream
from app.live.stream import _events
from tests.live.test_live import change, take, watching
from tests.web import Web


async def test_too_many_streams_are_asked_to_come_again(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound a stream is answered 503 with Retry-After; when one of the others ends there is room again."""
    async with asyncio.timeout(60):
        while stream._open:  # noqa: ASYNC110 - streams of earlier tests end when the server sees that they left
            await asyncio.sleep(0.02)
    monkeypatch.setattr(stream, "MOST_OPEN", 2)
    async with watching(web, uuid4()):
        async with watching(web, uuid4()):
            async with web.client(web.member_token()) as client:
                refused = await client.get("/phone/live")
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
        async with asyncio.timeout(60):
            while len(stream._open) >= stream.MOST_OPEN:  # noqa: ASYNC110 - until the server sees that one left
                await asyncio.sleep(0.02)
        member = uuid4()
        async with watching(web, member) as events:
            await change(web, member, 3)
            assert [balance for _, balance in await take(events, 1)] == [3]


async def test_a_screen_that_reads_too_slowly_comes_back_and_misses_nothing(web: Web) -> None:
    """With more than a thousand changes waiting its stream ends; read on from the last that it got, all are there."""
    member = uuid4()
    events = _events(web.database, web.app.state.channels, f"member:{member}", None)
    assert isinstance(events, AsyncGenerator)
    assert (await anext(events)).event == "ready"
    await change(web, member, 1)
    first = await anext(events)
    await change(web, member, *range(2, 1_503))
    async with web.database.connection() as connection:
        last = await connection.fetchval("SELECT max(position) FROM change")
    await _until_seen(web, last)
    got = [json.loads(str(message.data))["data"]["balance"] async for message in events]
    seen = 1 + len(got)
    assert got == list(range(2, seen + 1))
    assert seen < 1_502
    # Positions are consecutive here: nobody else writes changes meanwhile.
    async with watching(web, member, str(int(str(first.id)) + len(got))) as again:
        assert [balance for _, balance in await take(again, 1_502 - seen)] == list(range(seen + 1, 1_503))


async def _until_seen(web: Web, position: int) -> None:
    """Wait until the listener has handed over everything up to this position."""
    member = uuid4()
    events = _events(web.database, web.app.state.channels, f"member:{member}", None)
    assert isinstance(events, AsyncGenerator)
    await anext(events)
    await change(web, member, 1)
    assert int(str((await anext(events)).id)) > position
    await events.aclose()
