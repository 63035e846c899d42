"""What the demo shows of an order's road."""

import json
from typing import Any

import pytest

from scripts.lib import order
from scripts.lib.order import Placed

URLS = {"web": "http://127.0.0.1:8000", "sandbox": "http://127.0.0.1:8100"}


def step(number: int, **other: Any) -> dict[str, Any]:
    common = {"step": number, "name": f"s{number}", "title": f"Step {number}", "where": "app/x.py", "state": "done"}
    return {**common, "at_ms": number * 10.4, "sent": None, "received": None, "note": None, **other}


def placed(*steps: dict[str, Any], missing: tuple[str, ...] = ()) -> Placed:
    return Placed(
        order={"id": "o1", "number": 1001, "total": 3480, "currency": "USD"},
        member={"id": "m1", "phone": "+48601234567", "first_name": "Mia", "last_name": "Nowak"},
        trace={
            "steps": list(steps),
            "missing": list(missing),
            "points": 34,
            "coupon": "BIG-1",
            "profile": {"points": 84},
        },
    )


def test_the_json_has_these_keys_and_no_others(capsys: pytest.CaptureFixture[str]) -> None:
    """--json prints one object with exactly the documented keys on stdout, and the exit code is 0."""
    assert order.show(placed(step(1)), URLS, as_json=True) == 0
    said = json.loads(capsys.readouterr().out)
    assert list(said) == ["order_id", "member", "points", "coupon", "steps", "profile", "urls"]
    assert said["member"] == {"id": "m1", "phone": "+48601234567"}
    assert said["urls"] == URLS


@pytest.mark.parametrize("as_json", [True, False])
def test_a_missing_step_is_named(capsys: pytest.CaptureFixture[str], as_json: bool) -> None:
    """A road that is not whole ends with 1, and stderr names what is missing; stdout stays what it is."""
    assert order.show(placed(step(1), step(2, state="waiting", at_ms=None), missing=("s2",)), URLS, as_json) == 1
    told = capsys.readouterr()
    assert told.err == "Missing after 30 s: s2.\n"
    assert "s2" in told.out if as_json else "[waiting]" in told.out


def test_each_step_shows_when_what_and_where() -> None:
    """A step has its time in whole ms, title, file, what was sent and answered; long values are cut to the screen."""
    text = order.lines(
        placed(step(1, sent={"a": 1}, received="x" * 500), step(2, state="skipped", at_ms=None, note="None.")), 60
    )
    assert "Order 1001  ·  34.80 USD  ·  Mia Nowak +48601234567" in text
    assert " 1     10 ms  Step 1  (app/x.py)" in text
    assert '              → {"a": 1}' in text
    assert all(len(line) <= 60 for line in text)
    assert " 2            Step 2  [skipped]  (app/x.py)" in text
    assert "                None." in text
    assert text[-3:] == ["Points   34", "Coupon   BIG-1", 'Profile  {"points": 84}']


def test_the_basket_is_worth_the_coupon() -> None:
    """The basket of the demo is over the threshold of the function that ships, whatever the order of the catalogue."""
    from app.demo.shop import PRODUCTS
    from functions.voucherify import Settings

    prices = {product["id"]: product["price"] for product in PRODUCTS}
    for products in (PRODUCTS, PRODUCTS[::-1]):
        total = sum(prices[line["product_id"]] * line["quantity"] for line in order.basket(products))
        assert total / 100 > Settings().coupon_above
