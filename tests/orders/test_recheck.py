"""A coupon that Voucherify redeems after its order was canceled: the member gets it back, whatever is cut off."""

import asyncio
from typing import Any

import pytest

from app.errors import Busy, Refused
from app.orders.models import Order
from app.orders.recheck import PAUSES, _claim, _note
from app.orders.sweeper import sweep
from app.voucherify.redemptions import redeem, roll_back, standing
from tests.orders.conftest import REDEMPTIONS, Shop
from tests.orders.test_checkout import begun

ROLLBACKS = {"path": "/v1/redemptions/", "method": "POST"}


async def canceled(shop: Shop, code: str) -> Order:
    """An order that was cut off after its first commit and canceled, for Voucherify had redeemed nothing by then."""
    await begun(shop, shop.purchase(coupon=code))
    assert await sweep(shop.later) == 1
    return await read(shop)


async def read(shop: Shop) -> Order:
    (order,) = await shop.orders()
    return order


async def late(shop: Shop, order: Order) -> None:
    """Voucherify carries out the redemption that was on its way."""
    assert order.redemption is not None
    await redeem(shop.voucherify, order.redemption["sent"])


async def due(shop: Shop) -> None:
    async with shop.database.connection() as connection:
        await connection.execute("UPDATE orders SET recheck_at = now() WHERE recheck_at IS NOT NULL")


async def wait_of(shop: Shop) -> float | None:
    """Seconds until the next look, if there is to be one."""
    async with shop.database.connection() as connection:
        seconds: float | None = await connection.fetchval(
            "SELECT extract(epoch FROM recheck_at - now())::float8 FROM orders"
        )
    return seconds


async def calls(shop: Shop, word: str) -> int:
    """How many requests with this word in their path the sandbox got."""
    told = (await shop.sandbox.get("/sandbox/requests", params={"limit": 100})).json()
    return sum(word in each["path"] for each in told["data"])


async def test_a_late_redemption_is_rolled_back(shop: Shop) -> None:
    """Done after the order was canceled, it is found a minute later and rolled back: the coupon pays another order."""
    code = await shop.coupon()
    order = await canceled(shop, code)
    await late(shop, order)
    assert await shop.redeemed(code) == 1
    assert await sweep(shop.later) == 0  # not due yet
    await due(shop)
    assert await sweep(shop.later) == 1
    after = await read(shop)
    assert (await shop.redeemed(code), after.status, after.recheck_at) == (0, "CANCELED", None)
    assert after.redemption is not None
    assert after.redemption["rolled_back"]["id"].startswith("rr_")
    assert (await shop.checkout.place(shop.purchase(coupon=code))).status == "PAID"


async def test_an_order_is_looked_at_twice_and_then_no_more(shop: Shop) -> None:
    """After a minute and a quarter of an hour nothing was redeemed: the looks end, and no more calls are made."""
    await canceled(shop, await shop.coupon())
    for pause in PAUSES:
        assert await wait_of(shop) == pytest.approx(pause.total_seconds(), abs=5)
        await due(shop)
        assert await sweep(shop.later) == 0
    assert await wait_of(shop) is None
    assert (await read(shop)).redemption.get("looks") == 2  # type: ignore[union-attr]


@pytest.mark.parametrize(("status", "looks"), [(429, False), (400, False), (500, True), (503, True), (508, True)])
async def test_only_what_is_not_certain_is_looked_at_again(shop: Shop, status: int, looks: bool) -> None:
    """A refusal is a no and costs no further call; an error of a server says nothing about what is behind it."""
    await shop.faults(fail_next={**REDEMPTIONS, "status": status})
    with pytest.raises(Refused):
        await shop.checkout.place(shop.purchase(coupon=await shop.coupon()))
    assert (await wait_of(shop) is not None) == looks


async def test_an_order_that_was_paid_is_not_looked_at(shop: Shop) -> None:
    """A redemption that was found in time pays its order, and is never rolled back."""
    purchase = shop.purchase(coupon=await shop.coupon())
    await shop.faults(lose_answer_next=REDEMPTIONS)
    with pytest.raises(Busy):
        await shop.checkout.place(purchase)
    assert (await shop.later.place(purchase)).recheck_at is None


@pytest.mark.parametrize("cut", ["lost answer", "failed call", "failed look"])
async def test_a_rollback_that_was_cut_off_is_taken_up(shop: Shop, cut: str) -> None:
    """Whether the rollback was done is found out at the next look: done once, noted once."""
    code = await shop.coupon()
    await late(shop, await canceled(shop, code))
    faults: dict[str, dict[str, Any]] = {
        "lost answer": {"lose_answer_next": ROLLBACKS},
        "failed call": {"fail_next": {**ROLLBACKS, "status": 503}},
        "failed look": {"fail_next": {"path": "/v1/orders", "status": 503}},
    }
    await shop.faults(**faults[cut])
    await due(shop)
    assert await sweep(shop.later) == 0
    assert 30 < (await wait_of(shop) or 0) <= 60
    await due(shop)
    await sweep(shop.later)
    after = await read(shop)
    assert (await shop.redeemed(code), after.recheck_at) == (0, None)
    assert after.redemption is not None
    assert after.redemption["rolled_back"]["id"].startswith("rr_")


async def test_a_refused_rollback_is_told_and_given_up(shop: Shop) -> None:
    """What Voucherify does not take back is asked for twice, and stands with its reason on the order."""
    await late(shop, await canceled(shop, await shop.coupon()))
    await shop.faults(fail_next={**ROLLBACKS, "status": 400, "count": 2})
    for _ in PAUSES:
        await due(shop)
        assert await sweep(shop.later) == 0
    after = await read(shop)
    assert after.recheck_at is None
    assert "400" in (after.redemption or {})["not_rolled_back"]


async def test_two_sweepers_give_a_coupon_back_once(shop: Shop) -> None:
    """Workers that come at once: one looks, the rollback is asked for once."""
    code = await shop.coupon()
    await late(shop, await canceled(shop, code))
    await due(shop)
    await shop.sandbox.delete("/sandbox/requests")
    done = await asyncio.gather(*[sweep(shop.later) for _ in range(4)])
    assert (sum(done), await shop.redeemed(code), await calls(shop, "/rollback")) == (1, 0, 1)


async def test_of_many_who_look_one_has_the_order(shop: Shop) -> None:
    """An order that is due is claimed once, however many workers ask at the same moment."""
    for _ in range(5):
        await canceled(shop, await shop.coupon())
        await due(shop)
        claims = await asyncio.gather(*[_claim(shop.database) for _ in range(8)])
        assert len([claim for claim in claims if claim is not None]) == 1
        async with shop.database.connection() as connection:
            await connection.execute("TRUNCATE orders")


async def test_a_second_rollback_is_no_failure(shop: Shop) -> None:
    """Voucherify refuses to roll back what is rolled back: to us that is done."""
    order = await canceled(shop, await shop.coupon())
    await late(shop, order)
    found = await shop.voucherify.call("GET", f"/v1/orders/{order.id}")
    (redemption_id,) = standing(found)
    assert await roll_back(shop.voucherify, redemption_id, "a test") is not None
    assert await roll_back(shop.voucherify, redemption_id, "a test") is None


async def test_a_look_that_was_asked_for_during_a_look_is_not_lost(shop: Shop) -> None:
    """A webhook that tells of the redemption while a look has found nothing has it looked at once more, at once."""
    code = await shop.coupon()
    order = await canceled(shop, code)
    await due(shop)
    look = await _claim(shop.database)
    assert look is not None
    await late(shop, order)
    await due(shop)  # as the webhook's effect does
    await _note(shop.database, look, None, {})
    assert await sweep(shop.later) == 1
    assert await shop.redeemed(code) == 0


async def test_a_redemption_that_somebody_rolled_back_pays_nothing(shop: Shop) -> None:
    """Of a PENDING order whose redemption an operator rolled back, the coupon is free, so it takes nothing off."""
    code = await shop.coupon()
    order = await begun(shop, shop.purchase(coupon=code))
    await late(shop, order)
    found = await shop.voucherify.call("GET", f"/v1/orders/{order.id}")
    await shop.voucherify.call("POST", f"/v1/redemptions/{next(iter(found['redemptions']))}/rollback")
    assert await sweep(shop.later) == 1
    assert (await read(shop)).status == "CANCELED"
