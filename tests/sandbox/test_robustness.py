"""Whatever is sent, the sandbox answers something that it means."""

from typing import Any
from urllib.parse import quote

import httpx
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.sandbox.anything import anything
from tests.sandbox.programme import COUPONS, LOYALTY, coupon, coupons, join, loyalty, redeem
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
    *("loyalty_tiers_expiration", "qualification_type", "set"),
    *("gift", "credits", "session", "key", "ttl", "ttl_unit", "promotion", "tiers", "action", "hierarchy", "effect"),
    *("unit_off", "unit_type", "units", "fixed_amount", "start_date", "validity_timeframe", "validity_hours", "daily"),
    *("validity_day_of_week", "interval", "duration", "scenario", "options", "filters", "conditions", "category"),
    *("activity_duration_after_publishing", "campaign_id", "campaign_type", "$is", "starting_after", "banner"),
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
    *("GIFT_VOUCHER", "PROMOTION", "STANDALONE", "UNIT", "APPLY_TO_ITEMS", "ADD_NEW_ITEMS", "promotion_tier", "LOCK"),
    *("CUSTOMER_WALLET", "AUDIENCE_ONLY", "P1D", "PT1H", "P1M", "0001-01-01", "9999-12-31T23:59:59Z", "12:00"),
)
POSTS = (
    *("/v1/customers", "/v1/orders", "/v1/events", "/v1/publications", "/v1/validations", "/v1/redemptions"),
    *("/v1/campaigns", "/v1/loyalties", "/v1/products", f"/v1/loyalties/{LOYALTY}/members"),
    *(f"/v1/loyalties/{LOYALTY}/earning-rules", "/v1/loyalties/members/{card}/balance"),
    *("/v1/rewards", f"/v1/loyalties/{LOYALTY}/rewards", "/v1/loyalties/members/{card}/redemption"),
    *(f"/v1/loyalties/{LOYALTY}/tiers", f"/v1/loyalties/{LOYALTY}/qualifications"),
    *(f"/v1/loyalties/{LOYALTY}/members/{{card}}/transfers", "/v1/loyalties/members/{card}/pending-points/x/balance"),
    *("/v1/vouchers", "/v1/vouchers/{card}/balance", "/v1/vouchers/GIFT/balance", "/v1/qualifications"),
    *(f"/v1/campaigns/{COUPONS}/vouchers", f"/v1/campaigns/{COUPONS}/vouchers/NEW", "/v1/promotions/validation"),
    *("/v1/promotions/Promo/tiers", f"PUT /v1/campaigns/{COUPONS}", "PUT /v1/vouchers/GIFT", "PUT /v1/campaigns/Promo"),
    *(
        "/v1/vouchers/import",
        f"/v1/campaigns/{LOYALTY}/import",
        "/v1/vouchers/bulk/async",
        "/v1/vouchers/metadata/async",
    ),
    *("/v1/customers/importCSV", "/v1/products/importCSV", f"/v1/campaigns/{COUPONS}/importCSV"),
    *("/segmentio/customer-processing", "/segmentio/event-processing", "/segmentio/group-processing"),
    *("/sandbox/metadata-schemas", "/sandbox/clock", "/sandbox/faults"),
)
GETS = (
    *("/v1/customers", "/v1/orders", "/v1/vouchers", "/v1/campaigns", "/v1/publications", "/v1/redemptions"),
    *("/v1/products", "/v1/customers/{word}", "/v1/vouchers/{word}", "/v1/loyalties/members/{word}/transactions"),
    *("/v1/rewards", "/v1/rewards/{word}", "/v1/loyalties/members/{word}/rewards"),
    *(f"/v1/loyalties/{LOYALTY}/tiers", f"/v1/loyalties/{LOYALTY}/transactions", "/v1/loyalties/members/{word}/tiers"),
    *(f"/v1/loyalties/{LOYALTY}/pending-points", "/v1/loyalties/members/{word}/activity"),
    *("/v1/async-actions", "/v1/async-actions/{word}", "/v1/vouchers/{word}/transactions", "/v1/publications/create"),
    *("/v1/vouchers/{word}/redemption", "/v1/campaigns/{word}/transactions", "/v1/customers/{word}/redeemables"),
    *("/v1/promotions/tiers", "/v1/promotions/{word}/tiers", "/v1/promotions/tiers/{word}"),
    *("/v1/segments", "/sandbox/requests", "/sandbox/deliveries"),
)
values = anything(NAMES, WORDS)


@pytest_asyncio.fixture
async def card(api: httpx.AsyncClient) -> str:
    """A programme, a campaign and a card to run into; nobody listens to what is told of it."""
    await api.post("/sandbox/webhooks", json={"target_urls": []})
    await loyalty(api)
    await coupons(api)
    await api.post("/v1/vouchers/GIFT", json={"type": "GIFT_VOUCHER", "gift": {"amount": 100}})
    await api.post("/v1/campaigns", json={"name": "Promo", "campaign_type": "PROMOTION"})
    return await join(api)


@given(st.lists(st.tuples(st.sampled_from(POSTS), values), min_size=8, max_size=8))
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
async def test_no_body_gets_a_500(api: httpx.AsyncClient, card: str, calls: list[tuple[str, Any]]) -> None:
    """Law: any JSON to any address is taken, refused or not emulated; a refusal is an error object with its code."""
    for path, body in calls:
        method = "PUT" if path.startswith("PUT ") else "POST"
        where = path.removeprefix("PUT ").replace("{card}", card)
        answer = await api.request(method, where, json=body, headers=SEGMENT_KEYS)
        await api.delete("/sandbox/faults")
        assert answer.status_code in {200, 202, 400, 404, 409, 501}, (path, body, answer.text)
        if answer.is_error:
            assert answer.json().get("code", answer.json().get("statusCode")) == answer.status_code


@given(
    st.lists(
        st.tuples(
            st.sampled_from(GETS),
            st.text(min_size=1, max_size=12),
            st.dictionaries(
                st.sampled_from(
                    [
                        *("limit", "page", "order", "customer", "campaign", "code", "source_id", "email", "path"),
                        *(
                            "created_at[after]",
                            "ids",
                            "customer[source_id]",
                            "campaign[name]",
                            "metadata[a]",
                            "voucher",
                        ),
                        *("end_date", "starting_after_id", "is_available", "vouchers_count", "category"),
                    ]
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


async def test_numbers_of_thousands_of_digits_are_refused(api: httpx.AsyncClient) -> None:
    """A count in the query that Python itself refuses to read is a 400 like any other that is too large."""
    await coupons(api)
    digits = "1" * 5_000
    for query in (f"limit={digits}", f"page={digits}"):
        answer = await api.get(f"/v1/vouchers?{query}")
        assert (answer.status_code, answer.json()["key"]) == (400, "invalid_query_params")
    answer = await api.post(f"/v1/campaigns/{COUPONS}/vouchers?vouchers_count={digits}", json={})
    assert (answer.status_code, answer.json()["key"]) == (400, "invalid_query_params")
    for odd in (digits, "²"):  # a digit to Python, and no number
        assert (await api.get("/sandbox/requests", params={"limit": odd})).status_code == 200


async def test_odd_names_in_a_rollback_are_refused(api: httpx.AsyncClient) -> None:
    """A customer or an order that is named by a list or an object is a 400, and nothing is rolled back."""
    await coupons(api)
    redeemed = await redeem(api, await coupon(api), source_id="o-1", amount=500)
    path = f"/v1/redemptions/{redeemed['redemptions'][0]['id']}/rollback"
    odd: list[Any] = [{"order": {"id": []}}, {"order": {"source_id": {}}}, {"customer": {"id": [1]}}, {"customer": [1]}]
    for body in odd:
        answer = await api.post(path, json=body)
        assert (answer.status_code, answer.json()["key"]) == (400, "invalid_payload"), body
    assert (await api.post(path, json={"customer": "u-1", "order": {"source_id": "o-1"}})).status_code == 200


async def test_points_of_a_rule_are_digits(api: httpx.AsyncClient) -> None:
    """Points that come as text may be a number; what Python calls a digit and can't read is refused."""
    await loyalty(api)
    body = {"event": "visit", "source": {"banner": "b"}, "loyalty": {"type": "FIXED", "points": "²"}}
    answer = await api.post(f"/v1/loyalties/{LOYALTY}/earning-rules", json=[body])
    assert (answer.status_code, answer.json()["key"]) == (400, "invalid_payload")
