"""Points that an order earned although it was canceled: taken off the card again.

It happens where a redemption was carried out late and Voucherify made the order PAID by itself. The redemption is
rolled back (see `app.orders.recheck`); Voucherify leaves the points on the card.
"""

from app.errors import Refused, VoucherifyError
from app.points.operations import Points, Wanted
from app.telemetry import log

CLIENT = "house"
"""Who asks for it: nobody outside."""
BATCH = 50

_EARNED = """
SELECT orders.id AS order_id, orders.member_id, transaction_id, points
FROM orders JOIN point_movement ON order_id = orders.id::text AND points > 0
WHERE status = 'CANCELED' AND jsonb_exists(redemption, 'rolled_back')
AND NOT EXISTS (SELECT FROM point_operation WHERE client = $1 AND idempotency_key = transaction_id)
-- What Voucherify took back itself is a movement of the order, too.
AND (SELECT sum(points) FROM point_movement AS all_of WHERE all_of.order_id = orders.id::text) > 0
LIMIT $2
"""


async def take_back(points: Points) -> int:
    """Ask for one adjustment per movement that is still to be taken back; returns how many were asked for.

    The transaction is the idempotency key, so any number of workers may do this. A balance that has been spent since is
    refused by Voucherify: the operation stays REFUSED, and the audit goes on naming the order.
    """
    async with points.database.connection() as connection:
        earned = await connection.fetch(_EARNED, CLIENT, BATCH)
    for row in earned:
        wanted = Wanted(
            client=CLIENT,
            idempotency_key=row["transaction_id"],
            member_id=row["member_id"],
            points=-row["points"],
            reason="The order was canceled",
        )
        try:
            operation = await points.ask(wanted)
        except (Refused, VoucherifyError) as error:
            log.warning("points.not_taken_back", order_id=str(row["order_id"]), reason=error.sentence)
        else:
            log.info("points.taken_back", order_id=str(row["order_id"]), status=operation.status)
    return len(earned)
