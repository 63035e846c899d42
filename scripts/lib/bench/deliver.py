"""The deliverer: from a delivery that waits to one that is finished, against a receiver that answers at once.

Every delivery is an order of another person, so each costs a claim of its own. The figure is with the insert function
that ships, as a worker runs it; the small orders get no coupon, so it makes no calls. The baseline posts as many
requests to the same receiver with the same client, and keeps nothing.
"""

import asyncio
import time
from functools import partial
from typing import Any

import psutil  # type: ignore[import-untyped]  # it has no types
import uvloop

from app.backoff import backoff
from app.db.base import now
from app.db.session import Database
from app.db.wake import Wakeups
from app.destinations.catalogue import CATALOGUE
from app.destinations.environment import environment
from app.log import log as event_log
from app.pipeline.books import Books
from app.pipeline.deliver import Deliverer
from app.pipeline.functions import FunctionPool, discover
from app.pipeline.registry import Registry
from app.pipeline.route import Router
from app.pipeline.send import Sender, Way
from app.pipeline.watch import Watch
from app.segment import messages
from app.settings import Settings
from app.voucherify.client import Client
from scripts.lib.bench.events import order_completed
from scripts.lib.bench.install import Install, private_install
from scripts.lib.bench.rows import Result
from scripts.lib.bench.stub import stub
from scripts.lib.say import Stop

DELIVERIES = 3_000
PATIENCE = 120.0
"""Seconds for all of them."""


def measure() -> list[Result]:
    """All that waits, once without and once with the insert function."""
    with (
        stub() as url,
        private_install(
            VOUCHERIFY_API_URL=url,
            VOUCHERIFY_APPLICATION_ID="bench",
            VOUCHERIFY_SECRET_KEY="bench",  # noqa: S106 - the stub's
            VOUCHERIFY_TRANSPORT="v1",
        ) as install,
    ):
        return [uvloop.run(_measure(install))]


async def _measure(install: Install) -> Result:
    settings, database, client = install.settings, install.database(), Client.of(install.settings)
    registry = Registry(database, CATALOGUE, environment(settings))
    await registry.refresh()
    async with (
        Wakeups(database.url).listening() as wakeups,
        FunctionPool(database, settings.worker.functions).running() as pool,
    ):
        posts = await _posts(client, settings.worker.lanes)
        speeds = {}
        for name, functions in (("without", {}), ("with", discover())):
            await _fill(database, registry)
            worker = _deliverer(settings, database, client, pool, registry, functions)
            speeds[name] = await _run(database, worker, wakeups)
    await client.close()
    await database.close()
    return Result.of(
        "deliver",
        speeds["with"][0],
        {"bare posts/s": posts},
        {
            "deliveries/s without an insert function": speeds["without"][0],
            "CPU of the worker, µs a delivery": speeds["with"][1],
            "CPU of the worker without an insert function, µs": speeds["without"][1],
            "deliveries": DELIVERIES,
            "lanes at once": settings.worker.lanes,
            "function hosts": settings.worker.functions,
        },
    )


def _deliverer(
    settings: Settings,
    database: Database,
    client: Client,
    pool: FunctionPool,
    registry: Registry,
    functions: dict[str, str],
) -> Deliverer:
    """As the worker makes it."""
    transports, books = {"voucherify": client}, Books(database)
    return Deliverer(
        database=database,
        owner="bench",
        books=books,
        sender=Sender(database, books, {"voucherify": Way(client)}),
        watch=Watch(database, transports, registry, settings.worker.lease),
        pool=pool,
        registry=registry,
        functions=functions,
        retry=partial(backoff, base=settings.worker.retry_first, cap=settings.worker.retry_longest),
        lease_seconds=settings.worker.lease,
        order_hold=settings.worker.order_hold,
        budget=settings.worker.delivery_budget,
        most_lanes=settings.worker.lanes,
    )


async def _run(database: Database, deliverer: Deliverer, wakeups: Wakeups) -> tuple[float, float]:
    """Deliver all that waits: deliveries a second, and CPU of this process in microseconds for each."""
    process = psutil.Process()
    cpu, began = process.cpu_times(), time.perf_counter()
    work = asyncio.create_task(deliverer.run(wakeups))
    try:
        async with asyncio.timeout(PATIENCE), database.connection() as connection:
            while await connection.fetchval("SELECT EXISTS (SELECT FROM delivery WHERE status = 'pending')"):
                if work.done():
                    work.result()
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise Stop(f"The deliveries were not done within {PATIENCE:.0f} s.") from None
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
    seconds, after = time.perf_counter() - began, process.cpu_times()
    async with database.connection() as connection:
        failed = await connection.fetchval("SELECT count(*) FROM delivery WHERE status <> 'delivered'")
        if failed:
            error = await connection.fetchval("SELECT error FROM delivery WHERE status <> 'delivered' LIMIT 1")
            raise Stop(f"{failed} deliveries were not delivered, so this is no measurement: {error}")
    return DELIVERIES / seconds, (sum(after[:2]) - sum(cpu[:2])) / DELIVERIES * 1e6


async def _fill(database: Database, registry: Registry) -> None:
    """Let as many orders wait as there are deliveries in a round."""
    at = now()
    made = [
        messages.new_event(
            messages.complete(order_completed(number, DELIVERIES), messages.envelope_of({}), at), "till", at
        )
        for number in range(DELIVERIES)
    ]
    async with database.transaction() as connection:
        await event_log.append(connection, made, 1)
    router = Router(database, "bench", partitions=1, lease_seconds=60, registry=registry)
    while await router.run_once():
        pass
    async with database.connection() as connection:
        await connection.execute("ANALYZE delivery, lane, event, function_result, attempt")


async def _posts(client: Client, at_once: int) -> float:
    """Posts a second of the same client, with nothing before or after them."""
    body: dict[str, Any] = {"source_id": "bench", "status": "PAID"}
    left = iter(range(DELIVERIES))

    async def sender() -> None:
        for _ in left:
            await client.call("POST", "/v1/orders", body)

    began = time.perf_counter()
    await asyncio.gather(*(sender() for _ in range(at_once)))
    return DELIVERIES / (time.perf_counter() - began)
