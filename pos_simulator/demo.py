"""Baskets for the floor, each another one: pure."""

from collections.abc import Sequence
from random import Random

from app.orders.basket import Line
from app.orders.models import Product

WORTH = (1700, 600, 2600, 1100)
"""What baskets come to at least, minor units, in turn: some are over the threshold of the demo's coupon, some not."""
MOST_LINES = 4


def basket(products: Sequence[Product], number: int) -> list[Line]:
    """Demo basket `number`: the same for the same catalogue. Empty only when there is nothing to sell."""
    choice = Random(number)  # noqa: S311 - a demo basket is no secret
    worth, lines, total = WORTH[number % len(WORTH)], dict[str, int](), 0
    # One dear product would be the whole basket, and one line makes a dull receipt.
    fitting = [product for product in products if product.price <= worth / 2] or list(products)
    kinds = choice.sample(fitting, min(MOST_LINES, len(fitting)))
    while kinds and total < worth:
        product = kinds[len(lines)] if len(lines) < len(kinds) else choice.choice(kinds)
        lines[product.id] = lines.get(product.id, 0) + 1
        total += product.price
    return [Line(product_id, quantity) for product_id, quantity in lines.items()]
