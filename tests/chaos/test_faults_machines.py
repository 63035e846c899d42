"""Trouble of machines on the whole road: the database restarts under running orders, and clocks differ."""

import asyncio
import os
import random
import signal
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
import pytest
import pytest_asyncio

from app.db import embedded
from tests.chaos.faults_books import agree
from tests.chaos.faults_town import BIG, LOST, SMALL, Town, open_town, planned, trouble, wrong_clock
from tests.conftest import MakeDatabase


@pytest.fixture(scope="module")
def own_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The data folder of a Postgres that nobody else uses."""
    data_dir = tmp_path_factory.mktemp("own_postgres")
    embedded.start(data_dir)
    try:
        yield data_dir
    finally:
        embedded.remove(data_dir)


@pytest_asyncio.fixture(scope="module")
async def town(
    own_postgres: Path, make_database: MakeDatabase, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Town]:
    """A house on a Postgres of its own, with two web processes. Voucherify's database is elsewhere."""
    folder, url = tmp_path_factory.mktemp("machines"), embedded.database_url(embedded.start(own_postgres), "loyalty")
    quick = {"VOUCHERIFY_TIMEOUT": "1", "WORKER_PENDING_ORDER_AFTER": "2"}
    async with open_town("machines", make_database, folder, url, **quick) as opened:
        opened.start("web2")
        yield opened


@pytest_asyncio.fixture
async def members(town: Town) -> AsyncIterator[list[str]]:
    """Three members, who are all that the books of this test are about."""
    town.forget()
    yield [town.enrol() for _ in range(3)]
    town.switch_off()


async def test_postgres_restarts_while_orders_run(town: Town, members: list[str], own_postgres: Path) -> None:
    """Its sessions are cut, then it goes down at once and comes back by its log, twice: no order is lost or doubled.

    The tills ask again with the same key, also where a coupon was being redeemed.
    """
    over = asyncio.Event()

    async def keep_buying(member: str) -> None:
        while not over.is_set():
            await asyncio.to_thread(town.sell, member, random.choice((BIG, SMALL)))
            await asyncio.sleep(0.1)

    coupons = [town.coupon(member) for member in members]
    with trouble(town, latency_ms=200):
        buying = [asyncio.create_task(keep_buying(member)) for member in members]
        for sold in ([(member, SMALL, coupon) for member, coupon in zip(members, coupons, strict=True)], []):
            async with town.selling(sold):
                await asyncio.sleep(0.1)
                await cut_all_sessions(town)
                await asyncio.sleep(0.2)
                await asyncio.to_thread(restart, own_postgres)
            await asyncio.sleep(0.3)
        over.set()
        await asyncio.gather(*buying)
    await agree(town)


async def cut_all_sessions(town: Town) -> None:
    async with town.database() as connection:
        await connection.execute(
            """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
               WHERE datname = current_database() AND pid <> pg_backend_pid()"""
        )


def restart(data_dir: Path) -> None:
    """As `pg_ctl restart -m immediate`: no session ends well, and the start recovers from the write-ahead log."""
    postmaster = int((data_dir / "postgres" / "postmaster.pid").read_text().splitlines()[0])
    os.kill(postmaster, signal.SIGQUIT)
    until = time.monotonic() + 60
    while psutil.pid_exists(postmaster) and time.monotonic() < until:
        time.sleep(0.02)
    embedded.start(data_dir)


@pytest.mark.parametrize("ahead", [600, pytest.param(-600, marks=pytest.mark.long)], ids=["web ahead", "web behind"])
async def test_machines_whose_clocks_differ(town: Town, members: list[str], ahead: int) -> None:
    """One web process and one worker ten minutes ahead, the others ten behind: leases, waits and books are right."""
    house = town.house
    coupons = [town.coupon(member) for member in members]
    try:
        for name, seconds in (("web", ahead), ("worker", -ahead), ("web2", -ahead), ("worker2", ahead)):
            if name != "worker2":
                house.stop(name)
            town.start(name, **wrong_clock(seconds))
        with trouble(town, lose_answer_next=LOST, fail_next=planned(429, 3)):
            sales: list[tuple[Any, ...]] = [
                (member, basket, None, web) for member in members for basket, web in ((BIG, "web"), (SMALL, "web2"))
            ]
            sales += [(member, SMALL, coupon, "web2") for member, coupon in zip(members, coupons, strict=True)]
            orders = await asyncio.to_thread(town.sell_all, sales)
            await agree(town)
        for order in orders:
            trace = house.trace(order["id"])
            assert (trace["points"], trace["state"]) == (order["total"] // 100, "done")
    finally:
        house.stop("worker2")
        for name in ("web", "worker", "web2"):
            house.stop(name)
        town.start("web", "worker", "web2")
