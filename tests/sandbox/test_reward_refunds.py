"""A purchase that is taken back: points come back, and what they bought goes."""

import asyncio
from typing import Any

import httpx

from tests.sandbox import shop
from tests.sandbox.programme import LOYALTY, adjust, balance, buckets, coupons, join, loyalty, redeem, send, travel
from tests.sandbox.published import check_answer, check_webhook
from tests.sandbox.serving import Sink

ROLLBACK = "/v1/redemptions/{redemptionId}/rollback"


async def test_a_coupon_is_given_back(api: httpx.AsyncClient, sink: Sink) -> None:
    """The points are a POINTS_REFUND, the coupon that was not used is off, and everything is told as published."""
    await loyalty(api, points=100)
    campaign = await coupons(api)
    reward, card = await shop.reward(api, {"campaign": {"id": campaign["id"]}}), await join(api)
    bought = await shop.buy(api, card, reward["id"])
    code = bought["reward"]["voucher"]["code"]
    await sink.wait(1, "customer.reward_redemptions.completed")
    sink.got.clear()
    taken = await shop.back(api, bought["id"])
    check_answer("POST", ROLLBACK, taken)
    assert (taken["amount"], taken["loyalty_card"], taken["redemption"]) == (-100, {"points": -100}, bought["id"])
    assert (taken["reward"]["id"], taken["voucher"]["loyalty_card"]["balance"]) == (reward["id"], 100)
    assert taken["voucher"]["redemption"]["redeemed_quantity"] == 0
    assert taken["voucher"]["redemption"]["redeemed_points"] == 0
    assert await balance(api, card) == 100
    row = (await send(api, "GET", f"/v1/loyalties/members/{card}/transactions"))["data"][0]
    assert (row["type"], row["source"], row["details"]["balance"]["points"]) == ("POINTS_REFUND", None, 100)
    assert row["details"]["rollback"] == {"id": taken["id"]}
    refused = await redeem(api, code, source_id="o-1", amount=1000, expect=400)
    assert refused["key"] == "voucher_disabled"
    await sink.wait(1, "redemption.rollback.succeeded")
    assert {each.type for each in sink.got} >= {"voucher.loyalty_card.transaction.created", "voucher.disabled"}
    for each in sink.got:
        check_webhook(each.type, each.body["data"])
    done = (await send(api, "GET", "/v1/customers/u-1/activity?limit=50"))["data"]
    [told] = [each for each in done if each["type"] == "customer.reward_redemptions.rolledback"]
    assert told["data"]["data"]["reward_redemption"]["state"] == "ROLLEDBACK"
    assert (await shop.back(api, bought["id"], expect=400))["key"] == "already_rolled_back"
    assert (await shop.buy(api, card, reward["id"]))["reward"]["voucher"]["code"] != code


async def test_a_used_coupon_stays_used(api: httpx.AsyncClient) -> None:
    """The points come back all the same, as the service is documented to do; the coupon is left as it is."""
    await loyalty(api, points=100)
    campaign = await coupons(api)
    reward, card = await shop.reward(api, {"campaign": {"id": campaign["id"]}}), await join(api)
    bought = await shop.buy(api, card, reward["id"])
    await redeem(api, bought["reward"]["voucher"]["code"], source_id="o-1", amount=50)
    await shop.back(api, bought["id"])
    coupon = await send(api, "GET", f"/v1/vouchers/{bought['reward']['voucher']['code']}")
    assert (coupon["active"], coupon["redemption"]["redeemed_quantity"], await balance(api, card)) == (True, 1, 100)


async def test_credits_are_taken_off_as_far_as_they_are_there(api: httpx.AsyncClient, sink: Sink) -> None:
    """Of 700 credits 500 are spent: 200 go; untouched ones go all, and with them the card that came with them."""
    await loyalty(api, points=200)
    reward, card = await shop.gift_credits(api), await join(api)
    first = await shop.buy(api, card, reward["id"])
    gift = first["reward"]["voucher"]["code"]
    await redeem(api, gift, source_id="o-1", amount=500, status="CREATED")
    sink.got.clear()
    await shop.back(api, first["id"])
    shown = await send(api, "GET", f"/v1/vouchers/{gift}")
    assert (shown["gift"]["balance"], shown["gift"]["subtracted_amount"], shown["active"]) == (0, 200, True)
    await sink.wait(1, "redemption.rollback.succeeded")
    for each in sink.got:
        check_webhook(each.type, each.body["data"])
    second = await shop.buy(api, card, reward["id"])
    assert second["reward"]["voucher"]["code"] == gift
    await shop.back(api, second["id"])
    shown = await send(api, "GET", f"/v1/vouchers/{gift}")
    assert (shown["gift"]["balance"], shown["active"], await balance(api, card)) == (0, True, 200)
    await join(api, "u-2")
    other = await shop.buy(api, await join(api, "u-2"), reward["id"])
    await shop.back(api, other["id"])
    shown = await send(api, "GET", f"/v1/vouchers/{other['reward']['voucher']['code']}")
    assert (shown["gift"]["balance"], shown["active"]) == (0, False)


async def test_points_of_another_programme_are_taken_off(api: httpx.AsyncClient, sink: Sink) -> None:
    """As far as they are there: the ledger of the other card is right, and its holder stays a member."""
    await loyalty(api, points=200)
    reward, card = await shop.points(api), await join(api)
    bought = await shop.buy(api, card, reward["id"])
    other = bought["reward"]["voucher"]["code"]
    await adjust(api, other, -15)
    sink.got.clear()
    await shop.back(api, bought["id"])
    assert (await balance(api, other), await balance(api, card)) == (0, 200)
    assert (await send(api, "GET", f"/v1/vouchers/{other}"))["active"] is True
    await sink.wait(1, "redemption.rollback.succeeded")
    for each in sink.got:
        check_webhook(each.type, each.body["data"])


async def test_a_product_is_in_stock_again_once(api: httpx.AsyncClient) -> None:
    """Four rollbacks at once: one works, the stock grows by one, and the points come back once."""
    await loyalty(api, points=100)
    reward, card = await shop.mug(api, stock=3), await join(api)
    bought = await shop.buy(api, card, reward["id"])
    path = f"/v1/redemptions/{bought['id']}/rollback"
    answers = await asyncio.gather(*(api.post(path) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 400, 400, 400]
    now = await send(api, "GET", f"/v1/rewards/{reward['id']}")
    assert (now["stock"], now["redeemed"], await balance(api, card)) == (3, None, 100)


async def test_points_come_back_into_their_buckets(api: httpx.AsyncClient) -> None:
    """Points that expire keep their day when an order that was paid with them is taken back."""
    await travel(api, "2026-01-10T12:00:00Z")
    await loyalty(api, expires={"period_type": "MONTH", "period_value": 1})
    coin, card = await shop.coins(api, exchange=1, ratio=1), await join(api)
    await adjust(api, card, 30)
    await travel(api, "2026-01-20T12:00:00Z")
    await adjust(api, card, 20)
    before = await buckets(api, card)
    order: dict[str, Any] = {"source_id": "o-1", "amount": 4000, "status": "CREATED"}
    bought = await shop.buy(api, card, coin["id"], order=order)
    assert (bought["amount"], await balance(api, card)) == (40, 10)
    taken = await shop.back(api, bought["id"])
    assert (taken["order"]["status"], taken["order"]["total_amount"]) == ("CANCELED", 4000)
    assert "total_discount_amount" not in taken["order"]
    assert await buckets(api, card) == before == {"2026-02-10": 30, "2026-02-20": 20}


async def test_a_reward_that_is_gone_can_be_given_back(api: httpx.AsyncClient) -> None:
    """The price and the reward are deleted after the purchase: the points come back."""
    await loyalty(api, points=100)
    reward, card = await shop.mug(api), await join(api)
    bought = await shop.buy(api, card, reward["id"])
    [row] = (await send(api, "GET", f"/v1/loyalties/{LOYALTY}/rewards"))["data"]
    await send(api, "DELETE", f"/v1/loyalties/{LOYALTY}/rewards/{row['id']}", expect=204)
    await send(api, "DELETE", f"/v1/rewards/{reward['id']}", expect=204)
    await shop.back(api, bought["id"])
    assert await balance(api, card) == 100
