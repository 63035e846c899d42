"""The trace of orders that are under way, that failed, and that are done, through real processes."""

import asyncio
import random
import time
from collections.abc import Iterator
from typing import Any

import asyncpg
import httpx
import pytest

from tests.house import PATIENCE, House


@pytest.fixture
def member(house: House) -> str:
    enrolled = house.enrol(f"+4861{random.randrange(10**6, 10**7)}")
    return str(enrolled["id"])


@pytest.fixture
def faults(house: House) -> Iterator[httpx.Client]:
    """Trouble in the sandbox, over when the test is."""
    with httpx.Client(base_url=house.sandbox) as client:
        yield client
        client.delete("/sandbox/faults")


def states(trace: dict[str, Any]) -> dict[str, str]:
    return {step["name"]: step["state"] for step in trace["steps"]}


def ended(house: House, order_id: str, state: str) -> dict[str, Any]:
    """The trace once it has this state."""
    until = time.monotonic() + PATIENCE
    while (trace := house.trace(order_id, complete=False))["state"] != state:
        assert time.monotonic() < until, trace
        time.sleep(0.05)
    return trace


def test_an_order_is_running_until_the_worker_took_it_on(house: House, member: str) -> None:
    """Without a worker the trace ends at the till and names what is missing; with one again it is done, every step."""
    house.stop("worker")
    try:
        order = house.pay(member, {"coffee": 1}).json()
        running = house.trace(order["id"], complete=False)
    finally:
        house.start("worker")
    assert (running["state"], running["complete"], running["total_ms"]) == ("running", False, None)
    assert running["missing"] == [
        "relay", "door", "route", "function", "deliver", "voucherify", "webhook", "profile", "screen",
    ]  # fmt: skip
    assert {states(running)[name] for name in ("till", "pending", "paid")} == {"done"}
    done = house.trace(order["id"])
    assert (done["state"], done["missing"]) == ("done", [])
    assert set(states(done).values()) == {"done", "skipped"}
    times = [step["at_ms"] for step in done["steps"] if step["name"] in {"till", "paid", "door", "route", "deliver"}]
    assert times == sorted(times)
    assert 0 < done["total_ms"] < PATIENCE * 1000


def test_an_order_that_voucherify_refused_has_failed_with_its_reason(
    house: House, member: str, faults: httpx.Client
) -> None:
    """The step that failed has what was sent, what was answered and why; what comes after it did not happen."""
    faults.post("/sandbox/faults", json={"fail_next": {"path": "/v1/orders", "status": 400}})
    order = house.pay(member, {"coffee": 1}).json()
    trace = ended(house, order["id"], "failed")
    deliver = next(step for step in trace["steps"] if step["name"] == "deliver")
    assert (states(trace)["route"], deliver["state"], states(trace)["voucherify"]) == ("done", "failed", "waiting")
    assert deliver["sent"]["body"]["source_id"] == order["id"]
    assert deliver["received"]["status"] == 400
    assert "Planned by POST /sandbox/faults" in deliver["note"]
    assert "deliver" in trace["missing"]


def test_an_order_that_waits_for_voucherify_is_running_and_says_why(
    house: House, member: str, faults: httpx.Client
) -> None:
    """While tries fail the trace shows how many there were and what was answered last, then it goes on."""
    faults.post("/sandbox/faults", json={"fail_next": {"path": "/v1/orders", "status": 503, "count": 2}})
    order = house.pay(member, {"coffee": 1}).json()
    done = house.trace(order["id"])
    deliver = next(step for step in done["steps"] if step["name"] == "deliver")
    assert (done["state"], deliver["received"]["tries"]) == ("done", 3)
    assert done["points"] is not None


def test_an_order_that_there_is_not_is_a_problem(house: House) -> None:
    """404 with a sentence, and nothing without credentials."""
    path = "/console/orders/00000000-0000-4000-8000-000000000000/trace"
    with house.operator() as operator:
        assert (operator.get(path).status_code, operator.get(path).json()["detail"]) == (
            404,
            "There is no order with this id.",
        )
    assert httpx.get(house.web + path).status_code == 401


def test_both_processes_have_their_figures(house: House, member: str) -> None:
    """`/metrics` of web and worker has ingest, lag, deliveries, lanes, webhooks and the calls to Voucherify."""
    house.trace(house.pay(member, {"coffee": 1}).json()["id"])
    web, worker = (httpx.get(f"{url}/metrics").text for url in (house.web, house.worker))
    for figure in (
        "loyalty_log_lag_events 0.0",
        'loyalty_deliveries_rows{status="pending"}',
        'loyalty_emissions_rows{status="pending"}',
        "loyalty_lane_age_seconds",
        "loyalty_webhook_lag_seconds",
    ):
        assert figure in web
        assert figure in worker
    assert 'loyalty_events_ingested_total{outcome="stored",source="till"}' in web
    assert 'loyalty_webhooks_total{outcome="stored"}' in web
    assert 'loyalty_deliveries_total{action="order-paid",outcome="delivered"}' in worker
    assert 'loyalty_voucherify_calls_total{method="POST",resource="v1/orders",status="200"}' in worker


def test_a_dependency_that_is_missing_is_named(house: House) -> None:
    """`/health` says which of the five is missing and how; without a worker the web process itself stays ready."""
    assert httpx.get(f"{house.web}/health").json()["checks"] == dict.fromkeys(
        ("database", "worker", "voucherify", "segment", "destinations"), "ok"
    )
    house.stop("worker")
    try:
        answer, ready = httpx.get(f"{house.web}/health"), httpx.get(f"{house.web}/health/ready")
    finally:
        house.start("worker")
    assert (answer.status_code, ready.status_code) == (503, 200)
    checks = answer.json()["checks"]
    assert checks.pop("worker").startswith("none is running")
    assert set(checks.values()) == {"ok"}
    assert httpx.get(f"{house.web}/health/live").status_code == 200


def deliver_elsewhere(house: House, order_id: str, status: str) -> None:
    """Let the order's event have a delivery to another destination, made before and tried after Voucherify's."""
    asyncio.run(_deliver_elsewhere(house._environment["DATABASE_URL"], order_id, status))


async def _deliver_elsewhere(url: str, order_id: str, status: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(
            """WITH other AS (
                   INSERT INTO delivery (id, event_position, destination, mapping, person, status, error, attempts,
                                         due_at, held, passed, created_at, finished_at)
                   SELECT -position, position, 'mails', 'send', person, $2, 'The other one failed.', 1, now(), 0, false,
                          now(), now()
                   FROM event WHERE order_id = $1 RETURNING id
               )
               INSERT INTO attempt (delivery_id, kind, started_at, ended_at, outcome, status, request, answer)
               SELECT id, 'send', now(), now(), 'done', 200, '{"method": "POST", "url": "https://mails.example"}', ''
               FROM other""",
            order_id,
            status,
        )
    finally:
        await connection.close()


@pytest.mark.parametrize("status", ["delivered", "failed", "filtered"])
def test_another_destination_never_decides_how_an_order_is(house: House, member: str, status: str) -> None:
    """However it goes elsewhere, the trace shows how the order was paid in Voucherify, and names the other delivery."""
    order = house.pay(member, {"coffee": 1}).json()
    before = house.trace(order["id"])
    deliver_elsewhere(house, order["id"], status)
    after = house.trace(order["id"])
    assert (after["state"], states(after)) == ("done", states(before))
    is_now, was = ({step["name"]: step for step in trace["steps"]} for trace in (after, before))
    for name in ("function", "deliver"):
        assert (is_now[name]["at"], is_now[name]["sent"]) == (was[name]["at"], was[name]["sent"])
    (other,) = is_now["deliver"]["received"]["others"]
    assert (other["destination"], other["status"]) == ("mails", status)


def test_a_delivery_that_voucherify_refused_is_not_hidden_by_another(
    house: House, member: str, faults: httpx.Client
) -> None:
    """Voucherify refuses the order and another destination takes it: the trace has failed, with Voucherify's reason."""
    faults.post("/sandbox/faults", json={"fail_next": {"path": "/v1/orders", "method": "POST", "status": 400}})
    order = house.pay(member, {"coffee": 1}).json()
    ended(house, order["id"], "failed")
    deliver_elsewhere(house, order["id"], "delivered")
    trace = house.trace(order["id"], complete=False)
    assert trace["state"] == "failed"
    assert states(trace)["deliver"] == "failed"


def test_an_order_without_a_member_may_go_elsewhere(house: House) -> None:
    """Voucherify does not get it, and the trace says to whom it went."""
    order = house.pay(None, {"coffee": 1}).json()
    until = time.monotonic() + PATIENCE
    while states(house.trace(order["id"], complete=False))["door"] != "done":
        assert time.monotonic() < until
        time.sleep(0.05)
    deliver_elsewhere(house, order["id"], "delivered")
    steps = {step["name"]: step for step in house.trace(order["id"], complete=False)["steps"]}
    assert steps["route"]["received"] == [{"destination": "mails", "mapping": "send"}]
    assert (steps["route"]["state"], steps["deliver"]["state"]) == ("done", "skipped")
