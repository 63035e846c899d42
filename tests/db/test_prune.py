"""What is old goes, in batches; what somebody has still to read or to decide on stays."""

import asyncio
from typing import Any

import pytest

from app.db import prune
from app.db.prune import Pruner
from app.db.session import Database
from app.setting_groups import KeepSettings

KEEP = KeepSettings(events_days=90, deliveries_days=30, webhooks_days=30)
OLD = 100
"""Days: older than anything is kept."""


async def event(
    database: Database, number: int, days: int = OLD, delivery: str | None = None, finished: int = OLD
) -> None:
    """An event of so many days ago, and its delivery in this state, finished so many days ago."""
    async with database.connection() as connection:
        await connection.execute(
            """INSERT INTO event (position, partition, person, message_id, source, type, message, received_at)
               VALUES ($1, 0, 'p', $2, 'till', 'page', '{}', now() - make_interval(days => $3))""",
            number,
            str(number),
            days,
        )
        if delivery is None:
            return
        await connection.execute(
            """INSERT INTO delivery (id, event_position, destination, mapping, person, status, attempts, due_at, held,
                                     passed, created_at, finished_at)
               VALUES ($1, $1, 'd', 'm', 'p', $2, 1, now(), 0, false, now(), now() - make_interval(days => $3))""",
            number,
            delivery,
            finished,
        )
        await connection.execute(
            "INSERT INTO attempt (delivery_id, started_at, request) VALUES ($1, now(), '{}')", number
        )
        await connection.execute(
            """INSERT INTO function_result (event_position, destination, outcome, log, calls, milliseconds, started_at,
                                            finished_at) VALUES ($1, 'd', 'returned', '', '[]', 1, now(), now())""",
            number,
        )


async def read_to(database: Database, position: int, consumer: str = "route") -> None:
    await run(database, "INSERT INTO log_cursor (consumer, partition, position) VALUES ($1, 0, $2)", consumer, position)


async def run(database: Database, statement: str, *values: Any) -> None:
    async with database.connection() as connection:
        await connection.execute(statement, *values)


async def left(database: Database, table: str, column: str) -> list[Any]:
    async with database.connection() as connection:
        return [row[0] for row in await connection.fetch(f"SELECT {column} FROM {table} ORDER BY 1")]


async def test_deliveries_that_ended_well_go_with_all_that_is_theirs(database: Database) -> None:
    """After their days they go with attempts and function's result; every other state stays, however old."""
    for number, status in enumerate(("delivered", "filtered", "pending", "failed", "unclear"), start=1):
        await event(database, number, delivery=status)
    await event(database, 6, delivery="delivered", finished=29)
    await Pruner(database, KEEP).run_once()
    for table, column in (("delivery", "id"), ("attempt", "delivery_id"), ("function_result", "event_position")):
        assert await left(database, table, column) == [3, 4, 5, 6]


async def test_a_functions_result_stays_while_another_delivery_needs_it(database: Database) -> None:
    """Of two mappings of one event, one delivered and one pending: the result that both use is kept."""
    await event(database, 1, delivery="delivered")
    await run(
        database,
        "INSERT INTO delivery SELECT 2, 1, 'd', 'other', 'p', 'pending', 0, now(), 0, NULL, NULL, false, now()",
    )
    await Pruner(database, KEEP).run_once()
    assert await left(database, "delivery", "id") == [2]
    assert await left(database, "function_result", "event_position") == [1]


async def test_events_stay_while_somebody_may_need_them(database: Database) -> None:
    """Old events go, but not one that a consumer has not read, that has a delivery left, or that is poison."""
    await event(database, 1)
    await event(database, 2, delivery="pending")
    await event(database, 3, delivery="failed")
    await event(database, 4, delivery="unclear")
    await event(database, 5, delivery="delivered")
    await event(database, 6, delivery="delivered", finished=10)
    await event(database, 7)
    await run(database, "INSERT INTO poison_event (event_position, error, created_at) VALUES (7, 'x', now())")
    await event(database, 8, days=89)
    await event(database, 9)
    await event(database, 10)
    await Pruner(database, KEEP).run_once()
    assert len(await left(database, "event", "position")) == 10  # nobody has read anything yet
    await read_to(database, 10)
    await read_to(database, 9, "another consumer")
    await Pruner(database, KEEP).run_once()
    assert await left(database, "event", "position") == [2, 3, 4, 6, 7, 8, 10]


async def test_what_must_stay_does_not_block_what_may_go(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """With more old undecided events in front than a batch holds, the walk gets past them, run by run."""
    monkeypatch.setattr(prune, "BATCH", 3)
    for number in range(1, 8):
        await event(database, number, days=OLD + 50, delivery="pending")
    for number in range(8, 21):
        await event(database, number)
    await read_to(database, 100)
    pruner = Pruner(database, KEEP)
    for _ in range(4):
        await pruner.run_once()
    assert await left(database, "event", "position") == [1, 2, 3, 4, 5, 6, 7]
    await run(database, "UPDATE delivery SET status = 'delivered'")
    for _ in range(4):
        await pruner.run_once()
    assert await left(database, "event", "position") == []


async def test_two_prune_at_once_and_nothing_is_in_their_way(database: Database) -> None:
    """Workers that prune at the same moment end the same, and a row that is being delivered waits for nobody."""
    for number in range(1, 51):
        await event(database, number, delivery="delivered" if number % 2 else "pending")
    await read_to(database, 100)
    async with database.transaction() as connection:
        await connection.execute("UPDATE delivery SET attempts = 5 WHERE status = 'pending'")
        async with asyncio.timeout(60):
            await asyncio.gather(*[Pruner(database, KEEP).run_once() for _ in range(3)])
    assert await left(database, "event", "position") == list(range(2, 51, 2))


@pytest.mark.parametrize(
    ("table", "columns", "row", "kept_states", "days"),
    [
        (
            "webhook",
            "source_id, event_id, type, body, attempts, due_at, received_at, status, applied_at",
            "'s', $1, 't', '{}', 0, now(), now(), $2, now() - make_interval(days => $3)",
            {"applied": False, "ignored": False, "pending": True, "failed": True},
            30,
        ),
        (
            "emission",
            "source, message_id, message, attempts, due_at, created_at, status, sent_at",
            "'s', $1, '{}', 0, now(), now(), $2, now() - make_interval(days => $3)",
            {"sent": False, "pending": True, "dead": True},
            90,
        ),
        (
            "function_once",
            "function, key, result, created_at",
            "$2::text, $1, '1', now() - make_interval(days => $3)",
            {"a": False},
            90,
        ),
    ],
    ids=["webhook", "emission", "function_once"],
)
async def test_each_table_by_its_own_time_and_states(
    database: Database, table: str, columns: str, row: str, kept_states: dict[str, bool], days: int
) -> None:
    """A row that is done goes after its days and not before; one that waits or was given up stays."""
    for status in kept_states:
        for age in (days - 1, days + 1):
            await run(database, f"INSERT INTO {table} ({columns}) VALUES ({row})", f"{status}-{age}", status, age)
    await Pruner(database, KEEP).run_once()
    key = {"webhook": "event_id", "emission": "message_id", "function_once": "key"}[table]
    assert await left(database, table, key) == sorted(
        f"{status}-{age}" for status, kept in kept_states.items() for age in (days - 1, days + 1) if kept or age < days
    )


async def test_a_large_backlog_goes_in_batches(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is more than a batch goes in several statements of one run; what was not old is there afterwards."""
    monkeypatch.setattr(prune, "BATCH", 100)
    await run(
        database,
        """INSERT INTO event_key (message_id, received_at)
                           SELECT n::text, now() - make_interval(days => n % 14) FROM generate_series(1, 1400) AS n""",
    )
    assert await Pruner(database, KEEP).run_once() == 700
    assert await left(database, "event_key", "count(*)") == [700]


@pytest.mark.parametrize("days", [2, 20])
async def test_message_ids_are_kept_as_long_as_is_set(database: Database, days: int) -> None:
    """The window in which a repetition is known is the one that is set; counts of refusals stay for 30 days."""
    for age in (1, 3, 19, 21, 40):
        await run(
            database,
            """INSERT INTO event_key (message_id, received_at) VALUES ($1, now() - make_interval(days => $2))""",
            str(age),
            age,
        )
        await run(
            database,
            """INSERT INTO reject_count (source, code, hour, count)
               VALUES ('till', 'bad_request', now() - make_interval(days => $1), 1)""",
            age,
        )
    await Pruner(database, KEEP.model_copy(update={"message_ids_days": days})).run_once()
    assert {int(kept) for kept in await left(database, "event_key", "message_id")} == {
        age for age in (1, 3, 19, 21, 40) if age < days
    }
    assert await left(database, "reject_count", "count(*)") == [4]
