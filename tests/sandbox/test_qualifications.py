"""Qualifications: what a customer could use, by scenario, filtered, sorted and in pages; and the customer's wallet."""

from typing import Any

import httpx
import pytest

from tests.sandbox.programme import COUPONS, coupon, coupons, join, loyalty, redeem, send
from tests.sandbox.published import check_answer
from tests.sandbox.test_gifts import gift_card
from tests.sandbox.test_promotions import PROMO, promotion, tier_body

CUSTOMER = {"source_id": "u-1"}


async def qualify(
    api: httpx.AsyncClient, scenario: str | None = None, expect: int = 200, amount: int | None = 10000, **more: Any
) -> dict[str, Any]:
    body: dict[str, Any] = {"customer": CUSTOMER, **more}
    if scenario:
        body["scenario"] = scenario
    if amount is not None:
        body["order"] = {"amount": amount}
    answer: dict[str, Any] = await send(api, "POST", "/v1/qualifications", body, expect)
    return answer


def ids(answer: dict[str, Any]) -> list[str]:
    return [each["id"] for each in answer["redeemables"]["data"]]


async def everything(api: httpx.AsyncClient) -> dict[str, str]:
    """One of each kind, each made a minute after the one before; u-1 holds the coupon, the gift card and the points."""

    async def minute() -> None:
        await send(api, "POST", "/sandbox/clock", {"advance": 60})

    made: dict[str, str] = {}
    await loyalty(api, points=50)
    made["card"] = await join(api)
    await minute()
    made["coupons"] = (await coupons(api))["id"]
    made["coupon"] = await coupon(api)
    await minute()
    made["gift"] = await gift_card(api)
    await minute()
    body = {"type": "DISCOUNT_VOUCHER", "discount": {"type": "AMOUNT", "amount_off": 300}}
    made["alone"] = (await send(api, "POST", "/v1/vouchers/ALONE", body))["code"]
    await minute()
    [made["tier"]] = await promotion(api, tier_body("Twenty", 20, metadata={"Reward": True}))
    return made


async def test_each_scenario_offers_its_own(api: httpx.AsyncClient) -> None:
    """ALL: what is the customer's, codes that stand alone, promotions. Wallet: only the first. By audience: more."""
    made = await everything(api)
    wallet = [made["gift"], made["coupon"], made["card"]]
    answer = await qualify(api)
    check_answer("POST", "/v1/qualifications", answer)
    assert ids(answer) == [made["tier"], made["alone"], *wallet]
    assert ids(await qualify(api, "CUSTOMER_WALLET")) == wallet
    audience = await qualify(api, "AUDIENCE_ONLY", options={"limit": 50})
    check_answer("POST", "/v1/qualifications", audience)
    assert {"campaign", "promotion_tier", "voucher"} == {each["object"] for each in audience["redeemables"]["data"]}
    assert set(ids(audience)) > {made["coupons"], *wallet}
    nobody = await send(api, "POST", "/v1/qualifications", {"order": {"amount": 100}})
    assert ids(nobody) == [made["tier"], made["alone"]]
    assert "tracking_id" not in nobody


async def test_an_offer_says_what_it_would_do(api: httpx.AsyncClient) -> None:
    """Each is tried alone on the order, with its name, campaign and metadata; nothing is changed by asking."""
    made = await everything(api)
    shown = {each["id"]: each for each in (await qualify(api))["redeemables"]["data"]}
    tier = shown[made["tier"]]
    assert (tier["name"], tier["banner"], tier["campaign_name"]) == ("Twenty", "20 % off", PROMO)
    assert (tier["metadata"], tier["order"]["total_amount"]) == ({"Reward": True}, 8000)
    assert tier["result"]["discount"]["percent_off"] == 20
    assert (shown[made["coupon"]]["campaign_name"], shown[made["coupon"]]["order"]["total_amount"]) == (COUPONS, 9000)
    assert shown[made["gift"]]["result"]["gift"] == {"credits": 2000, "balance": 2000}
    assert shown[made["card"]]["result"] == {"loyalty_card": {"points": 50, "balance": 50}}
    assert (shown[made["alone"]]["campaign_id"], shown[made["alone"]]["order"]["total_amount"]) == (None, 9700)
    assert (await send(api, "GET", "/v1/redemptions"))["total"] == 0


async def test_what_cannot_be_used_is_not_offered(api: httpx.AsyncClient) -> None:
    """Used, disabled, expired and empty ones are left out, and so is what needs items that the order has not."""
    made = await everything(api)
    await redeem(api, made["coupon"], amount=1000)
    await send(api, "POST", "/v1/vouchers/ALONE/disable")
    await send(api, "POST", f"/v1/promotions/tiers/{made['tier']}/disable")
    body = {"type": "DISCOUNT_VOUCHER", "discount": {"type": "PERCENT", "percent_off": 5, "effect": "APPLY_TO_ITEMS"}}
    await send(api, "POST", "/v1/vouchers/ITEMS", body)
    await send(api, "POST", "/v1/vouchers/OLD", {**body, "expiration_date": "2020-01-01"})
    assert ids(await qualify(api)) == [made["gift"], made["card"]]
    assert "ITEMS" in ids(await qualify(api, amount=None))
    assert "ITEMS" in ids(await qualify(api, "AUDIENCE_ONLY"))
    await send(api, "POST", f"/v1/vouchers/{made['gift']}/balance", {"amount": -2000})
    assert ids(await qualify(api)) == [made["card"]]


async def test_offers_come_in_pages(api: httpx.AsyncClient) -> None:
    """`more_starting_after` leads from page to page without a gap; the last page says that it is."""
    await everything(api)
    whole = ids(await qualify(api, options={"limit": 50}))
    seen: list[str] = []
    options: dict[str, Any] = {"limit": 2}
    while True:
        answer = (await qualify(api, options=options))["redeemables"]
        seen += [each["id"] for each in answer["data"]]
        assert answer["total"] == len(answer["data"])
        if not answer["has_more"]:
            assert "more_starting_after" not in answer
            break
        options["starting_after"] = answer["more_starting_after"]
    assert seen == whole


@pytest.mark.parametrize("sorting", ["BEST_DEAL", "LEAST_DEAL"])
async def test_sorted_offers_come_in_pages_too(api: httpx.AsyncClient, sorting: str) -> None:
    """Nothing twice and nothing left out by the cursor of a list that is sorted by savings; what is new waits."""
    await everything(api)
    whole = ids(await qualify(api, options={"limit": 50, "sorting_rule": sorting}))
    seen: list[str] = []
    options: dict[str, Any] = {"limit": 2, "sorting_rule": sorting}
    while True:
        answer = (await qualify(api, options=options))["redeemables"]
        seen += [each["id"] for each in answer["data"]]
        if not answer["has_more"]:
            break
        options["starting_after"] = answer["more_starting_after"]
        if len(seen) == 2:
            await send(api, "POST", "/sandbox/clock", {"advance": 60})
            body = {"type": "DISCOUNT_VOUCHER", "discount": {"type": "AMOUNT", "amount_off": 9999}}
            await send(api, "POST", "/v1/vouchers/LATER", body)
    assert seen == whole


async def test_limits_of_redemptions_are_not_asked(api: httpx.AsyncClient) -> None:
    """A code that this customer has used as often as its rule allows is offered, and the answer says what was left out.

    Of AUDIENCE_ONLY the same is said for what only the order can tell.
    """
    once = {"name": "redemption.count.per_customer", "conditions": {"$less_than_or_equal": [1]}}
    big = {"name": "order.amount", "conditions": {"$more_than": [50000]}}
    body = {"type": "DISCOUNT_VOUCHER", "discount": {"type": "AMOUNT", "amount_off": 300}}
    for code, rules in (("ONCE", {"1": once}), ("BIG", {"1": big, "2": once})):
        await send(api, "POST", f"/v1/vouchers/{code}", body)
        made = await send(api, "POST", "/v1/validation-rules", {"name": code, "rules": rules})
        assignment = {"related_object_type": "voucher", "related_object_id": code}
        await send(api, "POST", f"/v1/validation-rules/{made['id']}/assignments", assignment)
    await redeem(api, "ONCE", amount=1000)
    assert ids(await qualify(api)) == ["ONCE"]
    answer = await qualify(api, "AUDIENCE_ONLY", options={"expand": ["validation_rules"]})
    check_answer("POST", "/v1/qualifications", answer)
    told = {each["id"]: each["validation_rules_assignments"]["data"] for each in answer["redeemables"]["data"]}
    assert {code: rows[0]["validation_omitted_rules"] for code, rows in told.items()} == {
        "ONCE": ["1"],
        "BIG": ["1", "2"],
    }
    assert {rows[0]["validation_status"] for rows in told.values()} == {"PARTIALLY_VALID"}


async def test_locked_credits_are_told(api: httpx.AsyncClient) -> None:
    """With a session in the question a gift card says what a validation has locked on it."""
    code = await gift_card(api)
    lock = {"redeemables": [{"object": "voucher", "id": code, "gift": {"credits": 500}}], "order": {"amount": 5000}}
    await send(api, "POST", "/v1/validations", {**lock, "session": {"type": "LOCK"}})
    [offer] = (await qualify(api, session={"type": "LOCK"}))["redeemables"]["data"]
    assert offer["result"]["gift"]["locked_credits"] == 500


async def test_codes_of_one_moment_stay_on_one_page(api: httpx.AsyncClient) -> None:
    """The cursor is a moment, so that what was made at once is not torn apart by a small limit."""
    await coupons(api, vouchers_count=3)
    body = {"campaign": {"name": COUPONS, "count": 3}, "customer": CUSTOMER}
    await send(api, "POST", "/v1/publications", body)
    answer = (await qualify(api, options={"limit": 1}))["redeemables"]
    assert (len(answer["data"]), answer["has_more"]) == (3, False)


async def test_offers_are_sorted_by_what_they_save(api: httpx.AsyncClient) -> None:
    """BEST_DEAL begins with the greatest discount, LEAST_DEAL with none."""
    made = await everything(api)
    best = ids(await qualify(api, options={"sorting_rule": "BEST_DEAL"}))
    assert best[2:] == [made["coupon"], made["alone"], made["card"]]
    assert set(best[:2]) == {made["tier"], made["gift"]}
    least = ids(await qualify(api, options={"sorting_rule": "LEAST_DEAL"}))
    assert least[:3] == [made["card"], made["alone"], made["coupon"]]


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        ({"resource_type": {"conditions": {"$is": ["promotion_tier"]}}}, ["tier"]),
        ({"resource_type": {"conditions": {"$is_not": ["promotion_tier"]}}}, ["alone", "gift", "coupon", "card"]),
        ({"campaign_type": {"conditions": {"$in": ["PROMOTION", "GIFT_VOUCHERS"]}}}, ["tier", "gift"]),
        ({"campaign_id": {"conditions": {"$is": ["coupons"]}}}, ["coupon"]),
        ({"campaign_id": {"conditions": {"$is_unknown": True}}}, ["alone"]),
        ({"voucher_type": {"conditions": {"$not_in": ["LOYALTY_CARD", "GIFT_VOUCHER"]}}}, ["tier", "alone", "coupon"]),
        ({"code": {"conditions": {"$is": ["ALONE"]}}}, ["alone"]),
        ({"holder_role": {"conditions": {"$is": "OWNER"}}}, ["gift", "coupon", "card"]),
        (
            {
                "junction": "or",
                "code": {"conditions": {"$is": ["ALONE"]}},
                "resource_type": {"conditions": {"$is": ["promotion_tier"]}},
            },
            ["tier", "alone"],
        ),
    ],
)
async def test_offers_are_filtered(api: httpx.AsyncClient, filters: dict[str, Any], wanted: list[str]) -> None:
    """By what they are, whose, and of which campaign; all conditions, or any of them."""
    made = await everything(api)
    if (given := filters.get("campaign_id", {}).get("conditions", {})).get("$is") == ["coupons"]:
        given["$is"] = [made["coupons"]]
    assert ids(await qualify(api, options={"filters": filters})) == [made[name] for name in wanted]


@pytest.mark.parametrize(
    "more",
    [
        {"scenario": "SOME"},
        {"options": {"limit": 101}},
        {"options": {"starting_after": "soon"}},
        {"options": {"sorting_rule": "ANY"}},
        {"options": {"filters": {"colour": {}}}},
        {"options": {"filters": {"code": {"conditions": {"$like": "x"}}}}},
        {"options": {"expand": "redeemable"}},
    ],
)
async def test_a_bad_question_is_refused(api: httpx.AsyncClient, more: dict[str, Any]) -> None:
    """What is not valid is 400."""
    await promotion(api)
    await send(api, "POST", "/v1/qualifications", {"customer": CUSTOMER, "order": {"amount": 1}, **more}, 400)


async def test_the_wallet_lists_what_a_customer_holds(api: httpx.AsyncClient) -> None:
    """Every voucher published to the customer with its state, newest first, in pages."""
    made = await everything(api)
    await redeem(api, made["coupon"], amount=1000)
    await send(api, "POST", f"/v1/vouchers/{made['gift']}/balance", {"amount": -2000})
    answer = await send(api, "GET", "/v1/customers/u-1/redeemables")
    check_answer("GET", "/v1/customers/{customerId}/redeemables", answer)
    assert [(each["redeemable"]["voucher"]["code"], each["redeemable"]["status"]) for each in answer["data"]] == [
        *((made["gift"], "NO_BALANCE"), (made["coupon"], "USED"), (made["card"], "ACTIVE")),
    ]
    first = await send(api, "GET", "/v1/customers/u-1/redeemables?limit=2")
    assert first["has_more"] is True
    rest = await send(api, "GET", f"/v1/customers/u-1/redeemables?starting_after_id={first['more_starting_after']}")
    assert [*first["data"], *rest["data"]] == answer["data"]
    assert (await send(api, "GET", "/v1/customers/u-1/redeemables?order=id"))["data"] == answer["data"][::-1]
    await send(api, "GET", "/v1/customers/nobody/redeemables", expect=404)
