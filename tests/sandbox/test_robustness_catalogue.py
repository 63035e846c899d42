"""The catalogue, bulk calls, images, pages and switches: whatever is sent, the answer is meant."""

from typing import Any
from urllib.parse import quote

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.sandbox.anything import anything
from tests.sandbox.programme import send

NAMES = (
    *("id", "source_id", "name", "price", "attributes", "metadata", "image_url", "sku", "currency", "type", "filter"),
    *("products", "object", "product_id", "sku_id", "product", "override", "items", "quantity", "related_object"),
    *("junction", "conditions", "metadata.colour", "$is", "$contains", "$more_than", "$after", "$starts_with"),
    *("source_ids", "email", "count", "rate", "path", "method", "status", "fail_next", "delay_next", "latency_ms"),
    *("calls_per_minute", "calls_per_hour"),
)
WORDS = ("mug", "small", "STATIC", "AUTO_UPDATE", "product", "sku", "and", "or", "/v1/orders", "POST", "2026-01-01")
CALLS = (
    *(("POST", path) for path in ("/v1/products", "/v1/products/mug/skus", "/v1/product-collections", "/v1/orders")),
    *(("POST", f"/v1/{kind}/{what}/async") for kind in ("products", "customers") for what in ("bulk", "metadata")),
    *(("PUT", path) for path in ("/v1/products/mug", "/v1/products/mug/skus/small", "/v1/product-collections/{pc}")),
    *(("POST", path) for path in ("/sandbox/faults", "/sandbox/limits", "/v1/customers/mug/permanent-deletion")),
)
QUESTIONS = (
    *("/v1/products", "/v1/products/mug/skus", "/v1/skus/{word}", "/v1/product-collections", "/v1/customers"),
    *("/v1/product-collections/{pc}/products", "/v1/customers/u-1/activities", "/api/v1/assets/qr/{word}"),
    *("/sandbox/dashboard/customers", "/sandbox/dashboard/customers/{word}", "/sandbox/dashboard/webhooks"),
    *("/sandbox/dashboard/requests", "/sandbox/dashboard/campaigns/{word}", "/sandbox/dashboard/vouchers/{word}"),
)
ARGUMENTS = (
    *("limit", "page", "order", "start_date", "end_date", "starting_after", "starting_after_id", "created_at[before]"),
    *("size", "format", "q", "state", "path", "method", "outcome", "city", "name"),
)
values = anything(NAMES, WORDS)
objects = st.dictionaries(st.sampled_from(NAMES), values, max_size=6)


async def stocked(api: httpx.AsyncClient) -> str:
    """A product with a SKU and a customer, and the id of a collection that has both kinds; nobody is told."""
    await send(api, "POST", "/sandbox/reset")
    await send(api, "POST", "/sandbox/webhooks", {"target_urls": []})
    await send(api, "POST", "/v1/products", {"source_id": "mug", "name": "Mug", "price": 700})
    await send(api, "POST", "/v1/products/mug/skus", {"source_id": "small"})
    await send(api, "POST", "/v1/customers", {"source_id": "u-1"})
    body = {"name": "All", "type": "AUTO_UPDATE", "filter": {"junction": "and"}}
    return str((await send(api, "POST", "/v1/product-collections", body))["id"])


@given(
    st.lists(
        st.tuples(st.sampled_from(CALLS), objects | values | st.lists(objects, max_size=3)), min_size=8, max_size=8
    )
)
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
async def test_no_body_gets_a_500(api: httpx.AsyncClient, calls: list[tuple[tuple[str, str], Any]]) -> None:
    """Law: any JSON is taken, refused or not emulated; a refusal is an error object with its code."""
    collection = await stocked(api)
    for (method, path), body in calls:
        answer = await api.request(method, path.replace("{pc}", collection), json=body)
        await api.delete("/sandbox/faults")
        await api.delete("/sandbox/limits")
        assert answer.status_code in {200, 202, 400, 404, 409, 501}, (path, body, answer.text)
        if answer.is_error:
            assert answer.json()["code"] == answer.status_code


@given(
    st.lists(
        st.tuples(
            st.sampled_from(QUESTIONS),
            st.text(min_size=1, max_size=12) | st.sampled_from(WORDS),
            st.dictionaries(
                st.sampled_from(ARGUMENTS),
                st.text(max_size=6) | st.sampled_from(WORDS) | st.integers().map(str),
                max_size=3,
            ),
        ),
        min_size=8,
        max_size=8,
    )
)
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
async def test_no_question_gets_a_500(api: httpx.AsyncClient, calls: list[tuple[str, str, Any]]) -> None:
    """Law: the same for lists, look-ups, images and pages, whatever stands in the path and the query."""
    collection = await stocked(api)
    for path, word, query in calls:
        asked = path.replace("{word}", quote(word, safe="")).replace("{pc}", collection)
        answer = await api.get(asked, params=query)
        assert answer.status_code in {200, 400, 404, 405, 501}, (asked, query, answer.text)
