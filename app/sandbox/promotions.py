"""Promotions: their tiers, and the older question which of them an order qualifies for.

documented: the addresses, `is_available`, enable and disable answer the tier, the old validation's answer. inferred: a
tier that was redeemed can be deleted; its redemptions stay.
"""

from collections.abc import Mapping
from typing import Any

import asyncpg
from litestar import Router, delete, get, post, put
from litestar.params import FromPath

from app.sandbox import (
    campaigns,
    category_links,
    customers,
    discounts,
    lists,
    order_items,
    orders,
    promotion_stacks,
    promotion_tiers,
    redeemables,
    render,
    validations,
)
from app.sandbox.errors import NotEmulated
from app.sandbox.fidelity import documented
from app.sandbox.ids import tracking_id
from app.sandbox.read import AnyRequest, boolean, flag, integer, mapping, order, page, read_object, required_text, text
from app.sandbox.redeemables import Redeemable
from app.sandbox.store import Store, TheStore
from app.sandbox.work import Work

_MOST_CHECKED = 150


async def _announce(work: Work, what: str, row: asyncpg.Record) -> dict[str, Any]:
    tier = promotion_tiers.shown(row)
    campaign = render.simple_campaign(await campaigns.found(work, row["campaign_id"]))
    event = work.event(f"campaign.promotion_tier.{what}", row["campaign_id"], "evcam")
    work.announce(event, {"campaign": campaign, "promotion_tier": tier})
    return tier


@get("/promotions/{campaign:str}/tiers")
async def list_tiers_of_campaign(campaign: FromPath[str], store: TheStore) -> dict[str, Any]:
    async with store.work() as work:
        row = await campaigns.found(work, campaign, campaigns.PROMOTION)
        rows = await promotion_tiers.of_campaign(work, row["id"])
    shown = [promotion_tiers.shown(each) for each in rows]
    return {**lists.numbered("tiers", shown, len(shown)), "has_more": False}


@post("/promotions/{campaign:str}/tiers", status_code=200)
async def create_tier(campaign: FromPath[str], request: AnyRequest, store: TheStore) -> dict[str, Any]:
    body = await read_object(request)
    async with store.work() as work:
        row = await campaigns.found(work, campaign, campaigns.PROMOTION)
        return await _announce(work, "created", await promotion_tiers.insert(work, row, body))


@get("/promotions/tiers")
async def list_tiers(request: AnyRequest, store: TheStore) -> dict[str, Any]:
    limit, offset = page(request)
    sorting = order(request, {"created_at": "t.created_at", "updated_at": "t.updated_at"}, "-created_at")
    async with store.work() as work:
        rows = await work.all(f"{promotion_tiers.SELECT} ORDER BY {sorting.replace(', id', ', t.id')}")
        if flag(request, "is_available"):
            rows = [row for row in rows if promotion_tiers.refusal(work, row, row["id"]) is None]
    shown = [promotion_tiers.shown(row) for row in rows[offset : offset + limit]]
    return {**lists.numbered("tiers", shown, len(rows)), "has_more": offset + limit < len(rows)}


@get("/promotions/tiers/{reference:str}")
async def get_tier(reference: FromPath[str], store: TheStore) -> dict[str, Any]:
    async with store.work() as work:
        return promotion_tiers.shown(await promotion_tiers.found(work, reference))


@put("/promotions/tiers/{reference:str}")
async def update_tier(reference: FromPath[str], request: AnyRequest, store: TheStore) -> dict[str, Any]:
    body = await read_object(request)
    async with store.work() as work:
        row = await promotion_tiers.found(work, reference)
        await work.run("SELECT 1 FROM promotion_tier WHERE id = $1 FOR UPDATE", row["id"])
        row = await promotion_tiers.found(work, reference)
        active, hierarchy = boolean(body, "active"), integer(body, "hierarchy", most=2**31 - 1)
        await work.run(
            "UPDATE promotion_tier SET name = $2, active = $3, hierarchy = $4, doc = $5, updated_at = $6 WHERE id = $1",
            row["id"],
            required_text(body, "name", longest=255) if "name" in body else row["name"],
            row["active"] if active is None else active,
            row["hierarchy"] if hierarchy is None else hierarchy,
            {**promotion_tiers.read(body, row["doc"]), **await category_links.chosen(work, body)},
            work.now,
        )
        return await _announce(work, "updated", await promotion_tiers.found(work, reference))


@delete("/promotions/tiers/{reference:str}", status_code=204)
async def delete_tier(reference: FromPath[str], store: TheStore) -> None:
    async with store.work() as work:
        row = await promotion_tiers.found(work, reference)
        await _announce(work, "deleted", row)
        await promotion_stacks.leave(work, row["id"])
        await work.run("DELETE FROM promotion_tier WHERE id = $1", row["id"])


@post("/promotions/tiers/{reference:str}/enable", status_code=200)
async def enable_tier(reference: FromPath[str], store: TheStore) -> dict[str, Any]:
    return await _switch(store, reference, active=True)


@post("/promotions/tiers/{reference:str}/disable", status_code=200)
async def disable_tier(reference: FromPath[str], store: TheStore) -> dict[str, Any]:
    return await _switch(store, reference, active=False)


async def _switch(store: Store, reference: str, *, active: bool) -> dict[str, Any]:
    async with store.work() as work:
        row = await promotion_tiers.found(work, reference)
        await work.run(
            "UPDATE promotion_tier SET active = $2, updated_at = $3 WHERE id = $1", row["id"], active, work.now
        )
        row = await promotion_tiers.found(work, reference)
        return await _announce(work, "enabled" if active else "disabled", row)


@post("/promotions/validation", status_code=200)
async def validate_promotions(request: AnyRequest, store: TheStore) -> dict[str, Any]:
    """Which promotions this customer's order qualifies for: each is tried alone, none changes anything."""
    body = await read_object(request)
    if any(name.startswith("filters") for name in request.query_params):
        raise NotEmulated("Filtering promotions by `filters`")
    given, customer_given = mapping(body, "order"), mapping(body, "customer")
    wanted = orders.read(given, ".order")
    reference = text(customer_given, "id") or text(customer_given, "source_id")
    tracking = tracking_id(text(body, "tracking_id") or reference or "")
    async with store.work() as work:
        customer = await customers.find(work, reference) if reference else None
        customer_id = customer["id"] if customer is not None else None
        whole = orders.merged(None, await order_items.resolved(work, wanted.doc, keep=False)) if given else None
        promotions = []
        for row in (await promotion_tiers.available(work))[:_MOST_CHECKED]:
            [outcome] = await discounts.evaluate(
                work, [Redeemable("promotion_tier", row["id"])], whole, customer=customer
            )
            if outcome.applies:
                promotions.append(_old_form(outcome, customer_id, tracking, work.stacking))
    return {"valid": bool(promotions), "tracking_id": tracking, "promotions": promotions}


def _old_form(
    outcome: redeemables.Outcome, customer_id: str | None, tracking: str, rules: Mapping[str, Any]
) -> dict[str, Any]:
    assert outcome.tier is not None
    tier = promotion_tiers.shown(outcome.tier)
    effect = validations.effect_shown(outcome, customer_id, rules, items=True)
    shown: dict[str, Any] = {
        "valid": True,
        **{name: effect[name] for name in ("applicable_to", "inapplicable_to", "order") if name in effect},
        "tracking_id": tracking,
        "discount": outcome.discount,
        "hierarchy": tier["hierarchy"],
    }
    names = ("id", "name", "banner", "campaign", "campaign_id", "metadata", "object")
    return {
        **shown,
        **{name: tier[name] for name in names},
        "discount_amount": (outcome.order or {}).get("total_applied_discount_amount", 0),
    }


router = Router(
    "/",
    route_handlers=[
        list_tiers_of_campaign,
        create_tier,
        list_tiers,
        get_tier,
        update_tier,
        delete_tier,
        enable_tier,
        disable_tier,
        validate_promotions,
    ],
)

FIDELITY = (documented("the old `POST /v1/promotions/validation`"),)
