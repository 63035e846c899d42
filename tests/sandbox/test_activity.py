"""A customer's activity: what it holds, how it is paged and filtered."""

from typing import Any

import httpx
import pytest

from tests.sandbox.programme import LOYALTY, buy, coupon, coupons, join, loyalty, redeem, send
from tests.sandbox.published import check_answer


async def activity(api: httpx.AsyncClient, customer: str = "u-1", **wanted: Any) -> dict[str, Any]:
    answer = await api.get(f"/v1/customers/{customer}/activity", params=wanted)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def drink(api: httpx.AsyncClient, cups: int) -> None:
    event = {"event": "Coffee Drunk", "customer": {"source_id": "u-1"}, "metadata": {"cups": cups}}
    await send(api, "POST", "/v1/events", event)


def types(found: dict[str, Any]) -> list[str]:
    return [entry["type"] for entry in found["data"]]


async def test_a_custom_event_is_found_with_its_metadata(api: httpx.AsyncClient) -> None:
    """The entry names event and metadata, and the time at which Voucherify took it."""
    await drink(api, 2)
    (entry,) = (await activity(api, type="customer.custom_event"))["data"]
    event = entry["data"]["data"]["event"]
    assert (event["type"], event["metadata"]) == ("Coffee Drunk", {"cups": 2})
    assert entry["created_at"] == event["created_at"]
    assert entry["id"].startswith("evcus_")
    assert entry["group_id"].startswith("v-")


async def live(api: httpx.AsyncClient) -> None:
    """A customer's day: joins, buys, gets a coupon and uses it."""
    await loyalty(api)
    await coupons(api)
    await join(api)
    await buy(api, "o-1", 1000)
    await redeem(api, await coupon(api), source_id="o-2", amount=1000, status="CREATED")


async def test_entries_fit_the_published_schema(api: httpx.AsyncClient) -> None:
    """Every kind of entry is what Voucherify publishes about its own."""
    await live(api)
    await drink(api, 1)
    check_answer("GET", "/v1/customers/{customerId}/activity", await activity(api, limit=100))
    check_answer("GET", "/v1/customers/{customerId}/activity", await activity(api, limit=1))


async def test_everything_that_happens_to_a_customer_is_there(api: httpx.AsyncClient) -> None:
    """Orders, points, publications and redemptions are entries of their customer, newest first, and of nobody else."""
    await live(api)
    found = await activity(api, limit=100)
    assert types(found)[-1] == "customer.created"
    assert set(types(found)) == {
        "customer.created",
        "customer.publication.succeeded",
        "customer.order.created",
        "customer.order.paid",
        "customer.rewarded.loyalty_points",
        "customer.redemption.succeeded",
    }
    times = [entry["created_at"] for entry in found["data"]]
    assert times == sorted(times, reverse=True)
    await send(api, "POST", "/v1/customers", {"source_id": "u-2"})
    assert types(await activity(api, "u-2")) == ["customer.created"]


async def test_it_is_paged_by_a_cursor(api: httpx.AsyncClient) -> None:
    """`starting_after_id` goes on where a page ended, in either order; the last page names no next one."""
    for cups in range(3):
        await drink(api, cups)
    for sorting, order in (("-created_at", [2, 1, 0]), ("created_at", [0, 1, 2])):
        wanted: dict[str, Any] = {"type": "customer.custom_event", "limit": 2, "order": sorting}
        first = await activity(api, **wanted)
        rest = await activity(api, **wanted, starting_after_id=first["more_starting_after"])
        assert (first["has_more"], rest["has_more"], "more_starting_after" in rest) == (True, False, False)
        entries = first["data"] + rest["data"]
        assert [entry["data"]["data"]["event"]["metadata"]["cups"] for entry in entries] == order


async def test_it_is_filtered(api: httpx.AsyncClient) -> None:
    """By category, campaign, kind of campaign and time; each leaves out what does not fit."""
    campaign = await loyalty(api)
    await join(api)
    await drink(api, 1)
    assert types(await activity(api, category="ACTION")) == ["customer.custom_event"]
    published = ["customer.publication.succeeded"]
    assert types(await activity(api, campaign_id=campaign["id"])) == published
    assert types(await activity(api, campaign_type="LOYALTY_PROGRAM")) == published
    assert types(await activity(api, campaign_type="PROMOTION")) == []
    (event,) = (await activity(api, category="ACTION"))["data"]
    at = event["created_at"]
    assert "customer.custom_event" in types(await activity(api, start_date=at, end_date=at))
    assert "customer.custom_event" not in types(await activity(api, end_date="2020-01-01T00:00:00Z"))
    assert "customer.custom_event" not in types(await activity(api, start_date="2100-01-01"))
    assert LOYALTY in {entry["data"]["data"].get("campaign", {}).get("name") for entry in (await activity(api))["data"]}


@pytest.mark.parametrize("query", ["category=NOISE", "order=type", "start_date=yesterday", "limit=0"])
async def test_what_it_does_not_know_is_refused(api: httpx.AsyncClient, query: str) -> None:
    """A filter with a value that there is not is a 400, not an empty list."""
    await drink(api, 1)
    assert (await api.get(f"/v1/customers/u-1/activity?{query}")).status_code == 400


async def test_nobody_has_no_activity(api: httpx.AsyncClient) -> None:
    """An unknown customer is a 404; a deleted one takes the activity along."""
    await send(api, "GET", "/v1/customers/u-9/activity", expect=404)
    await drink(api, 1)
    await send(api, "DELETE", "/v1/customers/u-1", expect=204)
    await drink(api, 2)
    assert types(await activity(api)) == ["customer.custom_event", "customer.created"]
