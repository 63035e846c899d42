"""Promotion stacks: tiers of a promotion that are used together, in a fixed order.

documented: the addresses, the object, up to 30 tiers, 404 for a campaign, tier or stack that there is not. inferred:
the tiers are those of the stack's campaign; a tier that is deleted leaves its stacks, a stack without tiers is gone;
the data of `campaign.promotion_stack.*`, which are not published: the campaign and the stack.
"""

# ruff: noqa: S608 - what is put together here are constants and columns of an allow-list; values are parameters

from typing import Any

import asyncpg
from litestar import Router, delete, get, post, put
from litestar.params import FromPath

from app.sandbox import campaigns, category_links, lists, render
from app.sandbox.clock import iso
from app.sandbox.errors import NotEmulated, invalid_payload, not_found
from app.sandbox.fidelity import documented, inferred
from app.sandbox.ids import new_id
from app.sandbox.read import AnyRequest, between, mapping, one_of, order, page, read_object, required_text, texts
from app.sandbox.store import TheStore
from app.sandbox.work import Work

_MOST_TIERS = 30
SELECT = f"""
  SELECT s.*, c.name AS campaign, c.active AS campaign_active, 'PROMOTION' AS campaign_type,
    {category_links.of("s.category_id", "c.doc ->> 'category_id'")}
  FROM promotion_stack s JOIN campaign c ON c.id = s.campaign_id
"""


async def found(work: Work, reference: str, campaign_id: str | None = None) -> asyncpg.Record:
    row = await work.one(
        f"{SELECT} WHERE s.id = $1 AND ($2::text IS NULL OR s.campaign_id = $2)", reference, campaign_id
    )
    if row is None:
        raise not_found("promotion_stack", reference)
    return row


async def available(work: Work) -> list[asyncpg.Record]:
    """The stacks of active promotions, the newest first."""
    return await work.all(f"{SELECT} WHERE c.active ORDER BY s.created_at DESC, s.id DESC")


async def leave(work: Work, tier: str) -> None:
    """Take a tier that is deleted out of all stacks."""
    await work.run("UPDATE promotion_stack SET tier_ids = array_remove(tier_ids, $1) WHERE $1 = ANY(tier_ids)", tier)
    await work.run("DELETE FROM promotion_stack WHERE tier_ids = '{}'")


def shown(row: asyncpg.Record) -> dict[str, Any]:
    return {
        **{name: row[name] for name in ("id", "name", "campaign_id", "category_id")},
        "tiers": {"ids": row["tier_ids"], "hierarchy_mode": "MANUAL"},
        # Its own category; that of its campaign counts as well when it is used.
        "categories": [each for each in row["categories"] if each["id"] == row["category_id"]],
        "created_at": iso(row["created_at"]),
        **({"updated_at": iso(row["updated_at"])} if row["updated_at"] else {}),
        "object": "promotion_stack",
    }


def simple(row: render.Row) -> dict[str, Any]:
    """The form in webhooks."""
    return {
        **{name: row[name] for name in ("id", "name", "category_id")},
        "campaign": {"id": row["campaign_id"]},
        "tiers": {"ids": row["tier_ids"], "hierarchy_mode": "MANUAL"},
    }


async def _tiers(work: Work, campaign_id: str, given: dict[str, Any]) -> list[str]:
    if "ids" not in given:
        raise invalid_payload("Property .tiers should have required property 'ids'")
    one_of(given, "hierarchy_mode", ("MANUAL",), at=".tiers")
    ids = texts(given, "ids", most=_MOST_TIERS, at=".tiers")
    if not ids:
        raise invalid_payload("Property .tiers.ids must NOT have fewer than 1 items")
    if len(set(ids)) < len(ids):
        raise invalid_payload("Property .tiers.ids must NOT have duplicate items")
    rows = await work.all(
        "SELECT id FROM promotion_tier WHERE id = ANY($1) AND campaign_id = $2 FOR KEY SHARE", ids, campaign_id
    )
    known = {row["id"] for row in rows}
    if missing := [each for each in ids if each not in known]:
        raise not_found("promotion_tier", missing[0])
    return ids


async def _tell(work: Work, what: str, row: asyncpg.Record) -> dict[str, Any]:
    stack = shown(row)
    campaign = render.simple_campaign(await campaigns.found(work, row["campaign_id"]))
    event = work.event(f"campaign.promotion_stack.{what}", row["campaign_id"], "evcam")
    work.announce(event, {"campaign": campaign, "promotion_stack": stack})
    return stack


@post("/promotions/{campaign:str}/stacks", status_code=200)
async def create_stack(campaign: FromPath[str], request: AnyRequest, store: TheStore) -> dict[str, Any]:
    body = await read_object(request)
    name = required_text(body, "name", longest=255)
    if body.get("tiers") is None:
        raise invalid_payload("Payload should have required property 'tiers'")
    async with store.work() as work:
        promotion = await campaigns.found(work, campaign, campaigns.PROMOTION)
        category = await category_links.chosen(work, {"category_id": body.get("category_id")})
        identifier = new_id("stack")
        await work.run(
            "INSERT INTO promotion_stack (id, campaign_id, name, tier_ids, category_id, created_at) "
            "VALUES ($1, $2, $3, $4, $5, $6)",
            *(identifier, promotion["id"], name, await _tiers(work, promotion["id"], mapping(body, "tiers"))),
            *(category["category_id"], work.now),
        )
        return await _tell(work, "created", await found(work, identifier))


@get("/promotions/stacks")
async def list_stacks(request: AnyRequest, store: TheStore) -> dict[str, Any]:
    limit, offset = page(request)
    if any(name.startswith(("filters", "[filters")) for name in request.query_params):
        raise NotEmulated("Filtering promotion stacks by `filters`")
    sorting = order(request, {"created_at": "s.created_at", "updated_at": "s.updated_at"}, "-created_at")
    since = (*between(request, "created_at"), *between(request, "updated_at"))
    where = (
        "($1::timestamptz IS NULL OR s.created_at > $1) AND ($2::timestamptz IS NULL OR s.created_at < $2) "
        "AND ($3::timestamptz IS NULL OR s.updated_at > $3) AND ($4::timestamptz IS NULL OR s.updated_at < $4)"
    )
    async with store.work() as work:
        rows = await work.all(
            f"{SELECT} WHERE {where} ORDER BY {sorting.replace(', id', ', s.id')} LIMIT $5 OFFSET $6",
            *(*since, limit, offset),
        )
        total = await work.value(f"SELECT count(*) FROM promotion_stack s WHERE {where}", *since)
    return lists.numbered("data", [shown(row) for row in rows], total)


@get("/promotions/{campaign:str}/stacks")
async def list_stacks_of_campaign(campaign: FromPath[str], store: TheStore) -> dict[str, Any]:
    async with store.work() as work:
        promotion = await campaigns.found(work, campaign, campaigns.PROMOTION)
        rows = await work.all(f"{SELECT} WHERE s.campaign_id = $1 ORDER BY s.created_at, s.id", promotion["id"])
    return lists.numbered("data", [shown(row) for row in rows], len(rows))


@get("/promotions/{campaign:str}/stacks/{stack:str}")
async def get_stack(campaign: FromPath[str], stack: FromPath[str], store: TheStore) -> dict[str, Any]:
    async with store.work() as work:
        promotion = await campaigns.found(work, campaign, campaigns.PROMOTION)
        return shown(await found(work, stack, promotion["id"]))


@put("/promotions/{campaign:str}/stacks/{stack:str}")
async def update_stack(
    campaign: FromPath[str], stack: FromPath[str], request: AnyRequest, store: TheStore
) -> dict[str, Any]:
    body = await read_object(request)
    async with store.work() as work:
        promotion = await campaigns.found(work, campaign, campaigns.PROMOTION)
        await work.run("SELECT 1 FROM promotion_stack WHERE id = $1 FOR UPDATE", stack)
        row = await found(work, stack, promotion["id"])
        tiers = await _tiers(work, promotion["id"], mapping(body, "tiers")) if body.get("tiers") else row["tier_ids"]
        named = {"category_id": body["category_id"]} if "category_id" in body else {}
        category = (await category_links.chosen(work, named)).get("category_id") if named else row["category_id"]
        await work.run(
            "UPDATE promotion_stack SET name = $2, tier_ids = $3, category_id = $4, updated_at = $5 WHERE id = $1",
            row["id"],
            required_text(body, "name", longest=255) if "name" in body else row["name"],
            *(tiers, category, work.now),
        )
        return await _tell(work, "updated", await found(work, stack))


@delete("/promotions/{campaign:str}/stacks/{stack:str}", status_code=204)
async def delete_stack(campaign: FromPath[str], stack: FromPath[str], store: TheStore) -> None:
    async with store.work() as work:
        promotion = await campaigns.found(work, campaign, campaigns.PROMOTION)
        row = await found(work, stack, promotion["id"])
        await work.run("DELETE FROM promotion_stack WHERE id = $1", row["id"])


router = Router(
    "/",
    route_handlers=[
        create_stack,
        list_stacks,
        list_stacks_of_campaign,
        get_stack,
        update_stack,
        delete_stack,
    ],
)

FIDELITY = (
    documented(
        "**Promotion stacks**: made, changed, deleted, listed of one campaign and of all; used alone in validations, "
        "redemptions and qualifications, tier after tier"
    ),
    inferred(
        "a stack is of tiers of its own campaign; a deleted tier leaves its stacks; a stack that there is not is 404 "
        "in validations too; `campaign.promotion_stack.{created,updated}` carry the campaign and the stack"
    ),
)
