"""Making, changing and deleting single vouchers, and putting credits and points on cards by hand.

documented: a voucher without a campaign stands alone, one may be added to a campaign of the type STANDALONE, loyalty
cards need a campaign; 409 on a taken code; the type of a discount can't be changed; codes for a campaign inherit what
the request does not name; several at once answer with an async action; deleting removes the voucher's redemptions.
inferred: metadata merges key by key, as a customer's does; deleting is for good with and without `force`.
"""

from typing import Any

import asyncpg
from litestar import Response, Router, delete, get, post, put
from litestar.params import FromPath

from app.sandbox import (
    async_actions,
    campaign_codes,
    campaigns,
    category_links,
    codes,
    conditions,
    customers,
    effects,
    gifts,
    loyalties,
    read,
    render,
    validity,
    vouchers,
)
from app.sandbox.errors import Failure, NotEmulated, duplicate, invalid_payload
from app.sandbox.fidelity import documented
from app.sandbox.ids import new_id
from app.sandbox.read import AnyRequest, boolean, integer, mapping, one_of, read_object, text, texts
from app.sandbox.store import Store, TheStore
from app.sandbox.work import Work

_MOST_AT_ONCE = 10_000
_TRIES = 5
_MOST_RULES = 5


def changes(body: dict[str, Any]) -> dict[str, Any]:
    """What a request says about a voucher apart from its value and category; null stays, for it clears."""
    if body.get("validation_rules"):
        raise NotEmulated("Validation rules for codes that a campaign gets by its address")
    found = validity.read(body)
    found |= {name: text(body, name) for name in ("additional_info",) if name in body}
    if "metadata" in body:
        found["metadata"] = mapping(body, "metadata")
    if (active := boolean(body, "active")) is not None:
        found["active"] = active
    redemption = mapping(body, "redemption")
    if "quantity" in redemption:
        found["quantity"] = integer(redemption, "quantity", least=1, most=2**31 - 1, at=".redemption")
    return found


async def add_to_campaign(work: Work, campaign: asyncpg.Record, body: dict[str, Any], code: str | None) -> str:
    """One new voucher of a campaign, with this code or one by its pattern; answers its id."""
    config = None
    if code is not None:
        refuse_code(code)
        # A pattern without `#` is the code itself.
        config = {"pattern": "", "charset": "", "prefix": code, "postfix": "", "length": 0}
        if await vouchers.find(work, code) is not None:
            raise duplicate("voucher", code)
    elif given := mapping(body, "code_config"):
        config = codes.read(given, ".code_config")
    try:
        made_of = await _changes(work, body)
        [made] = await campaign_codes.make(work, campaign, 1, config=config, changes=made_of)
    except Failure as failure:
        if code is None or failure.key != "no_voucher_suitable_for_publication":
            raise
        raise duplicate("voucher", code) from failure  # somebody else made it meanwhile
    return made


def refuse_code(code: str) -> None:
    if not code.strip() or len(code) > 255:
        raise invalid_payload("Property .code must have 1 to 255 characters")


def refuse_codeless(campaign: asyncpg.Record) -> None:
    if campaign["campaign_type"] == campaigns.PROMOTION or campaign["doc"]["type"] == "STANDALONE":
        details = f"Vouchers can't be added to campaign {campaign['id']} by its address"
        raise Failure(400, "invalid_campaign", "Invalid Campaign", details)


async def create(work: Work, body: dict[str, Any], code: str | None) -> dict[str, Any]:
    """A voucher that stands alone, or one of a STANDALONE campaign."""
    kind = one_of(body, "type", ("DISCOUNT_VOUCHER", "GIFT_VOUCHER", "LOYALTY_CARD"))
    reference = text(body, "campaign_id") or text(body, "campaign")
    rules = texts(body, "validation_rules", most=_MOST_RULES)
    campaign = await campaigns.found(work, reference) if reference else None
    if campaign is not None:
        if campaign["doc"]["type"] != "STANDALONE" or campaign["campaign_type"] == campaigns.PROMOTION:
            details = f"Campaign {campaign['id']} is not of the type STANDALONE"
            raise Failure(400, "invalid_campaign", "Invalid Campaign", details)
        if kind not in {None, campaign["doc"]["voucher"]["type"]}:
            raise Failure(400, "invalid_voucher", "Invalid Voucher", f"The campaign has no vouchers of type {kind}")
        identifier = await add_to_campaign(work, campaign, {**body, "validation_rules": None}, code)
        await _assign(work, rules, identifier)
        return render.voucher(await vouchers.found(work, identifier), work.config.url)
    if kind is None:
        raise invalid_payload("Payload should have required property 'type'")
    if kind == "LOYALTY_CARD":
        raise Failure(400, "invalid_voucher", "Invalid Voucher", "A loyalty card needs a campaign")
    told = await _changes(work, {**body, "validation_rules": None})
    doc = {name: value for name, value in told.items() if value is not None}
    quantity, active = doc.pop("quantity", None), doc.pop("active", True)
    credits_ = 0
    if kind == "DISCOUNT_VOUCHER":
        doc["discount"] = effects.read(mapping(body, "discount"), ".discount")
    else:
        gift = gifts.read(mapping(body, "gift"), ".gift")
        credits_, doc["gift_effect"] = gift["amount"], gift["effect"]
    validity.check(doc)
    config = codes.read(mapping(body, "code_config"), ".code_config")
    if code is not None:
        refuse_code(code)
    for _ in range(1 if code else _TRIES):
        row = await work.one(
            "INSERT INTO voucher (id, code, type, active, doc, quantity, initial_credits, created_at) "
            "VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (code) DO NOTHING RETURNING id",
            new_id("v"),
            code or codes.new(config),
            kind,
            active,
            {"metadata": {}, **doc},
            quantity,
            credits_,
            work.now,
        )
        if row is not None:
            break
    else:
        raise duplicate("voucher", code or config["pattern"])
    await _assign(work, rules, row["id"])
    shown = render.voucher(await vouchers.found(work, row["id"]), work.config.url)
    work.announce(work.event("voucher.created", row["id"], "evvou"), {"voucher": shown, "campaign": None})
    return shown


async def _changes(work: Work, body: dict[str, Any]) -> dict[str, Any]:
    return changes(body) | await category_links.chosen(work, body)


async def _assign(work: Work, rules: list[str], identifier: str) -> None:
    for rule in rules:
        await conditions.assign(work, rule, "voucher", identifier)


async def change(work: Work, row: asyncpg.Record, body: dict[str, Any], *, tell: bool = True) -> dict[str, Any]:
    """Change what the request names; the caller holds the voucher's lock. `tell`: whether that is announced."""
    # Other fields may not be changed: they are passed over, as documented.
    given = await _changes(work, {name: value for name, value in body.items() if name != "validation_rules"})
    given.pop("quantity", None)
    active = given.pop("active", row["active"])
    metadata = {**row["doc"].get("metadata", {}), **given.pop("metadata", {})}
    doc = {**row["doc"], **given, "metadata": {name: value for name, value in metadata.items() if value is not None}}
    if row["type"] == "DISCOUNT_VOUCHER" and (discount := mapping(body, "discount")):
        doc["discount"] = effects.changed(doc["discount"], discount)
    validity.check(doc)
    doc = {name: value for name, value in doc.items() if value is not None}
    await work.run(
        "UPDATE voucher SET doc = $2, active = $3, updated_at = $4 WHERE id = $1", row["id"], doc, active, work.now
    )
    shown = render.voucher(await vouchers.found(work, row["id"]), work.config.url)
    if tell:
        data = {"voucher": shown, "campaign": await _campaign(work, row)}
        work.announce(work.event("voucher.updated", row["id"], "evvou"), data, lane=row["holder_id"])
    return shown


async def _campaign(work: Work, row: render.Row) -> dict[str, Any] | None:
    campaign = await campaigns.find(work, row["campaign_id"]) if row["campaign_id"] else None
    return render.simple_campaign(campaign) if campaign is not None else None


async def _locked(work: Work, reference: str) -> asyncpg.Record:
    """The voucher under its holder's lock and its own, in this order."""
    row = await vouchers.found(work, reference)
    if row["holder_id"]:
        await customers.find(work, row["holder_id"], lock=True)
    return await vouchers.found(work, row["code"], lock=True)


async def lock_all(work: Work, codes_: list[str]) -> list[asyncpg.Record]:
    """The vouchers with these codes under their holders' locks and their own, each in one order."""
    await work.run(
        "SELECT 1 FROM customer WHERE id IN (SELECT holder_id FROM voucher WHERE code = ANY($1)) "
        "ORDER BY id FOR UPDATE",
        codes_,
    )
    return await work.all("SELECT * FROM voucher WHERE code = ANY($1) ORDER BY code FOR UPDATE", codes_)


@post("/vouchers", status_code=200)
async def create_voucher(request: AnyRequest, store: TheStore) -> dict[str, Any]:
    body = await read_object(request)
    async with store.work() as work:
        return await create(work, body, text(body, "code"))


@post("/vouchers/{reference:str}", status_code=200)
async def create_voucher_with_code(reference: FromPath[str], request: AnyRequest, store: TheStore) -> dict[str, Any]:
    body = await read_object(request)
    async with store.work() as work:
        return await create(work, body, reference)


@put("/vouchers/{reference:str}")
async def update_voucher(reference: FromPath[str], request: AnyRequest, store: TheStore) -> dict[str, Any]:
    body = await read_object(request)
    async with store.work() as work:
        return await change(work, await _locked(work, reference), body)


@delete("/vouchers/{reference:str}", status_code=204)
async def delete_voucher(reference: FromPath[str], store: TheStore) -> None:
    async with store.work() as work:
        row = await _locked(work, reference)
        shown = render.voucher(row, work.config.url)
        data = {"voucher": shown, "campaign": await _campaign(work, row)}
        await work.run("DELETE FROM redemption WHERE voucher_id = $1", row["id"])
        await work.run("DELETE FROM voucher WHERE id = $1", row["id"])
        work.announce(work.event("voucher.deleted", row["id"], "evvou"), data, lane=row["holder_id"])


@post("/vouchers/{reference:str}/balance", status_code=200)
async def adjust_balance(reference: FromPath[str], request: AnyRequest, store: TheStore) -> dict[str, Any]:
    body = await read_object(request)
    async with store.work() as work:
        row = await _locked(work, reference)
        if row["type"] == "GIFT_VOUCHER":
            return await gifts.adjust(work, row, body)
        if row["type"] == "LOYALTY_CARD":
            return await loyalties.adjust(work, row, {"points": body.get("amount"), **body})
        details = "Only gift cards and loyalty cards have a balance"
        raise Failure(400, "invalid_voucher", "Invalid Voucher", details)


@get("/vouchers/{reference:str}/redemption")
async def get_redemptions(reference: FromPath[str], store: TheStore) -> dict[str, Any]:
    async with store.work() as work:
        row = await vouchers.found(work, reference)
        docs = await work.all(
            "SELECT doc FROM redemption WHERE voucher_id = $1 ORDER BY created_at DESC, id DESC LIMIT 100", row["id"]
        )
        total = await work.value("SELECT count(*) FROM redemption WHERE voucher_id = $1", row["id"])
    shown = render.voucher(row, store.config.url)["redemption"]
    entries = [doc["doc"] for doc in docs]
    return {**shown, "data_ref": "redemption_entries", "total": total, "redemption_entries": entries}


@post("/campaigns/{reference:str}/vouchers")
async def add_vouchers(reference: FromPath[str], request: AnyRequest, store: TheStore) -> Response[dict[str, Any]]:
    body = await read_object(request)
    count = read.count(request, "vouchers_count", 1, _MOST_AT_ONCE)
    async with store.work() as work:
        campaign = await campaigns.found(work, reference)
        refuse_codeless(campaign)
        if count == 1:
            identifier = await add_to_campaign(work, campaign, body, text(body, "code"))
            return Response(render.voucher(await vouchers.found(work, identifier), work.config.url), status_code=200)
        config = mapping(body, "code_config")
        await campaign_codes.make(
            work,
            campaign,
            count,
            config=codes.read(config, ".code_config") if config else None,
            changes=await _changes(work, body),
        )
        campaign_codes.tell_of_many(work, campaign, count)
        done = await async_actions.done(work, "CAMPAIGN.VOUCHERS_GENERATE", count, "Vouchers have been generated")
    return Response({"async_action_id": done}, status_code=202)


@post("/campaigns/{reference:str}/vouchers/{code:str}", status_code=200)
async def add_voucher(
    reference: FromPath[str], code: FromPath[str], request: AnyRequest, store: TheStore
) -> dict[str, Any]:
    body = await read_object(request)
    return await _added(store, reference, body, code)


async def _added(store: Store, reference: str, body: dict[str, Any], code: str) -> dict[str, Any]:
    async with store.work() as work:
        campaign = await campaigns.found(work, reference)
        refuse_codeless(campaign)
        identifier = await add_to_campaign(work, campaign, body, code)
        return render.voucher(await vouchers.found(work, identifier), work.config.url)


router = Router(
    "/",
    route_handlers=[
        create_voucher,
        create_voucher_with_code,
        update_voucher,
        delete_voucher,
        adjust_balance,
        get_redemptions,
        add_vouchers,
        add_voucher,
    ],
)

FIDELITY = (
    documented(
        "**Vouchers** that stand alone; a change leaves out what the request leaves out, the type of a "
        "discount stays (`invalid_voucher`); deleting removes their redemptions"
    ),
    documented(
        "codes are added to a campaign one (200) or many (202) at a time, with a code of your own and "
        "with changes to what the campaign says; `STANDALONE` campaigns get theirs by `POST /v1/vouchers` "
        "(`invalid_campaign` the other way round)",
        "asserted",
    ),
)
