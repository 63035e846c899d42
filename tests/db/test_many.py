"""Statements for many rows, and what happens to others when a process is paused in the midst of one."""

import asyncio
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest

from app.db import many
from tests.conftest import MakeDatabase

ROOT = Path(__file__).parents[2]
CHANGE = "UPDATE stock SET n = new.n FROM unnest($1::integer[], $2::integer[]) AS new (id, n) WHERE stock.id = new.id"
SLEEPER = f"""
import asyncio, os, signal, sys
from app.db import many, session

session.SERVER_SETTINGS |= {{"idle_in_transaction_session_timeout": "500ms", "transaction_timeout": "1s"}}

async def main():
    database = session.Database(sys.argv[1], 3)
    rows = [(number, 1) for number in range(1, 11)]
    async with database.transaction() as connection:
        await connection.execute("CREATE TABLE stock (id integer PRIMARY KEY, n integer)")
        await connection.execute("INSERT INTO stock SELECT n, 0 FROM generate_series(1, 10) AS n")
    async with database.transaction() as connection:
        await connection.execute("UPDATE stock SET n = 2 WHERE id = 1")
        # A statement that this session has not seen: the server reads it, and is then told to run it.
        changing = asyncio.create_task(many.execute(connection, {CHANGE!r}, rows))
        for _ in range(int(sys.argv[2])):
            await asyncio.sleep(0)
        print("asleep", flush=True)
        os.kill(os.getpid(), signal.SIGSTOP)
        await changing

asyncio.run(main())
"""


async def test_rows_become_columns(make_database: MakeDatabase) -> None:
    """Each row is one of the statement's; without rows nothing is sent."""
    connection = await asyncpg.connect(await make_database("many"))
    try:
        await connection.execute("CREATE TABLE stock (id integer PRIMARY KEY, n integer)")
        await connection.execute("INSERT INTO stock VALUES (1, 0), (2, 0), (3, 0)")
        await many.execute(connection, CHANGE, [(1, 10), (3, None)])
        await many.execute(connection, CHANGE, [])
        assert [tuple(row) for row in await connection.fetch("SELECT * FROM stock ORDER BY id")] == [
            (1, 10),
            (2, 0),
            (3, None),
        ]
    finally:
        await connection.close()


@pytest.mark.parametrize("turns", range(0, 12, 2))
async def test_a_process_paused_in_the_midst_of_a_statement_is_broken_off(
    make_database: MakeDatabase, turns: int
) -> None:
    """After however many turns of its loop it stands still: soon the server gives its locks to who waits for them."""
    url = await make_database("paused_many")
    sleeper = subprocess.Popen(  # noqa: ASYNC220 - it is only begun
        [sys.executable, "-c", SLEEPER, url, str(turns)],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert sleeper.stdout is not None
    try:
        assert await asyncio.to_thread(sleeper.stdout.readline) == b"asleep\n"
        connection = await asyncpg.connect(url)
        async with asyncio.timeout(60):
            await connection.execute("UPDATE stock SET n = 5 WHERE id = 1")
        assert await connection.fetchval("SELECT n FROM stock WHERE id = 1") == 5
        await connection.close()
    finally:
        sleeper.send_signal(signal.SIGKILL)
        sleeper.wait()
        sleeper.stdout.close()


def test_nothing_is_sent_in_parts() -> None:
    """No module that shares its database with other processes uses what leaves a statement open between two writes."""
    parts = re.compile(r"\.(executemany|copy_\w+_table)\(")
    modules = [path for path in (ROOT / "app").rglob("*.py") if "sandbox" not in path.parts]
    assert len(modules) > 100
    assert [str(path) for path in modules if parts.search(path.read_text())] == []
