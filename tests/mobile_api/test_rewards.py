"""Rewards on the phone, and points by an operator, through real HTTP and all processes."""

import random
import time
from typing import Any

import httpx
import pytest

from tests.house import PATIENCE, House
from tests.mobile_api.test_routes import phone, signed_in


def key() -> dict[str, str]:
    return {"idempotency-key": f"{random.random()}"}


def give(house: House, member_id: str, points: int, headers: dict[str, str] | None = None) -> httpx.Response:
    with house.operator() as operator:
        body = {"points": points, "reason": "Sorry for the cold coffee"}
        return operator.post(f"/members/{member_id}/points", json=body, headers=headers or key())


def wallet(ada: httpx.Client, balance: int) -> dict[str, Any]:
    """The wallet as soon as it has this balance."""
    until = time.monotonic() + PATIENCE
    while True:
        found: dict[str, Any] = ada.get("/phone/me").json()
        if found["balance"] == balance:
            return found
        assert time.monotonic() < until, found
        time.sleep(0.05)


def test_points_given_by_an_operator_buy_a_coffee(house: House) -> None:
    """The points come, the reward is bought once, and its coupon and both movements are in the wallet."""
    number = phone()
    member = house.enrol(number)
    given = give(house, member["id"], 75)
    assert (given.status_code, given.json()["status"], given.json()["points"]) == (201, "DONE", 75)
    with signed_in(house, number) as ada:
        wallet(ada, 125)
        [reward] = ada.get("/phone/rewards").json()
        assert (reward["name"], reward["points"]) == ("Free coffee", 100)
        path, headers = f"/phone/rewards/{reward['id']}/purchases", key()
        bought, again = (ada.post(path, headers=headers) for _ in range(2))
        found = wallet(ada, 25)
        screen = ada.get("/phone/floor").text
        offered = ada.get("/phone/floor/rewards").text
    assert (bought.status_code, again.status_code) == (201, 201)
    assert bought.json() == again.json()
    assert (bought.json()["status"], bought.json()["points"], bought.json()["sentence"]) == ("DONE", -100, None)
    assert [coupon["code"] for coupon in found["coupons"]] == [bought.json()["coupon"]]
    moved = [(movement["points"], movement["type"], movement["reason"]) for movement in found["movements"]]
    assert moved == [(-100, "POINTS_REDEMPTION", "Free coffee"), (75, "POINTS_ADDITION", "Sorry for the cold coffee")]
    assert "Free coffee" in screen
    assert 'data-price="100"' in offered


def test_the_coupon_of_a_reward_pays_at_the_till(house: House) -> None:
    """A coupon that was bought with points takes a coffee off the next basket."""
    number = phone()
    member = house.enrol(number)
    give(house, member["id"], 50)
    with signed_in(house, number) as ada:
        wallet(ada, 100)
        [reward] = ada.get("/phone/rewards").json()
        coupon = ada.post(f"/phone/rewards/{reward['id']}/purchases", headers=key()).json()["coupon"]
    paid = house.pay(member["id"], {"coffee": 2}, coupon=coupon).json()
    assert (paid["amount"], paid["discount"], paid["total"]) == (760, 380, 380)


def test_too_few_points_are_told_in_words(house: House) -> None:
    """A reward that is too dear is a 422 with the reason and no movement; another key may try again."""
    number = phone()
    house.enrol(number)
    with signed_in(house, number) as ada:
        [reward] = ada.get("/phone/rewards").json()
        answer = ada.post(f"/phone/rewards/{reward['id']}/purchases", headers=key())
        assert wallet(ada, 50)["movements"] == []
    assert answer.status_code == 422
    assert answer.json()["detail"] == (
        "The reward can't be bought: there are not enough points on the card. No points were moved."
    )


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"points": 0, "reason": "Nothing"}, 400),
        ({"points": 5}, 400),
        ({"points": 5, "reason": ""}, 400),
        ({"points": 2.5, "reason": "Half"}, 400),
        ({"points": 10**9, "reason": "Rich"}, 400),
        ({"points": -51, "reason": "More than there is"}, 422),
    ],
    ids=range(6),
)
def test_a_wrong_adjustment_moves_nothing(house: House, body: dict[str, Any], status: int) -> None:
    """What can't be given or taken is refused in words, and the balance stays."""
    number = phone()
    member = house.enrol(number)
    with house.operator() as operator:
        answer = operator.post(f"/members/{member['id']}/points", json=body, headers=key())
    assert answer.status_code == status, answer.text
    with signed_in(house, number) as ada:
        assert wallet(ada, 50)["movements"] == []


def test_moving_points_needs_a_key_and_the_right_role(house: House) -> None:
    """Without an Idempotency-Key nothing moves; a till may not give points, an operator may not buy for a member."""
    number = phone()
    member = house.enrol(number)
    body = {"points": 5, "reason": "No key"}
    with house.operator() as operator, house.till() as till, signed_in(house, number) as ada:
        assert operator.post(f"/members/{member['id']}/points", json=body).status_code == 400
        assert till.post(f"/members/{member['id']}/points", json=body, headers=key()).status_code == 403
        assert ada.post(f"/members/{member['id']}/points", json=body, headers=key()).status_code == 403
        assert operator.post("/phone/rewards/rew_1/purchases", headers=key()).status_code == 403
        assert ada.post("/phone/rewards/rew_1/purchases").status_code == 400
        assert ada.post("/phone/rewards/rew_none/purchases", headers=key()).status_code == 404


def test_a_key_moves_points_once(house: House) -> None:
    """The same key and body give the same answer, and another body under it is a 409."""
    number = phone()
    member = house.enrol(number)
    headers = key()
    first, again = (give(house, member["id"], 5, headers) for _ in range(2))
    other = give(house, member["id"], 6, headers)
    assert (first.json(), other.status_code) == (again.json(), 409)
    with signed_in(house, number) as ada:
        assert len(wallet(ada, 55)["movements"]) == 1
