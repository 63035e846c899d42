"""Referrals: a friend comes by a code, once in a programme; friend and giver get what the programme has for them.

documented: the two conversion events, a redemption counts for nothing where a custom event converts, validation rules
are asked, the friend's reward and the giver's by tiers, a card is published to who has none, `customer.referred` and
`customer.rewarded` with their data. inferred: a friend counts once in a programme, whoever's code comes later; a custom
event whose code can't convert (a switched off, expired or own code, another event, a rule that says no) is kept and
counts for nobody; a code's number of redemptions does not bind events; a reward that can't be given (no codes left, a
campaign that is off) is left out; a rollback takes nothing back.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg

from app.sandbox import (
    campaigns,
    conditions,
    customers,
    gifts,
    ledger,
    publishing,
    referral_holders,
    referral_tiers,
    render,
    validity,
    vouchers,
)
from app.sandbox.conditions import Subject
from app.sandbox.errors import Failure, not_found
from app.sandbox.fidelity import documented, inferred
from app.sandbox.ids import new_id
from app.sandbox.referral_programs import BY_EVENT, BY_REDEMPTION, REFERRAL, unpublished
from app.sandbox.work import Event, Work

_AMOUNTS = {"LOYALTY_CARD": "points", "GIFT_VOUCHER": "credits"}


@dataclass(frozen=True)
class Used:
    """A referral code that came with an event: the code, its campaign, and who gave it away."""

    voucher: asyncpg.Record
    campaign: asyncpg.Record
    referrer: asyncpg.Record

    def in_event(self) -> dict[str, Any]:
        return {"code": self.voucher["code"], "id": self.voucher["id"], "referrer_id": self.referrer["id"]}

    def in_webhook(self, url: str) -> dict[str, Any]:
        return {
            "referrer": render.simple_customer(self.referrer),
            "voucher": render.voucher(self.voucher, url),
            "campaign": render.simple_campaign(self.campaign),
        }


@dataclass(frozen=True)
class _Cause:
    """What converted a friend: a redemption or a custom event, as the webhooks carry it."""

    kind: str
    doc: dict[str, Any]
    event: Event

    def in_webhook(self) -> dict[str, Any]:
        return {name: self.doc if name == self.kind else None for name in (BY_REDEMPTION, BY_EVENT)}

    def in_transaction(self) -> dict[str, Any]:
        named = {"id": self.doc["id"], **({"type": self.doc["type"]} if self.kind == BY_EVENT else {})}
        return {"event": {"id": self.event.id, "type": self.event.type}, self.kind: named}


async def lock(work: Work, codes: Sequence[str], customer: Any) -> None:
    """Lock whoever gives these referral codes away, and the customer that the request names, in one order.

    A conversion changes two customers. Were each locked when it is needed, two of them that refer one another in two
    programmes would wait for each other.
    """
    named = [customer.get("id"), customer.get("source_id")] if isinstance(customer, dict) else [customer]
    await work.run(
        "SELECT 1 FROM customer WHERE id IN (SELECT v.holder_id FROM voucher v JOIN campaign c ON c.id = v.campaign_id "
        "WHERE c.campaign_type = $3 AND (v.code = ANY($1) OR v.id = ANY($1)) "
        "UNION SELECT id FROM customer WHERE id = ANY($2) OR source_id = ANY($2)) ORDER BY id FOR UPDATE",
        list(codes),
        [each for each in named if isinstance(each, str)],
        REFERRAL,
    )


async def used(work: Work, code: str) -> Used:
    """The referral code that a custom event carries.

    Raises:
        Failure: there is no such referral code, or nobody gives it away yet.
    """
    voucher = await vouchers.found(work, code)
    if voucher["campaign_type"] != REFERRAL:
        raise not_found("voucher", code)
    referrer = await customers.find(work, voucher["holder_id"]) if voucher["holder_id"] else None
    if referrer is None:
        raise unpublished()
    return Used(voucher, await campaigns.found(work, voucher["campaign_id"]), referrer)


async def by_event(work: Work, use: Used, friend: asyncpg.Record, event: dict[str, Any], cause: Event) -> None:
    """Count a referral by a custom event with a code, if this is the event that converts; both are locked."""
    voucher, program = use.voucher, use.campaign["doc"]["referral_program"]
    if program["conversion_event_type"] != BY_EVENT or program["custom_event"]["name"] != event["type"]:
        return
    if not voucher["active"] or not voucher["campaign_active"]:
        return
    if validity.state(voucher["doc"], work.now, work.config.time_zone) is not None:
        return
    related = [("voucher", voucher["id"]), ("campaign", use.campaign["id"])]
    if await conditions.refusal(work, related, Subject(friend, None, voucher, event=event["metadata"], lock=True)):
        return
    await _convert(work, use, friend, _Cause(BY_EVENT, event, cause))


async def by_redemption(
    work: Work, voucher: Mapping[str, Any], redemption: dict[str, Any], friend: asyncpg.Record | None
) -> None:
    """Count a referral by the redemption of a code, if it is one and redemptions convert in its programme."""
    if voucher["campaign_type"] != REFERRAL or friend is None:
        return
    use = await used(work, voucher["code"])
    if use.campaign["doc"]["referral_program"]["conversion_event_type"] == BY_REDEMPTION:
        cause = work.event("customer.redemption.succeeded", friend["id"])
        await _convert(work, use, friend, _Cause(BY_REDEMPTION, redemption, cause))


async def _convert(work: Work, use: Used, friend: asyncpg.Record, cause: _Cause) -> None:
    if friend["id"] == use.referrer["id"]:
        return
    # The constraint decides between two that come at the same time.
    counted = await work.value(
        "INSERT INTO referral (id, campaign_id, voucher_id, referrer_id, referee_id, related_object_id, "
        "related_object_type, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) "
        "ON CONFLICT (campaign_id, referee_id) DO NOTHING RETURNING id",
        new_id("ref"),
        use.campaign["id"],
        use.voucher["id"],
        use.referrer["id"],
        friend["id"],
        cause.doc["id"],
        cause.kind,
        work.now,
    )
    if counted is None:
        return
    work.announce(
        work.event("customer.referred", friend["id"]),
        {"customer": render.simple_customer(friend), **use.in_webhook(work.config.url), **cause.in_webhook()},
    )
    await referral_holders.assign(work, use.voucher, use.campaign, friend, {})
    if reward := use.campaign["doc"]["referral_program"].get("referee_reward"):
        amount = {_AMOUNTS[reward["type"]]: reward["amount"]}
        await _give(work, friend, {"campaign": reward["related_object_parent"], **amount}, cause, None)
    friends = await work.value(
        "SELECT count(*) FROM referral WHERE campaign_id = $1 AND referrer_id = $2",
        use.campaign["id"],
        use.referrer["id"],
    )
    for tier in await referral_tiers.reached(work, use.campaign["id"], friends):
        shown = referral_tiers.simple(tier, use.campaign)
        await _give(work, use.referrer, tier["doc"]["reward"], cause, shown)


async def _give(
    work: Work, customer: asyncpg.Record, reward: Mapping[str, Any], cause: _Cause, tier: dict[str, Any] | None
) -> None:
    """Give a reward and tell of it: points, credits, or (with neither) a coupon of the campaign."""
    campaign = await campaigns.find(work, reward["campaign"]["id"])
    card = await _card(work, campaign, customer, new="points" not in reward and "credits" not in reward)
    if campaign is None or card is None or not card["active"] or not card["campaign_active"]:
        return
    shown = render.simple_campaign(campaign)
    balance: dict[str, Any] | None = None
    after: render.Row = card
    if "points" in reward:
        movement = await ledger.move(
            work, card, reward["points"], "POINTS_ACCRUAL", details=cause.in_transaction(), source="Automation"
        )
        after, balance = movement.card, {"points": reward["points"]}
        work.announce(
            work.event("voucher.loyalty_card.transaction.created", card["id"], "evvou"),
            ledger.transaction_data(
                work,
                movement,
                shown,
                customer,
                event=cause.event.reference(work.call.request_id),
                **{name: doc for name, doc in cause.in_webhook().items() if doc is not None},
            ),
            lane=customer["id"],
        )
    elif "credits" in reward:
        given = await gifts.move(
            work,
            card,
            reward["credits"],
            "CREDITS_ADDITION",
            details=cause.in_transaction(),
            source="Automation",
            redemption=cause.doc if cause.kind == BY_REDEMPTION else None,
        )
        after, balance = given.card, {"amount": reward["credits"]}
    work.announce(
        work.event("customer.rewarded", customer["id"]),
        {
            "customer": render.simple_customer(customer),
            "holder": render.simple_customer(customer),
            "voucher": render.voucher(after, work.config.url),
            "campaign": shown,
            "reward": None,
            "referral_tier": tier,
            "balance": balance,
            "customer_event": None,
            **cause.in_webhook(),
        },
    )


async def _card(
    work: Work, campaign: asyncpg.Record | None, customer: asyncpg.Record, *, new: bool
) -> asyncpg.Record | None:
    """The customer's card of this campaign, locked; published where there is none, or where it must be a new one."""
    if campaign is None:
        return None
    card = None if new else await publishing.held(work, campaign, customer)
    if card is not None:
        return await vouchers.found(work, card["code"], lock=True)
    try:
        publishing.refuse_inactive(work, campaign)
        publication = await publishing.publish_card(work, campaign, customer)
    except Failure:  # raised before anything is written
        return None
    return await vouchers.found(work, publication["vouchers_id"][0], lock=True)


FIDELITY = (
    documented(
        "**Referrals**: a friend converts by redeeming the code or by a custom event with `referral: {code}`, as the "
        "programme says; `customer.referred` and `customer.rewarded`; a friend's reward goes on a card, which is "
        "published to who has none; `referrals` and `referred_customers` of customers; `referrer_id` of orders"
    ),
    inferred(
        "a friend counts once in a programme, whoever's code comes later, and becomes a holder (`REFEREE`) of the "
        "code; an event whose code can't convert is kept and counts for nobody; an unknown code is 404; `referrer_id` "
        "beside a code is not looked at; a reward that can't be given is left out; a rollback takes nothing back"
    ),
    inferred(
        "points for a referral are `POINTS_ACCRUAL`, credits `CREDITS_ADDITION`, by `Automation`; a referral by a "
        "custom event has `related_object_type` `custom_event`; the programme stands in `loyalty.campaigns` of who "
        "referred, with no points"
    ),
)
