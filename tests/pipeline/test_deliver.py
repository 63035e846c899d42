"""The deliverer against the sandbox: once, as far as its doors allow; in order; one bad row harms only itself."""

import asyncio
import contextlib
import socket
import time
from typing import Any

import httpx

from app.db.session import Database
from app.db.wake import Wakeups
from app.destinations.catalogue import CATALOGUE
from app.pipeline import lanes
from app.pipeline.registry import Registry
from tests.pipeline.conftest import MakeDeliverer
from tests.pipeline.road import ORDER, TRACK, answering, deliveries, hurry, identify, order, routed, states, track, work
from tests.sandbox import programme


async def fault(api: httpx.AsyncClient, **switches: Any) -> None:
    assert (await api.post("/sandbox/faults", json=switches)).status_code == 200


async def calls(api: httpx.AsyncClient, path: str = "/v1") -> list[tuple[str, str, int]]:
    """Method, path and status of what the sandbox was asked for."""
    rows = (await api.get("/sandbox/requests", params={"path": path})).json()["data"]
    return [(row["method"], row["path"], row["status"]) for row in rows]


async def attempts(database: Database) -> list[tuple[str | None, int | None]]:
    async with database.connection() as connection:
        return [tuple(row) for row in await connection.fetch("SELECT outcome, status FROM attempt ORDER BY id")]


async def test_an_order_whose_answer_was_lost_earns_once(
    database: Database, deliverer: MakeDeliverer, api: httpx.AsyncClient
) -> None:
    """Voucherify did it and the answer never came: the next try looks first, and posts nothing."""
    await programme.loyalty(api)
    card = await programme.join(api)
    await fault(api, earn_again_on_paid=True, lose_answer_next={"path": "/v1/orders", "method": "POST"})
    await routed(database, order("o-1", price=12.0))
    worker = deliverer()
    await work(worker)
    assert (await states(database), await attempts(database)) == ([(ORDER, "pending")], [("unclear", 0)])
    await hurry(database)
    await work(worker)
    assert await states(database) == [(ORDER, "delivered")]
    assert [call[:2] for call in await calls(api, "/v1/orders")] == [("POST", "/v1/orders"), ("GET", "/v1/orders/o-1")]
    assert await programme.balance(api, card) == 12


async def test_an_order_that_did_not_arrive_is_sent_again(
    database: Database, deliverer: MakeDeliverer, api: httpx.AsyncClient
) -> None:
    """The look-up after a cut connection finds no order, so it is posted, and earns once."""
    await programme.loyalty(api)
    card = await programme.join(api)
    await routed(database, order("o-1"))
    cut, _ = answering(httpx.ReadTimeout("too long"))
    await work(deliverer(cut))
    await hurry(database)
    await work(deliverer())
    assert await states(database) == [(ORDER, "delivered")]
    assert await programme.balance(api, card) == 10


async def test_a_worker_that_died_in_the_middle_of_a_try_is_found_out(
    database: Database, deliverer: MakeDeliverer, api: httpx.AsyncClient
) -> None:
    """A try that began and never ended counts as maybe done: the next worker looks before it posts."""
    await routed(database, order("o-1"))
    async with database.connection() as connection:
        await connection.execute(
            "INSERT INTO attempt (delivery_id, started_at, request) SELECT id, now(), '{}' FROM delivery"
        )
    await work(deliverer())
    assert await calls(api, "/v1/orders") == []  # it may still arrive
    await hurry(database)
    await work(deliverer())
    assert [call[:2] for call in await calls(api, "/v1/orders")] == [("GET", "/v1/orders/o-1"), ("POST", "/v1/orders")]
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT array_agg(kind || ' ' || outcome ORDER BY id) FROM attempt") == [
            "send unclear",
            "look_up not_found",
            "send done",
        ]
    assert await states(database) == [(ORDER, "delivered")]


async def test_a_custom_event_whose_answer_was_lost_is_found_in_the_activity(
    database: Database, deliverer: MakeDeliverer, api: httpx.AsyncClient
) -> None:
    """It has no key, so it is looked for after a delay; found, it is delivered, and was sent once."""
    await fault(api, lose_answer_next={"path": "/v1/events"})
    await routed(database, track("First"))
    worker = deliverer()
    await work(worker)
    await work(worker)
    assert await states(database) == [(TRACK, "pending")]
    await hurry(database)
    await work(worker)
    assert await states(database) == [(TRACK, "delivered")]
    assert len(await calls(api, "/v1/events")) == 1


async def test_a_custom_event_that_is_not_found_is_held_as_unclear(
    database: Database, deliverer: MakeDeliverer, api: httpx.AsyncClient
) -> None:
    """Not found is not yet not done: it is held with its reason and never sent again by itself; the next one goes."""
    await routed(database, track("First"), track("Second"))
    cut, asked = answering(httpx.ReadTimeout("too long"))
    await work(deliverer(cut))
    await hurry(database)
    await work(deliverer())
    first, second = await deliveries(database)
    assert (first["status"], second["status"], len(asked)) == ("unclear", "delivered", 1)
    assert "not found" in first["error"]
    assert len(await calls(api, "/v1/events")) == 1


async def test_a_customer_whose_answer_was_lost_is_sent_again(
    database: Database, deliverer: MakeDeliverer, api: httpx.AsyncClient
) -> None:
    """Twice is as good as once for an upsert, so it needs no look-up."""
    await fault(api, lose_answer_next={"path": "/v1/customers"})
    await routed(database, identify())
    worker = deliverer()
    await work(worker)
    await hurry(database)
    await work(worker)
    assert [status for _, status in await states(database)] == ["delivered"]
    assert [call[0] for call in await calls(api, "/v1/customers")] == ["POST", "GET", "POST"]  # GET: is it up?


async def test_an_order_that_the_redemption_paid_is_only_looked_at(
    database: Database, deliverer: MakeDeliverer, api: httpx.AsyncClient
) -> None:
    """Where Voucherify says PAID already it has earned: no second PAID is sent, for it might earn again."""
    await programme.loyalty(api)
    card = await programme.join(api)
    await programme.buy(api, "o-1", 1000)
    await fault(api, earn_again_on_paid=True)
    await routed(database, order("o-1", voucherify_order_status="PAID"))
    await work(deliverer())
    assert await states(database) == [(ORDER, "delivered")]
    assert await programme.balance(api, card) == 10


async def test_a_refusal_ends_the_row_and_the_next_one_goes_on(
    database: Database, deliverer: MakeDeliverer, api: httpx.AsyncClient
) -> None:
    """400 is final: failed with Voucherify's reason and answer; the person's next row goes in the same round."""
    await fault(api, fail_next={"path": "/v1/orders", "status": 400})
    await routed(database, order("o-1"), order("o-2"))
    await work(deliverer())
    first, second = await deliveries(database)
    assert (first["status"], second["status"]) == ("failed", "delivered")
    assert "Planned by POST /sandbox/faults" in first["error"]
    assert await attempts(database) == [("refused", 400), ("done", 200)]


async def test_an_event_that_does_not_fit_its_mapping_is_refused_unsent(
    database: Database, deliverer: MakeDeliverer, api: httpx.AsyncClient
) -> None:
    """An order without products fails with a sentence that names the field, and nothing is sent for it."""
    await routed(database, order("o-1", products=None))
    await work(deliverer())
    (row,) = await deliveries(database)
    assert (row["status"], await calls(api)) == ("failed", [])
    assert "items" in row["error"]


async def test_a_stopped_worker_that_wakes_sends_nothing(database: Database, deliverer: MakeDeliverer) -> None:
    """A request that was about to leave when its worker was stopped longer than its lease does not leave."""
    await routed(database, order("o-1"))
    async with database.transaction() as connection:
        (lane,) = await lanes.claim(connection, "sleeper", 10, 1)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        api = {"apiKey": "a", "secretKey": "b", "customURL": address}
        worker = deliverer(settings={**api, "transport": "v1", "api": api})
        lane.fence.until = time.monotonic()  # as after a long sleep
        await worker._lane(lane)
        server.settimeout(1)
        connection_, _ = server.accept()
        with connection_:
            assert connection_.recv(1) == b""
    assert (await states(database), await attempts(database)) == ([(ORDER, "pending")], [("retry", None)])


async def test_a_row_that_fails_by_itself_is_passed_after_its_hold(
    database: Database, deliverer: MakeDeliverer
) -> None:
    """Within ORDER_HOLD the later row waits behind it; beyond, it is marked passed and the later one goes."""
    await routed(database, order("o-1"), order("o-2"))
    broken, asked = answering(*(httpx.Response(423, json={"message": "broken"}) for _ in range(3)))
    worker = deliverer(broken, order_hold=2)
    await work(worker)
    first, second = await deliveries(database)
    assert (first["passed"], second["attempts"], len(asked)) == (False, 0, 1)
    assert first["held"] > 0
    for _ in range(3):
        await hurry(database)
        await work(worker)
    first, second = await deliveries(database)
    assert (first["passed"], second["status"]) == (True, "delivered")
    await hurry(database)
    await work(worker)
    assert await states(database) == [(ORDER, "delivered")] * 2


async def test_many_passed_rows_do_not_block_the_lane(database: Database, deliverer: MakeDeliverer) -> None:
    """With more passed rows waiting than one look takes, the row behind them is still delivered."""
    await routed(database, *(order(f"o-{number}") for number in range(60)), order("last"))
    async with database.connection() as connection:
        await connection.execute("UPDATE delivery SET passed = true, due_at = now() + interval '1 h' WHERE id <= 60")
    good, asked = answering()
    await work(deliverer(good))
    assert [status for _, status in await states(database)][-1] == "delivered"
    assert len(asked) == 1


async def test_what_fails_by_itself_too_long_is_given_up(database: Database, deliverer: MakeDeliverer) -> None:
    """Beyond the budget it ends as failed with the last reason, and the lane is free."""
    await routed(database, order("o-1"))
    broken, _ = answering(*(httpx.Response(423, json={"message": "broken"}) for _ in range(9)))
    await work(deliverer(broken, budget=0.1))
    (row,) = await deliveries(database)
    assert (row["status"], row["error"].startswith("Given up")) == ("failed", True)
    assert "broken" in row["error"]


async def test_a_row_that_breaks_our_own_code_harms_only_itself(database: Database, deliverer: MakeDeliverer) -> None:
    """An error that nobody thought of is on the row as its reason, and the person's later rows pass it."""

    def odd(request: httpx.Request) -> httpx.Response:
        if b"o-1" in request.content:
            raise ZeroDivisionError("nobody thought of this")
        return httpx.Response(200, json={})

    await routed(database, order("o-1"), order("o-2"))
    await work(deliverer(httpx.MockTransport(odd), order_hold=0))
    first, second = await deliveries(database)
    assert (first["status"], second["status"]) == ("pending", "delivered")
    assert "nobody thought of this" in first["error"]


async def test_rows_of_a_person_go_in_order_and_persons_side_by_side(
    database: Database, deliverer: MakeDeliverer
) -> None:
    """Each person's rows leave in the order of their events; a slow person holds nobody else up."""
    left: list[str] = []
    all_fast = asyncio.Event()

    async def slow(request: httpx.Request) -> httpx.Response:
        name = request.content.decode().partition('"event":"')[2].partition('"')[0]
        if name.startswith("slow"):
            await all_fast.wait()
        left.append(name)
        if len(left) == 5:
            all_fast.set()
        return httpx.Response(200, json={})

    await routed(
        database,
        *(track(f"{speed}-{number}", user=speed) for number in range(5) for speed in ("slow", "fast")),
    )
    await work(deliverer(httpx.MockTransport(slow)))
    assert [name for name in left if name.startswith("slow")] == [f"slow-{number}" for number in range(5)]
    assert left[:5] == [f"fast-{number}" for number in range(5)]


async def test_no_key_is_kept_with_an_attempt(
    database: Database, deliverer: MakeDeliverer, api: httpx.AsyncClient
) -> None:
    """What is kept for the console has method, address and body of the request, and none of its headers."""
    await routed(database, order("o-1"))
    await work(deliverer())
    async with database.connection() as connection:
        kept = await connection.fetchval("SELECT request FROM attempt")
        whole = await connection.fetchval("SELECT string_agg(attempt::text, '') FROM attempt")
    assert sorted(kept) == ["body", "method", "url"]
    assert "app-token" not in whole


async def test_a_deliverer_that_stops_lets_go_of_its_lanes(database: Database, deliverer: MakeDeliverer) -> None:
    """Cancelled in the middle of a call it leaves the lane due at once and the try without an end."""
    await routed(database, order("o-1"))
    arrived = asyncio.Event()

    async def hang(_: httpx.Request) -> httpx.Response:
        arrived.set()
        await asyncio.sleep(60)
        raise AssertionError

    running = asyncio.create_task(deliverer(httpx.MockTransport(hang)).run(Wakeups(database.url)))
    async with asyncio.timeout(60):
        await arrived.wait()
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    async with database.connection() as connection:
        lane = await connection.fetchrow("SELECT owner, due_at <= now() AS due FROM lane")
    assert (tuple(lane), await attempts(database)) == ((None, True), [(None, None)])


async def test_a_mapping_that_is_gone_fails_its_rows_by_name(database: Database, deliverer: MakeDeliverer) -> None:
    """A delivery of a mapping that was removed ends with a sentence that names it."""
    await routed(database, track())
    await work(deliverer(registry=Registry(database, CATALOGUE, {})))
    (row,) = await deliveries(database)
    assert (row["status"], TRACK in row["error"]) == ("failed", True)
