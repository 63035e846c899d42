"""Campaigns of discount codes, gift cards, loyalty cards, referral codes and promotions; `campaign_codes` makes codes.

documented: the object, 409 on a taken name, lookup by id or name, enable and disable answer `{}`, `creation_status`
IN_PROGRESS in the answer when more than one code is made, a change leaves out what the request leaves out, null clears,
deleting answers with an async action. inferred: deleting is for good with and without `force`, for there is no bin; a
campaign that a reward gives coupons of is `resource_in_use`.
"""

# ruff: noqa: S608 - what is put together here are constants and columns of an allow-list; values are parameters

from typing import Any

import asyncpg
from litestar import Router, delete, get, post, put
from litestar.params import FromPath

from app.sandbox import (
    async_actions,
    campaign_codes,
    category_links,
    conditions,
    filter_fields,
    fixed_ids,
    list_filters,
    lists,
    promotion_tiers,
    referral_programs,
    render,
    tier_rules,
    tier_terms,
    validity,
)
from app.sandbox.clock import iso
from app.sandbox.errors import Failure, NotEmulated, duplicate, invalid_payload, not_found
from app.sandbox.fidelity import documented, inferred
from app.sandbox.read import (
    AnyRequest,
    argument,
    between,
    boolean,
    integer,
    mapping,
    one_of,
    order,
    page,
    read_object,
    required_text,
    text,
    texts,
)
from app.sandbox.referral_programs import REFERRAL
from app.sandbox.store import Store, TheStore
from app.sandbox.validation_rule_assignments import listed_for
from app.sandbox.work import Work

PROMOTION = "PROMOTION"
ASSIGNMENTS = f"{listed_for('campaign', 'campaign.id')}, {category_links.of(category_links.CAMPAIGN)}"
_MOST_CODES = 10_000


async def find(work: Work, reference: str) -> asyncpg.Record | None:
    """The campaign with this id or name."""
    return await work.one(
        "SELECT *, (SELECT count(*) FROM voucher WHERE campaign_id = campaign.id) AS vouchers_count, "
        f"{ASSIGNMENTS} FROM campaign WHERE id = $1 OR name = $1 ORDER BY (id = $1) DESC LIMIT 1",
        reference,
    )


async def found(work: Work, reference: str, kind: str | None = None) -> asyncpg.Record:
    row = await find(work, reference)
    if row is None or kind not in {None, row["campaign_type"]}:
        raise not_found("campaign", reference)
    return row


async def create(work: Work, body: dict[str, Any], kind: str | None = None) -> dict[str, Any]:
    """Make a campaign and its first codes; `kind` is the campaign type where the address fixes it."""
    name = required_text(body, "name", longest=255)
    if (kind or text(body, "campaign_type")) == PROMOTION:
        return await _create_promotion(work, body, name)
    template, kind = campaign_codes.template(body, kind)
    type_ = one_of(body, "type", ("AUTO_UPDATE", "STATIC", "STANDALONE")) or "AUTO_UPDATE"
    count = integer(body, "vouchers_count", most=10**6) or 0
    if count > _MOST_CODES:
        raise NotEmulated(f"A campaign with more than {_MOST_CODES} codes at once")
    loyalty = kind == "LOYALTY_PROGRAM"
    doc: dict[str, Any] = {
        "type": type_,
        "voucher": template,
        "auto_join": boolean(body, "auto_join") or False,
        "join_once": loyalty or boolean(body, "join_once") or False,
        "use_voucher_metadata_schema": boolean(body, "use_voucher_metadata_schema") or False,
        "activity_duration_after_publishing": validity.duration_text(body, "activity_duration_after_publishing"),
        "loyalty_tiers_expiration": tier_rules.read(body) if loyalty else None,
        "referral_program": await referral_programs.read(work, body) if kind == REFERRAL else None,
        **_of_every_kind(body),
    }
    validity.check(doc)
    row = await _insert(work, body, name, kind, doc)
    await campaign_codes.make(work, row, count)
    made = {**render.campaign(row), "vouchers_count": 0 if count > 1 else count}
    if count > 1:
        made |= {"creation_status": "IN_PROGRESS", "vouchers_generation_status": "IN_PROGRESS"}
        await async_actions.done(work, "CAMPAIGN.VOUCHERS_GENERATE", count, "Vouchers have been generated")
    work.announce(work.event("campaign.created", row["id"], "evcam"), {"campaign": made})
    if count > 1:
        campaign_codes.tell_of_many(work, row, count)
    return made


def _of_every_kind(body: dict[str, Any]) -> dict[str, Any]:
    """What a campaign keeps whatever it gives."""
    return {
        "description": text(body, "description"),
        **validity.read(body),
        "vouchers_count": 0,
        "metadata": mapping(body, "metadata"),
        "category_id": None,
        "creation_status": "DONE",
        "vouchers_generation_status": "DONE",
        "protected": False,
        "validation_rules_assignments": lists.empty(),
    }


async def _insert(work: Work, body: dict[str, Any], name: str, kind: str, doc: dict[str, Any]) -> asyncpg.Record:
    row = await work.one(
        "INSERT INTO campaign (id, name, campaign_type, active, doc, created_at) VALUES ($1, $2, $3, $4, $5, $6) "
        "ON CONFLICT (name) DO NOTHING RETURNING *",
        await fixed_ids.id_for(work, "camp", name),
        name,
        kind,
        boolean(body, "active") is not False,
        {field: value for field, value in doc.items() if value is not None or field == "category_id"}
        | await category_links.chosen(work, body),
        work.now,
    )
    if row is None:
        raise duplicate("campaign", name, by="name")
    for rule in texts(body, "validation_rules", most=1):
        await conditions.assign(work, rule, "campaign", row["id"])
    return await found(work, row["id"])


async def _create_promotion(work: Work, body: dict[str, Any], name: str) -> dict[str, Any]:
    """A promotion has tiers in place of codes: those of the request, the first of them first."""
    given = mapping(body, "promotion").get("tiers")
    if given is not None and not (isinstance(given, list) and all(isinstance(each, dict) for each in given)):
        raise invalid_payload("Property .promotion.tiers must be array")
    doc = {
        "type": one_of(body, "type", ("AUTO_UPDATE", "STATIC", "STANDALONE")) or "STATIC",
        "auto_join": False,
        "join_once": False,
        "use_voucher_metadata_schema": False,
        **_of_every_kind(body),
    }
    validity.check(doc)
    row = await _insert(work, body, name, PROMOTION, doc)
    for place, tier in enumerate(given or []):
        await promotion_tiers.insert(work, row, tier, at=f".promotion.tiers[{place}]")
    made = await shown(work, await found(work, row["id"]))
    work.announce(work.event("campaign.created", row["id"], "evcam"), {"campaign": made})
    return made


async def shown(work: Work, row: asyncpg.Record) -> dict[str, Any]:
    """The campaign as the API gives it: a promotion with its tiers."""
    campaign = render.campaign(row)
    if row["campaign_type"] != PROMOTION:
        return campaign
    tiers = [render.promotion_tier(tier) for tier in await promotion_tiers.of_campaign(work, row["id"])]
    return {**campaign, "promotion": {**lists.numbered("tiers", tiers, len(tiers)), "has_more": False}}


async def change(work: Work, row: asyncpg.Record, body: dict[str, Any]) -> dict[str, Any]:
    """Change what the request names, in the campaign and in its codes that nobody has got or used yet."""
    doc = dict(row["doc"])
    doc |= {name: text(body, name) for name in ("description",) if name in body}
    doc |= await category_links.chosen(work, body)
    doc |= {name: value for name in ("auto_join", "join_once") if (value := boolean(body, name)) is not None}
    if row["campaign_type"] == "LOYALTY_PROGRAM":
        doc["join_once"] = True
    if row["campaign_type"] == REFERRAL and "referral_program" in body:
        doc["referral_program"] = await referral_programs.read(work, body, doc["referral_program"])
    if type_ := one_of(body, "type", ("AUTO_UPDATE", "STATIC")):
        doc["type"] = type_
    dates = validity.read(body)
    doc |= dates
    if (name := "activity_duration_after_publishing") in body:
        doc[name] = validity.duration_text(body, name)
    if "metadata" in body:
        doc["metadata"] = {**doc.get("metadata", {}), **mapping(body, "metadata")}
    unset = body.get("unset_metadata_fields") or []
    if not isinstance(unset, list):
        raise invalid_payload("Property .unset_metadata_fields must be array")
    for name in unset:
        doc["metadata"].pop(str(name), None)
    doc["metadata"] = {name: value for name, value in doc.get("metadata", {}).items() if value is not None}
    if "voucher" in doc:
        doc["voucher"] = campaign_codes.changed_template({**doc["voucher"], **dates}, body)
    other_terms = row["campaign_type"] == "LOYALTY_PROGRAM" and "loyalty_tiers_expiration" in body
    if other_terms:
        doc["loyalty_tiers_expiration"] = tier_rules.read(body)
    validity.check(doc)
    doc = {name: value for name, value in doc.items() if value is not None or name == "category_id"}
    await work.run("UPDATE campaign SET doc = $2, updated_at = $3 WHERE id = $1", row["id"], doc, work.now)
    changed = await found(work, row["id"])
    if other_terms:
        await tier_terms.changed(work, changed, doc.get("loyalty_tiers_expiration"))
    reached = 0
    if "voucher" in doc:
        reached = await campaign_codes.reach(work, changed)
        await async_actions.done(work, "CAMPAIGN.VOUCHERS_UPDATE", reached, "Vouchers have been updated")
    answer = await shown(work, changed)
    work.announce(work.event("campaign.updated", row["id"], "evcam"), {"campaign": answer})
    return answer


async def remove(work: Work, row: asyncpg.Record) -> dict[str, Any]:
    """Delete a campaign with its codes, tiers and their redemptions; answers the async action that did it."""
    user = await work.value(
        "SELECT id FROM reward WHERE doc -> 'parameters' -> 'campaign' ->> 'id' = $1 LIMIT 1", row["id"]
    )
    if user is not None:
        raise Failure(
            400,
            "resource_in_use",
            "Resource in use",
            f"Campaign {row['id']} is in use by reward {user}",
            resource_id=row["id"],
            resource_type="campaign",
        )
    campaign = await shown(work, row)
    # Its codes' locks first, so that nothing is redeemed or published while they go.
    count = len(await work.all("SELECT 1 FROM voucher WHERE campaign_id = $1 ORDER BY code FOR UPDATE", row["id"]))
    await work.run("DELETE FROM redemption WHERE campaign_id = $1", row["id"])
    await work.run("DELETE FROM campaign WHERE id = $1", row["id"])
    data = {"campaign": campaign, "deleted_at": iso(work.now)}
    work.announce(work.event("campaign.deleted", row["id"], "evcam"), data)
    done = await async_actions.done(work, "CAMPAIGN.VOUCHERS_DELETE", count, "Vouchers have been deleted")
    return {"async_action_id": done}


async def listed(work: Work, request: AnyRequest, kind: str | None) -> dict[str, Any]:
    limit, offset = page(request)
    wanted = list_filters.read(request, filter_fields.CAMPAIGNS)
    sorting = order(request, {"created_at": "created_at", "updated_at": "updated_at"}, "-created_at")
    where = """
      ($1::text IS NULL OR campaign_type = $1)
      AND ($2::timestamptz IS NULL OR created_at > $2) AND ($3::timestamptz IS NULL OR created_at < $3)
      AND ($4::timestamptz IS NULL OR updated_at > $4) AND ($5::timestamptz IS NULL OR updated_at < $5)
      AND ($6::text IS NULL OR doc ->> 'creation_status' = $6)
      AND ($7::text IS NULL OR (campaign_type = 'REFERRAL_PROGRAM') = ($7 = 'true'))
    """
    asked: tuple[Any, ...] = (
        kind,
        *between(request, "created_at"),
        *between(request, "updated_at"),
        argument(request, "campaign_status"),
        argument(request, "is_referral_code"),
    )
    fits, values = list_filters.compiled(wanted, filter_fields.CAMPAIGNS, work.now, after=len(asked))
    where, asked = f"{where} AND ({fits})", (*asked, *values)
    rows = await work.all(
        "SELECT *, (SELECT count(*) FROM voucher WHERE campaign_id = campaign.id) AS vouchers_count, "
        f"{ASSIGNMENTS} FROM campaign WHERE {where} ORDER BY {sorting} LIMIT {limit} OFFSET {offset}",
        *asked,
    )
    total = await work.value(f"SELECT count(*) FROM campaign WHERE {where}", *asked)
    return lists.numbered("campaigns", [await shown(work, row) for row in rows], total)


@post("/campaigns", status_code=200)
async def create_campaign(request: AnyRequest, store: TheStore) -> dict[str, Any]:
    body = await read_object(request)
    async with store.work() as work:
        return await create(work, body)


@get("/campaigns")
async def list_campaigns(request: AnyRequest, store: TheStore) -> dict[str, Any]:
    async with store.work() as work:
        return await listed(work, request, argument(request, "campaign_type"))


@get("/campaigns/{reference:str}")
async def get_campaign(reference: FromPath[str], store: TheStore) -> dict[str, Any]:
    async with store.work() as work:
        return await shown(work, await found(work, reference))


@put("/campaigns/{reference:str}")
async def update_campaign(reference: FromPath[str], request: AnyRequest, store: TheStore) -> dict[str, Any]:
    body = await read_object(request)
    async with store.work() as work:
        row = await found(work, reference)
        await work.run("SELECT 1 FROM campaign WHERE id = $1 FOR NO KEY UPDATE", row["id"])
        return await change(work, await found(work, row["id"]), body)


@delete("/campaigns/{reference:str}", status_code=202)
async def delete_campaign(reference: FromPath[str], store: TheStore) -> dict[str, Any]:
    async with store.work() as work:
        row = await found(work, reference)
        await work.run("SELECT 1 FROM campaign WHERE id = $1 FOR UPDATE", row["id"])
        return await remove(work, await found(work, row["id"]))


@post("/campaigns/{reference:str}/enable", status_code=200)
async def enable_campaign(reference: FromPath[str], store: TheStore) -> dict[str, Any]:
    return await _switch(store, reference, active=True)


@post("/campaigns/{reference:str}/disable", status_code=200)
async def disable_campaign(reference: FromPath[str], store: TheStore) -> dict[str, Any]:
    return await _switch(store, reference, active=False)


async def _switch(store: Store, reference: str, *, active: bool) -> dict[str, Any]:
    async with store.work() as work:
        row = await found(work, reference)
        await work.run("UPDATE campaign SET active = $2, updated_at = $3 WHERE id = $1", row["id"], active, work.now)
        campaign = await shown(work, await found(work, row["id"]))
        work.announce(
            work.event(f"campaign.{'enabled' if active else 'disabled'}", row["id"], "evcam"), {"campaign": campaign}
        )
    return {}


router = Router(
    "/",
    route_handlers=[
        create_campaign,
        list_campaigns,
        get_campaign,
        update_campaign,
        delete_campaign,
        enable_campaign,
        disable_campaign,
    ],
)

FIDELITY = (
    documented(
        "**Campaigns** of discount codes, gift cards, loyalty cards and promotions; a change leaves out "
        "what the request leaves out, null clears, and it reaches the codes that are not published or "
        "redeemed yet; deleting answers 202 with an async action"
    ),
    inferred(
        "deleting a campaign or voucher is for good, with and without `force`: there is no bin. A "
        "campaign that a reward gives coupons of is `resource_in_use`. A programme that has members is "
        "deleted with their cards"
    ),
    inferred("metadata of campaigns, vouchers and tiers merges key by key, null removes a key"),
)
