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
    """Put a coupon into the member's wallet; False when it is there already."""
    expires = voucher.get("expiration_date")
    made = await connection.fetchval(
        """INSERT INTO coupon (code, member_id, campaign, title, order_id, published_at, expires_at)
           VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (code) DO NOTHING RETURNING true""",
        voucher["code"],
        member_id,
        voucher.get("campaign") or "",
        title(voucher),
        order_id,
        at,
        datetime.fromisoformat(expires).astimezone(UTC) if expires else None,
    )
    return bool(made)


async def redeemed(connection: asyncpg.Connection, code: str, order_id: str | None, at: datetime) -> None:
    """Mark a coupon as used up."""
    await connection.execute(
        "UPDATE coupon SET redeemed_at = $2, redeemed_order_id = $3 WHERE code = $1 AND redeemed_at IS NULL",
        code,
        at,
        order_id,
    )
