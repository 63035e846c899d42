"""Promotion tiers: what a promotion offers to everybody who qualifies, without a code.

documented: the object, the next hierarchy when none is given, `promotion_inactive` with its sentence. inferred: a tier
that is not yet or no longer valid is inactive too; the sums of its summary are over redemptions that stand.
"""

# ruff: noqa: S608 - what is put together here are constants; values are parameters

from collections.abc import Mapping
from typing import Any

import asyncpg

from app.sandbox import category_links, conditions, effects, render, validity
from app.sandbox.errors import Failure, NotEmulated, invalid_payload, not_found
from app.sandbox.fidelity import documented, inferred
from app.sandbox.ids import new_id
from app.sandbox.read import boolean, integer, mapping, required_text, text, texts
from app.sandbox.validation_rule_assignments import listed_for
from app.sandbox.work import Work

SELECT = f"""
  SELECT t.*, {listed_for("promotion_tier", "t.id")},
    {category_links.of("t.doc ->> 'category_id'", "c.doc ->> 'category_id'")},
    c.name AS campaign, c.active AS campaign_active, c.doc AS campaign_doc, s.redeemed,
    s.orders_amount, s.orders_discount
  FROM promotion_tier t JOIN campaign c ON c.id = t.campaign_id
  CROSS JOIN LATERAL (
    SELECT count(*) AS redeemed,
      coalesce(sum((r.doc -> 'order' ->> 'total_amount')::bigint), 0)::bigint AS orders_amount,
      coalesce(sum((r.doc -> 'order' ->> 'total_applied_discount_amount')::bigint), 0)::bigint AS orders_discount
    FROM redemption r WHERE r.promotion_tier_id = t.id AND r.object = 'redemption' AND r.status = 'SUCCEEDED'
  ) s
"""


async def find(work: Work, reference: str) -> asyncpg.Record | None:
    return await work.one(f"{SELECT} WHERE t.id = $1", reference)


async def found(work: Work, reference: str) -> asyncpg.Record:
    row = await find(work, reference)
    if row is None:
        raise not_found("promotion_tier", reference)
    return row


async def all_of(work: Work, ids: list[str]) -> list[asyncpg.Record]:
    """The tiers with these ids, in this order."""
    return await work.all(f"{SELECT} WHERE t.id = ANY($1) ORDER BY array_position($1, t.id)", ids)


async def of_campaign(work: Work, campaign_id: str) -> list[asyncpg.Record]:
    """The tiers of a promotion in the order in which they apply."""
    return await work.all(f"{SELECT} WHERE t.campaign_id = $1 ORDER BY t.hierarchy, t.created_at, t.id", campaign_id)


async def insert(work: Work, campaign: asyncpg.Record, body: dict[str, Any], at: str = "") -> asyncpg.Record:
    """A new tier at the end of a promotion, or where its hierarchy puts it."""
    name = required_text(body, "name", longest=255, at=at)
    doc = {**read(body, {}, at), **await category_links.chosen(work, body, at)}
    if "action" not in doc:
        raise invalid_payload(f"Property {at}.action should have required property 'discount'")
    await work.run("SELECT 1 FROM campaign WHERE id = $1 FOR NO KEY UPDATE", campaign["id"])
    row = await work.one(
        "INSERT INTO promotion_tier (id, campaign_id, name, active, hierarchy, doc, created_at) "
        "VALUES ($1, $2, $3, $4, coalesce($5, "
        "(SELECT coalesce(max(hierarchy), 0) + 1 FROM promotion_tier WHERE campaign_id = $2)), $6, $7) RETURNING id",
        new_id("promo"),
        campaign["id"],
        name,
        boolean(body, "active", at=at) is not False,
        integer(body, "hierarchy", most=2**31 - 1, at=at),
        doc,
        work.now,
    )
    assert row is not None
    for rule in texts(body, "validation_rules", most=1):
        await conditions.assign(work, rule, "promotion_tier", row["id"])
    return await found(work, row["id"])


def read(body: dict[str, Any], before: dict[str, Any], at: str = "") -> dict[str, Any]:
    """What is kept of a tier: `before` with what the request names laid over it."""
    if before and body.get("validation_rules"):
        raise NotEmulated("Other validation rules for a tier that there is: assign them")
    doc = {**before, **validity.read(body, at)}
    doc |= {name: text(body, name, at=at) for name in ("banner",) if name in body}
    if "metadata" in body or "metadata" not in doc:
        metadata = {**doc.get("metadata", {}), **mapping(body, "metadata", at=at)}
        doc["metadata"] = {name: value for name, value in metadata.items() if value is not None}
    if action := mapping(body, "action", at=at):
        discount = mapping(action, "discount", at=f"{at}.action")
        doc["action"] = {"discount": effects.read(discount, f"{at}.action.discount")}
    validity.check(doc)
    return {name: value for name, value in doc.items() if value is not None}


def refusal(work: Work, tier: Mapping[str, Any] | None, reference: str) -> Failure | None:
    """Why this tier can't be used now, if so."""
    if tier is None:
        return not_found("promotion_tier", reference)
    if not tier["active"] or not tier["campaign_active"]:
        details = f"Promotion Tier with id: {tier['id']} is disabled."
        return Failure(400, "promotion_inactive", "Inactive Promotion", details)
    for doc in (tier["doc"], tier["campaign_doc"]):
        state = validity.state(doc, work.now, work.config.time_zone)
        if state in {"early", "late"}:
            details = f"Promotion Tier with id: {tier['id']} is not active."
            return Failure(400, "promotion_inactive", "Inactive Promotion", details)
        if state == "not_now":
            details = f"Promotion Tier with id: {tier['id']} is not active now."
            return Failure(400, "promotion_not_active_now", "Promotion not active now", details)
    return None


async def available(work: Work) -> list[asyncpg.Record]:
    """The tiers that may be used now, the newest first."""
    rows = await work.all(f"{SELECT} WHERE t.active AND c.active ORDER BY t.created_at DESC, t.id DESC")
    return [row for row in rows if refusal(work, row, row["id"]) is None]


def shown(row: Mapping[str, Any]) -> dict[str, Any]:
    return render.promotion_tier(row)


FIDELITY = (
    documented(
        "**Promotions**: tiers with their hierarchy, made with the campaign or after it; they are "
        "validated and redeemed beside codes; `promotion_inactive`"
    ),
    inferred("a tier before its start or after its end is `promotion_inactive` too"),
)
