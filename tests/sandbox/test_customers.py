"""Customers as `POST /v1/customers` and the calls beside it handle them."""

import asyncio

import httpx

from tests.sandbox.programme import LOYALTY, buy, coupon, coupons, join, loyalty, redeem, send
from tests.sandbox.serving import Sink


async def test_a_customer_is_upserted_by_source_id(api: httpx.AsyncClient) -> None:
    """Two posts with one source_id are one customer; what the second does not say stays, null clears."""
    first = await send(
        api,
        "POST",
        "/v1/customers",
        {"source_id": "u-1", "name": "Ann", "phone": "+48600", "metadata": {"a": 1, "b": 2}},
    )
    second = await send(
        api, "POST", "/v1/customers", {"source_id": "u-1", "email": "a@x.io", "phone": None, "metadata": {"b": 3}}
    )
    assert first["id"] == second["id"]
    assert (second["name"], second["email"], second["phone"]) == ("Ann", "a@x.io", None)
    assert second["metadata"] == {"a": 1, "b": 3}


async def test_twenty_posts_at_once_make_one_customer(api: httpx.AsyncClient) -> None:
    """The race for a new source_id has one winner, and the others get the winner's customer."""
    posts = [send(api, "POST", "/v1/customers", {"source_id": "u-1", "metadata": {f"k{n}": n}}) for n in range(20)]
    answers = await asyncio.gather(*posts)
    assert len({answer["id"] for answer in answers}) == 1
    assert len((await send(api, "GET", "/v1/customers/u-1"))["metadata"]) == 20


async def test_a_customer_is_found_by_either_id(api: httpx.AsyncClient) -> None:
    """Voucherify's id and the source_id lead to the same customer, in GET and in PUT; the source_id never changes."""
    made = await send(api, "POST", "/v1/customers", {"source_id": "u-1"})
    changed = await send(
        api, "PUT", f"/v1/customers/{made['id']}", {"source_id": made["id"], "name": "Bo", "metadata": {"x": True}}
    )
    assert (changed["source_id"], changed["name"], changed["metadata"]) == ("u-1", "Bo", {"x": True})
    assert await send(api, "GET", "/v1/customers/u-1") == await send(api, "GET", f"/v1/customers/{made['id']}")


async def test_lists_filter_and_page(api: httpx.AsyncClient) -> None:
    """The list takes an e-mail, a limit and a page, and says how many there are."""
    for n in range(3):
        await send(api, "POST", "/v1/customers", {"source_id": f"u-{n}", "email": "same@x.io" if n else "o@x.io"})
    page = await send(api, "GET", "/v1/customers?email=same@x.io&limit=1&page=2&order=source_id")
    assert (page["total"], page["has_more"], [row["source_id"] for row in page["customers"]]) == (2, False, ["u-2"])


async def test_the_full_object_sums_up_what_a_customer_did(api: httpx.AsyncClient) -> None:
    """Points by the campaign's name, orders and redemptions are counted in the customer object."""
    await loyalty(api, points=50)
    await coupons(api)
    await join(api)
    await buy(api, "o-1", 1000)
    await buy(api, "o-2", 9999, status="CREATED")
    await redeem(api, await coupon(api), source_id="o-3", amount=2000)
    customer = await send(api, "GET", "/v1/customers/u-1")
    assert customer["loyalty"] == {
        "points": 78,
        "referred_customers": 0,
        "campaigns": {LOYALTY: {"points": 78, "referred_customers": 0}},
    }
    orders = customer["summary"]["orders"]
    assert (orders["total_amount"], orders["total_count"], orders["average_amount"]) == (2800, 2, 1400)
    assert customer["summary"]["redemptions"]["total_redeemed"] == 1


async def test_a_deleted_customer_is_gone_and_told(api: httpx.AsyncClient, sink: Sink) -> None:
    """DELETE answers 204, a GET then 404, the webhook tells; the customer's order stays."""
    await buy(api, "o-1", 1000)
    await send(api, "DELETE", "/v1/customers/u-1", expect=204)
    await send(api, "GET", "/v1/customers/u-1", expect=404)
    assert (await send(api, "GET", "/v1/orders/o-1"))["customer_id"] is None
    assert (await sink.wait(1, "customer.deleted"))[0]["data"]["customer"]["source_id"] == "u-1"


async def test_a_customer_webhook_comes_only_for_a_change(api: httpx.AsyncClient, sink: Sink) -> None:
    """The same data sent again is not an update."""
    for name in ("Ann", "Ann", "Bea"):
        await send(api, "POST", "/v1/customers", {"source_id": "u-1", "name": name})
    await sink.wait(2)
    assert [each.type for each in sink.got] == ["customer.created", "customer.updated"]
