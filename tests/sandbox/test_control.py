"""The sandbox's own addresses: clock, faults, log, reset; and what survives a crash."""

import asyncio
from datetime import datetime
from functools import partial
from uuid import uuid4

import asyncpg
import httpx
import pytest
from structlog.testing import capture_logs

from app.db import embedded
from app.errors import SettingError
from app.sandbox.app import Sandbox, create_app
from app.sandbox.store import Store
from tests.sandbox.conftest import MakeDatabase
from tests.sandbox.programme import balance, buy, join, loyalty, send
from tests.sandbox.serving import KEYS, Sink, config_for, served

KILL_THE_WRITER = """
DO $$ BEGIN
  LOOP
    PERFORM pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE 'INSERT INTO delivery%';
    EXIT WHEN FOUND;
    PERFORM pg_stat_clear_snapshot(), pg_sleep(0.01);
  END LOOP;
END $$
"""
"""Waits until somebody is stuck on writing webhooks, and ends that connection."""
PAID_ORDER = {"source_id": "o-1", "status": "PAID", "amount": 1000, "customer": {"source_id": "u-1"}}


def start_sandbox(database: str, target: str, url: str) -> Sandbox:
    return create_app(config_for(database, target, url=url))


async def test_all_times_come_from_the_clock(api: httpx.AsyncClient) -> None:
    """Set, advanced, reset: what is made carries the sandbox's time."""
    await send(api, "POST", "/sandbox/clock", {"set": "2030-05-05T05:05:05Z"})
    await send(api, "POST", "/sandbox/clock", {"advance": 86400})
    made = await send(api, "POST", "/v1/customers", {"source_id": "u-1"})
    assert made["created_at"].startswith("2030-05-06T05:05:0")
    assert (await send(api, "POST", "/sandbox/clock", {"reset": True}))["offset_seconds"] == 0
    made = await send(api, "POST", "/v1/customers", {"source_id": "u-2"})
    assert abs(datetime.fromisoformat(made["created_at"]).timestamp() - datetime.now().timestamp()) < 60  # noqa: DTZ005


@pytest.mark.parametrize(
    "body", [{}, {"advance": "x"}, {"set": "soon"}, {"advance": 1, "reset": True}, {"advance": 1e300}]
)
async def test_a_bad_move_of_the_clock_is_refused(api: httpx.AsyncClient, body: dict[str, object]) -> None:
    """Exactly one of the three ways, with a value that makes sense."""
    await send(api, "POST", "/sandbox/clock", body, expect=400)


async def test_the_next_requests_can_be_made_to_fail(api: httpx.AsyncClient) -> None:
    """The planned status comes as often as asked, on the path asked for, and nothing is done."""
    plan = {"fail_next": {"status": 503, "count": 2, "path": "/v1/orders", "method": "POST"}}
    await send(api, "POST", "/sandbox/faults", plan)
    await send(api, "GET", "/v1/orders")
    for _ in range(2):
        await send(api, "POST", "/v1/orders", {"source_id": "o-1"}, expect=503)
    assert (await send(api, "GET", "/v1/orders"))["total"] == 0
    await send(api, "POST", "/v1/orders", {"source_id": "o-1"})


async def test_a_planned_429_looks_like_voucherifys(api: httpx.AsyncClient) -> None:
    """Too many requests: the documented body without a key, and the headers that say when to come back."""
    await send(api, "POST", "/sandbox/faults", {"fail_next": {"status": 429}})
    answer = await api.get("/v1/orders")
    assert answer.json() == {"code": 429, "message": "Too many requests hit the API too quickly."}
    assert (answer.headers["Retry-After"], answer.headers["X-Rate-Limit-Type"]) == ("1", "api_calls")


async def test_an_answer_can_be_lost_after_the_work_was_done(api: httpx.AsyncClient) -> None:
    """The client sees a broken connection and no byte; the order is there and has earned."""
    await loyalty(api)
    card = await join(api)
    await send(api, "POST", "/sandbox/faults", {"lose_answer_next": {"path": "/v1/orders"}})
    with pytest.raises(httpx.TransportError):
        await buy(api, "o-1", 1000)
    assert (await send(api, "GET", "/v1/orders/o-1"))["status"] == "PAID"
    assert await balance(api, card) == 10
    [lost] = [row for row in (await send(api, "GET", "/sandbox/requests"))["data"] if row["lost"]]
    assert (lost["path"], lost["status"], lost["answer"]["source_id"]) == ("/v1/orders", 200, "o-1")


async def test_latency_delays_an_answer(api: httpx.AsyncClient) -> None:
    """Every answer of the API waits; the sandbox's own addresses do not."""
    loop = asyncio.get_running_loop()
    await send(api, "POST", "/sandbox/faults", {"latency_ms": 80})
    began = loop.time()
    await send(api, "GET", "/v1/orders")
    assert loop.time() - began >= 0.08
    began = loop.time()
    assert (await send(api, "GET", "/sandbox/faults"))["latency_ms"] == 80
    assert loop.time() - began < 0.08


@pytest.mark.parametrize(
    "body",
    [{"earn_twice": True}, {"latency_ms": -1}, {"latency_ms": True}, {"fail_next": {"status": 200}}, {"fail_next": 5}],
)
async def test_a_fault_that_there_is_not_is_refused(api: httpx.AsyncClient, body: dict[str, object]) -> None:
    """A misspelt fault must not make a test believe that it was on."""
    await send(api, "POST", "/sandbox/faults", body, expect=400)


async def test_reset_brings_back_the_first_start(api: httpx.AsyncClient, sink: Sink) -> None:
    """Data, log, clock, faults and targets are as at the first start."""
    await buy(api, "o-1", 100)
    await send(api, "POST", "/sandbox/faults", {"latency_ms": 1, "earn_again_on_paid": True})
    await send(api, "POST", "/sandbox/webhooks", {"target_url": "http://127.0.0.1:1"})
    await send(api, "POST", "/sandbox/clock", {"advance": 9999})
    await send(api, "POST", "/sandbox/reset")
    assert (await send(api, "GET", "/sandbox/requests"))["total"] == 0
    assert (await send(api, "GET", "/v1/orders"))["total"] == 0
    faults = await send(api, "GET", "/sandbox/faults")
    assert (faults["latency_ms"], faults["earn_again_on_paid"], faults["fail_next"]) == (0, False, [])
    assert (await send(api, "GET", "/sandbox/clock"))["offset_seconds"] == 0
    assert {hook["target_url"] for hook in (await send(api, "GET", "/sandbox/webhooks"))["data"]} == {sink.url}


async def test_the_log_can_be_narrowed(api: httpx.AsyncClient) -> None:
    """Requests are kept in their order with method, path, query, channel and both bodies."""
    await api.get("/v1/orders?limit=5", headers={"X-Voucherify-Channel": "Test"})
    await buy(api, "o-1", 100)
    rows = (await send(api, "GET", "/sandbox/requests?path=/v1/orders"))["data"]
    assert [(row["method"], row["query"], row["channel"]) for row in rows] == [
        ("GET", "limit=5", "Test"),
        ("POST", "", None),
    ]
    rows = (await send(api, "GET", "/sandbox/requests?method=POST&path=/v1/orders"))["data"]
    assert rows[0]["request"]["source_id"] == rows[0]["answer"]["source_id"] == "o-1"
    await send(api, "DELETE", "/sandbox/requests", expect=204)
    assert (await send(api, "GET", "/sandbox/requests"))["data"] == []


async def test_what_was_committed_survives_a_restart(make_database: MakeDatabase, sink: Sink) -> None:
    """A second sandbox on the same database has the data, the clock and the webhooks that were still waiting."""
    database = await make_database("sandbox_restart")
    start = partial(start_sandbox, database, sink.url)
    sink.status = 500
    async with served(start) as (url, _), httpx.AsyncClient(base_url=url, headers=KEYS) as api:
        await send(api, "POST", "/sandbox/clock", {"advance": 3600})
        await send(api, "POST", "/v1/customers", {"source_id": "u-1"})
        await sink.wait(1)
        await asyncio.sleep(0.1)
    sink.status = 200
    async with served(start) as (url, _), httpx.AsyncClient(base_url=url, headers=KEYS) as api:
        assert 3590 < (await send(api, "GET", "/sandbox/clock"))["offset_seconds"] <= 3600
        await send(api, "GET", "/v1/customers/u-1")
        await send(api, "POST", "/sandbox/clock", {"advance": 61})
        first, second = await sink.wait(2)
    assert first["id"] == second["id"]


async def test_webhooks_follow_an_address_that_moved(make_database: MakeDatabase, sink: Sink) -> None:
    """The web process got another port at the next start: what waits goes there; an address given by a call stays."""
    database = await make_database("sandbox_moved")
    reports = {}
    for target in ("http://127.0.0.1:9", sink.url):
        start = partial(start_sandbox, database, target)
        async with served(start) as (url, _), httpx.AsyncClient(base_url=url, headers=KEYS) as api:
            await send(api, "POST", "/v1/customers", {"source_id": target})
            await send(api, "POST", "/sandbox/clock", {"advance": 61})
            reports[target] = (await send(api, "GET", "/sandbox/webhooks"))["data"]
            if target == sink.url:
                assert len(await sink.wait(2, "customer.created")) == 2
                await send(api, "POST", "/sandbox/webhooks", {"target_url": f"{sink.url}/mine"})
    assert [hook["id"] for hook in reports[sink.url]] == [hook["id"] for hook in reports["http://127.0.0.1:9"]]
    store = Store(config_for(database, "http://127.0.0.1:10"))
    targets = await (await store.pool()).fetch("SELECT DISTINCT target_url FROM webhook")
    await store.close()
    assert [row["target_url"] for row in targets] == [f"{sink.url}/mine"]


async def test_a_request_that_is_killed_in_the_middle_leaves_no_half(
    api: httpx.AsyncClient, sandbox: Sandbox, sink: Sink
) -> None:
    """Killed after the points and before the webhooks are written: nothing is there; the retry does all of it once."""
    await loyalty(api)
    card = await join(api)
    await sink.wait(4)
    sink.got.clear()
    store = await sandbox.store.pool()
    with capture_logs() as logged:  # the default would print the traceback with all locals, which takes seconds
        async with store.acquire() as holder, holder.transaction():
            await holder.execute("LOCK TABLE delivery IN SHARE MODE")
            request = asyncio.create_task(api.post("/v1/orders", json=PAID_ORDER))
            await store.execute(KILL_THE_WRITER)
            assert (await request).status_code == 500
    assert [(line["event"], line["path"]) for line in logged if line["log_level"] == "error"] == [
        ("request.broken", "/v1/orders")
    ]
    await send(api, "GET", "/v1/orders/o-1", expect=404)
    assert (await balance(api, card), sink.got) == (0, [])
    await send(api, "POST", "/v1/orders", PAID_ORDER)
    assert await balance(api, card) == 10


async def test_a_database_that_is_missing_is_made(make_database: MakeDatabase) -> None:
    """The sandbox makes its database at the first start and starts again on it."""
    server = await make_database("sandbox_base")
    name = f"made_by_itself_{uuid4().hex[:8]}"
    url = embedded.database_url(server, name)
    for _ in range(2):
        store = Store(config_for(url))
        await store.pool()
        await store.close()
    connection = await asyncpg.connect(server)
    await connection.execute(f'DROP DATABASE "{name}"')
    await connection.close()


async def test_a_database_of_another_version_is_refused(make_database: MakeDatabase) -> None:
    """An old sandbox database stops the start with what to do, instead of failing somewhere later."""
    url = await make_database("sandbox_old")
    store = Store(config_for(url))
    await (await store.pool()).execute("UPDATE setting SET value = '99' WHERE name = 'schema_version'")
    await store.close()
    with pytest.raises(SettingError, match="schema version 99"):
        await Store(config_for(url)).pool()
