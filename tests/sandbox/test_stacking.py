"""Stacking rules and categories: what goes together in one redemption, in which order, and what is left aside."""

import asyncio
import itertools
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from app.sandbox.app import Sandbox
from tests.sandbox.programme import send
from tests.sandbox.published import check_answer
from tests.sandbox.serving import KEYS

NUMBERS = itertools.count()
MANAGEMENT = {"X-Management-Id": KEYS["X-App-Id"], "X-Management-Token": KEYS["X-App-Token"]}


@pytest.fixture
def rules_path(sandbox: Sandbox) -> str:
    return f"/management/v1/projects/{sandbox.store.project_id}/stacking-rules"


@pytest.fixture
def managed(api: httpx.AsyncClient) -> httpx.AsyncClient:
    """The client with the keys of the management API as well."""
    api.headers.update(MANAGEMENT)
    return api


async def category(api: httpx.AsyncClient, name: str, hierarchy: int = 1) -> str:
    return str((await send(api, "POST", "/v1/categories", {"name": name, "hierarchy": hierarchy}))["id"])


async def code(api: httpx.AsyncClient, name: str, percent: float = 10, **more: Any) -> str:
    """A code that stands alone."""
    discount = {"type": "PERCENT", "percent_off": percent, "effect": "APPLY_TO_ORDER"}
    await send(api, "POST", f"/v1/vouchers/{name}", {"type": "DISCOUNT_VOUCHER", "discount": discount, **more})
    return name


async def tried(api: httpx.AsyncClient, *codes: str, what: str = "validations", expect: int = 200) -> dict[str, Any]:
    body = {
        "redeemables": [{"object": "voucher", "id": each} for each in codes],
        "order": {"source_id": "o-1", "amount": 10000},
    }
    answer: dict[str, Any] = await send(api, "POST", f"/v1/{what}", body, expect)
    if expect == 200:
        check_answer("POST", f"/v1/{what}", answer)
    return answer


def fates(answer: dict[str, Any]) -> dict[str, str | int]:
    """Of each redeemable of a validation: what it takes off, or the key of the reason for which it does not."""
    told: dict[str, str | int] = {}
    lists = ("redeemables", "inapplicable_redeemables", "skipped_redeemables")
    for each in (each for name in lists for each in answer.get(name, [])):
        result = each["result"]
        if each["status"] == "APPLICABLE":
            told[each["id"]] = each["order"]["total_applied_discount_amount"]
        else:
            told[each["id"]] = (result.get("error") or result["details"])["key"]
    return told


async def test_categories_are_kept(api: httpx.AsyncClient) -> None:
    """Made, changed, listed and deleted; both fields are required each time; what was in one is in none afterwards."""
    made = await send(api, "POST", "/v1/categories", {"name": "Summer", "hierarchy": 3})
    check_answer("POST", "/v1/categories", made)
    one = f"/v1/categories/{made['id']}"
    for method, path in (("POST", "/v1/categories"), ("PUT", one)):
        for body, missing in (({"name": "x"}, "hierarchy"), ({"hierarchy": 1}, "name")):
            error = await send(api, method, path, body, 400)
            assert error["details"] == f"Payload should have required property '{missing}'"
    check_answer("GET", "/v1/categories/{categoryId}", await send(api, "GET", one))
    await code(api, "A", category_id=made["id"])
    changed = await send(api, "PUT", one, {"name": "Winter", "hierarchy": 1})
    check_answer("PUT", "/v1/categories/{categoryId}", changed)
    listed = await send(api, "GET", "/v1/categories")
    check_answer("GET", "/v1/categories", listed)
    assert [(each["name"], each["hierarchy"]) for each in listed["data"]] == [("Winter", 1)]
    assert (await send(api, "GET", "/v1/vouchers/A"))["category"] == "Winter"
    await send(api, "DELETE", one, expect=204)
    await send(api, "DELETE", one, expect=404)
    shown = await send(api, "GET", "/v1/vouchers/A")
    assert (shown["category"], shown["category_id"], shown["categories"]) == (None, None, [])


async def test_what_is_in_a_category_says_so(api: httpx.AsyncClient) -> None:
    """Campaigns, their codes, promotion tiers and vouchers, by id or by name; null takes them out."""
    summer = await category(api, "Summer")
    body = {"name": "Sun", "category_id": summer, "voucher": {"type": "DISCOUNT_VOUCHER", "discount": _TEN}}
    campaign = await send(api, "POST", "/v1/campaigns", {**body, "vouchers_count": 1})
    check_answer("POST", "/v1/campaigns", campaign)
    assert (campaign["category"], campaign["categories"][0]["id"]) == ("Summer", summer)
    [own] = (await send(api, "GET", "/v1/vouchers?campaign=Sun"))["vouchers"]
    check_answer("GET", "/v1/vouchers/{code}", own)
    assert (own["category"], own["categories"][0]["name"]) == ("Summer", "Summer")
    tier = {"name": "T", "action": {"discount": _TEN}, "category": "Summer"}
    promo = await send(
        api, "POST", "/v1/campaigns", {"name": "P", "campaign_type": "PROMOTION", "promotion": {"tiers": [tier]}}
    )
    [shown] = promo["promotion"]["tiers"]
    assert (shown["category_id"], shown["categories"][0]["id"]) == (summer, summer)
    path = f"/v1/promotions/tiers/{shown['id']}"
    assert (await send(api, "PUT", path, {"category_id": None}))["categories"] == []
    await send(api, "PUT", path, {"category_id": "cat_x"}, 404)
    assert (await send(api, "PUT", "/v1/campaigns/Sun", {"category_id": None}))["categories"] == []
    await code(api, "A", category="Summer")
    assert (await send(api, "GET", "/v1/vouchers/A"))["category_id"] == summer
    assert (await send(api, "PUT", "/v1/vouchers/A", {"category_id": None}))["categories"] == []
    filters = {"category_id": {"conditions": {"$is": [summer]}}}
    await send(api, "PUT", "/v1/vouchers/A", {"category_id": summer})
    offers = await send(api, "POST", "/v1/qualifications", {"order": {"amount": 100}, "options": {"filters": filters}})
    assert [each["id"] for each in offers["redeemables"]["data"]] == ["A"]


_TEN = {"type": "PERCENT", "percent_off": 10, "effect": "APPLY_TO_ORDER"}


async def test_the_rules_of_a_project_are_made_once(managed: httpx.AsyncClient, rules_path: str) -> None:
    """The defaults have no id; there is one set of rules, it can be changed in part, and taken away again."""
    template = "/management/v1/projects/{projectId}/stacking-rules"
    before = await send(managed, "GET", rules_path)
    check_answer("GET", template, before)
    assert (before["total"], before["data"][0]["redeemables_application_mode"], "id" in before["data"][0]) == (
        *(1, "ALL", False),
    )
    made = await send(managed, "POST", rules_path, {"redeemables_application_mode": "PARTIAL"})
    check_answer("POST", template, made)
    assert (await send(managed, "POST", rules_path, {}, 409))["key"] == "stacking_rules_exist"
    one = f"{rules_path}/{made['id']}"
    changed = await send(managed, "PUT", one, {"applicable_redeemables_limit": 2})
    check_answer("PUT", f"{template}/{{stackingRulesId}}", changed)
    assert (changed["redeemables_application_mode"], changed["applicable_redeemables_limit"]) == ("PARTIAL", 2)
    check_answer("GET", f"{template}/{{stackingRulesId}}", await send(managed, "GET", one))
    await send(managed, "GET", f"{rules_path}/stk_x", expect=404)
    await send(managed, "GET", "/management/v1/projects/proj_x/stacking-rules", expect=404)
    await send(managed, "DELETE", one, expect=204)
    assert (await send(managed, "GET", rules_path))["data"] == before["data"]


@pytest.mark.parametrize(
    ("rules", "status"),
    [
        ({"redeemables_limit": 31}, 400),
        ({"redeemables_limit": "many"}, 400),
        ({"applicable_exclusive_redeemables_limit": 6}, 400),
        ({"applicable_redeemables_limit": 4, "redeemables_limit": 3}, 400),
        ({"redeemables_application_mode": "SOME"}, 400),
        ({"exclusive_categories": "x"}, 400),
        ({"exclusive_categories": ["cat_x"]}, 404),
        ({"applicable_redeemables_category_limits": {"cat_x": 0}}, 400),
        ({"applicable_redeemables_category_limits": []}, 400),
        ({"no_effect_skip_categories": ["a"], "no_effect_redeem_anyway_categories": ["a"]}, 400),
        ({"grouped_redeemables_sorting_rule": "JOINT_ALWAYS_LAST"}, 501),
    ],
)
async def test_bad_rules_are_refused(
    managed: httpx.AsyncClient, rules_path: str, rules: dict[str, Any], status: int
) -> None:
    """Bounds, choices, categories that there are, and what the sandbox does not do; nothing is kept of them."""
    await send(managed, "POST", rules_path, rules, status)
    await send(managed, "POST", rules_path, {})


async def test_the_management_api_has_its_own_headers(api: httpx.AsyncClient, rules_path: str) -> None:
    """Without them it is 401, whatever the project's own keys are."""
    assert (await send(api, "GET", rules_path, expect=401))["key"] == "unauthorized"


async def test_in_part_means_that_the_rest_is_done(managed: httpx.AsyncClient, rules_path: str) -> None:
    """PARTIAL: what can't be used is named and left out; nothing at all is a refusal that leaves a record."""
    await code(managed, "A")
    await code(managed, "OLD", expiration_date="2020-01-01")
    assert fates(await tried(managed, "A", "OLD")) == {"A": "preceding_validation_failed", "OLD": "voucher_expired"}
    await send(managed, "POST", rules_path, {"redeemables_application_mode": "PARTIAL"})
    valid = await tried(managed, "OLD", "A", "NONE")
    assert (valid["valid"], fates(valid)) == (True, {"A": 1000, "OLD": "voucher_expired", "NONE": "not_found"})
    assert [each["id"] for each in valid["redeemables"]] == ["A"]
    assert valid["stacking_rules"]["redeemables_application_mode"] == "PARTIAL"
    answer = await tried(managed, "OLD", "A", "NONE", what="redemptions")
    assert [each["voucher"]["code"] for each in answer["redemptions"]] == ["A"]
    assert [each["id"] for each in answer["inapplicable_redeemables"]] == ["OLD", "NONE"]
    assert answer["order"]["total_amount"] == valid["order"]["total_amount"]
    nothing = await tried(managed, "OLD", "NONE")
    assert (nothing["valid"], len(nothing["redeemables"])) == (False, 2)
    refused = await tried(managed, "OLD", "NONE", what="redemptions", expect=400)
    assert refused["key"] == "no_applicable_redeemables"
    failed = await send(managed, "GET", f"/v1/redemptions/{refused['resource_id']}")
    assert (failed["result"], failed["failure_code"]) == ("FAILURE", "no_applicable_redeemables")


async def test_limits_leave_the_last_ones_aside(managed: httpx.AsyncClient, rules_path: str) -> None:
    """In all, and by category, with a limit of its own for one of them."""
    one, two = await category(managed, "One"), await category(managed, "Two")
    for name in ("A", "B", "C"):
        await code(managed, name, 10, category_id=one)
    await code(managed, "D", 10, category_id=two)
    per_category = "applicable_redeemables_per_category_limit_exceeded"
    assert fates(await tried(managed, "A", "B", "D")) == {"A": 1000, "B": per_category, "D": 900}
    limits = {"applicable_redeemables_category_limits": {one: 2}, "applicable_redeemables_limit": 2}
    await send(managed, "POST", rules_path, limits)
    assert fates(await tried(managed, "A", "B", "C", "D")) == {
        "A": 1000,
        "B": 900,
        "C": "applicable_redeemables_limit_exceeded",
        "D": "applicable_redeemables_limit_exceeded",
    }
    answer = await tried(managed, "A", "B", "C", what="redemptions")
    assert [each["id"] for each in answer["skipped_redeemables"]] == ["C"]
    assert (await send(managed, "GET", "/v1/vouchers/C"))["redemption"]["redeemed_quantity"] == 0


async def test_exclusive_ones_keep_common_ones_out(managed: httpx.AsyncClient, rules_path: str) -> None:
    """Wherever they stand; joint ones come along; what can't be used keeps nobody out."""
    vip, gift = await category(managed, "Vip"), await category(managed, "Gift")
    rules = {"exclusive_categories": [vip], "joint_categories": [gift], "redeemables_application_mode": "PARTIAL"}
    await send(managed, "POST", rules_path, {**rules, "applicable_redeemables_per_category_limit": 3})
    await code(managed, "COMMON", 10)
    await code(managed, "VIP", 50, category_id=vip)
    await code(managed, "VIP2", 50, category_id=vip)
    await code(managed, "JOINT", 10, category_id=gift)
    answer = await tried(managed, "COMMON", "VIP", "VIP2", "JOINT")
    assert fates(answer) == {
        "COMMON": "exclusion_rules_not_met",
        "VIP": 5000,
        "VIP2": "applicable_exclusive_redeemables_limit_exceeded",
        "JOINT": 500,
    }
    kinds = {each["id"]: each["categories"][0]["stacking_rules_type"] for each in answer["redeemables"]}
    assert kinds == {"VIP": "EXCLUSIVE", "JOINT": "JOINT"}
    for name in ("VIP", "VIP2"):
        await send(managed, "POST", f"/v1/vouchers/{name}/disable")
    assert fates(await tried(managed, "COMMON", "VIP", "JOINT")) == {
        "COMMON": 1000,
        "VIP": "voucher_disabled",
        "JOINT": 900,
    }


async def test_the_hierarchy_of_categories_gives_the_order(managed: httpx.AsyncClient, rules_path: str) -> None:
    """The lowest number first, the order of the request among equals, what is in no category last."""
    first, second = await category(managed, "First", 1), await category(managed, "Second", 2)
    await send(
        managed,
        "POST",
        rules_path,
        {"redeemables_sorting_rule": "CATEGORY_HIERARCHY", "applicable_redeemables_per_category_limit": 5},
    )
    for name, of in (("NONE", None), ("B", second), ("A2", first), ("A1", first)):
        await code(managed, name, 10, category_id=of)
    valid = await tried(managed, "NONE", "B", "A2", "A1")
    assert [each["id"] for each in valid["redeemables"]] == ["A2", "A1", "B", "NONE"]
    answer = await tried(managed, "NONE", "B", "A2", "A1", what="redemptions")
    assert [each["voucher"]["code"] for each in answer["redemptions"]] == ["A2", "A1", "B", "NONE"]
    assert answer["order"]["total_amount"] == valid["order"]["total_amount"]


async def test_what_has_no_effect_may_be_kept_for_later(managed: httpx.AsyncClient, rules_path: str) -> None:
    """SKIP leaves it unused; a category may say otherwise; nothing but that is a refusal."""
    anyway = await category(managed, "Anyway")
    await code(managed, "ALL", 100)
    await code(managed, "LATE", 10)
    await code(managed, "FORCED", 10, category_id=anyway)
    assert fates(await tried(managed, "ALL", "LATE")) == {"ALL": 10000, "LATE": 0}
    rules = {"redeemables_no_effect_rule": "SKIP", "no_effect_redeem_anyway_categories": [anyway]}
    await send(managed, "POST", rules_path, rules)
    assert fates(await tried(managed, "ALL", "LATE", "FORCED")) == {"ALL": 10000, "LATE": "no_effect", "FORCED": 0}
    answer = await tried(managed, "ALL", "LATE", what="redemptions")
    assert [each["id"] for each in answer["skipped_redeemables"]] == ["LATE"]
    await code(managed, "ZERO", 0)
    assert (await tried(managed, "ZERO"))["valid"] is False
    assert (await tried(managed, "ZERO", what="redemptions", expect=400))["key"] == "no_applicable_redeemables"


async def test_percentages_may_be_of_the_initial_amount(managed: httpx.AsyncClient, rules_path: str) -> None:
    """10 % and 20 % of 100 are 30 in all, not 28; a category may go by what is left."""
    rest = await category(managed, "Rest")
    await code(managed, "TEN", 10)
    await code(managed, "TWENTY", 20)
    await code(managed, "LEFT", 20, category_id=rest)
    assert fates(await tried(managed, "TEN", "TWENTY")) == {"TEN": 1000, "TWENTY": 1800}
    rules = {"discount_calculation_mode": "INITIAL_AMOUNT", "discounted_amount_mode_categories": [rest]}
    await send(managed, "POST", rules_path, rules)
    assert fates(await tried(managed, "TEN", "TWENTY")) == {"TEN": 1000, "TWENTY": 2000}
    assert fates(await tried(managed, "TEN", "LEFT")) == {"TEN": 1000, "LEFT": 1800}


async def test_a_product_may_be_discounted_once_only(managed: httpx.AsyncClient, rules_path: str) -> None:
    """ONCE: a second discount on items finds nothing that the first has not taken already; one on the order does."""
    discount = {"type": "PERCENT", "percent_off": 10, "effect": "APPLY_TO_ITEMS"}
    for name in ("A", "B"):
        await send(managed, "POST", f"/v1/vouchers/{name}", {"type": "DISCOUNT_VOUCHER", "discount": discount})
    await code(managed, "C", 10)
    body = {
        "redeemables": [{"object": "voucher", "id": each} for each in ("A", "B", "C")],
        "order": {"items": [{"source_id": "mug", "quantity": 1, "price": 1000}]},
    }
    stacked = await send(managed, "POST", "/v1/validations", body)
    assert fates(stacked) == {"A": 100, "B": 90, "C": 81}
    await send(managed, "POST", rules_path, {"redeemables_products_application_mode": "ONCE"})
    assert fates(await send(managed, "POST", "/v1/validations", body)) == {"A": 100, "B": 0, "C": 90}


async def test_a_rollback_may_leave_the_order_as_it_is(managed: httpx.AsyncClient, rules_path: str) -> None:
    """WITHOUT_ORDER: the codes are free again, the order keeps its status and what it had off."""
    await send(managed, "POST", rules_path, {"redeemables_rollback_order_mode": "WITHOUT_ORDER"})
    for name in ("A", "B"):
        await code(managed, name, redemption={"quantity": 1})
    answer = await tried(managed, "A", "B", what="redemptions")
    undone = await send(managed, "POST", f"/v1/redemptions/{answer['parent_redemption']['id']}/rollbacks")
    assert (undone["order"]["status"], undone["order"]["total_amount"]) == ("PAID", 8100)
    assert (await send(managed, "GET", "/v1/vouchers/A"))["redemption"]["redeemed_quantity"] == 0


async def test_a_deleted_category_leaves_the_rules(managed: httpx.AsyncClient, rules_path: str) -> None:
    """It is no longer exclusive for anybody, at once."""
    vip = await category(managed, "Vip")
    made = await send(managed, "POST", rules_path, {"exclusive_categories": [vip]})
    await code(managed, "A", 10, category_id=vip)
    await code(managed, "B", 10)
    assert fates(await tried(managed, "A", "B"))["B"] == "exclusion_rules_not_met"
    await send(managed, "DELETE", f"/v1/categories/{vip}", expect=204)
    answer = await tried(managed, "A", "B")
    assert fates(answer) == {"A": 1000, "B": 900}
    assert answer["stacking_rules"]["exclusive_categories"] == []
    assert (await send(managed, "GET", f"{rules_path}/{made['id']}"))["exclusive_categories"] == []


class Together(RuleBasedStateMachine):
    """Codes of three kinds of categories under any stacking rules: tried, redeemed, given back."""

    url: str
    path: str
    categories: tuple[str, str, str]

    def __init__(self) -> None:
        super().__init__()
        self.api = httpx.Client(base_url=self.url, headers={**KEYS, **MANAGEMENT}, timeout=10)
        self.codes: list[str] = []

    def send(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        answer = self.api.request(method, path, json=body)
        assert answer.status_code < 500, answer.text
        return dict(answer.json()) if answer.content else {}

    @initialize(
        codes=st.lists(
            st.tuples(st.integers(0, 3), st.sampled_from(["ORDER", "ITEMS", "AMOUNT"]), st.integers(0, 100)),
            min_size=2,
            max_size=5,
        )
    )
    def there_are_codes(self, codes: list[tuple[int, str, int]]) -> None:
        for category_, kind, value in codes:
            name = f"CODE-{next(NUMBERS)}"
            of = [*self.categories, None][category_]
            discount: dict[str, Any] = {"type": "PERCENT", "percent_off": value, "effect": f"APPLY_TO_{kind}"}
            if kind == "AMOUNT":
                discount = {"type": "AMOUNT", "amount_off": value * 20, "effect": "APPLY_TO_ORDER"}
            body = {"type": "DISCOUNT_VOUCHER", "discount": discount, "category_id": of, "redemption": {"quantity": 1}}
            self.send("POST", f"/v1/vouchers/{name}", body)
            self.codes.append(name)

    @initialize()
    def percentages_are_of_the_initial_amount(self) -> None:
        self.the_rules_change("PARTIAL", "CATEGORY_HIERARCHY", "SKIP", "STACK", "INITIAL_AMOUNT", 5, exclusive=False)

    @rule(
        mode=st.sampled_from(["ALL", "PARTIAL"]),
        sorting=st.sampled_from(["REQUESTED_ORDER", "CATEGORY_HIERARCHY"]),
        no_effect=st.sampled_from(["SKIP", "REDEEM_ANYWAY"]),
        once=st.sampled_from(["ONCE", "STACK"]),
        basis=st.sampled_from(["INITIAL_AMOUNT", "DISCOUNTED_AMOUNT"]),
        most=st.integers(2, 5),
        exclusive=st.booleans(),
    )
    def the_rules_change(
        self, mode: str, sorting: str, no_effect: str, once: str, basis: str, most: int, *, exclusive: bool
    ) -> None:
        for each in self.send("GET", self.path)["data"]:
            if "id" in each:
                self.send("DELETE", f"{self.path}/{each['id']}")
        self.send(
            "POST",
            self.path,
            {
                "redeemables_application_mode": mode,
                "redeemables_sorting_rule": sorting,
                "redeemables_no_effect_rule": no_effect,
                "redeemables_products_application_mode": once,
                "discount_calculation_mode": basis,
                "applicable_redeemables_limit": most,
                "exclusive_categories": [self.categories[0]] if exclusive else [],
                "joint_categories": [self.categories[1]],
            },
        )

    @rule(prices=st.lists(st.integers(0, 5000), min_size=1, max_size=3), unknown=st.booleans())
    def codes_are_tried_redeemed_and_given_back(self, prices: list[int], unknown: bool) -> None:
        codes = [*self.codes, *(["NONE"] if unknown else [])]
        items = [{"source_id": f"thing-{place}", "quantity": 1, "price": each} for place, each in enumerate(prices)]
        wanted: dict[str, Any] = {
            "redeemables": [{"object": "voucher", "id": each} for each in codes],
            "order": {"source_id": f"together-{next(NUMBERS)}", "items": items},
        }
        said = self.send("POST", "/v1/validations", wanted)
        done = self.send("POST", "/v1/redemptions", wanted)
        assert said["valid"] is ("redemptions" in done), (said, done)
        if not said["valid"]:
            return
        order = done["order"]
        assert {each["id"]: each["order"]["total_applied_discount_amount"] for each in said["redeemables"]} == {
            each["voucher"]["code"]: each["order"]["total_applied_discount_amount"] for each in done["redemptions"]
        }
        for name in ("inapplicable_redeemables", "skipped_redeemables"):
            assert {each["id"] for each in said.get(name, [])} == {each["id"] for each in done[name]}
        assert order["total_amount"] == said["order"]["total_amount"] >= 0
        assert order.get("total_discount_amount", 0) <= order["amount"] == sum(prices)
        assert all(each.get("discount_amount", 0) <= each["amount"] for each in order["items"])
        reference = done.get("parent_redemption", done["redemptions"][0])["id"]
        undone = self.send("POST", f"/v1/redemptions/{reference}/rollbacks")
        assert (undone["order"]["total_amount"], undone["order"]["status"]) == (sum(prices), "CANCELED")
        assert not any("discount_amount" in each for each in undone["order"]["items"])
        for each in self.codes:
            assert self.send("GET", f"/v1/vouchers/{each}")["redemption"]["redeemed_quantity"] == 0

    def teardown(self) -> None:
        self.api.close()


async def test_together_they_keep_their_laws(managed: httpx.AsyncClient, rules_path: str) -> None:
    """A redemption is what the validation said, never more than the order; a rollback restores the order and codes."""
    Together.url, Together.path = str(managed.base_url), rules_path
    Together.categories = (
        await category(managed, "One", 2),
        await category(managed, "Two", 1),
        await category(managed, "Three", 3),
    )
    limits = settings(max_examples=6, stateful_step_count=5, deadline=None, suppress_health_check=list(HealthCheck))
    await asyncio.to_thread(run_state_machine_as_test, Together, settings=limits)
