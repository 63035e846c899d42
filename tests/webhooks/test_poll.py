"""The poll feed: what Voucherify's lists tell ends as its webhooks would have ended, whatever cuts it off.

The sandbox is real and has done the work; its webhooks are caught: one database hears by them, another by polls.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
import pytest_asyncio
from pydantic import SecretStr

from app.db import migrate
from app.db.prune import Pruner
from app.db.session import Database
from app.errors import LoyaltyError
from app.sandbox import nightly
from app.sandbox.app import Sandbox
from app.setting_groups import KeepSettings
from app.voucherify import happened
from app.voucherify.client import Call, Client
from app.voucherify.loyalty import LoyaltyV1
from app.webhooks import inbox
from app.webhooks.apply import Applier
from app.webhooks.parse import parse
from app.webhooks.poll import Poller
from tests.sandbox import programme
from tests.sandbox.conftest import api, sandbox, shared_sandbox, shared_sink, sink
from tests.sandbox.serving import KEYS, Sink

__all__ = ["api", "sandbox", "shared_sandbox", "shared_sink", "sink"]  # the fixtures of a sandbox behind a real server
LAST = "the last of all"


@pytest_asyncio.fixture
async def client(api: httpx.AsyncClient) -> AsyncIterator[Client]:
    made = Client(str(api.base_url), SecretStr(KEYS["X-App-Id"]), SecretStr(KEYS["X-App-Token"]))
    yield made
    await made.close()


async def trade(api: httpx.AsyncClient) -> tuple[UUID, UUID]:
    """Two members: cards, coupons, one of them used and one given back, a reward, points by hand. And a stranger."""
    first, second = uuid4(), uuid4()
    await programme.loyalty(api, points=50)
    campaign = await programme.coupons(api)
    for member in (str(first), str(second), "a stranger"):
        card = await programme.join(api, member)
        order = str(uuid4())
        await programme.buy(api, order, 2_400, customer=member)
        body = {"campaign": programme.COUPONS, "customer": {"source_id": member}, "source_id": f"big:{order}"}
        code = (await programme.send(api, "POST", "/v1/publications", body))["voucher"]["code"]
        bought = str(uuid4())
        redeemed = await programme.redeem(api, code, customer=member, source_id=bought, amount=1_000, status="CREATED")
        await programme.buy(api, bought, 1_000, customer=member)
        if member == str(second):
            await programme.send(api, "POST", f"/v1/redemptions/{redeemed['redemptions'][0]['id']}/rollback")
        await programme.coupon(api, member)
        await programme.adjust(api, card, -5)
    made = {"name": "A coupon", "parameters": {"campaign": {"id": campaign["id"]}}}
    reward = await programme.send(api, "POST", "/v1/rewards", made)
    price = [{"reward": reward["id"], "parameters": {"loyalty": {"points": 30}}}]
    await programme.send(api, "POST", f"/v1/loyalties/{programme.LOYALTY}/rewards", price)
    card = await programme.join(api, str(first))
    body = {"reward": {"id": reward["id"]}}
    await programme.send(api, "POST", f"/v1/loyalties/members/{card}/redemption", body)
    return first, second


async def enrolled(database: Database, *members: UUID) -> None:
    """Members who joined before anything happened in Voucherify."""
    async with database.transaction() as connection:
        await connection.executemany(
            """INSERT INTO member (id, phone, first_name, last_name, source, created_at)
               VALUES ($1, $2, 'Ada', '', 'till', now() - interval '1 minute')""",
            [(member, f"+48{place:09}") for place, member in enumerate(members)],
        )


async def apply(database: Database, client: Client) -> None:
    applier = Applier(database, LoyaltyV1(client), emits=True)
    while await applier.run_once() or await applier.settle_cards():
        pass


async def by_webhooks(api: httpx.AsyncClient, sink: Sink, database: Database, client: Client) -> None:
    """All webhooks that the sandbox has sent so far."""
    await api.post("/v1/customers", json={"source_id": LAST, "name": str(uuid4())})
    until = asyncio.get_running_loop().time() + 20
    while (await api.get("/sandbox/webhooks")).json()["data"][0]["waiting"]:
        assert asyncio.get_running_loop().time() < until, "webhooks are not sent"
        await asyncio.sleep(0.02)
    async with database.transaction() as connection:
        for got in sink.got:
            parsed = parse(got.body)
            assert parsed is not None
            await inbox.put(connection, parsed, got.body)
    await apply(database, client)


async def by_polls(database: Database, client: Client, calls: int = 100, looks: int = 2) -> None:
    for _ in range(looks):  # the campaigns of cards are known after the first
        await Poller(database, client, calls).run_once()
    await apply(database, client)


async def told(database: Database) -> dict[str, Any]:
    """What screens and reports would show, and what was sent on to Segment."""
    async with database.connection() as connection:
        return {
            "profiles": await rows(
                connection,
                """SELECT value, loyalty ->> 'card', loyalty ->> 'balance', loyalty ->> 'campaign',
                          jsonb_exists(loyalty, 'unsettled')
                   FROM profile JOIN profile_identifier ON profile_id = profile.id WHERE type = 'user_id'""",
            ),
            "members": await rows(connection, "SELECT id::text, card FROM member"),
            "movements": await rows(connection, "SELECT * FROM point_movement"),
            "coupons": await rows(
                connection,
                """SELECT code, member_id, campaign, title, order_id, expires_at, redeemed_order_id,
                          redeemed_at IS NULL FROM coupon""",
            ),
            "segment": await rows(
                connection, "SELECT message_id, message ->> 'event', message -> 'properties' FROM emission"
            ),
            "failed": await rows(connection, "SELECT type, error FROM webhook WHERE status IN ('failed', 'pending')"),
        }


async def rows(connection: Any, query: str) -> list[str]:
    return sorted(str(tuple(row.values())) for row in await connection.fetch(query))


@pytest_asyncio.fixture
async def other(database: Database, make_database: Any) -> AsyncIterator[Database]:
    """A second migrated database, for the house that hears by webhooks."""
    url = await make_database("by_webhooks")
    await migrate.upgrade(url)
    made = Database(url, pool=5)
    yield made
    await made.close()


async def test_polls_end_as_webhooks_do(
    api: httpx.AsyncClient, sink: Sink, client: Client, database: Database, other: Database
) -> None:
    """Profiles, members, movements, coupons and events for Segment are the same by either feed; a webhook that comes
    after the polls, and polls after that, change nothing."""
    members = await trade(api)
    for each in (database, other):
        await enrolled(each, *members)
    await by_webhooks(api, sink, other, client)
    expected = await told(other)
    assert len(expected["movements"]) == 7
    assert len(expected["coupons"]) == 5
    await by_polls(database, client)
    assert await told(database) == expected
    await by_webhooks(api, sink, database, client)
    await by_polls(database, client)
    assert await told(database) == expected


async def test_a_look_makes_as_many_calls_as_it_may(
    api: httpx.AsyncClient, sink: Sink, client: Client, database: Database, other: Database
) -> None:
    """With five calls a look the same is heard, in more looks; a quiet list costs one call."""
    members = await trade(api)
    for each in (database, other):
        await enrolled(each, *members)
    await by_polls(other, client)
    calls: list[Call] = []
    client.observe = calls.append
    for _ in range(12):
        before = len(calls)
        await Poller(database, client, 5).run_once()
        assert len(calls) - before <= 5
    client.observe = None
    assert {call.path for call in calls[-3:]} == {
        "/v1/publications",
        "/v1/redemptions",
        f"/v1/campaigns/{programme.LOYALTY}/transactions",
    }
    await apply(database, client)
    assert await told(database) == await told(other)


class Killed(BaseException):
    """Stands for the end of the process: nothing of ours catches it."""


class Dying(httpx.AsyncBaseTransport):
    """Lets so many calls through, and then the process is gone, before the answer is seen."""

    def __init__(self) -> None:
        self.left = 0
        self._wire = httpx.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = await self._wire.handle_async_request(request)
        await answer.aread()
        await answer.aclose()
        if not self.left:
            raise Killed
        self.left -= 1
        return answer

    async def aclose(self) -> None:
        await self._wire.aclose()


async def test_killed_anywhere_nothing_is_lost_or_doubled(
    api: httpx.AsyncClient, client: Client, database: Database, other: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed at its first call, its second and so on, with lists of many pages, it ends as if it had not been."""
    monkeypatch.setattr(happened, "PAGE", 2)
    members = await trade(api)
    for each in (database, other):
        await enrolled(each, *members)
    await by_polls(other, client)
    wire = Dying()
    dying = Client(str(api.base_url), SecretStr(KEYS["X-App-Id"]), SecretStr(KEYS["X-App-Token"]), transport=wire)
    for wire.left in (0, 1, 3, 1, 3):
        with pytest.raises(Killed):
            await Poller(database, dying, 100).run_once()
    await dying.close()
    await by_polls(database, client)
    assert await told(database) == await told(other)
    async with database.connection() as connection:
        doubled = "SELECT event_id FROM webhook GROUP BY event_id HAVING count(*) > 1"
        assert await connection.fetch(doubled) == []
        assert await connection.fetchval("SELECT count(*) FROM polled_list WHERE walk IS NOT NULL") == 0


async def test_two_workers_at_once_store_nothing_twice(
    api: httpx.AsyncClient, client: Client, database: Database, other: Database
) -> None:
    """Also where a lease ended under a worker that was slow."""
    members = await trade(api)
    for each in (database, other):
        await enrolled(each, *members)
    await by_polls(other, client)
    for _ in range(2):
        await asyncio.gather(*(Poller(database, client, 100).run_once() for _ in range(3)))
    await apply(database, client)
    assert await told(database) == await told(other)


async def test_what_comes_late_is_found(api: httpx.AsyncClient, client: Client, database: Database) -> None:
    """A row that is seen only after newer ones were read, and that is some minutes old by its time, is read yet."""
    member = uuid4()
    await enrolled(database, member)
    await programme.loyalty(api)
    card = await programme.join(api, str(member))
    await programme.adjust(api, card, 10)
    await programme.adjust(api, card, 7)
    await by_polls(database, client)
    async with database.transaction() as connection:  # the first was not there, as far as we saw
        await connection.execute(
            "DELETE FROM webhook WHERE body #>> '{data,transaction,details,balance,points}' = '10'"
        )
        await connection.execute("DELETE FROM point_movement WHERE points = 10")
    await by_polls(database, client, looks=1)
    assert {row.split(", ")[4] for row in (await told(database))["movements"]} == {"10", "7"}


async def test_a_list_that_is_refused_does_not_keep_the_others_back(
    api: httpx.AsyncClient, client: Client, database: Database
) -> None:
    """The job fails and says which list; the others are read, and the next look reads all."""
    member = uuid4()
    await enrolled(database, member)
    await programme.loyalty(api)
    await programme.join(api, str(member))
    await api.post("/sandbox/faults", json={"fail_next": {"path": "/v1/publications", "method": "GET", "status": 503}})
    with pytest.raises(LoyaltyError, match="publications: Voucherify answered 503"):
        await Poller(database, client, 100).run_once()
    async with database.connection() as connection:
        read = await connection.fetch("SELECT name FROM polled_list WHERE read_at IS NOT NULL")
        assert [row["name"] for row in read] == ["redemptions"]
    await by_polls(database, client)
    assert len((await told(database))["profiles"]) == 1


async def test_many_codes_of_one_publication_hold_nobody_up(
    api: httpx.AsyncClient, client: Client, database: Database
) -> None:
    """A publication of more codes than a look may ask for is read whole, and the lists behind it are read too."""
    member = uuid4()
    await enrolled(database, member)
    await programme.coupons(api, vouchers_count=8)
    wanted = {"campaign": {"name": programme.COUPONS, "count": 8}, "customer": {"source_id": str(member)}}
    codes = (await programme.send(api, "POST", "/v1/publications", wanted))["vouchers"]
    await programme.redeem(api, codes[0], customer=str(member), source_id=str(uuid4()), amount=1_000)
    await by_polls(database, client, calls=5, looks=3)
    async with database.connection() as connection:
        read = await connection.fetch("SELECT code, redeemed_at IS NOT NULL AS used FROM coupon")
    assert {row["code"] for row in read} == set(codes)
    assert [row["code"] for row in read if row["used"]] == codes[:1]


async def test_what_the_inbox_forgets_is_not_told_again(
    api: httpx.AsyncClient, client: Client, database: Database
) -> None:
    """Of a list that is quiet for longer than webhooks are kept nothing is new; what is behind the next rows goes."""
    member = uuid4()
    await enrolled(database, member)
    await programme.loyalty(api)
    await programme.coupons(api)
    card = await programme.join(api, str(member))
    await programme.adjust(api, card, 10)
    code = await programme.coupon(api, str(member))
    await programme.redeem(api, code, customer=str(member), source_id=str(uuid4()), amount=1_000)
    await by_polls(database, client)
    async with database.transaction() as connection:
        await connection.execute(
            "UPDATE webhook SET applied_at = now() - interval '99 days', received_at = now() - interval '99 days'"
        )
        await connection.execute("UPDATE polled_list SET watermark = now() - interval '99 days'")
        stored = await connection.fetchval("SELECT count(*) FROM webhook")
    pruner = Pruner(database, KeepSettings(webhooks_days=30))
    await pruner.run_once()
    assert (await Poller(database, client, 100).run_once()).startswith("0 new")
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM webhook") == stored
    await pruner.run_once()  # the watermarks are of now, and the webhooks are old
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM webhook") == 0


async def test_what_is_made_up_for_is_found(
    api: httpx.AsyncClient, sandbox: Sandbox, client: Client, database: Database
) -> None:
    """Points that expired in nights that Voucherify made up for later are told, though newer things were read."""
    member = uuid4()
    await enrolled(database, member)
    await programme.travel(api, "2027-03-01T12:00:00Z")
    await programme.loyalty(api, points=30, expires={"period_type": "MONTH", "period_value": 1})
    card = await programme.join(api, str(member))
    await programme.travel(api, "2027-03-03T12:00:00Z")
    await programme.adjust(api, card, 7)
    sandbox.store.clock.advance(40 * 86_400)  # it sleeps, and wakes late
    await programme.adjust(api, card, 5)
    await by_polls(database, client)
    await nightly.run_due(sandbox.store)
    await by_polls(database, client)
    assert {row.split(", ")[4] for row in (await told(database))["movements"]} == {"7", "5", "-30", "-7"}


class Odd(httpx.AsyncBaseTransport):
    """The way to a Voucherify whose lists have rows that are not what is documented."""

    def __init__(self) -> None:
        self._wire = httpx.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = await self._wire.handle_async_request(request)
        body = json.loads(await answer.aread())
        await answer.aclose()
        for name in ("publications", "redemptions", "data"):
            if isinstance(body.get(name), list):
                body[name] += [None, [], {}, {"id": 5}, {"id": "a", "date": "never"}, {"id": "b", "created_at": {}}]
        return httpx.Response(answer.status_code, json=body)

    async def aclose(self) -> None:
        await self._wire.aclose()


async def test_odd_rows_harm_only_themselves(api: httpx.AsyncClient, client: Client, database: Database) -> None:
    """Rows without an id or a time are reported, without what they say, and the others are read."""
    member = uuid4()
    await enrolled(database, member)
    await programme.loyalty(api)
    card = await programme.join(api, str(member))
    await programme.adjust(api, card, 10)
    odd = Client(str(api.base_url), SecretStr(KEYS["X-App-Id"]), SecretStr(KEYS["X-App-Token"]), transport=Odd())
    for _ in range(2):
        with pytest.raises(LoyaltyError, match="publications: a row can't be read"):
            await Poller(database, odd, 100).run_once()
    await odd.close()
    await apply(database, client)
    assert {row.split(", ")[4] for row in (await told(database))["movements"]} == {"10"}
