"""Rewards that are redeemed by themselves, as soon as a card has the points for them.

documented: when the balance reaches the price, before tiers are looked at; at midnight after pending points became
active; at most 10 times a day and 25 rewards each time; the channel AUTO_REDEEM with the assignment as its id.
inferred: one redemption for each reward; what is over goes on at the next midnight; a reward that can't be had (a rule
says no, no code, none in stock) leaves the points and no trace; points that a rollback gave back are not spent at once.
"""

from datetime import timedelta

import asyncpg

from app.sandbox import (
    customers,
    discounts,
    ledger,
    purchases,
    redemption_records,
    render,
    render_loyalty,
    rewards,
    tiering,
    vouchers,
)
from app.sandbox.calendar_days import midnight
from app.sandbox.conditions import Subject
from app.sandbox.errors import Failure
from app.sandbox.fidelity import documented, inferred
from app.sandbox.ids import new_id
from app.sandbox.work import Work

_AT_ONCE = 25
_TIMES_A_DAY = 10
_CHANNEL = "AUTO_REDEEM"
_ROUNDS = 5
"""Rewards of points may lift a card of another programme, whose reward lifts this one: so often, then at midnight."""


async def settle(work: Work) -> None:
    """Buy for all cards that got points in this transaction. Their holders are locked. Called before it commits."""
    for _ in range(_ROUNDS):
        gained, work.gained = work.gained, set()
        if not gained:
            return
        for card_id in sorted(gained):
            await _buy(work, card_id)
    await _later(work, sorted(work.gained))
    work.gained = set()


async def settle_now(work: Work, card: render.Row) -> render.Row | None:
    """Buy for one card; answers the card after that, or None where nothing was bought."""
    work.gained.discard(card["id"])
    return await vouchers.found(work, card["id"]) if card["auto_redeems"] and await _buy(work, card["id"]) else None


async def from_tonight(work: Work, campaign_id: str) -> None:
    """Members of this programme may have the points already: look at all of them in the next night."""
    ids = await work.all(
        "SELECT id FROM voucher WHERE campaign_id = $1 AND holder_id IS NOT NULL ORDER BY id", campaign_id
    )
    await _later(work, [row["id"] for row in ids])


async def _later(work: Work, card_ids: list[str]) -> None:
    await work.run(
        "INSERT INTO auto_redeem_due (voucher_id, due) SELECT unnest($1::text[]), $2 "
        "ON CONFLICT (voucher_id) DO UPDATE SET due = least(auto_redeem_due.due, excluded.due)",
        card_ids,
        ledger.today(work) + timedelta(days=1),
    )


async def _buy(work: Work, card_id: str) -> bool:
    """Buy as often as the points do and the day allows; answers whether anything was bought."""
    card = await vouchers.found(work, card_id)
    if not card["holder_id"]:
        return False
    holder = await customers.found(work, card["holder_id"], lock=True)
    card = await vouchers.found(work, card_id, lock=True)
    if discounts.refusal(work, card, card["code"]) is not None:
        return False
    assignment = await work.one(f"{rewards.ASSIGNED} AND a.auto_redeem", card["campaign_id"])
    if assignment is None:
        return False
    bought = 0
    while 0 < tiering.price(await tiering.of_card(work, card), assignment) <= render_loyalty.card_balance(card):
        if bought == _AT_ONCE or (not bought and await _times_today(work, card) >= _TIMES_A_DAY):
            await _later(work, [card_id])
            break
        if not await _bought(work, card, holder, assignment):
            break
        bought += 1
        card = await vouchers.found(work, card_id)
    return bought > 0


async def _times_today(work: Work, card: render.Row) -> int:
    return int(
        await work.value(
            "SELECT count(DISTINCT created_at) FROM redemption WHERE voucher_id = $1 AND created_at >= $2 "
            "AND created_at <= $3 AND object = 'redemption' AND doc #>> '{channel,channel_type}' = $4",
            card["id"],
            midnight(ledger.today(work), work.config.time_zone),
            work.now,
            _CHANNEL,
        )
    )


async def _bought(work: Work, card: render.Row, holder: asyncpg.Record, assignment: asyncpg.Record) -> bool:
    base = redemption_records.in_common(work, holder, {})
    redemption = {
        **base,
        "id": new_id("r"),
        "channel": {"channel_id": assignment["id"], "channel_type": _CHANNEL},
        "result": "SUCCESS",
        "status": "SUCCEEDED",
        "order": None,
        "related_object_type": "voucher",
    }
    told, moved, gained = len(work.announced), dict(work.moved), set(work.gained)
    try:
        async with work.db.transaction():  # what earned the points stays, whatever becomes of the reward
            await work.run("SELECT 1 FROM reward WHERE id = $1 FOR NO KEY UPDATE", assignment["reward_id"])
            purchase = await purchases.tried(
                work, card, assignment["reward_id"], None, Subject(holder, None, card, metadata={}, lock=True)
            )
            await work.run("UPDATE voucher SET redeemed_quantity = redeemed_quantity + 1 WHERE id = $1", card["id"])
            await redemption_records.record_purchase(work, purchase, redemption, None)
    except Failure:
        del work.announced[told:]
        work.moved, work.gained = moved, gained
        return False
    return True


FIDELITY = (
    documented(
        "**Auto-redeem**: one reward of a programme is bought as soon as the balance reaches its price, before tiers "
        "are looked at, and at midnight after pending points; 10 times a day, 25 rewards each time; the channel "
        "`AUTO_REDEEM`"
    ),
    inferred(
        "each reward that is redeemed by itself is a redemption of its own; what the day's limit leaves goes on at the "
        "next midnight (the real service blocks the reward until support frees it), and so do members who had the "
        "points before the reward was set; one that can't be had leaves the points and no failed redemption"
    ),
)
