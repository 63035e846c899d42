"""How much a discount wants to take off an order or each of its lines. Pure; what is taken is up to `effects.py`.

documented: a percentage of what is left or of the amount before all discounts, a new price, an amount off each line,
each unit, or shared out among the lines by amount or by quantity. inferred: percentages and shares round half up, and
the shares add up to the whole; of a line whose units are limited the share of its amount counts.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

Item = dict[str, Any]


@dataclass(frozen=True)
class Line:
    """How much of one line a discount works on; None: all of it, without a limit."""

    units: int | None = None
    amount_limit: int | None = None
    price: int | None = None
    """The new price of a unit, in place of the discount's own."""


@dataclass(frozen=True)
class Scope:
    """The lines that a discount on items works on, by their places, and limits that several of them share."""

    lines: Mapping[int, Line]
    shared: tuple[tuple[frozenset[int], int], ...] = ()

    def without(self, taken: AbstractSet[int]) -> "Scope":
        return Scope({place: line for place, line in self.lines.items() if place not in taken}, self.shared)


def wanted_off(amount: int, discount: Mapping[str, Any]) -> int:
    """What a discount wants to take off this amount."""
    if discount["type"] == "FIXED":
        return max(0, amount - int(discount["fixed_amount"]))
    if discount["type"] == "AMOUNT":
        wanted = int(discount["amount_off"])
    else:
        wanted = half_up(Decimal(amount) * Decimal(str(discount["percent_off"])) / 100)
        wanted = min(wanted, discount.get("amount_limit", wanted))
    return int(min(wanted, discount.get("aggregated_amount_limit", wanted)))


def basis(whole: int, rest: int, discount: Mapping[str, Any], *, initial: bool) -> int:
    """What a percentage is one of: what there was at first, or what is left of it."""
    return int(whole) if initial and discount["type"] == "PERCENT" else rest


def _part(amount: int, item: Item, line: Line) -> int:
    """The share of a line's amount that belongs to the units that are discounted."""
    quantity = quantity_of(item)
    if line.units is None or line.units >= quantity:
        return amount
    return half_up(Decimal(amount) * line.units / quantity)


def _units(item: Item, line: Line) -> int:
    return quantity_of(item) if line.units is None else min(line.units, quantity_of(item))


def shares(lines: list[tuple[Item, Line]], discount: Mapping[str, Any], *, initial: bool) -> list[int]:
    """What a discount on items wants to take off each line."""
    kind, effect = discount["type"], discount["effect"]
    if kind == "PERCENT":
        bases = [basis(item.get("amount", 0), subtotal_of(item), discount, initial=initial) for item, _ in lines]
        return [wanted_off(_part(base, *line), discount) for base, line in zip(bases, lines, strict=True)]
    if kind == "FIXED":
        return [
            max(
                0,
                _part(subtotal_of(item), item, line)
                - (int(discount["fixed_amount"]) if line.price is None else line.price) * _units(item, line),
            )
            for item, line in lines
        ]
    amount = int(discount["amount_off"])
    if effect == "APPLY_TO_ITEMS":
        return [amount if _units(item, line) else 0 for item, line in lines]
    if effect == "APPLY_TO_ITEMS_BY_QUANTITY":
        return [amount * _units(item, line) for item, line in lines]
    by_amount = effect == "APPLY_TO_ITEMS_PROPORTIONALLY"
    weights = [_part(subtotal_of(item), item, line) if by_amount else _units(item, line) for item, line in lines]
    shares, given, counted, whole = [], 0, 0, sum(weights)
    for weight in weights:
        counted += weight
        upto = half_up(Decimal(amount) * counted / whole) if whole else 0
        shares.append(upto - given)
        given = upto
    return shares


def subtotal_of(item: Item) -> int:
    return max(0, int(item.get("amount", 0)) - int(item.get("discount_amount", 0)))


def quantity_of(item: Item) -> int:
    quantity = item.get("quantity")
    return 1 if quantity is None else int(quantity)


def half_up(value: Decimal) -> int:
    return int(value.quantize(Decimal(1), ROUND_HALF_UP))
