"""The dry run of a replay: what was sent beside what would be, a label for each, and not a trace of it anywhere."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import pytest_asyncio

from app.db.session import Database
from app.destinations.base import Repeat
from app.destinations.voucherify import VOUCHERIFY
from app.pipeline.dry_runs import DryRuns
from app.pipeline.filters import Rule, compile_filters
from app.pipeline.registry import Connected
from app.pipeline.replay import Wanted, checked_wish
from app.pipeline.replay_preview import OVERTAKEN, PAGE, DryRun, Previewer
from app.pipeline.replay_selection import Selection, first_since
from app.setting_groups import variables
from tests.house import ROOT
from tests.pipeline.road import DESTINATION, IDENTIFY, ORDER, TRACK, identify, order, registry, routed, track
from tests.pipeline.test_replay import ended
from tests.sandbox.serving import KEYS

API = {"apiKey": "app-id", "secretKey": "secret-key", "customURL": "http://127.0.0.1:9"}
SETTINGS = {**API, "transport": "v1", "api": API}
PROBE = """
DESTINATION = "Probe"


class Settings:
    pass


async def on_track(event, settings, context):
    await context.voucherify.client.call("POST", "/v1/customers", {"source_id": "u-9"})
    return {**event, "properties": {**event["properties"], "currency": "EUR"}}
"""


async def dry_run(
    database: Database,
    dry_runs: DryRuns | None = None,
    to: Connected | None = None,
    *,
    after: int = 0,
    function: Any = "reuse",
    twice: bool = False,
    **selection: Any,
) -> DryRun:
    if dry_runs is None:
        dry_runs = DryRuns(database)
        dry_runs._functions = {}  # none
    known = registry(database, SETTINGS)
    chosen = Selection(**{"destination": DESTINATION, **selection})
    wanted, found = checked_wish(Wanted(chosen, function, twice), known)
    return await Previewer(database, dry_runs).dry_run(wanted, to or found, after)


async def connected(database: Database) -> Connected:
    return registry(database, SETTINGS).connected[DESTINATION]


async def everything(database: Database) -> list[Any]:
    """All rows that a replay could change."""
    async with database.connection() as connection:
        return [
            await connection.fetch(f"SELECT * FROM {table} ORDER BY 1")
            for table in ("delivery", "attempt", "lane", "function_result", "function_once", "decision", "replay")
        ]


async def test_it_shows_what_was_sent_and_what_would_be(database: Database) -> None:
    """Each with its label and the places that differ; without secrets, and with numbers for all of them."""
    await ended(database, "delivered", order("o-1"), track(), identify())
    found = await dry_run(database)
    one, two, _ = found.deliveries
    assert [(each.mapping, each.label) for each in found.deliveries] == [
        (ORDER, "already applied"),
        (TRACK, "would apply twice"),
        (IDENTIFY, "safe"),
    ]
    assert one.sent == {"method": "POST", "url": "/x", "body": {}}
    assert one.would_send is not None
    assert one.would_send["url"] == "http://127.0.0.1:9/v1/orders"
    assert ("body.source_id", "added", "o-1") in [(change.path, change.kind, change.new) for change in one.changes]
    assert ("url", "/x") in [(change.path, change.old) for change in one.changes]
    assert "Left out" in two.says
    assert "secret-key" not in repr(found)
    numbers = found.numbers
    assert (numbers.chosen, numbers.queued, numbers.left_out) == (3, 2, 1)
    assert numbers.labels == {"already applied": 1, "would apply twice": 1, "safe": 1}
    assert numbers.status == {"delivered": 3}
    wanted = await dry_run(database, twice=True)
    assert (wanted.numbers.queued, wanted.numbers.left_out) == (3, 0)
    assert "Left out" not in wanted.deliveries[1].says


async def test_secrets_are_masked(database: Database) -> None:
    """A key of the destination that got into an event is shown neither in what was sent nor in what would be."""
    await ended(database, "failed", identify(email="secret-key"))
    async with database.connection() as connection:
        await connection.execute("UPDATE attempt SET request = jsonb_set(request, '{body}', '{\"k\": \"secret-key\"}')")
    found = await dry_run(database)
    (one,) = found.deliveries
    assert ((one.sent or {})["body"], (one.would_send or {})["body"]["email"]) == ({"k": "••••••"}, "••••••")
    assert "secret-key" not in repr(found)


async def test_the_same_request_has_no_differences(database: Database) -> None:
    """What would go out as it went is told so by an empty list."""
    await ended(database, "delivered", identify())
    (first,) = (await dry_run(database)).deliveries
    async with database.connection() as connection:
        await connection.execute("UPDATE attempt SET request = $1", msgspec.json.encode(first.would_send).decode())
    (again,) = (await dry_run(database)).deliveries
    assert (again.sent == again.would_send, again.changes) == (True, [])


async def test_it_says_why_nothing_would_be_sent(database: Database) -> None:
    """A filter, a trigger that takes it no more, a mapping that is gone, a payload that fails: each in words."""
    await ended(database, "failed", order("o-1"))
    to = await connected(database)
    filters = compile_filters([Rule("no-orders", 'event = "Order Completed"', "drop")])
    mapping = to.mappings[ORDER]
    others = {slug: each for slug, each in to.mappings.items() if slug != ORDER}
    for changed, says in (
        (replace(to, filters=filters), "no-orders"),
        (replace(to, mappings={ORDER: replace(mapping, takes=lambda _: False)}), "trigger does not take"),
        (replace(to, mappings=others), "no mapping named order-paid"),
        (replace(to, mappings={ORDER: replace(mapping, maps=lambda _: {})}), "It would fail: "),
    ):
        (one,) = (await dry_run(database, to=changed)).deliveries
        assert says in one.says
        assert one.would_send is None
    assert (await dry_run(database, to=replace(to, mappings=others))).numbers.without_mapping == 1


async def test_filters_take_properties_from_what_would_be_sent(database: Database) -> None:
    """What the destination may not see is not in the request."""
    await ended(database, "failed", identify(email="mia@example.com"))
    to = await connected(database)
    hides = compile_filters([Rule("no-mail", 'type = "identify"', "drop_properties", ("traits.email",))])
    (one,) = (await dry_run(database, to=replace(to, filters=hides))).deliveries
    assert one.would_send is not None
    assert "email" not in one.would_send["body"]


async def test_older_values_that_would_come_back_are_a_warning(database: Database) -> None:
    """An upsert that a later one of the person has overtaken warns; the later one, and an order, do not."""
    await ended(database, "delivered", identify(), identify(), order("o-1"), order("o-2"))
    found = await dry_run(database)
    assert [each.warning for each in found.deliveries] == [OVERTAKEN, None, None, None]
    to = await connected(database)
    upsert = to.mappings[IDENTIFY]
    message = replace(upsert, action=replace(upsert.action, repeat=Repeat(safe=True, again=False)))
    found = await dry_run(database, to=replace(to, mappings={**to.mappings, IDENTIFY: message}))
    assert found.deliveries[0].warning is None  # a message that went out earlier has no older values


async def test_reuse_takes_the_kept_result(database: Database) -> None:
    """The function's kept event is mapped, and one that it dropped would not be sent; nothing is run."""
    await ended(database, "failed", order("o-1"), order("o-2"))
    async with database.connection() as connection:
        await connection.execute(
            """INSERT INTO function_result (event_position, destination, outcome, event, log, calls, milliseconds,
                                            started_at, finished_at)
               SELECT position, $1, CASE order_id WHEN 'o-1' THEN 'returned' ELSE 'dropped' END,
                      jsonb_set(message, '{properties,currency}', '"EUR"'), 'said', '[]', 1, now(), now() FROM event""",
            DESTINATION,
        )
    dry_runs = DryRuns(database)
    dry_runs._functions = {VOUCHERIFY.name: "no-such-function"}
    first, second = (await dry_run(database, dry_runs)).deliveries
    assert (first.would_send or {})["body"]["source_id"] == "o-1"
    assert first.function == {"outcome": "returned", "error": None, "log": "said", "calls": []}
    assert (second.would_send, "dropped" in second.says) == (None, True)
    await dry_runs.close()


@pytest_asyncio.fixture
async def probe(
    tmp_path: Path, database: Database, pipeline_sandbox: str, api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[DryRuns]:
    """Dry runs of a function that writes to Voucherify and changes the currency."""
    (tmp_path / "functions").mkdir()
    (tmp_path / "functions/__init__.py").touch()
    (tmp_path / "functions/probe.py").write_text(PROBE)
    for name in variables():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    for name, value in {
        "PYTHONPATH": str(ROOT),
        "DATA_DIR": str(tmp_path / "data"),
        "VOUCHERIFY_API_URL": pipeline_sandbox,
        "VOUCHERIFY_APPLICATION_ID": KEYS["X-App-Id"],
        "VOUCHERIFY_SECRET_KEY": KEYS["X-App-Token"],
        "VOUCHERIFY_TRANSPORT": "v1",
    }.items():
        monkeypatch.setenv(name, value)
    dry_runs = DryRuns(database)
    dry_runs._functions = {VOUCHERIFY.name: "probe"}
    yield dry_runs
    await dry_runs.close()


async def test_rerun_runs_the_function_and_leaves_no_trace(
    database: Database, probe: DryRuns, api: httpx.AsyncClient
) -> None:
    """What the function would write is told and not written; no row is changed and no request leaves."""
    await ended(database, "failed", order("o-1"))
    before = await everything(database)
    (one,) = (await dry_run(database, probe, function="rerun")).deliveries
    assert one.function is not None
    assert one.function["outcome"] == "returned"
    assert [(call["method"], call["dry"]) for call in one.function["calls"]] == [("POST", True)]
    assert one.would_send is not None
    assert await everything(database) == before
    written = (await api.get("/sandbox/requests", params={"path": "/v1"})).json()["data"]
    assert [call for call in written if call["method"] != "GET"] == []


async def test_it_comes_in_pages(database: Database) -> None:
    """Twenty at a time in the order of their ids; the numbers are of all."""
    await ended(database, "failed", *(order(f"o-{number}") for number in range(PAGE + 3)))
    first = await dry_run(database)
    assert (len(first.deliveries), first.numbers.chosen) == (PAGE, PAGE + 3)
    assert first.next_after is not None
    rest = await dry_run(database, after=first.next_after)
    assert (len(rest.deliveries), rest.next_after) == (3, None)


async def ids(database: Database, **selection: Any) -> list[str | None]:
    return [each.order_id or each.event for each in (await dry_run(database, **selection)).deliveries]


async def test_a_selection_means_all_that_it_says(database: Database) -> None:
    """Each filter by itself, and together, chooses the deliveries that it names and no others."""
    await ended(database, "failed", order("o-1"), order("o-2", user="u-2"))
    await ended(database, "delivered", track("Coffee Drunk"), identify("u-2"))
    await routed(database, order("o-3"))  # waits
    async with database.connection() as connection:
        await connection.execute("UPDATE delivery SET error = 'Voucherify answered 400' WHERE id = 2")
        await connection.execute("UPDATE delivery SET created_at = created_at - interval '2 days' WHERE id = 1")
        middle = await connection.fetchval("SELECT now() - interval '1 day'")
        third = await connection.fetchval("SELECT created_at FROM delivery WHERE id = 3")
    for selection, found in (
        ({}, ["o-1", "o-2", "Coffee Drunk", "identify"]),
        ({"status": ["failed"]}, ["o-1", "o-2"]),
        ({"status": ["failed", "delivered"], "type": "identify"}, ["identify"]),
        ({"mapping": ORDER}, ["o-1", "o-2"]),
        ({"error": "ANSWERED 4"}, ["o-2"]),
        ({"error": "%"}, []),
        ({"event": "Coffee Drunk"}, ["Coffee Drunk"]),
        ({"person": "u-2"}, ["o-2", "identify"]),
        ({"person": "u-2", "status": ["failed"]}, ["o-2"]),
        ({"order_id": "o-1"}, ["o-1"]),
        ({"order_id": "o-3"}, []),
        ({"ids": [1, 3, 77]}, ["o-1", "Coffee Drunk"]),
        ({"until": middle}, ["o-1"]),
        ({"since": middle}, ["o-2", "Coffee Drunk", "identify"]),
        ({"since": middle, "until": middle}, []),
        ({"since": third}, ["Coffee Drunk", "identify"]),
        ({"until": third}, ["o-1", "o-2"]),
        ({"replay": 7}, []),
    ):
        assert await ids(database, **selection) == found, selection


async def test_a_time_is_found_by_halving(database: Database) -> None:
    """The bounds of the ids are exact where ids and times go together, with gaps and at both ends."""
    await ended(database, "failed", *(order(f"o-{number}") for number in range(40)))
    async with database.connection() as connection:
        await connection.execute("DELETE FROM delivery WHERE id % 3 = 0 OR id BETWEEN 10 AND 20")
        await connection.execute("UPDATE delivery SET created_at = timestamptz '2026-01-01' + id * interval '1 hour'")
        rows = await connection.fetch("SELECT id, created_at FROM delivery ORDER BY id")
        for row in rows:
            assert await first_since(connection, row["created_at"]) == row["id"]
        last = rows[-1]
        assert await first_since(connection, last["created_at"].replace(year=2030)) == last["id"] + 1
        assert await first_since(connection, last["created_at"].replace(year=2020)) <= rows[0]["id"]
        await connection.execute("DELETE FROM delivery")
        assert isinstance(await first_since(connection, last["created_at"]), int)
