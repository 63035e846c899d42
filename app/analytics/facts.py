"""⑤ Facts from events and webhooks. Each has a natural key, so hearing of it twice changes nothing."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from app import money
from app.db import many


async def add_orders(connection: asyncpg.Connection, events: Sequence[tuple[str, dict[str, Any]]]) -> None:
    """Add the orders of `Order Completed` events, given as (source, message)."""
    rows = [
        row
        for source, message in events
        if message["type"] == "track"
        and message.get("event") == "Order Completed"
        and (row := _order_row(source, message)) is not None
    ]
    await many.execute(
        connection,
        """INSERT INTO order_fact (order_id, user_id, location_id, source, currency, amount, discount, total, items,
                                   coupon, completed_at)
           SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bigint[],
                                $8::bigint[], $9::integer[], $10::text[], $11::timestamptz[])
           ON CONFLICT DO NOTHING""",
        rows,
    )


def _order_row(source: str, message: dict[str, Any]) -> tuple[Any, ...] | None:
    """The fact in an event, or None when its e-commerce properties are not what the spec says: it is still an event."""
    properties = message.get("properties") or {}
    order_id, currency = properties.get("order_id"), properties.get("currency")
    if not isinstance(order_id, str) or not isinstance(currency, str) or len(currency) != 3:
        return None

    def amount(name: str) -> int:
        value = properties.get(name)
        return money.minor(value, currency) if isinstance(value, int | float) else 0

    location = properties.get("location")
    products = properties.get("products")
    coupon = properties.get("coupon")
    return (
        order_id,
        message.get("userId"),
        location.get("id") if isinstance(location, dict) and isinstance(location.get("id"), str) else None,
        source,
        currency,
        sum(_price(product, currency) for product in products) if isinstance(products, list) else 0,
        amount("discount"),
        amount("total"),
        sum(_quantity(product) for product in products) if isinstance(products, list) else 0,
        coupon if isinstance(coupon, str) else None,
        datetime.fromisoformat(message["timestamp"]),
    )


def _price(product: Any, currency: str) -> int:
    """The catalogue price of a line, before discounts."""
    price = product.get("price") if isinstance(product, dict) else None
    return money.minor(price, currency) * _quantity(product) if isinstance(price, int | float) else 0


def _quantity(product: Any) -> int:
    quantity = product.get("quantity") if isinstance(product, dict) else None
    return int(quantity) if isinstance(quantity, int | float) else 0


async def add_movement(
    connection: asyncpg.Connection,
    *,
    transaction_id: str,
    member_id: UUID,
    card: str,
    type_: str,
    points: int,
    balance: int | None,
    order_id: str | None,
    reason: str | None,
    created_at: datetime,
) -> bool:
    """Add a movement of points; False when its transaction is known already."""
    made = await connection.fetchval(
        """INSERT INTO point_movement (transaction_id, member_id, card, type, points, balance, order_id, reason,
                                       created_at)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING RETURNING true""",
        transaction_id,
        member_id,
        card,
        type_,
        points,
        balance,
        order_id,
        reason,
        created_at,
    )
    return bool(made)
