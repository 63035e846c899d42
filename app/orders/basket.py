"""Pricing a basket: pure. Prices come from the catalogue only; money in minor units."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app import money
from app.errors import BadInput
from app.orders.models import Location, Product

MAX_LINES = 100
MAX_QUANTITY = 1000


@dataclass(frozen=True)
class Line:
    """What somebody wants to buy."""

    product_id: str
    quantity: int


@dataclass(frozen=True)
class Totals:
    """What there is to pay, minor units."""

    amount: int
    discount: int
    tax: int
    total: int


def price(lines: Sequence[Line], products: Mapping[str, Product]) -> list[dict[str, Any]]:
    """The lines with name, price and amount; the same product twice becomes one line."""
    if not lines:
        raise BadInput("lines must have at least one product.", field="lines")
    if len(lines) > MAX_LINES:
        raise BadInput(f"lines may have {MAX_LINES} products at most.", field="lines")
    quantities: dict[str, int] = {}
    for index, line in enumerate(lines):
        product = products.get(line.product_id)
        if product is None or not product.active:
            raise BadInput(f"lines[{index}].product_id {line.product_id!r} is not in the catalogue.", field="lines")
        quantities[line.product_id] = quantities.get(line.product_id, 0) + line.quantity
    for product_id, quantity in quantities.items():
        if not 1 <= quantity <= MAX_QUANTITY:
            raise BadInput(f"The quantity of {product_id} must be between 1 and {MAX_QUANTITY}.", field="lines")
    return [
        {
            "product_id": product_id,
            "name": products[product_id].name,
            "category": products[product_id].category,
            "quantity": quantity,
            "price": products[product_id].price,
            "amount": products[product_id].price * quantity,
        }
        for product_id, quantity in quantities.items()
    ]


def totals(lines: Sequence[Mapping[str, Any]], discount: int, location: Location) -> Totals:
    """Discount first, then tax: in the price or on top of it, as the location has it."""
    amount = sum(line["amount"] for line in lines)
    discount = min(discount, amount)
    tax = money.tax_of(amount - discount, location.tax_rate, location.tax_included)
    total = amount - discount + (0 if location.tax_included else tax)
    return Totals(amount=amount, discount=discount, tax=tax, total=total)
