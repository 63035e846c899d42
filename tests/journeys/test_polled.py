"""A house that Voucherify can't reach: real processes, webhooks switched off, lists polled."""

import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest_asyncio

from tests.conftest import MakeDatabase
from tests.house import PATIENCE, House


@pytest_asyncio.fixture(scope="module")
async def unreachable(make_database: MakeDatabase, tmp_path_factory: Any) -> AsyncIterator[House]:
    opened = House(
        tmp_path_factory.mktemp("unreachable"),
        await make_database("unreachable"),
        await make_database("unreachable_sandbox"),
        VOUCHERIFY_POLL_EVERY="1",
    )
    try:
        opened.open()
        async with httpx.AsyncClient(base_url=opened.sandbox) as sandbox:
            for webhook in (await sandbox.get("/sandbox/webhooks")).json()["data"]:
                (await sandbox.post(f"/sandbox/webhooks/{webhook['id']}/disable")).raise_for_status()
        yield opened
    finally:
        opened.close()


def told(house: House, order_id: str, coupons: int) -> dict[str, Any]:
    """The trace of an order once its member has so many coupons: points and codes stand in different lists."""
    until = time.monotonic() + PATIENCE
    while len((trace := house.trace(order_id))["profile"]["coupons"]) != coupons:
        assert time.monotonic() < until, f"the coupons are {trace['profile']['coupons']}"
        time.sleep(0.2)
    return trace


def test_an_order_is_whole_without_webhooks(unreachable: House) -> None:
    """Card, points and coupon of an order reach the profile, and a worker that is killed while it looks loses nothing;
    the coupon that is used for the next order is used up."""
    house = unreachable
    member = house.enrol("+48601000001")
    first = house.pay(member["id"], {"fuel": 1, "coffee": 2}).json()
    house.kill("worker")
    house.start("worker")
    trace = told(house, first["id"], 1)
    assert (trace["points"], trace["profile"]["loyalty"]["balance"]) == (24, 50 + 24)
    assert [coupon["code"] for coupon in trace["profile"]["coupons"]] == [trace["coupon"]]
    paid = house.pay(member["id"], {"wash-full": 1}, coupon=trace["coupon"]).json()
    second = told(house, paid["id"], 0)
    assert (second["points"], second["profile"]["loyalty"]["balance"]) == (13, 50 + 24 + 13)
