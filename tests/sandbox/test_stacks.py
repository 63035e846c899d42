"""Promotion stacks: tiers that are used together, in validations, redemptions, rollbacks and qualifications."""

from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.sandbox.programme import coupon, coupons, send
from tests.sandbox.published import check_answer, check_webhook
from tests.sandbox.serving import Sink
from tests.sandbox.test_promotions import CUSTOMER, PROMO, promotion, tier_body, use

STACKS = f"/v1/promotions/{quote(PROMO)}/stacks"


async def stack(api: httpx.AsyncClient, *tiers: str, **more: Any) -> str:
    body = {"name": "Both", "tiers": {"ids": list(tiers), "hierarchy_mode": "MANUAL"}, **more}
    made = await send(api, "POST", STACKS, body)
    check_answer("POST", "/v1/promotions/{campaignId}/stacks", made)
    return str(made["id"])


async def test_a_stack_is_made_changed_and_deleted(api: httpx.AsyncClient) -> None:
    """Its tiers keep the order of the request; lists of one campaign and of all; what is not named stays."""
    first, second = await promotion(api, tier_body("A", 10), tier_body("B", 20))
    one = await stack(api, second, first)
    await send(api, "POST", "/sandbox/clock", {"advance": 60})
    two = await stack(api, first)
    shown = await send(api, "GET", f"{STACKS}/{one}")
    check_answer("GET", "/v1/promotions/{campaignId}/stacks/{stackId}", shown)
    assert (shown["tiers"]["ids"], shown["category_id"], shown["categories"]) == ([second, first], None, [])
    listed = await send(api, "GET", STACKS)
    check_answer("GET", "/v1/promotions/{campaignId}/stacks", listed)
    assert [each["id"] for each in listed["data"]] == [one, two]
    everywhere = await send(api, "GET", "/v1/promotions/stacks?limit=1")
    check_answer("GET", "/v1/promotions/stacks", everywhere)
    assert ([each["id"] for each in everywhere["data"]], everywhere["total"]) == ([two], 2)
    changed = await send(api, "PUT", f"{STACKS}/{one}", {"tiers": {"ids": [first, second]}})
    check_answer("PUT", "/v1/promotions/{campaignId}/stacks/{stackId}", changed)
    assert (changed["name"], changed["tiers"]["ids"]) == ("Both", [first, second])
    await send(api, "DELETE", f"{STACKS}/{two}", expect=204)
    assert (await send(api, "GET", f"{STACKS}/{two}", expect=404))["resource_type"] == "promotion_stack"
    await send(api, "DELETE", f"/v1/promotions/tiers/{second}", expect=204)
    assert (await send(api, "GET", f"{STACKS}/{one}"))["tiers"]["ids"] == [first]
    await send(api, "DELETE", f"/v1/promotions/tiers/{first}", expect=204)
    assert (await send(api, "GET", STACKS))["total"] == 0


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"name": None}, 400),
        ({"tiers": None}, 400),
        ({"tiers": {}}, 400),
        ({"tiers": {"ids": []}}, 400),
        ({"tiers": {"ids": ["promo_x"]}}, 404),
        ({"tiers": {"ids": ["promo_x"] * 2}}, 400),
        ({"tiers": {"ids": ["promo_x"], "hierarchy_mode": "AUTO"}}, 400),
        ({"tiers": {"ids": [f"promo_{number}" for number in range(31)]}}, 400),
        ({"category_id": "cat_x"}, 404),
    ],
)
async def test_a_bad_stack_is_refused(api: httpx.AsyncClient, more: dict[str, Any], status: int) -> None:
    """A name and 1 to 30 tiers of the campaign, each once; a category that there is."""
    [tier] = await promotion(api)
    await send(api, "POST", STACKS, {"name": "x", "tiers": {"ids": [tier]}, **more}, status)
    await coupons(api)
    await send(api, "POST", "/v1/promotions/10 off/stacks", {"name": "x", "tiers": {"ids": [tier]}}, 404)


async def test_a_stack_is_used_and_given_back_as_one(api: httpx.AsyncClient, sink: Sink) -> None:
    """A validation lists its tiers; the redemption says the same and has a parent; its rollback restores the order."""
    first, second = await promotion(api, tier_body("A", 10), tier_body("B", 50))
    wanted = ("promotion_stack", await stack(api, second, first))
    valid = await use(api, wanted, what="validations")
    check_answer("POST", "/v1/validations", valid)
    assert [(each["id"], each["order"]["total_applied_discount_amount"]) for each in valid["redeemables"]] == [
        *((second, 5000), (first, 500)),
    ]
    answer = await use(api, wanted, what="redemptions")
    check_answer("POST", "/v1/redemptions", answer)
    assert [each["promotion_tier"]["id"] for each in answer["redemptions"]] == [second, first]
    assert answer["order"]["total_amount"] == valid["order"]["total_amount"] == 4500
    told = await sink.wait(2, "redemption.succeeded")
    for message in told:
        check_webhook("redemption.succeeded", message["data"])
        assert message["data"]["promotion_stack"]["tiers"]["ids"] == [second, first]
    undone = await send(api, "POST", f"/v1/redemptions/{answer['parent_redemption']['id']}/rollbacks")
    assert (len(undone["rollbacks"]), undone["order"]["status"], undone["order"]["total_amount"]) == (
        *(2, "CANCELED", 10000),
    )
    [link] = undone["order"]["redemptions"].values()
    assert link["rollback_stacked"] == [each["id"] for each in undone["rollbacks"]]
    assert (await send(api, "GET", f"/v1/promotions/tiers/{first}"))["summary"]["redemptions"]["total_redeemed"] == 0


async def test_a_stack_is_used_alone(api: httpx.AsyncClient) -> None:
    """Beside another redeemable it is `invalid_redeemables`; one that there is not is a 404."""
    [tier] = await promotion(api)
    await coupons(api)
    wanted = (("promotion_stack", await stack(api, tier)), ("voucher", await coupon(api)))
    for what in ("validations", "redemptions"):
        assert (await use(api, *wanted, what=what, expect=400))["key"] == "invalid_redeemables"
        assert (await use(api, ("promotion_stack", "stack_x"), what=what, expect=404))["key"] == "not_found"


async def test_a_stack_fails_with_any_of_its_tiers(api: httpx.AsyncClient) -> None:
    """In mode ALL: a disabled tier stops the others, and nothing is redeemed."""
    first, second = await promotion(api, tier_body("A", 10), tier_body("B", 20))
    wanted = ("promotion_stack", await stack(api, first, second))
    await send(api, "POST", f"/v1/promotions/tiers/{second}/disable")
    tried = await use(api, wanted, what="validations")
    assert (tried["valid"], [each["status"] for each in tried["redeemables"]]) == (False, ["SKIPPED", "INAPPLICABLE"])
    assert (await use(api, wanted, what="redemptions", expect=400))["key"] == "promotion_inactive"


async def test_stacks_are_offered_with_their_tiers(api: httpx.AsyncClient) -> None:
    """The scenario PROMOTION_STACKS: what the whole stack takes off, and each of its tiers."""
    first, second = await promotion(api, tier_body("A", 10), tier_body("B", 20))
    both, broken = await stack(api, first, second), await stack(api, second)
    body = {"customer": CUSTOMER, "order": {"amount": 10000}, "scenario": "PROMOTION_STACKS"}
    answer = await send(api, "POST", "/v1/qualifications", {**body, "options": {"sorting_rule": "BEST_DEAL"}})
    check_answer("POST", "/v1/qualifications", answer)
    offers = answer["redeemables"]["data"]
    assert [(each["id"], each["object"], each["order"]["total_amount"]) for each in offers] == [
        *((both, "promotion_stack", 7200), (broken, "promotion_stack", 8000)),
    ]
    assert [each["id"] for each in offers[0]["redeemables"]] == [first, second]
    assert offers[0]["order"]["total_applied_discount_amount"] == 2800
    await send(api, "POST", f"/v1/promotions/tiers/{second}/disable")
    assert (await send(api, "POST", "/v1/qualifications", body))["redeemables"]["data"] == []
