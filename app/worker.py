"""The worker: relay, route, deliver, apply, scheduled jobs. Any number may run; `python -m app.worker` runs one.

It is a small web app as well, for its health and metrics.
"""

import asyncio
import contextlib
import math
import os
import secrets
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from litestar import Litestar

import app.console.health
from app.auth.principal import guard, refuse_routes_without_role
from app.backoff import backoff
from app.db import lease
from app.db.base import now
from app.db.prune import Pruner
from app.db.session import Database, open_database
from app.db.wake import Wakeups
from app.destinations.base import Transport
from app.destinations.catalogue import CATALOGUE
from app.destinations.environment import environment
from app.destinations.web import WebTransport
from app.emitter.relay import Relay
from app.errors import LoyaltyError
from app.jobs import run_alone
from app.log import log as event_log
from app.orders.checkout import Checkout
from app.orders.sweeper import sweep
from app.pipeline import route
from app.pipeline.books import Books
from app.pipeline.deliver import Deliverer
from app.pipeline.functions import FunctionPool, discover
from app.pipeline.registry import Registry
from app.pipeline.replay_runner import Replayer
from app.pipeline.route import Router
from app.pipeline.send import Sender, Way
from app.pipeline.watch import Watch
from app.points.operations import Points
from app.points.sweeper import sweep as sweep_points
from app.preflight import preflight
from app.segment import schema
from app.serve import serve
from app.settings import Settings, load_settings
from app.telemetry import configure_logging, log
from app.voucherify.client import Client
from app.voucherify.loyalty import LoyaltyV1
from app.webhooks.apply import Applier
from app.webhooks.poll import Poller
from app.webhooks.to_segment import SOURCE

GATHER = 0.02
"""Seconds between two passes of a busy stage: what comes meanwhile goes together, and a pass costs much the same."""


def create_app(settings: Settings) -> Litestar:
    """Put the worker together."""
    database = open_database(settings)

    @contextlib.asynccontextmanager
    async def running(_: Litestar) -> AsyncIterator[None]:
        async with contextlib.AsyncExitStack() as stack:
            tasks = await _start(settings, database, stack)
            stack.push_async_callback(_stop, tasks)
            yield
        await database.close()

    made = Litestar(
        route_handlers=[app.console.health.router],
        guards=[guard],
        lifespan=[running],
        openapi_config=None,
        logging_config=None,
    )
    made.state.update(settings=settings, database=database)
    refuse_routes_without_role(made)
    return made


async def _start(settings: Settings, database: Database, stack: contextlib.AsyncExitStack) -> list[asyncio.Task[None]]:
    owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(3)}"
    voucherify = Client.of(settings)
    stack.push_async_callback(voucherify.close)
    wakeups = await stack.enter_async_context(Wakeups(database.url).listening())
    pool = await stack.enter_async_context(FunctionPool(database, settings.worker.functions).running())
    registry = Registry(database, CATALOGUE, environment(settings))
    await registry.refresh()
    relay = Relay(
        database,
        settings.segment_host,
        owner,
        settings.worker.lease,
        {slug: key.get_secret_value() for slug, key in settings.segment_write_keys.items()},
    )
    router = Router(database, owner, settings.worker.partitions, settings.worker.lease, registry)
    web = WebTransport.of(settings)
    stack.push_async_callback(web.close)
    transports: dict[str, Transport] = {"voucherify": voucherify, "web": web}
    reader = schema.SchemaReader(database, owner, settings.worker.partitions, settings.worker.lease)
    watch = Watch(database, transports, registry, settings.worker.lease)
    books = Books(database)
    ways = {"voucherify": Way(voucherify, 60 / (settings.voucherify_calls_per_minute or math.inf)), "web": Way(web)}
    deliverer = Deliverer(
        database=database,
        owner=owner,
        books=books,
        sender=Sender(database, books, ways),
        watch=watch,
        pool=pool,
        registry=registry,
        functions=discover(),
        retry=partial(backoff, base=settings.worker.retry_first, cap=settings.worker.retry_longest),
        lease_seconds=settings.worker.lease,
        order_hold=settings.worker.order_hold,
        budget=settings.worker.delivery_budget,
        most_lanes=settings.worker.lanes,
    )
    applier = Applier(database, LoyaltyV1(voucherify), emits=settings.own_door or SOURCE in settings.segment_write_keys)
    checkout = Checkout(database, voucherify, settings.worker.pending_order_after)
    stack.push_async_callback(_let_go, database, owner)
    stack.enter_context(_scheduled(settings, database, owner, registry, checkout, applier))
    log.info("worker.started", owner=owner)
    return [
        asyncio.create_task(work, name=name)
        for name, work in (
            ("relay", _repeat("relay", relay.run_once, wakeups)),
            ("route", _repeat("route", router.run_once, wakeups)),
            ("apply", _repeat("apply", applier.run_once, wakeups)),
            ("watch", _repeat("watch", watch.run_once, wakeups)),
            ("config", _repeat("config", registry.refresh, wakeups)),
            ("schema", _repeat("schema", reader.run_once, wakeups)),
            ("deliver", _keep_running("deliver", lambda: deliverer.run(wakeups))),
        )
    ]


async def _repeat(stage: str, once: Callable[[], Awaitable[bool]], wakeups: Wakeups) -> None:
    """Run a stage for ever: when it is woken, at the latest after a second; while there is work, again and again."""

    async def loop() -> None:
        while True:
            if await once():
                await asyncio.sleep(GATHER)
            else:
                await wakeups.wait(stage, 1.0)

    await _keep_running(stage, loop)


async def _keep_running(stage: str, run: Callable[[], Awaitable[None]]) -> None:
    """A stage that fails (the database restarts, say) begins again after a pause; the others do not notice."""
    failures = 0
    while True:
        started = asyncio.get_running_loop().time()
        try:
            await run()
        except Exception as error:  # noqa: BLE001 - a stage must come back whatever it was
            failures = 0 if asyncio.get_running_loop().time() - started > 60 else failures + 1
            log.error("stage.failed", stage=stage, error=repr(error)[:500])
        await asyncio.sleep(backoff(failures, cap=5.0))


@contextlib.contextmanager
def _scheduled(
    settings: Settings, database: Database, owner: str, registry: Registry, checkout: Checkout, applier: Applier
) -> Iterator[None]:
    """The jobs that run by the clock. Each is done by one worker at a time, by lease."""

    async def beat() -> None:
        async with database.connection() as connection:
            await lease.take(connection, f"worker:{owner}", owner, settings.worker.lease)

    replayer = Replayer(database, registry)
    pruner = Pruner(database, settings.keep)
    poller = Poller(database, checkout.voucherify, settings.poll_calls)
    points = Points(database, applier.engine, settings.worker.pending_order_after)
    scheduler = AsyncIOScheduler(job_defaults={"coalesce": True, "max_instances": 1})
    scheduler.add_job(beat, "interval", seconds=max(1.0, settings.worker.lease / 3), next_run_time=now())
    for name, seconds, job in (
        ("sweep", 5.0, lambda: sweep(checkout)),
        ("points", 5.0, lambda: sweep_points(points)),
        ("settle", 2.0, applier.settle_cards),
        ("replay", 2.0, replayer.run_once),
        ("prune", 60.0, pruner.run_once),
        *([("poll", settings.poll_every, poller.run_once)] if settings.poll_every else []),
    ):
        scheduler.add_job(
            run_alone, "interval", (database, name, owner, seconds, job), seconds=seconds, id=name, next_run_time=now()
        )
    scheduler.start()
    try:
        yield
    finally:
        scheduler.shutdown(wait=False)


async def _stop(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _let_go(database: Database, owner: str) -> None:
    """Give back all leases, so that other workers go on at once."""
    with contextlib.suppress(Exception):
        async with database.connection() as connection:
            await lease.release(connection, owner)
            for consumer in (route.CONSUMER, schema.CONSUMER):
                await event_log.give_back(connection, consumer, owner)


def main() -> None:
    try:
        settings = load_settings()
        configure_logging(settings, "worker")
        asyncio.run(preflight(settings))
        made = create_app(settings)
    except LoyaltyError as error:
        sys.exit(error.sentence)
    serve(made, settings.listen.worker_host, settings.listen.worker_port, "WORKER_PORT")


if __name__ == "__main__":
    main()
