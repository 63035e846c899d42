"""Destinations as rows: loaded compiled, loaded again when they change, paused, and left alone when they ask for it."""

import asyncio
from dataclasses import replace
from typing import Any

import httpx

from app.db.session import Database
from app.db.wake import Wakeups
from app.destinations.catalogue import CATALOGUE
from app.destinations.voucherify import VOUCHERIFY
from app.pipeline import configure, configure_shared, lanes
from app.pipeline.deliver import Deliverer
from app.pipeline.filters import Rule, compile_filters
from app.pipeline.registry import Registry
from app.pipeline.route import Router
from tests.pipeline.conftest import MakeDeliverer
from tests.pipeline.road import (
    DESTINATION,
    IDENTIFY,
    ORDER,
    TRACK,
    answering,
    deliveries,
    hurry,
    identify,
    order,
    registry,
    routed,
    states,
    store,
    track,
    work,
)


async def seeded(database: Database) -> Registry:
    """Our destination in the rows, as after the first start, and what a process loads of it."""
    async with database.transaction() as connection:
        assert await configure.connect_once(connection, VOUCHERIFY, "test")
    found = Registry(database, CATALOGUE, {VOUCHERIFY.slug: {"apiKey": "from the environment"}})
    await found.refresh()
    return found


async def change(database: Database, statement: str, *values: Any) -> None:
    async with database.transaction() as connection:
        await connection.execute(statement, *values)
        await configure_shared.changed(connection)


async def test_the_rows_of_the_first_start_are_the_presets(database: Database) -> None:
    """Connecting a destination makes its presets mappings, in their order, each with a first version; once."""
    found = (await seeded(database)).connected[DESTINATION]
    assert list(found.mappings) == list(registry(database).connected[DESTINATION].mappings)
    assert (found.settings["apiKey"], found.faults) == ("from the environment", ())
    async with database.transaction() as connection:
        assert not await configure.connect_once(connection, VOUCHERIFY, "again")
        versions = await connection.fetch("SELECT change, changed_by, version FROM mapping_version")
    assert {tuple(row) for row in versions} == {("created", "test", 1)}
    assert len(versions) == len(VOUCHERIFY.presets)


async def test_a_mapping_keeps_the_order_of_its_keys(database: Database) -> None:
    """What is stored is what was written: the first of several directives in a list is the one that runs."""
    found = await seeded(database)
    await change(
        database,
        """UPDATE mapping SET mapping = '{"list": [{"@template": "a", "@path": "$.userId"}], "b": 1, "a": 2}'
           WHERE slug = $1""",
        ORDER,
    )
    await found.refresh()
    mapped = found.connected[DESTINATION].mappings[ORDER].maps({"userId": "u-1"})
    assert (list(mapped), mapped["list"]) == (["list", "b", "a"], ["a"])


async def test_a_change_is_loaded_when_it_commits(database: Database) -> None:
    """A process that listens is woken by the change and routes by the new trigger."""
    found = await seeded(database)
    async with Wakeups(database.url).listening() as wakeups:
        await wakeups.wait("config", 5)  # told once when it begins to listen
        async with asyncio.timeout(60):
            waiting = asyncio.create_task(wakeups.wait("config", 60))
            await change(database, "UPDATE mapping SET trigger = 'event = \"Never\"' WHERE slug = $1", TRACK)
            await waiting
    await found.refresh()
    await store(database, track())
    await Router(database, "router", partitions=1, lease_seconds=10, registry=found).run_once()
    assert await deliveries(database) == []


async def test_a_mapping_that_can_not_be_read_harms_only_itself(database: Database) -> None:
    """A broken row is left out and named; the others of the destination go on."""
    found = await seeded(database)
    await change(database, "UPDATE mapping SET trigger = 'nonsense' WHERE slug = $1", TRACK)
    await found.refresh()
    to = found.connected[DESTINATION]
    assert TRACK not in to.mappings
    assert IDENTIFY in to.mappings
    assert TRACK in to.faults[0]


async def test_filters_that_can_not_be_read_keep_everything_back(database: Database) -> None:
    """A filter may be there to keep something private: with a broken one nothing goes out, and rows say so."""
    found = await seeded(database)
    await change(
        database,
        """INSERT INTO destination_filter (destination, name, condition, kind, paths, enabled, created_at, updated_at)
           VALUES ($1, 'No cards', 'nonsense', 'drop', '[]', true, now(), now())""",
        DESTINATION,
    )
    await found.refresh()
    await store(database, track())
    await Router(database, "router", partitions=1, lease_seconds=10, registry=found).run_once()
    (row,) = await deliveries(database)
    assert (row["status"], "No cards" in row["error"]) == ("filtered", True)


async def test_a_mapping_or_destination_that_is_off_takes_nothing_new(database: Database) -> None:
    """Events that come while it is off are not for it; the rest of the destination is untouched."""
    found = await seeded(database)
    await change(database, "UPDATE mapping SET enabled = false WHERE slug = $1", TRACK)
    await found.refresh()
    router = Router(database, "router", partitions=1, lease_seconds=10, registry=found)
    await store(database, track(), identify())
    await router.run_once()
    assert await states(database) == [(IDENTIFY, "pending")]
    await change(database, "UPDATE destination SET enabled = false")
    await found.refresh()
    await store(database, identify())
    await router.run_once()
    assert len(await deliveries(database)) == 1


async def test_what_waits_for_a_mapping_that_was_switched_off_still_goes_out(
    database: Database, deliverer: MakeDeliverer
) -> None:
    """Switching off is about what comes: what was accepted before is not lost."""
    await routed(database, track())
    transport, asked = answering()
    worker = deliverer(transport)
    (known,) = worker.registry.connected.values()
    off = {slug: replace(mapping, enabled=False) for slug, mapping in known.mappings.items()}
    worker.registry.connected = {known.slug: replace(known, mappings=off)}
    await work(worker)
    assert (await states(database), len(asked)) == ([(TRACK, "delivered")], 1)


async def test_a_filter_cuts_what_the_destination_gets(database: Database, deliverer: MakeDeliverer) -> None:
    """A dropped property is in the event log and not in the request."""
    await routed(database, track(properties={"metadata": {"pin": "1234", "shop": "a"}}))
    transport, asked = answering()
    worker = deliverer(transport)
    (known,) = worker.registry.connected.values()
    rules = [Rule("No pins", 'type = "track"', "drop_properties", ("properties.metadata.pin",))]
    worker.registry.connected = {known.slug: replace(known, filters=compile_filters(rules))}
    await work(worker)
    assert b"1234" not in asked[0].content
    assert b"shop" in asked[0].content


async def test_a_paused_destination_waits_and_no_clock_runs(database: Database, deliverer: MakeDeliverer) -> None:
    """Nothing leaves while it is paused, also not from a lane that was claimed before; then all goes, in order."""
    await routed(database, track("A"), track("B"))
    transport, asked = answering()
    worker = deliverer(transport)
    async with database.connection() as connection:
        await connection.execute("UPDATE destination_state SET paused_at = now(), paused_by = 'test'")
    await work(worker)
    async with database.connection() as connection:
        await connection.execute("UPDATE destination_state SET paused_at = NULL")
        claimed = await _claim(worker)
        await connection.execute("UPDATE destination_state SET paused_at = now()")
    await worker._lane(claimed)
    assert asked == []
    assert [(row["status"], row["attempts"], row["held"]) for row in await deliveries(database)] == [
        ("pending", 0, 0.0)
    ] * 2
    async with database.connection() as connection:
        await connection.execute("UPDATE destination_state SET paused_at = NULL")
    await hurry(database)
    await work(worker)
    assert [b'"A"' in request.content for request in asked] == [True, False]


async def test_rate_headers_hold_the_next_call_back(database: Database, deliverer: MakeDeliverer) -> None:
    """An answer that says that no call is left lets everything wait until the time it names; nothing has failed."""
    await routed(database, order("o-1"), order("o-2", user="u-2"), order("o-3"))
    spent = httpx.Response(200, json={}, headers={"X-Rate-Limit-Remaining": "0", "X-Rate-Limit-Retry": "4102444800"})
    transport, asked = answering(spent)
    worker = deliverer(transport)
    first = await _claim(worker)
    await worker._lane(first)
    assert len(asked) == 1
    await work(worker)
    assert len(asked) == 1
    async with database.connection() as connection:
        rests = await connection.fetchval("SELECT rest_until > now() + interval '50 minutes' FROM destination_state")
        await connection.execute("UPDATE destination_state SET rest_until = now()")
    assert rests
    await hurry(database)
    await work(worker)
    assert {status for _, status in await states(database)} == {"delivered"}


async def _claim(worker: Deliverer) -> lanes.Claim:
    async with worker.database.connection() as connection:
        (claimed,) = await lanes.claim(connection, worker.owner, 10, 1)
    return claimed
