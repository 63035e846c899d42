"""The ledger of gift cards: the only place that writes a movement of credits.

documented: the transaction's types, the balance object, `balance = amount - subtracted_amount - redeemed_amount`,
`gift_amount_exceeded`, refunds by rollbacks. inferred: initial credits are on the card with no transaction, as points
are; more credits than there are can't be taken off; a card needs no holder to be topped up.
"""

from dataclasses import dataclass
from typing import Any

import asyncpg

from app.sandbox import customers, render
from app.sandbox.errors import Failure, NotEmulated, invalid_payload
from app.sandbox.fidelity import documented
from app.sandbox.ids import new_id
from app.sandbox.read import LARGEST, integer, one_of, text
from app.sandbox.work import Work

_SUMS = {
    "CREDITS_ADDITION": ("credits_added", 1),
    "CREDITS_REMOVAL": ("credits_removed", -1),
    "CREDITS_REDEMPTION": ("credits_redeemed", -1),
    "CREDITS_REFUND": ("credits_redeemed", -1),
}
"""Which of a card's sums a movement of this type changes, and its sign there."""


@dataclass(frozen=True)
class Movement:
    """A written movement: the card after it, the balance object and the transaction that say so."""

    card: render.Row
    balance: dict[str, Any]
    transaction: dict[str, Any]


def read(given: dict[str, Any], at: str) -> dict[str, Any]:
    """The gift of a template or a voucher: what is on it at first."""
    amount = integer(given, "amount", at=at)
    if amount is None:
        raise invalid_payload(f"Property {at} should have required property 'amount'")
    effect = one_of(given, "effect", ("APPLY_TO_ORDER", "APPLY_TO_ITEMS"), at=at) or "APPLY_TO_ORDER"
    if effect != "APPLY_TO_ORDER":
        raise NotEmulated(f"A gift card with effect {effect}")
    return {"amount": amount, "balance": amount, "effect": effect}


async def move(
    work: Work,
    card: render.Row,
    amount: int,
    kind: str,
    *,
    details: dict[str, Any] | None = None,
    source: str | None = None,
    source_id: str | None = None,
    reason: str | None = None,
    **cause: Any,
) -> Movement:
    """Write one movement of a card, tell of it, and answer what it made.

    The caller holds the card's lock, so that the sums read there are those the movement is added to. `details` come
    beside the balance in the transaction, `cause` in the webhook's data.
    """
    column, sign = _SUMS[kind]
    after = {**card, column: card[column] + sign * amount, "updated_at": work.now}
    balance = render.credit_balance(after, amount)
    row = await work.one(
        "WITH touched AS (UPDATE voucher SET updated_at = $9 WHERE id = $2) "
        "INSERT INTO credit_transaction "
        "(id, voucher_id, campaign_id, type, amount, source, source_id, reason, created_at, details) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING *",
        new_id("vtx"),
        card["id"],
        card["campaign_id"],
        kind,
        amount,
        source,
        source_id,
        reason,
        work.now,
        {"balance": balance, **(details or {})},
    )
    assert row is not None
    movement = Movement(after, balance, render.transaction(row))
    holder = await customers.find(work, card["holder_id"]) if card["holder_id"] else None
    work.announce(
        work.event("voucher.gift.transaction.created", card["id"], "evvou"),
        {
            "transaction": movement.transaction,
            "voucher": render.voucher(after, work.config.url),
            "campaign": await _campaign(work, card),
            "holder": render.simple_customer(holder),
            "balance": balance,
            **dict.fromkeys(("order", "redemption", "rollback")),
            **cause,
        },
        lane=card["holder_id"] or card["id"],
    )
    return movement


async def _campaign(work: Work, card: render.Row) -> dict[str, Any] | None:
    row = await work.one("SELECT * FROM campaign WHERE id = $1", card["campaign_id"]) if card["campaign_id"] else None
    return render.simple_campaign(row) if row is not None else None


async def locked(work: Work, card: render.Row, key: str | None = None) -> int:
    """The credits of this card that sessions other than `key` hold back."""
    return int(
        await work.value(
            "SELECT coalesce(sum(credits), 0) FROM session_lock "
            "WHERE voucher_id = $1 AND key IS DISTINCT FROM $2 AND expires_at > $3",
            card["id"],
            key,
            work.now,
        )
    )


def exceeded(code: str) -> Failure:
    return Failure(400, "gift_amount_exceeded", "gift amount exceeded", code)


async def adjust(work: Work, card: asyncpg.Record, body: dict[str, Any]) -> dict[str, Any]:
    """Add credits by hand, or take some off; answers the balance object. The caller holds the card's lock."""
    amount = integer(body, "amount", least=-(2**40), most=2**40)
    if not amount:
        raise invalid_payload("Property .amount must be an integer other than 0")
    balance = render.gift(card)["balance"]
    if balance + amount < 0:
        raise exceeded(card["code"])
    if balance + amount > LARGEST:
        raise invalid_payload(f"Property .amount must be <= {LARGEST - balance}")
    movement = await move(
        work,
        card,
        amount,
        "CREDITS_ADDITION" if amount > 0 else "CREDITS_REMOVAL",
        source=work.call.channel or "API",
        source_id=text(body, "source_id"),
        reason=text(body, "reason"),
    )
    data = {
        "voucher": render.voucher(movement.card, work.config.url),
        "balance": movement.balance,
        "campaign": await _campaign(work, card),
        "transaction": movement.transaction,
    }
    lane = card["holder_id"] or card["id"]
    work.announce(work.event("voucher.gift.balance_added", card["id"], "evvou"), data, lane=lane)
    if card["holder_id"]:
        holder = await customers.find(work, card["holder_id"])
        work.announce(
            work.event("customer.voucher.gift.balance_added", card["holder_id"]),
            {"customer": render.simple_customer(holder), **data},
        )
    return movement.balance


FIDELITY = (
    documented(
        "**Gift cards**: a balance is the initial credits and the sum of the transactions; `amount` is "
        "all that was ever put on; adjustments by hand, `gift_amount_exceeded`, credits come back by a "
        "rollback"
    ),
)
