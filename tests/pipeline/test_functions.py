"""Insert functions in their own processes: what each way of ending means, and what the deliverer makes of it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from app.db import migrate
from app.db.session import Database
from app.pipeline.functions import FunctionPool, Outcome
from app.setting_groups import variables
from tests.conftest import MakeDatabase
from tests.house import ROOT
from tests.pipeline.conftest import MakeDeliverer
from tests.pipeline.road import ORDER, count, deliveries, hurry, order, routed, states, work

PROBE = """
import asyncio, os, sys, time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from app import api

DESTINATION = "Probe"
print("printed while it was imported")


@dataclass(frozen=True)
class Settings:
    greeting: str = "hello"


class Unheard(Exception):
    pass


def tally(name):
    with open(name, "a") as file:
        file.write("x")


async def on_track(event, settings, context):
    do = (event.get("properties") or {}).get("do", "return")
    if do == "return":
        tally("runs")
        return {**event, "greeted": settings.greeting}
    if do == "print":
        print("to nobody")
        sys.stdout.write("raw\\n")
        os.write(1, b"past Python\\n")
        context.log("noted")
        return event
    if do == "print much":
        print("x" * 10_000)
        return event
    if do == "nothing":
        return None
    if do == "not json":
        return {**event, "at": datetime.now()}
    if do == "nul":
        context.log("a" + chr(0))
        return {**event, "properties": {"nul": chr(0)}}
    if do == "too much":
        return {"a": "x" * 5_000_000}
    if do == "endless":
        while True:
            pass
    if do == "sleeps":
        await asyncio.sleep(60)
    if do == "exit":
        os._exit(3)
    if do == "once":
        result = await context.once("key", lambda: made("once"))
        if not Path("crashed").exists():
            Path("crashed").touch()
            os._exit(1)
        return {**event, "result": result}
    if do == "unheard":
        raise Unheard("of")
    if do == "join":
        await context.voucherify.join("Loyalty", "u-1")
        return event
    raise getattr(api, do)(event["properties"].get("why", ""))


async def made(name):
    tally(name)
    return {"made": True}
"""


@pytest.fixture(scope="module")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An adopter's clone with a function of its own: hosts started from here find it, and the rest of ours."""
    folder = tmp_path_factory.mktemp("clone")
    (folder / "functions").mkdir()
    (folder / "functions/__init__.py").touch()
    (folder / "functions/probe.py").write_text(PROBE)
    (folder / "functions/broken.py").write_text("DESTINATION = 'Broken'\nimport a_module_that_there_is_not\n")
    with pytest.MonkeyPatch.context() as patch:
        for name in variables():
            patch.delenv(name, raising=False)
        patch.chdir(folder)
        patch.setenv("PYTHONPATH", str(ROOT))
        patch.setenv("DATA_DIR", str(folder / "data"))
        patch.setenv("SANDBOX_URL", "http://127.0.0.1:9")  # nobody listens there
        yield folder


@pytest.fixture
def folder(shared_folder: Path) -> Path:
    for mark in ("runs", "once", "crashed"):
        (shared_folder / mark).unlink(missing_ok=True)
    return shared_folder


@pytest_asyncio.fixture(scope="module")
async def pool(shared_folder: Path, make_database: MakeDatabase) -> AsyncIterator[FunctionPool]:
    """One host for all tests here, because it takes a second to start."""
    url = await make_database("functions")
    await migrate.upgrade(url)
    database = Database(url, pool=2)
    async with FunctionPool(database, 1, time_limit=1.0).running() as running:
        yield running
    await database.close()


def event(do: str, **more: Any) -> dict[str, Any]:
    return {"type": "track", "event": "Tested", "userId": "u-1", "properties": {"do": do, **more}}


async def run(pool: FunctionPool, do: str, **more: Any) -> Outcome:
    return await pool.run("probe", event(do, **more))


async def test_what_a_function_returns_goes_on(pool: FunctionPool) -> None:
    """The returned event counts, with the value of the adopter's own setting in it."""
    outcome = await run(pool, "return")
    assert (outcome.outcome, outcome.retryable) == ("returned", False)
    assert outcome.event == {**event("return"), "greeted": "hello"}


@pytest.mark.parametrize(
    ("do", "outcome", "retryable", "error"),
    [
        ("DropEvent", "dropped", False, "why not"),
        ("EventNotSupported", "unsupported_event_type", False, "why not"),
        ("InvalidEventPayload", "message_rejected", False, "why not"),
        ("ValidationError", "message_rejected", False, "why not"),
        ("RetryError", "retry", True, "why not"),
        ("FunctionError", "bad_request", False, "why not"),
        ("unheard", "bad_request", False, "Unheard: of"),
        ("nothing", "bad_request", False, "did not return the event"),
        ("not json", "bad_request", False, "datetime is not JSON"),
        ("no such error", "bad_request", False, "AttributeError"),
    ],
)
async def test_each_way_to_fail_has_segments_name(
    pool: FunctionPool, do: str, outcome: str, retryable: bool, error: str
) -> None:
    """What a function raises or returns is named as Segment names it, with its reason, and only some is tried again."""
    found = await run(pool, do, why="why not")
    assert (found.outcome, found.retryable, found.event) == (outcome, retryable, None)
    assert error in (found.error or "")


async def test_a_type_without_a_handler_is_unsupported(pool: FunctionPool) -> None:
    """As at Segment: what shall pass untouched needs a handler that returns it."""
    outcome = await pool.run("probe", {"type": "group", "groupId": "g", "userId": "u-1"})
    assert (outcome.outcome, outcome.error) == ("unsupported_event_type", "There is no handler on_group.")


async def test_an_error_without_words_has_those_of_its_class(pool: FunctionPool) -> None:
    """`raise DropEvent` alone still says why in the log."""
    assert (await run(pool, "DropEvent")).error == "The event shall not reach the destination. Not a failure."


async def test_a_file_that_cannot_be_imported_is_its_own_failure(pool: FunctionPool) -> None:
    """A broken file in functions/ fails its own events with the reason and leaves the other functions alone."""
    broken = await pool.run("broken", event("return"))
    assert (broken.outcome, "a_module_that_there_is_not" in (broken.error or "")) == ("bad_request", True)
    assert (await run(pool, "return")).outcome == "returned"


async def test_what_a_function_prints_is_kept_and_disturbs_nothing(pool: FunctionPool) -> None:
    """Prints and notes are kept with the run, 4 KB at most; what goes past Python's stdout does not get in between."""
    outcome = await run(pool, "print")
    assert (outcome.outcome, outcome.log) == ("returned", "noted\nto nobody\nraw")
    assert len((await run(pool, "print much")).log) == 4096
    assert (await run(pool, "return")).log == ""


@pytest.mark.parametrize(("do", "expected"), [("endless", "timeout"), ("sleeps", "timeout"), ("exit", "internal")])
async def test_a_function_that_never_answers_is_stopped_and_the_next_event_runs(
    pool: FunctionPool, do: str, expected: str
) -> None:
    """A loop without an end, a sleep and a dying process end in time, are tried again, and harm no other event."""
    started = asyncio.get_running_loop().time()
    outcome = await run(pool, do)
    assert (outcome.outcome, outcome.retryable, outcome.blames) == (expected, True, "row")
    assert asyncio.get_running_loop().time() - started < 5
    assert (await run(pool, "return")).outcome == "returned"


async def test_an_answer_that_is_too_long_is_a_failure_of_the_run(pool: FunctionPool) -> None:
    """More than 4 MB of event is an error with a reason, and the pool goes on."""
    outcome = await run(pool, "too much")
    assert (outcome.outcome, outcome.event) == ("internal", None)
    assert (await run(pool, "return")).outcome == "returned"


async def test_once_keeps_its_result_over_a_crash(pool: FunctionPool, folder: Path) -> None:
    """The process dies after the side effect: the run after it gets the kept result and does not do it again."""
    assert (await run(pool, "once")).outcome == "internal"
    outcome = await run(pool, "once")
    assert outcome.event is not None
    assert (outcome.event["result"], (folder / "once").read_text()) == ({"made": True}, "x")


async def test_while_voucherify_is_down_the_event_is_not_to_blame(
    pool: FunctionPool, database: Database, deliverer: MakeDeliverer
) -> None:
    """A function whose call finds nobody is tried again, and neither hold nor budget of its event run."""
    outcome = await run(pool, "join")
    assert (outcome.outcome, outcome.retryable, outcome.blames) == ("retry", True, "destination")
    await routed(database, order("o-1", do="join"), order("o-2", do="join"))
    worker = deliverer(pool=pool, functions={"Voucherify (Actions)": "probe"}, order_hold=0, budget=0)
    for _ in range(3):
        await work(worker)
        await hurry(database)
    first, second = await deliveries(database)
    assert (first["status"], first["held"], first["attempts"], second["attempts"]) == ("pending", 0, 3, 0)


async def test_a_function_with_wrong_keys_waits(
    folder: Path,
    database: Database,
    deliverer: MakeDeliverer,
    pipeline_sandbox: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """401 inside a function is the operator's to mend, as it is at the destination: nothing is given up."""
    monkeypatch.setenv("SANDBOX_URL", pipeline_sandbox)  # whose keys are others than this install's
    async with FunctionPool(database, 1).running() as pool:
        await routed(database, order("o-1", do="join"))
        await work(deliverer(pool=pool, functions={"Voucherify (Actions)": "probe"}, budget=0))
    (row,) = await deliveries(database)
    assert (row["status"], "401" in row["error"]) == ("pending", True)


async def _delivered(
    database: Database, deliverer: MakeDeliverer, pool: FunctionPool, do: str, api: httpx.AsyncClient
) -> dict[str, Any]:
    await routed(database, order("o-1", do=do))
    await work(deliverer(pool=pool, functions={"Voucherify (Actions)": "probe"}))
    (row,) = await deliveries(database)
    return row


@pytest.mark.parametrize(
    ("do", "status", "stored"),
    [
        ("return", "delivered", 1),
        ("DropEvent", "filtered", 1),
        ("nothing", "failed", 1),
        ("RetryError", "pending", 0),
        ("endless", "pending", 0),
    ],
)
async def test_the_deliverer_obeys_the_function(
    database: Database,
    deliverer: MakeDeliverer,
    pool: FunctionPool,
    api: httpx.AsyncClient,
    do: str,
    status: str,
    stored: int,
) -> None:
    """Returned is delivered, dropped is filtered, refused fails, the rest waits; only a final result is stored."""
    row = await _delivered(database, deliverer, pool, do, api)
    assert (row["status"], await count(database, "function_result")) == (status, stored)


async def test_the_result_is_stored_once_and_used_again(
    database: Database, deliverer: MakeDeliverer, pool: FunctionPool, folder: Path, api: httpx.AsyncClient
) -> None:
    """A delivery that is tried three times runs its function once."""
    await api.post("/sandbox/faults", json={"fail_next": {"path": "/v1/orders", "status": 503, "count": 2}})
    await routed(database, order("o-1"))
    worker = deliverer(pool=pool, functions={"Voucherify (Actions)": "probe"})
    for _ in range(3):
        await work(worker)
        await hurry(database)
    assert await states(database) == [(ORDER, "delivered")]
    assert ((folder / "runs").read_text(), await count(database, "function_result")) == ("x", 1)


async def test_two_mappings_of_one_event_share_one_run(
    database: Database, deliverer: MakeDeliverer, pool: FunctionPool, folder: Path, api: httpx.AsyncClient
) -> None:
    """The function runs once per event and destination, however many mappings take the event."""
    await routed(database, order("o-1"))
    async with database.connection() as connection:
        await connection.execute(
            """INSERT INTO delivery (event_position, destination, mapping, person, status, attempts, due_at, held,
                                     passed, created_at)
               SELECT event_position, destination, 'other', person, status, attempts, due_at, held, passed, created_at
               FROM delivery"""
        )
    worker = deliverer(pool=pool, functions={"Voucherify (Actions)": "probe"})
    (known,) = worker.registry.connected.values()
    more = replace(known, mappings={**known.mappings, "other": known.mappings[ORDER]})
    worker.registry.connected = {known.slug: more}
    await work(worker)
    assert [status for _, status in await states(database)] == ["delivered", "delivered"]
    assert (folder / "runs").read_text() == "x"


async def test_a_nul_from_a_function_does_not_stop_its_lane(
    database: Database, deliverer: MakeDeliverer, pool: FunctionPool, api: httpx.AsyncClient
) -> None:
    """What Postgres can't hold is left out of the stored result."""
    await _delivered(database, deliverer, pool, "nul", api)
    assert await count(database, "function_result") == 1
