"""What webhooks do to profile, facts and outbox: doubled, shuffled, with gaps, and poisoned."""

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from app.emitter.messages import VOUCHERIFY
from app.profiles import loyalty
from app.profiles.loyalty import CardState, newer
from app.voucherify.client import Client
from app.voucherify.loyalty import LoyaltyV1
from app.webhooks.apply import MOST_ATTEMPTS, Applier
from tests.web import Web
from tests.webhooks.notices import START, coupon, movement, notice, send


def applier(web: Web, balance: int | httpx.Response = 0) -> Applier:
    """An applier whose Voucherify answers every question for a card with this balance, or so."""

    def answer(request: httpx.Request) -> httpx.Response:
        if isinstance(balance, httpx.Response):
            return balance
        card = {"code": request.url.path.rpartition("/")[2], "loyalty_card": {"balance": balance, "points": 999}}
        return httpx.Response(200, json=card)

    client = Client("http://v", SecretStr("a"), SecretStr("b"), transport=httpx.MockTransport(answer))
    return Applier(web.database, LoyaltyV1(client), emits=True)


async def apply(web: Web, *bodies: dict[str, Any]) -> None:
    async with web.client() as client:
        for body in bodies:
            assert (await send(web, client, body)).status_code == 202
    while await applier(web).run_once():
        pass


async def mirror(web: Web, member: UUID) -> dict[str, Any]:
    async with web.database.connection() as connection:
        found: dict[str, Any] = await connection.fetchval(
            """SELECT loyalty FROM profile JOIN profile_identifier ON profile_id = profile.id
               WHERE type = 'user_id' AND value = $1""",
            str(member),
        )
    return found


async def points(web: Web, member: UUID) -> list[int]:
    async with web.database.connection() as connection:
        rows = await connection.fetch(
            "SELECT points FROM point_movement WHERE member_id = $1 ORDER BY created_at", member
        )
    return [row["points"] for row in rows]


async def state(web: Web, body: dict[str, Any]) -> tuple[str, int, str | None]:
    async with web.database.connection() as connection:
        row = await connection.fetchrow(
            "SELECT status, attempts, error FROM webhook WHERE event_id = $1", body["event"]["id"]
        )
    return row["status"], row["attempts"], row["error"]


MOVES = [(50, 50), (24, 74), (-30, 44), (6, 50), (100, 150)]


@pytest_asyncio.fixture(autouse=True)
async def settled(web: Web) -> None:
    """No mirror of another test waits to be asked for."""
    async with web.database.connection() as connection:
        await connection.execute("UPDATE profile SET loyalty = loyalty - 'unsettled'")


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations([0, 1, 2, 3, 4, 0, 2, 4]))
async def test_movements_doubled_and_shuffled_end_the_same(web: Web, order: list[int]) -> None:
    """Whatever order they come in and however often: each movement counts once, and the latest balance stands."""
    member = uuid4()
    moves = [movement(member, by, to, at, f"vtx-{member}-{at}") for at, (by, to) in enumerate(MOVES)]
    again = [{**moves[index], "event": {**moves[index]["event"], "id": f"ev-{uuid4()}"}} for index in order]
    await apply(web, *again)
    assert await points(web, member) == [by for by, _ in MOVES]
    async with web.database.connection() as connection:
        assert await connection.fetchval(
            "SELECT bool_and(status = 'applied') FROM webhook WHERE member_id = $1", member
        )
    assert (await mirror(web, member))["balance"] == 150


async def test_movements_in_order_need_no_question(web: Web) -> None:
    """Where each balance follows from the one before, the card is not asked for."""
    member = uuid4()
    await apply(web, *(movement(member, by, to, at) for at, (by, to) in enumerate(MOVES)))
    assert (await mirror(web, member)).get("unsettled") is None


async def test_a_gap_is_noticed_and_healed_by_asking_for_the_card(web: Web) -> None:
    """A movement that did not come leaves the mirror unsettled, until Voucherify's answer stands in it."""
    member = uuid4()
    await apply(web, movement(member, 50, 50, 0), movement(member, 6, 66, 2))
    assert (await mirror(web, member))["unsettled"] is True
    assert await applier(web, balance=70).settle_cards() == 1
    healed = await mirror(web, member)
    assert (healed["balance"], "unsettled" in healed) == (70, False)
    assert datetime.fromisoformat(healed["as_of"]) > START
    assert await applier(web).settle_cards() == 0


async def test_while_voucherify_is_away_the_gap_stays_noted(web: Web) -> None:
    """An outage heals nothing and forgets nothing; a card that Voucherify does not know is asked for once."""
    member = uuid4()
    await apply(web, movement(member, 50, 50, 0), movement(member, 6, 66, 2))
    assert await applier(web, httpx.Response(503)).settle_cards() == 0
    assert (await mirror(web, member))["unsettled"] is True
    assert await applier(web, httpx.Response(404)).settle_cards() == 0
    assert "unsettled" not in await mirror(web, member)


async def test_what_comes_while_the_card_is_asked_for_is_not_overwritten(web: Web) -> None:
    """The answer was given before the movement: the mirror keeps the movement and stays unsettled."""
    member = uuid4()
    await apply(web, movement(member, 50, 50, 0), movement(member, 6, 66, 2))
    seen = await mirror(web, member)
    await apply(web, movement(member, 10, 76, 3))
    async with web.database.transaction() as connection:
        answered = CardState("CC", "Loyalty Program", 66, datetime.now(START.tzinfo))
        assert not await loyalty.settle(connection, member, answered, seen)
    after = await mirror(web, member)
    assert (after["balance"], after["unsettled"]) == (76, True)
    assert await applier(web, balance=76).settle_cards() == 1


def test_a_movement_that_seems_old_is_never_dropped_in_silence() -> None:
    """Our clock may be ahead of the engine's: a movement that looks older than the mirror has the card asked for."""
    ahead = {"card": "CC", "campaign": "L", "balance": 50, "as_of": "2026-11-22T12:00:10+00:00"}
    after = newer(ahead, CardState("CC", "L", 60, START), moved=10)
    assert (after["balance"], after["unsettled"]) == (50, True)


async def test_a_coupon_reaches_the_wallet_and_leaves_it(web: Web) -> None:
    """Published it is there once, with its order; redeemed it is used up, once."""
    member, order_id, code = uuid4(), uuid4(), f"TEN-{uuid4().hex[:6]}"
    redeemed = notice(
        "redemption.succeeded",
        {"customer": {"source_id": str(member)}, "voucher": {"code": code, "type": "DISCOUNT_VOUCHER"}, "order": {}},
    )
    published = coupon(member, code, order_id)
    distribution = {**published, "source": {"id": "distr_1"}}
    await apply(web, published, distribution)
    async with web.database.connection() as connection:
        rows = await connection.fetch("SELECT title, order_id, redeemed_at FROM coupon WHERE code = $1", code)
        assert [tuple(row) for row in rows] == [("10 % off", str(order_id), None)]
        await apply(web, redeemed)
        assert await connection.fetchval("SELECT redeemed_at IS NOT NULL FROM coupon WHERE code = $1", code)


async def test_what_we_emit_of_a_webhook_never_goes_back_to_voucherify(web: Web) -> None:
    """Each event that Voucherify's word makes us emit says no to our destination, and goes out once."""
    member, order_id = uuid4(), uuid4()
    published = coupon(member, f"TEN-{uuid4().hex[:6]}", order_id)
    rewarded = notice(
        "customer.rewarded.loyalty_points",
        {"customer": {"source_id": str(member)}, "balance": {"points": 5, "balance": 55}, "campaign": {"name": "L"}},
    )
    await apply(web, published, rewarded, rewarded)
    async with web.database.connection() as connection:
        rows = await connection.fetch("SELECT message FROM emission WHERE message ->> 'userId' = $1", str(member))
    assert sorted(row["message"]["event"] for row in rows) == [
        "Customer Publication Succeeded",
        "Customer Rewarded Loyalty Points",
    ]
    assert all(row["message"]["integrations"] == {"All": True, VOUCHERIFY: False} for row in rows)


async def test_a_poison_webhook_is_put_aside_and_the_others_are_applied(web: Web) -> None:
    """It fails with its reason after its attempts, changes nothing by halves, and its neighbours in the batch count."""
    member = uuid4()
    poison = movement(member, 666, 56, 1)
    worse = movement(member, 6, 56, 1)
    worse["data"]["transaction"] = "not what it should be"
    async with web.database.connection() as connection:
        await connection.execute("ALTER TABLE point_movement ADD CONSTRAINT no_poison CHECK (points <> 666) NOT VALID")
        await apply(web, movement(member, 50, 50, 0), poison, worse, movement(member, 6, 56, 2))
        assert (await points(web, member), (await mirror(web, member))["balance"]) == ([50, 6], 56)
        for _ in range(MOST_ATTEMPTS - 1):
            assert (await state(web, poison))[0] == "pending"
            await connection.execute("UPDATE webhook SET due_at = now() WHERE status = 'pending'")
            await applier(web).run_once()
        await connection.execute("ALTER TABLE point_movement DROP CONSTRAINT no_poison")
    for body, reason in ((poison, "CheckViolationError"), (worse, "TypeError")):
        status, attempts, error = await state(web, body)
        assert (status, attempts) == ("failed", MOST_ATTEMPTS)
        assert (error or "").startswith(reason)


@pytest.mark.parametrize("type_", ["campaign.updated", "voucher.loyalty_card.transaction.created"])
async def test_what_concerns_no_member_is_ignored(web: Web, type_: str) -> None:
    """A kind that we do not know, or one without a member of ours, is kept as ignored and is no failure."""
    body = notice(type_, {"customer": {"source_id": "somebody else"}})
    await apply(web, body)
    assert await state(web, body) == ("ignored", 1, None)
