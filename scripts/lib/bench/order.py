"""An order from the till's call until its points are in the profile, with all processes on two cores; and the knee.

Open loop: orders are sent when they are due, whether the last ones are through or not, and the time of each begins when
it was due, so a house that falls behind can't hide it. It ends when the change that brings the new balance to the
screens is written, by Postgres' clock, in the transaction that updates the profile. The load comes from this process,
on the same two cores.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any

import asyncpg
import uvloop

from scripts.lib.bench.install import Install
from scripts.lib.bench.machine import usable_cores
from scripts.lib.bench.rows import Result
from scripts.lib.bench.shop import LARGE, SMALL, Till, TurnedAway, house
from scripts.lib.bench.work import cpu_seconds
from scripts.lib.say import Stop

CORES = 2
MEMBERS = 200
RATE = 25
SECONDS = 30
UNLOADED = 2
"""Orders a second of the baseline."""
STEPS = (10, 25, 40, 60, 80, 100, 150, 200)
STEP_SECONDS = 12
KNEE = 1_000.0
"""Milliseconds: a step whose p99 is over this is past the knee."""
SETTLED_WITHIN = 20.0
"""Seconds after the last order of a step; a step whose orders are not through by then is past the knee as well."""


QUIET_WITHIN = 120.0


@dataclass(frozen=True)
class Step:
    """What a rate came to. Times in milliseconds."""

    rate: float
    orders: int
    lost: int
    """Those that were turned away, not answered, or whose points did not come in time."""
    p50: float
    p99: float
    most: float
    answered_p99: float
    """Until the till had its answer."""
    cpu: dict[str, float]
    """Of each process, for one order."""

    @property
    def is_fine(self) -> bool:
        return not self.lost and self.p99 <= KNEE


def measure() -> list[Result]:
    """The rate of the aim, then steps up to the knee."""
    with _two_cores(), house() as install:
        return uvloop.run(_measure(install))


async def _measure(install: Install) -> list[Result]:
    till, database = Till(install), await asyncpg.connect(install.url)
    try:
        members = await till.members(MEMBERS)
        await _step(install, till, database, members, RATE, 4)  # the first orders of a process are slower
        unloaded = await _step(install, till, database, members, UNLOADED, 10)
        aimed = await _step(install, till, database, members, RATE, SECONDS)
        steps = []
        for rate in STEPS:
            await _quiet(database)  # what the last step left behind must not count against this one
            steps.append(await _step(install, till, database, members, rate, STEP_SECONDS))
            if not steps[-1].is_fine:
                break
    finally:
        till.close()
        await database.close()
    knee = max((step.rate for step in steps if step.is_fine), default=0)
    return [
        Result.of("order", aimed.p99, {f"p99 at {UNLOADED} orders/s": unloaded.p99}, _detail(aimed)),
        Result(
            "order.knee",
            knee,
            "orders/s",
            RATE,
            "higher",
            {},
            {
                f"p99 at {step.rate}/s": f"{step.p99:,.0f} ms" + (f", {step.lost} not through" if step.lost else "")
                for step in steps
            },
        ),
    ]


def _detail(step: Step) -> dict[str, Any]:
    return {
        "orders": step.orders,
        "not through": step.lost,
        "p50": step.p50,
        "longest": step.most,
        "p99 of the till's answer": step.answered_p99,
        "CPU, ms an order": step.cpu,
    }


async def _step(
    install: Install, till: Till, database: asyncpg.Connection, members: list[str], rate: float, seconds: float
) -> Step:
    """Sell at a rate for some seconds, and wait until all orders are through or time is up."""
    due: dict[str, float] = {}
    answered: list[float] = []
    # This clock and Postgres', which is the same machine's, read together once.
    offset = (await database.fetchval("SELECT extract(epoch FROM clock_timestamp())::float8")) - time.perf_counter()
    cpu = cpu_seconds(install)
    began = time.perf_counter() + 0.1

    async def sell(number: int, at: float) -> None:
        try:
            order = await till.pay(members[number * 7919 % len(members)], LARGE if number % 4 == 0 else SMALL)
        except TurnedAway:
            return
        answered.append((time.perf_counter() - at) * 1000)
        due[order] = at + offset

    selling = []
    for number in range(int(rate * seconds)):
        at = began + number / rate
        await asyncio.sleep(max(0.0, at - time.perf_counter()))
        selling.append(asyncio.create_task(sell(number, at)))
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(SETTLED_WITHIN):
            await asyncio.gather(*selling)
    through = await _through(database, set(due))
    used = {name: (seconds - cpu[name]) / len(selling) * 1000 for name, seconds in cpu_seconds(install).items()}
    lost = len(selling) - len(through)
    # Those that did not get through count with the time they had: left out, they would make the others look good.
    times = sorted([(at - due[order]) * 1000 for order, at in through.items()] + lost * [SETTLED_WITHIN * 1000])
    answered = sorted(answered) or [SETTLED_WITHIN * 1000]
    return Step(rate, len(selling), lost, median(times), _p99(times), times[-1], _p99(answered), used)


async def _quiet(database: asyncpg.Connection) -> None:
    """Wait until nothing is under way."""
    until = time.monotonic() + QUIET_WITHIN
    under_way = " OR ".join(
        f"EXISTS (SELECT FROM {table} WHERE status = 'pending')" for table in ("emission", "delivery", "webhook")
    )
    while await database.fetchval(f"SELECT {under_way}"):
        if time.monotonic() > until:
            raise Stop(f"The house was still at work {QUIET_WITHIN:.0f} s after the last order.")
        await asyncio.sleep(0.2)


async def _through(database: asyncpg.Connection, orders: set[str]) -> dict[str, float]:
    """When the points of each order were in the profile, for those that get there in time: epoch seconds."""
    until = time.monotonic() + SETTLED_WITHIN
    while True:
        rows = await database.fetch(
            """SELECT data ->> 'order_id' AS order_id, extract(epoch FROM min(created_at))::float8 AS at FROM change
               WHERE kind = 'balance.changed' AND data ->> 'order_id' = ANY($1) GROUP BY 1""",
            list(orders),
        )
        if len(rows) == len(orders) or time.monotonic() > until:
            return {row["order_id"]: row["at"] for row in rows}
        await asyncio.sleep(0.5)


def _p99(ordered: list[float]) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]


@contextlib.contextmanager
def _two_cores() -> Iterator[None]:
    """Keep this process, and what it starts meanwhile, on two cores where the system can do that."""
    cores = usable_cores()
    if len(cores) <= CORES or not hasattr(os, "sched_setaffinity"):
        yield
        return
    os.sched_setaffinity(0, cores[:CORES])
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)
