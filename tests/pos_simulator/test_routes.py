"""The till's API through real HTTP."""

import random
from typing import Any

import pytest

from tests.house import House


def phone() -> str:
    return f"+4860{random.randrange(10**6, 10**7)}"


def lines(**quantities: int) -> list[dict[str, Any]]:
    return [{"product_id": name, "quantity": quantity} for name, quantity in quantities.items()]


def test_the_catalogue_belongs_to_the_till(house: House) -> None:
    """A till gets its own shop, register, currency, and the products with prices in minor units."""
    with house.till("lima/1") as till:
        catalogue = till.get("/pos/catalogue").json()
    assert (catalogue["location"]["id"], catalogue["register"], catalogue["currency"]) == ("lima", "lima/1", "USD")
    assert {"id": "coffee", "name": "Flat white", "category": "Coffee", "price": 380} in catalogue["products"]


def test_a_quote_prices_a_basket_and_what_a_coupon_takes_off(house: House) -> None:
    """Totals come without and with a coupon, and a quote redeems nothing: it can be asked again."""
    member = house.enrol(phone())
    coupon = house.trace(house.pay(member["id"], {"fuel": 1}).json()["id"])["coupon"]
    with house.till() as till:
        plain = till.post("/pos/quote", json={"lines": lines(coffee=2, tea=1)}).json()
        body = {"lines": lines(coffee=2, tea=1), "member_id": member["id"], "coupon": coupon}
        first, again = (till.post("/pos/quote", json=body).json() for _ in range(2))
    assert (plain["amount"], plain["discount"], plain["total"], plain["coupon"]) == (1050, 0, 1050, None)
    assert (first["discount"], first["total"], first["coupon"]["valid"]) == (105, 945, True)
    assert again == first


def test_a_coupon_that_does_not_work_is_an_answer_with_a_reason(house: House) -> None:
    """An unknown code leaves the price as it is and says why."""
    member = house.enrol(phone())
    body = {"lines": lines(coffee=1), "member_id": member["id"], "coupon": "NO-SUCH-CODE"}
    with house.till() as till:
        quote = till.post("/pos/quote", json=body)
    assert quote.status_code == 200
    assert (quote.json()["total"], quote.json()["coupon"]["valid"]) == (380, False)
    assert quote.json()["coupon"]["reason"]


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"lines": []}, "lines"),
        ({"lines": lines(unicorn=1)}, "unicorn"),
        ({"lines": lines(coffee=0)}, "quantity"),
        ({"lines": [{"product_id": "coffee", "quantity": 1.5}]}, "quantity"),
        ({"lines": [{"product_id": "coffee", "quantity": 1, "price": 1}]}, "price"),
        ({"lines": lines(coffee=1), "coupon": "TEN-1"}, "coupon"),
        ({"lines": lines(coffee=1), "coupon": "TEN\x00"}, "coupon"),
        ({"lines": lines(coffee=1), "member_id": "Mia"}, "member_id"),
    ],
)
def test_a_basket_that_cannot_be_sold_is_refused_by_name(house: House, body: dict[str, Any], named: str) -> None:
    """What is wrong with an order is told as problem+json that names it, and nothing is sold."""
    with house.till() as till:
        answer = till.post("/pos/orders", json=body, headers={"idempotency-key": str(random.random())})
    assert answer.status_code == 400, answer.text
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert named in answer.text


@pytest.mark.parametrize("headers", [{}, {"idempotency-key": "x" * 101}])
def test_an_order_needs_its_key(house: House, headers: dict[str, str]) -> None:
    """Without a key, or with an endless one, nothing is sold: a repetition could not be told from a second sale."""
    with house.till() as till:
        answer = till.post("/pos/orders", json={"lines": lines(coffee=1)}, headers=headers)
    assert answer.status_code == 400
    assert "idempotency" in answer.text.lower()


def test_a_key_counts_within_its_till(house: House) -> None:
    """Two tills may use the same key: each sells its own order."""
    key = f"same-{random.random()}"
    numbers = set()
    for register in ("warsaw/1", "warsaw/2"):
        with house.till(register) as till:
            answer = till.post("/pos/orders", json={"lines": lines(coffee=1)}, headers={"idempotency-key": key})
            numbers.add(answer.json()["number"])
    assert len(numbers) == 2


def test_an_operator_is_not_a_till(house: House) -> None:
    """Selling needs a register's key; an admin's is refused with 403, none at all with 401."""
    with house.operator() as operator:
        assert operator.get("/pos/catalogue").status_code == 403
        assert operator.get("/pos/catalogue", headers={"authorization": ""}).status_code == 401
