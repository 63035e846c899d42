"""The baskets of the floor."""

from app.orders.models import Product
from pos_simulator.demo import basket

PRICES = {"coffee": 380, "tea": 290, "croissant": 260, "salad": 740, "fuel": 1650, "wash": 1450}
PRODUCTS = [Product(id=name, name=name, category="", price=price) for name, price in PRICES.items()]


def worth(number: int) -> int:
    return sum(PRICES[line.product_id] * line.quantity for line in basket(PRODUCTS, number))


def test_baskets_differ_and_repeat() -> None:
    """The next basket is another one, and the same number is the same basket again."""
    assert basket(PRODUCTS, 1) == basket(PRODUCTS, 1)
    assert len({tuple(basket(PRODUCTS, number)) for number in range(8)}) == 8


def test_the_first_basket_earns_a_coupon_and_some_do_not() -> None:
    """Whoever presses Pay first sees a coupon (over 15.00); later baskets show both cases."""
    assert worth(0) > 1500
    assert {worth(number) > 1500 for number in range(8)} == {True, False}


def test_a_poor_catalogue_still_makes_baskets() -> None:
    """One dear product is sold as it is, and nothing to sell makes an empty basket."""
    dear = [Product(id="car", name="Car", category="", price=2_000_000)]
    assert [line.product_id for line in basket(dear, 0)] == ["car"]
    assert basket([], 0) == []
