"""Earning: what an order that becomes PAID, a custom event, a segment or a tier gives to a customer's cards.

documented: the rules fire when an order becomes PAID, all matching rules fire, a custom event may name one card,
`auto_join` publishes a card first, the holder's tier maps what a rule gives, a rule without dates has its programme's,
pending points where the rule says so. inferred: firing once on the transition to PAID, not on every PAID request; a
custom event without a card goes to all the customer's cards; the tier is the one before the points came.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import asyncpg

from app.sandbox import earning_targets, ledger, pending_points, render, render_loyalty, tiering, validity
from app.sandbox.conditions import Subject, refusal
from app.sandbox.earning_calculation import Basis, mapped, points
from app.sandbox.earning_rule_definitions import ANY_TIER, ORDER_PAID, SEGMENT_ENTERED, TIER_EVENTS
from app.sandbox.fidelity import documented, inferred
from app.sandbox.publishing import publish_card
from app.sandbox.vouchers import SELECT as CARDS
from app.sandbox.work import Event, Work


def in_time(rule: Mapping[str, Any], campaign: Mapping[str, Any], now: datetime, zone: str) -> bool:
    """Whether a rule is in force; for dates that it does not have, those of its programme count."""
    dates = {name: campaign.get(name) for name in ("start_date", "expiration_date")}
    return validity.state({**dates, **rule}, now, zone) is None


async def earn(
    work: Work,
    customer: asyncpg.Record,
    kind: str,
    cause: Event,
    *,
    order: asyncpg.Record | None = None,
    custom_event: dict[str, Any] | None = None,
    only_card: str | None = None,
    segment: dict[str, Any] | None = None,
    tier: render.Row | None = None,
) -> int:
    """Fire every rule for `kind` (`order.paid`, a custom event's name and so on); answers the points given in all.

    The caller holds the customer's lock. `only_card` is the code of the one card that a custom event names, `segment`
    (id and name) the one that was entered, `tier` the one that a tier event is about: only its programme's rules fire.
    """
    rules = await work.all(
        "SELECT r.*, EXISTS (SELECT 1 FROM validation_rule_assignment "
        "WHERE related_object_type = 'earning_rule' AND related_object_id = r.id) AS guarded "
        "FROM earning_rule r JOIN campaign c ON c.id = r.campaign_id "
        "WHERE r.event = $1 AND r.active AND c.active ORDER BY r.created_at, r.id",
        kind,
    )
    rules = [rule for rule in rules if _meant(rule, segment, tier)]
    if not rules:
        return 0
    cards = await _cards(work, customer)
    campaigns: dict[str, asyncpg.Record] = {}
    tiers: dict[str, asyncpg.Record | None] = {}
    given = 0
    for rule in rules:
        subject = Subject(customer, order["doc"] if order else None, event=(custom_event or {}).get("metadata"))
        if rule["guarded"] and await refusal(work, [("earning_rule", rule["id"])], subject):
            continue
        campaign_id = rule["campaign_id"]
        if campaign_id not in campaigns:
            row = await work.one("SELECT * FROM campaign WHERE id = $1", campaign_id)
            assert row is not None
            campaigns[campaign_id] = row
        campaign = campaigns[campaign_id]
        if not in_time(rule["doc"], campaign["doc"], work.now, work.config.time_zone):
            continue
        if campaign_id not in cards:
            if not campaign["doc"].get("auto_join"):
                continue
            await publish_card(work, campaign, customer, channel="Automation")
            cards = {**await _cards(work, customer), **cards}
        card = cards[campaign_id]
        if not card["active"] or only_card not in {None, card["code"]}:
            continue
        if campaign_id not in tiers:
            tiers[campaign_id] = await tiering.of_card(work, card)
        giving = _Giving(work, customer, campaign, rule, cause, tiers[campaign_id], order, custom_event, segment)
        amount = await giving.amount()
        if amount and "pending_points" in rule["doc"] and order is not None:
            cards[campaign_id] = await giving.later(card, order, amount)
        elif amount:
            cards[campaign_id] = await giving.now(card, amount)
        given += amount
    return given


def _meant(rule: asyncpg.Record, segment: dict[str, Any] | None, tier: render.Row | None) -> bool:
    if segment is not None:
        return bool(rule["doc"]["segment"]["id"] == segment["id"])
    if tier is not None:
        return rule["campaign_id"] == tier["campaign_id"] and rule["doc"]["loyalty_tier"]["id"] in {
            ANY_TIER,
            tier["id"],
        }
    return True


async def _cards(work: Work, customer: asyncpg.Record) -> dict[str, render.Row]:
    rows = await work.all(f"{CARDS} WHERE v.holder_id = $1 AND v.type = 'LOYALTY_CARD'", customer["id"])
    return {row["campaign_id"]: row for row in rows}


async def estimate(
    work: Work,
    campaign: asyncpg.Record,
    order: Mapping[str, Any],
    customer: Mapping[str, Any] | None,
    metadata: Mapping[str, Any],
    tier: render.Row | None,
) -> int:
    """What the rules for paid orders of this programme would give for an order now.

    `customer` is the one that there is, or None; `metadata` is what the customer would have by then.
    """
    rules = await work.all(
        "SELECT * FROM earning_rule WHERE campaign_id = $1 AND event = $2 AND active ORDER BY created_at, id",
        *(campaign["id"], ORDER_PAID),
    )
    who = {**customer, "doc": {**customer["doc"], "metadata": metadata}} if customer is not None else None
    total = 0
    for rule in rules:
        if not in_time(rule["doc"], campaign["doc"], work.now, work.config.time_zone):
            continue
        if await refusal(work, [("earning_rule", rule["id"])], Subject(who, order)) is None:
            loyalty = rule["doc"]["loyalty"]
            basis = Basis(order, metadata, matches=await earning_targets.matcher(work, loyalty, order))
            total += mapped(points(loyalty, order, basis), tiering.mapping_of(tier, "earning_rules", rule["id"]))
    return total


class _Giving:
    """One rule that fires for one customer: how much it gives, and what is told of it."""

    def __init__(
        self,
        work: Work,
        customer: asyncpg.Record,
        campaign: asyncpg.Record,
        rule: asyncpg.Record,
        cause: Event,
        tier: asyncpg.Record | None,
        order: asyncpg.Record | None,
        custom_event: dict[str, Any] | None,
        segment: dict[str, Any] | None,
    ) -> None:
        self._work, self._customer, self._campaign, self._rule = work, customer, campaign, rule
        self._cause, self._tier = cause, tier
        self._order, self._custom_event, self._segment = order, custom_event, segment
        self._mapping = tiering.mapping_of(tier, "earning_rules", rule["id"])

    async def amount(self) -> int:
        loyalty = self._rule["doc"]["loyalty"]
        order = self._order["doc"] if self._order is not None else None
        basis = Basis(
            order,
            self._customer["doc"]["metadata"],
            (self._custom_event or {}).get("metadata"),
            await earning_targets.matcher(self._work, loyalty, order),
        )
        base = points(loyalty, order, basis)
        return mapped(base, self._mapping) if base else 0

    def _details(self) -> dict[str, Any]:
        holder_tier = tiering.named(self._tier)
        details: dict[str, Any] = {
            "event": {"id": self._cause.id, "type": self._cause.type},
            "earning_rule": {"id": self._rule["id"], "source": {"banner": self._rule["doc"]["source"]["banner"]}},
        }
        if self._order is not None:
            details["order"] = {"id": self._order["id"], "source_id": self._order["source_id"]}
        if self._custom_event:
            details["custom_event"] = {"id": self._custom_event["id"], "type": self._custom_event["type"]}
        if self._segment:
            details["segment"] = {"id": self._segment["id"], "name": self._segment["name"]}
        if holder_tier:
            details["holder_loyalty_tier"] = holder_tier
            if self._mapping:
                details["loyalty_tier"] = holder_tier
        return details

    async def later(self, card: render.Row, order: asyncpg.Record, amount: int) -> render.Row:
        """Give the points as pending ones."""
        source = {"channel": "API", "api_key": {"name": "Primary", "app_id": self._work.call.app_id}}
        event = {**self._cause.reference(self._work.call.request_id), "event_source": source}
        return await pending_points.add(
            self._work,
            card,
            self._campaign,
            self._customer,
            order,
            self._rule,
            amount,
            {**self._details(), "event": event},
        )

    async def now(self, card: render.Row, amount: int) -> render.Row:
        """Give the points; answers the card after it."""
        work, rule = self._work, self._rule
        movement = await ledger.move(
            work,
            card,
            amount,
            "POINTS_ACCRUAL",
            details=self._details(),
            source="Automation",
            expires_at=ledger.by_rule(work, rule["doc"]),
        )
        customer = render.simple_customer(self._customer)
        campaign = render.simple_campaign(self._campaign)
        order = render.order(self._order) if self._order is not None else None
        reference = self._cause.reference(work.call.request_id)
        holder_tier = render_loyalty.tier(self._tier) if self._tier is not None else None
        mapped_by = holder_tier if self._mapping else None
        work.announce(
            work.event("customer.rewarded.loyalty_points", self._customer["id"]),
            {
                "customer": customer,
                "holder": customer,
                # The published sample shows the card as it was before the points, beside a balance after them.
                "voucher": render.voucher(card, work.config.url),
                "campaign": campaign,
                "loyalty_tier": mapped_by,
                # In webhooks a rule by custom event does not carry the event's name, which the API shows there.
                "earning_rule": render_loyalty.earning_rule(rule)
                | ({"event": "custom_event"} if self._custom_event else {}),
                "balance": movement.balance,
                "order": order,
                "event": reference,
                **({"custom_event": self._custom_event} if self._custom_event else {}),
                **({"segment": {**self._segment, "object": "segment"}} if self._segment else {}),
            },
        )
        work.announce(
            work.event("voucher.loyalty_card.transaction.created", card["id"], "evvou"),
            ledger.transaction_data(
                work,
                movement,
                campaign,
                self._customer,
                order=order,
                event=reference,
                earning_rule=_rule_in_transaction(rule),
                custom_event=self._custom_event,
                segment=self._segment,
                holder_loyalty_tier=holder_tier,
                loyalty_tier=mapped_by,
            ),
            lane=self._customer["id"],
        )
        return movement.card


def _rule_in_transaction(rule: asyncpg.Record) -> dict[str, Any]:
    """The form of a rule in `voucher.loyalty_card.transaction.created`, which is not that of the API."""
    doc = rule["doc"]
    shown = {
        "id": rule["id"],
        "campaign_id": rule["campaign_id"],
        "validation_rule_id": doc["validation_rule_id"],
        "automation_id": doc["automation_id"],
        "active": rule["active"],
        "metadata": doc["metadata"],
    }
    if rule["event"] == ORDER_PAID:
        parameters = {"event": ORDER_PAID, "banner": doc["source"]["banner"], "loyalty": doc["loyalty"]}
        return {**shown, "parameters": parameters}
    named = ("source", "loyalty", "custom_event", "segment", "loyalty_tier")
    event = rule["event"] if rule["event"] in {SEGMENT_ENTERED, *TIER_EVENTS} else "custom_event"
    return {**shown, **{name: doc[name] for name in named if name in doc}, "event": event}


FIDELITY = (
    documented(
        "**Earning** on `order.paid`, on a custom event by its name, on entering a segment, on tier "
        "events: `FIXED` and every proportional type (order amounts, order, customer and event metadata, "
        "quantity and amounts of items by product, SKU or collection, `applicable_to`, free items left out, an item "
        "counted once); start, end (else the programme's), time frames, days and hours, on and off; every "
        "rule that matches fires; `auto_join` publishes a card first; rules are changed and deleted"
    ),
    inferred(
        "a property that is no number gives nothing; the data of the webhooks `campaign.earning_rule.*` "
        "(the campaign and the rule)"
    ),
    inferred("points for every full step of `every`, the rest is dropped"),
    inferred(
        "cancelling an order (`PUT` with the status `CANCELED`) or rolling back a redemption does not "
        "take back points that were earned: v1 loyalty is not documented to do so. So our action `Order "
        "refunded` gives and takes no points, and leaves the order's coupon used"
    ),
    inferred("an earning rule whose validation rule does not hold gives nothing and joins nobody to a programme"),
)
