"""What discounts do to an order: on its whole, on its lines, by free units; and the algebra that always holds."""

import asyncio
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.sandbox import effects
from app.sandbox.errors import Failure
from tests.sandbox.programme import buy, redeem, send
from tests.sandbox.published import check_answer

MUG = {"source_id": "mug", "related_object": "product", "quantity": 2, "price": 1000}
POSTER = {"source_id": "poster", "related_object": "product", "quantity": 3, "price": 1500}
SHIRT = {"source_id": "shirt", "related_object": "product", "quantity": 3, "price": 2000}
CART = [MUG, POSTER, SHIRT]
"""The published sample: lines of 20, 45 and 60."""


async def discount(api: httpx.AsyncClient, code: str, **value: Any) -> str:
    body = {"type": "DISCOUNT_VOUCHER", "discount": value}
    return str((await send(api, "POST", f"/v1/vouchers/{code}", body))["code"])


async def validated(api: httpx.AsyncClient, *codes: str, **order: Any) -> dict[str, Any]:
    body = {"redeemables": [{"object": "voucher", "id": code} for code in codes], "order": order}
    answer: dict[str, Any] = await send(api, "POST", "/v1/validations", body)
    return answer


@pytest.mark.parametrize(
    ("value", "lines", "on_order"),
    [
        ({"type": "AMOUNT", "amount_off": 1000, "effect": "APPLY_TO_ITEMS"}, [1000, 1000, 1000], 0),
        ({"type": "AMOUNT", "amount_off": 1000, "effect": "APPLY_TO_ITEMS_BY_QUANTITY"}, [2000, 3000, 3000], 0),
        ({"type": "AMOUNT", "amount_off": 1000, "effect": "APPLY_TO_ITEMS_PROPORTIONALLY"}, [160, 360, 480], 0),
        (
            {"type": "AMOUNT", "amount_off": 1000, "effect": "APPLY_TO_ITEMS_PROPORTIONALLY_BY_QUANTITY"},
            [250, 375, 375],
            0,
        ),
        ({"type": "PERCENT", "percent_off": 10, "effect": "APPLY_TO_ITEMS"}, [200, 450, 600], 0),
        ({"type": "PERCENT", "percent_off": 10, "effect": "APPLY_TO_ITEMS", "amount_limit": 300}, [200, 300, 300], 0),
        (
            {"type": "PERCENT", "percent_off": 10, "effect": "APPLY_TO_ITEMS", "aggregated_amount_limit": 500},
            [200, 300, 0],
            0,
        ),
        ({"type": "FIXED", "fixed_amount": 1000, "effect": "APPLY_TO_ITEMS"}, [0, 1500, 3000], 0),
        ({"type": "FIXED", "fixed_amount": 10000, "effect": "APPLY_TO_ORDER"}, [0, 0, 0], 2500),
        ({"type": "FIXED", "fixed_amount": 20000}, [0, 0, 0], 0),
        ({"type": "AMOUNT", "amount_off": 1000, "aggregated_amount_limit": 700}, [0, 0, 0], 700),
    ],
)
async def test_a_discount_goes_where_its_effect_says(
    api: httpx.AsyncClient, value: dict[str, Any], lines: list[int], on_order: int
) -> None:
    """The published samples of each effect, line by line, and the sums that belong to them."""
    await discount(api, "D", **value)
    answer = await validated(api, "D", items=CART)
    check_answer("POST", "/v1/validations", answer)
    order = answer["order"]
    assert [item.get("discount_amount", 0) for item in order["items"]] == lines
    assert [item["subtotal_amount"] for item in order["items"]] == [
        item["amount"] - off for item, off in zip(order["items"], lines, strict=True)
    ]
    assert (order.get("items_discount_amount", 0), order.get("discount_amount", 0)) == (sum(lines), on_order)
    assert order["total_amount"] == 12500 - sum(lines) - on_order
    assert order["total_applied_discount_amount"] == sum(lines) + on_order


async def test_a_discount_on_items_needs_items(api: httpx.AsyncClient) -> None:
    """An order of which only the amount is known can't have its lines discounted."""
    await discount(api, "D", type="PERCENT", percent_off=10, effect="APPLY_TO_ITEMS")
    answer = await validated(api, "D", amount=1000)
    assert answer["redeemables"][0]["result"]["error"]["key"] == "missing_order_items"
    assert (await redeem(api, "D", expect=400, amount=1000))["key"] == "missing_order_items"


@pytest.mark.parametrize(
    ("effect", "there", "quantity", "amount", "total"),
    [
        ("ADD_NEW_ITEMS", 0, 2, 3000, 2000),
        ("ADD_NEW_ITEMS", 1, 3, 3500, 2500),
        ("ADD_MISSING_ITEMS", 0, 2, 3000, 2000),
        ("ADD_MISSING_ITEMS", 1, 2, 3000, 2000),
        ("ADD_MISSING_ITEMS", 3, 3, 3500, 2500),
    ],
)
async def test_free_units_are_added_or_found(
    api: httpx.AsyncClient, effect: str, there: int, quantity: int, amount: int, total: int
) -> None:
    """New units are always added; missing ones only as far as the cart has not got them; both are free."""
    product = await send(api, "POST", "/v1/products", {"source_id": "mug", "name": "Mug", "price": 500})
    await discount(api, "FREE", type="UNIT", unit_off=2, unit_type=product["id"], effect=effect)
    items = [{**SHIRT, "quantity": 1}, *([{**MUG, "price": 500, "quantity": there}] if there else [])]
    answer = await redeem(api, "FREE", source_id="o-1", items=items, status="CREATED")
    order = answer["order"]
    [free] = [item for item in order["items"] if item.get("discount_quantity")]
    assert (free["quantity"], free["discount_quantity"], free["initial_quantity"]) == (quantity, 2, there)
    assert (free["discount_amount"], order["items_discount_amount"]) == (1000, 1000)
    assert (order["amount"], order["total_amount"]) == (amount, total)
    assert order["initial_amount"] == 2000 + 500 * there
    assert order["total_amount"] == order["amount"] - order["total_discount_amount"]


async def test_many_kinds_of_free_units(api: httpx.AsyncClient) -> None:
    """`ADD_MANY_ITEMS` gives several products, each by its own effect, as in the published sample."""
    for name, price in (("red", 2900), ("blue", 3100)):
        await send(api, "POST", "/v1/products", {"source_id": name, "name": name, "price": price})
    units = [
        {"unit_off": 1, "unit_type": "red", "effect": "ADD_MISSING_ITEMS"},
        {"unit_off": 1, "unit_type": "blue", "effect": "ADD_NEW_ITEMS"},
    ]
    await discount(api, "MANY", type="UNIT", effect="ADD_MANY_ITEMS", units=units)
    items = [{"source_id": name, "quantity": 1, "price": price} for name, price in (("red", 2900), ("blue", 3100))]
    order = (await validated(api, "MANY", items=items))["order"]
    assert (order["amount"], order["items_discount_amount"], order["total_amount"]) == (9100, 6000, 3100)
    assert [item["quantity"] for item in order["items"]] == [1, 2]


async def test_an_order_sent_again_keeps_what_was_free(api: httpx.AsyncClient) -> None:
    """The bridge sends the order as PAID with the till's items: what was redeemed stays off, and is not paid twice."""
    await send(api, "POST", "/v1/products", {"source_id": "mug", "name": "Mug", "price": 500})
    await discount(api, "FREE", type="UNIT", unit_off=1, unit_type="mug", effect="ADD_NEW_ITEMS")
    await discount(api, "TEN", type="PERCENT", percent_off=10, effect="APPLY_TO_ITEMS")
    body: dict[str, Any] = {"source_id": "o-1", "items": [POSTER, SHIRT], "status": "CREATED"}
    redeemed = (await redeem(api, "TEN", "FREE", **body))["order"]
    assert (redeemed["amount"], redeemed["total_amount"]) == (11000, 9450)
    paid = await send(api, "POST", "/v1/orders", {**body, "status": "PAID"})
    assert (paid["status"], paid["amount"], paid["total_amount"]) == ("PAID", 11000, 9450)
    assert (await buy(api, "o-1", 11000))["total_amount"] == 9450
    echoed = await send(api, "POST", "/v1/orders", {"source_id": "o-1", "items": redeemed["items"]})
    assert (echoed["amount"], echoed["total_amount"]) == (11000, 9450)
    less = await send(api, "POST", "/v1/orders", {**body, "items": [{**POSTER, "quantity": 1}]})
    assert (less["amount"], less["total_amount"]) == (2000, 1050)


async def test_a_rollback_takes_free_units_out_again(api: httpx.AsyncClient) -> None:
    """After it the order is what it was before the code, without the units that came with it."""
    for name in ("mug", "cap"):
        await send(api, "POST", "/v1/products", {"source_id": name, "name": name, "price": 500})
    units = [{"unit_off": 2, "unit_type": name, "effect": "ADD_NEW_ITEMS"} for name in ("mug", "cap")]
    await discount(api, "FREE", type="UNIT", effect="ADD_MANY_ITEMS", units=units)
    redemption = await redeem(api, "FREE", source_id="o-1", items=[{**MUG, "price": 500}, SHIRT])
    undone = await send(api, "POST", f"/v1/redemptions/{redemption['redemptions'][0]['id']}/rollback")
    order = undone["order"]
    assert (order["amount"], order["total_amount"], order["status"]) == (7000, 7000, "CANCELED")
    assert [(item["quantity"], item["amount"]) for item in order["items"]] == [(2, 1000), (3, 6000)]
    assert not [name for item in [order, *order["items"]] for name in item if "discount" in name or "initial" in name]


def _values() -> st.SearchStrategy[dict[str, Any]]:
    amounts, items = st.integers(0, 4000), effects._ON_ITEMS
    return st.one_of(
        st.builds(
            lambda amount, effect, limit: {
                "type": "AMOUNT",
                "amount_off": amount,
                "effect": effect,
                **({"aggregated_amount_limit": limit} if limit else {}),
            },
            amounts,
            st.sampled_from(["APPLY_TO_ORDER", *items["AMOUNT"]]),
            st.integers(0, 500),
        ),
        st.builds(
            lambda percent, effect: {"type": "PERCENT", "percent_off": percent, "effect": effect},
            st.floats(0, 100, allow_nan=False),
            st.sampled_from(["APPLY_TO_ORDER", "APPLY_TO_ITEMS"]),
        ),
        st.builds(
            lambda amount, effect: {"type": "FIXED", "fixed_amount": amount, "effect": effect},
            amounts,
            st.sampled_from(["APPLY_TO_ORDER", "APPLY_TO_ITEMS"]),
        ),
        st.builds(
            lambda count, product, effect: {
                "type": "UNIT",
                "unit_off": count,
                "unit_type": product,
                "effect": effect,
            },
            st.integers(1, 4),
            st.sampled_from(["mug", "cap", "gone"]),
            st.sampled_from(["ADD_NEW_ITEMS", "ADD_MISSING_ITEMS"]),
        ),
    )


_PRODUCTS = {
    name: {"id": f"prod_{name}", "source_id": name, "name": name, "price": price}
    for name, price in (("mug", 700), ("cap", 0))
}
_LINES = st.lists(
    st.builds(
        lambda name, quantity, price: {
            "id": f"ordli_{name}",
            "source_id": name,
            "related_object": "product",
            "quantity": quantity,
            "price": price,
            "amount": quantity * price,
            "subtotal_amount": quantity * price,
        },
        st.sampled_from(["mug", "cap", "poster", "shirt"]),
        st.integers(1, 5),
        st.integers(0, 3000),
    ),
    min_size=1,
    max_size=4,
    unique_by=lambda item: item["source_id"],
)


@given(_LINES, st.lists(_values(), min_size=1, max_size=5))
@settings(max_examples=300, deadline=None)
def test_the_algebra_of_an_order_holds_for_any_stack(lines: list[dict[str, Any]], stack: list[dict[str, Any]]) -> None:
    """Law: whatever is stacked, the sums are the sums, nothing is negative, and undoing it all gives back the order."""
    amount = sum(line["amount"] for line in lines)
    before: dict[str, Any] = {"amount": amount, "items": lines, "total_amount": amount, "metadata": {}}
    order = before
    for value in stack:
        try:
            after = effects.apply(order, value, _PRODUCTS)
        except Failure:
            continue
        _check(after)
        applied = after["total_applied_discount_amount"]
        assert applied == after["total_discount_amount"] - order.get("total_discount_amount", 0) >= 0
        order = after
    assert effects.undone(order) == before
    whole = effects.together(before, order)
    if order is not before:
        assert whole["total_applied_discount_amount"] == order["total_discount_amount"]
        assert sum(item.get("applied_discount_amount", 0) for item in whole["items"]) == whole.get(
            "items_applied_discount_amount", 0
        )
        again = effects.sent_again(order, lines) if "items_discount_amount" in order else order
        assert (again["amount"], again["total_amount"]) == (order["amount"], order["total_amount"])


def _check(order: dict[str, Any]) -> None:
    for item in order["items"]:
        if "amount" in item:
            off = item.get("discount_amount", 0)
            assert 0 <= off <= item["amount"]
            assert item["subtotal_amount"] == item["amount"] - off
    on_items = sum(item.get("discount_amount", 0) for item in order["items"])
    assert order.get("items_discount_amount", 0) == on_items
    assert order["amount"] == sum(item.get("amount", 0) for item in order["items"])
    assert order["total_discount_amount"] == order.get("discount_amount", 0) + on_items
    assert 0 <= order["total_amount"] == order["amount"] - order["total_discount_amount"]
    assert order["total_applied_discount_amount"] == order.get("applied_discount_amount", 0) + order.get(
        "items_applied_discount_amount", 0
    )


@given(st.integers(1, 4), st.integers(4, 12))
@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
async def test_a_code_is_used_as_often_as_it_may_be(api: httpx.AsyncClient, quantity: int, tills: int) -> None:
    """Law: of any number of tills that redeem a code at once, as many succeed as it has uses; a rollback frees one."""
    await send(api, "POST", "/sandbox/reset")
    body = {
        "type": "DISCOUNT_VOUCHER",
        "discount": {"type": "PERCENT", "percent_off": 10},
        "redemption": {"quantity": quantity},
    }
    await send(api, "POST", "/v1/vouchers/CODE", body)
    wanted = {"redeemables": [{"object": "voucher", "id": "CODE"}], "order": {"amount": 1000}}
    answers = await asyncio.gather(*(api.post("/v1/redemptions", json=wanted) for _ in range(tills)))
    done = [answer.json()["redemptions"][0]["id"] for answer in answers if answer.status_code == 200]
    assert len(done) == min(quantity, tills)
    assert {answer.json()["key"] for answer in answers if answer.status_code != 200} <= {"quantity_exceeded"}
    await send(api, "POST", f"/v1/redemptions/{done[0]}/rollback")
    shown = await send(api, "GET", "/v1/vouchers/CODE")
    assert shown["redemption"]["redeemed_quantity"] == len(done) - 1
    assert (await api.post("/v1/redemptions", json=wanted)).status_code == 200
