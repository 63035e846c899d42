"""An order in Segment's words and in Voucherify's: pure."""

from typing import Any

from app import money
from app.emitter import messages
from app.members.models import Member
from app.orders.models import Location, Order


def order_completed(
    order: Order, location: Location, member: Member | None, visit: int | None = None
) -> dict[str, Any]:
    """`Order Completed` of Segment's e-commerce spec (amounts in major units), and what the mappings of the
    Voucherify destination read: `properties.metadata` and `properties.loyalty.code`.

    `visit` is which order of the member at this place it is: no rule in Voucherify can count that.
    """
    assert order.paid_at is not None

    def major(amount: int) -> float:
        return money.major(amount, order.currency)

    properties: dict[str, Any] = {
        "order_id": str(order.id),
        "affiliation": location.brand,
        "total": major(order.total),
        "subtotal": major(order.total - order.tax),
        "revenue": major(order.total - order.tax),
        "tax": major(order.tax),
        "discount": major(order.discount),
        "currency": order.currency,
        "products": [
            {
                "product_id": line["product_id"],
                "sku": line["product_id"],
                "name": line["name"],
                "category": line["category"],
                "brand": location.brand,
                "price": major(line["price"]),
                "quantity": line["quantity"],
                "position": position,
            }
            for position, line in enumerate(order.lines, start=1)
        ],
        "location": {
            "id": location.id,
            "name": location.name,
            "brand": location.brand,
            "time_zone": location.time_zone,
            "locale": location.locale,
        },
        # Flat values of simple types: Voucherify's door for Segment keeps metadata that its schema defines, no more.
        "metadata": {
            "order_id": str(order.id),
            "location_id": location.id,
            "source": order.source,
            "total": order.total,
            "items": sum(line["quantity"] for line in order.lines),
        },
    }
    if order.coupon:
        properties["coupon"] = order.coupon
        properties["voucherify_order_status"] = (order.redemption or {}).get("order_status")
    if visit is not None:
        properties["metadata"]["location_visit"] = visit
    if member is not None and member.card:
        properties["loyalty"] = {"code": member.card}
    return messages.track(
        str(member.id) if member else None,
        f"order-completed:{order.id}",
        order.paid_at,
        "Order Completed",
        properties,
        anonymous_id=None if member else f"order:{order.id}",
    )


def voucherify_order(order: Order, location: Location) -> dict[str, Any]:
    """The order as validations and redemptions take it."""
    return {
        "source_id": str(order.id),
        "amount": order.amount,
        "items": [
            {
                "source_id": line["product_id"],
                "related_object": "product",
                "quantity": line["quantity"],
                "price": line["price"],
                "amount": line["amount"],
                "product": {"name": line["name"], "metadata": {"category": line["category"]}},
            }
            for line in order.lines
        ],
        "metadata": {"location_id": location.id, "source": order.source},
    }
