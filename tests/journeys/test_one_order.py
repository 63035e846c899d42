"""One order on its whole road, through real processes."""

import random
import time
from typing import Any

import pytest

from tests.house import House

STEPS = [
    "till", "pending", "redeem", "paid", "relay", "door", "route", "function", "deliver", "voucherify", "webhook",
    "profile", "screen",
]  # fmt: skip


def phone() -> str:
    return f"+4860{random.randrange(10**6, 10**7)}"


def ledger(house: House, member: dict[str, Any]) -> list[int]:
    """The points of each transaction of the member's card, as the sandbox has them."""
    found = house.voucherify("GET", f"/v1/loyalties/members/{member['card']}/transactions")
    return [row["details"]["balance"]["points"] for row in found["data"]]


def test_an_order_reaches_the_phone_with_points_and_a_coupon(house: House) -> None:
    """A paid basket over the limit earns its points and one coupon, and every step of the road says what happened."""
    member = house.enrol(phone())
    order = house.pay(member["id"], {"fuel": 1, "coffee": 2}).json()
    trace = house.trace(order["id"])
    assert [step["name"] for step in trace["steps"]] == STEPS
    assert {step["state"] for step in trace["steps"] if step["name"] != "redeem"} == {"done"}
    assert trace["points"] == 24
    assert trace["profile"]["loyalty"]["balance"] == 50 + 24
    assert [coupon["code"] for coupon in trace["profile"]["coupons"]] == [trace["coupon"]]


def test_a_coupon_is_redeemed_once_and_lowers_the_order(house: House) -> None:
    """The coupon of one order takes 10 % off the next, earns on what is left, and is refused the second time."""
    member = house.enrol(phone())
    first = house.trace(house.pay(member["id"], {"fuel": 1}).json()["id"])
    second = house.pay(member["id"], {"wash-full": 1}, coupon=first["coupon"])
    assert second.status_code == 201
    assert (second.json()["discount"], second.json()["total"]) == (145, 1305)
    trace = house.trace(second.json()["id"])
    assert trace["points"] == 13
    assert trace["profile"]["coupons"] == []
    third = house.pay(member["id"], {"wash-full": 1}, coupon=first["coupon"])
    assert third.status_code == 422
    assert "used already" in third.json()["detail"]


def test_the_same_key_gets_the_same_answer(house: House) -> None:
    """A repeated call returns the first order, and another basket under the same key is refused with 409."""
    member = house.enrol(phone())
    first = house.pay(member["id"], {"coffee": 1}, key="again-" + member["id"])
    again = house.pay(member["id"], {"coffee": 1}, key="again-" + member["id"])
    other = house.pay(member["id"], {"coffee": 2}, key="again-" + member["id"])
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    assert other.status_code == 409
    assert "Idempotency-Key" in other.json()["detail"]


def test_an_order_without_a_member_stays_out_of_voucherify(house: House) -> None:
    """Somebody who is no member can buy; the road ends at the event log and the trace says so."""
    order = house.pay(None, {"coffee": 1}).json()
    trace = house.trace(order["id"])
    assert trace["points"] is None
    assert next(step for step in trace["steps"] if step["name"] == "deliver")["state"] == "skipped"


def test_enrolling_makes_the_customer_with_its_metadata(house: House) -> None:
    """What a member gave at the till is on the customer in Voucherify, metadata that its schema defines as well."""
    member = house.enrol(phone(), "Ada")
    customer = house.voucherify("GET", f"/v1/customers/{member['id']}")
    assert (customer["name"], customer["phone"]) == ("Ada", member["phone"])
    assert customer["metadata"] == {"registered_customer": True, "enrolled_by": "till"}
    assert customer["loyalty"]["campaigns"]["Loyalty Program"]["points"] == 50


@pytest.mark.parametrize("pause", [0.0, 0.03, 0.08, 0.15])
def test_a_worker_killed_in_the_middle_of_a_sale_changes_nothing(house: House, pause: float) -> None:
    """A worker killed at some moment of a sale and started again leaves one order, one earning, one coupon."""
    member = house.enrol(phone())
    order = house.pay(member["id"], {"fuel": 1}).json()
    time.sleep(pause)
    house.kill("worker")
    house.start("worker")
    trace = house.trace(order["id"])
    assert trace["points"] == 16
    assert trace["profile"]["loyalty"]["balance"] == 50 + 16
    assert [coupon["code"] for coupon in trace["profile"]["coupons"]] == [trace["coupon"]]
    assert ledger(house, member) == [16]
    published = house.voucherify("GET", f"/v1/publications?customer={member['id']}&campaign=Big%20basket")
    assert [row["voucher"]["code"] for row in published["publications"]] == [trace["coupon"]]
