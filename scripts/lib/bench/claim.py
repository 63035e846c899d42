"""Claiming: microseconds to lease ten lanes with a million waiting, over leasing ten with ten waiting.

Both wait on one server and are claimed by turns, so that what else the machine does falls on both. After each claim the
lanes are put back as they were, outside of the time that counts.
"""

import time
from statistics import median

import asyncpg
import uvloop

from app.db import embedded
from app.destinations.voucherify import VOUCHERIFY
from app.pipeline import destination_state, lanes
from scripts.lib.bench.install import Install, private_install
from scripts.lib.bench.rows import Result
from scripts.lib.say import Stop

FEW, MANY = 10, 1_000_000
CLAIMED = 10
"""Lanes that one claim leases, in both cases."""
CLAIMS = 500


def measure() -> list[Result]:
    """Medians of many claims, by turns in two databases: one with few lanes, one with many."""
    with private_install() as install:
        return [uvloop.run(_measure(install))]


async def _measure(install: Install) -> Result:
    own = await asyncpg.connect(embedded.database_url(install.url, "postgres"))
    await own.execute("CREATE DATABASE few TEMPLATE loyalty")
    await own.close()
    few = await _waiting(embedded.database_url(install.url, "few"), FEW)
    many = await _waiting(install.url, MANY)
    try:
        seconds = [(await _claim(few), await _claim(many)) for _ in range(CLAIMS)]
    finally:
        await few.close()
        await many.close()
    with_few, with_many = (median(each) * 1e6 for each in zip(*seconds[CLAIMS // 10 :], strict=True))
    return Result.of(
        "claim",
        with_many / with_few,
        {f"µs a claim with {FEW} waiting": with_few},
        {f"µs a claim with {MANY:,} waiting": with_many, "lanes a claim": CLAIMED, "claims": CLAIMS},
    )


async def _waiting(url: str, waiting: int) -> asyncpg.Connection:
    """A connection to a database in which so many deliveries wait, each in a lane of its own."""
    connection = await asyncpg.connect(url)
    await destination_state.make(connection, [VOUCHERIFY.slug])
    await connection.execute(
        """INSERT INTO delivery (event_position, destination, mapping, person, status, attempts, due_at, held, passed,
                                 created_at)
           SELECT n, $1, 'bench', 'u-' || n, 'pending', 0, now(), 0, false, now() FROM generate_series(1, $2) AS n""",
        VOUCHERIFY.slug,
        waiting,
    )
    await connection.execute(
        """INSERT INTO lane (destination, person, due_at)
           SELECT $1, 'u-' || n, now() - n * interval '1 millisecond' FROM generate_series(1, $2) AS n""",
        VOUCHERIFY.slug,
        waiting,
    )
    await connection.execute("VACUUM ANALYZE lane, delivery")
    return connection


async def _claim(connection: asyncpg.Connection) -> float:
    """One claim: seconds."""
    began = time.perf_counter()
    async with connection.transaction():
        claimed = await lanes.claim(connection, "bench", 60.0, CLAIMED)
    seconds = time.perf_counter() - began
    if len(claimed) != CLAIMED:
        raise Stop(f"{len(claimed)} lanes were claimed instead of {CLAIMED}: this is no measurement.")
    await connection.execute(
        """UPDATE lane SET owner = NULL, due_at = now() - substr(person, 3)::int * interval '1 millisecond'
           WHERE destination = $1 AND person = ANY($2)""",
        VOUCHERIFY.slug,
        [lane.person for lane in claimed],
    )
    return seconds
