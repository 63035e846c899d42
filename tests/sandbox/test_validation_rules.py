"""Validation rules by the API: defined, assigned, and what they let happen."""

import asyncio
from typing import Any

import httpx
import pytest

from tests.sandbox.programme import (
    COUPONS,
    LOYALTY,
    balance,
    buy,
    coupon,
    coupons,
    join,
    loyalty,
    proportional,
    redeem,
    rule,
    send,
)
from tests.sandbox.published import check_answer, check_webhook
from tests.sandbox.serving import Sink

RULES = "/v1/validation-rules"


async def defined(api: httpx.AsyncClient, name: str, conditions: Any, key: str | None = None, **more: Any) -> str:
    """The id of a new definition with one rule."""
    rules = {"1": {"name": name, "conditions": conditions, "property": key}, "logic": "1"}
    return str((await send(api, "POST", RULES, {"name": name, "rules": rules, **more}))["id"])


async def assign(api: httpx.AsyncClient, rule_id: str, kind: str, identifier: str, expect: int = 200) -> Any:
    body = {"related_object_type": kind, "related_object_id": identifier}
    return await send(api, "POST", f"{RULES}/{rule_id}/assignments", body, expect)


async def validate(api: httpx.AsyncClient, *codes: str, **body: Any) -> dict[str, Any]:
    redeemables = [{"object": "voucher", "id": code} for code in codes]
    answer: dict[str, Any] = await send(api, "POST", "/v1/validations", {"redeemables": redeemables, **body})
    return answer


def reasons(validation: dict[str, Any]) -> list[str]:
    return [each["result"]["error"]["key"] for each in validation.get("inapplicable_redeemables", [])]


async def test_answers_fit_the_published_schemas(api: httpx.AsyncClient) -> None:
    """A definition made, read, changed and listed; its assignments made and listed in both places."""

    async def call(method: str, path: str, body: Any = None, at: str | None = None) -> Any:
        answer = await send(api, method, path, body)
        check_answer(method, at or path.partition("?")[0], answer)
        return answer

    await coupons(api)
    code = await coupon(api)
    made = await call(
        "POST",
        RULES,
        {
            "name": "Santorini",
            "error": {"message": "Come to Santorini."},
            "applicable_to": {"included": [{"object": "product", "id": "prod_1", "effect": "APPLY_TO_EVERY"}]},
            "rules": {
                "1": {"name": "order.metadata", "property": "location", "conditions": {"$is": ["Santorini"]}},
                "2": {
                    "name": "order.amount",
                    "rules": {},
                    "conditions": {"$more_than": [100]},
                    "error": {"message": "!"},
                },
                "logic": "(1) and (2)",
            },
        },
    )
    assert made["id"].startswith("val_")
    assert made["rules"]["logic"] == "(1) and (2)"
    assert (made["type"], made["context_type"], "assignments_count" in made) == ("expression", "global", False)
    one, at = f"{RULES}/{made['id']}", RULES + "/{validationRuleId}"
    assert await call("GET", one, at=at) == made
    changed = await call("PUT", one, {"name": "Oslo", "context_type": "voucher.discount_voucher"}, at)
    assert (changed["name"], changed["rules"]) == ("Oslo", made["rules"])
    body = {"related_object_type": "voucher", "related_object_id": code}
    await call("POST", f"{one}/assignments", body, at + "/assignments")
    await call("GET", f"{one}/assignments", at=at + "/assignments")
    await call("GET", f"{RULES}-assignments")
    assert (await call("GET", f"{RULES}?order=name&start_date=2020-01-01"))["data"][0]["assignments_count"] == 1
    voucher = await send(api, "GET", f"/v1/vouchers/{code}")
    check_answer("GET", "/v1/vouchers/{code}", voucher)
    assert voucher["validation_rules_assignments"]["data"][0]["rule_id"] == made["id"]


async def test_what_becomes_of_a_rule_is_told(api: httpx.AsyncClient, sink: Sink) -> None:
    """Definition and assignments, to project webhooks, as published; a voucher shows its assignment there too."""
    await loyalty(api)
    await coupons(api, name="other")
    code = await coupon(api, campaign="other")
    one = await defined(api, "order.amount", {"$more_than": [1000]}, error={"message": "More."})
    await coupons(api, validation_rules=[one])
    made = await rule(api, "order.paid", {"type": "FIXED", "points": 1}, validation_rule_id=one)
    assignment = await assign(api, one, "voucher", code)
    await send(api, "POST", f"/v1/vouchers/{code}/disable")
    await send(api, "DELETE", f"{RULES}/{one}/assignments/{assignment['id']}", expect=204)
    await send(api, "PUT", f"{RULES}/{one}", {"name": "x"})
    await send(api, "DELETE", f"{RULES}/{one}", expect=204)
    await sink.wait(1, "business_validation_rule.deleted")
    own = [each.body for each in sink.got if each.type.startswith("business_validation_rule.")]
    for body in own:
        kind = body["type"].removeprefix("business_validation_rule.")
        check_webhook(f"bus_val_rule.{kind}", body["data"])
        assert (body["source"]["object"], body["data"]["rule"]["id"]) == ("webhook", one)
    assert sorted(body["type"].removeprefix("business_validation_rule.") for body in own) == sorted(
        ["created", *["assignment.created"] * 3, "assignment.deleted", "updated", "deleted"]
    )
    [of_rule] = [body["data"] for body in own if body["data"].get("earning_rule")]
    assert of_rule["earning_rule"]["id"] == made["id"]
    [disabled] = await sink.wait(1, "voucher.disabled")
    check_webhook("voucher.disabled", disabled["data"])
    assert disabled["data"]["voucher"]["validation_rules_assignments"]["data"][0]["rule_id"] == one


async def test_a_definition_that_cannot_be_understood_is_refused(api: httpx.AsyncClient) -> None:
    """The documented key and sentence; and other mistakes with the same key."""
    rules = {"1": {"name": "custom_event.metadata", "conditions": {"$is": [1]}}, "logic": "1"}
    error = await send(api, "POST", RULES, {"name": "x", "rules": rules}, expect=400)
    assert (error["key"], error["message"]) == ("invalid_validation_rules", "Invalid Validation Rule Definition")
    assert error["details"] == "Rule 'custom_event.metadata' must have a 'property'"
    amount = {"name": "order.amount", "conditions": {"$more_than": [1]}}
    for wrong in (
        {"1": amount, "logic": "1 and 2"},
        {"1": {"name": "order.amount", "conditions": {}}},
        {"1": {"conditions": {"$is": [1]}}},
        {"1": {"name": "order.amount", "conditions": {"$more_than": ["much"]}}},
        {"1": {"name": "customer.segment", "conditions": {"$is": [{"id": "seg_1"}]}}},
        {"1": {"name": "product.id", "conditions": {"$is": [{"id": {}}]}}},
    ):
        assert (await send(api, "POST", RULES, {"name": "x", "rules": wrong}, 400))["key"] == "invalid_validation_rules"
    await send(api, "POST", RULES, {"rules": {"1": amount}}, expect=400)
    await send(api, "POST", RULES, {"name": "x", "rules": {"1": {**amount, "name": "redemption.api_key"}}}, expect=501)
    await send(api, "POST", RULES, {"name": "x", "bundle_rules": {"1": {}}}, expect=501)


async def test_a_rule_is_assigned_once(api: httpx.AsyncClient) -> None:
    """Twice is a 409 that names the first; `force` replaces it; what there is not can't be assigned to."""
    await coupons(api)
    one = await defined(api, "order.amount", {"$more_than": [1000]})
    first = await assign(api, one, "campaign", COUPONS)
    again = await assign(api, one, "campaign", first["related_object_id"], expect=409)
    assert (again["key"], again["resource_id"]) == ("duplicate_found", first["id"])
    assert again["resource_type"] == "validation_rules_assignment"
    body = {"related_object_type": "campaign", "related_object_id": COUPONS}
    forced = await send(api, "POST", f"{RULES}/{one}/assignments?force=true", body)
    assert forced["id"] != first["id"]
    await assign(api, one, "voucher", "nothing", expect=404)
    await assign(api, one, "distribution", "distr_1", expect=501)
    await assign(api, "val_none", "campaign", COUPONS, expect=404)
    await send(api, "DELETE", f"{RULES}/{one}/assignments/asgm_none", expect=404)
    await send(api, "DELETE", f"{RULES}/{one}/assignments/{forced['id']}", expect=204)
    assert (await send(api, "GET", f"{RULES}/val_none/assignments"))["total"] == 0


async def test_assignments_are_found_by_rule_and_by_object(api: httpx.AsyncClient) -> None:
    """Both filters of the list, and the deleted rule takes its assignments along."""
    campaign = await coupons(api)
    one, two = [await defined(api, "order.amount", {"$more_than": [each]}) for each in (1, 2)]
    for each in (one, two):
        await assign(api, each, "campaign", COUPONS)
    await assign(api, one, "voucher", await coupon(api))
    by_rule = await send(api, "GET", f"{RULES}-assignments?rule={one}&order=created_at")
    assert [each["related_object_type"] for each in by_rule["data"]] == ["campaign", "voucher"]
    assert (await send(api, "GET", f"{RULES}-assignments?related_object_id={campaign['id']}"))["total"] == 2
    await send(api, "DELETE", f"{RULES}/{one}", expect=204)
    await send(api, "GET", f"{RULES}/{one}", expect=404)
    assert (await send(api, "GET", f"{RULES}-assignments"))["total"] == 1
    shown = (await send(api, "GET", f"/v1/campaigns/{COUPONS}"))["validation_rules_assignments"]
    assert [each["rule_id"] for each in shown["data"]] == [two]


async def test_a_violated_rule_makes_a_code_inapplicable(api: httpx.AsyncClient) -> None:
    """Documented key, sentence and custom message in a validation; the order that satisfies it passes."""
    one = await defined(api, "order.amount", {"$more_than": [1000]}, error={"message": "Spend more than 10."})
    campaign = await coupons(api, validation_rules=[one])
    assert campaign["validation_rules_assignments"]["data"][0]["rule_id"] == one
    code = await coupon(api)
    answer = await validate(api, code, order={"amount": 1000})
    assert answer["valid"] is False
    error = answer["redeemables"][0]["result"]["error"]
    assert (error["key"], error["message"]) == ("order_rules_violated", "order does not match validation rules")
    assert error["details"] == f"Discount Coupon cannot be redeemed because of violated validation rules: {one}"
    assert error["error"] == {"message": "Spend more than 10."}
    check_answer("POST", "/v1/validations", answer)
    assert (await validate(api, code, order={"amount": 1001}))["valid"] is True
    assert reasons(await validate(api, code)) == ["missing_order"]


async def test_a_violated_rule_stops_a_redemption(api: httpx.AsyncClient) -> None:
    """400 with the custom message, an `rf_` redemption on record, the code still whole; then it works."""
    await coupons(api)
    code = await coupon(api)
    one = await defined(api, "customer.metadata", {"$is": ["gold"]}, "tier", error={"message": "Gold only."})
    await assign(api, one, "voucher", code)
    error = await redeem(api, code, expect=400, source_id="o-1", amount=2000)
    assert (error["key"], error["error"]) == ("customer_rules_violated", {"message": "Gold only."})
    failed = await send(api, "GET", f"/v1/redemptions/{error['resource_id']}")
    assert failed["failure_code"] == "customer_rules_violated"
    assert failed["failure_message"] == "customer does not match validation rules"
    assert (await redeem(api, code, expect=400, customer=None, amount=1))["key"] == "missing_customer"
    await send(api, "POST", "/v1/customers", {"source_id": "u-1", "metadata": {"tier": "gold"}})
    await redeem(api, code, source_id="o-1", amount=2000)


async def test_only_the_holder_may_redeem(api: httpx.AsyncClient) -> None:
    """The rule that binds a code to whom it was published to."""
    one = await defined(api, "publication.redeemable_by_linked_customer", {"$is": [True]})
    await coupons(api, validation_rules=[one])
    code = await coupon(api)
    error = await redeem(api, code, expect=400, customer="u-2", amount=2000)
    assert error["key"] == "redemption_rules_violated"
    await redeem(api, code, amount=2000)


async def test_once_per_customer(api: httpx.AsyncClient) -> None:
    """A code without a limit of its own: each customer once, and again after a rollback."""
    one = await defined(api, "redemption.count.per_customer", {"$less_than_or_equal": [1]})
    await coupons(api, quantity=None, validation_rules=[one])
    code = await coupon(api)
    answer = await redeem(api, code, amount=2000)
    assert (await redeem(api, code, expect=400, amount=2000))["key"] == "redemption_rules_violated"
    await redeem(api, code, customer="u-2", amount=2000)
    await send(api, "POST", f"/v1/redemptions/{answer['redemptions'][0]['id']}/rollback")
    await redeem(api, code, amount=2000)


async def test_a_limit_per_day_ends_with_the_day(api: httpx.AsyncClient) -> None:
    """On the sandbox's clock."""
    await send(api, "POST", "/sandbox/clock", {"set": "2027-01-01T10:00:00Z"})
    one = await defined(api, "redemption.count.daily", {"$less_than_or_equal": [1]})
    await coupons(api, quantity=None, validation_rules=[one])
    code = await coupon(api)
    await redeem(api, code, amount=2000)
    await redeem(api, code, expect=400, customer="u-2", amount=2000)
    await send(api, "POST", "/sandbox/clock", {"set": "2027-01-02T00:01:00Z"})
    await redeem(api, code, customer="u-2", amount=2000)


async def test_codes_of_one_request_count_for_each_other(api: httpx.AsyncClient) -> None:
    """Once per customer in a campaign: two of its codes in one stack are one too many."""
    one = await defined(api, "campaign.redemptions.customers_count", {"$less_than_or_equal": [1]})
    await coupons(api, validation_rules=[one])
    first, second = await coupon(api), await coupon(api)
    answer = await validate(api, first, second, order={"amount": 2000}, customer={"source_id": "u-1"})
    assert reasons(answer) == ["redemption_rules_violated"]
    await redeem(api, first, second, expect=400, amount=2000)
    await redeem(api, first, amount=2000)
    await redeem(api, second, expect=400, amount=2000)


async def test_a_campaign_limit_holds_against_a_crowd(api: httpx.AsyncClient) -> None:
    """Twelve customers with a code each race for three redemptions of the campaign: three win."""
    one = await defined(api, "campaign.redemptions.count", {"$less_than_or_equal": [3]})
    await coupons(api, validation_rules=[one])
    names = [f"u-{place}" for place in range(12)]
    codes = [await coupon(api, name) for name in names]

    async def attempt(name: str, code: str) -> int:
        body = {
            "redeemables": [{"object": "voucher", "id": code}],
            "customer": {"source_id": name},
            "order": {"amount": 100},
        }
        return (await api.post("/v1/redemptions", json=body)).status_code

    answers = await asyncio.gather(*map(attempt, names, codes))
    assert sorted(answers) == [200] * 3 + [400] * 9


async def test_products_of_the_catalogue_are_known_by_both_ids(api: httpx.AsyncClient) -> None:
    """A rule names Voucherify's id, the order the shop's; category comes from the catalogue or from the order."""
    body = {"source_id": "mug", "name": "Mug", "price": 500, "metadata": {"category": "Kitchen"}}
    product = await send(api, "POST", "/v1/products", body)
    await coupons(api, quantity=None)
    code = await coupon(api)
    by_id = await defined(api, "product.id", {"$is": [{"id": product["id"]}]})
    by_category = await defined(api, "product.metadata", {"$is": ["Kitchen"]}, "category")
    for each in (by_id, by_category):
        await assign(api, each, "voucher", code)
    mug = {"source_id": "mug", "related_object": "product", "quantity": 1}
    pen = {"source_id": "pen", "related_object": "product", "quantity": 1, "price": 100}
    assert (await validate(api, code, order={"items": [pen, mug]}))["valid"] is True
    assert reasons(await validate(api, code, order={"items": [pen]})) == ["order_rules_violated"]
    assert reasons(await validate(api, code, order={"items": []})) == ["missing_order_items"]
    other = {**mug, "product": {"metadata": {"category": "Office"}}}
    assert reasons(await validate(api, code, order={"items": [other]})) == ["order_rules_violated"]


async def test_a_change_counts_at_once(api: httpx.AsyncClient) -> None:
    """A rule that is changed while it is assigned is the rule that is asked next."""
    one = await defined(api, "order.amount", {"$more_than": [1000]})
    await coupons(api, validation_rules=[one])
    code = await coupon(api)
    assert reasons(await validate(api, code, order={"amount": 500})) == ["order_rules_violated"]
    rules = {"1": {"name": "order.amount", "conditions": {"$more_than": [100]}}, "logic": "1"}
    await send(api, "PUT", f"{RULES}/{one}", {"rules": rules})
    assert (await validate(api, code, order={"amount": 500}))["valid"] is True
    event = {"1": {"name": "custom_event.metadata", "property": "x", "conditions": {"$is": [1]}}}
    await send(api, "PUT", f"{RULES}/{one}", {"rules": event}, expect=501)


async def test_an_earning_rule_gives_only_where_its_rule_holds(api: httpx.AsyncClient) -> None:
    """By order metadata for orders; `validation_rule_id` comes and goes with the assignment."""
    await loyalty(api)
    one = await defined(api, "order.metadata", {"$is": ["Oslo"]}, "shop")
    made = await rule(api, "order.paid", {"type": "FIXED", "points": 7}, validation_rule_id=one)
    assert made["validation_rule_id"] == one
    card = await join(api)
    await buy(api, "o-1", 1000)
    assert await balance(api, card) == 10
    body = {"source_id": "o-2", "status": "PAID", "amount": 1000, "metadata": {"shop": "Oslo"}}
    await send(api, "POST", "/v1/orders", {**body, "customer": {"source_id": "u-1"}})
    assert await balance(api, card) == 27
    path = f"/v1/loyalties/{LOYALTY}/earning-rules/{made['id']}"
    [assignment] = (await send(api, "GET", f"{RULES}/{one}/assignments"))["data"]
    await send(api, "DELETE", f"{RULES}/{one}/assignments/{assignment['id']}", expect=204)
    assert (await send(api, "GET", path))["validation_rule_id"] is None
    await assign(api, one, "earning_rule", made["id"])
    assert (await send(api, "GET", path))["validation_rule_id"] == one
    await send(api, "DELETE", f"{RULES}/{one}", expect=204)
    assert (await send(api, "GET", path))["validation_rule_id"] is None


async def test_a_custom_event_earns_by_its_metadata(api: httpx.AsyncClient) -> None:
    """A rating of 5 earns, one of 3 does not; and nobody joins a programme by an event that earns nothing."""
    await loyalty(api, auto_join=True)
    one = await defined(api, "custom_event.metadata", {"$more_than_or_equal": [5]}, "rating")
    await rule(api, "rated", {"type": "FIXED", "points": 4}, validation_rule_id=one)
    for rating in (3, 5):
        body = {"event": "rated", "customer": {"source_id": "u-1"}, "metadata": {"rating": rating}}
        await send(api, "POST", "/v1/events", body)
        total = (await send(api, "GET", f"/v1/loyalties/{LOYALTY}/members"))["total"]
        assert total == (1 if rating == 5 else 0)
    [card] = (await send(api, "GET", f"/v1/loyalties/{LOYALTY}/members"))["vouchers"]
    assert card["loyalty_card"]["balance"] == 4


async def test_a_reward_may_have_a_rule(api: httpx.AsyncClient) -> None:
    """The purchase is refused with the rule's key and takes no points; with the rule kept it goes through."""
    program = await loyalty(api, points=100)
    shop = await coupons(api)
    reward = await send(api, "POST", "/v1/rewards", {"name": "10 off", "parameters": {"campaign": {"id": shop["id"]}}})
    one = await defined(api, "customer.metadata", {"$is": ["gold"]}, "tier")
    priced = [{"reward": reward["id"], "parameters": {"loyalty": {"points": 30}}, "validation_rules": [one]}]
    [made] = await send(api, "POST", f"/v1/loyalties/{program['id']}/rewards", priced)
    assert made["validation_rules_assignments"]["data"][0]["related_object_type"] == "reward_assignment"
    card = await join(api)
    path, body = f"/v1/loyalties/members/{card}/redemption", {"reward": {"id": reward["id"]}}
    assert (await send(api, "POST", path, body, expect=400))["key"] == "customer_rules_violated"
    assert await balance(api, card) == 100
    await send(api, "PUT", "/v1/customers/u-1", {"metadata": {"tier": "gold"}})
    await send(api, "POST", path, body)
    assert await balance(api, card) == 70


@pytest.mark.parametrize(
    ("event", "name", "conditions", "key"),
    [
        ("order.paid", "redemption.count.per_customer", {"$is": [1]}, None),
        ("order.paid", "campaign.redemptions.count", {"$is": [1]}, None),
        ("order.paid", "publication.redeemable_by_linked_customer", {"$is": [True]}, None),
    ],
)
async def test_a_rule_that_an_earning_rule_cannot_ask_is_refused(
    api: httpx.AsyncClient, event: str, name: str, conditions: dict[str, Any], key: str | None
) -> None:
    """Limits of redemptions mean nothing where points are earned: 501, and no earning rule is left behind."""
    await loyalty(api)
    one = await defined(api, name, conditions, key)
    body = [{"event": event, "loyalty": proportional("amount", 1, 1), "validation_rule_id": one}]
    await send(api, "POST", f"/v1/loyalties/{LOYALTY}/earning-rules", body, expect=501)
    assert (await send(api, "GET", f"/v1/loyalties/{LOYALTY}/earning-rules"))["total"] == 1


async def test_an_unknown_rule_cannot_be_given_to_what_is_made(api: httpx.AsyncClient) -> None:
    """404, and neither campaign nor earning rule is left behind."""
    await loyalty(api)
    body: dict[str, Any] = {
        "name": "x",
        "voucher": {"type": "DISCOUNT_VOUCHER", "discount": {"type": "AMOUNT", "amount_off": 1}},
    }
    error = await send(api, "POST", "/v1/campaigns", {**body, "validation_rules": ["val_none"]}, expect=404)
    assert error["resource_type"] == "validation_rules"
    await send(api, "GET", "/v1/campaigns/x", expect=404)
    made = [{"event": "order.paid", "loyalty": {"type": "FIXED", "points": 1}, "validation_rule_id": "val_none"}]
    await send(api, "POST", f"/v1/loyalties/{LOYALTY}/earning-rules", made, expect=404)
    await send(api, "POST", "/v1/campaigns", {**body, "validation_rules": "val_none"}, expect=400)
