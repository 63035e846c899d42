"""A member's coupons, as Voucherify tells of them."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg


def title(voucher: dict[str, Any]) -> str:
    """What a discount voucher gives, in words; minor units are shown as hundredths."""
    discount = voucher.get("discount") or {}
    match discount.get("type"):
        case "PERCENT":
            return f"{discount['percent_off']:g} % off"
        case "AMOUNT":
            return f"{discount['amount_off'] / 100:.2f} off"
        case _:
            return str(voucher.get("campaign") or "Coupon")


async def published(
    connection: asyncpg.Connection, member_id: UUID, voucher: dict[str, Any], at: datetime, order_id: str | None
) -> bool:
    """Put a coupon into the member's wallet; False when it is there already.

    Where a redemption was heard of first, the coupon is there without the order that earned it: that is filled in.
    """
    expires = voucher.get("expiration_date")
    made = await connection.fetchval(
        """INSERT INTO coupon (code, member_id, campaign, title, order_id, published_at, expires_at)
           VALUES ($1, $2, $3, $4, $5, $6, $7)
           ON CONFLICT (code) DO UPDATE SET order_id = excluded.order_id, published_at = excluded.published_at
               WHERE coupon.order_id IS NULL AND excluded.order_id IS NOT NULL
           RETURNING xmax = 0""",
        voucher["code"],
        member_id,
        voucher.get("campaign") or "",
        title(voucher),
        order_id,
        at,
        datetime.fromisoformat(expires).astimezone(UTC) if expires else None,
    )
    return bool(made)


async def lock(connection: asyncpg.Connection, code: str) -> None:
    """Let nobody else change this coupon until the transaction ends."""
    await connection.execute("SELECT FROM coupon WHERE code = $1 FOR UPDATE", code)


async def redeemed(connection: asyncpg.Connection, code: str, order_id: str | None, at: datetime) -> None:
    """Mark a coupon as used up, at a moment of Voucherify's clock: of two redemptions the later one counts."""
    await connection.execute(
        """UPDATE coupon SET redeemed_at = $2, redeemed_order_id = $3
           WHERE code = $1 AND (redeemed_at IS NULL OR redeemed_at < $2)""",
        code,
        at,
        order_id,
    )


async def given_back(connection: asyncpg.Connection, code: str, order_id: str | None) -> bool:
    """Make a coupon usable again whose redemption for this order was rolled back; False when it was used otherwise."""
    await lock(connection, code)
    return bool(
        await connection.fetchval(
            """UPDATE coupon SET redeemed_at = NULL, redeemed_order_id = NULL
               WHERE code = $1 AND redeemed_at IS NOT NULL AND redeemed_order_id IS NOT DISTINCT FROM $2
               RETURNING true""",
            code,
            order_id,
        )
    )
