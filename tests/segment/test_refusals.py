"""What is refused: some of it is kept and all of it is counted, so that nobody fills a disk."""

import asyncio
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest

from app.segment.limits import MOST_KEYS, Buckets
from app.segment.refusals import KEPT_OF_REFUSED, OF_A_SOURCE, OF_AN_ADDRESS, Refusals, Refused
from tests.conftest import MakeDatabase
from tests.segment.test_door import post, rejects, stored, track
from tests.web import Web, open_web


async def from_address(web: Web, address: str, key: str, *messages: Any) -> httpx.Response:
    """Post as a proxy on this machine does for somebody at that address."""
    async with web.client() as client:
        headers = {"x-forwarded-for": address}
        return await client.post("/v1/batch", json={"batch": messages, "writeKey": key}, headers=headers)


async def counted(web: Web, source: str, code: str) -> int:
    """How many were refused so far, once the door has written down what it counted."""
    await web.app.state.intake.refusals.write(web.database)
    async with web.database.connection() as connection:
        count: int = await connection.fetchval(
            "SELECT coalesce(sum(count), 0)::bigint FROM reject_count WHERE source = $1 AND code = $2", source, code
        )
    return count


async def test_one_address_has_its_share_of_rows_and_all_of_it_is_counted(web: Web, write_key: str) -> None:
    """Of 200 bad messages some are kept, with the address; all are counted; the good one among them is stored."""
    mark = str(uuid4())
    before = await counted(web, "till", "event_not_defined")
    good = track()
    bad = [{"type": "track", "userId": "u", "mark": mark} for _ in range(200)]
    assert (await from_address(web, "192.0.2.7", write_key, *bad, good)).status_code == 200
    assert len(await stored(web, good)) == 1
    assert len(await rejects(web, mark)) == OF_AN_ADDRESS[0]
    assert await counted(web, "till", "event_not_defined") == before + 200
    async with web.database.connection() as connection:
        addresses = await connection.fetch(
            "SELECT DISTINCT address FROM reject WHERE message::text LIKE $1", f"%{mark}%"
        )
    assert [row["address"] for row in addresses] == ["192.0.2.7"]


async def test_another_address_still_has_room(web: Web, write_key: str) -> None:
    """Who floods from one address hides nobody else's trouble."""
    flood, mark = str(uuid4()), str(uuid4())
    await from_address(web, "192.0.2.1", write_key, *[{"type": "no", "mark": flood}] * 100)
    await from_address(web, "192.0.2.2", write_key, {"type": "no", "mark": mark})
    assert await rejects(web, mark) == [("bad_request", "till")]


@pytest.mark.parametrize("family", ["many of IPv4", "many of one network of IPv6"])
async def test_strangers_from_everywhere_share_one_room(web: Web, family: str) -> None:
    """With a new address and a new wrong key for each request, no more rows are kept than a source may have."""
    mark = str(uuid4())
    before = await counted(web, "", "unknown_source")
    address = "198.51.{}.{}" if family == "many of IPv4" else "2001:db8:1:2:{}::{}"
    for number in range(30):
        bad = [{"type": "track", "mark": mark}] * 10
        await from_address(web, address.format(number // 250, number % 250), f"wrong-{number}", *bad)
    most = OF_A_SOURCE[0] if family == "many of IPv4" else OF_AN_ADDRESS[0]
    assert len(await rejects(web, mark)) == most
    assert await counted(web, "", "unknown_source") == before + 300


async def test_what_is_only_counted_waits_for_no_append(web: Web, write_key: str) -> None:
    """A flood of refusals that are not kept takes no turn at the database: it is answered while an append waits."""
    await from_address(web, "192.0.2.9", "wrong", *[{}] * 60)
    good = track()
    blocker = await asyncpg.connect(web.database.url)
    try:
        async with blocker.transaction():
            await blocker.execute("LOCK TABLE event IN EXCLUSIVE MODE")
            waiting = asyncio.create_task(post(web, write_key, good))
            await asyncio.sleep(0.3)
            async with asyncio.timeout(60):
                assert (await from_address(web, "192.0.2.9", "wrong", {})).status_code == 200
            assert not waiting.done()
        assert (await waiting).status_code == 200
    finally:
        await blocker.close()


async def test_a_refused_message_is_kept_short(web: Web, write_key: str) -> None:
    """Of a long one the beginning is kept, of a short one all."""
    mark = str(uuid4())
    await post(web, write_key, {"mark": mark, "long": "x" * 30_000}, {"mark": mark})
    async with web.database.connection() as connection:
        rows = await connection.fetch("SELECT message FROM reject WHERE message::text LIKE $1 ORDER BY id", f"%{mark}%")
    long, short = (row["message"] for row in rows)
    assert len(long["beginning"]) == KEPT_OF_REFUSED
    assert short == {"message": {"mark": mark}}


async def test_a_long_tail_is_one_row_and_counted_whole(web: Web, write_key: str) -> None:
    """What is beyond 2,500 messages in a batch is told of once; the count says how many they were."""
    before = await counted(web, "till", "too_many_requests")
    mark = str(uuid4())
    pages = [{"type": "page", "userId": mark, "messageId": f"{mark}-{number}"} for number in range(2_600)]
    assert (await post(web, write_key, *pages)).status_code == 200
    assert await rejects(web, f"{mark}-25") == [("too_many_requests", "till")]
    assert await counted(web, "till", "too_many_requests") == before + 100


async def test_counts_wait_for_a_database_that_is_away(make_database: MakeDatabase, tmp_path: Path) -> None:
    """What could not be written is written later, and once."""
    url = await make_database("counts")
    async with open_web(tmp_path, url) as web:
        refusals: Refusals = web.app.state.intake.refusals
        await web.database.close()
        refused = [Refused("bad_request", {}, "till", "192.0.2.1", 3)]
        refusals.count(refused)
        blocker = await asyncpg.connect(url)
        await blocker.execute("ALTER TABLE reject_count RENAME TO gone")
        with pytest.raises(asyncpg.UndefinedTableError):
            await refusals.write(web.database)
        await blocker.execute("ALTER TABLE gone RENAME TO reject_count")
        await blocker.close()
        refusals.count(refused)
        assert await counted(web, "till", "bad_request") == 6
        assert await counted(web, "till", "bad_request") == 6


async def test_who_writes_the_counts_finds_them_all_written(make_database: MakeDatabase, tmp_path: Path) -> None:
    """While one write is under way another waits for it: after it, nothing that was counted is still on its way."""
    url = await make_database("counts")
    async with open_web(tmp_path, url) as web:
        refusals: Refusals = web.app.state.intake.refusals
        refusals.count([Refused("bad_request", {}, "till", "192.0.2.1", 3)])
        blocker = await asyncpg.connect(url)
        async with blocker.transaction():
            await blocker.execute("LOCK TABLE reject_count")
            first = asyncio.create_task(refusals.write(web.database))
            second = asyncio.create_task(refusals.write(web.database))
            assert await asyncio.wait([second], timeout=0.3) == (set(), {second})
        await second
        assert first.done()
        await blocker.close()


def test_room_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """After an hour an address that had used up its rows has its rows of an hour again, and not more."""
    clock = [1000.0]
    monkeypatch.setattr("app.segment.limits.monotonic", lambda: clock[0])
    refusals = Refusals()
    row = [Refused("bad_request", {}, "till", "192.0.2.1")] * 100
    assert len(refusals.to_keep(row)) == OF_AN_ADDRESS[0]
    assert refusals.to_keep(row) == []
    clock[0] += 600
    assert len(refusals.to_keep(row)) == OF_AN_ADDRESS[1] / 6
    clock[0] += 86_400
    assert len(refusals.to_keep(row)) == OF_AN_ADDRESS[0]


def test_what_is_remembered_of_senders_is_bounded() -> None:
    """However many addresses come, so many buckets are remembered; a forgotten one is full again."""
    buckets = Buckets(1.0, 1.0)
    for number in range(MOST_KEYS + 500):
        buckets.take(str(number))
    assert len(buckets._levels) == MOST_KEYS
