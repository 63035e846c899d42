"""How far a reader of the log is behind: exact while that is little, an estimate where it is much."""

import pytest

from app.db.session import Database
from app.log import log
from app.log.log import waiting


async def fill(database: Database, events: int, partitions: int = 4) -> None:
    async with database.connection() as connection:
        await connection.execute(
            f"""INSERT INTO event (partition, person, message_id, source, type, message, received_at)
                SELECT n % {partitions}, 'p', n::text, 'till', 'page', '{{}}', now()
                FROM generate_series(1, {events}) AS n"""
        )


async def read_to(database: Database, *positions: int) -> None:
    async with database.connection() as connection:
        await connection.executemany(
            """INSERT INTO log_cursor (consumer, partition, position) VALUES ('route', $1, $2)
               ON CONFLICT (consumer, partition) DO UPDATE SET position = excluded.position""",
            list(enumerate(positions)),
        )


async def count(database: Database) -> int:
    async with database.connection() as connection:
        return await waiting(connection, "route")


async def test_what_was_read_does_not_wait(database: Database) -> None:
    """Nobody ever read: all of it waits. Read in part: what is left, in each partition. Read whole: nothing."""
    assert await count(database) == 0
    await fill(database, 40)
    assert await count(database) == 40
    await read_to(database, 40, 1, 40, 40)
    assert await count(database) == 9
    await read_to(database, 40, 40, 40, 40)
    assert await count(database) == 0


async def test_a_partition_where_little_happens_does_not_count_what_others_have_read(database: Database) -> None:
    """One event in a partition that was quiet for long is one event, however far the position went meanwhile."""
    await fill(database, 4000, partitions=2)
    async with database.connection() as connection:
        await connection.execute(
            """INSERT INTO event (partition, person, message_id, source, type, message, received_at)
               VALUES (3, 'p', 'x', 'till', 'page', '{}', now())"""
        )
    await read_to(database, 4001, 4001, 0, 0)
    assert await count(database) == 1


async def test_much_is_estimated_by_positions(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond what is counted, the distance in positions and the share of a partition give the number, near enough."""
    monkeypatch.setattr(log, "FEW", 10)
    await fill(database, 4000)
    await read_to(database, 0, 0, 0, 0)
    assert await count(database) == pytest.approx(4000, rel=0.01)
    await read_to(database, 2000, 2000, 4000, 4000)
    assert await count(database) == pytest.approx(1000, rel=0.01)
