"""Behind a destination that is down a backlog costs nothing, and when it comes back it drains at the allowed pace."""

import asyncio
from typing import Any

import asyncpg
import httpx
import pytest

from app.db.session import Database
from app.pipeline import destination_state, lanes
from tests.pipeline.conftest import MakeDeliverer
from tests.pipeline.road import DESTINATION, hurry, order, routed, states, work

ALIVE = DESTINATION
DEAD = "dead"


async def backlog(connection: asyncpg.Connection, destination: str, rows: int) -> None:
    """Lanes of a destination, all due, as the router would have made them; the oldest of all."""
    await connection.execute(
        """INSERT INTO lane (destination, person, due_at)
           SELECT $1, 'w-' || n, now() - interval '1 day' + n * interval '1 ms' FROM generate_series(1, $2) AS n""",
        destination,
        rows,
    )
    await connection.execute("ANALYZE lane")


async def cost(connection: asyncpg.Connection) -> tuple[int, int]:
    """Pages that a claim touches, and lanes that it gets."""
    transaction = connection.transaction()
    await transaction.start()
    sql = lanes.CLAIM.replace("$1", "'w'").replace("$2", "10").replace("$3", "10")
    (plan,) = await connection.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}")
    await transaction.rollback()
    pages = plan["Plan"]["Shared Hit Blocks"] + plan["Plan"]["Shared Read Blocks"]
    return pages, plan["Plan"]["Actual Rows"]


@pytest.mark.parametrize("rows", [100_000, pytest.param(1_000_000, marks=pytest.mark.long)])
async def test_a_claim_costs_the_same_whatever_waits(database: Database, rows: int) -> None:
    """With many lanes due, of a destination that is down and of one that is up, a claim reads a few pages, as with
    ten; nothing of the one that is down is claimed, and all of the other."""
    async with database.connection() as connection:
        await destination_state.make(connection, [ALIVE, DEAD])
        await destination_state.note_down(connection, DEAD, "no answer", 60)
        await backlog(connection, ALIVE, rows)
        await backlog(connection, DEAD, rows)
        pages, claimed = await cost(connection)
        # The table has thousands. Ten lanes that wait alone cost some 60 pages.
        assert (claimed, pages < 250) == (10, True), f"{pages} pages"
        got = await lanes.claim(connection, "w", 10, 50)
        assert {lane.destination for lane in got} == {ALIVE}


async def test_a_backlog_drains_at_the_allowed_pace(database: Database, deliverer: MakeDeliverer) -> None:
    """When the destination is back, two workers together keep the pace that is set, and everything arrives."""
    down = True

    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(503 if down else 200, json={})

    names = [f"o-{number}" for number in range(30)]
    await routed(database, *(order(name, user=name) for name in names))
    pair = [deliverer(httpx.MockTransport(answer), owner=f"w-{n}", interval=0.02) for n in range(2)]
    await work(pair[0])
    down = False
    while "pending" in {status for _, status in await states(database)}:
        await hurry(database)
        await asyncio.gather(*map(work, pair))
    async with database.connection() as connection:
        times: list[Any] = await connection.fetchval(
            "SELECT array_agg(extract(epoch FROM ended_at)::float8) FROM attempt WHERE outcome = 'done'"
        )
    assert len(times) == len(names)
    assert max(times) - min(times) > (len(names) - 1) * 0.02 * 0.8
