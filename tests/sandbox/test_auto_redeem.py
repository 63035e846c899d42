"""Rewards that are bought by themselves: at once, before the tiers, within the day's limits, and at midnight."""

from typing import Any

import httpx

from tests.sandbox import shop
from tests.sandbox.programme import COUPONS, LOYALTY, adjust, balance, buy, coupons, join, loyalty, rule, send, travel
from tests.sandbox.published import check_answer, check_webhook
from tests.sandbox.serving import Sink


async def by_itself(api: httpx.AsyncClient, price: int = 100, **campaign: Any) -> dict[str, Any]:
    made = await coupons(api, **campaign)
    return await shop.reward(api, {"campaign": {"id": made["id"]}}, price, auto_redeem=True)


async def owned(api: httpx.AsyncClient, customer: str = "u-1") -> int:
    """How many coupons this customer has."""
    return int((await send(api, "GET", f"/v1/vouchers?customer={customer}&campaign={COUPONS}"))["total"])


async def test_enough_points_buy_by_themselves(api: httpx.AsyncClient, sink: Sink) -> None:
    """The order that brings the balance to the price brings the coupon: one redemption of the channel AUTO_REDEEM."""
    await loyalty(api)
    reward, card = await by_itself(api), await join(api)
    await buy(api, "o-1", 9000)
    assert (await balance(api, card), await owned(api)) == (90, 0)
    sink.got.clear()
    await buy(api, "o-2", 1500)
    assert (await balance(api, card), await owned(api)) == (5, 1)
    listed = await send(api, "GET", "/v1/redemptions")
    check_answer("GET", "/v1/redemptions", listed)
    [done] = listed["redemptions"]
    [row] = (await send(api, "GET", f"/v1/loyalties/{LOYALTY}/rewards"))["data"]
    assert row["parameters"]["loyalty"] == {"points": 100, "auto_redeem": True}
    assert done["channel"] == {"channel_id": row["id"], "channel_type": "AUTO_REDEEM"}
    assert (done["reward"]["id"], done["amount"]) == (reward["id"], 100)
    await sink.wait(1, "customer.reward_redemptions.completed")
    for each in sink.got:
        check_webhook(each.type, each.body["data"])


async def test_a_great_balance_buys_several(api: httpx.AsyncClient) -> None:
    """As many as the points do, 25 at the most at one time; the rest goes on at midnight."""
    await travel(api, "2026-01-10T12:00:00Z")
    await loyalty(api)
    await by_itself(api, 10)
    card = await join(api)
    await adjust(api, card, 275)
    assert (await balance(api, card), await owned(api)) == (25, 25)
    await travel(api, "2026-01-11T00:00:00Z")
    assert (await balance(api, card), await owned(api)) == (5, 27)


async def test_a_day_has_ten_times(api: httpx.AsyncClient) -> None:
    """The eleventh time waits for midnight."""
    await travel(api, "2026-01-10T12:00:00Z")
    await loyalty(api)
    await by_itself(api, 10)
    card = await join(api)
    for minute in range(12):
        await travel(api, f"2026-01-10T13:{minute:02}:00Z")
        await adjust(api, card, 10)
    assert (await balance(api, card), await owned(api)) == (20, 10)
    await travel(api, "2026-01-11T00:00:00Z")
    assert (await balance(api, card), await owned(api)) == (0, 12)


async def test_tiers_see_what_is_left(api: httpx.AsyncClient) -> None:
    """A tier by balance that begins where the reward is bought is never reached, as the guide warns."""
    await loyalty(api)
    await by_itself(api)
    tier = {"name": "Silver", "points": {"from": 100, "to": 1000}}
    await send(api, "POST", f"/v1/loyalties/{LOYALTY}/tiers", [tier])
    card = await join(api)
    await adjust(api, card, 120)
    assert (await send(api, "GET", f"/v1/loyalties/members/{card}/tiers"))["total"] == 0
    assert (await balance(api, card), await owned(api)) == (20, 1)


async def test_who_had_the_points_before_gets_it_at_night(api: httpx.AsyncClient) -> None:
    """A reward that is set to be redeemed by itself reaches the members there are in the next night, once."""
    await travel(api, "2026-01-10T12:00:00Z")
    await loyalty(api, points=150)
    card = await join(api)
    await by_itself(api)
    assert await owned(api) == 0
    await travel(api, "2026-01-12T12:00:00Z")
    assert (await balance(api, card), await owned(api)) == (50, 1)


async def test_initial_points_buy_too(api: httpx.AsyncClient) -> None:
    """A card that is published with the points for the reward brings the reward with it."""
    await loyalty(api, points=150)
    await by_itself(api)
    card = await join(api)
    assert (await balance(api, card), await owned(api)) == (50, 1)


async def test_points_that_become_active_buy_before_they_expire(api: httpx.AsyncClient) -> None:
    """In one night pending points become active and buy with what would expire then, so that nothing does."""
    await travel(api, "2026-01-10T12:00:00Z")
    await loyalty(api, expires={"period_type": "MONTH", "period_value": 1})
    await by_itself(api)
    later = {"pending_points": {"period_type": "DAY", "period_value": 20}}
    await rule(api, "order.paid", {"type": "FIXED", "points": 30}, **later)
    card = await join(api)
    await adjust(api, card, 80)
    await travel(api, "2026-01-22T12:00:00Z")
    await buy(api, "o-1", 0)
    await travel(api, "2026-02-11T12:00:00Z")
    rows = (await send(api, "GET", f"/v1/loyalties/members/{card}/transactions"))["data"]
    assert [(row["type"], row["details"]["balance"]["points"]) for row in rows] == [
        ("POINTS_REDEMPTION", -100),
        ("PENDING_POINTS_ACTIVATION", 30),
        ("POINTS_ADDITION", 80),
    ]
    assert await balance(api, card) == 10


async def test_what_cannot_be_had_does_not_stop_the_points(api: httpx.AsyncClient) -> None:
    """With the campaign off the order is paid and earns, and there is no coupon, no redemption and no webhook of it."""
    await loyalty(api)
    await by_itself(api)
    card = await join(api)
    await send(api, "POST", f"/v1/campaigns/{COUPONS}/disable")
    await buy(api, "o-1", 15000)
    assert (await balance(api, card), await owned(api)) == (150, 0)
    assert (await send(api, "GET", "/v1/redemptions"))["total"] == 0
    await send(api, "POST", f"/v1/campaigns/{COUPONS}/enable")
    await buy(api, "o-2", 100)
    assert (await balance(api, card), await owned(api)) == (51, 1)


async def test_the_last_product_goes_by_itself_once(api: httpx.AsyncClient) -> None:
    """With one left in stock one is bought, and the other points stay."""
    await loyalty(api)
    reward = await shop.mug(api, stock=1, auto_redeem=True)
    card = await join(api)
    await adjust(api, card, 250)
    assert await balance(api, card) == 150
    assert (await send(api, "GET", f"/v1/rewards/{reward['id']}"))["stock"] == 0


async def test_points_given_back_are_not_spent_at_once(api: httpx.AsyncClient) -> None:
    """A rollback of what was bought by itself leaves the points on the card, till others come."""
    await loyalty(api)
    await by_itself(api)
    card = await join(api)
    await adjust(api, card, 100)
    [done] = (await send(api, "GET", "/v1/redemptions"))["redemptions"]
    await shop.back(api, done["id"])
    assert await balance(api, card) == 100
    await adjust(api, card, 1)
    assert await balance(api, card) == 1


async def test_one_reward_of_a_programme_is_bought_by_itself(api: httpx.AsyncClient) -> None:
    """A second one is refused when it is made and when it is changed; the first can be set back."""
    await loyalty(api)
    first = await by_itself(api)
    second = await shop.mug(api)
    at = f"/v1/loyalties/{LOYALTY}/rewards"
    ids = {row["reward_id"]: row["id"] for row in (await send(api, "GET", at))["data"]}
    on: dict[str, Any] = {"parameters": {"loyalty": {"auto_redeem": True}}}
    assert (await send(api, "PUT", f"{at}/{ids[second['id']]}", on, expect=400))["key"] == "invalid_payload"
    off = await send(api, "PUT", f"{at}/{ids[first['id']]}", {"parameters": {"loyalty": {"auto_redeem": False}}})
    assert off["parameters"] == {"loyalty": {"points": 100}}
    assert (await send(api, "PUT", f"{at}/{ids[second['id']]}", on))["parameters"]["loyalty"]["auto_redeem"] is True
    third = await send(api, "POST", "/v1/rewards", {"name": "3", "parameters": first["parameters"]})
    body = [{"reward": third["id"], "parameters": {"loyalty": {"points": 1, "auto_redeem": True}}}]
    assert (await send(api, "POST", at, body, expect=400))["key"] == "invalid_payload"
