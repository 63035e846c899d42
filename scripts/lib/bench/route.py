"""The router: from the log to profiles, facts and deliveries.

The log holds what a shop's libraries send. Seven mappings look at every event, and 5 % of the events meet one: the
orders and the identifies, as in a programme that leaves product views out of Voucherify. The baseline reads the same
events from the log and does nothing with them.
"""

import time
from dataclasses import replace
from typing import Any

import psutil  # type: ignore[import-untyped]  # it has no types
import uvloop

from app.db.base import now
from app.db.session import Database
from app.destinations.voucherify import VOUCHERIFY
from app.log import log as event_log
from app.pipeline.registry import Connected, Registry, connect, rows_of
from app.pipeline.route import BATCH, Router
from app.segment import messages
from scripts.lib.bench.events import identify, order_completed, product_viewed
from scripts.lib.bench.install import private_install
from scripts.lib.bench.rows import Result
from scripts.lib.say import Stop

EVENTS = 40_000
PEOPLE = 4_000
PARTITIONS = 8


def measure() -> list[Result]:
    """One router, all partitions, until the log is routed."""
    with private_install() as install:
        return [uvloop.run(_measure(install.database()))]


async def _measure(database: Database) -> Result:
    await _fill(database, EVENTS)
    read = await _read(database)
    process = psutil.Process()
    router = Router(
        database, "bench", partitions=PARTITIONS, lease_seconds=60, registry=Registry(database, {}, {}, connected())
    )
    began, cpu = time.perf_counter(), process.cpu_times()
    while await router.run_once():
        pass
    seconds, after = time.perf_counter() - began, process.cpu_times()
    async with database.connection() as connection:
        deliveries = await connection.fetchval("SELECT count(*) FROM delivery")
        poison = await connection.fetchval("SELECT count(*) FROM poison_event")
    await database.close()
    if poison or deliveries != EVENTS // 20:
        raise Stop(f"Of {EVENTS} events {deliveries} made a delivery and {poison} failed: this is no measurement.")
    return Result.of(
        "route",
        EVENTS / seconds,
        {"events/s only read": EVENTS / read},
        {
            "events": EVENTS,
            "people": PEOPLE,
            "deliveries": deliveries,
            "CPU of the router, µs an event": (sum(after[:2]) - sum(cpu[:2])) / EVENTS * 1e6,
            "memory, MB": process.memory_info().rss / 2**20,
        },
    )


def connected() -> dict[str, Connected]:
    """Our Voucherify destination; what takes every track, page or screen event is narrowed to those of a programme."""
    narrowed = {
        "track": 'type = "track" and event = "Coupon Requested"',
        "page": 'type = "page" and name = "Rewards"',
        "screen": 'type = "screen" and name = "Rewards"',
    }
    presets = [
        replace(preset, trigger=narrowed[kind])
        if (kind := next((kind for kind in narrowed if preset.trigger.startswith(f'type = "{kind}"')), ""))
        and preset.action == "addCustomEvent"
        else preset
        for preset in VOUCHERIFY.presets
    ]
    return {VOUCHERIFY.slug: connect(VOUCHERIFY.slug, VOUCHERIFY, {}, rows_of(presets))}


async def _fill(database: Database, events: int) -> None:
    """Append as the door does: one event of twenty is an order or an identify."""
    at = now()
    for first in range(0, events, 2_500):
        made = [
            messages.new_event(messages.complete(_message(number), messages.envelope_of({}), at), "online-store", at)
            for number in range(first, first + 2_500)
        ]
        async with database.transaction() as connection:
            await event_log.append(connection, made, PARTITIONS)


def _message(number: int) -> dict[str, Any]:
    if number % 20:
        return product_viewed(number, PEOPLE)
    # Spread over the people: number % PEOPLE would always be one of the same 200.
    person = number // 20
    return identify(person, PEOPLE) if person % 5 == 0 else order_completed(person, PEOPLE)


async def _read(database: Database) -> float:
    """Seconds to read the whole log in batches of the router's size."""
    began = time.perf_counter()
    for partition in range(PARTITIONS):
        at = 0
        while True:
            async with database.transaction() as connection:
                events = await event_log.read(connection, {partition: at}, BATCH)
            if not events:
                break
            at = events[-1].position
    return time.perf_counter() - began
