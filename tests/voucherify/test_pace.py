"""Rate limits are followed, not hit; time-outs are of each call; null clears; what is new in an answer harms nobody."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from app.errors import VoucherifyUnavailable, VoucherifyUnclear
from app.voucherify import orders, publications, redemptions
from app.voucherify.client import Client
from app.voucherify.loyalty import LoyaltyV1
from app.voucherify.pace import MINUTE, Pace
from tests.sandbox import programme
from tests.sandbox.conftest import api, shared_sandbox, shared_sink, sink
from tests.sandbox.serving import KEYS

__all__ = ["api", "shared_sandbox", "shared_sink", "sink"]  # the fixtures of a sandbox behind a real server


def limits(limit: int, remaining: int, retry: float = 0.0) -> dict[str, str]:
    return {
        "x-rate-limit-limit": str(limit),
        "x-rate-limit-remaining": str(remaining),
        "x-rate-limit-retry": str(int(retry)),
    }


def client_of(url: str, transport: httpx.AsyncBaseTransport | None = None) -> Client:
    return Client(url, SecretStr(KEYS["X-App-Id"]), SecretStr(KEYS["X-App-Token"]), transport=transport)


def answering(*answers: httpx.Response) -> tuple[Client, list[httpx.Request]]:
    """A Voucherify that answers so, one after the other, and what it was asked."""
    asked: list[httpx.Request] = []
    left = list(answers)

    def respond(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return left.pop(0)

    return client_of("https://api.voucherify.io", httpx.MockTransport(respond)), asked


@given(limit=st.integers(1, 5000), calls=st.integers(2, 40))
def test_near_the_limit_calls_go_as_fast_as_it_fills(limit: int, calls: int) -> None:
    """Law: with a tenth left, each call leaves the time after the one before in which the limit gives one back."""
    pace = Pace()
    pace.heard(200, limits(limit, max(1, min(limit // 100, 10))), 1000.0)
    if limit < 10:  # a tenth of it is less than a call
        assert pace.wait(1000.0) == 0
        return
    waits = [pace.wait(1000.0) for _ in range(calls)]
    assert waits == pytest.approx([place * MINUTE / limit for place in range(calls)])
    assert pace.wait(1000.0, urgent=True) == 0


def test_far_from_the_limit_nothing_waits() -> None:
    """Much left, no headers and odd ones hold nothing up; once there is room again, the line is gone."""
    pace = Pace()
    for headers in (limits(100, 50), {}, {"x-rate-limit-limit": "many", "x-rate-limit-remaining": "1"}):
        pace.heard(200, headers, 0.0)
        assert [pace.wait(0.0), pace.wait(0.0)] == [0, 0]
    pace.heard(200, limits(100, 3), 0.0)
    assert [pace.wait(0.0), pace.wait(0.0) > 0] == [0, True]
    pace.heard(200, limits(100, 99), 0.0)
    assert pace.wait(0.0) == 0


def test_who_does_not_wait_takes_no_place() -> None:
    """Whoever finds the line too long and goes away makes it no longer for who comes next."""
    pace = Pace()
    pace.heard(200, limits(20, 2), 0.0)  # a call every three seconds
    assert pace.wait(0.0, longest=2.0) == 0
    assert [pace.wait(0.0, longest=2.0) for _ in range(3)] == [3.0] * 3
    assert pace.wait(3.0, longest=2.0) == 0


@pytest.mark.parametrize(
    ("status", "headers"),
    [(200, lambda: limits(100, 0, time.time() + 30)), (429, lambda: {**limits(100, 0), "retry-after": "30"})],
    ids=["none left", "429"],
)
async def test_where_no_call_is_left_nothing_leaves(status: int, headers: Callable[[], dict[str, str]]) -> None:
    """After such an answer no call leaves, urgent or not, until the time that was named, which is told."""
    client, asked = answering(httpx.Response(status, json={}, headers=headers()))
    with contextlib.suppress(VoucherifyUnavailable):
        await client.call("GET", "/v1/orders")
    for urgent in (False, True):
        with pytest.raises(VoucherifyUnavailable, match="Nothing was sent") as caught:
            await client.call("POST", "/v1/orders", {}, urgent=urgent)
        assert caught.value.retry_after == pytest.approx(30, abs=3)
    assert len(asked) == 1


async def test_a_short_wait_is_waited_for() -> None:
    """A second until the next call is no refusal: the call leaves when it may."""
    client, asked = answering(
        httpx.Response(429, json={}, headers={"retry-after": "0.3"}), httpx.Response(200, json={"id": "ord_1"})
    )
    with pytest.raises(VoucherifyUnavailable):
        await client.call("GET", "/v1/orders/1")
    began = time.monotonic()
    assert await client.call("GET", "/v1/orders/1") == {"id": "ord_1"}
    assert time.monotonic() - began > 0.25
    assert len(asked) == 2


async def test_the_sandboxs_plan_is_followed(api: httpx.AsyncClient) -> None:
    """Whatever the sandbox counts down, no call of ours is refused before it left: it says that the next is allowed."""
    client = client_of(str(api.base_url))
    for _ in range(30):
        assert await client.call("GET", "/v1/orders") is not None
    await client.close()


async def test_a_call_has_a_time_out_of_its_own(api: httpx.AsyncClient) -> None:
    """A call that must be quick gives up when it says, while the others have the time that was set for all."""
    client = client_of(str(api.base_url))
    await api.post("/sandbox/faults", json={"latency_ms": 400})
    with pytest.raises(VoucherifyUnclear):
        await client.call("GET", "/v1/orders", timeout=0.1)
    assert (await client.call("GET", "/v1/orders"))["total"] == 0
    await client.close()


async def test_null_clears_a_field(api: httpx.AsyncClient) -> None:
    """A field that is sent as null is empty afterwards; one that is not sent stays."""
    client = client_of(str(api.base_url))
    await client.call("POST", "/v1/customers", {"source_id": "u-1", "name": "Ann", "phone": "+48600000001"})
    cleared = await client.call("PUT", "/v1/customers/u-1", {"phone": None, "metadata": {"a": None}})
    assert (cleared["name"], cleared["phone"]) == ("Ann", None)
    await client.close()


class Newer(httpx.AsyncBaseTransport):
    """Voucherify in some years: every object has fields that nobody knows, and fields of kinds have new values."""

    def __init__(self) -> None:
        self._wire = httpx.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = await self._wire.handle_async_request(request)
        await answer.aread()
        return httpx.Response(answer.status_code, json=_newer(answer.json()) if answer.content else None)

    async def aclose(self) -> None:
        await self._wire.aclose()


KINDS = {"object", "related_object_type", "operation_type", "channel_type", "campaign_type", "unit", "data_ref"}


BY_NAME = {"redemptions", "campaigns", "metadata"}
"""Objects whose keys are ids and names of things, so that a new one would be a new thing."""


def _newer(value: Any, *, by_name: bool = False) -> Any:
    if isinstance(value, list):
        return [_newer(each) for each in value]
    if not isinstance(value, dict):
        return value
    made = {
        name: "BRAND_NEW" if name in KINDS else _newer(each, by_name=name in BY_NAME) for name, each in value.items()
    }
    return made if by_name else {**made, "brand_new": {"deep": [1, None]}, "another": None}


async def test_new_fields_and_new_values_break_nothing(api: httpx.AsyncClient) -> None:
    """Every verb of the backend reads the same out of answers with unknown fields and unknown values of kinds."""
    await programme.loyalty(api, points=300)
    coupons = await programme.coupons(api)
    made = {"name": "A coupon", "parameters": {"campaign": {"id": coupons["id"]}}}
    reward = await programme.send(api, "POST", "/v1/rewards", made)
    price = [{"reward": reward["id"], "parameters": {"loyalty": {"points": 100}}}]
    await programme.send(api, "POST", f"/v1/loyalties/{programme.LOYALTY}/rewards", price)
    client = client_of(str(api.base_url), Newer())
    loyalty, who = LoyaltyV1(client), {"source_id": "u-1"}
    card = await loyalty.join(programme.LOYALTY, who)
    assert (await loyalty.card(card.code)) == card
    assert card.balance == 300
    [offer] = await loyalty.rewards(card.code)
    bought = await loyalty.buy(loyalty.purchase(card.code, offer.id, "op-1"))
    assert (bought.done, bought.points, bought.coupon is not None) == (True, -100, True)
    assert (await loyalty.adjust(loyalty.adjustment(card.code, 5, "sorry", "op-2"))).points == 5
    found, moved = await asyncio.gather(
        loyalty.find_purchase("u-1", "op-1"), loyalty.find_adjustment(card.code, "op-2")
    )
    assert (found.outcome and found.outcome.points, moved.outcome and moved.outcome.points) == (-100, 5)
    history = await loyalty.transactions(card.code)
    assert ([row["details"]["balance"]["points"] for row in history.rows], history.next) == ([5, -100], None)
    code = publications.code_of(await publications.publish(client, programme.COUPONS, who, "p-1"))
    [published] = await publications.of(client, "u-1", campaign=programme.COUPONS, limit=1)
    assert publications.code_of(published) == code
    order = {"source_id": "o-1", "amount": 1000}
    assert (await redemptions.validate(client, code, order, who))["valid"]
    redeemed = await redemptions.redeem(client, redemptions.redemption(code, order, who, "r-1"))
    stored = await orders.get(client, "o-1")
    assert stored is not None
    [standing] = redemptions.standing(stored)
    assert standing == redeemed["redemptions"][0]["id"]
    assert await redemptions.roll_back(client, standing, "test") is not None
    await client.close()
