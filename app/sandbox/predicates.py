"""What each kind of rule looks at, and whether it is true. Pure: the facts are gathered by `conditions.py`.

documented: the names, and what they are about. inferred: a count takes in the redemption that is tried (published
samples of `$less_than_or_equal` 1 are named "once"); `order.amount` and `order.initial_amount` are the amount before
discounts, `order.total_amount` what is left of it when the rule is asked; `order.items.count` counts units; days,
weeks and months are those of UTC.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from app.sandbox import logic, operators
from app.sandbox.fidelity import documented, inferred

PERIODS = ("daily", "weekly", "monthly")
_ORDER_NUMBERS = {"order.amount": "amount", "order.initial_amount": "amount", "order.total_amount": "total_amount"}
METADATA = (
    *("customer.metadata", "order.metadata", "redemption.metadata", "custom_event.metadata", "product.metadata"),
    *("order.items.metadata", "order.items.metadata_any", "order.items.metadata_each"),
)
"""Rules about one key, named by `property`."""
ITEMS = ("order.items.any", "order.items.every", "order.items.none")
THINGS = ("product.id", "sku.id")
_BASES = (
    *("redemption.count", "redemption.count.per_customer"),
    *("campaign.redemptions.count", "campaign.redemptions.customers_count"),
)
COUNTS = frozenset({*_BASES[1:], *(f"{base}.{period}" for base in _BASES for period in PERIODS)})
HOLDER = "publication.redeemable_by_linked_customer"
NUMBERS = frozenset({*_ORDER_NUMBERS, "order.items.count", "order.items.price_any", "order.items.price_each", *COUNTS})
NAMES = frozenset({*NUMBERS, *METADATA, *ITEMS, *THINGS, HOLDER, "customer.segment"}) - {"order.items.metadata"}
PARTS = {
    **dict.fromkeys(
        ITEMS[:2],
        (
            *("order.items.quantity", "order.items.aggregated_quantity", "order.items.price"),
            *("order.items.aggregated_amount", "order.items.metadata"),
        ),
    ),
    "product.id": ("product.price", "product.quantity"),
    "sku.id": ("sku.price", "sku.quantity"),
}
"""The rules that may stand under another, by the name of that."""


@dataclass(frozen=True)
class Item:
    """A line of an order, with all names that its product or SKU goes by."""

    products: frozenset[str]
    skus: frozenset[str]
    quantity: int
    amount: int
    price: int | None
    metadata: Mapping[str, Any]
    product_metadata: Mapping[str, Any]
    collections: frozenset[str] = frozenset()
    """The ids of those collections of products that it is in and that the rules name."""
    name: str = ""
    """One name for its product: its id, where the catalogue has it."""


@dataclass(frozen=True)
class Facts:
    """All that rules may ask about one attempt; None where the request has no such thing."""

    now: datetime
    customer: Mapping[str, Any] | None = None
    """The customer's `doc`."""
    order: Mapping[str, Any] | None = None
    items: tuple[Item, ...] = ()
    segments: frozenset[str] = frozenset()
    counts: Mapping[str, int] = field(default_factory=dict)
    held: bool | None = None
    """Whether the customer is who the code was published to."""
    metadata: Mapping[str, Any] | None = None
    """The redemption's."""
    event: Mapping[str, Any] | None = None
    """The custom event's metadata."""
    omitted: frozenset[str] = frozenset()
    """Kinds of rules that are not asked."""


def since(name: str, now: datetime) -> datetime | None:
    """From when on a counting rule counts: the start of today, of this week (Monday) or month; None: for ever."""
    day = now.replace(hour=0, minute=0, second=0, microsecond=0)
    starts = {"daily": day, "weekly": day - timedelta(days=day.weekday()), "monthly": day.replace(day=1)}
    return starts.get(name.rpartition(".")[2])


def missing(name: str, facts: Facts) -> str | None:
    """What a rule needs and the request has not: the key of the refusal."""
    if "customer" in name and facts.customer is None:
        return "missing_customer"
    if name.startswith(("order.", "product.", "sku.")) and facts.order is None:
        return "missing_order"
    if name.startswith(("order.items.", "product.", "sku.")) and not facts.items:
        return "missing_order_items"
    return None


def is_true(rule: Mapping[str, Any], facts: Facts) -> bool:
    """Whether one rule holds. A rule that lacks what it asks about does not."""
    name, conditions = rule["name"], rule["conditions"]
    if missing(name, facts):
        return False
    if name in ITEMS or name in THINGS:
        return _matching_items(rule, facts)
    if name == "customer.segment":
        return all(_in_segments(operator, given, facts) for operator, given in conditions.items())
    if name == "order.items.price_each":
        return all(operators.satisfied(conditions, item.price, facts.now) for item in facts.items)
    if name == "order.items.metadata_each":
        key = rule["property"]
        return all(operators.satisfied(conditions, item.metadata.get(key), facts.now) for item in facts.items)
    return any(operators.satisfied(conditions, value, facts.now) for value in _values(name, rule, facts))


def _values(name: str, rule: Mapping[str, Any], facts: Facts) -> list[Any]:
    """The values of which one must fit."""
    key = str(rule.get("property"))
    order = facts.order or {}
    if name in _ORDER_NUMBERS:
        return [order.get(_ORDER_NUMBERS[name])]
    if name in COUNTS:
        return [facts.counts.get(name, 0) + 1]
    if name == HOLDER:
        return [facts.held]
    if name == "order.items.count":
        return [sum(item.quantity for item in facts.items)]
    if name == "order.items.price_any":
        return [item.price for item in facts.items]
    if name == "order.items.metadata_any":
        return [item.metadata.get(key) for item in facts.items]
    if name == "product.metadata":
        return [item.product_metadata.get(key) for item in facts.items]
    sources = {
        "customer.metadata": (facts.customer or {}).get("metadata"),
        "order.metadata": order.get("metadata"),
        "redemption.metadata": facts.metadata,
        "custom_event.metadata": facts.event,
    }
    return [(sources[name] or {}).get(key)]


def _in_segments(operator: str, given: Any, facts: Facts) -> bool:
    inside = any(each in facts.segments for each in operators.values(given))
    return inside is (operators.canonical(operator) in {"$is", "$in"})


def is_collection(thing: Any) -> bool:
    """Whether a condition names a collection of products in place of a product."""
    return isinstance(thing, dict) and "products_collection" in {thing.get("object"), thing.get("type")}


def matches(item: Item, thing: Any, kind: str = "product") -> bool:
    """Whether a line is of this product or SKU, or in this collection, given as an object with its ids or as one id."""
    if is_collection(thing):
        return thing["id"] in item.collections
    wanted = {thing.get("id"), thing.get("source_id")} if isinstance(thing, dict) else {thing}
    named = item.skus if kind == "sku" else item.products | item.skus
    return not named.isdisjoint(wanted - {None, ""})


def _matching_items(rule: Mapping[str, Any], facts: Facts) -> bool:
    name = rule["name"]
    kind = "sku" if name == "sku.id" else "product"
    wanted: list[Any] = []
    for operator, given in rule["conditions"].items():
        things = operators.values(given)
        if operators.canonical(operator) in {"$is", "$in"}:
            wanted += things
        elif any(matches(item, thing, kind) for item in facts.items for thing in things):
            return False
    if not wanted:
        return True
    found = [item for item in facts.items if any(matches(item, thing, kind) for thing in wanted)]
    if name == "order.items.none":
        return not found
    if not found or (name == "order.items.every" and len(found) < len(facts.items)):
        return False
    parts = rule.get("rules") or {}
    inner = {number: part for number, part in parts.items() if number != "logic"}
    tree = logic.parse(str(parts.get("logic") or ""), inner)
    every = name == "order.items.every"
    return logic.holds(tree, lambda number: _part(inner[number], found, facts.now, every=every))


def _part(rule: Mapping[str, Any], found: list[Item], now: datetime, *, every: bool) -> bool:
    """A rule under another: of the lines that match together, or of one or each of them."""
    name, conditions = rule["name"], rule["conditions"]
    if name == "order.items.aggregated_amount":
        return operators.satisfied(conditions, sum(item.amount for item in found), now)
    if name in {"order.items.aggregated_quantity", "product.quantity", "sku.quantity"}:
        return operators.satisfied(conditions, sum(item.quantity for item in found), now)
    if name == "order.items.metadata":
        values = [item.metadata.get(rule["property"]) for item in found]
    elif name == "order.items.quantity":
        values = [item.quantity for item in found]
    else:
        values = [item.price for item in found]
    return (all if every else any)(operators.satisfied(conditions, value, now) for value in values)


FIDELITY = (
    documented(
        "kinds of validation rules: `customer.segment`, `customer.metadata`; `order.amount`, "
        "`.initial_amount`, `.total_amount`, `.metadata`; `order.items.count`, `.price_any`, "
        "`.price_each`, `.metadata_any`, `.metadata_each`, `.any`, `.every`, `.none`; `product.id`, "
        "`product.metadata`, `sku.id`; `redemption.count.{daily,weekly,monthly}`, "
        "`redemption.count.per_customer`, `campaign.redemptions.count`, "
        "`campaign.redemptions.customers_count`, each of these three also per day, week and month; "
        "`redemption.metadata`, `custom_event.metadata`, `publication.redeemable_by_linked_customer`; "
        "quantity, price, amount and metadata of the lines that match, as rules under `order.items.any`, "
        "`.every`, `product.id` and `sku.id`"
    ),
    inferred(
        'a count takes in the redemption that is tried: `$less_than_or_equal` 1 is "once"',
        "published samples with it are named so",
    ),
    inferred(
        "`order.amount` is the amount before, `order.total_amount` after the discounts so far; "
        "`order.items.count` counts units"
    ),
)
