"""How many points an earning rule gives. Pure.

documented: the calculation types and what each counts; free items don't count in a quantity; a tier multiplies what a
rule gives, or replaces it. inferred: points for every full step of `every`; a property that is no number, or is not
there, gives nothing; what a tier multiplies is rounded to the nearest whole number, a half up.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Any

BASES = {
    "ORDER_AMOUNT": ("order", "amount"),
    "ORDER_TOTAL_AMOUNT": ("order", "total_amount"),
    "ORDER_METADATA": ("order", "metadata"),
    "ORDER_ITEMS_QUANTITY": ("order_items", "quantity"),
    "ORDER_ITEMS_AMOUNT": ("order_items", "amount"),
    "ORDER_ITEMS_SUBTOTAL_AMOUNT": ("order_items", "subtotal_amount"),
    "CUSTOMER_METADATA": ("customer", "metadata"),
    "CUSTOM_EVENT_METADATA": ("custom_event", "metadata"),
}
"""Where each calculation type has its step: the object in the rule, and the property in that."""
_MOST = 2**53 - 1


@dataclass(frozen=True)
class Basis:
    """What there is to count: the order, the metadata of customer and custom event, and which items a rule means."""

    order: Mapping[str, Any] | None = None
    customer: Mapping[str, Any] | None = None
    custom_event: Mapping[str, Any] | None = None
    matches: Callable[[Mapping[str, Any]], bool] = lambda _: False


def points(rule: Mapping[str, Any], order: Mapping[str, Any] | None, basis: Basis | None = None) -> int:
    """What a rule's `loyalty` gives for an order (None: something else happened)."""
    if rule["type"] == "FIXED":
        return int(rule["points"])
    basis = basis or Basis(order)
    owner, name = BASES[rule["calculation_type"]]
    step = rule[owner][name]
    amount = _amount(owner, name, step, basis)
    return min(int(amount // int(step["every"])) * int(step["points"]), _MOST) if amount > 0 else 0


def _amount(owner: str, name: str, step: Mapping[str, Any], basis: Basis) -> Fraction:
    order = basis.order or {}
    if owner == "order_items":
        return Fraction(sum(_of_items(name, (item for item in order.get("items") or [] if basis.matches(item)))))
    if name == "metadata":
        metadata = {
            "order": order.get("metadata"),
            "customer": basis.customer,
            "custom_event": basis.custom_event,
        }[owner]
        return _number((metadata or {}).get(step["property"]))
    return Fraction(order.get(name) or 0)


def _of_items(name: str, items: Iterable[Mapping[str, Any]]) -> Iterable[int]:
    for item in items:
        if name != "quantity":
            yield item.get(name, item.get("amount")) or 0
        elif item.get("amount") != 0:
            yield max(0, item.get("quantity", 1) - (item.get("discount_quantity") or 0))


def _number(value: Any) -> Fraction:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return Fraction(0)
    return Fraction(str(value))  # as it is written: 0.3 is three tenths


def mapped(given: int, mapping: Mapping[str, Any] | None) -> int:
    """What a holder gets of it by the mapping of their tier."""
    if mapping is None:
        return given
    if mapping["type"] == "CUSTOM":
        return int(mapping["points"])
    product = Decimal(given) * Decimal(str(mapping["multiplier"]))
    return min(int(product.to_integral_value(ROUND_HALF_UP)), _MOST)
