"""Any number of web and worker processes: how they share the work out, and what becomes of the share of a dead one."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from tests.chaos.faults_books import agree
from tests.chaos.faults_town import BIG, SMALL, Town, open_town, trouble
from tests.conftest import MakeDatabase
from tests.house import PATIENCE

WORKERS = ("worker", "worker2", "worker3")
TAKEN_OVER_WITHIN = 15.0
"""Seconds that we promise, with the default lease."""

HELD = """
SELECT owner, 'partition' AS what FROM log_cursor WHERE consumer = 'route' AND owner IS NOT NULL
UNION ALL SELECT owner, 'lane' FROM lane WHERE owner IS NOT NULL
UNION ALL SELECT owner, 'relay' FROM lease WHERE starts_with(name, 'relay:') AND until > now()
"""


@pytest_asyncio.fixture(scope="module")
async def town(make_database: MakeDatabase, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Town]:
    """A house of three workers and two web processes, with the lease that is the default."""
    folder = tmp_path_factory.mktemp("workers")
    async with open_town("workers", make_database, folder, WORKER_LEASE="10") as opened:
        opened.start("web2", *WORKERS[1:])
        yield opened


@pytest_asyncio.fixture
async def members(town: Town) -> AsyncIterator[list[str]]:
    """Some members, who are all that the books of this test are about."""
    town.forget()
    yield [town.enrol() for _ in range(6)]
    town.switch_off()


async def held(connection: asyncpg.Connection) -> dict[int, Counter[str]]:
    """What each worker holds, by its process id."""
    found: dict[int, Counter[str]] = {}
    for row in await connection.fetch(HELD):
        found.setdefault(int(row["owner"].split(":")[1]), Counter())[row["what"]] += 1
    return found


async def shared_out(town: Town) -> None:
    """Wait until each worker has its fair share of the partitions."""
    until = time.monotonic() + PATIENCE
    async with town.database() as connection:
        while True:
            shares = {pid: holds["partition"] for pid, holds in (await held(connection)).items() if holds["partition"]}
            if shares.keys() == {town.house.pid(name) for name in WORKERS} and sorted(shares.values()) == [2, 3, 3]:
                return
            assert time.monotonic() < until, f"not shared out: {shares}"
            await asyncio.sleep(0.1)


def sales(members: list[str]) -> list[tuple[Any, ...]]:
    """A big and a small basket of each member, at both web processes."""
    return [(member, basket, None, web) for member in members for basket, web in ((BIG, "web"), (SMALL, "web2"))]


async def test_partitions_and_lanes_are_shared_out(town: Town, members: list[str]) -> None:
    """Three workers have two or three of the eight partitions each, and all of them deliver what two webs sell."""
    await shared_out(town)
    workers, delivering = {town.house.pid(name) for name in WORKERS}, set[int]()
    until = time.monotonic() + PATIENCE
    async with town.database() as connection:
        with trouble(town, latency_ms=200):
            while delivering != workers:
                assert time.monotonic() < until, f"only {delivering} of {workers} deliver"
                async with town.selling(sales(members)) as selling:
                    while not selling.done():
                        delivering |= {pid for pid, holds in (await held(connection)).items() if holds["lane"]}
                        await asyncio.sleep(0.01)
    await agree(town)


async def test_the_share_of_a_killed_worker_is_taken_over_in_time(town: Town, members: list[str]) -> None:
    """One of three is killed with partitions and lanes in its hands: within 15 s others have all of them."""
    names = {town.house.pid(name): name for name in WORKERS}
    await shared_out(town)
    async with town.database() as connection:
        with trouble(town, latency_ms=300):
            async with town.selling(sales(members) * 2) as selling:
                while not (busy := [pid for pid, holds in (await held(connection)).items() if holds["lane"]]):
                    assert not selling.done(), "no worker had anything to do"
                    await asyncio.sleep(0.005)
                victim = busy[0]
                town.house.kill(names[victim])
                killed = time.monotonic()
                assert (await held(connection))[victim]["partition"]
                while victim in await held(connection):
                    assert time.monotonic() - killed < TAKEN_OVER_WITHIN, f"still held: {await held(connection)}"
                    await asyncio.sleep(0.05)
    town.start(names[victim])
    await agree(town)
