"""Orders that stayed PENDING because their checkout was cut off: finished or canceled, never guessed.

Also coupons that were redeemed after their order was canceled: given back.
"""

from datetime import timedelta

from sqlalchemy import func
from sqlmodel import col, select

from app.errors import Busy, VoucherifyError
from app.orders.checkout import Checkout
from app.orders.models import Order
from app.orders.recheck import recheck
from app.telemetry import log

BATCH = 50


async def sweep(checkout: Checkout) -> int:
    """Take up stale PENDING orders, and look at canceled ones again; returns how many were settled or rolled back.

    Run by one worker at a time; two do no harm.
    """
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
    return settled + await recheck(checkout.database, checkout.voucherify)
