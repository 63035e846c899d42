"""A supervised house with kill points: members with a coupon, and a till that does not give up."""

import asyncio
import contextlib
import json
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import httpx

from tests.chaos.reckoning import COUPON_CAMPAIGN, Books, Sale
from tests.house import ROOT, House

PATIENCE = 120.0
"""Seconds for a sale to be settled after a kill."""
BASKET = [{"product_id": "fuel", "quantity": 1}, {"product_id": "coffee", "quantity": 2}]
"""Over the coupon's limit, also with 10 % off."""
UNDER_WAY = """
SELECT EXISTS (SELECT FROM emission WHERE status = 'pending') OR EXISTS (SELECT FROM delivery WHERE status = 'pending')
    OR EXISTS (SELECT FROM webhook WHERE status = 'pending')
    OR EXISTS (SELECT FROM event JOIN log_cursor USING (partition)
               WHERE consumer = 'route' AND event.position > log_cursor.position)
"""


@dataclass
class KillHouse:
    """The house, and where its points are armed and recorded (see `tests.chaos.seams`)."""

    house: House
    folder: Path
    books: Books
    database: asyncpg.Pool
    till: httpx.AsyncClient
    sandbox: httpx.AsyncClient
    members: list[dict[str, Any]] = field(default_factory=list)
    sales: list[Sale] = field(default_factory=list)

    def member(self) -> dict[str, Any]:
        """A member with a card and a coupon to spend, enrolled while nothing was armed."""
        return self.members.pop()

    async def enrol(self, count: int) -> None:
        """Make so many members at once, for the tests to come."""
        some = asyncio.Semaphore(8)

        async def one() -> dict[str, Any]:
            async with some:
                return await self._enrol()

        self.members += await asyncio.gather(*(one() for _ in range(count)))
        until = time.monotonic() + PATIENCE
        while await self.database.fetchval(UNDER_WAY):
            assert time.monotonic() < until, "what was told of the new members is still under way"
            await asyncio.sleep(0.1)

    async def _enrol(self) -> dict[str, Any]:
        phone = f"+4860{uuid4().int % 10**7:07}"
        enrolled = await self.till.post("/members", json={"phone": phone, "first_name": "Test"})
        made: dict[str, Any] = enrolled.raise_for_status().json()
        until = time.monotonic() + PATIENCE
        while made["card"] is None:
            assert time.monotonic() < until, "no card arrived"
            await asyncio.sleep(0.1)
            made = (await self.till.get(f"/members/{made['id']}")).json()
        body = {"campaign": {"name": COUPON_CAMPAIGN}, "customer": {"source_id": made["id"]}}
        given = await self.sandbox.post("/v1/publications", json=body)
        coupon = given.raise_for_status().json()["voucher"]["code"]
        while not await self.database.fetchval("SELECT true FROM coupon WHERE code = $1", coupon):
            assert time.monotonic() < until, "no coupon arrived"
            await asyncio.sleep(0.1)
        return {**made, "coupon": coupon}

    def arm(self, point: str, who: str = "") -> None:
        """Whoever gets to this point next dies; with `PARENT`, the process that started it."""
        (self.folder / "armed" / point).write_text(who)

    async def harshest(self, **faults: Any) -> None:
        """Voucherify as it may be at its worst: an order that is sent as PAID again earns again. No other faults."""
        until = time.monotonic() + PATIENCE
        while True:
            try:
                await self.sandbox.delete("/sandbox/faults")
                await self.sandbox.post("/sandbox/faults", json={"earn_again_on_paid": True, **faults})
            except httpx.TransportError:  # it is being started again after the last test
                assert time.monotonic() < until, "the sandbox did not come back"
                await asyncio.sleep(0.1)
            else:
                return

    async def passed(self, point: str) -> None:
        """Wait until somebody died at this point, which the road of the order may have led by already."""
        until = time.monotonic() + PATIENCE
        while (self.folder / "armed" / point).exists():
            assert time.monotonic() < until, f"nobody came to {point}"
            await asyncio.sleep(0.1)

    async def died(self, since: Counter[str]) -> Counter[str]:
        """How often each process died by itself, once the supervisor has seen the last of it."""
        await asyncio.sleep(0.2)
        return self.house.deaths - since

    def disarm(self) -> None:
        for armed in (self.folder / "armed").iterdir():
            armed.unlink()

    @asynccontextmanager
    async def recording(self) -> AsyncIterator[list[tuple[str, int]]]:
        """What points are passed while the block runs, with their line of code; filled when it ends."""
        recorded = self.folder / "recorded"
        recorded.write_text("")
        (self.folder / "recording").touch()
        passed: list[tuple[str, int]] = []
        yield passed
        (self.folder / "recording").unlink()
        for line in recorded.read_text().splitlines():
            point, number = line.split()
            passed.append((point, int(number)))

    async def sell(self, member: dict[str, Any]) -> Sale:
        """Sell the basket, as a till does: the same key again until there is an answer.

        Where the answer is that the sale was called off before the coupon was redeemed, the cashier pays again.
        """
        body = {"member_id": member["id"], "lines": BASKET, "coupon": member["coupon"]}
        key, until = str(uuid4()), time.monotonic() + PATIENCE
        while True:
            assert time.monotonic() < until, "the till got no answer"
            try:
                answer = await self.till.post("/pos/orders", json=body, headers={"idempotency-key": key})
            except httpx.TransportError:
                await asyncio.sleep(0.1)
                continue
            if answer.status_code == 422 and "pay again" in answer.json()["detail"]:
                key = str(uuid4())
            elif answer.status_code != 503:
                break
            await asyncio.sleep(0.1)
        assert answer.status_code == 201, answer.text
        sale = Sale(member["id"], member["card"], member["coupon"], answer.json())
        self.sales.append(sale)
        return sale

    async def settle(self, sale: Sale) -> None:
        """Wait until the sale has come to what it should, and nothing of it is under way any more."""
        until = time.monotonic() + PATIENCE
        while True:
            try:
                waiting = (await self.sandbox.get("/sandbox/deliveries", params={"state": "WAITING"})).json()["data"]
                differences = await self.books.differences(sale)
                if not waiting and not differences:
                    return
            except httpx.TransportError as error:
                waiting, differences = [], [repr(error)]
            told = [f"webhook waiting: {row['event_type']}, {row['attempts']} tries" for row in waiting]
            assert time.monotonic() < until, "\n".join(["not settled:", *differences, *told])
            if any(row["attempts"] for row in waiting):
                await self._hasten(waiting)
            await asyncio.sleep(0.1)

    async def _hasten(self, waiting: list[dict[str, Any]]) -> None:
        """Move the sandbox's clock to where it tries again webhooks that were not taken, once somebody takes them."""
        with contextlib.suppress(httpx.TransportError):
            await self.till.get("/pos/catalogue")
            await self.sandbox.post("/sandbox/clock", json={"set": max(row["due_at"] for row in waiting)})


@asynccontextmanager
async def open_kill_house(folder: Path, database_url: str, sandbox_url: str) -> AsyncIterator[KillHouse]:
    """A house of its own, with the seams wrapped in every process."""
    points = folder / "points"
    (points / "armed").mkdir(parents=True)
    house = House(
        folder,
        database_url,
        sandbox_url,
        PYTHONPATH=f"{ROOT / 'tests' / 'chaos' / 'site'}:{ROOT}",
        CHAOS_DIR=str(points),
        VOUCHERIFY_TIMEOUT="1.5",
        WORKER_PENDING_ORDER_AFTER="2",
        WORKER_FUNCTIONS="1",  # so that a worker is up again sooner
    )
    database = await asyncpg.create_pool(database_url, min_size=1, max_size=4, init=_json_as_values)
    try:
        house.open()
        keys = json.loads((folder / "install.json").read_text())
        headers = {"x-app-id": keys["sandbox_application_id"], "x-app-token": keys["sandbox_secret_key"]}
        sign_in = {"authorization": f"Bearer {house.register_key}"}
        async with (
            httpx.AsyncClient(base_url=house.web, headers=sign_in, timeout=60) as till,
            httpx.AsyncClient(base_url=house.sandbox, headers=headers, timeout=60) as sandbox,
        ):
            with house.supervised():
                yield KillHouse(house, points, Books(database, sandbox), database, till, sandbox)
    finally:
        house.close()
        await database.close()


async def _json_as_values(connection: asyncpg.Connection) -> None:
    await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=json.dumps, decoder=json.loads)
