"""Lanes: who may deliver a person's rows now, and that nobody's waking is lost."""

import asyncio

import pytest

from app.db.base import now
from app.db.session import Database
from app.destinations.base import Request
from app.log import log
from app.pipeline import attempts, lanes
from app.pipeline.lanes import Claim
from app.pipeline.verdict import Verdict
from app.pipeline.waiting import waiting
from tests.pipeline.road import hurry, routed, router, store, track


async def claim(database: Database, owner: str = "w", seconds: float = 10, limit: int = 10) -> list[Claim]:
    async with database.transaction() as connection:
        return await lanes.claim(connection, owner, seconds, limit)


async def leave(database: Database, lane: Claim) -> None:
    async with database.transaction() as connection:
        await lanes.leave(connection, [lane])


async def finish_all(database: Database) -> None:
    async with database.connection() as connection:
        await connection.execute("UPDATE delivery SET status = 'delivered'")


async def due(database: Database) -> float | None:
    """Seconds until the one lane is due; None when nothing waits in it."""
    async with database.connection() as connection:
        row = await connection.fetchrow("SELECT owner, due_at FROM lane")
    assert row["owner"] is None
    return (row["due_at"] - now()).total_seconds() if row["due_at"] else None


async def test_a_lane_has_one_holder_at_a_time(database: Database) -> None:
    """Claims at the same moment share the due lanes among them, the limit holds, and an abandoned lane comes back."""
    await routed(database, *(track(user=f"u-{number}") for number in range(12)))
    claims = await asyncio.gather(*(claim(database, f"w-{number}", 0.6, 4) for number in range(4)))
    held = [lane.person for lanes_ in claims for lane in lanes_]
    assert sorted(map(len, claims)) == [0, 4, 4, 4]
    assert len(set(held)) == len(held) == 12
    assert await claim(database) == []
    await asyncio.sleep(0.7)
    assert len(await claim(database, limit=100)) == 12


async def test_a_row_that_comes_while_its_lane_is_left_is_not_forgotten(database: Database) -> None:
    """The router inserts before the worker leaves and commits after it began to: the lane is due again."""
    await routed(database, track())
    (lane,) = await claim(database)
    await finish_all(database)
    await store(database, track("Second"))
    async with database.connection() as routing:
        transaction = routing.transaction()
        await transaction.start()
        events = await log.read(routing, {0: 1}, 10)
        await router(database)._effects(routing, events)  # uncommitted: the worker can't see the row
        leaving = asyncio.create_task(leave(database, lane))
        await asyncio.sleep(0.2)
        assert not leaving.done()  # it waits for the router's lock on the lane
        await transaction.commit()
        await leaving
    assert await due(database) is not None
    assert len(await claim(database)) == 1


async def test_a_row_that_comes_just_after_its_lane_was_left_is_not_forgotten(database: Database) -> None:
    """The worker has looked, found nothing and not committed yet when the router comes: the lane is due again."""
    await routed(database, track())
    (lane,) = await claim(database)
    await finish_all(database)
    await store(database, track("Second"))
    async with database.connection() as leaving:
        transaction = leaving.transaction()
        await transaction.start()
        await lanes.leave(leaving, [lane])
        routing = asyncio.create_task(router(database).run_once())
        await asyncio.sleep(0.2)
        assert not routing.done()  # it waits for the worker's lock on the lane
        await transaction.commit()
        await routing
    assert await due(database) is not None


async def test_a_lane_that_is_left_empty_is_not_due(database: Database) -> None:
    """With nothing waiting there is no due time, so nobody looks at the lane until a router does."""
    await routed(database, track())
    (lane,) = await claim(database)
    await finish_all(database)
    await leave(database, lane)
    assert await due(database) is None


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([(False, 60)], 60),
        ([(False, 60), (False, 5)], 60),  # in order: the second waits for the first
        ([(True, 60), (False, 5)], 5),  # the first may be passed
        ([(True, 5), (False, 60)], 5),
        ([(False, 60), (True, 5)], 60),  # behind one that may not be passed it waits as well
        ([(True, 60), (True, 20)], 20),
    ],
)
async def test_a_lane_is_due_when_a_row_of_it_may_be_taken(
    database: Database, rows: list[tuple[bool, int]], expected: int
) -> None:
    """The first row that may not be passed decides, and those before it: else a lane would be claimed in vain."""
    await routed(database, *(track() for _ in rows))
    (lane,) = await claim(database)
    async with database.connection() as connection:
        for id_, (passed, wait) in enumerate(rows, start=1):
            await connection.execute(
                "UPDATE delivery SET passed = $2, due_at = now() + make_interval(secs => $3) WHERE id = $1",
                id_, passed, wait,
            )  # fmt: skip
    await leave(database, lane)
    assert await due(database) == pytest.approx(expected, abs=2)


async def test_a_worker_that_lost_its_lane_changes_nothing(database: Database) -> None:
    """Paused beyond its lease, it can neither prolong, nor begin a try, nor finish a row, nor release the lane."""
    await routed(database, track())
    (lost,) = await claim(database, "w", 0.1)
    async with database.connection() as connection:
        ((row,),) = await waiting(connection, [lost])
    await asyncio.sleep(0.2)
    (held,) = await claim(database, "w")  # the same worker claims it again: what it had begun is void all the same
    async with database.transaction() as connection:
        assert not await lanes.prolong(connection, lost, 60)
        trying = attempts.Trying(lost, row, Request("POST", "http://x.y", {}), "send")
        assert await attempts.start(connection, [trying]) == [None]
        finished = attempts.Finished(lost, row, "delivered", Verdict("delivered", ""), 0, passed=False)
        assert await attempts.finish(connection, [finished]) == [False]
        await lanes.leave(connection, [lost])
        assert await connection.fetchval("SELECT status FROM delivery") == "pending"
        assert await connection.fetchval("SELECT owner FROM lane") == held.holder
        assert await lanes.prolong(connection, held, 60)


async def test_a_worker_whose_lease_ran_out_changes_nothing(database: Database) -> None:
    """Also while nobody else has claimed the lane yet: a lease that is over can't be prolonged."""
    await routed(database, track())
    (lost,) = await claim(database, "w", 0.1)
    await asyncio.sleep(0.2)
    async with database.transaction() as connection:
        assert not await lanes.prolong(connection, lost, 60)


async def test_the_longest_waiting_lane_comes_first(database: Database) -> None:
    """With more lanes due than may be claimed, those that have waited longest are taken."""
    await routed(database, *(track(user=f"u-{number}") for number in range(5)))
    await hurry(database)
    async with database.connection() as connection:
        await connection.execute("UPDATE lane SET due_at = now() - interval '1 min' WHERE person IN ('u-3', 'u-4')")
    assert {lane.person for lane in await claim(database, limit=2)} == {"u-3", "u-4"}
