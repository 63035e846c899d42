"""Whatever is sent, the sandbox answers something that it means."""

from typing import Any
from urllib.parse import quote

import httpx
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.sandbox.programme import COUPONS, LOYALTY, coupons, join, loyalty
from tests.sandbox.test_segmentio import KEYS as SEGMENT_KEYS

NAMES = (
    *(
        "source_id",
        "id",
        "name",
        "email",
        "phone",
        "birthdate",
        "address",
        "metadata",
        "customer",
        "campaign",
        "voucher",
    ),
    *(
        "status",
        "amount",
        "items",
        "quantity",
        "price",
        "product",
        "redeemables",
        "object",
        "order",
        "event",
        "loyalty",
    ),
    *("code", "points", "type", "count", "join_once", "vouchers_count", "discount", "percent_off", "amount_off"),
    *(
        "redemption",
        "code_config",
        "pattern",
        "length",
        "every",
        "source",
        "banner",
        "group_id",
        "traits",
        "expiration_date",
    ),
    *("properties", "related_object", "loyalty_card", "first_name", "active", "calculation_type", "total_amount"),
    *("reward", "parameters", "attributes", "expiration_rules", "period_type", "period_value", "rounding_type"),
    *("pending_points", "from", "to", "earning_rules", "rewards", "multiplier", "expiration_type", "order_items"),
    *("loyalty_tiers_expiration", "qualification_type", "validity_hours", "validity_timeframe", "interval", "set"),
)
WORDS = (
    *("u-1", LOYALTY, COUPONS, "PAID", "CREATED", "voucher", "DISCOUNT_VOUCHER", "LOYALTY_CARD", "PERCENT", "AMOUNT"),
    *(
        "FIXED",
        "PROPORTIONAL",
        "ORDER_AMOUNT",
        "order.paid",
        "visit",
        "2026-01-01",
        "#",
        "string",
        "customer",
        "AUTO_UPDATE",
    ),
)
POSTS = (
    *("/v1/customers", "/v1/orders", "/v1/events", "/v1/publications", "/v1/validations", "/v1/redemptions"),
    *("/v1/campaigns", "/v1/loyalties", "/v1/products", f"/v1/loyalties/{LOYALTY}/members"),
    *(f"/v1/loyalties/{LOYALTY}/earning-rules", "/v1/loyalties/members/{card}/balance"),
    *("/v1/rewards", f"/v1/loyalties/{LOYALTY}/rewards", "/v1/loyalties/members/{card}/redemption"),
    *(f"/v1/loyalties/{LOYALTY}/tiers", f"/v1/loyalties/{LOYALTY}/qualifications"),
    *(f"/v1/loyalties/{LOYALTY}/members/{{card}}/transfers", "/v1/loyalties/members/{card}/pending-points/x/balance"),
    *("/segmentio/customer-processing", "/segmentio/event-processing", "/segmentio/group-processing"),
    *("/sandbox/metadata-schemas", "/sandbox/clock", "/sandbox/faults"),
)
GETS = (
    *("/v1/customers", "/v1/orders", "/v1/vouchers", "/v1/campaigns", "/v1/publications", "/v1/redemptions"),
    *("/v1/products", "/v1/customers/{word}", "/v1/vouchers/{word}", "/v1/loyalties/members/{word}/transactions"),
    *("/v1/rewards", "/v1/rewards/{word}", "/v1/loyalties/members/{word}/rewards"),
    *(f"/v1/loyalties/{LOYALTY}/tiers", f"/v1/loyalties/{LOYALTY}/transactions", "/v1/loyalties/members/{word}/tiers"),
    *(f"/v1/loyalties/{LOYALTY}/pending-points", "/v1/loyalties/members/{word}/activity"),
    *("/sandbox/requests", "/sandbox/deliveries"),
)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(WORDS)
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=6),
    max_leaves=12,
)


@pytest_asyncio.fixture
async def card(api: httpx.AsyncClient) -> str:
    """A programme, a campaign and a card to run into; nobody listens to what is told of it."""
    await api.post("/sandbox/webhooks", json={"target_urls": []})
    await loyalty(api)
    await coupons(api)
    return await join(api)


@given(st.lists(st.tuples(st.sampled_from(POSTS), values), min_size=8, max_size=8))
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
async def test_no_body_gets_a_500(api: httpx.AsyncClient, card: str, calls: list[tuple[str, Any]]) -> None:
    """Law: any JSON to any address is taken, refused or not emulated; a refusal is an error object with its code."""
    for path, body in calls:
        answer = await api.post(path.replace("{card}", card), json=body, headers=SEGMENT_KEYS)
        await api.delete("/sandbox/faults")
        assert answer.status_code in {200, 400, 404, 409, 501}, (path, body, answer.text)
        if answer.is_error:
            assert answer.json().get("code", answer.json().get("statusCode")) == answer.status_code


@given(
    st.lists(
        st.tuples(
            st.sampled_from(GETS),
            st.text(min_size=1, max_size=12),
            st.dictionaries(
                st.sampled_from(
                    ["limit", "page", "order", "customer", "campaign", "code", "source_id", "email", "path"]
                ),
                st.text(max_size=6) | st.sampled_from(WORDS) | st.integers().map(str),
                max_size=3,
            ),
        ),
        min_size=8,
        max_size=8,
    )
)
@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
async def test_no_question_gets_a_500(api: httpx.AsyncClient, calls: list[tuple[str, str, Any]]) -> None:
    """Law: the same for lists and look-ups, whatever stands in the path and the query."""
    for path, word, query in calls:
        answer = await api.get(path.replace("{word}", quote(word, safe="")), params=query)
        assert answer.status_code in {200, 400, 404, 405, 501}, (path, word, query, answer.text)
