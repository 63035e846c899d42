"""Money and prices: pure, by table and by law."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import money
from app.errors import BadInput
from app.members.models import Member
from app.orders.basket import Line, price, totals
from app.orders.models import Location, Order, Product
from app.orders.translate import order_completed, voucherify_order

CURRENCIES = ("USD", "EUR", "PLN", "JPY", "KWD")
AMOUNTS = st.integers(-(10**12), 10**12)


def location(rate: int, *, included: bool, currency: str = "USD") -> Location:
    return Location(
        id="here",
        name="Here",
        brand="Corner & Co.",
        currency=currency,
        tax_rate=rate,
        tax_included=included,
        time_zone="Europe/Warsaw",
        locale="pl-PL",
        registers=1,
    )


def product(id_: str = "tea", cost: int = 290, *, active: bool = True) -> Product:
    return Product(id=id_, name=id_.title(), category="Coffee", price=cost, active=active)


@pytest.mark.parametrize(
    ("amount", "discount", "rate", "included", "tax", "total"),
    [
        (1000, 0, 800, True, 74, 1000),  # 74.07
        (1000, 0, 800, False, 80, 1080),
        (1000, 100, 800, True, 67, 900),  # 66.67
        (1000, 100, 800, False, 72, 972),
        (1450, 145, 800, True, 97, 1305),  # 96.67
        (999, 0, 888, False, 89, 1088),  # 88.71
        (50, 0, 500, False, 3, 53),  # 2.5: half a unit rounds up
        (49, 0, 500, False, 2, 51),  # 2.45
        (21, 0, 500, True, 1, 21),
        (1000, 0, 0, True, 0, 1000),
        (1000, 0, 0, False, 0, 1000),
        (1000, 1000, 800, False, 0, 0),
        (1000, 5000, 800, False, 0, 0),  # a discount never pays money out
        (1, 0, 2000, True, 0, 1),
        (10**9, 0, 10_000, False, 10**9, 2 * 10**9),
    ],
)
def test_what_there_is_to_pay(amount: int, discount: int, rate: int, included: bool, tax: int, total: int) -> None:
    """Discount comes first, then tax: inside the price or on top of it, rounded half up."""
    found = totals([{"amount": amount}], discount, location(rate, included=included))
    assert (found.amount, found.discount, found.tax, found.total) == (amount, min(discount, amount), tax, total)


@given(st.integers(0, 10**10), st.integers(0, 10**10), st.integers(0, 10_000), st.booleans())
def test_totals_add_up(amount: int, discount: int, rate: int, included: bool) -> None:
    """For any basket: what is paid is the amount less the discount, plus the tax where it is on top, never negative."""
    found = totals([{"amount": amount}], discount, location(rate, included=included))
    assert 0 <= found.discount <= amount
    assert found.total == amount - found.discount + (0 if included else found.tax)
    assert 0 <= found.tax <= found.total
    without = found.total - found.tax
    assert abs(without * rate - found.tax * 10_000) <= 10_000  # the tax is the rate's, to one unit


@given(AMOUNTS, st.sampled_from(CURRENCIES))
def test_minor_undoes_major(amount: int, currency: str) -> None:
    """Major units and back lose nothing, with two, three and no digits."""
    assert money.minor(money.major(amount, currency), currency) == amount
    assert money.minor(str(money.major(amount, currency)), currency) == amount


@pytest.mark.parametrize(
    ("amount", "currency", "major", "shown"),
    [
        (1840, "USD", 18.4, "18.40"),
        (1840, "JPY", 1840.0, "1,840"),
        (1840, "KWD", 1.84, "1.840"),
        (-5, "EUR", -0.05, "-0.05"),
    ],
)
def test_minor_units_are_the_currencys_own(amount: int, currency: str, major: float, shown: str) -> None:
    """A yen has no minor unit and a dinar a thousand."""
    assert (money.major(amount, currency), money.shown(amount, currency)) == (major, shown)


@pytest.mark.parametrize(("major", "minor"), [(0.1 + 0.2, 30), (1.005, 101), ("18.4", 1840), (1e-9, 0), (2.675, 268)])
def test_major_units_round_as_they_are_written(major: float | str, minor: int) -> None:
    """What a float shows is what counts, half a unit goes up: 1.005 is 1.01 for people."""
    assert money.minor(major, "USD") == minor


def test_prices_come_from_the_catalogue() -> None:
    """Lines get name and price of the catalogue, and the same product twice becomes one line."""
    lines = price([Line("tea", 1), Line("bun", 2), Line("tea", 2)], {"tea": product(), "bun": product("bun", 100)})
    assert [(line["product_id"], line["quantity"], line["price"], line["amount"]) for line in lines] == [
        ("tea", 3, 290, 870),
        ("bun", 2, 100, 200),
    ]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([], "at least one"),
        ([Line("tea", 1)] * 101, "100 products at most"),
        ([Line("tea", 1), Line("gone", 1)], r"lines\[1\]\.product_id 'gone'"),
        ([Line("old", 1)], "not in the catalogue"),
        ([Line("tea", 0)], "between 1 and 1000"),
        ([Line("tea", -1)], "between 1 and 1000"),
        ([Line("tea", 600), Line("tea", 600)], "between 1 and 1000"),
        ([Line("tea", 2), Line("tea", -1), Line("bun", 1001)], "quantity of bun"),
    ],
)
def test_a_basket_that_is_none_is_refused(lines: list[Line], said: str) -> None:
    """An empty basket, unknown or withdrawn goods, and absurd quantities are refused with the place of the mistake."""
    catalogue = {"tea": product(), "bun": product("bun"), "old": product("old", active=False)}
    with pytest.raises(BadInput, match=said) as caught:
        price(lines, catalogue)
    assert caught.value.extra == {"field": "lines"}


def paid_order(lines: list[dict[str, Any]], discount: int, place: Location, **more: Any) -> Order:
    due = totals(lines, discount, place)
    moment = datetime(2026, 7, 1, 12, tzinfo=UTC)
    return Order(
        client="register:here/1",
        idempotency_key="k",
        request_hash="h",
        source="till",
        location_id=place.id,
        status="PAID",
        currency=place.currency,
        lines=lines,
        amount=due.amount,
        discount=due.discount,
        tax=due.tax,
        total=due.total,
        created_at=moment,
        touched_at=moment,
        paid_at=moment,
        **more,
    )


BASKETS = st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 1000)), min_size=1, max_size=20).map(
    lambda pairs: price(
        [Line(str(index), quantity) for index, (_, quantity) in enumerate(pairs)],
        {str(index): product(str(index), cost) for index, (cost, _) in enumerate(pairs)},
    )
)


@given(BASKETS, st.integers(0, 10**9), st.integers(0, 3000), st.booleans(), st.sampled_from(CURRENCIES))
def test_the_message_adds_up(
    lines: list[dict[str, Any]], discount: int, rate: int, included: bool, currency: str
) -> None:
    """In `Order Completed` products, discount, tax, revenue and total add up to the unit, in any currency."""
    place = location(rate, included=included, currency=currency)
    order = paid_order(lines, discount, place)
    properties = order_completed(order, place, None)["properties"]

    def minor(name: str) -> int:
        return money.minor(properties[name], currency)

    goods = sum(money.minor(each["price"], currency) * each["quantity"] for each in properties["products"])
    assert goods == order.amount == sum(item["amount"] for item in voucherify_order(order, place)["items"])
    assert minor("total") == order.total == goods - minor("discount") + (0 if included else minor("tax"))
    assert minor("revenue") + minor("tax") == minor("total")
    assert [each["position"] for each in properties["products"]] == list(range(1, len(lines) + 1))


def test_the_message_has_what_segment_and_voucherify_read() -> None:
    """`Order Completed` has the fields of Segment's e-commerce spec, and metadata and card for Voucherify's mapping."""
    place = location(800, included=True)
    member = Member(id=uuid4(), phone="+48601234567", card="CC-1", source="till", created_at=datetime.now(UTC))
    order = paid_order(
        price([Line("tea", 2)], {"tea": product()}), 58, place, coupon="TEN-1", redemption={"order_status": "CREATED"}
    )
    message = order_completed(order, place, member)
    assert (message["type"], message["event"], message["userId"]) == ("track", "Order Completed", str(member.id))
    assert (message["messageId"], message["timestamp"]) == (f"order-completed:{order.id}", "2026-07-01T12:00:00.000Z")
    properties = message["properties"]
    spec = {
        name: properties[name] for name in ("order_id", "total", "revenue", "tax", "discount", "currency", "coupon")
    }
    assert spec == {
        "order_id": str(order.id),
        "total": 5.22,
        "revenue": 4.83,
        "tax": 0.39,
        "discount": 0.58,
        "currency": "USD",
        "coupon": "TEN-1",
    }
    assert properties["products"] == [
        {
            "product_id": "tea",
            "sku": "tea",
            "name": "Tea",
            "category": "Coffee",
            "brand": "Corner & Co.",
            "price": 2.9,
            "quantity": 2,
            "position": 1,
        }
    ]
    assert properties["loyalty"] == {"code": "CC-1"}
    assert all(isinstance(value, str | int) for value in properties["metadata"].values())
    assert properties["voucherify_order_status"] == "CREATED"


def test_somebody_who_is_no_member_is_anonymous() -> None:
    """An order without a member has an anonymousId of its own and no userId: no two strangers become one person."""
    place = location(800, included=True)
    order = paid_order(price([Line("tea", 1)], {"tea": product()}), 0, place)
    message = order_completed(order, place, None)
    assert "userId" not in message
    assert message["anonymousId"] == f"order:{order.id}"
    assert "loyalty" not in message["properties"]
