"""Promotions: tiers that are made, switched, validated and redeemed without a code."""

import asyncio
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.sandbox.programme import coupon, coupons, send
from tests.sandbox.published import check_answer, check_webhook
from tests.sandbox.serving import Sink

PROMO = "Spring sale"
CUSTOMER = {"source_id": "u-1"}


def tier_body(name: str, percent: int, **more: Any) -> dict[str, Any]:
    discount = {"type": "PERCENT", "percent_off": percent, "effect": "APPLY_TO_ORDER"}
    return {"name": name, "banner": f"{percent} % off", "action": {"discount": discount}, **more}


async def promotion(api: httpx.AsyncClient, *tiers: dict[str, Any], **more: Any) -> list[str]:
    """A promotion with these tiers (by default one of 10 %); answers their ids."""
    wanted = list(tiers) or [tier_body("Ten", 10, metadata={"promotion_details": "buy"})]
    body = {"name": PROMO, "campaign_type": "PROMOTION", "promotion": {"tiers": wanted}, **more}
    campaign = await send(api, "POST", "/v1/campaigns", body)
    check_answer("POST", "/v1/campaigns", campaign)
    return [tier["id"] for tier in campaign["promotion"]["tiers"]]


async def use(api: httpx.AsyncClient, *redeemables: tuple[str, str], what: str, expect: int = 200) -> dict[str, Any]:
    body = {
        "redeemables": [{"object": kind, "id": identifier} for kind, identifier in redeemables],
        "order": {"source_id": "o-1", "amount": 10000},
        "customer": CUSTOMER,
    }
    answer: dict[str, Any] = await send(api, "POST", f"/v1/{what}", body, expect)
    return answer


async def test_a_promotion_has_tiers_in_place_of_codes(api: httpx.AsyncClient) -> None:
    """The campaign carries its tiers in their order; a new one goes to the end; nothing can be published of it."""
    first, second = await promotion(api, tier_body("A", 10), tier_body("B", 20))
    added = await send(api, "POST", f"/v1/promotions/{quote(PROMO)}/tiers", tier_body("C", 30))
    check_answer("POST", "/v1/promotions/{campaignId}/tiers", added)
    assert (added["hierarchy"], added["active"], added["banner"]) == (3, True, "30 % off")
    campaign = await send(api, "GET", f"/v1/campaigns/{PROMO}")
    check_answer("GET", "/v1/campaigns/{campaignId}", campaign)
    assert [tier["id"] for tier in campaign["promotion"]["tiers"]] == [first, second, added["id"]]
    listed = await send(api, "GET", f"/v1/promotions/{PROMO}/tiers")
    check_answer("GET", "/v1/promotions/{campaignId}/tiers", listed)
    assert (listed["total"], [tier["hierarchy"] for tier in listed["tiers"]]) == (3, [1, 2, 3])
    body = {"campaign": PROMO, "customer": CUSTOMER}
    assert (await send(api, "POST", "/v1/publications", body, expect=400))[
        "key"
    ] == "no_voucher_suitable_for_publication"
    assert (await send(api, "POST", f"/v1/campaigns/{PROMO}/vouchers", expect=400))["key"] == "invalid_campaign"
    await coupons(api)
    await send(api, "GET", "/v1/promotions/10 off/tiers", expect=404)


async def test_a_tier_is_changed_and_deleted(api: httpx.AsyncClient) -> None:
    """What is not named stays; a deleted tier is gone from its campaign."""
    [tier] = await promotion(api)
    path = f"/v1/promotions/tiers/{tier}"
    check_answer("GET", "/v1/promotions/tiers/{promotionTierId}", await send(api, "GET", path))
    changed = await send(api, "PUT", path, {"banner": "now", "hierarchy": 7, "metadata": {"a": 1}})
    check_answer("PUT", "/v1/promotions/tiers/{promotionTierId}", changed)
    assert (changed["name"], changed["banner"], changed["hierarchy"]) == ("Ten", "now", 7)
    assert changed["metadata"] == {"promotion_details": "buy", "a": 1}
    assert changed["action"]["discount"]["percent_off"] == 10
    await send(api, "DELETE", path, expect=204)
    error = await send(api, "GET", path, expect=404)
    assert error["details"] == f"Cannot find promotion_tier with id {tier}"
    assert (await send(api, "GET", f"/v1/campaigns/{PROMO}"))["promotion"]["tiers"] == []


async def test_a_tier_is_redeemed_beside_a_code(api: httpx.AsyncClient) -> None:
    """A stack of a code and a tier: each on what the other left, both in the order, both rolled back by the parent."""
    [tier] = await promotion(api)
    await coupons(api)
    wanted = (("voucher", await coupon(api)), ("promotion_tier", tier))
    valid = await use(api, *wanted, what="validations")
    check_answer("POST", "/v1/validations", valid)
    assert [(each["object"], each["order"]["total_applied_discount_amount"]) for each in valid["redeemables"]] == [
        *(("voucher", 1000), ("promotion_tier", 900)),
    ]
    assert (valid["redeemables"][1]["name"], valid["redeemables"][1]["campaign_name"]) == ("Ten", PROMO)
    answer = await use(api, *wanted, what="redemptions")
    check_answer("POST", "/v1/redemptions", answer)
    code, promo = answer["redemptions"]
    assert (promo["related_object_type"], promo["related_object_id"], promo["voucher"]) == (
        "promotion_tier",
        tier,
        None,
    )
    assert (promo["promotion_tier"]["id"], promo["redemption"]) == (tier, code["redemption"])
    assert answer["order"]["total_amount"] == 8100
    shown = await send(api, "GET", f"/v1/redemptions/{promo['id']}")
    check_answer("GET", "/v1/redemptions/{redemptionId}", shown)
    assert shown["promotion_tier"]["summary"] == {
        "redemptions": {"total_redeemed": 1},
        "orders": {"total_amount": 8100, "total_discount_amount": 900},
    }
    customer = await send(api, "GET", "/v1/customers/u-1")
    assert customer["summary"]["redemptions"]["total_succeeded"] == 2
    undone = await send(api, "POST", f"/v1/redemptions/{answer['parent_redemption']['id']}/rollbacks")
    check_answer("POST", "/v1/redemptions/{parentRedemptionId}/rollbacks", undone)
    assert {each["related_object_type"] for each in undone["rollbacks"]} == {"voucher", "promotion_tier"}
    summary = (await send(api, "GET", f"/v1/promotions/tiers/{tier}"))["summary"]
    assert summary["redemptions"]["total_redeemed"] == 0


async def test_a_tier_alone_is_one_redemption(api: httpx.AsyncClient) -> None:
    """It has no parent, and the order names the tier and its campaign."""
    [tier] = await promotion(api)
    answer = await use(api, ("promotion_tier", tier), what="redemptions")
    assert "parent_redemption" not in answer
    [link] = answer["order"]["redemptions"].values()
    campaign = (await send(api, "GET", f"/v1/campaigns/{PROMO}"))["id"]
    assert (link["related_object_type"], link["related_object_id"]) == ("promotion_tier", tier)
    assert link["related_object_parent_id"] == campaign
    listed = await send(api, "GET", f"/v1/redemptions?campaign={campaign}")
    assert listed["total"] == 1


@pytest.mark.parametrize(
    ("off", "key"),
    [
        ("tier", "promotion_inactive"),
        ("campaign", "promotion_inactive"),
        ("early", "promotion_inactive"),
        ("day", "promotion_not_active_now"),
        ("gone", "not_found"),
    ],
)
async def test_an_inactive_tier_is_refused(api: httpx.AsyncClient, off: str, key: str) -> None:
    """Switched off, of a campaign that is off, too early, on the wrong day, not there: refused with a record of it."""
    await send(api, "POST", "/sandbox/clock", {"set": "2027-03-01T12:00:00Z"})  # a Monday
    more: dict[str, dict[str, Any]] = {
        "early": {"start_date": "2027-04-01"},
        "day": {"validity_day_of_week": [0]},
    }
    [tier] = await promotion(api, tier_body("A", 10, **more.get(off, {})))
    if off == "tier":
        shown = await send(api, "POST", f"/v1/promotions/tiers/{tier}/disable")
        assert shown["active"] is False
    if off == "campaign":
        await send(api, "POST", f"/v1/campaigns/{PROMO}/disable")
    if off == "gone":
        await send(api, "DELETE", f"/v1/promotions/tiers/{tier}", expect=204)
    valid = await use(api, ("promotion_tier", tier), what="validations")
    assert valid["redeemables"][0]["result"]["error"]["key"] == key
    error = await use(api, ("promotion_tier", tier), what="redemptions", expect=404 if off == "gone" else 400)
    assert error["key"] == key
    failed = (await send(api, "GET", "/v1/redemptions"))["redemptions"][0]
    assert (failed["result"], failed["related_object_type"], failed["related_object_id"]) == (
        *("FAILURE", "promotion_tier", tier),
    )
    available = await send(api, "GET", "/v1/promotions/tiers?is_available=true")
    check_answer("GET", "/v1/promotions/tiers", available)
    assert available["tiers"] == []


async def test_the_old_validation_lists_what_an_order_qualifies_for(api: httpx.AsyncClient) -> None:
    """`POST /v1/promotions/validation`: each promotion tried alone, with its name, banner and what it takes off."""
    ten, twenty = await promotion(api, tier_body("A", 10), tier_body("B", 20))
    await send(api, "POST", f"/v1/promotions/tiers/{ten}/disable")
    body = {"order": {"amount": 10000}, "customer": CUSTOMER}
    answer = await send(api, "POST", "/v1/promotions/validation", body)
    assert answer["valid"] is True
    [shown] = answer["promotions"]
    assert shown.pop("valid") is True  # a text by the schema, and true in the sample beside it
    check_answer("POST", "/v1/promotions/validation", answer)
    assert (shown["id"], shown["name"], shown["banner"], shown["discount_amount"]) == (twenty, "B", "20 % off", 2000)
    assert shown["order"]["total_amount"] == 8000
    await send(api, "POST", f"/v1/promotions/tiers/{twenty}/disable")
    assert (await send(api, "POST", "/v1/promotions/validation", body))["promotions"] == []


async def test_a_promotion_that_cannot_be_kept_is_refused(api: httpx.AsyncClient) -> None:
    """A tier without a discount, or with one that would not be carried out, makes no campaign."""
    for tier, status in (
        ({"name": "x"}, 400),
        ({"name": "x", "action": {"discount": {"type": "PERCENT"}}}, 400),
        (tier_body("x", 10, validation_rules=["val_x"]), 404),
        ({"action": {}}, 400),
        (5, 400),
    ):
        body = {"name": PROMO, "campaign_type": "PROMOTION", "promotion": {"tiers": [tier]}}
        await send(api, "POST", "/v1/campaigns", body, expect=status)
    await send(api, "GET", f"/v1/campaigns/{PROMO}", expect=404)


async def test_what_happens_to_tiers_is_told(api: httpx.AsyncClient, sink: Sink) -> None:
    """Webhooks of tiers and of their redemptions fit the published schemas."""
    [tier] = await promotion(api)
    path = f"/v1/promotions/tiers/{tier}"
    await send(api, "POST", f"/v1/promotions/{PROMO}/tiers", tier_body("B", 20))
    await send(api, "PUT", path, {"banner": "now"})
    answer = await use(api, ("promotion_tier", tier), what="redemptions")
    await send(api, "POST", f"/v1/redemptions/{answer['redemptions'][0]['id']}/rollback")
    await send(api, "POST", f"{path}/disable")
    await use(api, ("promotion_tier", tier), what="redemptions", expect=400)
    await send(api, "POST", f"{path}/enable")
    await send(api, "DELETE", path, expect=204)
    kinds = [f"campaign.promotion_tier.{what}" for what in ("created", "updated", "disabled", "enabled", "deleted")]
    await sink.wait(1, kinds[-1])
    await asyncio.sleep(0.05)
    for kind in (*kinds, "redemption.succeeded", "redemption.rollback.succeeded", "redemption.failed"):
        [message] = await sink.wait(1, kind)
        check_webhook(kind, message["data"])
        if kind.startswith("redemption"):
            assert message["data"]["promotion_tier"]["id"] == tier


async def test_a_rule_decides_who_gets_a_promotion(api: httpx.AsyncClient) -> None:
    """Given with the tier it is assigned to it; too small an order is refused in all four places that ask."""
    condition = {"name": "order.amount", "conditions": {"$more_than": [10000]}, "rules": {}}
    rule = await send(api, "POST", "/v1/validation-rules", {"name": "Big", "rules": {"1": condition, "logic": "1"}})
    [tier] = await promotion(api, tier_body("Ten", 10, validation_rules=[rule["id"]]))
    shown = await send(api, "GET", f"/v1/promotions/tiers/{tier}")
    assert [each["rule_id"] for each in shown["validation_rule_assignments"]["data"]] == [rule["id"]]
    order, customer = {"source_id": "o-1", "amount": 10000}, CUSTOMER
    tried = await use(api, ("promotion_tier", tier), what="validations")
    assert (tried["valid"], tried["redeemables"][0]["result"]["error"]["key"]) == (False, "order_rules_violated")
    assert (await use(api, ("promotion_tier", tier), what="redemptions", expect=400))["key"] == "order_rules_violated"
    asked = {"order": order, "customer": customer}
    assert not (await send(api, "POST", "/v1/promotions/validation", asked))["promotions"]
    for scenario, found in (("ALL", []), ("AUDIENCE_ONLY", [tier])):
        offers = await send(api, "POST", "/v1/qualifications", {**asked, "scenario": scenario})
        assert [each["id"] for each in offers["redeemables"]["data"]] == found
