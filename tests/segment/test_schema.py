"""The schema of a source: what a batch says, and that every event counts once, whatever workers do."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.db.base import now
from app.db.prune import Pruner
from app.db.session import Database
from app.errors import LeaseLost
from app.log import log
from app.log.log import NewEvent, StoredEvent
from app.segment import schema
from app.segment.schema import SchemaReader
from app.segment.schema_fold import (
    BEYOND_NAMES,
    BEYOND_PATHS,
    DEEPEST,
    LONGEST_NAME,
    LONGEST_PATH,
    MOST_ELEMENTS,
    MOST_NAMES,
    MOST_PATHS,
    Fold,
)
from app.segment.schema_rows import kinds, properties
from app.setting_groups import KeepSettings

AT = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
PARTITIONS = 4

json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=30,
)


def stored(message: Any, source: str = "till") -> StoredEvent:
    return StoredEvent(1, 0, "u-1", source, None, message)


def folded(*messages: Any) -> Fold:
    fold = Fold()
    fold.add([stored(message) for message in messages], AT)
    return fold


def types(fold: Fold) -> dict[str, dict[str, int]]:
    """The types of each property, of a fold with one kind of event."""
    (kind,) = fold.kinds.values()
    return {path: one.types for path, one in kind.paths.items()}


def track(event: str = "Coffee Drunk", at: datetime = AT, user: str = "u-1", **properties: Any) -> dict[str, Any]:
    """A track call as the log has it."""
    return {"type": "track", "event": event, "userId": user, "receivedAt": at.isoformat(), "properties": properties}


def numbered(*numbers: int) -> dict[str, Any]:
    """Properties of these names."""
    return {f"p{number}": number for number in numbers}


async def store(database: Database, *messages: dict[str, Any], source: str = "till") -> None:
    events = [
        NewEvent(
            message_id=str(uuid4()),
            source=source,
            type=message["type"],
            name=message.get("event"),
            person=message["userId"],
            order_id=None,
            message=msgspec.json.encode(message),
            received_at=now(),
        )
        for message in messages
    ]
    async with database.transaction() as connection:
        await log.append(connection, events, PARTITIONS)


def reader(database: Database, owner: str = "a") -> SchemaReader:
    return SchemaReader(database, owner, PARTITIONS, lease_seconds=10)


async def counted(database: Database, source: str = "till") -> dict[tuple[str, str], int]:
    return {(kind.type, kind.name): kind.count for kind in await kinds(database, source)}


def test_properties_are_counted_with_their_types() -> None:
    """Objects and lists are flattened, a list's elements under `[]`, and each value counts with its type."""
    products = [{"price": 2.5}, {"price": "3"}, {"price": None}]
    found = types(folded(track(cups=2, store={"city": "Lima"}, products=products), track(cups=True)))
    assert found == {
        "properties.cups": {"number": 1, "boolean": 1},
        "properties.store": {"object": 1},
        "properties.store.city": {"string": 1},
        "properties.products": {"array": 1},
        "properties.products[]": {"object": 3},
        "properties.products[].price": {"number": 1, "string": 1, "null": 1},
    }


@pytest.mark.parametrize(
    ("message", "key"),
    [
        ({"type": "track", "event": "Coffee Drunk", "name": "x"}, ("till", "track", "Coffee Drunk")),
        ({"type": "page", "name": "Menu", "event": "x"}, ("till", "page", "Menu")),
        ({"type": "screen"}, ("till", "screen", "")),
        ({"type": "identify", "traits": {"a": 1}}, ("till", "identify", "")),
        ({"type": "page", "name": {"a": 1}}, ("till", "page", "")),
    ],
    ids=["track", "page", "screen", "identify", "no text"],
)
def test_a_kind_of_event_has_type_and_name(message: dict[str, Any], key: tuple[str, str, str]) -> None:
    """Track calls are told apart by their event, pages and screens by their name, the others by their type alone."""
    assert list(folded(message).kinds) == [key]


def test_first_and_last_are_when_it_was_received() -> None:
    """Kind and property are seen first and last at the times of their own events; a time that is none is now."""
    later = AT + timedelta(hours=1)
    earlier = AT - timedelta(hours=1)
    fold = folded(track(at=later, a=1), track(at=earlier, b=1), {**track(c=1), "receivedAt": "yesterday"})
    (kind,) = fold.kinds.values()
    assert (kind.first, kind.last, kind.count) == (earlier, later, 3)
    assert {path: (one.first, one.last) for path, one in kind.paths.items()} == {
        "properties.a": (later, later),
        "properties.b": (earlier, earlier),
        "properties.c": (AT, AT),
    }


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=50)
@given(
    st.lists(
        st.dictionaries(st.sampled_from(["type", "event", "name", "properties", "traits", "receivedAt"]), json),
        max_size=5,
    )
)
def test_any_json_can_be_counted(messages: list[dict[str, Any]]) -> None:
    """Whatever a message has in it, it counts once, and every name and path is within its length."""
    fold = folded(*messages)
    assert sum(kind.count for kind in fold.kinds.values()) == len(messages)
    for (_, _, name), kind in fold.kinds.items():
        assert len(name) <= LONGEST_NAME
        assert all(len(path) <= LONGEST_PATH for path in kind.paths)


def test_what_is_deep_or_long_is_bounded() -> None:
    """Beyond so many levels only the container counts, and of a list so many elements."""
    deep: Any = 1
    for _ in range(50):
        deep = {"a": deep}
    found = types(folded(track(deep=deep, long=[1] * 1_000)))
    assert max(path.count(".a") for path in found) == DEEPEST - 1
    assert found["properties.long[]"] == {"number": MOST_ELEMENTS}


async def test_every_event_counts_once_with_several_workers(database: Database) -> None:
    """Three workers that start, stop and begin anew at the same time count each event of each partition once."""
    expected: dict[tuple[str, str], int] = {}
    for n in range(300):
        name = f"Event {n % 7}"
        expected["track", name] = expected.get(("track", name), 0) + 1
    await store(database, *[track(f"Event {n % 7}", user=f"u-{n}", **numbered(n % 5)) for n in range(300)])

    async def work(owner: str) -> None:
        for _ in range(6):
            await reader(database, owner).run_once()
            async with database.connection() as connection:
                await log.give_back(connection, schema.CONSUMER, owner)

    await asyncio.gather(*(work(owner) for owner in "abc"))
    while await reader(database).run_once():
        pass
    assert await counted(database) == expected
    seen = await properties(database, "till", "track", "Event 0")
    assert sum(sum(one.types.values()) for one in seen) == expected["track", "Event 0"]


async def test_batches_add_up(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """What several batches say is added: counts, types, the earliest and the latest time; and a full one says so."""
    monkeypatch.setattr(schema, "BATCH", 1)
    monkeypatch.setattr(schema, "REST", 0.0)
    later = AT + timedelta(days=1)
    await store(database, track(at=later, cups=1), track(cups="1"), track(cups=2))
    one = reader(database)
    assert [await one.run_once() for _ in range(4)] == [True, True, True, False]
    (kind,) = await kinds(database, "till")
    assert (kind.count, kind.first_seen, kind.last_seen, kind.mixed) == (3, AT, later, 1)
    (cups,) = await properties(database, "till", "track", "Coffee Drunk")
    assert (cups.types, cups.mixed, cups.first_seen, cups.last_seen) == ({"number": 2, "string": 1}, True, AT, later)


async def test_a_worker_that_lost_its_lease_counts_nothing(database: Database) -> None:
    """What was counted while another took the partition is undone, and the other counts it."""
    await store(database, track())
    late = reader(database)
    late.share._positions = dict.fromkeys(range(PARTITIONS), 0)
    late.share._renew_at = float("inf")  # it believes that the partitions are still its own
    assert await reader(database, "b").run_once() is False
    with pytest.raises(LeaseLost):
        await late._batch({**late.share._positions})
    assert await counted(database) == {("track", "Coffee Drunk"): 1}


async def test_names_and_properties_are_bounded(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A source may have so many names and a kind so many properties, also when workers add at once; the rest is counted
    under a name that says so, and what was there before goes on to be counted as itself."""
    monkeypatch.setattr(schema, "BATCH", 200)
    monkeypatch.setattr(schema, "REST", 0.0)
    wide = [track("Wide", user=f"w-{n}", **numbered(*(n * 100 + k for k in range(40)))) for n in range(12)]
    many = [track(f"Event {n}", user=f"u-{n}") for n in range(MOST_NAMES + 50)]
    await store(database, *wide, *many)

    async def work(owner: str) -> None:
        one = reader(database, owner)
        left = 1
        while left:
            one.share._renew_at = 0.0  # the partitions are shared out anew, so that both have some
            await one.run_once()
            async with database.connection() as connection:
                left = await log.waiting(connection, schema.CONSUMER)

    async with asyncio.timeout(60):
        await asyncio.gather(work("a"), work("b"))
    found = await counted(database)
    assert len(found) == MOST_NAMES + 1
    assert found["track", BEYOND_NAMES] == 51
    assert sum(found.values()) == len(wide) + len(many)
    paths = {one.path: one.types for one in await properties(database, "till", "track", "Wide")}
    assert len(paths) == MOST_PATHS + 1
    assert paths[BEYOND_PATHS] == {"number": 12 * 40 - MOST_PATHS}
    await store(database, track("Event 0"), track("One more"))
    known = await counted(database)
    await reader(database).run_once()
    assert (await counted(database))["track", BEYOND_NAMES] == known["track", BEYOND_NAMES] + 1
    assert sum((await counted(database)).values()) == sum(known.values()) + 2


async def test_two_workers_do_not_use_the_last_place_twice(database: Database) -> None:
    """Who adds names waits for another who does; the place that the other took is then seen as taken."""
    async with database.transaction() as connection:
        await schema.keep(connection, folded(*[track(f"Event {n}") for n in range(MOST_NAMES - 1)]).kinds)

    async def add(name: str) -> None:
        async with database.transaction() as connection:
            await schema.keep(connection, folded(track(name)).kinds)

    async with database.transaction() as connection:
        await schema.keep(connection, folded(track("The last")).kinds)
        other = asyncio.create_task(add("One too many"))
        await asyncio.sleep(0.2)
        assert not other.done()
    await other
    found = await counted(database)
    assert (found["track", "The last"], found["track", BEYOND_NAMES]) == (1, 1)
    assert ("track", "One too many") not in found


async def test_the_longest_names_fit(database: Database) -> None:
    """Names of letters that take four bytes are cut so that the index takes them."""
    await store(database, {**track(), "event": "🙂" * 5_000, "properties": {"🙂" * 5_000: {"🙃" * 500: 1}}})
    await reader(database).run_once()
    ((_, name),) = await counted(database)
    assert name == "🙂" * LONGEST_NAME
    assert {len(one.path) for one in await properties(database, "till", "track", name)} == {LONGEST_PATH}


async def test_no_event_is_deleted_before_it_was_counted(database: Database) -> None:
    """The pruner waits for this reader as it does for the router."""
    await reader(database).run_once()  # its cursors are there
    await store(database, track())
    pruner = Pruner(database, KeepSettings())
    async with database.connection() as connection:
        await connection.execute("UPDATE event SET received_at = now() - interval '100 days'")
    await pruner.run_once()
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM event") == 1
    await reader(database).run_once()
    assert await counted(database) == {("track", "Coffee Drunk"): 1}
    await pruner.run_once()
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM event") == 0
