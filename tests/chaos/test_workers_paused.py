"""A worker that is paused beyond its lease, in the middle of anything: others do its work; waking it is harmless."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from typing import Any

import psutil  # type: ignore[import-untyped]
import pytest
import pytest_asyncio

from tests.chaos.faults_books import agree, settle
from tests.chaos.faults_town import BIG, SITE, SMALL, Town, open_town, trouble
from tests.conftest import MakeDatabase
from tests.house import PATIENCE, ROOT

STOPS = {
    "before an order leaves": "before app.voucherify.client:Client.send /v1/orders",
    "before a delivery is finished": "before app.pipeline.attempts:finish ",
    "before the cursor moves": "before app.log.log:advance ",
    "before a batch is posted": "before app.emitter.relay:Relay._send 'till'",
    "while a batch is marked as sent": "before app.live.changes:append emission.sent",
    "while a webhook is applied": "before app.profiles.loyalty:note_card ",
    "with the lock that all changes need": "after app.live.changes:append event.routed",
}
"""What it is doing, and where that is; see `faults_site`."""
WORKERS = ("worker", "worker2")


@pytest_asyncio.fixture(scope="module")
async def town(make_database: MakeDatabase, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Town]:
    """A house of two workers that can be stopped at all these places. Their lease is short."""
    folder = tmp_path_factory.mktemp("paused")
    places = folder / "places"
    places.write_text("\n".join(sorted({stop.split(" ")[1] for stop in STOPS.values()})))
    async with open_town("paused", make_database, folder) as opened:
        opened.house.stop("worker")
        opened.start(*WORKERS, PYTHONPATH=f"{SITE}:{ROOT}", TEST_STOPS=str(places))
        yield opened


@pytest_asyncio.fixture
async def members(town: Town) -> AsyncIterator[list[str]]:
    """Some members, who are all that the books of this test are about."""
    town.forget()
    yield [town.enrol() for _ in range(3)]
    town.switch_off()


@pytest.mark.parametrize("stop", list(STOPS.values()), ids=list(STOPS))
async def test_a_worker_that_slept_over_its_lease_changes_nothing(town: Town, members: list[str], stop: str) -> None:
    """It stops there, the other one does its work and more; it wakes, and every row stays as it was.

    Voucherify would earn again on a second PAID, so that a late one would be seen.
    """
    with trouble(town, earn_again_on_paid=True):
        (town.house.folder / "places.now").write_text(stop)
        await asyncio.to_thread(town.sell_all, [(member, basket) for member in members for basket in (BIG, SMALL)])
        await _slept_through(town, await _asleep(town))


async def test_a_worker_paused_while_voucherify_works(town: Town, members: list[str]) -> None:
    """It stops while its call is under way, and the answer comes while it sleeps: another looks, and finds it done."""
    with trouble(town, earn_again_on_paid=True, latency_ms=700):
        async with town.selling([(member, SMALL) for member in members]):
            sleeper, order_id = await _calling(town)
            os.kill(sleeper, signal.SIGSTOP)
        await _slept_through(town, sleeper)
    assert town.calls("GET", f"/v1/orders/{order_id}")
    posted = [call["request"]["source_id"] for call in town.calls("POST", "/v1/orders")]
    assert posted.count(order_id) == 1


async def _slept_through(town: Town, sleeper: int) -> None:
    """Let the others finish everything while this worker sleeps, wake it, and compare."""
    try:
        await settle(town)
        before = await _rows(town)
    finally:
        os.kill(sleeper, signal.SIGCONT)
    await asyncio.sleep(1.5)
    await agree(town)
    assert await _rows(town) == before


async def _asleep(town: Town) -> int:
    """Wait until one of the workers has stopped; returns its process id."""
    watched = [psutil.Process(town.house.pid(name)) for name in WORKERS]
    until = time.monotonic() + PATIENCE
    while not (found := [process.pid for process in watched if process.status() == psutil.STATUS_STOPPED]):
        assert time.monotonic() < until, "nobody came by the place to stop at"
        await asyncio.sleep(0.02)
    return int(found[0])


async def _calling(town: Town) -> tuple[int, str]:
    """Wait until a worker has a call for an order under way; returns its process id, and the order's."""
    until = time.monotonic() + PATIENCE
    async with town.database() as connection:
        while True:
            found = await connection.fetchrow(
                """SELECT owner, order_id FROM attempt JOIN delivery ON delivery.id = delivery_id
                   JOIN event ON position = event_position
                   JOIN lane ON lane.destination = delivery.destination AND lane.person = delivery.person
                   WHERE ended_at IS NULL AND started_at < now() - interval '100 ms' AND owner IS NOT NULL
                   AND order_id IS NOT NULL"""
            )
            if found:
                return int(found["owner"].split(":")[1]), found["order_id"]
            assert time.monotonic() < until, "nobody calls"
            await asyncio.sleep(0.01)


async def _rows(town: Town) -> dict[str, list[Any]]:
    """What must not change any more, of all tables on the road."""
    queries = {
        "cursor": "SELECT partition, position FROM log_cursor WHERE consumer = 'route' ORDER BY 1",
        "emission": "SELECT * FROM emission ORDER BY id",
        "event": "SELECT position, message_id FROM event ORDER BY 1",
        "delivery": "SELECT * FROM delivery ORDER BY id",
        "lane": "SELECT destination, person, due_at FROM lane ORDER BY 1, 2",
        "webhook": "SELECT * FROM webhook ORDER BY id",
        "movement": "SELECT * FROM point_movement ORDER BY transaction_id",
        "profile": "SELECT * FROM profile ORDER BY id",
        "coupon": "SELECT * FROM coupon ORDER BY code",
        "change": "SELECT * FROM change ORDER BY position",
    }
    async with town.database() as connection:
        return {name: list(map(tuple, await connection.fetch(query))) for name, query in queries.items()}
