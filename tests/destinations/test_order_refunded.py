"""An order that is refunded: which request it becomes, and what that does at Voucherify (the sandbox)."""

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from app.destinations.base import Request, Sent
from app.destinations.fields import PayloadError
from app.destinations.voucherify.actions.order_refunded import ORDER_REFUNDED, is_canceled
from app.destinations.voucherify.presets import PRESETS
from app.pipeline.bridge import request_for
from app.pipeline.mapping import compile_mapping
from app.pipeline.subscriptions import compile_trigger
from tests.sandbox.programme import balance, buy, coupon, coupons, join, loyalty, redeem, send

API = {"apiKey": "app-id", "secretKey": "app-token", "customURL": "https://api.voucherify.io"}
EVENT: dict[str, Any] = {
    "type": "track",
    "event": "Order Refunded",
    "userId": "u-1",
    "properties": {"order_id": "o/1", "total": 12.5, "currency": "USD", "products": []},
}
(PRESET,) = (preset for preset in PRESETS if preset.name == "Order Refunded")


def request(event: dict[str, Any], transport: str = "segmentio", url: str = API["customURL"]) -> Request:
    settings = {"apiKey": "other", "secretKey": "other", "customURL": "https://segmentio.voucherify.io"}
    maps = compile_mapping(dict(PRESET.mapping))
    return request_for(
        ORDER_REFUNDED, maps, event, {**settings, "transport": transport, "api": {**API, "customURL": url}}
    )


@pytest.mark.parametrize("transport", ["v1", "segmentio"])
def test_only_the_status_is_sent(transport: str) -> None:
    """Whatever the transport, it is a PUT of CANCELED to the order on the public API, with the API's keys."""
    sent = request(EVENT, transport)
    assert (sent.method, sent.url) == ("PUT", "https://api.voucherify.io/v1/orders/o%2F1")
    assert (sent.body, sent.headers["x-app-id"]) == ({"status": "CANCELED"}, "app-id")


def test_the_preset_takes_refunds_of_members_only() -> None:
    """By the name of the event; an order of nobody was never sent."""
    takes = compile_trigger(PRESET.trigger)
    assert takes(EVENT)
    assert not takes({**EVENT, "event": "Order Completed"})
    assert not takes({**EVENT, "userId": None})


def test_an_event_without_an_order_is_refused() -> None:
    """The sentence names the field."""
    with pytest.raises(PayloadError, match="'source_id'"):
        request({**EVENT, "properties": {}})


@pytest.mark.parametrize(
    ("found", "done"),
    [
        ({"status": "CANCELED"}, True),
        ({"status": "PAID"}, False),
        ({}, False),
        (None, False),
        ("<html>", False),
    ],
    ids=["canceled", "paid", "no status", "unknown order", "no json"],
)
def test_when_it_is_done(found: Any, done: bool) -> None:
    """The look-up is a GET of the order, which says CANCELED."""
    assert ORDER_REFUNDED.repeat.look_up is not None
    asked = ORDER_REFUNDED.repeat.look_up({"source_id": "o/1"}, {"api": API})
    assert (asked.method, asked.url, asked.body) == ("GET", "https://api.voucherify.io/v1/orders/o%2F1", None)
    assert is_canceled(found, Sent(datetime.now(UTC), {"source_id": "o/1"})) is done


async def refund(sandbox: httpx.AsyncClient, order: str, expect: int = 200) -> Any:
    sent = request({**EVENT, "properties": {"order_id": order}}, url=str(sandbox.base_url))
    return await send(sandbox, sent.method, httpx.URL(sent.url).path, sent.body, expect)


async def test_the_order_is_canceled_and_the_points_stay(api: httpx.AsyncClient) -> None:
    """Twice is as good as once: CANCELED with its amount, and what it earned stays on the card."""
    await loyalty(api)
    card = await join(api)
    await buy(api, "o-1", 1250)
    for _ in range(2):
        canceled = await refund(api, "o-1")
        assert (canceled["status"], canceled["amount"], await balance(api, card)) == ("CANCELED", 1250, 12)
    summary = (await send(api, "GET", "/v1/customers/u-1"))["summary"]["orders"]
    assert (summary["total_count"], summary["total_amount"]) == (0, 0)


async def test_the_coupon_of_the_order_stays_used(api: httpx.AsyncClient) -> None:
    """Canceling is no rollback: discount and redemption stay with the order."""
    await coupons(api)
    code = await coupon(api)
    await redeem(api, code, source_id="o-1", amount=1000, status="PAID")
    canceled = await refund(api, "o-1")
    assert (canceled["status"], canceled["total_discount_amount"]) == ("CANCELED", 100)
    assert (await send(api, "GET", f"/v1/vouchers/{code}"))["redemption"]["redeemed_quantity"] == 1


async def test_an_unknown_order_is_told(api: httpx.AsyncClient) -> None:
    """No order is made by its refund."""
    assert (await refund(api, "o-9", 404))["key"] == "not_found"
    assert (await send(api, "GET", "/v1/orders"))["total"] == 0
