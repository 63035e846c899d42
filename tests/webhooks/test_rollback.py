"""A coupon that is redeemed, given back and redeemed again, by webhooks that come in any order."""

import asyncio
from datetime import timedelta
from itertools import permutations
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.db.base import now
from app.orders.models import Order
from tests.web import Web
from tests.webhooks.notices import START, coupon, notice, send
from tests.webhooks.test_apply import applier, apply


def redeemed(member: UUID, code: str, order_id: UUID, seconds: int = 0, *, rolled_back: bool = False) -> dict[str, Any]:
    """A coupon was redeemed for an order, `seconds` after the start; or that redemption was rolled back."""
    holder = {"source_id": str(member)}
    discount = {"type": "PERCENT", "percent_off": 10}
    data: dict[str, Any] = {
        "customer": holder,
        "holder": holder,
        "voucher": {"code": code, "type": "DISCOUNT_VOUCHER", "campaign": "Big basket", "discount": discount},
        "order": {"source_id": str(order_id)},
        "redemption": {"id": f"r_{order_id}", "date": (START + timedelta(seconds=seconds)).isoformat()},
    }
    if rolled_back:
        data["redemption_rollback"] = {"id": f"rr_{order_id}", "redemption": f"r_{order_id}"}
    return notice("redemption.rollback.succeeded" if rolled_back else "redemption.succeeded", data)


async def wallet(web: Web, code: str) -> list[tuple[Any, ...]]:
    """Of this code: the order that earned it, and the order that used it."""
    async with web.database.connection() as connection:
        rows = await connection.fetch(
            "SELECT order_id, redeemed_order_id FROM coupon WHERE code = $1 AND (redeemed_at IS NULL) = "
            "(redeemed_order_id IS NULL)",
            code,
        )
    return [tuple(row) for row in rows]


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(["publication", "first", "rollback", "again", "first", "rollback", "again"]))
async def test_in_any_order_the_last_word_of_voucherify_stands(web: Web, order: list[str]) -> None:
    """Published, redeemed late, rolled back and redeemed for another order: used up by that one, whatever came when."""
    member, code = uuid4(), f"TEN-{uuid4().hex[:6]}"
    earned, canceled, paid = uuid4(), uuid4(), uuid4()
    told = {
        "publication": coupon(member, code, earned),
        "first": redeemed(member, code, canceled, 1),
        "rollback": redeemed(member, code, canceled, 1, rolled_back=True),
        "again": redeemed(member, code, paid, 3),
    }
    # The second of each is of a distribution: the same thing, told as another event.
    await apply(web, *({**told[name], "event": {**told[name]["event"], "id": f"ev-{uuid4()}"}} for name in order))
    assert await wallet(web, code) == [(str(earned), str(paid))]


@pytest.mark.parametrize("order", list(permutations(["publication", "redemption", "rollback"])), ids="-".join)
async def test_a_rolled_back_coupon_is_usable(web: Web, order: tuple[str, ...]) -> None:
    """However the three come, applied one by one, the coupon is in the wallet and not used up."""
    member, code, earned, canceled = uuid4(), f"TEN-{uuid4().hex[:6]}", uuid4(), uuid4()
    told = {
        "publication": coupon(member, code, earned),
        "redemption": redeemed(member, code, canceled),
        "rollback": redeemed(member, code, canceled, rolled_back=True),
    }
    for name in order:
        await apply(web, told[name])
    assert await wallet(web, code) == [(str(earned), None)]


async def test_a_late_rollback_does_not_free_what_was_used_since(web: Web) -> None:
    """Redeemed for another order before we hear of the rollback, applied one by one: used up by that order."""
    member, code, canceled, paid = uuid4(), f"TEN-{uuid4().hex[:6]}", uuid4(), uuid4()
    await apply(web, redeemed(member, code, canceled, 1))
    await apply(web, redeemed(member, code, paid, 3))
    await apply(web, redeemed(member, code, canceled, 1, rolled_back=True))
    assert await wallet(web, code) == [(None, str(paid))]


async def test_a_rollback_that_comes_while_the_redemption_is_applied_counts(web: Web) -> None:
    """Two workers apply both at the same moment: the one who is second waits, and sees what the first one wrote."""
    member, code, order_id = uuid4(), f"TEN-{uuid4().hex[:6]}", uuid4()
    await apply(web, coupon(member, code, uuid4()))
    async with web.database.transaction() as first:
        # The redemption's side: it locks the coupon and marks it; its commit is yet to come.
        await first.execute(
            "UPDATE coupon SET redeemed_at = now(), redeemed_order_id = $2 WHERE code = $1", code, str(order_id)
        )
        async with web.client() as client:
            await send(web, client, redeemed(member, code, order_id, rolled_back=True))
        other = asyncio.create_task(applier(web).run_once())
        await asyncio.sleep(0.3)
        assert not other.done()
    await other
    ((_, used_by),) = await wallet(web, code)
    assert used_by is None


@pytest.mark.parametrize(("status", "looks"), [("CANCELED", True), ("PAID", False), ("PENDING", False)])
async def test_a_redemption_for_a_canceled_order_has_it_looked_at(web: Web, status: str, looks: bool) -> None:
    """Its webhook makes the sweeper look at once, where the order is canceled and not rolled back already."""
    member = UUID(web.member_id)
    order = Order(
        client="register:test",
        idempotency_key=str(uuid4()),
        request_hash="hash",
        source="till",
        location_id="warsaw",
        member_id=member,
        status=status,
        currency="USD",
        lines=[],
        amount=1000,
        redemption={"sent": {}},
        created_at=now(),
        touched_at=now(),
    )
    async with web.database.session() as session:
        session.add(order)
    body = redeemed(member, f"TEN-{uuid4().hex[:6]}", order.id)
    await apply(web, body)
    async with web.database.connection() as connection:
        due = "SELECT coalesce(recheck_at <= now(), false) FROM orders WHERE id = $1"
        assert await connection.fetchval(due, order.id) == looks
        await connection.execute(
            """UPDATE orders SET recheck_at = NULL, redemption = redemption || '{"rolled_back": {}}' WHERE id = $1""",
            order.id,
        )
        await apply(web, {**body, "event": {**body["event"], "id": f"ev-{uuid4()}"}})
        assert not await connection.fetchval(due, order.id)
