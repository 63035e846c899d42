"""What earning rules give, of every type, when they are in force, and how they are changed."""

from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.sandbox.earning_calculation import Basis, mapped, points
from tests.sandbox.programme import LOYALTY, balance, buy, event, join, loyalty, rule, send, travel
from tests.sandbox.published import check_answer
from tests.sandbox.serving import Sink

RULES = f"/v1/loyalties/{LOYALTY}/earning-rules"
ONE = "/v1/loyalties/{campaignId}/earning-rules/{earningRuleId}"


def proportional(kind: str, owner: str, name: str, every: int, gives: int, **more: Any) -> dict[str, Any]:
    return {
        "type": "PROPORTIONAL",
        "calculation_type": kind,
        owner: {name: {"every": every, "points": gives, **more}},
    }


ITEMS: list[dict[str, Any]] = [
    {"product_id": "prod_mug", "quantity": 3, "price": 500, "amount": 1500, "subtotal_amount": 1200},
    {"product_id": "prod_mug", "quantity": 2, "price": 0, "amount": 0},
    {"sku_id": "sku_red", "product_id": "prod_shirt", "quantity": 2, "discount_quantity": 1, "amount": 4000},
    {"source_id": "bag", "related_object": "product", "amount": 900},
]
MUG = {"object": "product", "id": "prod_mug"}
RED = {"object": "sku", "id": "sku_red"}


@pytest.mark.parametrize(
    ("gives", "wanted"),
    [
        ({"type": "FIXED", "points": 7}, 7),
        (proportional("ORDER_AMOUNT", "order", "amount", 500, 10), 900),
        (proportional("ORDER_TOTAL_AMOUNT", "order", "total_amount", 1000, 1), 44),
        (proportional("ORDER_METADATA", "order", "metadata", 10, 2, property="visits"), 4),
        (proportional("ORDER_METADATA", "order", "metadata", 1, 1, property="text"), 0),
        (proportional("ORDER_METADATA", "order", "metadata", 1, 1, property="minus"), 0),
        (proportional("ORDER_METADATA", "order", "metadata", 1, 1, property="none"), 0),
        (proportional("CUSTOMER_METADATA", "customer", "metadata", 3, 1, property="age"), 13),
        (proportional("CUSTOM_EVENT_METADATA", "custom_event", "metadata", 1, 2, property="stars"), 9 * 2),
        (proportional("ORDER_ITEMS_QUANTITY", "order_items", "quantity", 2, 5, **MUG), 5),
        (proportional("ORDER_ITEMS_QUANTITY", "order_items", "quantity", 1, 1, **RED), 1),
        (proportional("ORDER_ITEMS_AMOUNT", "order_items", "amount", 100, 1, **MUG), 15),
        (proportional("ORDER_ITEMS_SUBTOTAL_AMOUNT", "order_items", "subtotal_amount", 100, 1, **MUG), 12),
        (proportional("ORDER_ITEMS_SUBTOTAL_AMOUNT", "order_items", "subtotal_amount", 100, 1, **RED), 40),
    ],
)
def test_what_each_calculation_counts(gives: dict[str, Any], wanted: int) -> None:
    """Amounts before and after discounts, numbers in metadata (nothing for what is none), items without free ones."""
    order = {
        "amount": 45000,
        "total_amount": 44500,
        "items": ITEMS,
        "metadata": {"visits": 25, "text": "25", "minus": -5},
    }
    target: dict[str, Any] = next(iter(gives.get("order_items", {}).values()), {})
    basis = Basis(
        order,
        {"age": 41},
        {"stars": 9.99},
        lambda item: target.get("id") in {item.get("product_id"), item.get("sku_id")},
    )
    assert points(gives, order, basis) == wanted


@given(st.integers(0, 10**6), st.decimals(0, 100, places=2))
def test_a_multiplier_rounds_to_the_nearest_point(base: int, multiplier: Any) -> None:
    """Law: what a tier multiplies is never more than half a point off; a CUSTOM mapping replaces it."""
    assert abs(mapped(base, {"type": "MULTIPLY", "multiplier": float(multiplier)}) - base * multiplier) <= 0.5
    assert mapped(base, {"type": "CUSTOM", "points": 3}) == 3
    assert mapped(base, None) == base


async def test_items_earn_by_product_and_by_sku(api: httpx.AsyncClient) -> None:
    """A product is meant by its id, whichever of its names an item has; what several targets mean counts once."""
    await loyalty(api)
    mug = await send(api, "POST", "/v1/products", {"source_id": "mug", "name": "Mug"})
    of_mug = {"object": "product", "id": mug["id"]}
    by_product = proportional("ORDER_ITEMS_QUANTITY", "order_items", "quantity", 1, 1000, **of_mug)
    made = await rule(api, "order.paid", by_product)
    check_answer("GET", ONE, await send(api, "GET", f"{RULES}/{made['id']}"))
    both = [of_mug, {"object": "sku", "id": "red"}, of_mug]
    by_both = proportional("ORDER_ITEMS_AMOUNT", "order_items", "amount", 100, 100000, applicable_to=both)
    made = await rule(api, "order.paid", by_both)
    assert made["loyalty"]["order_items"]["amount"]["id"] == mug["id"]
    check_answer("GET", ONE, await send(api, "GET", f"{RULES}/{made['id']}"))
    card = await join(api)
    items = [
        {"source_id": "mug", "related_object": "product", "quantity": 2, "price": 100},
        {"product_id": mug["id"], "quantity": 1, "price": 100},
        {"source_id": "red", "related_object": "sku", "quantity": 1, "price": 100},
        {"source_id": "other", "related_object": "product", "quantity": 1, "price": 5},
    ]
    body = {"source_id": "o-1", "status": "PAID", "items": items, "customer": {"source_id": "u-1"}}
    await send(api, "POST", "/v1/orders", body)
    assert await balance(api, card) == 4 + 3 * 1000 + 4 * 100000


async def test_metadata_earns(api: httpx.AsyncClient) -> None:
    """Of the order, of the customer and of the custom event."""
    await loyalty(api)
    await rule(api, "order.paid", proportional("ORDER_METADATA", "order", "metadata", 2, 10, property="visits"))
    await rule(api, "order.paid", proportional("CUSTOMER_METADATA", "customer", "metadata", 1, 1, property="level"))
    stars = proportional("CUSTOM_EVENT_METADATA", "custom_event", "metadata", 1, 100, property="stars")
    await rule(api, "review", stars)
    card = await join(api)
    body: dict[str, Any] = {"source_id": "o-1", "status": "PAID", "amount": 0, "metadata": {"visits": 5}}
    body["customer"] = {"source_id": "u-1", "metadata": {"level": 3}}
    await send(api, "POST", "/v1/orders", body)
    await event(api, "review", metadata={"stars": 4})
    await event(api, "review", metadata={"stars": "many"})
    assert await balance(api, card) == 20 + 3 + 400


async def test_a_rule_earns_in_its_time_only(api: httpx.AsyncClient) -> None:
    """A happy hour on weekdays; and a rule without dates ends with its programme."""
    await travel(api, "2026-01-05T10:00:00Z")
    await loyalty(api, expiration_date="2026-01-10T00:00:00Z")
    hours = {"daily": [{"start_time": "12:00", "expiration_time": "14:00"}]}
    fixed = {"type": "FIXED", "points": 1000}
    made = await rule(api, "order.paid", fixed, validity_day_of_week=[1, 2], validity_hours=hours)
    check_answer("GET", ONE, await send(api, "GET", f"{RULES}/{made['id']}"))
    card = await join(api)
    for place, moment in enumerate(("05T10:00", "05T13:00", "07T13:00", "12T13:00")):
        await travel(api, f"2026-01-{moment}:00Z")
        await buy(api, f"o-{place}", 100)
    assert await balance(api, card) == 3 + 1000


async def test_a_rule_is_changed_and_deleted(api: httpx.AsyncClient, sink: Sink) -> None:
    """PUT keeps what it does not name and null clears a field; DELETE ends it; each is told with campaign and rule."""
    await loyalty(api)
    made = await rule(api, "visit", {"type": "FIXED", "points": 5}, start_date="2020-01-01", metadata={"a": 1, "b": 2})
    path = f"{RULES}/{made['id']}"
    change = {"loyalty": {"type": "FIXED", "points": 8}, "start_date": None, "metadata": {"b": None, "c": 3}}
    changed = await send(api, "PUT", path, change)
    check_answer("PUT", ONE, changed)
    assert changed["loyalty"]["points"] == 8
    assert "start_date" not in changed
    assert (changed["metadata"], changed["event"], changed["source"]["banner"]) == ({"a": 1, "c": 3}, "visit", "visit")
    assert changed == await send(api, "GET", path)
    await send(api, "PUT", path, {"loyalty": {"type": "FIXED", "points": 0}}, expect=400)
    await send(api, "POST", f"{path}/disable")
    await send(api, "POST", f"{path}/enable")
    card = await join(api)
    await event(api, "visit")
    await send(api, "DELETE", path, expect=204)
    await event(api, "visit")
    assert await balance(api, card) == 8
    await send(api, "GET", path, expect=404)
    await send(api, "DELETE", path, expect=404)
    await sink.wait(1, "campaign.earning_rule.deleted")
    told = [each.body for each in sink.got if each.type.startswith("campaign.earning_rule.")]
    assert [body["event"]["type"].rpartition(".")[2] for body in told] == [
        *("assigned", "assigned", "updated", "disabled", "enabled", "deleted")
    ]
    assert (told[2]["data"]["earning_rule"], told[2]["data"]["campaign"]["name"]) == (changed, LOYALTY)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"loyalty": proportional("ORDER_METADATA", "order", "metadata", 1, 1)}, 400),
        ({"loyalty": proportional("CUSTOM_EVENT_METADATA", "custom_event", "metadata", 1, 1, property="x")}, 400),
        ({"loyalty": proportional("ORDER_ITEMS_AMOUNT", "order_items", "amount", 1, 1)}, 400),
        ({"loyalty": proportional("ORDER_ITEMS_AMOUNT", "order_items", "amount", 1, 1, applicable_to=[])}, 400),
        ({"loyalty": proportional("ORDER_ITEMS_AMOUNT", "order_items", "amount", 1, 1, object="shop", id="x")}, 400),
        ({"validity_day_of_week": [7]}, 400),
        ({"validity_hours": {"daily": [{"start_time": "25:00", "expiration_time": "26:00"}]}}, 400),
        ({"validity_hours": {"daily": "12:00"}}, 400),
        ({"validity_timeframe": {"interval": "P1D", "duration": "PT1H"}}, 400),
        ({"start_date": "2026-01-01", "validity_timeframe": {"interval": "P0D", "duration": "PT1H"}}, 400),
        ({"start_date": "2026-01-01", "validity_timeframe": {"interval": "often", "duration": "PT1H"}}, 400),
        ({"expiration_rules": {"period_type": "MONTH"}}, 400),
        ({"pending_points": {"period_type": "DAY", "period_value": 91}}, 400),
        ({"event": "visit", "pending_points": {"period_type": "DAY", "period_value": 1}}, 400),
        ({"event": "customer.segment.entered", "loyalty": proportional("ORDER_AMOUNT", "order", "amount", 1, 1)}, 400),
    ],
)
async def test_a_rule_that_makes_no_sense_is_refused(api: httpx.AsyncClient, body: dict[str, Any], status: int) -> None:
    """What a rule must have, and which calculation goes with which event."""
    await loyalty(api)
    whole = {"event": "order.paid", "loyalty": {"type": "FIXED", "points": 1}, **body}
    await send(api, "POST", RULES, [whole], expect=status)
    assert (await send(api, "GET", RULES))["total"] == 1
