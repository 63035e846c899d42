"""The points of a card by the day on which they expire: `GET …/points-expiration`, and their expiry.

documented: the object; expired ones are not listed; a bucket that is empty stays until its day; without `expires_at`
where points don't expire; the transaction and the webhook of points that expire. inferred: listed soonest first.
"""

from collections.abc import Sequence
from typing import Any

from litestar import Router, get
from litestar.params import FromPath

from app.sandbox import ledger, lists, render, render_loyalty
from app.sandbox.fidelity import documented, inferred
from app.sandbox.loyalties import member
from app.sandbox.read import AnyRequest, page
from app.sandbox.store import TheStore
from app.sandbox.work import Work


@get("/loyalties/{campaign:str}/members/{reference:str}/points-expiration")
async def list_expirations(
    campaign: FromPath[str], reference: FromPath[str], request: AnyRequest, store: TheStore
) -> dict[str, Any]:
    limit, offset = page(request)
    async with store.work() as work:
        card = await member(work, reference, campaign)
        rows = await work.all(
            "SELECT * FROM point_bucket WHERE voucher_id = $1 AND expires_at >= $2 ORDER BY expires_at, id",
            card["id"],
            ledger.today(work),
        )
    return lists.numbered(
        "data", [render_loyalty.points_bucket(row) for row in rows[offset : offset + limit]], len(rows)
    )


async def expire(
    work: Work,
    card: render.Row,
    holder: render.Row | None,
    campaign: dict[str, Any],
    buckets: Sequence[render.Row],
) -> render.Row:
    """Take what these buckets hold off the card, for their day is over; answers the card after it."""
    points = sum(row["points"] for row in buckets)
    movement = await ledger.move(work, card, -points, "POINTS_EXPIRATION", source="Automation", operation="AUTOMATIC")
    lane = card["holder_id"] or card["id"]
    data = {
        "voucher": render.voucher(movement.card, work.config.url),
        "points": points,
        "buckets": [render_loyalty.points_bucket(row) for row in buckets],
        "campaign": campaign,
        "customer": render.simple_customer(holder),
        "transaction": movement.transaction,
    }
    tell(work, "voucher.loyalty_card.points_expired", card, data)
    work.announce(
        work.event("voucher.loyalty_card.transaction.created", card["id"], "evvou"),
        ledger.transaction_data(work, movement, campaign, holder),
        lane=lane,
    )
    return movement.card


def tell(work: Work, kind: str, card: render.Row, data: dict[str, Any]) -> None:
    """Announce what happened to a card twice: of the voucher, and (a trigger of distributions) of its holder."""
    holder = card["holder_id"]
    work.announce(work.event(kind, card["id"], "evvou"), data, lane=holder or card["id"])
    if holder:
        work.announce(work.event(f"customer.{kind}", holder), data)


router = Router("/", route_handlers=[list_expirations])

FIDELITY = (
    documented(
        "at the midnight after `expires_at` the points go (`POINTS_EXPIRATION`, `expired_points`); what "
        "expires soonest is spent and taken off first; `points-expiration`, `next_expiration_date`"
    ),
    inferred(
        "points of a card that expire on the same day lie in one bucket; a refund goes back to the days "
        "it was taken from"
    ),
)
