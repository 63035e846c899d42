"""Earning rules: what an order that becomes PAID, or a custom event, gives to a customer's cards.

documented: the rules fire when an order becomes PAID, all matching rules fire, ORDER_AMOUNT counts before and
ORDER_TOTAL_AMOUNT after discounts, a custom event may name one card, `auto_join` publishes a card first.
inferred: points for every full step of `every`; firing once on the transition to PAID, not on every PAID request; a
custom event without a card goes to all the customer's cards.
"""

from datetime import date, datetime
from typing import Any

import asyncpg

from app.sandbox import expiry, ledger, render
from app.sandbox.calendar_days import day_of
from app.sandbox.clock import parse_time
from app.sandbox.publications import publish_card
from app.sandbox.vouchers import SELECT as CARDS
from app.sandbox.work import Event, Work

ORDER_PAID = "order.paid"


def points(rule: dict[str, Any], order: dict[str, Any] | None) -> int:
    """What a rule's `loyalty` gives for an order (or for a custom event: no order)."""
    if rule["type"] == "FIXED":
        return int(rule["points"])
    amount, name = {"ORDER_AMOUNT": ("amount", "amount"), "ORDER_TOTAL_AMOUNT": ("total_amount", "total_amount")}[
        rule["calculation_type"]
    ]
    step = rule["order"][name]
    return ((order or {}).get(amount) or 0) // int(step["every"]) * int(step["points"])


def in_time(rule: dict[str, Any], now: datetime) -> bool:
    start, end = rule.get("start_date"), rule.get("expiration_date")
    return not (start and parse_time(start) > now) and not (end and parse_time(end) <= now)


async def earn(
    work: Work,
    customer: asyncpg.Record,
    kind: str,
    cause: Event,
    *,
    order: asyncpg.Record | None = None,
    custom_event: dict[str, Any] | None = None,
    only_card: str | None = None,
) -> int:
    """Fire every rule for `kind` (`order.paid` or the custom event's name); answers the points given in all.

    The caller holds the customer's lock. `only_card` is the code of the one card that a custom event names.
    """
    rules = await work.all(
        "SELECT r.*, c.doc AS campaign_doc FROM earning_rule r JOIN campaign c ON c.id = r.campaign_id "
        "WHERE r.event = $1 AND r.active AND c.active ORDER BY r.created_at, r.id",
        kind,
    )
    if not rules:
        return 0
    cards = await _cards(work, customer)
    campaigns: dict[str, asyncpg.Record] = {}
    given = 0
    for rule in rules:
        if not in_time(rule["doc"], work.now):
            continue
        campaign_id = rule["campaign_id"]
        if campaign_id not in campaigns:
            row = await work.one("SELECT * FROM campaign WHERE id = $1", campaign_id)
            assert row is not None
            campaigns[campaign_id] = row
        if campaign_id not in cards:
            if not campaigns[campaign_id]["doc"].get("auto_join"):
                continue
            await publish_card(work, campaigns[campaign_id], customer, channel="Automation")
            cards = await _cards(work, customer)
        card = cards[campaign_id]
        if not card["active"] or only_card not in {None, card["code"]}:
            continue
        amount = points(rule["doc"]["loyalty"], order["doc"] if order else None)
        if amount:
            cards[campaign_id] = await _give(
                work, customer, campaigns[campaign_id], card, rule, amount, cause, order, custom_event
            )
            given += amount
    return given


async def _cards(work: Work, customer: asyncpg.Record) -> dict[str, render.Row]:
    rows = await work.all(f"{CARDS} WHERE v.holder_id = $1 AND v.type = 'LOYALTY_CARD'", customer["id"])
    return {row["campaign_id"]: row for row in rows}


async def _give(
    work: Work,
    customer: asyncpg.Record,
    campaign: asyncpg.Record,
    card: render.Row,
    rule: asyncpg.Record,
    amount: int,
    cause: Event,
    order: asyncpg.Record | None,
    custom_event: dict[str, Any] | None,
) -> render.Row:
    details: dict[str, Any] = {
        "event": {"id": cause.id, "type": cause.type},
        "earning_rule": {"id": rule["id"], "source": {"banner": rule["doc"]["source"]["banner"]}},
    }
    if order:
        details["order"] = {"id": order["id"], "source_id": order["source_id"]}
    if custom_event:
        details["custom_event"] = {"id": custom_event["id"], "type": custom_event["type"]}
    movement = await ledger.move(
        work,
        card,
        amount,
        "POINTS_ACCRUAL",
        details=details,
        source="Automation",
        expires_at=own_last_day(work, rule["doc"]),
    )
    shown_order = render.order(order) if order else None
    # In webhooks a rule by custom event does not carry the event's name, which the API shows there.
    shown_rule = render.earning_rule(rule) | ({} if order else {"event": "custom_event"})
    shown_campaign = render.simple_campaign(campaign)
    reference = cause.reference(work.call.request_id)
    work.announce(
        work.event("customer.rewarded.loyalty_points", customer["id"]),
        {
            "customer": render.simple_customer(customer),
            "holder": render.simple_customer(customer),
            # The published sample shows the card as it was before the points, beside a balance after them.
            "voucher": render.voucher(card, work.config.url),
            "campaign": shown_campaign,
            "loyalty_tier": None,
            "earning_rule": shown_rule,
            "balance": movement.balance,
            "order": shown_order,
            "event": reference,
            **({"custom_event": custom_event} if custom_event else {}),
        },
    )
    work.announce(
        work.event("voucher.loyalty_card.transaction.created", card["id"], "evvou"),
        ledger.transaction_data(
            work,
            movement,
            shown_campaign,
            customer,
            order=shown_order,
            event=reference,
            earning_rule=_rule_in_transaction(rule),
            custom_event=custom_event,
        ),
        lane=customer["id"],
    )
    return movement.card


def own_last_day(work: Work, rule: dict[str, Any]) -> date | None:
    """The last day of points that this rule gives now; None where it leaves that to the programme."""
    own = rule.get("expiration_rules")
    return expiry.last_day(own, day_of(work.now, work.config.time_zone)) if own else None


def _rule_in_transaction(rule: asyncpg.Record) -> dict[str, Any]:
    """The form of a rule in `voucher.loyalty_card.transaction.created`, which is not that of the API."""
    doc = rule["doc"]
    shown = {
        "id": rule["id"],
        "campaign_id": rule["campaign_id"],
        "validation_rule_id": None,
        "automation_id": doc["automation_id"],
        "active": rule["active"],
        "metadata": doc["metadata"],
    }
    if rule["event"] == ORDER_PAID:
        parameters = {"event": ORDER_PAID, "banner": doc["source"]["banner"], "loyalty": doc["loyalty"]}
        return {**shown, "parameters": parameters}
    kept = {name: doc[name] for name in ("source", "loyalty", "custom_event")}
    return {**shown, **kept, "event": "custom_event"}
