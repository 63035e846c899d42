"""A destination that is down, over its limit, or misconfigured: all its lanes wait, and no row pays for it (rule 8)."""

import httpx

from app.db.session import Database
from tests.pipeline.conftest import MakeDeliverer
from tests.pipeline.road import ORDER, answering, deliveries, hurry, order, routed, states, work


async def test_over_the_limit_all_lanes_wait_as_long_as_it_is_told(
    database: Database, deliverer: MakeDeliverer
) -> None:
    """429 holds the destination for `Retry-After`, and costs the row neither hold nor budget."""
    await routed(database, order("o-1"), order("o-2"))
    limited, asked = answering(httpx.Response(429, headers={"retry-after": "120"}, json={"message": "Too many"}))
    await work(deliverer(limited, order_hold=1, budget=1))
    first, second = await deliveries(database)
    assert (first["status"], first["held"], second["attempts"], len(asked)) == ("pending", 0, 0, 1)
    async with database.connection() as connection:
        wait = await connection.fetchval("SELECT extract(epoch FROM probe_at - now()) FROM destination_state")
    assert 110 < wait <= 120
    await routed(database, order("o-3", user="somebody else"))
    await work(deliverer(limited))
    assert len(asked) == 1


async def test_an_outage_holds_the_lane_and_gives_nothing_up(database: Database, deliverer: MakeDeliverer) -> None:
    """Without connection the rows wait in order however long it takes; then they all go, in order."""
    await routed(database, order("o-1"), order("o-2"))
    down, asked = answering(httpx.ConnectError("refused"), up=False)
    worker = deliverer(down, order_hold=0, budget=0)
    for _ in range(6):
        await hurry(database)
        await work(worker)
    assert await states(database) == [(ORDER, "delivered")] * 2
    assert [b'"source_id":"o-1"' in request.content for request in asked] == [True, True, False]


async def test_while_it_is_down_only_the_question_is_sent(database: Database, deliverer: MakeDeliverer) -> None:
    """A time-out while the destination does not answer its test either counts for no row, and nothing more is sent."""
    await routed(database, *(order(f"o-{number}", user=f"u-{number}") for number in range(3)))
    questions: list[str] = []

    def dead(request: httpx.Request) -> httpx.Response:
        questions.append(request.method)
        raise httpx.ReadTimeout("too long")

    worker = deliverer(httpx.MockTransport(dead), order_hold=0, budget=0)
    await work(worker)
    sent = questions.count("POST")
    for _ in range(3):
        await hurry(database)
        await work(worker)
    assert (questions.count("POST"), await states(database)) == (sent, [(ORDER, "pending")] * 3)
    async with database.connection() as connection:
        state = await connection.fetchrow("SELECT down_since < now() AS down, reason, probes FROM destination_state")
        assert await connection.fetchval("SELECT max(held) FROM delivery") == 0
    assert (state["down"], state["probes"]) == (True, 3)
    assert "no answer" in state["reason"]


async def test_a_row_that_is_never_answered_does_not_hold_its_lane_for_ever(
    database: Database, deliverer: MakeDeliverer
) -> None:
    """Its time-outs are its own while the destination answers others: it is passed, and ends as unclear, not failed."""

    def odd(request: httpx.Request) -> httpx.Response:
        if "o-1" in str(request.url) or b"o-1" in request.content:
            raise httpx.ReadTimeout("too long")
        return httpx.Response(200, json={})

    await routed(database, order("o-1"), order("o-2"))
    worker = deliverer(httpx.MockTransport(odd), order_hold=0, budget=3600)
    await work(worker)
    first, second = await deliveries(database)
    assert (first["status"], first["passed"], second["status"]) == ("pending", True, "delivered")
    await hurry(database)
    await work(deliverer(httpx.MockTransport(odd), order_hold=0, budget=0))
    assert (await deliveries(database))[0]["status"] == "unclear"


async def test_with_wrong_keys_everything_waits(
    database: Database, deliverer: MakeDeliverer, api: httpx.AsyncClient
) -> None:
    """401 is the operator's to mend: no row is given up however often it is tried, and with the right key all go."""
    await routed(database, order("o-1"), order("o-2"))
    wrong = deliverer(key="wrong", budget=0, order_hold=0)
    for _ in range(3):
        await work(wrong)
        await hurry(database)
    assert await states(database) == [(ORDER, "pending")] * 2
    await work(deliverer())
    assert await states(database) == [(ORDER, "delivered")] * 2


async def test_with_a_wrong_address_everything_waits(database: Database, deliverer: MakeDeliverer) -> None:
    """A destination setting that can't be used holds the rows instead of failing them one by one."""
    await routed(database, order("o-1"))
    api = {"apiKey": "a", "secretKey": "b", "customURL": "localhost"}
    await work(deliverer(settings={**api, "transport": "v1", "api": api}))
    assert await states(database) == [(ORDER, "pending")]


async def test_one_that_answers_its_test_and_refuses_our_keys_is_left_alone_longer(
    database: Database, deliverer: MakeDeliverer
) -> None:
    """Its trouble counts from its beginning, waits grow, no row's clock runs; done work ends it."""
    await routed(database, order("o-1"))
    refused = httpx.Response(401, json={"message": "unknown key"})
    transport, asked = answering(refused, refused, refused)
    worker = deliverer(transport)
    since, waits = set(), []
    for _ in range(3):
        await work(worker)
        async with database.connection() as connection:
            row = await connection.fetchrow(
                """SELECT failing_since, extract(epoch FROM probe_at - now())::float8 AS wait, reason
                   FROM destination_state"""
            )
        since.add(row["failing_since"])
        waits.append(row["wait"])
        assert "does not accept our keys" in row["reason"]
        await hurry(database)
    assert len(since) == 1
    assert waits[0] < 31
    assert waits == sorted(waits)
    assert waits[2] > 100
    (delivery,) = await deliveries(database)
    assert (delivery["status"], delivery["held"]) == ("pending", 0)
    await work(worker)
    async with database.connection() as connection:
        state = await connection.fetchrow("SELECT failing_since, reason, probes FROM destination_state")
    assert (tuple(state), len(asked)) == ((None, None, 0), 4)
