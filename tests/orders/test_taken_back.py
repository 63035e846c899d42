"""What an order earned that Voucherify paid late, after it was canceled: off the card again, once."""

import asyncio
from datetime import datetime

import pytest_asyncio

from app.analytics.facts import add_movement
from app.demo.programme import LOYALTY
from app.members.service import set_card
from app.orders.sweeper import sweep
from app.points.operations import Points
from app.points.sweeper import sweep as sweep_points
from app.points.taken_back import take_back
from app.voucherify.loyalty import LoyaltyV1
from tests.orders.conftest import Shop
from tests.orders.test_recheck import canceled, due, late


@pytest_asyncio.fixture
async def card(shop: Shop) -> str:
    """The member's card."""
    made = await LoyaltyV1(shop.voucherify).join(LOYALTY, {"source_id": str(shop.member_id)})
    async with shop.database.connection() as connection:
        await set_card(connection, shop.member_id, made.code)
    return made.code


def points(shop: Shop) -> Points:
    return Points(shop.database, LoyaltyV1(shop.voucherify))


async def balance(shop: Shop, card: str) -> int:
    return (await LoyaltyV1(shop.voucherify).card(card)).balance


async def earned_late(shop: Shop) -> None:
    """An order is canceled, redeemed, PAID and rolled back; its coupon is free again, and it has earned."""
    order = await canceled(shop, await shop.coupon())
    await shop.faults(ignore_redemption_order_status=True)
    await late(shop, order)
    await due(shop)
    assert await sweep(shop.later) == 1


async def heard(shop: Shop, card: str) -> None:
    """The webhooks of the card's movements were applied."""
    path = f"/v1/loyalties/members/{card}/transactions"
    async with shop.database.connection() as connection:
        for row in (await shop.voucherify.call("GET", path))["data"]:
            await add_movement(
                connection,
                transaction_id=row["id"],
                member_id=shop.member_id,
                card=card,
                type_=row["type"],
                points=row["details"]["balance"]["points"],
                balance=row["details"]["balance"]["balance"],
                order_id=(row["details"].get("order") or {}).get("source_id"),
                reason=row["reason"],
                created_at=datetime.fromisoformat(row["created_at"]),
            )


async def test_what_a_canceled_order_earned_is_taken_back_once(shop: Shop, card: str) -> None:
    """Whoever looks, and however often, the card loses what the order had earned and no more."""
    before = await balance(shop, card)
    await earned_late(shop)
    assert await balance(shop, card) > before
    assert await take_back(points(shop)) == 0  # nobody has heard of it yet
    await heard(shop, card)
    await asyncio.gather(*[sweep_points(points(shop)) for _ in range(4)])
    assert await balance(shop, card) == before
    await heard(shop, card)  # also the movement that took it back
    assert await take_back(points(shop)) == 0
    assert await balance(shop, card) == before


async def test_what_was_spent_is_not_taken_below_nothing(shop: Shop, card: str) -> None:
    """Voucherify refuses, the operation says so, and it is not tried again and again."""
    await earned_late(shop)
    await heard(shop, card)
    left = await balance(shop, card)
    await shop.voucherify.call("POST", f"/v1/loyalties/members/{card}/balance", {"points": -left})
    assert await take_back(points(shop)) == 1
    assert await take_back(points(shop)) == 0
    async with shop.database.connection() as connection:
        (row,) = await connection.fetch("SELECT status, refusal FROM point_operation ORDER BY created_at DESC LIMIT 1")
    assert row["status"] == "REFUSED"
    assert "not enough points" in row["refusal"]


async def test_what_an_order_earned_that_stands_is_left(shop: Shop, card: str) -> None:
    """A paid order keeps its points, and so does one that is canceled and whose redemption was not rolled back."""
    async with shop.database.connection() as connection:
        orders = [await canceled(shop, await shop.coupon()), await shop.checkout.place(shop.purchase())]
        for number, order in enumerate(orders):
            await add_movement(
                connection,
                transaction_id=f"vtx_{number}",
                member_id=shop.member_id,
                card=card,
                type_="POINTS_ACCRUAL",
                points=14,
                balance=None,
                order_id=str(order.id),
                reason=None,
                created_at=order.created_at,
            )
    assert await take_back(points(shop)) == 0
