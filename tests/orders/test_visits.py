"""Which order of a member at a place it is: counted when it is paid, and Voucherify's rules see it."""

import asyncio
from typing import Any

from app.destinations.voucherify.actions.order_paid import build
from tests.orders.conftest import Shop


def visits(messages: list[dict[str, Any]]) -> list[tuple[str, int | None]]:
    told = [message["properties"]["metadata"] for message in messages]
    return sorted((each["location_id"], each.get("location_visit")) for each in told)


async def test_orders_at_one_place_are_counted(shop: Shop) -> None:
    """Each place has its own count, also where orders are paid at the same moment; a repeated call counts nothing, and
    an order that was not paid neither."""
    first = shop.purchase()
    await shop.checkout.place(first)
    await shop.checkout.place(first)
    await asyncio.gather(*(shop.checkout.place(shop.purchase()) for _ in range(3)))
    await asyncio.gather(shop.checkout.place(shop.purchase(coupon="NONE")), return_exceptions=True)
    await shop.checkout.place(shop.purchase(location_id="paris"))
    await shop.checkout.place(shop.purchase(member_id=None))
    assert visits([each for each in await shop.emitted() if each.get("userId")]) == [
        ("paris", 1),
        *(("warsaw", place) for place in (1, 2, 3, 4)),
    ]
    assert [visit for _, visit in visits([each for each in await shop.emitted() if not each.get("userId")])] == [None]


async def test_an_order_with_a_coupon_carries_it_too(shop: Shop) -> None:
    """The redemption made the order before it was counted: its move to PAID brings the number."""
    await shop.checkout.place(shop.purchase(coupon=await shop.coupon()))
    (message,) = await shop.emitted()
    told = message["properties"]
    payload = {"source_id": told["order_id"], "status": "CREATED", "metadata": told["metadata"]}
    request = build(payload, {"api": {"apiKey": "a", "secretKey": "b", "customURL": "https://api.voucherify.io"}})
    assert (request.method, request.body["status"]) == ("PUT", "PAID")
    assert request.body["metadata"]["location_visit"] == 1
    await shop.voucherify.call("PUT", f"/v1/orders/{told['order_id']}", request.body)
    order = await shop.voucherify.call("GET", f"/v1/orders/{told['order_id']}")
    assert (order["status"], order["metadata"]["location_visit"]) == ("PAID", 1)
    assert order["total_applied_discount_amount"] == 145
