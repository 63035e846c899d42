"""The ledger of points: the only place that writes a movement of points.

documented: balance = points - subtracted_points - redeemed; `points` is what a card ever got; initial points are on the
card with no transaction; a removal counts as subtracted, a redemption as redeemed.
"""

from dataclasses import dataclass
from typing import Any

import asyncpg

from app.sandbox import render
from app.sandbox.ids import new_id
from app.sandbox.work import Work

_SUMS = {"POINTS_REMOVAL": ("subtracted", -1), "POINTS_REDEMPTION": ("redeemed", -1)}
"""Which of a card's sums a movement of this type changes, and its sign there; all other types add to `lifetime`."""


@dataclass(frozen=True)
class Movement:
    """A written movement: the card after it, the balance object and the transaction that say so."""

    card: render.Row
    balance: dict[str, Any]
    transaction: dict[str, Any]


async def move(
    work: Work,
    card: render.Row,
    points: int,
    kind: str,
    *,
    details: dict[str, Any] | None = None,
    source: str | None = None,
    source_id: str | None = None,
    reason: str | None = None,
) -> Movement:
    """Write one movement of a card and answer what it made.

    The caller holds the lock of the card's holder, so that the sums read here are those the movement is added to.
    `details` come beside the balance in the transaction; `kind` is the transaction's type.
    """
    operation = "AUTOMATIC" if kind == "POINTS_ACCRUAL" else "MANUAL"
    column, sign = _SUMS.get(kind, ("lifetime", 1))
    after = {**card, column: card[column] + sign * points, "updated_at": work.now}
    balance = render.balance(after, points, operation)
    row = await work.one(
        "WITH touched AS (UPDATE voucher SET updated_at = $9 WHERE id = $2) "
        "INSERT INTO point_transaction "
        "(id, voucher_id, campaign_id, type, points, source, source_id, reason, created_at, details) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING *",
        new_id("vtx"),
        card["id"],
        card["campaign_id"],
        kind,
        points,
        source,
        source_id,
        reason,
        work.now,
        {"balance": balance, **(details or {})},
    )
    assert row is not None
    return Movement(after, balance, render.transaction(row))


def transaction_data(
    work: Work, movement: Movement, campaign: dict[str, Any], holder: asyncpg.Record | None, **cause: Any
) -> dict[str, Any]:
    """The data of `voucher.loyalty_card.transaction.created`: all its keys, those of `cause` filled."""
    return {
        "transaction": movement.transaction,
        "voucher": render.voucher(movement.card, work.config.url),
        "campaign": campaign,
        "holder": render.simple_customer(holder),
        "balance": movement.balance,
        **dict.fromkeys(
            (
                "holder_loyalty_tier",
                "order",
                "event",
                "earning_rule",
                "segment",
                "loyalty_tier",
                "redemption",
                "rollback",
                "reward",
                "custom_event",
                "source_voucher",
                "destination_voucher",
            )
        ),
        **cause,
    }
