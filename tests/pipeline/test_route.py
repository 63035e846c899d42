"""The router: each event once, whatever happens to it, and what it plans."""

import asyncio
from typing import Any

import asyncpg
import pytest

from app.db.session import Database
from app.emitter.messages import VOUCHERIFY
from app.log import log
from app.pipeline.mappings import wants
from app.pipeline.route import CONSUMER, plan
from tests.pipeline.road import (
    IDENTIFY,
    ORDER,
    TRACK,
    count,
    deliveries,
    identify,
    order,
    registry,
    routed,
    router,
    states,
    store,
    track,
)


async def _hold(database: Database, owner: str) -> None:
    async with database.transaction() as connection:
        await log.lease(connection, CONSUMER, owner, 1, 10)


async def _kill_who_waits_for_a_lock(database: Database) -> None:
    async with asyncio.timeout(60), database.connection() as connection:
        while not await connection.fetchval(  # noqa: ASYNC110 - the server has no event for it
            """SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
               WHERE wait_event_type = 'Lock' AND datname = current_database()"""
        ):
            await asyncio.sleep(0.01)


async def test_events_become_facts_profiles_and_deliveries(database: Database) -> None:
    """An order goes to the order action alone, another track to the custom event, an identify to the customer."""
    await routed(database, identify(), order("o-1"), track(), {"type": "alias", "userId": "u-1", "previousId": "u-0"})
    assert await states(database) == [(IDENTIFY, "pending"), (ORDER, "pending"), (TRACK, "pending")]
    assert await count(database, "order_fact") == 1
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT traits ->> 'first_name' FROM profile") == "Mia"
        lane = await connection.fetchrow("SELECT person, owner, due_at <= now() AS due FROM lane")
    assert tuple(lane) == ("u-1", None, True)


async def test_a_router_killed_before_its_commit_has_done_nothing(database: Database) -> None:
    """Its connection dies after all effects, just before the cursor moves: the repetition makes no second of any."""
    await store(database, order("o-1"), identify())
    await _hold(database, "router")
    blocker = await asyncpg.connect(database.url)
    try:
        await blocker.execute("BEGIN")
        await blocker.execute("SELECT FROM log_cursor FOR UPDATE")
        dying = asyncio.create_task(router(database)._batch({0: 0}))
        await _kill_who_waits_for_a_lock(database)
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError)):
            await dying
        await blocker.execute("ROLLBACK")
    finally:
        await blocker.close()
    nothing = [await count(database, table) for table in ("order_fact", "delivery", "profile", "poison_event")]
    assert nothing == [0, 0, 0, 0]
    while await router(database).run_once():
        pass
    done = [await count(database, table) for table in ("order_fact", "delivery", "profile", "poison_event")]
    assert done == [1, 2, 1, 0]


async def test_a_router_that_lost_its_partition_keeps_nothing(database: Database) -> None:
    """It slept over its lease: another owner reads on, and what the sleeper did is rolled back."""
    await store(database, order("o-1"))
    await _hold(database, "sleeper")
    async with database.connection() as connection:
        await connection.execute("UPDATE log_cursor SET until = now() - interval '1 s'")
        await connection.execute("DELETE FROM lease")
    await _hold(database, "heir")
    with pytest.raises(asyncpg.InterfaceError, match="lease"):
        await router(database, "sleeper")._batch({0: 0})
    assert await count(database, "delivery") == 0
    assert await router(database, "heir").run_once()
    assert await count(database, "delivery") == 1


async def test_two_routers_at_once_route_each_event_once(database: Database) -> None:
    """Two workers that route the same partition at the same moment leave one set of effects."""
    await store(database, *(order(f"o-{number}", user=f"u-{number}") for number in range(20)))
    await _hold(database, "router")
    results = await asyncio.gather(*(router(database)._batch({0: 0}) for _ in range(2)), return_exceptions=True)
    assert [result for result in results if isinstance(result, dict)] == [{0: 20}]
    assert (await count(database, "delivery"), await count(database, "order_fact")) == (20, 20)


async def test_a_poison_event_is_put_aside_and_its_neighbours_are_routed(database: Database) -> None:
    """Of seven events the one that Postgres can't take is noted with its reason; the others are as they should be."""
    poison = order("o-bad", products=[{"product_id": "p", "quantity": 1e300, "price": 1.0}])
    good = [order(f"o-{number}", user=f"u-{number}") for number in range(6)]
    await routed(database, *good[:4], poison, *good[4:])
    assert (await count(database, "order_fact"), await count(database, "delivery")) == (6, 6)
    async with database.connection() as connection:
        rows = await connection.fetch("SELECT event_position, error FROM poison_event")
        position = await connection.fetchval("SELECT position FROM event WHERE order_id = 'o-bad'")
    assert [row["event_position"] for row in rows] == [position]
    assert rows[0]["error"].startswith("DataError")
    await routed(database, order("o-after"))
    assert await count(database, "order_fact") == 7


@pytest.mark.parametrize(
    ("integrations", "through"),
    [
        (None, True),
        ({}, True),
        ("odd", True),
        ({"All": True}, True),
        ({"All": False}, False),
        ({"All": False, VOUCHERIFY: True}, True),
        ({"All": False, VOUCHERIFY: {"option": 1}}, True),
        ({VOUCHERIFY: False}, False),
        ({"All": True, VOUCHERIFY: False}, False),
        ({"voucherify (actions)": False}, True),  # names are case-sensitive
        ({"all": False}, True),
        ({"Voucherify": False}, True),
    ],
)
def test_the_integrations_object_decides_where_an_event_goes(integrations: Any, through: bool) -> None:
    """`All` speaks for every destination, a destination's own name for it alone, and case matters."""
    message = track() if integrations is None else track(integrations=integrations)
    assert wants(message, VOUCHERIFY) is through


async def test_what_voucherify_told_us_does_not_go_back_to_it(database: Database) -> None:
    """An event with our destination switched off is known to profile and log, and no delivery is planned."""
    await routed(database, track(integrations={"All": True, VOUCHERIFY: False}))
    assert (await count(database, "delivery"), await count(database, "profile")) == (0, 1)


async def test_planning_the_same_event_again_adds_nothing(database: Database) -> None:
    """A delivery is one per event and mapping, also when a cursor was set back."""
    await routed(database, order("o-1"))
    async with database.connection() as connection:
        await connection.execute("UPDATE log_cursor SET position = 0")
    await router(database).run_once()
    assert len(await deliveries(database)) == 1


async def test_triggers_see_the_event_as_it_came_in(database: Database) -> None:
    """The plan is made of the stored message; a person without a user id has no order to earn by."""
    await store(database, order("o-1"), {**order("o-2"), "userId": None, "anonymousId": "a-1"})
    async with database.connection() as connection:
        events = await log.read(connection, {0: 0}, 10)
    planned = plan(events, registry(database).connected.values())
    assert [(row.mapping, row.person) for row in planned] == [(ORDER, "u-1")]
