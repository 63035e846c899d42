"""Customers as they are listed, changed in bulk, forgotten, and the older list of what happened to them."""

from typing import Any

import httpx
import pytest

from tests.sandbox.programme import balance, buy, coupon, coupons, join, loyalty, redeem, send
from tests.sandbox.published import check_answer
from tests.sandbox.serving import Sink


async def four(api: httpx.AsyncClient) -> None:
    """Customers a, b, c, d made a day apart; a and b changed on the 9th and 10th."""
    for day, name in enumerate("abcd", start=1):
        await send(api, "POST", "/sandbox/clock", {"set": f"2030-01-0{day}T00:00:00Z"})
        city = {"city": "Lima" if name in "ad" else "Oslo"}
        await send(api, "POST", "/v1/customers", {"source_id": name, "name": name.upper(), "address": city})
    for day, name in ((9, "a"), (10, "b")):
        await send(api, "POST", "/sandbox/clock", {"set": f"2030-01-{day:02}T00:00:00Z"})
        await send(api, "POST", "/v1/customers", {"source_id": name, "phone": "1"})


async def listed(api: httpx.AsyncClient, query: str) -> tuple[str, dict[str, Any]]:
    """The source ids in the order of the answer, and the answer."""
    answer = await send(api, "GET", f"/v1/customers?{query}")
    return "".join(each["source_id"] for each in answer["customers"]), answer


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", "dcba"),
        ("city=Lima", "da"),
        ("name=B", "b"),
        ("created_at[after]=2030-01-02T12:00:00Z", "dc"),
        ("created_at%5Bbefore%5D=2030-01-02T12:00:00Z", "ba"),
        ("created_at[after]=2030-01-01T12:00:00Z&created_at[before]=2030-01-03T12:00:00Z", "cb"),
        ("updated_at[after]=2030-01-09T12:00:00Z", "b"),
        ("updated_at[before]=2030-01-09T12:00:00Z", "a"),
        ("starting_after=2030-01-03T00:00:00.000Z", "ba"),
        ("starting_after=2030-01-02T12:00:00Z&order=created_at", "cd"),
        ("starting_after=2030-01-09T12:00:00Z&order=updated_at", "b"),
        ("city=Lima&starting_after=2030-01-03T00:00:00Z", "a"),
        ("order=source_id", "abcd"),
    ],
)
async def test_the_list_of_customers_is_narrowed(api: httpx.AsyncClient, query: str, expected: str) -> None:
    """By name, city, when they were made or changed, and by a cursor that goes with the order."""
    await four(api)
    found, answer = await listed(api, query)
    assert (found, answer["has_more"]) == (expected, False)


async def test_a_list_of_customers_is_read_to_its_end(api: httpx.AsyncClient) -> None:
    """Page by page with the last one's time as the cursor, each customer comes once."""
    await four(api)
    seen, query, more = "", "limit=3", True
    while more:
        found, answer = await listed(api, query)
        seen += found
        query, more = f"limit=3&starting_after={answer['customers'][-1]['created_at']}", answer["has_more"]
    assert seen == "dcba"


@pytest.mark.parametrize(
    "query", ["created_at[after]=soon", "starting_after=x", "starting_after=2030-01-01&order=source_id", "page=100"]
)
async def test_a_bad_filter_of_customers_is_refused(api: httpx.AsyncClient, query: str) -> None:
    """A time that is none, a cursor that the order has no use for, a page too far."""
    await send(api, "GET", f"/v1/customers?{query}", expect=400)


async def test_customers_are_upserted_in_bulk(api: httpx.AsyncClient, sink: Sink) -> None:
    """New ones are made and told of, known ones change and that is not told; an `id` in an item counts for nothing."""
    await send(api, "POST", "/v1/customers", {"source_id": "u-1", "name": "Ann", "metadata": {"a": 1}})
    await sink.wait(1, "customer.created")
    items = [{"source_id": "u-2", "name": "Bob"}, {"source_id": "u-1", "email": "a@x.io", "id": "cust_none"}]
    answer = await send(api, "POST", "/v1/customers/bulk/async", items, 202)
    assert answer["async_action_id"].startswith("aa_")
    body = {"source_ids": ["u-3", "u-1", "u-1"], "metadata": {"a": None, "b": 2}}
    assert await send(api, "POST", "/v1/customers/metadata/async", body, 202) != answer
    ann = await send(api, "GET", "/v1/customers/u-1")
    assert (ann["name"], ann["email"], ann["metadata"]) == ("Ann", "a@x.io", {"b": 2})
    assert (await send(api, "GET", "/v1/customers/u-2"))["name"] == "Bob"
    assert (await send(api, "GET", "/v1/customers/u-3"))["metadata"] == {"b": 2}
    await sink.wait(3, "customer.created")
    assert not sink.of("customer.updated")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("bulk", {}),
        ("bulk", ["u-1"]),
        ("bulk", [{"source_id": "u-1"}, {"name": "nobody"}]),
        ("bulk", [{"source_id": "u-1"}, {"source_id": "u-2", "email": 5}]),
        ("metadata", {"source_ids": ["u-1"]}),
        ("metadata", {"source_ids": [""], "metadata": {}}),
        ("metadata", {"source_ids": ["u-1"], "metadata": []}),
    ],
)
async def test_a_bad_bulk_call_changes_nothing(api: httpx.AsyncClient, path: str, body: Any) -> None:
    """One bad item refuses the whole call, so that nobody has to find out how far it came."""
    await send(api, "POST", f"/v1/customers/{path}/async", body, 400)
    assert (await send(api, "GET", "/v1/customers"))["total"] == 0


async def test_a_customer_is_forgotten(api: httpx.AsyncClient, sink: Sink) -> None:
    """Orders, redemptions, publications, events and activity go along and are counted; the ledger stays right."""
    await loyalty(api)
    await coupons(api)
    card, code = await join(api), await coupon(api)
    await buy(api, "o-1", 1000)
    await redeem(api, code, source_id="o-2", amount=500)
    await send(api, "POST", "/v1/events", {"event": "visit", "customer": {"source_id": "u-1"}})
    await buy(api, "o-9", 100, customer="u-2")
    await send(api, "POST", "/v1/segments", {"name": "Regulars", "type": "static", "customers": ["u-1"]})
    [customer] = [each for each in (await send(api, "GET", "/v1/customers"))["customers"] if each["source_id"] == "u-1"]
    answer = await send(api, "POST", "/v1/customers/u-1/permanent-deletion")
    check = answer["data_json"]
    assert (check["orders"], check["events"], check["customer"], check["segments"]) == (2, 1, 1, 1)
    assert check["customer_events"] > check["order_events"] > 0
    assert (answer["related_object_id"], answer["status"]) == (customer["id"], "DONE")
    for path in ("customers/u-1", "orders/o-1", "orders/o-2", "customers/u-1/activity"):
        await send(api, "GET", f"/v1/{path}", expect=404)
    assert [order["source_id"] for order in (await send(api, "GET", "/v1/orders"))["orders"]] == ["o-9"]
    for kind in ("redemptions", "publications"):
        assert (await send(api, "GET", f"/v1/{kind}"))["total"] == 0
    assert await balance(api, card) == 14  # 10 for the first order, 4 for the 450 that the code left
    assert (await send(api, "GET", f"/v1/vouchers/{card}"))["holder_id"] is None
    [told] = await sink.wait(1, "customer.deleted")
    assert told["data"]["customer"]["id"] == customer["id"]
    await send(api, "POST", "/v1/customers/u-1/permanent-deletion", expect=404)
    assert (await send(api, "POST", "/v1/customers", {"source_id": "u-1"}))["id"] != customer["id"]


async def test_the_older_list_of_activities(api: httpx.AsyncClient) -> None:
    """Newest first with a total, narrowed by campaign type; the data nested and flat; both cursors."""
    await loyalty(api)
    await coupons(api)
    card = await join(api)
    await coupon(api)
    await send(api, "POST", "/sandbox/clock", {"advance": 60})
    await buy(api, "o-1", 1000)
    path = "/v1/customers/u-1/activities"
    whole = await send(api, "GET", f"{path}?limit=100")
    assert [each["created_at"] for each in whole["data"]] == sorted(
        (each["created_at"] for each in whole["data"]), reverse=True
    )
    assert whole["total"] == len(whole["data"]) > 5
    narrowed = await send(api, "GET", f"{path}?campaign_type=LOYALTY_PROGRAM&limit=1")
    [newest] = narrowed["data"]
    assert newest["type"] == "customer.rewarded.loyalty_points"
    assert newest["data"]["voucher"]["code"] == newest["data"]["data"]["voucher"]["code"] == card
    assert 1 < narrowed["total"] < whole["total"]
    ids = [each["id"] for each in whole["data"]]
    rest = await send(api, "GET", f"{path}?limit=100&starting_after_id={ids[2]}")
    assert [each["id"] for each in rest["data"]] == ids[3:]
    assert rest["total"] == whole["total"]
    older = await send(api, "GET", f"{path}?limit=100&starting_after={newest['created_at']}")
    assert older["data"] == [each for each in whole["data"] if each["created_at"] < newest["created_at"]] != []
    await send(api, "GET", f"{path}?product_id=prod_1", expect=501)
    await send(api, "GET", "/v1/customers/nobody/activities", expect=404)


async def test_answers_about_customers_fit_the_published_schemas(api: httpx.AsyncClient) -> None:
    """The list, the activities and the answer to a deletion, against the schemas of their operations."""
    await loyalty(api)
    await join(api)
    await buy(api, "o-1", 1000)
    check_answer("GET", "/v1/customers", await send(api, "GET", "/v1/customers?city=&limit=1"))
    at = "/v1/customers/{customerId}"
    check_answer("GET", f"{at}/activities", await send(api, "GET", "/v1/customers/u-1/activities"))
    answer = await send(api, "POST", "/v1/customers/u-1/permanent-deletion")
    check_answer("POST", f"{at}/permanent-deletion", answer)
