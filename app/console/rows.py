"""The rows that one order left behind, in all tables on its road."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from app.destinations.voucherify import VOUCHERIFY

ORDER_EVENT = "Order Completed"


@dataclass(frozen=True)
class Found:
    """Rows as they are; lists in the order in which things happened."""

    read_at: datetime
    """By the database's clock, as all times here."""
    order: asyncpg.Record
    emission: asyncpg.Record | None
    event: asyncpg.Record | None
    poison: asyncpg.Record | None
    deliveries: list[asyncpg.Record]
    """To Voucherify; the one that moves the order to PAID first, if there is one."""
    others: list[asyncpg.Record]
    """To other destinations: they never decide how the order is."""
    function: asyncpg.Record | None
    """What became of the event on its way to the first delivery's destination."""
    attempts: list[asyncpg.Record]
    webhooks: list[asyncpg.Record]
    movements: list[asyncpg.Record]
    coupons: list[asyncpg.Record]
    changes: dict[str, asyncpg.Record]
    """The last change of each kind. They are kept for a day only: what the trace takes from them it can do without."""
    profile: dict[str, Any] | None


async def of_order(connection: asyncpg.Connection, order_id: UUID) -> Found | None:
    """Read them all; a dozen small queries by index."""
    order = await connection.fetchrow("SELECT * FROM orders WHERE id = $1", order_id)
    if order is None:
        return None
    text = str(order_id)
    event = await connection.fetchrow(
        "SELECT * FROM event WHERE order_id = $1 AND name = $2 ORDER BY position LIMIT 1", text, ORDER_EVENT
    )
    position = event["position"] if event else None
    deliveries = await connection.fetch(
        """SELECT delivery.*, coalesce(at.type, delivery.destination) = $2 AS voucherify FROM delivery
           LEFT JOIN destination AS at ON at.slug = delivery.destination
           LEFT JOIN mapping AS of ON of.destination = delivery.destination AND of.slug = delivery.mapping
           WHERE event_position = $1 ORDER BY of.action IS NOT DISTINCT FROM 'orderPaid' DESC, delivery.id""",
        position,
        VOUCHERIFY.slug,
    )
    ours = [row for row in deliveries if row["voucherify"]]
    return Found(
        read_at=await connection.fetchval("SELECT clock_timestamp()"),
        order=order,
        emission=await connection.fetchrow(
            "SELECT * FROM emission WHERE order_id = $1 AND source <> 'voucherify' ORDER BY id LIMIT 1", text
        ),
        event=event,
        poison=await connection.fetchrow("SELECT * FROM poison_event WHERE event_position = $1", position),
        deliveries=ours,
        others=[row for row in deliveries if not row["voucherify"]],
        function=await connection.fetchrow(
            "SELECT * FROM function_result WHERE event_position = $1 AND destination = $2",
            position,
            ours[0]["destination"] if ours else None,
        ),
        attempts=await connection.fetch(
            "SELECT * FROM attempt WHERE delivery_id = ANY($1) ORDER BY id", [row["id"] for row in ours]
        ),
        webhooks=await connection.fetch("SELECT * FROM webhook WHERE order_id = $1 ORDER BY id", text),
        movements=await connection.fetch(
            "SELECT * FROM point_movement WHERE order_id = $1 ORDER BY created_at, transaction_id", text
        ),
        coupons=await connection.fetch("SELECT * FROM coupon WHERE order_id = $1 ORDER BY published_at", text),
        changes={
            row["kind"]: row
            for row in await connection.fetch(
                "SELECT kind, position, created_at FROM change WHERE topic = $1 ORDER BY position", f"order:{text}"
            )
        },
        profile=await _profile(connection, order["member_id"]),
    )


async def _profile(connection: asyncpg.Connection, member_id: UUID | None) -> dict[str, Any] | None:
    row = await connection.fetchrow(
        """SELECT profile.id, loyalty, traits FROM profile
           JOIN profile_identifier ON profile_id = profile.id WHERE type = 'user_id' AND value = $1""",
        str(member_id),
    )
    if row is None:
        return None
    coupons = await connection.fetch(
        "SELECT code, title FROM coupon WHERE member_id = $1 AND redeemed_at IS NULL ORDER BY published_at", member_id
    )
    return {
        "id": str(row["id"]),
        "loyalty": row["loyalty"],
        "first_name": row["traits"].get("first_name"),
        "coupons": [{"code": coupon["code"], "title": coupon["title"]} for coupon in coupons],
    }
