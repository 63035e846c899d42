"""Which webhooks an event goes to, and the envelope it goes in: v2024-01-01, written with the effect it tells about."""

from typing import Any

import asyncpg
import msgspec

from app.sandbox.clock import iso
from app.sandbox.fidelity import documented, inferred
from app.sandbox.ids import new_id
from app.sandbox.work import Call, Event, Work

DISTRIBUTIONS = {
    "customer.order.created": "Order created",
    "customer.order.paid": "Order paid",
    "customer.order.updated": "Order updated",
    "customer.order.canceled": "Order cancelled",
    "customer.custom_event": "Custom event",
    "customer.rewarded.loyalty_points": "Points earned",
    "customer.reward_redemptions.created": "Reward redemption created",
    "customer.reward_redemptions.completed": "Reward redemption completed",
    "customer.reward_redemptions.pending": "Reward redemption pending",
    "customer.segment.entered": "Segment entered",
    "customer.segment.left": "Segment left",
    "customer.voucher.loyalty_card.points_expired": "Points expired",
    "customer.voucher.loyalty_card.pending_points.added": "Pending points added",
    "customer.voucher.loyalty_card.pending_points.activated": "Pending points activated",
    "customer.voucher.loyalty_card.pending_points.canceled": "Pending points cancelled",
    "customer.voucher.loyalty_card.pending_points.updated": "Pending points updated",
    "customer.loyalty.tier.joined": "Tier joined",
    "customer.loyalty.tier.left": "Tier left",
    "customer.loyalty.tier.upgraded": "Tier upgraded",
    "customer.loyalty.tier.downgraded": "Tier downgraded",
    "customer.loyalty.tier.prolonged": "Tier prolonged",
    "customer.voucher.gift.balance_added": "Gift credits added",
    "customer.referred": "Friend referred",
    "customer.rewarded": "Reward given",
    "customer.holder.assignment.created": "Code assigned",
    "customer.holder.assignment.deleted": "Code taken away",
}
"""Triggers with a distribution of their own, and its free-text name (which the envelope carries as `type`)."""
PROJECT_EVENTS = frozenset(
    {
        "business_validation_rule.assignment.created",
        "business_validation_rule.assignment.deleted",
        "business_validation_rule.created",
        "business_validation_rule.deleted",
        "business_validation_rule.updated",
        "campaign.created",
        "campaign.deleted",
        "campaign.disabled",
        "campaign.earning_rule.assigned",
        "campaign.earning_rule.deleted",
        "campaign.earning_rule.disabled",
        "campaign.earning_rule.enabled",
        "campaign.earning_rule.updated",
        "campaign.enabled",
        "campaign.loyalty_tier.created",
        "campaign.promotion_tier.created",
        "campaign.promotion_tier.deleted",
        "campaign.promotion_tier.disabled",
        "campaign.promotion_tier.enabled",
        "campaign.promotion_tier.updated",
        "campaign.reward.assignment.created",
        "campaign.reward.assignment.deleted",
        "campaign.reward.assignment.updated",
        "campaign.updated",
        "campaign.vouchers.generation.completed",
        "customer.created",
        "customer.deleted",
        "customer.rewarded",
        "customer.rewarded.loyalty_points",
        "customer.updated",
        "publication.succeeded",
        "redemption.failed",
        "redemption.rollback.succeeded",
        "redemption.succeeded",
        "voucher.created",
        "voucher.deleted",
        "voucher.disabled",
        "voucher.enabled",
        "voucher.loyalty_card.pending_points.activated",
        "voucher.loyalty_card.pending_points.added",
        "voucher.loyalty_card.pending_points.canceled",
        "voucher.loyalty_card.pending_points.updated",
        "voucher.gift.balance_added",
        "voucher.gift.transaction.created",
        "voucher.loyalty_card.points_added",
        "voucher.loyalty_card.points_expired",
        "voucher.loyalty_card.transaction.created",
        "voucher.published",
        "voucher.updated",
    }
)


def wants(webhook: asyncpg.Record, event: Event) -> bool:
    """A project webhook gets the events of projects, a distribution those of its trigger."""
    if not webhook["active"]:
        return False
    if webhook["object"] == "distribution":
        return bool(webhook["trigger"] == event.type)
    return event.type in PROJECT_EVENTS


def envelope(event: Event, webhook: asyncpg.Record, call: Call, project_id: str, data: bytes) -> dict[str, Any]:
    """The message for one webhook; `data` is encoded already, for it is the same for all of them."""
    created_at = iso(event.created_at)
    return {
        "id": new_id("whs"),
        "project_id": project_id,
        "created_at": created_at,
        "type": webhook["name"] if webhook["object"] == "distribution" else event.type,
        "data": msgspec.Raw(data),
        "source": {"id": webhook["id"], "object": webhook["object"], "target_url": webhook["target_url"]},
        "event": {
            "id": event.id,
            "type": event.type,
            "created_at": created_at,
            "entity_id": event.entity_id,
            "group_id": call.request_id,
            "event_source": {"channel": "API", "api_key": {"name": "Primary", "app_id": call.app_id}},
        },
    }


async def write(work: Work, webhooks: list[asyncpg.Record], project_id: str) -> None:
    """Write what this transaction announced as deliveries, in the order of its announcing."""
    rows = []
    for event, lane, data in work.announced:
        encoded = msgspec.json.encode(data)
        for webhook in webhooks:
            if wants(webhook, event):
                message = envelope(event, webhook, work.call, project_id, encoded)
                rows.append((message["id"], webhook["id"], lane, event.type, msgspec.json.encode(message)))
    if rows:
        # Joined with the webhooks as they are now: one that was removed a moment ago gets nothing.
        await work.run(
            "INSERT INTO delivery (id, webhook_id, lane, event_type, body, due_at) "
            "SELECT row.id, webhook_id, lane, event_type, body, $6 FROM unnest($1::text[], $2::text[], $3::text[], "
            "$4::text[], $5::bytea[]) WITH ORDINALITY AS row (id, webhook_id, lane, event_type, body, place) "
            "JOIN webhook ON webhook.id = row.webhook_id ORDER BY place",
            *(list(column) for column in zip(*rows, strict=True)),
            work.now,
        )


FIDELITY = (
    documented("project event of many codes at once: `campaign.vouchers.generation.completed`"),
    documented("envelope, data keys, `x-voucherify-signature` over the compact body"),
    documented(
        "project events: `customer.{created,updated,deleted,rewarded.loyalty_points}`, "
        "`voucher.{created,published,enabled,disabled}`, "
        "`voucher.loyalty_card.{transaction.created,points_added,points_expired}`, "
        "`voucher.loyalty_card.pending_points.{added,activated,canceled,updated}`, "
        "`campaign.earning_rule.{assigned,updated,deleted,enabled,disabled}`, "
        "`campaign.loyalty_tier.created`, `publication.succeeded`, "
        "`redemption.{succeeded,failed,rollback.succeeded}`, `campaign.{created,enabled,disabled}`, "
        "`business_validation_rule.{created,updated,deleted}`, "
        "`business_validation_rule.assignment.{created,deleted}`"
    ),
    documented(
        "project events: `voucher.{updated,deleted}`, `voucher.gift.{balance_added,transaction.created}`, "
        "`campaign.{updated,deleted}`, "
        "`campaign.promotion_tier.{created,updated,deleted,enabled,disabled}`"
    ),
    documented(
        "distributions: `customer.order.{created,paid,updated,canceled}`, `customer.custom_event`, "
        "`customer.rewarded.loyalty_points`, `customer.reward_redemptions.{created,completed}`, "
        "`customer.segment.{entered,left}`, `customer.voucher.loyalty_card.points_expired`, "
        "`customer.voucher.loyalty_card.pending_points.{added,activated,canceled,updated}`, "
        "`customer.loyalty.tier.{joined,left,upgraded,downgraded,prolonged}`; their `type` is a free "
        "name, so go by `event.type`"
    ),
    documented("distribution: `customer.voucher.gift.balance_added`"),
    documented("project event and distribution: `customer.rewarded`; distribution: `customer.referred`"),
    documented(
        "project events: `campaign.reward.assignment.{created,updated,deleted}`; distribution: "
        "`customer.reward_redemptions.pending`"
    ),
    inferred(
        "a purchase tells in this order: publication, redemption, transaction, reward redemption created "
        "and completed (a product: pending); `customer.rewarded` is not sent of it"
    ),
    inferred("codes that are made many at a time send no `voucher.created`"),
)
