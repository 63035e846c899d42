"""The ledger of points: the only place that writes a movement of points, and the buckets that they lie in.

documented: balance = points - expired_points - subtracted_points - redeemed; `points` is what a card ever got; initial
points are on the card with no transaction; a removal counts as subtracted, a redemption as redeemed; what is taken is
taken from the points that expire soonest. inferred: a transfer out counts as subtracted, a transfer in as got; a refund
goes back to the days that its points were taken from; points of a card that expire on one day lie in one bucket.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from app.sandbox import expiry, render, render_loyalty
from app.sandbox.calendar_days import NEVER, day_of
from app.sandbox.fidelity import asserted, documented, inferred
from app.sandbox.ids import new_id
from app.sandbox.work import Work

_SUMS = {
    "POINTS_REMOVAL": "subtracted",
    "POINTS_TRANSFER_OUT": "subtracted",
    "POINTS_EXPIRATION": "expired",
    "POINTS_REDEMPTION": "redeemed",
    "POINTS_REFUND": "redeemed",
}
"""Which of a card's sums a movement of this type counts in, with its sign turned; all other types add to `lifetime`."""

_TRANSACTION = """
  INSERT INTO point_transaction
    (id, voucher_id, campaign_id, type, points, source, source_id, reason, created_at, details, related_id, taken)
  SELECT $1::text, $2, $3, $4, $5::bigint, $6, $7, $8, $9, $10, $11
"""
_PUT = f"""
  WITH touched AS (UPDATE voucher SET updated_at = $9 WHERE id = $2),
  filled AS (
    INSERT INTO point_bucket (id, voucher_id, campaign_id, points, expires_at, created_at)
    SELECT id, $2, $3, points, expires_at, $9
    FROM unnest($12::text[], $13::date[], $14::bigint[]) AS new (id, expires_at, points)
    ON CONFLICT (voucher_id, expires_at)
    DO UPDATE SET points = point_bucket.points + excluded.points, updated_at = excluded.created_at
  )
  {_TRANSACTION}, NULL::jsonb RETURNING *
"""  # noqa: S608 - constants
_TAKE = f"""
  WITH touched AS (UPDATE voucher SET updated_at = $9 WHERE id = $2),
  held AS (
    SELECT id, expires_at, points, sum(points) OVER (ORDER BY expires_at)::bigint AS upto
    FROM point_bucket WHERE voucher_id = $2 AND points > 0
  ),
  taken AS (
    SELECT id, expires_at, least(upto, -$5::bigint) - (upto - points) AS points
    FROM held WHERE upto - points < -$5::bigint
  ),
  emptied AS (
    UPDATE point_bucket SET points = point_bucket.points - taken.points, updated_at = $9
    FROM taken WHERE point_bucket.id = taken.id
  ),
  next AS (
    SELECT expires_at, least(points, upto + $5::bigint) AS points
    FROM held WHERE upto > -$5::bigint AND expires_at < 'infinity' ORDER BY expires_at LIMIT 1
  )
  {_TRANSACTION}, (SELECT jsonb_agg(jsonb_build_object('expires_at', expires_at, 'points', points)) FROM taken)
  RETURNING *, (SELECT expires_at FROM next) AS next_date, (SELECT points FROM next) AS next_points,
    (SELECT sum(points) FROM taken)::bigint AS taken_points
"""  # noqa: S608 - constants


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
    operation: str | None = None,
    expires_at: date | None = None,
    related: tuple[str, str] | None = None,
) -> Movement:
    """Write one movement of a card and answer what it made.

    The caller holds the lock of the card's holder, so that the sums read here are those the movement is added to.
    `details` come beside the balance in the transaction; `kind` is the transaction's type. `expires_at` is the last day
    of points that come (by default by the programme's rules); `related` is this transaction's id and that of the other
    half of a transfer.
    """
    operation = operation or ("AUTOMATIC" if kind == "POINTS_ACCRUAL" else "MANUAL")
    own, other = related or (new_id("vtx"), None)
    column = _SUMS.get(kind)
    changed = {column: card[column] - points} if column else {"lifetime": card["lifetime"] + points}
    after: dict[str, Any] = {**card, **changed, "updated_at": work.now}
    balance = render_loyalty.balance(after, points, operation)
    arguments = (
        own,
        card["id"],
        card["campaign_id"],
        kind,
        points,
        source,
        source_id,
        reason,
        work.now,
        {"balance": balance, **(details or {})},
        other,
    )
    if points < 0:
        row = await work.one(_TAKE, *arguments)
        assert row is not None
        assert row["taken_points"] == -points, "the card's buckets do not hold its balance"
        after |= {"next_expiration_date": row["next_date"], "next_expiration_points": row["next_points"]}
    else:
        fills = await _fills(work, card, points, kind, details or {}, expires_at)
        row = await work.one(
            _PUT,
            *arguments,
            [new_id("lopb") for _ in fills],
            [day for day, _ in fills],
            [part for _, part in fills],
        )
        assert row is not None
        after |= _next(card, fills)
    if card["tiered"]:
        work.moved[card["id"]] = after
    if points > 0 and card["auto_redeems"] and kind != "POINTS_REFUND":  # what was given back is not spent again
        work.gained.add(card["id"])
    return Movement(after, balance, render.transaction(row))


async def _fills(
    work: Work, card: render.Row, points: int, kind: str, details: dict[str, Any], expires_at: date | None
) -> list[tuple[date, int]]:
    """Which buckets points come into, by their last day."""
    fills: list[tuple[date, int]] = []
    if kind == "POINTS_REFUND" and (redemption := details.get("redemption")):
        taken = await work.value(
            "SELECT taken FROM point_transaction WHERE voucher_id = $1 AND type = 'POINTS_REDEMPTION' "
            "AND details -> 'redemption' ->> 'id' = $2",
            card["id"],
            redemption["id"],
        )
        for bucket in taken or []:
            part = min(points, bucket["points"])
            if part:
                day = bucket["expires_at"]
                # Points whose day is over meanwhile can be used till the end of this one.
                fills.append((NEVER if day == "infinity" else max(date.fromisoformat(day), today(work)), part))
                points -= part
    if points:
        fills.append((expires_at or by_programme(work, card), points))
    return fills


def by_programme(work: Work, card: render.Row) -> date:
    """The last day of points that come on this card now, by the rules of its programme."""
    return expiry.last_day(card["expiration_rules"], today(work))


def by_rule(work: Work, rule: dict[str, Any]) -> date | None:
    """The last day of points that an earning rule gives now; None where it leaves that to the programme."""
    own = rule.get("expiration_rules")
    return expiry.last_day(own, today(work)) if own else None


def today(work: Work) -> date:
    """The day in the project's time zone."""
    return day_of(work.now, work.config.time_zone)


def _next(card: render.Row, fills: Sequence[tuple[date, int]]) -> dict[str, Any]:
    day, points = card["next_expiration_date"], card["next_expiration_points"] or 0
    for new, part in fills:
        if new != NEVER and (day is None or new < day):
            day, points = new, part
        elif new == day:
            points += part
    return {"next_expiration_date": day, "next_expiration_points": points if day else None}


async def open_buckets(work: Work, campaign: render.Row, voucher_ids: list[str]) -> None:
    """Put the initial points of cards that are published now into buckets: their time begins here."""
    template = campaign["doc"]["voucher"].get("loyalty_card") or {}
    await work.run(
        "INSERT INTO point_bucket (id, voucher_id, campaign_id, points, expires_at, created_at) "
        "SELECT bucket, voucher.id, campaign_id, initial_points, $3, $4 "
        "FROM unnest($1::text[], $2::text[]) AS new (bucket, voucher_id) JOIN voucher ON voucher.id = voucher_id "
        "WHERE initial_points > 0 ON CONFLICT DO NOTHING",
        [new_id("lopb") for _ in voucher_ids],
        voucher_ids,
        expiry.last_day(template.get("expiration_rules"), today(work)),
        work.now,
    )


def transaction_data(
    work: Work, movement: Movement, campaign: dict[str, Any], holder: render.Row | None, **cause: Any
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


FIDELITY = (
    asserted("`X-Voucherify-Channel` becomes the source of manual points"),
    documented(
        "**Cards**: `points` is all that was ever put on, `balance` what is left; a removal counts as "
        "`subtracted_points`; a balance is always the initial points and the sum of the transactions",
        "older samples differ",
    ),
    asserted("initial points are on the card with no transaction; the body of a balance adjustment"),
    inferred("more points than there are can't be taken off (`loyalty_card_points_exceeded`)", "for adjustments"),
)
