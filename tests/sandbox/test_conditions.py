"""What rules say of an order and a customer: logic, operators, kinds of rules. No server."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.sandbox import logic, operators
from app.sandbox.applicability import places
from app.sandbox.conditions import judged
from app.sandbox.errors import NotEmulated
from app.sandbox.operators import fits
from app.sandbox.predicates import COUNTS, Facts, Item, is_true, since
from app.sandbox.validation_rule_definitions import read

NOW = datetime(2026, 3, 18, 12, tzinfo=UTC)
NAMES = [str(number) for number in range(1, 6)]
TEXTS = st.recursive(
    st.sampled_from(NAMES),
    lambda inner: st.one_of(
        inner.map(lambda text: f"({text})"),
        st.tuples(inner, st.sampled_from(["and", "or", "AND", "Or"]), inner).map(" ".join),
    ),
    max_leaves=8,
)
"""Logic texts with and without brackets."""
MUG = Item(frozenset({"prod_1", "mug"}), frozenset(), 2, 1000, 500, {"gift": True}, {"category": "Kitchen"})
PEN = Item(frozenset({"prod_2", "pen"}), frozenset({"sku_1", "red"}), 1, 300, 300, {}, {"category": "Office"})
CUSTOMER = {"metadata": {"tier": "gold", "visits": 3}}
ORDER = {"amount": 1300, "total_amount": 1000, "metadata": {"shop": "Oslo"}}
FACTS = Facts(NOW, CUSTOMER, ORDER, (MUG, PEN), frozenset({"seg_in"}), {}, True, {"card": "Visa"}, {"rating": 5})


def definition(rules: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A definition as it is stored."""
    nothing = {"applicable_to": {"excluded": [], "included": [], "included_all": False}}
    return {**nothing, **read({"rules": rules, **more})}


def one(name: str, conditions: dict[str, Any], key: str | None = None, **more: Any) -> dict[str, Any]:
    """The definition of one rule."""
    return definition({"1": {"name": name, "conditions": conditions, "property": key, **more}, "logic": "1"})


@given(TEXTS, st.sets(st.sampled_from(NAMES)))
def test_logic_is_what_python_makes_of_the_same_text(text: str, true: set[str]) -> None:
    """Law: a tree holds exactly when Python evaluates the text to true, brackets and precedence and all."""
    python = re.sub(
        r"\d", lambda match: str(match[0] in true), text.lower().replace("and", " and ").replace("or", " or ")
    )
    assert logic.holds(logic.parse(text, NAMES), true.__contains__) is eval(python)


@given(TEXTS, st.sets(st.sampled_from(NAMES)))
def test_the_culprit_is_a_false_rule_without_which_it_might_hold(text: str, true: set[str]) -> None:
    """Law: who is blamed is false, and with all false rules true nobody is to blame."""
    tree = logic.parse(text, NAMES)
    blamed = logic.culprit(tree, true.__contains__)
    assert blamed is None or blamed not in true
    assert logic.culprit(tree, lambda _: True) is None


def test_a_rule_beside_a_true_one_is_not_blamed() -> None:
    """In `(1 or 2) and 3` with 1 and 3 false, 3 is what it fails by."""
    assert logic.culprit(logic.parse("(1 or 2) and 3", NAMES), {"2"}.__contains__) == "3"
    assert logic.holds(logic.parse("", NAMES), set(NAMES).__contains__)
    assert not logic.holds(logic.parse(" ", NAMES), {"1"}.__contains__)


@pytest.mark.parametrize("text", ["6", "1 and", "and 1", "(1", "1)", "1 2", "1 & 2", "()", "(" * 60 + "1" + ")" * 60])
def test_logic_that_says_nothing_is_refused(text: str) -> None:
    """Unknown rules, half sentences and open brackets are mistakes, not silence."""
    with pytest.raises(ValueError, match=r"\S"):
        logic.parse(text, NAMES)


JSON = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(), st.lists(st.integers())
)


@given(JSON, st.lists(st.one_of(st.integers(), st.text(), st.booleans()), min_size=1))
def test_a_negation_is_the_opposite(actual: Any, wanted: list[Any]) -> None:
    """Law: `$is_not`, `$not_in`, `$is_unknown` are true exactly when their counterparts are not."""
    for name, opposite in (("$is_not", "$is"), ("$not_in", "$in"), ("$is_unknown", "$has_value")):
        assert fits(name, wanted, actual, NOW) is not fits(opposite, wanted, actual, NOW)


@given(st.integers(-100, 100), st.integers(-100, 100))
def test_comparisons_are_those_of_numbers(actual: int, wanted: int) -> None:
    """Law: of two numbers exactly one is more than the other or they are equal, as number and as text alike."""
    for each in (wanted, str(wanted)):
        assert fits("$more_than", [each], actual, NOW) is (actual > wanted)
        assert fits("$less_than", [each], actual, NOW) is (actual < wanted)
        assert fits("$more_than_or_equal", [each], actual, NOW) is (actual >= wanted)
        assert fits("$less_than_or_equal", [each], actual, NOW) is (actual <= wanted)
        assert fits("$is", [each], actual, NOW) is (actual == wanted)


@given(st.sampled_from(sorted(operators.EMULATED)), JSON, JSON)
@example("$count", ["Infinity"], [1])
@example("$is_days_ago", [1e400], "2026-01-01")
@example("$after", ["0001-01-01T00:00:00+14:00"], "9999-12-31T23:59:59-14:00")
def test_no_value_breaks_an_operator(operator: str, given_value: Any, actual: Any) -> None:
    """Law: whatever a request could get past the check of its conditions has an answer."""
    if operators.unreadable(operator, given_value) is None:
        assert fits(operator, given_value, actual, NOW) in {True, False}


@pytest.mark.parametrize(
    ("operator", "given_value", "actual", "expected"),
    [
        ("$is", ["gold"], "gold", True),
        ("$is", "gold", "gold", True),
        ("$is", [True], "true", True),
        ("$is", ["Gold"], "gold", False),
        ("$in", ["a", "b"], "b", True),
        ("$in", ["a", "b"], ["c", "a"], True),
        ("$not_in", ["a"], None, True),
        ("$contains", ["ol"], "gold", True),
        ("$not_contain", ["ol"], "gold", False),
        ("$starts_with", ["go"], "gold", True),
        ("$ends_with", ["go"], "gold", False),
        ("$after", ["2026-01-01"], "2026-01-02T00:00:00.000Z", True),
        ("$before", ["2026-01-01"], "2026-01-02", False),
        ("$before", ["2026-01-01"], "no date", False),
        ("$more_than", ["2026-01-01"], "2026-01-02", True),
        ("$less_than", [30], "2026-03-01T00:00:00.000Z", True),
        ("$more_than", [30], "2026-03-01T00:00:00.000Z", False),
        ("$more_than_ago", [3], "2026-03-14", True),
        ("$less_than_ago", [3], "2026-03-14", False),
        ("$is_days_ago", [4], "2026-03-14", True),
        ("$more_than_future", [3], "2026-03-22", True),
        ("$less_than_future", [3], "2026-03-22", False),
        ("$is_days_in_future", [4], "2026-03-22", True),
        ("$next_month", [True], "1990-04-01", True),
        ("$next_month", [True], "1990-03-01", False),
        ("$count", [2], ["a", "b"], True),
        ("$count_more", [2], ["a", "b"], False),
        ("$count_less", [1], None, True),
        ("$has_value", True, "x", True),
        ("$is_unknown", "", None, True),
    ],
)
def test_operators(operator: str, given_value: Any, actual: Any, expected: bool) -> None:
    """Each operator by example: texts, dates, days from today, lists."""
    assert operators.unreadable(operator, given_value) is None
    assert fits(operator, given_value, actual, NOW) is expected


def test_conditions_of_one_rule_must_all_hold() -> None:
    """More than 1000 and less than 1200, in the spellings of the published samples too."""
    between = {"$more_than_equal": [1000], "$less_than": [1200]}
    assert [operators.satisfied(between, amount, NOW) for amount in (999, 1000, 1199, 1200)] == [
        False,
        True,
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("name", "conditions", "key", "expected"),
    [
        ("order.amount", {"$more_than": [1299]}, None, True),
        ("order.initial_amount", {"$less_than": [1300]}, None, False),
        ("order.total_amount", {"$is": [1000]}, None, True),
        ("order.items.count", {"$is": [3]}, None, True),
        ("order.items.price_any", {"$more_than": [400]}, None, True),
        ("order.items.price_each", {"$more_than": [400]}, None, False),
        ("order.items.metadata_any", {"$is": [True]}, "gift", True),
        ("order.items.metadata_each", {"$is": [True]}, "gift", False),
        ("order.metadata", {"$in": ["Oslo", "Bergen"]}, "shop", True),
        ("order.metadata", {"$is_unknown": [True]}, "till", True),
        ("customer.metadata", {"$is": ["silver"]}, "tier", False),
        ("customer.metadata", {"$more_than": [2]}, "visits", True),
        ("customer.segment", {"$is": ["seg_in"]}, None, True),
        ("customer.segment", {"$is_not": ["seg_in"]}, None, False),
        ("customer.segment", {"$is_not": ["seg_out"]}, None, True),
        ("product.metadata", {"$is": ["Office"]}, "category", True),
        ("product.metadata", {"$is": ["Garden"]}, "category", False),
        ("product.id", {"$is": [{"id": "prod_1"}]}, None, True),
        ("product.id", {"$is": [{"source_id": "pen"}]}, None, True),
        ("product.id", {"$is": [{"id": "prod_3", "source_id": "cup"}]}, None, False),
        ("product.id", {"$is_not": [{"id": "prod_1"}]}, None, False),
        ("sku.id", {"$is": [{"source_id": "red"}]}, None, True),
        ("sku.id", {"$is": [{"source_id": "mug"}]}, None, False),
        ("order.items.any", {"$is": [{"id": "prod_2", "object": "product"}]}, None, True),
        ("order.items.every", {"$is": [{"id": "prod_2", "object": "product"}]}, None, False),
        ("order.items.every", {"$is": [{"id": "prod_1"}, {"id": "prod_2"}]}, None, True),
        ("order.items.none", {"$is": [{"id": "prod_9"}]}, None, True),
        ("order.items.none", {"$is": [{"id": "prod_1"}]}, None, False),
        ("redemption.metadata", {"$is": ["Visa"]}, "card", True),
        ("custom_event.metadata", {"$greater_than_or_equal": [5]}, "rating", True),
        ("publication.redeemable_by_linked_customer", {"$is": [True]}, None, True),
        ("redemption.count.per_customer", {"$less_than_or_equal": [1]}, None, True),
        ("campaign.redemptions.count", {"$more_than": [1]}, None, False),
    ],
)
def test_kinds_of_rules(name: str, conditions: dict[str, Any], key: str | None, expected: bool) -> None:
    """Each kind of rule by example, on one customer with two mugs and a pen in the order."""
    assert (judged("val_1", one(name, conditions, key), FACTS) is None) is expected


@pytest.mark.parametrize(
    ("part", "conditions", "expected"),
    [
        ("order.items.quantity", {"$more_than_or_equal": [2]}, True),
        ("order.items.aggregated_quantity", {"$is": [2]}, True),
        ("order.items.aggregated_amount", {"$more_than": [1000]}, False),
        ("order.items.price", {"$is": [500]}, True),
    ],
)
def test_a_rule_under_a_rule_asks_only_the_lines_that_match(
    part: str, conditions: dict[str, Any], expected: bool
) -> None:
    """Two mugs at 500: the pen beside them does not count."""
    inner = {"1": {"name": part, "conditions": conditions}, "logic": "1"}
    assert (judged("val_1", one("order.items.any", {"$is": [{"id": "mug"}]}, rules=inner), FACTS) is None) is expected


def test_every_line_or_one_line() -> None:
    """Under `order.items.every` each matching line must satisfy the rule beneath, under `any` one."""
    inner = {"1": {"name": "order.items.metadata", "property": "gift", "conditions": {"$is": [True]}}, "logic": "1"}
    both = {"$is": [{"id": "prod_1"}, {"id": "prod_2"}]}
    answers = [
        judged("val_1", one(name, both, rules=inner), FACTS) is None
        for name in ("order.items.any", "order.items.every")
    ]
    assert answers == [True, False]


@pytest.mark.parametrize(
    ("name", "key", "facts", "expected"),
    [
        ("customer.metadata", "x", FACTS, "customer_rules_violated"),
        ("order.metadata", "x", FACTS, "order_rules_violated"),
        ("product.metadata", "x", FACTS, "order_rules_violated"),
        ("redemption.metadata", "x", FACTS, "redemption_rules_violated"),
        ("customer.metadata", "x", Facts(NOW), "missing_customer"),
        ("redemption.count.per_customer", None, Facts(NOW), "missing_customer"),
        ("order.amount", None, Facts(NOW), "missing_order"),
        ("order.items.count", None, Facts(NOW, order=ORDER), "missing_order_items"),
    ],
)
def test_the_key_of_a_refusal_says_what_it_is_about(name: str, key: str | None, facts: Facts, expected: str) -> None:
    """Customer, order or redemption; and what the request would have needed."""
    failure = judged("val_1", one(name, {"$is": [77]}, key), facts)
    assert failure is not None
    assert failure.key == expected


def test_a_negation_about_nobody_does_not_hold() -> None:
    """ "Not in this segment" needs a customer: somebody unknown is refused, not let through."""
    failure = judged("val_1", one("customer.segment", {"$is_not": ["seg_out"]}), Facts(NOW))
    assert failure is not None
    assert failure.key == "missing_customer"


def test_the_message_of_the_rule_that_is_to_blame_is_told() -> None:
    """Its own first, else the definition's, else none at all."""
    rules = {
        "1": {"name": "order.amount", "conditions": {"$more_than": [5000]}, "error": {"message": "Buy more."}},
        "2": {"name": "order.metadata", "property": "shop", "conditions": {"$is": ["Rome"]}},
    }
    told = {}
    for words in ("1", "2"):
        failure = judged("val_1", definition({**rules, "logic": words}, error={"message": "No."}), FACTS)
        assert failure is not None
        told[words] = failure.body("v-1")["error"]["message"]
    assert told == {"1": "Buy more.", "2": "No."}
    silent = judged("val_1", definition({**rules, "logic": "2"}), FACTS)
    assert silent is not None
    assert "error" not in silent.body("v-1")


def test_a_discount_on_products_needs_one_of_them() -> None:
    """`applicable_to`: included, without what is excluded; all but what is excluded; and nothing left is a refusal."""
    mug, pen = {"object": "product", "id": "prod_1"}, {"object": "product", "source_id": "pen"}
    cases: list[tuple[dict[str, Any], list[int] | None]] = [
        ({}, None),
        ({"included": [mug]}, [0]),
        ({"included": [mug], "excluded": [mug]}, []),
        ({"included_all": True, "excluded": [pen]}, [0]),
        ({"included": [{"object": "sku", "source_id": "red"}]}, [1]),
    ]
    for chosen, expected in cases:
        doc = definition({}, applicable_to=chosen)
        assert places(doc, FACTS.items) == expected
        assert (judged("val_1", doc, FACTS) is None) is (expected != [])


def test_counts_take_in_the_attempt_and_their_own_time() -> None:
    """One earlier redemption and this one are two; every counting rule reads its own count."""
    for name in sorted(COUNTS):
        rule = {"name": name, "conditions": {"$less_than_or_equal": [2]}}
        assert is_true(rule, Facts(NOW, CUSTOMER, counts={name: 1}))
        assert not is_true(rule, Facts(NOW, CUSTOMER, counts={name: 2}))


@given(st.integers(0, 10**10).map(lambda seconds: NOW + timedelta(seconds=seconds / 60)))
def test_days_weeks_and_months_begin_at_midnight(now: datetime) -> None:
    """Law: each period began, not longer ago than it lasts; a week began on a Monday, a month on its first."""
    day, week, month = (since(f"redemption.count.{period}", now) for period in ("daily", "weekly", "monthly"))
    assert day is not None
    assert week is not None
    assert month is not None
    assert now - timedelta(days=1) < day <= now
    assert (week.weekday(), month.day, since("campaign.redemptions.count", now)) == (0, 1, None)
    assert now - timedelta(days=7) < week <= day
    assert month <= day


@pytest.mark.parametrize(
    "rule",
    [
        {"name": "campaign.orders.amount", "conditions": {"$less_than": [5]}},
        {"name": "redemption.api_key", "conditions": {"$is": ["k"]}},
        {"name": "order.amount", "conditions": {"$timeframe": ["x"]}},
        {"name": "order.amount", "conditions": {"$contains": ["1"]}},
        {"name": "order.items.any", "conditions": {"$from": [{"id": "x"}]}},
        {"name": "order.amount", "conditions": {"$is": [1]}, "rules": {"1": {"name": "order.amount"}}},
        {
            "name": "product.id",
            "conditions": {"$is": [{"id": "x"}]},
            "rules": {"1": {"name": "product.discount_applicable", "conditions": {"$is": [True]}}},
        },
        {
            "name": "product.id",
            "conditions": {"$is_not": [{"id": "x"}]},
            "rules": {"1": {"name": "product.quantity", "conditions": {"$is": [1]}}},
        },
        {"name": "order.items.metadata", "property": "x", "conditions": {"$is": [1]}},
    ],
)
def test_what_would_not_be_carried_out_is_not_taken(rule: dict[str, Any]) -> None:
    """A kind, an operator, a rule in a wrong place: 501 when it is made."""
    with pytest.raises(NotEmulated):
        read({"rules": {"1": rule}})


@pytest.mark.parametrize(
    "chosen",
    [{"included": [{"id": "x", "repeat": 2}]}, {"included": [{"id": "x", "product_campaign_quantity_limit": 5}]}],
)
def test_special_applications_are_not_taken(chosen: dict[str, Any]) -> None:
    """Every second unit, and limits over all orders of a campaign are not emulated, and said to be so."""
    with pytest.raises(NotEmulated):
        read({"applicable_to": chosen})
