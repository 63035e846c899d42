"""Which lines of an order a discount works on: products, SKUs and collections that validation rules name."""

import itertools
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.sandbox import applicability, effects
from app.sandbox.item_shares import Line, Scope
from app.sandbox.predicates import Item
from tests.sandbox.programme import LOYALTY, balance, join, loyalty, rule, send
from tests.sandbox.published import check_answer

NUMBERS = itertools.count()
MUG, PEN, BOX = "mug", "pen", "box"
PRICES = {MUG: 1000, PEN: 200, BOX: 5000}


def item(name: str, quantity: int = 1) -> Item:
    price = PRICES[name]
    return Item(frozenset({name}), frozenset(), quantity, price * quantity, price, {}, {}, name=name)


def scope_of(*included: dict[str, Any], items: tuple[Item, ...], **more: Any) -> Scope:
    doc = {"applicable_to": {"included": list(included), "excluded": [], "included_all": False, **more}}
    scope = applicability.of([doc], items).scope
    assert scope is not None
    return scope


def thing(name: str, **more: Any) -> dict[str, Any]:
    return {"object": "product", "id": name, **more}


def off(discount: dict[str, Any], scope: Scope | None, *quantities: tuple[str, int]) -> list[int]:
    """What a discount takes off each line."""
    items = [
        {"quantity": quantity, "price": PRICES[name], "amount": PRICES[name] * quantity}
        for name, quantity in quantities
    ]
    order = {"amount": sum(each["amount"] for each in items), "items": items}
    return [each.get("discount_amount", 0) for each in effects.apply(order, discount, scope=scope)["items"]]


PERCENT = {"type": "PERCENT", "percent_off": 50, "effect": "APPLY_TO_ITEMS"}
SHARED = {"type": "AMOUNT", "amount_off": 300, "effect": "APPLY_TO_ITEMS_PROPORTIONALLY"}
EACH_UNIT = {"type": "AMOUNT", "amount_off": 100, "effect": "APPLY_TO_ITEMS_BY_QUANTITY"}
FIXED = {"type": "FIXED", "fixed_amount": 150, "effect": "APPLY_TO_ITEMS"}
BASKET = ((MUG, 2), (PEN, 4), (BOX, 1))


@pytest.mark.parametrize(
    ("discount", "included", "expected"),
    [
        (PERCENT, [thing(MUG)], [1000, 0, 0]),
        (PERCENT, [thing(PEN, quantity_limit=1)], [0, 100, 0]),
        (PERCENT, [thing(MUG, amount_limit=300), thing(BOX)], [300, 0, 2500]),
        (SHARED, [thing(MUG), thing(PEN)], [214, 86, 0]),  # 300 shared out 2000 to 800
        (EACH_UNIT, [thing(PEN, aggregated_quantity_limit=3)], [0, 300, 0]),
        (FIXED, [thing(PEN)], [0, 200, 0]),
        (FIXED, [thing(PEN, price=50)], [0, 600, 0]),
    ],
)
def test_a_discount_keeps_to_its_lines(
    discount: dict[str, Any], included: list[dict[str, Any]], expected: list[int]
) -> None:
    """Percentages, shares, amounts for each unit and new prices, with the limits of an entry."""
    items = tuple(item(*each) for each in BASKET)
    assert off(discount, scope_of(*included, items=items), *BASKET) == expected


@pytest.mark.parametrize(
    ("effect", "expected"),
    [
        ("APPLY_TO_EVERY", [500, 0, 0]),
        ("APPLY_TO_CHEAPEST", [0, 100, 0]),
        ("APPLY_FROM_CHEAPEST", [400, 100, 0]),
        ("APPLY_TO_MOST_EXPENSIVE", [0, 0, 500]),
        ("APPLY_FROM_MOST_EXPENSIVE", [0, 0, 500]),
    ],
)
def test_limits_are_used_up_in_an_order(effect: str, expected: list[int]) -> None:
    """Of a limit of 500 for all lines together the cheapest or the dearest takes first."""
    items = tuple(
        Item(frozenset({name}), frozenset(), 1, PRICES[name], PRICES[name], {}, {}, frozenset({"pc_1"}), name)
        for name in (MUG, PEN, BOX)
    )
    entry = {"object": "products_collection", "id": "pc_1", "effect": effect, "aggregated_amount_limit": 500}
    assert off(PERCENT, scope_of(entry, items=items), (MUG, 1), (PEN, 1), (BOX, 1)) == expected


def test_rules_must_agree_on_a_line() -> None:
    """Two definitions leave what both let in; all but some leaves the rest."""
    items = tuple(item(*each) for each in BASKET)
    both = {"included": [thing(MUG), thing(PEN)], "excluded": [], "included_all": False}
    rest = {"included": [], "excluded": [thing(MUG)], "included_all": True}
    assert applicability.of([{"applicable_to": both}, {"applicable_to": rest}], items).scope == Scope({1: Line(4)})
    whole = applicability.of([{"applicable_to": rest}], items)
    assert whole.scope == Scope({1: Line(), 2: Line()})
    assert [each["order_item_indices"] for each in whole.excluded] == [[0]]
    assert applicability.of([{"applicable_to": {"included": [], "excluded": []}}], items).scope is None


@given(
    discount=st.sampled_from([PERCENT, SHARED, EACH_UNIT, FIXED]),
    quantities=st.lists(st.integers(0, 5), min_size=1, max_size=4),
    chosen=st.dictionaries(
        st.integers(0, 3),
        st.builds(
            Line, st.none() | st.integers(1, 6), st.none() | st.integers(1, 500), st.none() | st.integers(0, 900)
        ),
    ),
    most=st.integers(0, 2000),
)
def test_no_line_loses_more_than_it_has(
    discount: dict[str, Any], quantities: list[int], chosen: dict[int, Line], most: int
) -> None:
    """Law: never more than a line's amount or its limit, nothing off other lines, never more than the shared limit."""
    basket = [(MUG, quantity) for quantity in quantities]
    if not any(quantities):
        return
    lines = {place: line for place, line in chosen.items() if place < len(basket)}
    taken = off(discount, Scope(lines, ((frozenset(lines), most),)), *basket)
    for place, amount in enumerate(taken):
        assert 0 <= amount <= PRICES[MUG] * quantities[place]
        line = lines.get(place)
        assert line is not None or amount == 0
        assert line is None or line.amount_limit is None or amount <= line.amount_limit
    assert sum(taken) <= most


async def collection(api: httpx.AsyncClient, **wanted: Any) -> str:
    return str((await send(api, "POST", "/v1/product-collections", {"name": str(wanted), **wanted}))["id"])


async def catalogue(api: httpx.AsyncClient) -> dict[str, str]:
    """Three products, of which one has a SKU; answers their ids."""
    made = {}
    for name, price in PRICES.items():
        body = {"source_id": name, "name": name.title(), "price": price, "metadata": {"shelf": name == BOX}}
        made[name] = (await send(api, "POST", "/v1/products", body))["id"]
    await send(api, "POST", "/v1/products/box/skus", {"source_id": "box-red", "sku": "Red box", "price": 6000})
    return made


async def ruled(api: httpx.AsyncClient, code: str, discount: dict[str, Any], **definition: Any) -> None:
    """A code that stands alone with one validation rule."""
    await send(api, "POST", f"/v1/vouchers/{code}", {"type": "DISCOUNT_VOUCHER", "discount": discount})
    made = await send(api, "POST", "/v1/validation-rules", {"name": code, **definition})
    body = {"related_object_type": "voucher", "related_object_id": code}
    await send(api, "POST", f"/v1/validation-rules/{made['id']}/assignments", body)


def order(*lines: dict[str, Any]) -> dict[str, Any]:
    lines_ = [
        {"quantity": 1, **({"related_object": "product"} if "source_id" in line else {}), **line} for line in lines
    ]
    return {"source_id": f"o-{next(NUMBERS)}", "items": lines_}


async def both(api: httpx.AsyncClient, code: str, wanted: dict[str, Any]) -> dict[str, Any]:
    """What a validation says, which the redemption after it must do."""
    body = {"redeemables": [{"object": "voucher", "id": code}], "order": wanted}
    valid: dict[str, Any] = await send(api, "POST", "/v1/validations", body)
    check_answer("POST", "/v1/validations", valid)
    done = await send(api, "POST", "/v1/redemptions", body)
    check_answer("POST", "/v1/redemptions", done)
    assert done["order"]["total_amount"] == valid["order"]["total_amount"]
    undone = await send(api, "POST", f"/v1/redemptions/{done['redemptions'][0]['id']}/rollback")
    assert undone["order"]["total_amount"] == valid["order"]["amount"]
    return valid


async def test_a_collection_is_discounted(api: httpx.AsyncClient) -> None:
    """By list and by filter, also a SKU of its product; the answer names the collection, its products and the lines."""
    products = await catalogue(api)
    pens = await collection(api, type="STATIC", products=[{"id": products[PEN], "object": "product"}])
    shelf = {"junction": "and", "metadata.shelf": {"conditions": {"$is": [True]}}}
    boxes = await collection(api, type="AUTO_UPDATE", filter=shelf)
    for code, wanted in (("PENS", pens), ("BOXES", boxes)):
        included = [{"object": "products_collection", "id": wanted}]
        await ruled(api, code, PERCENT, applicable_to={"included": included})
    basket = order(
        {"product_id": products[MUG]}, {"source_id": PEN, "related_object": "product"}, {"sku_id": "box-red"}
    )
    valid = await both(api, "PENS", basket)
    assert [each.get("discount_amount", 0) for each in valid["order"]["items"]] == [0, 100, 0]
    listed = valid["redeemables"][0]["applicable_to"]["data"]
    assert [(each["object"], each["id"], each["strict"], each["order_item_indices"]) for each in listed] == [
        *(("products_collection", pens, False, [1]), ("product", products[PEN], True, [1])),
    ]
    valid = await both(api, "BOXES", {**basket, "source_id": "o-again"})
    assert [each.get("discount_amount", 0) for each in valid["order"]["items"]] == [0, 0, 3000]
    tried: dict[str, Any] = {
        "redeemables": [{"object": "voucher", "id": "PENS"}],
        "order": order({"source_id": "cup", "price": 5}),
    }
    refused = await send(api, "POST", "/v1/validations", tried)
    assert refused["redeemables"][0]["result"]["error"]["key"] == "order_rules_violated"
    await send(api, "DELETE", f"/v1/product-collections/{pens}", expect=204)
    tried["order"] = {**basket, "source_id": "o-new"}
    assert (await send(api, "POST", "/v1/validations", tried))["valid"] is False


async def test_a_rule_asks_for_something_of_a_collection(api: httpx.AsyncClient) -> None:
    """`product.id` and `order.items.any` with a collection; what is not in it does not count."""
    products = await catalogue(api)
    pens = await collection(api, type="STATIC", products=[{"id": products[PEN], "object": "product"}])
    named = {"object": "products_collection", "id": pens}
    whole = {**PERCENT, "effect": "APPLY_TO_ORDER"}
    for code, name in (("A", "product.id"), ("B", "order.items.any")):
        condition = {"name": name, "conditions": {"$is": [named]}, "rules": {}}
        await ruled(api, code, whole, rules={"1": condition, "logic": "1"})
        for wanted, holds in ((PEN, True), (MUG, False)):
            body = {
                "redeemables": [{"object": "voucher", "id": code}],
                "order": order({"product_id": products[wanted]}),
            }
            assert (await send(api, "POST", "/v1/validations", body))["valid"] is holds
    definition = {"name": "x", "rules": {"1": {"name": "product.id", "conditions": {"$is": [{**named, "id": None}]}}}}
    assert (await send(api, "POST", "/v1/validation-rules", definition, 400))["key"] == "invalid_validation_rules"


async def test_points_for_what_is_in_a_collection(api: httpx.AsyncClient) -> None:
    """An earning rule for a collection counts its products, each item once; the estimate says the same."""
    await loyalty(api)
    products = await catalogue(api)
    both_ = [{"id": products[name], "object": "product"} for name in (PEN, MUG)]
    pens = await collection(api, type="STATIC", products=both_)
    target = {"object": "products_collection", "id": pens}
    gives = {
        "type": "PROPORTIONAL",
        "calculation_type": "ORDER_ITEMS_QUANTITY",
        "order_items": {"quantity": {"every": 1, "points": 1000, "applicable_to": [target, thing(PEN)]}},
    }
    await rule(api, "order.paid", gives)
    card = await join(api)
    lines: list[dict[str, Any]] = [{"source_id": PEN, "quantity": 2}, {"product_id": products[MUG]}, {"source_id": BOX}]
    prices = (PRICES[PEN], PRICES[MUG], PRICES[BOX])
    basket = order(*({**line, "price": price} for line, price in zip(lines, prices, strict=True)))
    asked = {"customer": {"source_id": "u-1"}, "order": basket}
    estimate = await send(api, "POST", f"/v1/loyalties/{LOYALTY}/qualifications", asked)
    await send(api, "POST", "/v1/orders", {**basket, "status": "PAID", "customer": {"source_id": "u-1"}})
    paid = 64  # 6400: a point for each full 100 of it, by the programme's other rule
    assert await balance(api, card) == estimate["points_estimation"] == 3000 + paid


async def test_scenarios_of_products_offer_what_names_them(api: httpx.AsyncClient) -> None:
    """By discount or by rule; only by discount; and who the customer is counts in `…_BY_CUSTOMER` only."""
    products = await catalogue(api)
    await ruled(api, "PENS", PERCENT, applicable_to={"included": [thing(products[PEN])]})
    await ruled(api, "BOXES", PERCENT, applicable_to={"included": [thing(products[BOX])]})
    needs = {"1": {"name": "product.id", "conditions": {"$is": [{"id": products[PEN]}]}}, "logic": "1"}
    await ruled(api, "WITH-PEN", {**PERCENT, "effect": "APPLY_TO_ORDER"}, rules=needs)
    vip = {"1": {"name": "customer.metadata", "property": "vip", "conditions": {"$is": [True]}}, "logic": "1"}
    await ruled(api, "VIP", PERCENT, rules=vip, applicable_to={"included": [thing(products[PEN])]})
    await ruled(api, "ANY", PERCENT)
    await send(api, "POST", "/v1/customers", {"source_id": "u-1"})
    found: dict[str, set[str]] = {}
    for scenario in ("PRODUCTS", "PRODUCTS_DISCOUNT", "PRODUCTS_BY_CUSTOMER", "PRODUCTS_DISCOUNT_BY_CUSTOMER"):
        body = {"scenario": scenario, "order": order({"source_id": PEN}), "customer": {"source_id": "u-1"}}
        answer = await send(api, "POST", "/v1/qualifications", body)
        check_answer("POST", "/v1/qualifications", answer)
        found[scenario] = {each["id"] for each in answer["redeemables"]["data"]}
    assert found == {
        "PRODUCTS": {"PENS", "WITH-PEN", "VIP"},
        "PRODUCTS_DISCOUNT": {"PENS", "VIP"},
        "PRODUCTS_BY_CUSTOMER": {"PENS", "WITH-PEN"},
        "PRODUCTS_DISCOUNT_BY_CUSTOMER": {"PENS"},
    }
