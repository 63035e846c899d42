"""The event log: what a cursor reader may rely on, and who reads what."""

import asyncio
import random
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import asyncpg

from app.db.session import Database
from app.db.wake import CHANNEL
from app.log import log
from app.log.log import NewEvent

PARTITIONS = 4


def event(person: str = "u-1", message_id: str | None = None, order_id: str | None = None) -> NewEvent:
    return NewEvent(
        message_id=message_id or str(uuid4()),
        source="till",
        type="track",
        name="Tested",
        person=person,
        order_id=order_id,
        message=b'{"type": "track"}',
        received_at=datetime.now(UTC),
    )


async def append(database: Database, *events: NewEvent) -> set[str]:
    async with database.transaction() as connection:
        return await log.append(connection, events, PARTITIONS)


async def lease(database: Database, owner: str, seconds: float = 10) -> dict[int, int]:
    async with database.transaction() as connection:
        return await log.lease(connection, "route", owner, 8, seconds)


async def advance(database: Database, owner: str, partition: int, read_to: int, new: int) -> bool:
    async with database.transaction() as connection:
        return await log.advance(connection, "route", owner, {partition: read_to}, {partition: new})


async def test_a_reader_that_polls_all_the_time_never_skips_a_position(database: Database) -> None:
    """Appends that commit in any order are all seen by cursors that read on from the highest position they saw."""
    writers, each, size = 8, 40, 3
    seen: dict[int, list[int]] = {partition: [] for partition in range(PARTITIONS)}
    done = asyncio.Event()

    async def write() -> None:
        for _ in range(each):
            async with database.transaction() as connection:
                await log.append(connection, [event(f"u-{random.random()}") for _ in range(size)], PARTITIONS)
                await asyncio.sleep(random.random() / 200)  # the longer until the commit, the more others overtake

    async def read() -> None:
        last = False
        while not last:
            last = done.is_set()
            for partition, positions in seen.items():
                after = positions[-1] if positions else 0
                async with database.connection() as connection:
                    rows = await log.read(connection, {partition: after}, 1000)
                positions += [row.position for row in rows]

    reader = asyncio.create_task(read())
    await asyncio.gather(*(write() for _ in range(writers)))
    done.set()
    await reader
    assert sum(map(len, seen.values())) == writers * each * size


async def test_the_same_ids_at_once_are_stored_once_and_do_not_deadlock(database: Database) -> None:
    """Appends of the same ids in opposite orders all succeed, and each id is new to exactly one of them."""
    ids = [str(uuid4()) for _ in range(1_500)]
    appends = [append(database, *(event(message_id=id_) for id_ in random.sample(ids, len(ids)))) for _ in range(8)]
    fresh = [id_ for found in await asyncio.gather(*appends) for id_ in found]
    assert sorted(fresh) == sorted(ids)


async def test_an_append_that_is_rolled_back_leaves_no_key_behind(database: Database) -> None:
    """What failed to commit can be sent again: its id is not taken for known."""
    again = event()
    async with database.connection() as connection:
        failing = connection.transaction()
        await failing.start()
        await log.append(connection, [again], PARTITIONS)
        await failing.rollback()
    assert await append(database, again) == {again.message_id}


async def test_an_append_wakes_the_router_and_tells_the_orders_screens(database: Database) -> None:
    """One notification for the router, and a change on the order's topic, both with the commit."""
    heard: list[object] = []
    listener = await asyncpg.connect(database.url)
    await listener.add_listener(CHANNEL, lambda _connection, _pid, _channel, payload: heard.append(payload))
    await append(database, event(order_id="o-1"), event())
    async with database.connection() as connection:
        changes = await connection.fetch("SELECT topic, kind FROM change")
    await listener.fetchval("SELECT 1")
    await listener.close()
    assert [tuple(row) for row in changes] == [("order:o-1", "event.stored")]
    assert sorted(map(str, heard)) == ["live", "route"]


def test_a_person_is_always_in_the_same_partition() -> None:
    """The share of a person is the same in every process, and persons spread over all shares."""
    assert [log.partition_of(person, 8) for person in ("u-1", "Zoë", "")] == [1, 2, 5]
    assert {log.partition_of(f"u-{number}", 8) for number in range(200)} == set(range(8))


async def test_two_owners_share_the_partitions_fairly(database: Database) -> None:
    """A second worker gets half of what the first one holds within a round, and no partition is held twice."""
    assert len(await lease(database, "first")) == 8
    assert await lease(database, "second") == {}  # nothing is free, but it is known now
    first, second = await lease(database, "first"), await lease(database, "second")
    assert (len(first), len(second)) == (4, 4)
    assert set(first).isdisjoint(second)
    await lease(database, "third")
    shares = [await lease(database, owner) for owner in ("first", "second", "third", "first", "second", "third")][3:]
    assert sorted(map(len, shares)) == [2, 3, 3]
    assert len(set().union(*shares)) == 8


async def test_a_dead_owners_share_is_taken_over_after_its_lease(database: Database) -> None:
    """Nobody gets a partition while its lease holds; afterwards another owner reads on where the dead one was."""
    held = await lease(database, "dead", seconds=0.4)
    assert await advance(database, "dead", 3, held[3], 17)
    assert await lease(database, "heir") == {}
    await asyncio.sleep(0.5)
    assert await lease(database, "heir") == {**dict.fromkeys(range(8), 0), 3: 17}


async def test_who_lost_the_lease_cannot_advance(database: Database) -> None:
    """An owner that slept over its lease moves no cursor, nor does one whose position is not the stored one."""
    held = await lease(database, "sleeper", seconds=0.1)
    await asyncio.sleep(0.2)
    await lease(database, "heir")
    assert not await advance(database, "sleeper", 0, held[0], 5)
    assert not await advance(database, "heir", 0, 4, 5)
    assert await advance(database, "heir", 0, 0, 5)
    assert not await advance(database, "heir", 0, 0, 9)


async def test_what_is_given_back_is_free_at_once(database: Database) -> None:
    """A worker that stops properly leaves its whole share to the next one without a wait."""
    await lease(database, "leaver")
    async with database.connection() as connection:
        await log.give_back(connection, "route", "leaver")
    assert len(await lease(database, "next")) == 8


async def test_leases_go_by_the_databases_clock(database: Database) -> None:
    """A worker whose own clock is hours off holds its share for just as long as any other."""
    await lease(database, "one")
    async with database.connection() as connection:
        now = await connection.fetchval("SELECT now()")
        until = await connection.fetch("SELECT until FROM log_cursor")
    assert all(timedelta(seconds=5) < row["until"] - now <= timedelta(seconds=10) for row in until)
