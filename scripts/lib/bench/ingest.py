"""The door: how many events a second are committed, over how many a bare COPY of the same rows commits.

Eight keep-alive connections post batches of 100 to one web process. After each round the rows that it stored are
copied out, and in again by one connection and one COPY, into a table with the same columns and indexes. COPY checks
nothing, de-duplicates nothing and wakes nobody: it is what the disk and Postgres allow.
"""

import asyncio
import base64
import json
import time
from collections.abc import Iterator
from io import BytesIO
from statistics import median

import asyncpg
import psutil  # type: ignore[import-untyped]  # it has no types
import uvloop

from scripts.lib.bench.events import product_viewed
from scripts.lib.bench.install import Install, private_install
from scripts.lib.bench.rows import Result
from scripts.lib.bench.wire import Wire
from scripts.lib.say import Stop

CONNECTIONS = 8
BATCH = 100
EVENTS = 20_000
"""In one round."""
ROUNDS = 3
PEOPLE = 2_000
COLUMNS = ("partition", "person", "message_id", "source", "type", "name", "order_id", "message", "received_at")


def measure() -> list[Result]:
    """Rounds of door and COPY by turns; the ratio is that of the medians."""
    with private_install() as install:
        pid = install.start("app.main")
        install.wait_for(f"{install.web}/health/live")
        return [uvloop.run(_measure(install, psutil.Process(pid)))]


async def _measure(install: Install, web: psutil.Process) -> Result:
    connection = await asyncpg.connect(install.url)
    try:
        key = await connection.fetchval("SELECT key FROM write_key WHERE source = 'online-store'")
        await connection.execute("CREATE TABLE bench_copy (LIKE event INCLUDING ALL)")
        await _post(install.web, key, _batches(2_000))  # the first requests of a process are slower
        doors, copies, cpu = [], [], []
        for _ in range(ROUNDS):
            bodies = list(_batches(EVENTS))
            stored = await connection.fetchval("SELECT coalesce(max(position), 0) FROM event")
            before = sum(web.cpu_times()[:2])
            began = time.perf_counter()
            await _post(install.web, key, iter(bodies))
            doors.append(EVENTS / (time.perf_counter() - began))
            cpu.append((sum(web.cpu_times()[:2]) - before) / EVENTS * 1e6)
            copies.append(await _copy(connection, stored))
    finally:
        await connection.close()
    return Result.of(
        "ingest",
        median(doors) / median(copies),
        {"events/s by COPY": median(copies)},
        {
            "events/s by the door": median(doors),
            "rounds": doors,
            "CPU of the web process, µs an event": median(cpu),
        },
    )


def _batches(events: int) -> Iterator[bytes]:
    for first in range(0, events, BATCH):
        batch = [product_viewed(number, PEOPLE) for number in range(first, first + BATCH)]
        yield json.dumps({"batch": batch, "sentAt": "2026-01-01T12:00:00.500Z"}).encode()


async def _post(url: str, key: str, bodies: Iterator[bytes]) -> None:
    """Post all bodies, each connection the next one as soon as its last was answered."""
    headers = f"authorization: Basic {base64.b64encode(f'{key}:'.encode()).decode()}\r\n"
    headers += "content-type: application/json\r\n"

    async def sender() -> None:
        wire = await Wire.open(url)
        for body in bodies:
            status, answered = await wire.call("POST", "/v1/batch", headers, body)
            if status != 200:
                raise Stop(f"The door answered {status}: {answered[:200]!r}")
        wire.close()

    await asyncio.gather(*(sender() for _ in range(CONNECTIONS)))


async def _copy(connection: asyncpg.Connection, after: int) -> float:
    """Copy the rows of the round into the twin; rows a second."""
    rows = BytesIO()
    query = f"SELECT {', '.join(COLUMNS)} FROM event WHERE position > $1"  # noqa: S608 - our own names
    await connection.copy_from_query(query, after, output=rows)
    rows.seek(0)
    began = time.perf_counter()
    done = await connection.copy_to_table("bench_copy", source=rows, columns=COLUMNS)
    return int(done.split()[1]) / (time.perf_counter() - began)
