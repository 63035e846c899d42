"""What goes together in one redemption: the stacking rules, and how they arrange and limit what is tried. Pure.

documented: the settings with their defaults and bounds; never stackable (exclusive) categories keep common ones out,
always stackable (joint) ones come along; limits in all and by category; the order by the hierarchy of categories, the
request's among equals; what has no effect. inferred: a common redeemable beside an exclusive one that applies is
`exclusion_rules_not_met` wherever it stands; what is in no category comes last by the hierarchy; a category that is
both exclusive and joint is exclusive; the tiers of a promotion stack count as one redeemable, so no limit holds them.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from app.sandbox.errors import NotEmulated, invalid_payload
from app.sandbox.fidelity import documented, inferred
from app.sandbox.read import integer, mapping, one_of, texts

DEFAULTS: dict[str, Any] = {
    "redeemables_limit": 30,
    "applicable_redeemables_limit": 5,
    "applicable_redeemables_per_category_limit": 1,
    "applicable_redeemables_category_limits": {},
    "applicable_exclusive_redeemables_limit": 1,
    "applicable_exclusive_redeemables_per_category_limit": 1,
    "exclusive_categories": [],
    "joint_categories": [],
    "redeemables_application_mode": "ALL",
    "redeemables_sorting_rule": "REQUESTED_ORDER",
    "redeemables_products_application_mode": "STACK",
    "redeemables_no_effect_rule": "REDEEM_ANYWAY",
    "no_effect_skip_categories": [],
    "no_effect_redeem_anyway_categories": [],
    "redeemables_rollback_order_mode": "WITH_ORDER",
    "discount_calculation_mode": "DISCOUNTED_AMOUNT",
    "initial_amount_mode_categories": [],
    "discounted_amount_mode_categories": [],
}
LISTS = tuple(name for name, value in DEFAULTS.items() if isinstance(value, list))
"""The settings that are lists of categories."""
_ONLY_IN_MANAGEMENT = (
    "discount_calculation_mode",
    "initial_amount_mode_categories",
    "discounted_amount_mode_categories",
)
_CHOICES = {
    "redeemables_application_mode": ("ALL", "PARTIAL"),
    "redeemables_sorting_rule": ("CATEGORY_HIERARCHY", "REQUESTED_ORDER"),
    "redeemables_products_application_mode": ("STACK", "ONCE"),
    "redeemables_no_effect_rule": ("REDEEM_ANYWAY", "SKIP"),
    "redeemables_rollback_order_mode": ("WITH_ORDER", "WITHOUT_ORDER"),
    "discount_calculation_mode": ("INITIAL_AMOUNT", "DISCOUNTED_AMOUNT"),
}
_MOST = {
    "redeemables_limit": 30,
    "applicable_redeemables_limit": 30,
    "applicable_redeemables_per_category_limit": 30,
    "applicable_exclusive_redeemables_limit": 5,
    "applicable_exclusive_redeemables_per_category_limit": 5,
}
_WITHIN = (
    ("applicable_redeemables_limit", "redeemables_limit"),
    ("applicable_redeemables_per_category_limit", "applicable_redeemables_limit"),
    ("applicable_exclusive_redeemables_per_category_limit", "applicable_exclusive_redeemables_limit"),
)
_MOST_CATEGORIES = 1000

Categories = Sequence[Mapping[str, Any]]
"""What a redeemable is in, as the API shows them."""


def read(given: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """The settings after a request that names some of them; null names none, for the official SDK sends it so.

    Raises:
        Failure: one is not valid, or two do not fit each other.
    """
    body = dict(given)
    if body.get("grouped_redeemables_sorting_rule") is not None:
        raise NotEmulated("The stacking rule grouped_redeemables_sorting_rule")
    made = {name: before[name] for name in DEFAULTS}
    for name, most in _MOST.items():
        if (value := integer(body, name, least=1, most=most)) is not None:
            made[name] = value
    for name, allowed in _CHOICES.items():
        made[name] = one_of(body, name, allowed) or made[name]
    made |= {name: texts(body, name, most=_MOST_CATEGORIES) for name in LISTS if body.get(name) is not None}
    if body.get(name := "applicable_redeemables_category_limits") is not None:
        limits = mapping(body, name)
        made[name] = {
            each: value
            for each in limits
            if (value := integer(limits, each, least=1, most=made["applicable_redeemables_limit"], at=f".{name}"))
        }
    # Lowering the outer of two limits lowers the inner one that is not named along.
    for inner, outer in _WITHIN:
        if made[inner] > made[outer]:
            if body.get(inner) is not None:
                raise invalid_payload(f"Property .{inner} must be <= {made[outer]}")
            made[inner] = made[outer]
    if both := set(made["no_effect_skip_categories"]) & set(made["no_effect_redeem_anyway_categories"]):
        details = f"Property .no_effect_skip_categories must not overlap with the other: {min(both)}"
        raise invalid_payload(details)
    return made


def shown(rules: Mapping[str, Any]) -> dict[str, Any]:
    """The rules as answers of validations and qualifications carry them."""
    return {name: rules[name] for name in DEFAULTS if name not in _ONLY_IN_MANAGEMENT}


def kind_of(categories: Categories, rules: Mapping[str, Any]) -> str | None:
    """EXCLUSIVE, JOINT, or None: common."""
    kinds = {marked_kind(each["id"], rules) for each in categories}
    return "EXCLUSIVE" if "EXCLUSIVE" in kinds else "JOINT" if "JOINT" in kinds else None


def marked_kind(category: str, rules: Mapping[str, Any]) -> str | None:
    if category in rules["exclusive_categories"]:
        return "EXCLUSIVE"
    return "JOINT" if category in rules["joint_categories"] else None


def marked(categories: Categories, rules: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Categories as answers about redeemables carry them."""
    return [
        {**each, **({"stacking_rules_type": kind} if (kind := marked_kind(each["id"], rules)) else {})}
        for each in categories
    ]


def place(categories: Categories, rules: Mapping[str, Any]) -> int:
    """By what redeemables are sorted; equals stay in the order of the request."""
    if rules["redeemables_sorting_rule"] == "REQUESTED_ORDER":
        return 0
    return min((int(each["hierarchy"]) for each in categories), default=2**31)


def by_initial_amount(categories: Categories, rules: Mapping[str, Any]) -> bool:
    """Whether a percentage is one of what the order was before all discounts."""
    return _switched(
        categories,
        rules["initial_amount_mode_categories"],
        rules["discounted_amount_mode_categories"],
        default=rules["discount_calculation_mode"] == "INITIAL_AMOUNT",
    )


def skips_without_effect(categories: Categories, rules: Mapping[str, Any]) -> bool:
    return _switched(
        categories,
        rules["no_effect_skip_categories"],
        rules["no_effect_redeem_anyway_categories"],
        default=rules["redeemables_no_effect_rule"] == "SKIP",
    )


def _switched(categories: Categories, on: Sequence[str], off: Sequence[str], *, default: bool) -> bool:
    ids = {each["id"] for each in categories}
    return True if ids & set(on) else False if ids & set(off) else default


class Counts:
    """How many have been applied in one request, and what is full."""

    def __init__(self, rules: Mapping[str, Any], *, unlimited: bool = False) -> None:
        self._rules, self._unlimited = rules, unlimited
        self._all = self.exclusive = 0
        self._by_category: Counter[str] = Counter()

    def full(self, categories: Categories) -> str | None:
        """The key of the limit that keeps one more of these categories out."""
        if self._unlimited:
            return None
        rules = self._rules
        exclusive = kind_of(categories, rules) == "EXCLUSIVE"
        if self._all >= rules["applicable_redeemables_limit"]:
            return "applicable_redeemables_limit_exceeded"
        if exclusive and self.exclusive >= rules["applicable_exclusive_redeemables_limit"]:
            return "applicable_exclusive_redeemables_limit_exceeded"
        for category in (each["id"] for each in categories):
            if category in rules["exclusive_categories"]:
                most = rules["applicable_exclusive_redeemables_per_category_limit"]
                key = "applicable_exclusive_redeemables_per_category_limit_exceeded"
                if self._by_category[category] >= most:
                    return key
            limits = rules["applicable_redeemables_category_limits"]
            most = limits.get(category, rules["applicable_redeemables_per_category_limit"])
            if self._by_category[category] >= most:
                return "applicable_redeemables_per_category_limit_exceeded"
        return None

    def add(self, categories: Categories) -> None:
        self._all += 1
        self.exclusive += kind_of(categories, self._rules) == "EXCLUSIVE"
        self._by_category.update(each["id"] for each in categories)


FIDELITY = (
    documented(
        "**Stacking rules**: application mode `ALL` and `PARTIAL`, limits in all, by category and of exclusive ones, "
        "exclusive and joint categories, the order of the request or of the hierarchy, percentages of the initial or "
        "the discounted amount, one discount for a product (`ONCE`), what has no effect, rollbacks with and without "
        "the order"
    ),
    inferred(
        "a common redeemable beside an exclusive one that applies is skipped wherever it stands; what is in no "
        "category comes last by the hierarchy; the tiers of a promotion stack count as one redeemable; `ONCE` is about "
        "discounts on items; without an order nothing is said to have no effect"
    ),
)
