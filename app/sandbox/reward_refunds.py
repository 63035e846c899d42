"""Taking a purchase back: the points come back (POINTS_REFUND), and what they bought goes.

documented: `amount` and `loyalty_card.points` of the rollback are negative, it names the reward. inferred: a coupon
that was not used is disabled; credits and points that a reward gave are taken off as far as they are still there, and a
card that was published for them and not used is disabled; a product is in stock again. Nobody says what the real
service does.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg

from app.sandbox import campaigns, customers, gifts, ledger, render, render_loyalty, vouchers
from app.sandbox.clock import iso
from app.sandbox.fidelity import documented, inferred
from app.sandbox.work import Work


def given(redemptions: Sequence[Mapping[str, Any]]) -> list[str]:
    """The ids of the vouchers that these redemptions gave, for their locks."""
    rewards = [each["doc"].get("reward") or {} for each in redemptions]
    return [reward["voucher"]["id"] for reward in rewards if reward.get("voucher")]


async def lock_products(work: Work, redemptions: Sequence[Mapping[str, Any]]) -> None:
    """Lock the products that come back, as those lock them who buy several; the vouchers are locked."""
    rewards = [each["doc"].get("reward") or {} for each in redemptions]
    ids = [reward["id"] for reward in rewards if reward]
    await work.run("SELECT 1 FROM reward WHERE id = ANY($1) AND type = 'MATERIAL' ORDER BY id FOR UPDATE", ids)


async def give_back(
    work: Work,
    card: render.Row,
    redeemed: asyncpg.Record,
    rollback: dict[str, Any],
    customer: asyncpg.Record | None,
    saved: asyncpg.Record | None,
) -> render.Row:
    """Put the points back on the card and take the reward back; answers the card after it. All are locked."""
    doc = redeemed["doc"]
    reward, points = doc["reward"], doc["amount"]
    rollback |= {"amount": -points, "loyalty_card": {"points": -points}, "reward": reward}
    named = {"id": reward["id"], "name": reward["name"]}
    causes: dict[str, Any] = {"redemption": {"id": redeemed["id"]}, "rollback": {"id": rollback["id"]}}
    row = await work.one(
        "UPDATE reward_redemption SET state = 'ROLLEDBACK', updated_at = $2 WHERE redemption_id = $1 RETURNING *",
        redeemed["id"],
        work.now,
    )
    if row is not None:
        await _take_back(work, row, {**causes, "reward": named})
    details = {**causes, "reward": named}
    if saved is not None:
        details["order"] = {"id": saved["id"], "source_id": saved["source_id"]}
    movement = await ledger.move(work, card, points, "POINTS_REFUND", details=details)
    there = await work.one("SELECT * FROM reward WHERE id = $1", reward["id"])
    rollback["voucher"] = render.voucher(movement.card, work.config.url)
    campaign = render.simple_campaign(await campaigns.found(work, card["campaign_id"]))
    work.announce(
        work.event("voucher.loyalty_card.transaction.created", card["id"], "evvou"),
        ledger.transaction_data(
            work,
            movement,
            campaign,
            customer,
            redemption=doc,
            rollback=dict(rollback),
            reward=render_loyalty.reward(there) if there is not None else None,
            order=render.order(saved) if saved is not None else None,
        ),
        lane=customer["id"] if customer is not None else card["id"],
    )
    if row is not None and customer is not None:
        _tell(work, row, movement.card, campaign, customer, reward)
    return movement.card


async def _take_back(work: Work, row: asyncpg.Record, details: dict[str, Any]) -> None:
    # A reward that was deleted meanwhile has no stock any more.
    await work.run(
        "UPDATE reward SET stock = stock + 1, redeemed = redeemed - 1 WHERE id = $1 AND type = 'MATERIAL' "
        "AND redeemed > 0",
        row["reward_id"],
    )
    card = await vouchers.find(work, row["voucher_id"]) if row["voucher_id"] else None
    if card is None:
        return
    if card["type"] == "GIFT_VOUCHER":
        left = min(row["balance"], render.gift(card)["balance"] - await gifts.locked(work, card))
        if left > 0:
            await gifts.move(work, card, -left, "CREDITS_REMOVAL", details=details, source="Automation")
    elif card["type"] == "LOYALTY_CARD":
        await _points_off(work, card, min(row["balance"], render_loyalty.card_balance(card)), details)
        return  # the holder stays a member
    if row["published"] and card["active"] and not card["redeemed_quantity"]:
        await work.run("UPDATE voucher SET active = false, updated_at = $2 WHERE id = $1", card["id"], work.now)
        after = await vouchers.found(work, card["id"])
        data = {"voucher": render.voucher(after, work.config.url)}
        work.announce(work.event("voucher.disabled", card["id"], "evvou"), data, lane=card["holder_id"] or card["id"])


async def _points_off(work: Work, card: asyncpg.Record, points: int, details: dict[str, Any]) -> None:
    if points < 1:
        return
    holder = await customers.find(work, card["holder_id"]) if card["holder_id"] else None
    movement = await ledger.move(work, card, -points, "POINTS_REMOVAL", details=details, source="Automation")
    campaign = render.simple_campaign(await campaigns.found(work, card["campaign_id"]))
    work.announce(
        work.event("voucher.loyalty_card.transaction.created", card["id"], "evvou"),
        ledger.transaction_data(work, movement, campaign, holder),
        lane=card["holder_id"] or card["id"],
    )


def _tell(
    work: Work,
    row: asyncpg.Record,
    card: render.Row,
    campaign: dict[str, Any],
    customer: asyncpg.Record,
    reward: dict[str, Any],
) -> None:
    """In the customer's activity; there is no webhook for it."""
    work.announce(
        work.event("customer.reward_redemptions.rolledback", customer["id"]),
        {
            "customer": render.simple_customer(customer),
            "holder": render.simple_customer(customer),
            "voucher": render.voucher(card, work.config.url),
            "campaign": campaign,
            "reward": reward,
            "reward_redemption": {
                "id": row["id"],
                "state": row["state"],
                "created_at": iso(row["created_at"]),
                "updated_at": iso(row["updated_at"]),
                "voucher_id": card["id"],
                "campaign_id": card["campaign_id"],
                "customer_id": customer["id"],
                "reward_assignment_id": row["assignment_id"],
                "source_id": row["redemption_id"],
                "source_type": "redemption",
            },
        },
    )


FIDELITY = (
    documented(
        "**Rollback of a purchase**, alone or in a stack: points come back (`POINTS_REFUND`), into the buckets that "
        "they came from; `amount` and `loyalty_card.points` are negative"
    ),
    inferred(
        "a rollback takes the reward back: a coupon that was not used is disabled, credits and points are taken off as "
        "far as they are still there, a product is in stock again; points of a refund do not trigger auto-redeem"
    ),
)
