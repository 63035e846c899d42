"""Order refunded: our own action. Moves the order to CANCELED in Voucherify. Segment's destination has no such action.

It reads `Order Refunded` of Segment's e-commerce spec and sends the status only, so items, amounts and discounts stay
as they were. What it does not do, because Voucherify does not say that cancelling does it: give back or take back
points (v1 loyalty leaves what the order earned on the card), and free a coupon that was used in the order (that is the
rollback of its redemption). Voucherify knows no order that is canceled in part either: an event about some of the
products cancels the whole of it, so let the trigger leave such events out if the shop sends them.
"""

from typing import Any, Final
from urllib.parse import quote

from app.destinations.base import Action, Payload, Repeat, Request, Sent, Settings
from app.destinations.fields import Field
from app.destinations.voucherify import transport

FIELDS: Final = (Field("source_id", "Order ID", required=True, default={"@path": "$.properties.order_id"}),)


def build(payload: Payload, settings: Settings) -> Request:
    """Cancel the order; one that Voucherify does not know is refused (404). `settings["api"]` has the keys of `/v1`."""
    return transport.v1(settings["api"], _path(payload), {"status": "CANCELED"}, "PUT")


def is_canceled(found: Any, _sent: Sent) -> bool:
    """Whether Voucherify has the order and counts it as canceled."""
    return isinstance(found, dict) and found.get("status") == "CANCELED"


def _path(payload: Payload) -> str:
    return f"orders/{quote(payload['source_id'], safe='')}"


ORDER_REFUNDED: Final = Action(
    slug="orderRefunded",
    title="Order refunded",
    description="Move an order to CANCELED. Points that it earned stay.",
    # Orders of people without a userId never got to Voucherify: `Order paid` leaves them out as well.
    default_trigger='type = "track" and event = "Order Refunded" and userId != null',
    fields=FIELDS,
    build=build,
    repeat=Repeat(
        safe=True,  # canceled twice is canceled
        look_up=lambda payload, settings: transport.v1(settings["api"], _path(payload), None, "GET"),
        is_done=is_canceled,
    ),
)
