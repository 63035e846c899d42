"""The sandbox alone: orders that become PAID and earn, with all their webhooks sent to a receiver that answers at once.

Each order tells of itself five times: created, paid, the points to the project and to a distribution, the transaction.
The figure counts an order when its last webhook was accepted. The baseline posts bare requests to the same receiver
over as many connections. The sandbox, its Postgres, the receiver and the load share this machine.
"""

import asyncio
import itertools
import time
from collections.abc import Iterator
from typing import Any

import asyncpg
import psutil  # type: ignore[import-untyped]  # it has no types
import uvloop

from app.db import embedded
from scripts.lib.bench.install import Install, private_install
from scripts.lib.bench.rows import Result
from scripts.lib.bench.stub import stub
from scripts.lib.bench.wire import Wire
from scripts.lib.bench.work import cpu_seconds
from scripts.lib.say import Stop

MEMBERS = 400
ORDERS = 3_000
FIRST = 200
"""Orders before those that count: the first ones of a process are slower."""
AT_ONCE = 16
PATIENCE = 120.0
"""Seconds until the last webhook must have come."""
PROGRAMME = "Bench"


def measure() -> list[Result]:
    """As many orders as it takes, over sixteen connections, each as soon as the one before is answered."""
    with stub() as sink, private_install() as install:
        install.start("app.sandbox")
        install.wait_for(f"{install.settings.sandbox_url}/sandbox/health")
        return [uvloop.run(_measure(install, sink))]


async def _measure(install: Install, sink: str) -> Result:
    settings = install.settings
    keys = (
        f"x-app-id: {settings.voucherify_application_id.get_secret_value()}\r\n"
        f"x-app-token: {settings.voucherify_secret_key.get_secret_value()}\r\ncontent-type: application/json\r\n"
    )
    wires = [await Wire.open(settings.sandbox_url) for _ in range(AT_ONCE)]
    database = await asyncpg.connect(embedded.database_url(install.url, "sandbox"))
    try:
        await _furnish(wires, keys, sink)
        numbers = itertools.count()
        await _sell(wires, keys, itertools.islice(numbers, FIRST))
        await _until_sent(database)
        sent = await database.fetchval("SELECT count(*) FROM delivery")
        cpu, began = cpu_seconds(install), time.perf_counter()
        longest = await _sell(wires, keys, itertools.islice(numbers, ORDERS))
        answered = time.perf_counter() - began
        await _until_sent(database)
        seconds, after = time.perf_counter() - began, cpu_seconds(install)
        webhooks = await database.fetchval("SELECT count(*) FROM delivery") - sent
        earned = await database.fetchval("SELECT count(*) FROM point_transaction")
    finally:
        for wire in wires:
            wire.close()
        await database.close()
    if earned != ORDERS + FIRST:
        raise Stop(f"{ORDERS + FIRST} orders were paid, and {earned} earned: this is no measurement.")
    return Result.of(
        "sandbox",
        ORDERS / seconds,
        {"bare posts/s": await _posts(sink)},
        {
            "orders/s answered": ORDERS / answered,
            "webhooks/s": webhooks / seconds,
            "webhooks an order": webhooks / ORDERS,
            "p99 of an answer, ms": longest * 1000,
            "CPU, ms an order": {name: round((after[name] - used) / ORDERS * 1000, 2) for name, used in cpu.items()},
            "load of the machine": round(psutil.getloadavg()[0], 2),
            "orders": ORDERS,
            "connections": AT_ONCE,
        },
    )


async def _furnish(wires: list[Wire], keys: str, sink: str) -> None:
    """A programme of one rule, and members who hold its card; only then does the receiver listen."""
    wire = wires[0]
    await wire.json("POST", "/sandbox/webhooks", keys, {"target_urls": []})
    card = {"type": "LOYALTY_CARD", "loyalty_card": {"points": 0}, "code_config": {"pattern": "B-########"}}
    await wire.json("POST", "/v1/loyalties", keys, {"name": PROGRAMME, "voucher": card})
    step = {"total_amount": {"every": 100, "points": 1}}
    gives = {"type": "PROPORTIONAL", "calculation_type": "ORDER_TOTAL_AMOUNT", "order": step}
    rules = [{"event": "order.paid", "loyalty": gives, "source": {"banner": "Orders"}}]
    await wire.json("POST", f"/v1/loyalties/{PROGRAMME}/earning-rules", keys, rules)
    for number in range(MEMBERS):
        member = {"customer": {"source_id": f"u-{number}", "name": "Mia"}}
        await wire.json("POST", f"/v1/loyalties/{PROGRAMME}/members", keys, member)
    await wire.json("POST", "/sandbox/webhooks", keys, {"target_url": f"{sink}/webhooks"})


async def _sell(wires: list[Wire], keys: str, numbers: Iterator[int]) -> float:
    """Pay these orders; answers the seconds that 99 of 100 answers took at most."""
    took: list[float] = []

    async def one(wire: Wire) -> None:
        for number in numbers:
            began = time.perf_counter()
            await wire.json("POST", "/v1/orders", keys, _order(number))
            took.append(time.perf_counter() - began)

    await asyncio.gather(*map(one, wires))
    return sorted(took)[int(len(took) * 0.99)]


def _order(number: int) -> dict[str, Any]:
    items = [
        {
            "source_id": "coffee",
            "related_object": "product",
            "quantity": 2,
            "price": 420,
            "product": {"name": "Coffee"},
        },
        {"source_id": "cake", "related_object": "product", "quantity": 1, "price": 550, "product": {"name": "Cake"}},
    ]
    customer = {"source_id": f"u-{number % MEMBERS}"}
    return {"source_id": f"o-{number}", "status": "PAID", "items": items, "customer": customer}


async def _until_sent(database: asyncpg.Connection) -> None:
    until = time.monotonic() + PATIENCE
    while await database.fetchval("SELECT EXISTS (SELECT FROM delivery WHERE state <> 'DELIVERED')"):
        if time.monotonic() > until:
            raise Stop(f"Not all webhooks were accepted within {PATIENCE:.0f} s.")
        await asyncio.sleep(0.02)


async def _posts(sink: str) -> float:
    """Bare posts a second to the receiver."""
    wires = [await Wire.open(sink) for _ in range(AT_ONCE)]
    numbers = iter(range(ORDERS))

    async def one(wire: Wire) -> None:
        for number in numbers:
            await wire.json("POST", "/webhooks", "", _order(number))

    began = time.perf_counter()
    await asyncio.gather(*map(one, wires))
    for wire in wires:
        wire.close()
    return ORDERS / (time.perf_counter() - began)
