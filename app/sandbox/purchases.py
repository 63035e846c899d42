"""Buying a reward with a loyalty card: what it costs, whether it can be had, and the paying. `reward_giving` gives it.

documented: the card's holder alone buys (`invalid_customer`), `missing_reward`, `missing_order` for paying with points,
`loyalty_card_points_exceeded`, the redemption with its `reward`; paying with points takes whole steps of the ratio, as
many as the order needs. inferred: without enough points it takes the steps that there are; points that are named are
not taken beyond what the order needs.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil
from typing import Any, Protocol

import asyncpg

from app.sandbox import (
    campaigns,
    conditions,
    customers,
    effects,
    ledger,
    publishing,
    render,
    render_loyalty,
    reward_giving,
    rewards,
    tiering,
    vouchers,
)
from app.sandbox.clock import iso
from app.sandbox.conditions import Subject
from app.sandbox.errors import Failure, not_found
from app.sandbox.fidelity import documented, inferred
from app.sandbox.ids import new_id
from app.sandbox.work import Work

_NOT_IN_ORDERS = "applied_discount_amount"


class Wanted(Protocol):
    """A redeemable that may buy a reward."""

    @property
    def id(self) -> str: ...
    @property
    def reward(self) -> str | None: ...


@dataclass(frozen=True)
class Purchase:
    """A reward that this card can buy, and what that takes."""

    card: render.Row
    holder: asyncpg.Record
    assignment: asyncpg.Record
    points: int
    order: dict[str, Any] | None
    """The order after it; only paying with points changes it."""
    tier: asyncpg.Record | None


@dataclass(frozen=True)
class Bought:
    """A purchase that is paid for."""

    purchase: Purchase
    given: reward_giving.Given
    movement: ledger.Movement
    reward_redemption: dict[str, Any]


async def tried(work: Work, card: render.Row, reward: str | None, points: int | None, subject: Subject) -> Purchase:
    """What this reward takes of this card, which is itself in order. Writes nothing.

    Raises:
        Failure: it can't be bought.
    """
    if not reward:
        raise Failure(400, "missing_reward", "Missing reward", "A reward is required when redeeming a LOYALTY_CARD")
    if not card["holder_id"] or (subject.customer is not None and subject.customer["id"] != card["holder_id"]):
        raise not_the_holder()
    holder = await customers.found(work, card["holder_id"])
    assignment = await work.one(f"{rewards.ASSIGNED} AND a.reward_id = $2", card["campaign_id"], reward)
    if assignment is None:
        raise not_found("reward", reward)
    related = [("voucher", card["id"]), ("campaign", card["campaign_id"]), ("reward_assignment", assignment["id"])]
    refused = await conditions.refusal(work, related, replace(subject, customer=holder, voucher=card))
    if refused is not None:
        raise refused
    tier = await tiering.of_card(work, card)
    order = (
        {name: value for name, value in subject.order.items() if not name.endswith(_NOT_IN_ORDERS)}
        if (subject.order is not None)
        else None
    )
    balance = render_loyalty.card_balance(card)
    if assignment["type"] == rewards.COIN:
        if order is None:
            raise Failure(400, "missing_order", "Missing order", "An order is required when redeeming a LOYALTY_CARD")
        price, worth = _paid(assignment, tier, balance, points, effects.left(order), card["code"])
        return Purchase(card, holder, assignment, price, effects.off_order(order, worth), tier)
    price = tiering.price(tier, assignment)
    if balance < price:
        raise exceeded(card["code"])
    await _refuse_unavailable(work, assignment)
    return Purchase(card, holder, assignment, price, order, tier)


def not_the_holder() -> Failure:
    return Failure(400, "invalid_customer", "Invalid customer", "Customer must be a holder of a loyalty card.")


def exceeded(code: str) -> Failure:
    return Failure(400, "loyalty_card_points_exceeded", "loyalty card points exceeded", code)


async def _refuse_unavailable(work: Work, assignment: asyncpg.Record) -> None:
    if assignment["stock"] == 0:
        raise reward_giving.out_of_stock(assignment["reward_id"])
    offered = assignment["doc"]["parameters"].get("campaign")
    if offered:
        publishing.refuse_inactive(work, await campaigns.found(work, offered["id"]))


def _paid(
    assignment: asyncpg.Record, tier: asyncpg.Record | None, balance: int, wanted: int | None, left: int, code: str
) -> tuple[int, int]:
    """How many points pay for how much of what an order has left, in minor units."""
    coin = assignment["doc"]["parameters"]["coin"]
    step, each = Fraction(coin["points_ratio"]), Fraction(str(coin["exchange_ratio"])) * 100
    if mapping := tiering.mapping_of(tier, "rewards", assignment["id"]):
        step *= Fraction(str(mapping.get("multiplier") or 1))
    if not left:
        raise Failure(400, "invalid_order", "Invalid order", "Nothing is left of the order to pay with points")
    needed = ceil(left / each)
    points = ceil(min(needed, balance // step) * step) if wanted is None else min(wanted, ceil(needed * step))
    worth = int(points / step * each)
    if not worth or (wanted or points) > balance:
        raise exceeded(code)
    return points, worth


async def cards_filled(work: Work, wanted: Sequence[Wanted]) -> list[str]:
    """The codes of cards that these purchases would put something on: to be locked in one order with those they use."""
    buying = [each for each in wanted if each.reward]
    if not buying:
        return []
    rows = await work.all(
        "SELECT v.code FROM voucher card JOIN voucher v ON v.holder_id = card.holder_id "
        "WHERE (card.code = ANY($1) OR card.id = ANY($1)) AND v.type <> 'DISCOUNT_VOUCHER' AND v.campaign_id IN "
        "(SELECT doc #>> '{parameters,campaign,id}' FROM reward WHERE id = ANY($2))",
        [each.id for each in buying],
        [each.reward for each in buying],
    )
    return [row["code"] for row in rows]


async def lock_products(work: Work, wanted: Sequence[Wanted]) -> None:
    """Nobody else may buy the products of these purchases meanwhile: whether there is one left is decided now."""
    if ids := [each.reward for each in wanted if each.reward]:
        await work.run("SELECT 1 FROM reward WHERE id = ANY($1) AND type = 'MATERIAL' ORDER BY id FOR UPDATE", ids)


async def holder_of(work: Work, wanted: Sequence[Wanted]) -> dict[str, Any] | None:
    """Who buys where a request names no customer: the holder of the card that it buys with."""
    codes = [each.id for each in wanted if each.reward]
    if not codes:
        return None
    holder = await work.value(
        "SELECT holder_id FROM voucher WHERE (code = ANY($1) OR id = ANY($1)) AND holder_id IS NOT NULL "
        "ORDER BY code LIMIT 1",
        codes,
    )
    return {"id": holder} if holder else None


async def pay(work: Work, purchase: Purchase, redemption: dict[str, Any], saved: asyncpg.Record | None) -> Bought:
    """Take the points and give the reward; completes the redemption. The holder and the cards are locked.

    Raises:
        Failure: the last product, or the last code, went meanwhile.
    """
    assignment, identifier = purchase.assignment, redemption["id"]
    redemption |= {"amount": purchase.points, "loyalty_card": {"points": purchase.points}}
    named = {"id": assignment["reward_id"], "name": assignment["name"]}
    given = await reward_giving.give(
        work, assignment, purchase.holder, {"redemption": {"id": identifier}, "reward": named}
    )
    details: dict[str, Any] = {"redemption": {"id": identifier}, "reward": named}
    if saved is not None:
        details["order"] = {"id": saved["id"], "source_id": saved["source_id"]}
    card = await vouchers.found(work, purchase.card["id"])
    movement = await ledger.move(work, card, -purchase.points, "POINTS_REDEMPTION", details=details)
    tier = purchase.tier if tiering.mapping_of(purchase.tier, "rewards", assignment["id"]) else None
    redemption |= {
        "voucher": render.voucher(movement.card, work.config.url),
        "reward": {
            **dict.fromkeys(("product", "sku", "voucher")),
            "customer": render.simple_customer(purchase.holder),
            "loyalty_tier_id": tier["id"] if tier is not None else None,
            **_shown(purchase, given),
        },
    }
    material = assignment["type"] == rewards.MATERIAL
    reward_redemption = {
        "id": new_id("rewr"),
        "state": "PENDING" if material else "COMPLETED",  # nobody can say in the API that a product was handed over
        "created_at": iso(work.now),
        "updated_at": None,
        "voucher_id": purchase.card["id"],
        "campaign_id": purchase.card["campaign_id"],
        "customer_id": purchase.holder["id"],
        "reward_assignment_id": assignment["id"],
        "source_id": identifier,
        "source_type": "redemption",
    }
    return Bought(purchase, given, movement, reward_redemption)


def _shown(purchase: Purchase, given: reward_giving.Given) -> dict[str, Any]:
    reward = rewards.of(purchase.assignment)
    return {
        **{name: value for name, value in reward.items() if name not in {"stock", "redeemed", "attributes"}},
        "assignment_id": purchase.assignment["id"],
        **({"voucher": given.voucher} if given.voucher is not None else {}),
        **(given.parts or {}),
    }


async def tell(work: Work, bought: Bought, redemption: dict[str, Any]) -> None:
    """Keep what was given, for a rollback, and tell of it. The redemption is written and told of already."""
    purchase, given, movement = bought.purchase, bought.given, bought.movement
    holder, card = purchase.holder, purchase.card
    await work.run(
        "INSERT INTO reward_redemption (id, redemption_id, reward_id, assignment_id, state, voucher_id, published, "
        "balance, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        bought.reward_redemption["id"],
        redemption["id"],
        purchase.assignment["reward_id"],
        purchase.assignment["id"],
        bought.reward_redemption["state"],
        given.voucher["id"] if given.voucher is not None else None,
        given.publication is not None,
        given.amount,
        work.now,
    )
    campaign = render.simple_campaign(await campaigns.found(work, card["campaign_id"]))
    work.announce(
        work.event("voucher.loyalty_card.transaction.created", card["id"], "evvou"),
        ledger.transaction_data(
            work,
            movement,
            campaign,
            holder,
            redemption=redemption,
            reward=rewards.of(purchase.assignment),
            order=redemption.get("order"),
        ),
        lane=holder["id"],
    )
    data = {
        "customer": render.simple_customer(holder),
        "holder": render.simple_customer(holder),
        "voucher": redemption["voucher"],
        "campaign": campaign,
        "reward": _shown(purchase, given),
        "reward_assignment": render_loyalty.assignment(purchase.assignment),
        "reward_redemption": bought.reward_redemption,
        "source": {"id": redemption["id"], "type": "redemption"},
        "balance": given.balance,
    }
    work.announce(work.event("customer.reward_redemptions.created", holder["id"]), data)
    if bought.reward_redemption["state"] == "PENDING":
        work.announce(work.event("customer.reward_redemptions.pending", holder["id"]), data)
        return
    told = {**given.publication, "voucher": given.voucher} if given.publication is not None else None
    completed = {**data, **({"publication": told} if told is not None else {})}
    work.announce(work.event("customer.reward_redemptions.completed", holder["id"]), completed)


FIDELITY = (
    documented(
        "**Buying a reward** at `members/{m}/redemption`, and by redemptions and validations with a loyalty card and "
        "`reward: {id, points}`, alone or stacked: a coupon is published to the holder; credits and points go on the "
        "card that the holder has, or on one that is published; a product's `stock` goes down and `redeemed` up "
        "(reward redemption `PENDING`); paying with points takes whole steps of the ratio off the order; "
        "`missing_reward`, `missing_order`, `invalid_customer`, `loyalty_card_points_exceeded`"
    ),
    inferred(
        "the last product is sold once, the next is `reward_out_of_stock`; paying with points takes the steps that "
        "there are where the order needs more, and no more than it needs where more points are named; a tier's "
        "multiplier multiplies the points of a step; points that a reward gives are a `POINTS_ADDITION`"
    ),
    inferred(
        "a refused purchase leaves `rf_…` with its metadata, a product or code that went meanwhile nothing; a reward "
        "that the programme does not offer is 404; a campaign that is off refuses with `campaign_not_active`"
    ),
)
