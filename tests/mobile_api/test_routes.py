"""The phone's API through real HTTP."""

import json
import random
from contextlib import closing

import httpx

from tests.house import House


def phone() -> str:
    return f"+4860{random.randrange(10**6, 10**7)}"


def signed_in(house: House, number: str) -> httpx.Client:
    answer = httpx.post(f"{house.web}/phone/sign-in", json={"phone": number})
    assert answer.status_code == 200, answer.text
    headers = {"authorization": f"Bearer {answer.json()['token']}"}
    return httpx.Client(base_url=house.web, headers=headers, timeout=60)


def test_a_member_sees_points_card_coupons_and_movements(house: House) -> None:
    """After a sale the wallet has its points, the coupon that it earned, and the movement behind them."""
    number = phone()
    member = house.enrol(number, "Ada")
    trace = house.trace(house.pay(member["id"], {"fuel": 1}).json()["id"])
    with signed_in(house, number) as ada:
        wallet = ada.get("/phone/me").json()
        picture = ada.get("/phone/card.svg")
    assert (wallet["name"], wallet["card"], wallet["balance"]) == ("Ada", member["card"], 50 + trace["points"])
    assert [coupon["code"] for coupon in wallet["coupons"]] == [trace["coupon"]]
    assert wallet["movements"][0]["points"] == trace["points"]
    assert picture.headers["content-type"].startswith("image/svg+xml")


def test_signing_up_on_the_phone_makes_one_member(house: House) -> None:
    """The first call joins (201), the second finds the same member (200), and both are signed in."""
    body = {"phone": phone(), "first_name": "Ada"}
    first, again = (httpx.post(f"{house.web}/phone/members", json=body) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["member"]["id"] == again.json()["member"]["id"]
    headers = {"authorization": f"Bearer {again.json()['token']}"}
    assert httpx.get(f"{house.web}/phone/me", headers=headers).json()["name"] == "Ada"


def test_nobody_signs_in_with_an_unknown_number(house: House) -> None:
    """Who is no member is told to sign up."""
    answer = httpx.post(f"{house.web}/phone/sign-in", json={"phone": phone()})
    assert answer.status_code == 404
    assert "sign up" in answer.json()["detail"]


def test_a_phone_shows_nothing_without_its_token(house: House) -> None:
    """No token is 401, and a till's key opens no member's phone: 403."""
    for path in ("/phone/me", "/phone/card.svg", "/phone/live", "/phone/floor"):
        assert httpx.get(house.web + path).status_code == 401
        with house.till() as till:
            assert till.get(path).status_code == 403


def test_a_phone_hears_of_its_own_wallet_only(house: House) -> None:
    """The stream tells of this member's change while another member's sale passes by unheard."""
    number = phone()
    member, other = house.enrol(number), house.enrol(phone())
    with signed_in(house, number) as ada, ada.stream("GET", "/phone/live") as stream, closing(stream):
        events = stream.iter_lines()
        assert next(events) == "event: ready"
        house.trace(house.pay(other["id"], {"coffee": 1}).json()["id"])
        house.pay(member["id"], {"coffee": 1})
        change = next(json.loads(line[6:]) for line in events if line.startswith("data: {") and "topic" in line)
    assert change["topic"] == f"member:{member['id']}"
