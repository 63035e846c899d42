"""Campaigns, vouchers, earning rules as they are defined and listed."""

import httpx
import pytest

from tests.sandbox.programme import COUPONS, LOYALTY, coupons, loyalty, proportional, rule, send


async def test_a_name_is_taken_once(api: httpx.AsyncClient) -> None:
    """A second campaign of the name is a 409 that names it; both addresses look in the same place."""
    await coupons(api)
    body = {"name": COUPONS, "voucher": {"type": "LOYALTY_CARD"}}
    error = await send(api, "POST", "/v1/loyalties", body, expect=409)
    assert (error["key"], error["details"]) == ("duplicate_found", f"Duplicated campaign exists with name {COUPONS}")


async def test_a_campaign_is_found_by_name_and_id(api: httpx.AsyncClient) -> None:
    """GET takes either; a loyalty programme is found at both addresses, a coupon campaign at one."""
    made, other = await loyalty(api, points=5), await coupons(api)
    for path in (f"/v1/campaigns/{LOYALTY}", f"/v1/loyalties/{made['id']}", f"/v1/campaigns/{made['id']}"):
        shown = await send(api, "GET", path)
        assert (shown["id"], shown["campaign_type"], shown["join_once"]) == (made["id"], "LOYALTY_PROGRAM", True)
    await send(api, "GET", f"/v1/loyalties/{other['id']}", expect=404)
    assert (await send(api, "GET", "/v1/loyalties"))["total"] == 1
    assert (await send(api, "GET", "/v1/campaigns?campaign_type=DISCOUNT_COUPONS"))["campaigns"][0]["name"] == COUPONS


async def test_codes_are_made_with_the_campaign(api: httpx.AsyncClient) -> None:
    """The answer says IN_PROGRESS when several codes are made, as Voucherify does; then they are there and unique."""
    made = await coupons(api, vouchers_count=50)
    assert made["vouchers_generation_status"] == "IN_PROGRESS"
    shown = await send(api, "GET", f"/v1/campaigns/{made['id']}")
    assert (shown["vouchers_generation_status"], shown["vouchers_count"]) == ("DONE", 50)
    vouchers = (await send(api, "GET", f"/v1/vouchers?campaign_id={made['id']}&limit=100"))["vouchers"]
    assert len({voucher["code"] for voucher in vouchers}) == 50


async def test_switching_a_campaign_switches_its_vouchers(api: httpx.AsyncClient) -> None:
    """Disable answers `{}`, and the codes are not active until it is enabled again."""
    await coupons(api, vouchers_count=1)
    active = []
    for verb in ("disable", "enable"):
        assert await send(api, "POST", f"/v1/campaigns/{COUPONS}/{verb}") == {}
        active.append((await send(api, "GET", "/v1/vouchers"))["vouchers"][0]["active"])
    assert active == [False, True]


async def test_switching_a_voucher_answers_the_voucher(api: httpx.AsyncClient) -> None:
    """Unlike a campaign, a voucher is answered in full when it is switched."""
    await coupons(api, vouchers_count=1)
    [voucher] = (await send(api, "GET", "/v1/vouchers"))["vouchers"]
    off = await send(api, "POST", f"/v1/vouchers/{voucher['code']}/disable")
    on = await send(api, "POST", f"/v1/vouchers/{voucher['id']}/enable")
    assert (off["active"], on["active"], on["id"]) == (False, True, voucher["id"])


async def test_rules_are_made_and_answered_as_a_list(api: httpx.AsyncClient) -> None:
    """A rule keeps its shape; points sent as text come back as a number."""
    await loyalty(api)
    made = await rule(api, "signup", {"type": "FIXED", "points": "5"}, metadata={"kind": "welcome"})
    assert made["loyalty"] == {"type": "FIXED", "points": 5}
    assert (made["event"], made["source"]["banner"], made["metadata"]) == ("signup", "signup", {"kind": "welcome"})
    listed = await send(api, "GET", f"/v1/loyalties/{LOYALTY}/earning-rules")
    assert (listed["total"], listed["data_ref"]) == (2, "data")
    assert await send(api, "GET", f"/v1/loyalties/{LOYALTY}/earning-rules/{made['id']}") == made


@pytest.mark.parametrize(
    ("rule_body", "status"),
    [
        ({"event": "customer.referred", "loyalty": {"type": "FIXED", "points": 1}}, 501),
        ({"event": "order.paid", "loyalty": {"type": "FIXED", "points_formula": "1 + 1"}}, 501),
        ({"event": "order.paid", "loyalty": proportional("metadata", 1, 1)}, 400),
        ({"event": "customer.segment.entered", "loyalty": {"type": "FIXED", "points": 1}}, 400),
        ({"event": "order.paid", "loyalty": {"type": "FIXED", "points": 1}, "pending_points": {}}, 400),
        ({"event": "order.paid", "loyalty": {"type": "FIXED"}}, 400),
        ({"event": "order.paid", "loyalty": proportional("amount", 0, 1)}, 400),
        ({"event": "signup", "loyalty": proportional("amount", 1, 1)}, 400),
        ({"loyalty": {"type": "FIXED", "points": 1}}, 400),
        (5, 400),
    ],
)
async def test_a_rule_that_cannot_be_kept_is_refused(api: httpx.AsyncClient, rule_body: object, status: int) -> None:
    """What the sandbox would not fire is not accepted in silence: 501 if Voucherify has it, 400 if it is wrong."""
    await loyalty(api)
    await send(api, "POST", f"/v1/loyalties/{LOYALTY}/earning-rules", [rule_body], expect=status)
    assert (await send(api, "GET", f"/v1/loyalties/{LOYALTY}/earning-rules"))["total"] == 1


@pytest.mark.parametrize(
    ("voucher", "status"),
    [
        ({"type": "GIFT_VOUCHER"}, 400),
        ({"type": "DISCOUNT_VOUCHER", "discount": {"type": "UNIT", "unit_off": 1}}, 400),
        ({"type": "DISCOUNT_VOUCHER", "discount": {"type": "UNIT", "effect": "ADD_SAME_ITEMS"}}, 501),
        ({"type": "LOYALTY_CARD", "loyalty_card": {"points": 1, "expiration_rules": {"period_type": "MONTH"}}}, 400),
        ({"type": "DISCOUNT_VOUCHER", "discount": {"type": "PERCENT", "percent_off": 101}}, 400),
        ({"type": "DISCOUNT_VOUCHER", "discount": {"type": "AMOUNT"}}, 400),
        ({"type": "DISCOUNT_VOUCHER"}, 400),
        ({}, 400),
    ],
)
async def test_a_campaign_that_cannot_be_kept_is_refused(
    api: httpx.AsyncClient, voucher: dict[str, object], status: int
) -> None:
    """The same for campaigns."""
    await send(api, "POST", "/v1/campaigns", {"name": "x", "voucher": voucher}, expect=status)
    await send(api, "GET", "/v1/campaigns/x", expect=404)


async def test_products_are_upserted(api: httpx.AsyncClient) -> None:
    """Products are kept by source_id and listed."""
    for price in (100, 200):
        made = await send(api, "POST", "/v1/products", {"source_id": "mug", "name": "Mug", "price": price})
    assert (await send(api, "GET", "/v1/products/mug"))["price"] == 200
    [listed] = (await send(api, "GET", "/v1/products"))["products"]
    assert (listed["id"], listed["name"], listed["attributes"]) == (made["id"], "Mug", [])
