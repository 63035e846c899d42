"""Orders that stayed PENDING because their checkout was cut off: finished or rolled back, never guessed."""

from datetime import timedelta

from sqlalchemy import func
from sqlmodel import col, select

from app.errors import Busy, VoucherifyError
from app.orders.checkout import Checkout
from app.orders.models import Order
from app.telemetry import log

BATCH = 50


async def sweep(checkout: Checkout) -> int:
    """Take up stale PENDING orders; returns how many were settled. Run by one worker at a time."""
    async with checkout.database.session() as session:
        stale = await session.exec(
            select(Order.id)
            .where(
                Order.status == "PENDING",
                col(Order.touched_at) < func.now() - timedelta(seconds=checkout.pending_after),
            )
            .order_by(col(Order.touched_at))
            .limit(BATCH)
        )
        ids = stale.all()
    settled = 0
    for order_id in ids:
        try:
            settled += (await checkout.take_up(order_id)).status != "PENDING"
        except (Busy, VoucherifyError) as error:
            log.warning("order.still_pending", order_id=str(order_id), reason=error.sentence)
    return settled
