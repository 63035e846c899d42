"""What the sandbox tells the world: in which form, in which order, and how stubbornly."""

import asyncio
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta

import asyncpg
import httpx
import pytest
from sqlalchemy.engine import make_url

from app.sandbox.app import Sandbox
from app.sandbox.webhooks import due_again, sign
from tests.sandbox.programme import COUPONS, buy, coupon, coupons, join, loyalty, redeem, rule, send
from tests.sandbox.serving import SECRET, Sink


def test_signatures_are_those_of_the_published_vectors() -> None:
    """The three signatures that Voucherify's own SDK verifies."""
    assert sign("secretKey", b'{"a":1}') == "a17d2ac229d1ebbb5f10e839c7985c4818e5986eab297f7e5979196d4d7d3ed2"
    assert sign("secretKey", b'{"a\\"b":1}') == "f7cf97814a03146abedb9793f56e1dec34f618f82d10395310d053f749483ffb"
    assert sign("secretKey", b"  message  ") == "53ff92957e1427ce23ad5bda9d0c5f2f4ff384d0806b83eeacb510c842d3a358"


def test_retries_come_at_the_documented_times() -> None:
    """1, 2, 4 … 512 minutes, 17h04 and 24 h after the first attempt; the thirteenth failure is the last."""
    first = datetime(2026, 1, 1, tzinfo=UTC)
    after = [due_again(first, attempts) for attempts in range(1, 14)]
    minutes = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 17 * 60 + 4, 24 * 60]
    assert after == [first + timedelta(minutes=each) for each in minutes] + [None]


async def test_a_webhook_is_compact_signed_and_in_its_envelope(api: httpx.AsyncClient, sink: Sink) -> None:
    """The bytes are compact UTF-8 that the signature covers, and the envelope has every documented key."""
    await send(api, "POST", "/v1/customers", {"source_id": "u-1", "name": "Zoë, Łódź"})
    body = (await sink.wait(1))[0]
    raw = sink.got[0].raw
    assert raw == json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    wanted = hmac.new(SECRET.encode(), raw, hashlib.sha256).hexdigest()
    assert sink.got[0].headers["x-voucherify-signature"] == wanted
    assert sink.got[0].headers["content-type"] == "application/json"
    assert body["id"].startswith("whs_")
    assert body["type"] == body["event"]["type"] == "customer.created"
    assert body["source"]["object"] == "webhook"
    assert body["source"]["target_url"] == sink.url
    assert body["event"]["entity_id"] == body["data"]["customer"]["id"]
    assert body["event"]["event_source"] == {"channel": "API", "api_key": {"name": "Primary", "app_id": "app-id"}}
    [call] = (await send(api, "GET", "/sandbox/requests?path=/v1/customers"))["data"]
    assert body["event"]["group_id"] == call["request_id"]


async def test_the_road_of_one_order_is_told_in_its_order(api: httpx.AsyncClient, sink: Sink) -> None:
    """Each step of a customer comes once per webhook, in the order in which it happened."""
    await loyalty(api)
    await coupons(api)
    await join(api)
    code = await coupon(api)
    await redeem(api, code, source_id="o-1", status="CREATED", amount=2000)
    await buy(api, "o-1", 2000)
    await sink.wait(14)
    await asyncio.sleep(0.05)
    told = [
        (each.type, each.body["source"]["object"])
        for each in sink.got
        if not each.type.startswith(("campaign", "voucher.created"))
    ]
    assert told == [
        ("customer.created", "webhook"),
        ("voucher.published", "webhook"),
        ("publication.succeeded", "webhook"),
        ("voucher.published", "webhook"),
        ("publication.succeeded", "webhook"),
        ("customer.order.created", "distribution"),
        ("redemption.succeeded", "webhook"),
        ("customer.order.paid", "distribution"),
        ("customer.rewarded.loyalty_points", "webhook"),
        ("customer.rewarded.loyalty_points", "distribution"),
        ("voucher.loyalty_card.transaction.created", "webhook"),
    ]


async def test_a_distribution_carries_a_free_name(api: httpx.AsyncClient, sink: Sink) -> None:
    """In a distribution `type` is what somebody typed; only `event.type` can be relied on."""
    await buy(api, "o-1", 100)
    body = (await sink.wait(1, "customer.order.paid"))[0]
    assert body["type"] == "Order paid"
    assert body["source"]["object"] == "distribution"
    assert body["source"]["id"].startswith("distr_")
    assert set(body["data"]) == {"customer", "referrer", "order", "redemption"}


async def test_points_are_told_with_their_cause_and_their_sum(api: httpx.AsyncClient, sink: Sink) -> None:
    """The ledger's webhook has the transaction as the API shows it, the balance after it, and the order behind it."""
    await loyalty(api, points=7)
    card = await join(api)
    await buy(api, "o-1", 1000)
    data = (await sink.wait(1, "voucher.loyalty_card.transaction.created"))[0]["data"]
    [row] = (await send(api, "GET", f"/v1/loyalties/members/{card}/transactions"))["data"]
    assert data["transaction"] == row
    assert (data["balance"]["points"], data["balance"]["balance"]) == (10, 17)
    assert data["voucher"]["loyalty_card"]["balance"] == 17
    assert data["order"]["source_id"] == "o-1"
    paid = (await sink.wait(1, "customer.order.paid"))[0]
    assert data["event"]["id"] == paid["event"]["id"] == row["details"]["event"]["id"]
    assert (row["type"], row["source"]) == ("POINTS_ACCRUAL", "Automation")


async def test_a_custom_event_is_told_with_its_metadata(api: httpx.AsyncClient, sink: Sink) -> None:
    """The distribution for custom events carries the event."""
    await loyalty(api)
    await rule(api, "visit", {"type": "FIXED", "points": 5})
    await join(api)
    body = {"event": "visit", "customer": {"source_id": "u-1"}, "metadata": {"shop": "A"}}
    await send(api, "POST", "/v1/events", body)
    event = (await sink.wait(1, "customer.custom_event"))[0]["data"]["event"]
    assert (event["type"], event["metadata"]) == ("visit", {"shop": "A"})
    data = (await sink.wait(1, "voucher.loyalty_card.transaction.created"))[0]["data"]
    assert data["custom_event"]["id"] == event["id"]


async def test_a_failed_request_tells_nothing_but_its_failure(api: httpx.AsyncClient, sink: Sink) -> None:
    """What was rolled back is not announced; a refused redemption is."""
    await coupons(api)
    await send(api, "POST", "/v1/publications", {"campaign": "none", "customer": {"source_id": "u-1"}}, expect=404)
    await redeem(api, "NOPE", expect=404, customer=None, amount=5)
    data = (await sink.wait(1, "redemption.failed"))[0]["data"]
    assert data["redemption"]["failure_code"] == "resource_not_found"
    assert sink.of("customer.created") == []
    assert sink.of("publication.succeeded") == []
    assert COUPONS in {body["data"]["campaign"]["name"] for body in sink.of("campaign.created")}


async def test_webhooks_go_out_within_twenty_milliseconds(api: httpx.AsyncClient, sink: Sink) -> None:
    """From the answer to the webhook's arrival: the median of twenty is under 20 ms."""
    await send(api, "POST", "/v1/customers", {"source_id": "u"})
    loop, waits = asyncio.get_running_loop(), []
    for n in range(20):
        sink.got.clear()
        await send(api, "PUT", "/v1/customers/u", {"name": str(n)})
        answered = loop.time()
        await sink.wait(1)
        waits.append(sink.got[0].at - answered)
    assert sorted(waits)[10] < 0.02


async def test_a_refused_webhook_is_tried_again_on_the_moved_clock(api: httpx.AsyncClient, sink: Sink) -> None:
    """After a 500 nothing comes for a minute of the sandbox's time; move the clock and it comes, the same message."""
    sink.status = 500
    await send(api, "POST", "/v1/customers", {"source_id": "u-1"})
    first = (await sink.wait(1))[0]
    sink.status = 200
    await asyncio.sleep(0.1)
    assert len(sink.got) == 1
    await send(api, "POST", "/sandbox/clock", {"advance": 61})
    again = (await sink.wait(2))[1]
    assert (again["id"], again["event"]["id"]) == (first["id"], first["event"]["id"])


async def test_a_receiver_that_does_not_answer_in_time_is_a_failure(api: httpx.AsyncClient, sink: Sink) -> None:
    """No answer counts as an error, and other customers' webhooks do not wait for it."""
    sink.hang = True
    await send(api, "POST", "/v1/customers", {"source_id": "u-1"})
    await sink.wait(1)
    sink.hang = False
    await send(api, "POST", "/v1/customers", {"source_id": "u-2"})
    await sink.wait(2, seconds=0.25)
    await asyncio.sleep(0.4)
    rows = (await send(api, "GET", "/sandbox/deliveries?state=WAITING"))["data"]
    assert [(row["attempts"], row["answer"]) for row in rows] in ([(1, "TimeoutError")], [(1, "ReadTimeout")])


async def test_webhooks_go_on_after_the_database_was_away(
    api: httpx.AsyncClient, sink: Sink, sandbox: Sandbox, postgres: str
) -> None:
    """What was accepted while nobody could note it comes again, and what follows for the same customer comes too."""
    name = make_url(sandbox.store.config.database_url).database
    await send(api, "POST", "/sandbox/faults", {"webhook_delay_ms": 300})
    await send(api, "POST", "/v1/customers", {"source_id": "u-1"})
    server = await asyncpg.connect(postgres)
    try:
        await server.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        await server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
        await sink.wait(1)
        await asyncio.sleep(0.2)
    finally:
        await server.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
        await server.close()
    await sink.wait(2)
    await send(api, "PUT", "/v1/customers/u-1", {"name": "Zoë"})
    await sink.wait(1, "customer.updated")


async def test_webhooks_go_on_whenever_their_sessions_are_cut(
    api: httpx.AsyncClient, sink: Sink, sandbox: Sandbox, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut in whatever it does with its database, also between two steps of the driver, the sender does not end."""
    monkeypatch.setattr("app.sandbox.webhooks._POLL", 0.001)
    name = make_url(sandbox.store.config.database_url).database
    server = await asyncpg.connect(postgres)
    try:
        for _ in range(150):
            sandbox.store.wake()
            await asyncio.sleep(0.001)
            await server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
    finally:
        await server.close()
    for _ in range(100):  # a call too may meet a session that was cut
        if (await api.post("/v1/customers", json={"source_id": "u-1"})).is_success:
            break
    await sink.wait(1)


async def test_after_thirteen_failures_the_webhook_is_disabled(api: httpx.AsyncClient, sink: Sink) -> None:
    """The first attempt and twelve retries fail: the project webhook is switched off, distributions are not."""
    sink.status = 503
    await send(api, "POST", "/v1/customers", {"source_id": "u-1"})
    await sink.wait(1)
    for attempt in range(2, 14):
        await asyncio.sleep(0.03)
        await send(api, "POST", "/sandbox/clock", {"advance": 24 * 3600})
        await sink.wait(attempt)
    await asyncio.sleep(0.1)
    hooks = (await send(api, "GET", "/sandbox/webhooks"))["data"]
    assert {hook["object"]: hook["active"] for hook in hooks} == {"webhook": False, "distribution": True}
    await send(api, "POST", "/sandbox/clock", {"advance": 24 * 3600})
    await send(api, "POST", "/v1/customers", {"source_id": "u-2"})
    await asyncio.sleep(0.1)
    assert len(sink.got) == 13
    sink.status = 200
    await send(api, "POST", "/sandbox/webhooks", {"target_url": sink.url})
    assert {hook["active"] for hook in (await send(api, "GET", "/sandbox/webhooks"))["data"]} == {True}


async def test_webhooks_can_be_sent_elsewhere(api: httpx.AsyncClient, sink: Sink) -> None:
    """A new target replaces the old; none at all stops them; what is not an address is refused."""
    await send(api, "POST", "/sandbox/webhooks", {"target_url": f"{sink.url}/other"})
    await send(api, "POST", "/v1/customers", {"source_id": "u-1"})
    assert (await sink.wait(1))[0]["source"]["target_url"] == f"{sink.url}/other"
    await send(api, "POST", "/sandbox/webhooks", {"target_urls": []})
    await send(api, "POST", "/v1/customers", {"source_id": "u-2"})
    await asyncio.sleep(0.1)
    assert len(sink.got) == 1
    for bad in ({}, {"target_url": "nowhere"}, {"target_urls": 5}):
        await send(api, "POST", "/sandbox/webhooks", bad, expect=400)


@pytest.mark.parametrize("fault", [{"webhook_duplicate": True}, {"webhook_delay_ms": 150}, {"webhook_shuffle": True}])
async def test_webhooks_can_be_made_to_misbehave(api: httpx.AsyncClient, sink: Sink, fault: dict[str, object]) -> None:
    """Twice, late, or in any order: still each at least once, with the same ids."""
    await send(api, "POST", "/sandbox/faults", fault)
    began = asyncio.get_running_loop().time()
    await buy(api, "o-1", 100)
    await sink.wait(6 if "webhook_duplicate" in fault else 3)
    assert {each.type for each in sink.got} == {"customer.created", "customer.order.created", "customer.order.paid"}
    assert len({each.body["id"] for each in sink.got}) == 3
    if "webhook_delay_ms" in fault:
        assert sink.got[0].at - began > 0.15


async def test_order_is_kept_under_load(api: httpx.AsyncClient, sink: Sink) -> None:
    """Many customers at once: each one's balances arrive in the order of the ledger."""
    await loyalty(api)
    cards = [await join(api, f"u-{n}") for n in range(5)]
    await asyncio.gather(*(buy(api, f"o-{n}", 100, customer=f"u-{n % 5}") for n in range(50)))
    bodies = await sink.wait(50, "voucher.loyalty_card.transaction.created")
    for card in cards:
        told = [body["data"]["balance"]["balance"] for body in bodies if body["data"]["voucher"]["code"] == card]
        assert told == list(range(1, 11))
