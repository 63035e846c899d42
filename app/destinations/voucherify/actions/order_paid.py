"""Order paid: our own action. Moves the order to PAID in Voucherify, which makes its earning rules fire.

Segment's destination has no such action; a programme that must run on Segment's own earns by events instead. It reads
`Order Completed` of Segment's e-commerce spec, whose amounts are in major units, and sends minor units.
"""

from typing import Any, Final
from urllib.parse import quote

from app import money
from app.destinations.base import Action, Payload, Repeat, Request, Sent, Settings
from app.destinations.fields import Field
from app.destinations.voucherify import transport

FIELDS: Final = (
    Field("source_id", "Order ID", required=True, default={"@path": "$.properties.order_id"}),
    Field(
        "customer",
        "Customer Object",
        "object",
        required=True,
        properties=(Field("source_id", "Source ID", required=True),),
        default={"source_id": {"@path": "$.userId"}},
    ),
    Field("currency", "Currency", required=True, default={"@path": "$.properties.currency"}, help="ISO 4217."),
    Field(
        "items",
        "Items",
        "object",
        required=True,
        multiple=True,
        properties=(
            Field("source_id", "Product ID", required=True),
            Field("quantity", "Quantity", "integer", required=True),
            Field("price", "Price", "number", required=True, help="Of one, in major units."),
            Field("name", "Name"),
            Field("category", "Category"),
        ),
        default={
            "@arrayPath": [
                "$.properties.products",
                {
                    "source_id": {"@path": "$.product_id"},
                    "quantity": {"@path": "$.quantity"},
                    "price": {"@path": "$.price"},
                    "name": {"@path": "$.name"},
                    "category": {"@path": "$.category"},
                },
            ]
        },
    ),
    Field("metadata", "Metadata", "object", default={"@path": "$.properties.metadata"}),
    Field(
        "status",
        "Status in Voucherify",
        default={"@path": "$.properties.voucherify_order_status"},
        help="Set when a redemption made the order already: CREATED, or PAID, and then it has earned.",
    ),
)


def build(payload: Payload, settings: Settings) -> Request:
    """Pay the order that a redemption made, or make it and pay it at once. `settings["api"]` has the keys of `/v1`."""
    if payload.get("status") in {"PAID", "FULFILLED"}:
        # The redemption paid it, and it has earned. Whether a second PAID earns again is not documented: only look.
        return transport.v1(settings["api"], _path(payload), None, "GET")
    if payload.get("status") is not None:
        # The order has its discount already, and a whole order would take it away. Rules may look at the metadata.
        metadata = {"metadata": payload["metadata"]} if payload.get("metadata") else {}
        return transport.v1(settings["api"], _path(payload), {"status": "PAID", **metadata}, "PUT")
    return transport.v1(settings["api"], "orders", order(payload))


def order(payload: Payload) -> dict[str, Any]:
    """The paid order as Voucherify takes it, in minor units."""
    items = [_item(item, payload["currency"]) for item in payload["items"]]
    return {
        "source_id": payload["source_id"],
        "status": "PAID",
        "customer": payload["customer"],
        "amount": sum(item["amount"] for item in items),
        "items": items,
        "metadata": payload.get("metadata") or {},
    }


def is_paid(found: Any, _sent: Sent) -> bool:
    """Whether Voucherify has the order and counts it as paid, so that it has earned."""
    return isinstance(found, dict) and found.get("status") in {"PAID", "FULFILLED"}


def _item(item: dict[str, Any], currency: str) -> dict[str, Any]:
    price = money.minor(item["price"], currency)
    return {
        "source_id": item["source_id"],
        "related_object": "product",
        "quantity": item["quantity"],
        "price": price,
        "amount": price * item["quantity"],
        "product": {"name": item.get("name", ""), "metadata": {"category": item.get("category", "")}},
    }


def _path(payload: Payload) -> str:
    return f"orders/{quote(payload['source_id'], safe='')}"


ORDER_PAID: Final = Action(
    slug="orderPaid",
    title="Order paid",
    description="Move an order to PAID, so that it earns.",
    default_trigger='type = "track" and event = "Order Completed" and userId != null',
    fields=FIELDS,
    build=build,
    repeat=Repeat(
        safe=False,  # whether a second PAID earns again is not documented
        look_up=lambda payload, settings: transport.v1(settings["api"], _path(payload), None, "GET"),
        is_done=is_paid,
    ),
)
