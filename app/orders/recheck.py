"""Coupons that Voucherify redeems after their order was canceled: looked for, and rolled back.

A call that was given up may still be carried out. So Voucherify's order is read again one minute after such a cancel
and a quarter of an hour later, and at once when a webhook tells of a redemption. A rollback may be asked for twice, so
a worker that is killed anywhere leaves nothing but another look.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from app.db.base import now
from app.db.session import Database
from app.errors import VoucherifyError, VoucherifyRefused
from app.live import changes
from app.telemetry import log
from app.voucherify import orders as voucherify_orders
from app.voucherify.client import Client
from app.voucherify.redemptions import roll_back, standing

PAUSES = (timedelta(minutes=1), timedelta(minutes=15))
"""Before the first look, and after one that found nothing."""
LEASE = timedelta(minutes=1)
"""How long one look may last; also the pause after one that Voucherify did not answer."""
BATCH = 50


@dataclass(frozen=True)
class _Look:
    """An order that is looked at now; `until` marks the look as ours."""

    order_id: UUID
    until: datetime
    looks: int


async def first_look(connection: asyncpg.Connection) -> datetime:
    """When to look first at an order that is being canceled, by the database's clock."""
    moment: datetime = await connection.fetchval("SELECT now() + $1::interval", PAUSES[0])
    return moment


async def recheck(database: Database, voucherify: Client) -> int:
    """Look at the canceled orders that are due; returns how many coupons were given back."""
    given_back = 0
    for _ in range(BATCH):
        look = await _claim(database)
        if look is None:
            break
        try:
            given_back += await _look(database, voucherify, look)
        except VoucherifyError as error:
            log.warning("order.recheck_waits", order_id=str(look.order_id), reason=error.sentence)
            break  # the next one would be told the same
    return given_back


async def _claim(database: Database) -> _Look | None:
    async with database.connection() as connection:
        row = await connection.fetchrow(
            """UPDATE orders SET recheck_at = now() + $1 WHERE id = (
                   SELECT id FROM orders WHERE recheck_at <= now() ORDER BY recheck_at LIMIT 1 FOR UPDATE SKIP LOCKED)
               RETURNING id, recheck_at, coalesce((redemption ->> 'looks')::int, 0) AS looks""",
            LEASE,
        )
    return _Look(row["id"], row["recheck_at"], row["looks"]) if row else None


async def _look(database: Database, voucherify: Client, look: _Look) -> bool:
    """Whether a coupon was given back."""
    found = await voucherify_orders.get(voucherify, str(look.order_id)) or {}
    links = found.get("redemptions") or {}
    late = standing(found)
    noted: dict[str, Any] = {}
    for redemption_id, link in links.items():
        try:
            rollback_id = (
                await roll_back(voucherify, redemption_id, "The order was canceled.")
                if redemption_id in late
                else link["rollback_id"]
            )
        except VoucherifyRefused as error:
            log.error("redemption.not_rolled_back", order_id=str(look.order_id), reason=error.sentence)
            noted["not_rolled_back"] = error.sentence
        else:
            noted["rolled_back"] = {"redemption": redemption_id, "id": rollback_id, "at": now().isoformat()}
    more = "rolled_back" not in noted and look.looks + 1 < len(PAUSES)
    await _note(database, look, PAUSES[look.looks + 1] if more else None, noted)
    return bool(late) and "rolled_back" in noted


async def _note(database: Database, look: _Look, pause: timedelta | None, noted: dict[str, Any]) -> None:
    """End the look, unless a webhook or another worker asked for the next one meanwhile: that one will note it."""
    async with database.transaction() as connection:
        kept = await connection.fetchval(
            """UPDATE orders SET recheck_at = now() + $3, redemption = coalesce(redemption, '{}') || $4
               WHERE id = $1 AND recheck_at = $2 RETURNING true""",
            look.order_id,
            look.until,
            pause,
            msgspec.json.encode({"looks": look.looks + 1, **noted}).decode(),
        )
        if kept and "rolled_back" in noted:
            await changes.append(connection, [changes.of_order(str(look.order_id), "order.rolled_back")])
    log.info("order.looked_at", order_id=str(look.order_id), rolled_back="rolled_back" in noted)
