"""The jobs of the night: done when the clock has passed a midnight, once, in order, gone on with when broken off."""

import asyncio
from datetime import UTC, datetime

import httpx

from app.sandbox import nightly
from app.sandbox.app import Sandbox
from app.sandbox.store import Store
from tests.sandbox.programme import LOYALTY, balance, buckets, buy, join, loyalty, send, travel
from tests.sandbox.published import check_webhook
from tests.sandbox.serving import Sink

MONTH = {"period_type": "MONTH", "period_value": 1}
CARDS = 55
"""More than one batch."""


async def test_expired_points_are_told(api: httpx.AsyncClient, sink: Sink) -> None:
    """Project webhook and distribution carry the points and their buckets, beside the transaction's own webhook."""
    await travel(api, "2026-01-10T12:00:00Z")
    await loyalty(api, expires=MONTH)
    await join(api)
    await buy(api, "o-1", 1000)
    await sink.wait(1, "voucher.loyalty_card.transaction.created")  # the last that the order is told by
    sink.got.clear()
    await travel(api, "2026-03-01T12:00:00Z")
    await sink.wait(3)
    assert {each.type for each in sink.got} == {
        "voucher.loyalty_card.points_expired",
        "customer.voucher.loyalty_card.points_expired",
        "voucher.loyalty_card.transaction.created",
    }
    for each in sink.got:
        check_webhook(each.type, each.body["data"])
    [body] = sink.of("voucher.loyalty_card.points_expired")
    assert (body["data"]["points"], body["created_at"]) == (10, "2026-02-11T00:00:00.000Z")
    [bucket] = body["data"]["buckets"]
    assert (bucket["bucket"], bucket["expires_at"]) == ({"total_points": 10}, "2026-02-10")
    assert body["data"]["voucher"]["loyalty_card"]["balance"] == 0
    activity = await send(api, "GET", "/v1/customers/u-1/activity?limit=1")
    assert activity["data"][0]["type"] == "customer.voucher.loyalty_card.points_expired"


async def test_nights_are_made_up_for_one_after_the_other(api: httpx.AsyncClient) -> None:
    """A year in one move: each bucket expires at its own midnight, the earlier first."""
    await travel(api, "2026-01-10T12:00:00Z")
    await loyalty(api, expires=MONTH)
    card = await join(api)
    for day in ("10", "11", "12"):
        await travel(api, f"2026-01-{day}T12:00:00Z")
        await buy(api, f"o-{day}", int(day) * 100)
    await travel(api, "2027-01-01T00:00:00Z")
    rows = (await send(api, "GET", f"/v1/loyalties/members/{card}/transactions?limit=3"))["data"]
    assert [(row["details"]["balance"]["points"], row["created_at"][:10]) for row in rows] == [
        (-12, "2026-02-13"),
        (-11, "2026-02-12"),
        (-10, "2026-02-11"),
    ]
    assert await balance(api, card) == 0


async def test_a_clock_that_goes_back_and_forth_does_nothing_twice(api: httpx.AsyncClient) -> None:
    """The clock may go back after a night: points that come then expire in their own night, the others not again."""
    await travel(api, "2026-01-10T12:00:00Z")
    await loyalty(api, expires=MONTH)
    card = await join(api)
    await buy(api, "o-1", 1000)
    await travel(api, "2026-03-01T12:00:00Z")
    await travel(api, "2026-01-11T12:00:00Z")
    await buy(api, "o-2", 700)
    assert await balance(api, card) == 7
    for moment in ("2026-02-11T12:00:00Z", "2026-02-12T12:00:00Z", "2026-03-01T12:00:00Z"):
        await travel(api, moment)
    rows = (await send(api, "GET", f"/v1/loyalties/members/{card}/transactions"))["data"]
    assert [row["details"]["balance"]["points"] for row in rows] == [-7, 7, -10, 10]
    assert await balance(api, card) == 0


async def test_a_card_whose_holder_was_deleted_expires_too(api: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """Nobody is told, and the night is not stuck at it."""
    await travel(api, "2026-01-10T12:00:00Z")
    await loyalty(api, points=4, expires=MONTH)
    card = await join(api)
    await send(api, "DELETE", "/v1/customers/u-1", expect=204)
    await travel(api, "2026-03-01T12:00:00Z")
    assert await balance(api, card) == 0
    assert await nightly.run_due(sandbox.store) == 0


async def _many(api: httpx.AsyncClient, sandbox: Sandbox) -> list[str]:
    """Cards whose points are due, with a clock that has passed it and a night that has not been done."""
    await send(api, "POST", "/sandbox/webhooks", {"target_urls": []})
    await travel(api, "2026-01-10T12:00:00Z")
    await loyalty(api, points=3, expires=MONTH)
    cards = [await join(api, f"u-{place}") for place in range(CARDS)]
    sandbox.store.clock.set(datetime(2026, 3, 1, tzinfo=UTC))
    return cards


async def _left(api: httpx.AsyncClient) -> list[int]:
    pages = [await send(api, "GET", f"/v1/loyalties/{LOYALTY}/members?limit=50&page={page}") for page in (1, 2)]
    return [card["loyalty_card"]["balance"] for page in pages for card in page["vouchers"]]


async def test_a_night_does_all_that_is_due(api: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """More cards than one batch holds are done in one go, and a second go finds nothing."""
    await _many(api, sandbox)
    assert [await nightly.run_due(sandbox.store) for _ in range(2)] == [CARDS, 0]
    assert await _left(api) == [0] * CARDS


async def test_a_night_that_is_broken_off_is_gone_on_with(api: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """Stopped while it waits in its second batch: the first is done, the rest is done later, all of it once."""
    cards = await _many(api, sandbox)
    pool = await sandbox.store.pool()
    last = await pool.fetchval("SELECT holder_id FROM voucher ORDER BY id DESC LIMIT 1")
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SELECT 1 FROM customer WHERE id = $1 FOR UPDATE", last)
        night = asyncio.create_task(nightly.run_due(sandbox.store))
        while not await pool.fetchval("SELECT count(*) FROM point_transaction"):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        night.cancel()
        await asyncio.gather(night, return_exceptions=True)
    async with sandbox.store.nightly:  # else the sandbox goes on with it by itself before it was looked at
        left = await _left(api)
    assert (left.count(0), left.count(3)) == (50, CARDS - 50)
    await nightly.run_due(sandbox.store)
    assert await _left(api) == [0] * CARDS
    for card in cards[:3]:
        assert await balance(api, card) == 0
        assert await buckets(api, card) == {}
    assert await pool.fetchval("SELECT count(*) FROM point_transaction") == CARDS


async def test_two_at_one_database_do_a_night_once(api: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """Another process on the same database at the same time: every card expires in one of them."""
    await _many(api, sandbox)
    other = Store(sandbox.store.config)
    try:
        await other.pool()
        other.clock.set(datetime(2026, 3, 1, tzinfo=UTC))
        changed = await asyncio.gather(nightly.run_due(sandbox.store), nightly.run_due(other))
    finally:
        await other.close()
    assert sum(changed) == CARDS
    assert await (await sandbox.store.pool()).fetchval("SELECT count(*) FROM point_transaction") == CARDS
