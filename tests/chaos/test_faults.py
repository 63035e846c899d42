"""Trouble on the whole road, with real processes: Voucherify's, its webhooks', one bad row among good ones.

What one part does about its own trouble is tested beside that part; here all of them must agree in the end.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio

from app.voucherify.signature import sign
from tests.chaos.faults_books import agree
from tests.chaos.faults_town import BIG, LOST, SMALL, Town, open_town, phone, planned, trouble
from tests.conftest import MakeDatabase
from tests.house import PATIENCE

EVERYTHING = 10_000
"""A count that no test reaches: until it is switched off."""


@pytest_asyncio.fixture(scope="module")
async def town(make_database: MakeDatabase, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Town]:
    """A house of our own with two web processes, where nobody waits long for an answer of Voucherify."""
    folder = tmp_path_factory.mktemp("faults")
    quick = {"VOUCHERIFY_TIMEOUT": "1", "WORKER_PENDING_ORDER_AFTER": "2"}
    async with open_town("faults", make_database, folder, **quick) as opened:
        opened.start("web2")
        yield opened


@pytest_asyncio.fixture
async def members(town: Town) -> AsyncIterator[list[str]]:
    """Three members, who are all that the books of this test are about."""
    town.forget()
    yield [town.enrol() for _ in range(3)]
    town.switch_off()


TROUBLES: dict[str, dict[str, Any]] = {
    "slow": {"latency_ms": 300},
    "too late": {"latency_ms": 1500},
    "over the limit": {"fail_next": [planned(429, 10)]},
    "failing": {"fail_next": [planned(500), planned(503), planned(502), planned(504)]},
    # Refused and then broken off: nothing was done, and nobody can know it.
    "connections reset": {
        "fail_next": [planned(500, EVERYTHING, "/v1/orders"), planned(500, EVERYTHING, "/v1/redemptions")],
        "lose_answer_next": [planned(500, 6, "/v1/orders"), planned(500, 2, "/v1/redemptions")],
    },
    "answers lost": {"lose_answer_next": LOST, "earn_again_on_paid": True},
    "orders paid by redemptions": {
        "lose_answer_next": LOST,
        "ignore_redemption_order_status": True,
        "earn_again_on_paid": True,
    },
}


@pytest.mark.parametrize("faults", list(TROUBLES.values()), ids=list(TROUBLES))
async def test_voucherify_in_trouble_while_orders_run(town: Town, members: list[str], faults: dict[str, Any]) -> None:
    """Whatever Voucherify does while big, small and discounted baskets are paid: in the end all books agree."""
    coupons = [town.coupon(member) for member in members[:2]]
    sales: list[tuple[Any, ...]] = [(member, basket) for member in members for basket in (BIG, SMALL)]
    sales += [(member, SMALL, coupon) for member, coupon in zip(members, coupons, strict=False)]
    town.forget_calls()
    with trouble(town, **faults):
        async with town.selling(sales) as selling:
            await _bitten(town, "/v1/orders" if "lose_answer_next" in faults else "/v1")
            await asyncio.sleep(2)
            town.switch(latency_ms=0, fail_next=[], lose_answer_next=[])  # it is well again, and counts as it did
        assert len({order["id"] for order in selling.result()}) == len(sales)
        await agree(town)


async def _bitten(town: Town, path: str) -> None:
    """Wait until such a call was refused, lost, or slow."""
    until = time.monotonic() + PATIENCE
    while not any(
        call["lost"] or call["status"] == 429 or call["status"] >= 500 or call["milliseconds"] >= 300
        for method in ("POST", "PUT")
        for call in town.calls(method, path)
    ):
        assert time.monotonic() < until, "the trouble met nobody"
        await asyncio.sleep(0.05)


async def test_webhooks_doubled_delayed_and_shuffled(town: Town, members: list[str]) -> None:
    """Webhooks come twice, late, and in any order, while members buy: each movement counts once, the balance is right.

    The web process that takes them in is away for a moment as well: some come a minute later, after younger ones.
    """
    with trouble(town, webhook_duplicate=True, webhook_shuffle=True, webhook_delay_ms=150):
        coupons = [town.coupon(member) for member in members]
        sales: list[tuple[Any, ...]] = [(member, basket) for member in members for basket in (BIG, SMALL, BIG)]
        await asyncio.to_thread(town.sell_all, sales)
        town.house.kill("web")
        await asyncio.sleep(0.5)
        town.start("web")
        await asyncio.to_thread(
            town.sell_all, [(member, SMALL, coupon) for member, coupon in zip(members, coupons, strict=True)]
        )
        await agree(town)
    async with town.database() as connection:
        twice = await connection.fetch("SELECT source_id, event_id FROM webhook GROUP BY 1, 2 HAVING count(*) > 1")
    assert twice == []


async def test_tills_that_enrol_one_phone_at_once(town: Town, members: list[str]) -> None:
    """At both web processes, eight tills at once: one member, one customer, one card with one welcome."""
    number = phone()

    def enrol(web: str) -> tuple[int, str]:
        with town.till(web) as till:
            answer = till.post("/members", json={"phone": number, "first_name": "Twice"})
            return answer.status_code, answer.json()["id"]

    made = await asyncio.gather(*(asyncio.to_thread(enrol, web) for web in ("web", "web2") * 4))
    assert sorted(status for status, _ in made) == [200] * 7 + [201]
    (member,) = {id_ for _, id_ in made}
    card = town.house.enrol(number)["card"]  # once more, and now with its card
    town.keys[member], town.cards[member] = [], card
    town.sell(member, SMALL)
    await agree(town)
    customers = town.house.voucherify("GET", "/v1/customers?limit=100")["customers"]
    assert [row["source_id"] for row in customers if row["phone"] == number] == [member]
    issued = town.house.voucherify("GET", f"/v1/publications?customer={member}&campaign=Loyalty%20Program&limit=100")
    assert [row["voucher"]["code"] for row in issued["publications"]] == [card]


async def test_two_people_become_one_while_both_have_events_under_way(town: Town, members: list[str]) -> None:
    """An `identify` with both ids merges a visitor into a member while both buy and look around: nothing is lost.

    Their events are in different partitions, and the two lanes stay apart, each in its order.
    """
    visitors = {member: [f"visitor-{uuid4()}" for _ in range(4)] for member in members}

    def messages(member: str, visitor: str, number: int) -> list[dict[str, Any]]:
        return [
            {"type": "identify", "anonymousId": visitor, "traits": {f"before_{number}": 1}},
            {"type": "identify", "userId": member, "anonymousId": visitor, "traits": {f"joined_{number}": 1}},
            {"type": "identify", "anonymousId": visitor, "traits": {f"after_{number}": 1}},
            {"type": "track", "event": "Looked", "userId": member, "properties": {"number": number}},
        ]

    sales: list[tuple[Any, ...]] = [(member, basket) for member in members for basket in (BIG, SMALL)]
    async with town.database() as connection:
        key = await connection.fetchval("SELECT key FROM write_key WHERE source = 'online-store'")
    async with town.selling(sales), httpx.AsyncClient(auth=(key, ""), timeout=60) as store:
        posts = [
            store.post(f"{town.house.url(web)}/v1/batch", json={"batch": [message]})
            for member in members
            for number, visitor in enumerate(visitors[member])
            for message, web in zip(messages(member, visitor, number), ("web", "web2") * 2, strict=True)
        ]
        assert {answer.status_code for answer in await asyncio.gather(*posts)} == {200}
    await agree(town)
    wanted = {f"{when}_{number}": 1 for when in ("before", "joined", "after") for number in range(4)}
    async with town.database() as connection:
        for member in members:
            known = await connection.fetch(
                """SELECT DISTINCT profile.* FROM profile_identifier JOIN profile ON profile.id = profile_id
                   WHERE value = ANY($1)""",
                [member, *visitors[member]],
            )
            assert len(known) == 1
            assert known[0]["merged_into"] is None
            assert {name: value for name, value in known[0]["traits"].items() if name in wanted} == wanted
            looked = await connection.fetch(
                """SELECT event_position, finished_at, status FROM delivery JOIN event ON position = event_position
                   WHERE delivery.person = $1 AND event.source <> 'voucherify' ORDER BY event_position""",
                member,
            )
            assert {row["status"] for row in looked} == {"delivered"}
            assert looked == sorted(looked, key=lambda row: row["finished_at"])


async def test_a_poison_event_among_orders(town: Town, members: list[str]) -> None:
    """An event that the database refuses is put aside with its reason; the orders around it know nothing of it."""
    async with town.database() as connection:
        key = await connection.fetchval("SELECT key FROM write_key WHERE source = 'online-store'")
        poison = f"poison-{uuid4()}"
        await connection.execute(
            f"ALTER TABLE order_fact ADD CONSTRAINT no_poison CHECK (order_id <> '{poison}') NOT VALID"
        )
        bad = {"type": "track", "event": "Order Completed", "userId": members[0]}
        batch = [{**bad, "properties": {"order_id": poison, "currency": "USD"}}]
        async with town.selling([(member, SMALL) for member in members for _ in range(3)]):
            assert town.post("/v1/batch", auth=(key, ""), json={"batch": batch}).status_code == 200
        await agree(town)
        reason = await connection.fetchval(
            "SELECT error FROM poison_event JOIN event ON position = event_position WHERE order_id = $1", poison
        )
        deliveries = await connection.fetchval(
            "SELECT count(*) FROM delivery JOIN event ON position = event_position WHERE order_id = $1", poison
        )
        await connection.execute("ALTER TABLE order_fact DROP CONSTRAINT no_poison")
    assert reason.startswith("CheckViolationError")
    assert deliveries == 0


async def test_a_poison_webhook_among_orders(town: Town, members: list[str]) -> None:
    """A signed webhook that makes no sense waits with its reason; those of the orders around it are applied."""
    victim = town.enrol()
    body = {
        "id": f"whs_{uuid4().hex}",
        "type": "voucher.loyalty_card.transaction.created",
        "source": {"id": "wh_poison"},
        "event": {"id": f"ev_{uuid4().hex}", "type": "voucher.loyalty_card.transaction.created"},
        "data": {"holder": {"source_id": victim}, "transaction": "no transaction", "voucher": {}},
    }
    raw = json.dumps(body, separators=(",", ":")).encode()
    headers = {"x-voucherify-signature": sign(town.webhook_secret(), raw)}
    async with town.selling([(member, BIG) for member in members for _ in range(2)]):
        assert town.post("/webhooks/voucherify", content=raw, headers=headers).status_code == 202
    del town.keys[victim], town.cards[victim]
    await agree(town)
    async with town.database() as connection:
        until = time.monotonic() + PATIENCE
        query = "SELECT * FROM webhook WHERE source_id = 'wh_poison'"
        while (row := await connection.fetchrow(query))["error"] is None:
            assert time.monotonic() < until, "nobody tried it"
            await asyncio.sleep(0.05)
    assert row["status"] == "pending"
    assert row["error"].startswith("TypeError")


async def test_one_message_of_a_relay_batch_is_refused(town: Town, members: list[str]) -> None:
    """Our own door answers 400 for one message that is too large: it alone is given up, the orders around it earn."""
    async with town.database() as connection:
        await _hold_the_relay(town, "test")
        before = [town.sell(member, SMALL) for member in members]
        message = {"type": "track", "event": "Huge", "userId": members[0], "messageId": f"huge-{uuid4()}"}
        huge = {**message, "properties": {"text": "x" * 40_000}}
        await connection.execute(
            """INSERT INTO emission (source, message_id, message, status, attempts, due_at, created_at)
               VALUES ('till', $1, $2, 'pending', 0, now(), now())""",
            message["messageId"],
            huge,
        )
        after = [town.sell(member, SMALL) for member in members]
        assert await connection.fetchval("SELECT count(*) FROM emission WHERE status = 'pending'") == 7
        await connection.execute("DELETE FROM lease WHERE name = 'relay:till'")
        await agree(town)
        refused = await connection.fetchrow("SELECT * FROM emission WHERE message_id = $1", message["messageId"])
        positions = [
            await connection.fetchval("SELECT position FROM event WHERE order_id = $1", order["id"])
            for order in (*before, *after)
        ]
    assert (refused["status"], "32 KB" in refused["answer"]) == ("dead", True)
    assert positions == sorted(positions)


async def _hold_the_relay(town: Town, owner: str) -> None:
    """Take the till's relay away from the workers, so that what is sold meanwhile leaves in one batch."""
    async with town.database() as connection:
        await connection.execute(
            """INSERT INTO lease (name, owner, until) VALUES ('relay:till', $1, now() + interval '1 minute')
               ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, until = excluded.until""",
            owner,
        )
    await asyncio.sleep(0.5)  # the relay that had it trusts its lease for a tenth of its time without asking


async def test_an_order_overtakes_the_news_of_its_member(town: Town) -> None:
    """Phone and till are two sources with a relay each: an order that comes first earns nevertheless."""
    town.forget()
    town.house.stop("worker")
    joined = town.post("/phone/members", json={"phone": phone(), "first_name": "Mia"}).json()["member"]["id"]
    town.keys[joined] = []
    order = town.sell(joined, SMALL)
    async with town.database() as connection:
        later = "UPDATE emission SET due_at = now() + make_interval(secs => $2) WHERE message_id = $1"
        await connection.execute(later, f"member-enrolled:{joined}", 3600)
        town.start("worker")
        await asyncio.to_thread(town.house.trace, order["id"])
        await connection.execute(later, f"member-enrolled:{joined}", 0)
        until = time.monotonic() + PATIENCE
        while (card := await connection.fetchval("SELECT card FROM member WHERE id::text = $1", joined)) is None:
            assert time.monotonic() < until, "no card"
            await asyncio.sleep(0.1)
    town.cards[joined] = card
    await agree(town)
