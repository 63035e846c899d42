"""The records of redemptions that succeed or fail: what is written of each use, and what is told of it."""

from typing import Any

import asyncpg

from app.sandbox import (
    campaigns,
    customers,
    gifts,
    promotion_stacks,
    promotion_tiers,
    purchases,
    referrals,
    render,
    vouchers,
)
from app.sandbox.clock import iso
from app.sandbox.errors import Failure
from app.sandbox.ids import new_id, tracking_id
from app.sandbox.redeemables import Outcome
from app.sandbox.work import Work


def in_common(work: Work, customer: asyncpg.Record | None, metadata: dict[str, Any]) -> dict[str, Any]:
    """What all redemptions of a request have in common."""
    return {
        "object": "redemption",
        "date": iso(work.now),
        "customer_id": customer["id"] if customer is not None else None,
        "tracking_id": tracking_id(customer["source_id"] or customer["id"]) if customer is not None else None,
        "metadata": metadata,
        "channel": {"channel_id": work.call.app_id, "channel_type": "API"},
        "customer": render.simple_customer(customer),
        "redemption": None,
    }


async def record_success(
    work: Work,
    outcome: Outcome,
    identifier: str,
    base: dict[str, Any],
    customer: asyncpg.Record | None,
    saved: asyncpg.Record | None,
    shown_order: dict[str, Any] | None,
    parent_id: str | None,
) -> dict[str, Any]:
    amounts = {name: value for name, value in (outcome.order or {}).items() if name.endswith("_amount")}
    redemption = {
        **base,
        "id": identifier,
        "redemption": parent_id,
        "result": "SUCCESS",
        "status": "SUCCEEDED",
        # Each shows the order as it was after its own code.
        "order": {**shown_order, **amounts} if shown_order else None,
        "related_object_type": outcome.kind,
    }
    if outcome.tier is not None:
        # Written before it is shown, for the tier's summary counts it.
        redemption |= {"related_object_id": outcome.tier["id"], "voucher": None}
        await insert(work, redemption, "redemption", customer, saved, None, parent_id, tier=outcome.tier)
        tier = await promotion_tiers.found(work, outcome.tier["id"])
        redemption["promotion_tier"] = promotion_tiers.shown(tier)
        await work.run("UPDATE redemption SET doc = $2 WHERE id = $1", identifier, redemption)
        stack = {"promotion_stack": promotion_stacks.simple(outcome.stack)} if outcome.stack is not None else {}
        await announce(work, "redemption.succeeded", redemption, customer, None, tier=tier, **stack)
        return redemption
    if outcome.purchase is not None:
        return await record_purchase(work, outcome.purchase, redemption, saved, parent_id)
    voucher = outcome.voucher
    assert voucher is not None
    redemption["related_object_id"] = voucher["id"]
    if voucher["type"] == "GIFT_VOUCHER":
        voucher = await vouchers.found(work, outcome.code)  # a purchase of the same request may have filled it
        redemption |= {"amount": outcome.credits, "gift": {"amount": outcome.credits}}
        if outcome.credits:
            details: dict[str, Any] = {"redemption": {"id": identifier}}
            if saved is not None:
                details["order"] = {"id": saved["id"], "source_id": saved["source_id"]}
            movement = await gifts.move(
                work,
                voucher,
                -outcome.credits,
                "CREDITS_REDEMPTION",
                details=details,
                order=shown_order,
                redemption=dict(redemption),
            )
            voucher = movement.card
    redemption["voucher"] = render.voucher(voucher, work.config.url)
    await insert(work, redemption, "redemption", customer, saved, voucher, parent_id)
    await announce(work, "redemption.succeeded", redemption, customer, voucher)
    await referrals.by_redemption(work, voucher, redemption, customer)
    return redemption


async def record_purchase(
    work: Work,
    purchase: purchases.Purchase,
    redemption: dict[str, Any],
    saved: asyncpg.Record | None,
    parent_id: str | None = None,
) -> dict[str, Any]:
    """Carry a purchase out: points, reward, redemption and what is told of them."""
    redemption["related_object_id"] = purchase.card["id"]
    bought = await purchases.pay(work, purchase, redemption, saved)
    card = bought.movement.card
    await insert(work, redemption, "redemption", purchase.holder, saved, card, parent_id)
    await announce(work, "redemption.succeeded", redemption, purchase.holder, card)
    await purchases.tell(work, bought, redemption)
    return redemption


async def record_failure(work: Work, failed: Outcome, base: dict[str, Any], customer: asyncpg.Record | None) -> Failure:
    assert failed.error is not None
    error = failed.error
    key = "resource_not_found" if error.key == "not_found" else error.key
    redemption = {
        **base,
        "id": new_id("rf"),
        "result": "FAILURE",
        "status": "FAILED",
        "failure_code": key,
        "failure_message": error.fields["message"],
        "related_object_type": failed.kind,
        "order": None,
        "related_object_id": failed.voucher["id"] if failed.voucher else failed.code,
        "voucher": render.voucher(failed.voucher, work.config.url) if failed.voucher else None,
        **({"promotion_tier": promotion_tiers.shown(failed.tier)} if failed.tier is not None else {}),
    }
    await insert(work, redemption, "redemption", customer, None, failed.voucher, tier=failed.tier)
    await announce(work, "redemption.failed", redemption, customer, failed.voucher, tier=failed.tier)
    if error.key == "not_found":
        return error
    return Failure(
        error.code,
        error.key,
        error.fields["message"],
        error.fields["details"],
        resource_id=str(redemption["id"]),
        resource_type="redemption",
        custom=error.custom,
    )


async def insert(
    work: Work,
    doc: dict[str, Any],
    kind: str,
    customer: asyncpg.Record | None,
    saved: asyncpg.Record | None,
    voucher: render.Row | None,
    parent_id: str | None = None,
    *,
    tier: render.Row | None = None,
) -> None:
    used = tier if tier is not None else voucher
    await work.run(
        "INSERT INTO redemption "
        "(id, object, status, parent_id, voucher_id, campaign_id, customer_id, order_id, doc, created_at, "
        "promotion_tier_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        doc["id"],
        kind,
        doc["status"],
        parent_id,
        voucher["id"] if voucher else None,
        used["campaign_id"] if used is not None else None,
        customer["id"] if customer is not None else None,
        saved["id"] if saved is not None else None,
        doc,
        work.now,
        tier["id"] if tier is not None else None,
    )


async def announce(
    work: Work,
    kind: str,
    redemption: dict[str, Any],
    customer: asyncpg.Record | None,
    voucher: render.Row | None,
    *,
    tier: render.Row | None = None,
    **more: Any,
) -> None:
    used = tier if tier is not None else voucher
    campaign = await campaigns.find(work, used["campaign_id"]) if used is not None and used["campaign_id"] else None
    holder = customer
    if not voucher or not voucher["holder_id"]:
        holder = None
    elif customer is None or customer["id"] != voucher["holder_id"]:
        holder = await customers.find(work, voucher["holder_id"])
    work.announce(
        work.event(kind, redemption["id"], "evred"),
        {
            "customer": render.simple_customer(customer),
            "order": redemption.get("order"),
            "campaign": render.simple_campaign(campaign) if campaign else None,
            "voucher": redemption.get("voucher"),
            "holder": render.simple_customer(holder),
            "promotion_tier": promotion_tiers.shown(tier) if tier is not None else None,
            "redemption": redemption,
            "created_at": redemption["date"],
            **more,
        },
        lane=customer["id"] if customer is not None else None,
    )
