"""The catalogue: products, their SKUs, collections of both, and what an order's items take from it."""

from typing import Any

import httpx
import pytest

from tests.sandbox.programme import send
from tests.sandbox.published import check_answer

SHIRT = {"source_id": "shirt", "name": "Shirt", "price": 2000, "attributes": ["size"], "metadata": {"colour": "blue"}}


async def catalogue(api: httpx.AsyncClient) -> dict[str, dict[str, Any]]:
    """A shirt in two sizes, one of which has a price of its own, and a mug."""
    return {
        "shirt": await send(api, "POST", "/v1/products", SHIRT),
        "mug": await send(api, "POST", "/v1/products", {"source_id": "mug", "name": "Mug", "price": 700}),
        "small": await send(
            api, "POST", "/v1/products/shirt/skus", {"source_id": "s", "sku": "Small", "attributes": {"size": "S"}}
        ),
        "large": await send(
            api, "POST", "/v1/products/shirt/skus", {"source_id": "l", "sku": "Large", "price": 2500, "currency": "USD"}
        ),
    }


async def order(api: httpx.AsyncClient, *items: dict[str, Any], source_id: str = "o-1") -> dict[str, Any]:
    made: dict[str, Any] = await send(api, "POST", "/v1/orders", {"source_id": source_id, "items": list(items)})
    return made


async def test_answers_fit_the_published_schemas(api: httpx.AsyncClient) -> None:
    """Each kind of answer about the catalogue, against the schema of its operation."""

    async def call(method: str, path: str, body: Any = None, at: str | None = None) -> Any:
        answer = await send(api, method, path, body)
        check_answer(method, at or path, answer)
        return answer

    made = await catalogue(api)
    at = "/v1/products/{productId}"
    await call("PUT", "/v1/products/shirt", {"price": 1800}, at)
    await call("GET", "/v1/products/shirt", at=at)
    await call("GET", "/v1/products")
    await call("POST", "/v1/products/shirt/skus", {"source_id": "m"}, f"{at}/skus")
    await call("GET", "/v1/products/shirt/skus", at=f"{at}/skus")
    await call("PUT", "/v1/products/shirt/skus/m", {"sku": "Medium"}, f"{at}/skus/{{skuId}}")
    await call("GET", "/v1/skus/m", at="/v1/skus/{skuId}")
    price = {"junction": "and", "price": {"conditions": {"$more_than": [0]}}}
    dynamic = {"name": "All", "type": "AUTO_UPDATE", "filter": price}
    collection = await call("POST", "/v1/product-collections", dynamic)
    static = {"name": "Some", "type": "STATIC", "products": [{"id": made["mug"]["id"], "object": "product"}]}
    await call("POST", "/v1/product-collections", static)
    at, path = "/v1/product-collections/{productCollectionId}", f"/v1/product-collections/{collection['id']}"
    await call("GET", path, at=at)
    await call("PUT", path, {"name": "Each"}, at)
    await call("GET", f"{path}/products", at=f"{at}/products")
    await call("GET", "/v1/product-collections")
    items = [{"sku_id": made["large"]["id"], "quantity": 2}, {"product_id": "mug"}]
    await call("POST", "/v1/orders", {"source_id": "o-1", "items": items})


async def test_a_product_changes_in_part(api: httpx.AsyncClient) -> None:
    """What is sent changes, metadata key by key; what is not sent stays; a source_id never changes."""
    made = await send(api, "POST", "/v1/products", SHIRT)
    change = {"price": 1800, "metadata": {"colour": None, "fit": "slim"}, "source_id": "other"}
    changed = await send(api, "PUT", f"/v1/products/{made['id']}", change)
    assert (changed["name"], changed["price"], changed["source_id"]) == ("Shirt", 1800, "shirt")
    assert changed["metadata"] == {"fit": "slim"}
    assert changed["updated_at"]
    await send(api, "PUT", "/v1/products/none", {"price": 1}, expect=404)


async def test_a_product_goes_with_its_skus(api: httpx.AsyncClient) -> None:
    """Deleting takes the SKUs along; a second time there is nothing to delete."""
    made = await catalogue(api)
    await send(api, "DELETE", "/v1/products/shirt?force=true", expect=204)
    await send(api, "GET", f"/v1/skus/{made['small']['id']}", expect=404)
    failure = await send(api, "DELETE", "/v1/products/shirt", expect=404)
    assert (failure["resource_type"], failure["details"]) == ("product", "Cannot find product with id shirt")


async def test_the_list_of_products_is_narrowed_and_sorted(api: httpx.AsyncClient) -> None:
    """By when they were made, both ends counted; each carries its SKUs."""
    for day, name in enumerate("cab"):
        await send(api, "POST", "/sandbox/clock", {"set": f"2030-01-0{day + 1}T00:00:00Z"})
        await send(api, "POST", "/v1/products", {"source_id": name, "name": name})
    await send(api, "POST", "/v1/products/c/skus", {"source_id": "c-1"})

    async def names(query: str) -> list[str]:
        answer = await send(api, "GET", f"/v1/products?{query}")
        assert answer["total"] == len(answer["products"])
        return [product["name"] for product in answer["products"]]

    assert await names("") == ["b", "a", "c"]
    assert await names("order=name") == ["a", "b", "c"]
    assert await names("order=created_at&start_date=2030-01-02") == ["a", "b"]
    assert await names("end_date=2030-01-01T23:00:00Z") == ["c"]
    for wrong in ("order=colour", "start_date=soon", "limit=0"):
        await send(api, "GET", f"/v1/products?{wrong}", expect=400)
    [listed] = (await send(api, "GET", "/v1/products?end_date=2030-01-01T23:00:00Z"))["products"]
    assert [sku["source_id"] for sku in listed["skus"]["data"]] == ["c-1"]


async def test_skus_live_below_their_product(api: httpx.AsyncClient) -> None:
    """Made, upserted, changed, read by themselves and listed; another product does not have them."""
    made = await catalogue(api)
    again = await send(api, "POST", "/v1/products/shirt/skus", {"source_id": "s", "price": 1900})
    assert (again["id"], again["sku"], again["price"]) == (made["small"]["id"], "Small", 1900)
    changed = await send(api, "PUT", "/v1/products/shirt/skus/s", {"sku": "Tiny", "metadata": {"old": True}})
    assert changed["attributes"] == {"size": "S"}
    shown = await send(api, "GET", "/v1/skus/s")
    assert shown == changed
    listed = await send(api, "GET", "/v1/products/shirt/skus?order=sku")
    assert [sku["sku"] for sku in listed["skus"]] == ["Large", "Tiny"]
    product = await send(api, "GET", "/v1/products/shirt")
    assert product["skus"]["total"] == 2
    for method, path, body in (
        ("POST", "/v1/products/mug/skus", {"source_id": "s"}),
        ("PUT", "/v1/products/mug/skus/s", {"price": 1}),
        ("DELETE", "/v1/products/mug/skus/s", None),
        ("GET", "/v1/products/none/skus", None),
    ):
        await send(api, method, path, body, expect=404)
    await send(api, "DELETE", "/v1/products/shirt/skus/s", expect=204)
    await send(api, "GET", "/v1/skus/s", expect=404)


async def test_products_are_changed_in_bulk(api: httpx.AsyncClient) -> None:
    """Both bulk calls upsert and answer with the id of an action; a bad item changes none."""
    await catalogue(api)
    answer = await send(
        api, "POST", "/v1/products/bulk/async", [{"source_id": "mug", "price": 900}, {"source_id": "hat"}], 202
    )
    assert answer["async_action_id"].startswith("aa_")
    body = {"source_ids": ["mug", "scarf"], "metadata": {"season": "winter"}}
    await send(api, "POST", "/v1/products/metadata/async", body, 202)
    shown = {product["source_id"]: product for product in (await send(api, "GET", "/v1/products"))["products"]}
    assert (shown["mug"]["price"], shown["mug"]["name"]) == (900, "Mug")
    assert shown["mug"]["metadata"] == shown["scarf"]["metadata"] == {"season": "winter"}
    assert set(shown) == {"shirt", "mug", "hat", "scarf"}
    await send(api, "POST", "/v1/products/bulk/async", [{"source_id": "mug", "price": 1}, {"price": 2}], 400)
    assert (await send(api, "GET", "/v1/products/mug"))["price"] == 900
    for wrong in ({}, {"source_ids": "mug", "metadata": {}}, {"source_ids": [1], "metadata": {}}):
        await send(api, "POST", "/v1/products/metadata/async", wrong, 400)


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({"price": {"$less_than": [1000]}}, {"mug"}),
        ({"price": {"$more_than_equal": 2000}}, {"shirt", "l"}),
        ({"name": {"$starts_with": ["s"]}}, {"shirt", "s"}),
        ({"source_id": {"$ends_with": ["g"]}}, {"mug"}),
        ({"metadata.colour": {"$is": ["BLUE"]}}, {"shirt"}),
        ({"metadata.colour": {"$is_not": ["blue"]}}, {"mug", "s", "l"}),
        ({"metadata.colour": {"$is_unknown": []}}, {"mug", "s", "l"}),
        ({"attributes": {"$contains": ["size"]}}, {"shirt"}),
        ({"object": {"$in": ["sku"]}, "price": {"$has_value": []}}, {"l"}),
        ({"created_at": {"$after": ["2020-01-01"]}, "name": {"$not_contain": "a"}}, {"shirt", "mug"}),
    ],
)
async def test_a_collection_finds_its_members(
    api: httpx.AsyncClient, conditions: dict[str, Any], expected: set[str]
) -> None:
    """An AUTO_UPDATE collection holds the products and SKUs that fit its filter, also one made afterwards."""
    wanted = {"junction": "and", **{name: {"conditions": each} for name, each in conditions.items()}}
    body = {"name": "Found", "type": "AUTO_UPDATE", "filter": wanted}
    made = await send(api, "POST", "/v1/product-collections", body)
    await catalogue(api)
    listed = await send(api, "GET", f"/v1/product-collections/{made['id']}/products")
    assert {each["source_id"] for each in listed["data"]} == expected
    assert listed["total"] == len(expected)


async def test_a_filter_can_ask_for_either(api: httpx.AsyncClient) -> None:
    """With the junction `or` one condition is enough; a filter without any finds nothing."""
    await catalogue(api)
    either = {"junction": "or", "name": {"conditions": {"$is": "Mug"}}, "price": {"conditions": {"$is": 2500}}}
    for wanted, expected in ((either, ["l", "mug"]), ({"junction": "or"}, [])):
        body = {"name": str(expected), "type": "AUTO_UPDATE", "filter": wanted}
        made = await send(api, "POST", "/v1/product-collections", body)
        listed = await send(api, "GET", f"/v1/product-collections/{made['id']}/products?order=source_id")
        assert [each["source_id"] for each in listed["data"]] == expected


async def test_a_collection_names_its_members(api: httpx.AsyncClient) -> None:
    """A STATIC collection has what it names; only its name can be changed; it is read, listed and deleted."""
    made = await catalogue(api)
    body = {
        "name": "Best",
        "type": "STATIC",
        "products": [{"id": "mug", "object": "product"}, {"id": made["large"]["id"], "object": "sku"}],
    }
    collection = await send(api, "POST", "/v1/product-collections", body)
    assert collection["products"] == [
        {"id": made["mug"]["id"], "object": "product"},
        {"id": made["large"]["id"], "product_id": made["shirt"]["id"], "object": "sku"},
    ]
    at = f"/v1/product-collections/{collection['id']}"
    assert (await send(api, "GET", f"{at}/products?limit=1"))["total"] == 2
    await send(api, "POST", "/v1/product-collections", body, expect=409)
    changed = await send(api, "PUT", at, {"name": "Better", "products": []})
    assert (changed["name"], changed["products"]) == ("Better", collection["products"])
    listed = await send(api, "GET", "/v1/product-collections")
    assert listed["data"] == [changed]
    await send(api, "DELETE", at, expect=204)
    failure = await send(api, "GET", at, expect=404)
    assert failure["resource_type"] == "products_collection"


@pytest.mark.parametrize(
    ("wanted", "status", "details"),
    [
        ({"junction": "nor"}, 400, "Property .filter has wrong `junction` property. It must be one of: and, or"),
        ({}, 400, "'AUTO_UPDATE' collection must contain valid filter with 'junction' property"),
        ({"junction": "and", "colour": {"conditions": {"$is": ["x"]}}}, 400, None),
        ({"junction": "and", "name": {"conditions": {"$is": []}}}, 400, None),
        ({"junction": "and", "name": {}}, 400, None),
        ({"junction": "and", "metadata.at": {"conditions": {"$is_days_ago": [1]}}}, 501, None),
    ],
)
async def test_a_bad_filter_is_refused(
    api: httpx.AsyncClient, wanted: dict[str, Any], status: int, details: str | None
) -> None:
    """When it is made and when it is changed, in Voucherify's words where those are published."""
    body = {"name": "Bad", "type": "AUTO_UPDATE", "filter": wanted}
    failure = await send(api, "POST", "/v1/product-collections", body, expect=status)
    assert details in {None, failure["details"]}
    good = {"name": "Good", "type": "AUTO_UPDATE", "filter": {"junction": "and"}}
    made = await send(api, "POST", "/v1/product-collections", good)
    await send(api, "PUT", f"/v1/product-collections/{made['id']}", {"filter": wanted}, expect=status)


async def test_an_item_takes_what_is_stored(api: httpx.AsyncClient) -> None:
    """Named by id or source_id: ids of both, what is stored of both, and the price of the SKU before the product's."""
    made = await catalogue(api)
    answer = await order(
        api,
        {"source_id": "l", "related_object": "sku", "quantity": 2},
        {"sku_id": made["small"]["id"]},
        {"product_id": "mug", "quantity": 3, "price": 100},
    )
    large, small, mug = answer["items"]
    assert (large["price"], large["amount"], large["sku_id"]) == (2500, 5000, made["large"]["id"])
    assert large["sku"] == {"id": made["large"]["id"], "source_id": "l", "sku": "Large", "price": 2500}
    assert small["price"] == small["amount"] == 2000
    assert small["product"]["metadata"] == {"colour": "blue"}
    assert (mug["amount"], mug["product"]["name"]) == (300, "Mug")
    assert answer["amount"] == 5000 + 2000 + 300


async def test_what_an_item_says_counts_for_the_order_alone(api: httpx.AsyncClient) -> None:
    """Without `override` the catalogue stays as it is, and the order has what was said."""
    await catalogue(api)
    item = {"source_id": "mug", "related_object": "product", "product": {"name": "Cup", "price": 50}}
    answer = await order(api, item)
    assert (answer["items"][0]["product"]["name"], answer["amount"]) == ("Cup", 50)
    assert (await send(api, "GET", "/v1/products/mug"))["name"] == "Mug"


async def test_override_stores_what_an_item_says(api: httpx.AsyncClient) -> None:
    """Changes what is there, makes what is not, a SKU below its product; the mark itself is not stored."""
    await catalogue(api)
    answer = await order(
        api,
        {"source_id": "mug", "related_object": "product", "product": {"name": "Cup", "price": 50, "override": True}},
        {"product_id": "hat", "product": {"name": "Hat", "price": 900, "override": True}},
        {
            "source_id": "hat-red",
            "related_object": "sku",
            "product": {"source_id": "hat"},
            "sku": {"sku": "Red", "price": 950, "override": True},
        },
    )
    assert [item["amount"] for item in answer["items"]] == [50, 900, 950]
    assert "override" not in str(answer)
    assert (await send(api, "GET", "/v1/products/mug"))["name"] == "Cup"
    hat = await send(api, "GET", "/v1/products/hat")
    assert [(sku["source_id"], sku["price"]) for sku in hat["skus"]["data"]] == [("hat-red", 950)]


async def test_only_what_makes_an_order_may_override(api: httpx.AsyncClient) -> None:
    """A validation prices the order by what it says and leaves the catalogue alone."""
    item = {"source_id": "hat", "related_object": "product", "product": {"price": 900, "override": True}}
    body = {"redeemables": [{"object": "voucher", "id": "NONE"}], "order": {"items": [item]}}
    await send(api, "POST", "/v1/validations", body)
    await send(api, "GET", "/v1/products/hat", expect=404)


@pytest.mark.parametrize(
    "item",
    [
        {"product": {"metadata": "x"}},
        {"product": {"price": "1"}, "price": 1},
        {"sku": {"override": "yes"}},
        {"sku_id": 5},
        {"product": {"id": ["x"]}},
    ],
)
async def test_an_item_that_makes_no_sense_is_refused(api: httpx.AsyncClient, item: dict[str, Any]) -> None:
    """What an item says of its product and SKU is checked like the item itself."""
    await send(api, "POST", "/v1/orders", {"items": [item]}, expect=400)


async def test_an_amount_beyond_all_numbers_is_refused(api: httpx.AsyncClient) -> None:
    """Also where the price comes from the catalogue."""
    await send(api, "POST", "/v1/products", {"source_id": "moon", "price": 2**52})
    item = {"product_id": "moon", "quantity": 4}
    failure = await send(api, "POST", "/v1/orders", {"items": [item]}, expect=400)
    assert failure["details"].startswith("Property .amount must be <=")
