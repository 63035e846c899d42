"""Orders through a whole house of real processes: a till whose web process dies, and both answers that Voucherify may
give where its documentation leaves them open.
"""

import json
import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio

from tests.conftest import MakeDatabase
from tests.house import PATIENCE, House

REDEMPTIONS = {"path": "/v1/redemptions", "method": "POST"}
SWITCHES = ("ignore_redemption_order_status", "earn_again_on_paid")


@pytest_asyncio.fixture(scope="module")
async def quick(make_database: MakeDatabase, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """A house of our own, for it gets faults and kills, and its sweeper does not wait long."""
    opened = House(
        tmp_path_factory.mktemp("quick"),
        await make_database("quick"),
        await make_database("quick_sandbox"),
        VOUCHERIFY_TIMEOUT="1.5",
        WORKER_PENDING_ORDER_AFTER="2",
    )
    try:
        yield opened.open()
    finally:
        opened.close()


@pytest.fixture
def voucherify(quick: House) -> Iterator[httpx.Client]:
    """The sandbox as its owner sees it; without faults afterwards."""
    made = json.loads((quick.folder / "install.json").read_text())
    keys = {"X-App-Id": made["sandbox_application_id"], "X-App-Token": made["sandbox_secret_key"]}
    with httpx.Client(base_url=quick.sandbox, headers=keys, timeout=60) as client:
        yield client
        client.delete("/sandbox/faults")


def sell_with_coupon(house: House, member: dict[str, Any], key: str) -> Any:
    """Earn a coupon by a big basket, and pay the next one with it; returns the response."""
    trace = house.trace(house.pay(member["id"], {"fuel": 1}).json()["id"])
    return house.pay(member["id"], {"wash-full": 1}, coupon=trace["coupon"], key=key)


def accruals(voucherify: httpx.Client, card: str) -> list[int]:
    """The points of everything that the card earned by orders, the first first."""
    answer = voucherify.get(f"/v1/loyalties/members/{card}/transactions", params={"limit": 100})
    assert answer.status_code == 200, answer.text
    found = [each["details"]["balance"]["points"] for each in answer.json()["data"] if each["type"] == "POINTS_ACCRUAL"]
    return found[::-1]


@pytest.mark.parametrize(
    "switches", [(), SWITCHES[:1], SWITCHES[1:], SWITCHES], ids=["none", "ignored", "again", "both"]
)
def test_an_order_earns_once_whatever_voucherify_does(
    quick: House, voucherify: httpx.Client, switches: tuple[str, ...]
) -> None:
    """Whether a redemption pays the order by itself, and whether a second PAID earns again: each order earns once."""
    assert voucherify.post("/sandbox/faults", json=dict.fromkeys(switches, True)).status_code == 200
    member = quick.enrol(f"+4860{uuid4().int % 10**7:07}")
    order = sell_with_coupon(quick, member, str(uuid4())).json()
    trace = quick.trace(order["id"])
    assert trace["points"] == 13
    time.sleep(0.5)  # a second earning would be seen by now
    assert accruals(voucherify, member["card"]) == [16, 13]
    assert quick.trace(order["id"])["profile"]["loyalty"]["balance"] == 50 + 16 + 13


def test_a_lost_answer_to_paid_earns_once(quick: House, voucherify: httpx.Client) -> None:
    """The bridge's PAID is done and its answer lost, where a second PAID would earn again: it is not sent again."""
    member = quick.enrol(f"+4860{uuid4().int % 10**7:07}")
    lost = {"path": "/v1/orders", "method": "POST"}
    voucherify.post("/sandbox/faults", json={"earn_again_on_paid": True, "lose_answer_next": lost})
    order = quick.pay(member["id"], {"fuel": 1}).json()
    assert quick.trace(order["id"])["points"] == 16
    assert voucherify.get("/sandbox/faults").json()["lose_answer_next"][0]["count"] == 0
    time.sleep(0.5)
    assert accruals(voucherify, member["card"]) == [16]


def test_a_web_process_killed_in_the_middle_of_a_redemption(quick: House, voucherify: httpx.Client) -> None:
    """The web process dies while Voucherify redeems: the till that asks again gets its order, with the discount."""
    member = quick.enrol(f"+4860{uuid4().int % 10**7:07}")
    trace = quick.trace(quick.pay(member["id"], {"fuel": 1}).json()["id"])
    voucherify.post("/sandbox/faults", json={"latency_ms": 600})
    key, failed = str(uuid4()), threading.Event()

    def sell() -> None:
        try:
            quick.pay(member["id"], {"wash-full": 1}, coupon=trace["coupon"], key=key)
        except httpx.TransportError:
            failed.set()

    till = threading.Thread(target=sell)
    till.start()
    time.sleep(0.35)
    quick.kill("web")
    till.join(PATIENCE)
    assert failed.is_set(), "the call was over before the process was killed"
    time.sleep(0.6)
    voucherify.delete("/sandbox/faults")
    quick.start("web")
    quick.wait_until_ready()
    until = time.monotonic() + PATIENCE
    while (again := quick.pay(member["id"], {"wash-full": 1}, coupon=trace["coupon"], key=key)).status_code == 503:
        assert again.headers["retry-after"]
        assert time.monotonic() < until, again.text
        time.sleep(0.2)
    assert again.status_code == 201, again.text
    assert (again.json()["discount"], again.json()["total"]) == (145, 1305)
    assert quick.trace(again.json()["id"])["points"] == 13
    assert accruals(voucherify, member["card"]) == [16, 13]
    assert voucherify.get(f"/v1/vouchers/{trace['coupon']}").json()["redemption"]["redeemed_quantity"] == 1


def test_a_redemption_whose_answer_is_lost_is_swept(quick: House, voucherify: httpx.Client) -> None:
    """Nobody asks again after a lost answer: the sweeper finishes the order, and it earns on what was paid."""
    member = quick.enrol(f"+4860{uuid4().int % 10**7:07}")
    trace = quick.trace(quick.pay(member["id"], {"fuel": 1}).json()["id"])
    voucherify.post("/sandbox/faults", json={"lose_answer_next": REDEMPTIONS})
    answer = quick.pay(member["id"], {"wash-full": 1}, coupon=trace["coupon"])
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert answer.headers["content-type"] == "application/problem+json"
    until = time.monotonic() + PATIENCE
    while accruals(voucherify, member["card"]) != [16, 13]:
        assert time.monotonic() < until, "the order was not swept"
        time.sleep(0.2)
