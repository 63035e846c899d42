"""What a reward gives to whoever bought it: a coupon, credits or points on a card, or a product.

documented: a coupon is published to the holder; credits and points go on the card that the holder has or on one that
is published; a product's stock goes down. inferred: `reward_out_of_stock`; points given by a reward are a
POINTS_ADDITION.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import asyncpg

from app.sandbox import (
    campaigns,
    gifts,
    ledger,
    products,
    publishing,
    render,
    render_catalogue,
    skus,
    validity,
    vouchers,
)
from app.sandbox.errors import Failure
from app.sandbox.work import Work


@dataclass(frozen=True)
class Given:
    """What a reward gave: a coupon or card (`voucher`), and how it came there."""

    voucher: dict[str, Any] | None = None
    publication: dict[str, Any] | None = None
    amount: int = 0
    """Credits or points that were put on it."""
    balance: dict[str, Any] | None = None
    parts: Mapping[str, Any] | None = None
    """What the redemption's `reward` says of it beside the voucher."""


def out_of_stock(reward: str) -> Failure:
    return Failure(400, "reward_out_of_stock", "Reward is out of stock", reward)


async def give(work: Work, assignment: asyncpg.Record, holder: asyncpg.Record, details: dict[str, Any]) -> Given:
    """Give the holder of a card what the reward of this assignment is; `details` are those of movements.

    Raises:
        Failure: the last product, or the last code, went meanwhile.
    """
    parameters = assignment["doc"]["parameters"]
    if "product" in parameters:
        return await _give_product(work, assignment["reward_id"], parameters["product"])
    if "campaign" not in parameters:
        return Given()
    offered = await campaigns.found(work, parameters["campaign"]["id"])
    if offered["campaign_type"] == "DISCOUNT_COUPONS":
        publication = await publishing.publish_card(work, offered, holder)
        coupon = render.voucher(await vouchers.found(work, publication["vouchers_id"][0]), work.config.url)
        return Given(coupon, publication)
    return await _top_up(work, holder, offered, parameters["campaign"]["balance"], details)


async def _give_product(work: Work, reward: str, wanted: dict[str, Any]) -> Given:
    taken = await work.run(
        "UPDATE reward SET stock = stock - 1, redeemed = redeemed + 1 WHERE id = $1 AND coalesce(stock, 1) > 0", reward
    )
    if taken == "UPDATE 0":
        raise out_of_stock(reward)
    product = await products.find(work, wanted["id"])
    sku = await skus.find(work, wanted["sku_id"]) if wanted["sku_id"] else None
    parts = {
        "product": render_catalogue.product(product) if product is not None else None,
        "sku": render_catalogue.sku(sku) if sku is not None else None,
    }
    return Given(parts=parts)


async def _top_up(
    work: Work, holder: asyncpg.Record, offered: asyncpg.Record, amount: int, details: dict[str, Any]
) -> Given:
    """Put credits or points on the holder's card of this campaign, or on one that is published now."""
    publication = None
    code = await _usable(work, offered, holder)
    if code is None:
        publication = await publishing.publish_card(work, offered, holder)
        code = publication["vouchers_id"][0]
    card = await vouchers.found(work, code, lock=True)
    campaign = render.simple_campaign(offered)
    customer = render.simple_customer(holder)
    if offered["campaign_type"] == "GIFT_VOUCHERS":
        credited = await gifts.move(work, card, amount, "CREDITS_ADDITION", details=details, source="Automation")
        voucher, balance = render.voucher(credited.card, work.config.url), credited.balance
        data = {"voucher": voucher, "balance": balance, "campaign": campaign, "transaction": credited.transaction}
        work.announce(work.event("voucher.gift.balance_added", card["id"], "evvou"), data, lane=holder["id"])
        work.announce(work.event("customer.voucher.gift.balance_added", holder["id"]), {"customer": customer, **data})
        return Given(voucher, publication, amount, balance)
    moved = await ledger.move(work, card, amount, "POINTS_ADDITION", details=details, source="Automation")
    voucher = render.voucher(moved.card, work.config.url)
    work.announce(
        work.event("voucher.loyalty_card.points_added", card["id"], "evvou"),
        {
            "voucher": voucher,
            "balance": moved.balance,
            "campaign": campaign,
            "customer": customer,
            "transaction": moved.transaction,
        },
        lane=holder["id"],
    )
    work.announce(
        work.event("voucher.loyalty_card.transaction.created", card["id"], "evvou"),
        ledger.transaction_data(work, moved, campaign, holder),
        lane=holder["id"],
    )
    return Given(voucher, publication, amount, moved.balance)


async def _usable(work: Work, offered: asyncpg.Record, holder: asyncpg.Record) -> str | None:
    """The first card of this campaign that the holder has and can use; of a programme there is but one."""
    rows = await work.all(
        "SELECT id, type, active, doc FROM voucher WHERE campaign_id = $1 AND holder_id = $2 ORDER BY created_at, id",
        offered["id"],
        holder["id"],
    )
    for row in rows:
        if row["type"] == "LOYALTY_CARD" and not row["active"]:
            raise Failure(400, "loyalty_card_not_active", "Loyalty card is not active", row["id"])
        if row["active"] and validity.state(row["doc"], work.now, work.config.time_zone) != "late":
            return str(row["id"])
    return None
