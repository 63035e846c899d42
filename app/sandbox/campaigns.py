"""Campaigns of discount codes and of loyalty cards, and the making of their codes.

documented: the object, 409 on a taken name, lookup by id or name, enable and disable answer `{}`, unique codes by
pattern, `creation_status` IN_PROGRESS in the answer when more than one code is made. inferred: the codes are there at
once; a start or expiration date of the campaign is one of its vouchers.
"""

# ruff: noqa: S608 - what is put together here are constants; values are parameters

from typing import Any

import asyncpg
from litestar import Router, get, post
from litestar.params import FromPath

from app.sandbox import conditions, expiry, fixed_ids, render, tier_rules, vouchers
from app.sandbox.clock import iso, parse_time
from app.sandbox.errors import Failure, NotEmulated, duplicate, invalid_payload, not_found
from app.sandbox.ids import ALPHANUMERIC, code, new_id
from app.sandbox.read import (
    AnyRequest,
    argument,
    boolean,
    flag,
    integer,
    mapping,
    number,
    one_of,
    page,
    read_object,
    required_text,
    text,
    texts,
)
from app.sandbox.rule_assignments import listed_for
from app.sandbox.store import Store, TheStore
from app.sandbox.work import Work

EMULATED = {"DISCOUNT_VOUCHER": "DISCOUNT_COUPONS", "LOYALTY_CARD": "LOYALTY_PROGRAM"}
_KINDS = ("DISCOUNT_COUPONS", "GIFT_VOUCHERS", "LOYALTY_PROGRAM", "PROMOTION", "REFERRAL_PROGRAM")
ASSIGNMENTS = listed_for("campaign", "campaign.id")
_MOST_CODES = 10_000
_TRIES = 20


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
    template, kind = _voucher_template(body, kind)
    type_ = one_of(body, "type", ("AUTO_UPDATE", "STATIC", "STANDALONE")) or "AUTO_UPDATE"
    if type_ == "STANDALONE":
        raise NotEmulated("A campaign of the type STANDALONE")
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
        "description": text(body, "description"),
        "start_date": _date(body, "start_date"),
        "expiration_date": _date(body, "expiration_date"),
        "vouchers_count": 0,
        "metadata": mapping(body, "metadata"),
        "loyalty_tiers_expiration": tier_rules.read(body) if loyalty else None,
        "category": text(body, "category"),
        "category_id": None,
        "categories": [],
        "creation_status": "DONE",
        "vouchers_generation_status": "DONE",
        "protected": False,
        "validation_rules_assignments": render.empty_list(),
    }
    doc = {field: value for field, value in doc.items() if value is not None or field == "category_id"}
    row = await work.one(
        "INSERT INTO campaign (id, name, campaign_type, active, doc, created_at) VALUES ($1, $2, $3, $4, $5, $6) "
        "ON CONFLICT (name) DO NOTHING RETURNING *",
        await fixed_ids.id_for(work, "camp", name),
        name,
        kind,
        boolean(body, "active") is not False,
        doc,
        work.now,
    )
    if row is None:
        raise duplicate("campaign", name, by="name")
    for rule in texts(body, "validation_rules", most=1):
        await conditions.assign(work, rule, "campaign", row["id"])
    await make_codes(work, row, count)
    row = await found(work, row["id"])
    shown = {**render.campaign(row), "vouchers_count": 0 if count > 1 else count}
    if count > 1:
        shown |= {"creation_status": "IN_PROGRESS", "vouchers_generation_status": "IN_PROGRESS"}
    work.announce(work.event("campaign.created", row["id"], "evcam"), {"campaign": shown})
    return shown


async def make_codes(work: Work, campaign: asyncpg.Record, count: int) -> list[str]:
    """New vouchers of this campaign; answers their ids. Codes are unique in the whole project.

    Raises:
        Failure: the campaign's pattern has no free codes left.
    """
    template = campaign["doc"]["voucher"]
    doc = {name: template.get(name) for name in ("discount", "start_date", "expiration_date") if template.get(name)}
    doc["metadata"] = campaign["doc"].get("metadata", {})
    made: list[str] = []
    for attempt in range(_TRIES):
        missing = count - len(made)
        if not missing:
            break
        # The first draw nearly always does; where a pattern is almost full, draw many to hit what is left of it.
        codes = {new_code(template["code_config"]) for _ in range(missing if attempt == 0 else 2 * missing + 30)}
        rows = await work.all(
            "INSERT INTO voucher (id, code, campaign_id, type, doc, initial_points, quantity, created_at) "
            "SELECT id, code, $3, $4, $5, $6, $7, $8 FROM unnest($1::text[], $2::text[]) AS new (id, code) "
            "WHERE NOT EXISTS (SELECT 1 FROM voucher WHERE voucher.code = new.code) LIMIT $9 "
            "ON CONFLICT (code) DO NOTHING RETURNING id",
            [new_id("v") for _ in codes],
            list(codes),
            campaign["id"],
            template["type"],
            doc,
            (template.get("loyalty_card") or {}).get("points") or 0,
            template["redemption"]["quantity"],
            work.now,
            missing,
        )
        made += [row["id"] for row in rows]
        if count == 1 and made:
            shown = render.voucher(await vouchers.found(work, made[0]), work.config.url)
            event = work.event("voucher.created", made[0], "evvou")
            work.announce(event, {"voucher": shown, "campaign": render.simple_campaign(campaign)})
    else:
        if len(made) < count:
            raise Failure(
                400,
                "no_voucher_suitable_for_publication",
                "Couldn't find any voucher suitable for publication",
                "Couldn't create new vouchers for publication",
            )
    return made


def new_code(config: dict[str, Any]) -> str:
    """A code by its configuration: each `#` of the pattern is a random character; prefix and postfix stand around."""
    charset = config["charset"]
    body = "".join(code(1, charset) if each == "#" else each for each in config["pattern"])
    return f"{config['prefix']}{body}{config['postfix']}"


def _voucher_template(body: dict[str, Any], kind: str | None) -> tuple[dict[str, Any], str]:
    given = mapping(body, "voucher")
    wanted = kind or one_of(body, "campaign_type", _KINDS)
    by_kind = {campaign: voucher for voucher, campaign in EMULATED.items()}
    type_ = text(given, "type", at=".voucher") or by_kind.get(wanted or "")
    if wanted is None and type_ is None:
        raise invalid_payload("Payload should have required property 'campaign_type' or 'voucher.type'")
    if type_ not in EMULATED or (wanted or EMULATED[type_]) not in EMULATED.values():
        raise NotEmulated(f"A campaign of the type {wanted or type_}")
    if wanted and EMULATED[type_] != wanted:
        raise Failure(400, "invalid_campaign", "Invalid Campaign", f"Vouchers of {wanted} can't be of type {type_}")
    redemption = mapping(given, "redemption", at=".voucher")
    template: dict[str, Any] = {
        "type": type_,
        "redemption": {"quantity": integer(redemption, "quantity", least=1, most=2**31 - 1, at=".voucher.redemption")},
        "code_config": _code_config(mapping(given, "code_config", at=".voucher")),
        "is_referral_code": False,
    }
    for name in ("start_date", "expiration_date"):
        if date := _date(given, name) or _date(body, name):
            template[name] = date
    if type_ == "DISCOUNT_VOUCHER":
        template["discount"] = _discount(mapping(given, "discount", at=".voucher"))
    else:
        card = mapping(given, "loyalty_card", at=".voucher")
        template["loyalty_card"] = {"points": integer(card, "points", at=".voucher.loyalty_card") or 0}
        if rules := expiry.read(card, ".voucher.loyalty_card"):
            template["loyalty_card"]["expiration_rules"] = rules
    return template, EMULATED[type_]


def _code_config(given: dict[str, Any]) -> dict[str, Any]:
    at = ".voucher.code_config"
    length = integer(given, "length", least=1, most=64, at=at) or 8
    pattern = text(given, "pattern", longest=128, at=at) or "#" * length
    charset = text(given, "charset", longest=256, at=at) or ALPHANUMERIC
    around = {name: text(given, name, longest=64, at=at) or "" for name in ("prefix", "postfix")}
    return {"length": pattern.count("#"), "charset": charset, "pattern": pattern, **around}


def _discount(given: dict[str, Any]) -> dict[str, Any]:
    at = ".voucher.discount"
    kind = one_of(given, "type", ("AMOUNT", "PERCENT", "UNIT", "FIXED"), at=at)
    effect = text(given, "effect", at=at) or "APPLY_TO_ORDER"
    if kind is None:
        raise invalid_payload(f"Property {at} should have required property 'type'")
    if kind not in {"AMOUNT", "PERCENT"} or effect != "APPLY_TO_ORDER":
        raise NotEmulated(f"A discount of type {kind} with effect {effect}")
    made: dict[str, Any] = {"type": kind, "effect": effect}
    if kind == "AMOUNT":
        made["amount_off"] = integer(given, "amount_off", at=at)
    else:
        made["percent_off"] = number(given, "percent_off", most=100, at=at)
        if limit := integer(given, "amount_limit", at=at):
            made["amount_limit"] = limit
    missing = next((name for name, value in made.items() if value is None), None)
    if missing:
        raise invalid_payload(f"Property {at} should have required property '{missing}'")
    return made


def _date(body: dict[str, Any], name: str) -> str | None:
    """As every time of the API, however it was written: a client that reads times compares them as text."""
    value = text(body, name)
    if value is None:
        return None
    try:
        return iso(parse_time(value))
    except (ValueError, OverflowError) as error:
        raise invalid_payload(f"Property .{name} cannot be recognized as a ISO-8601 compliant date") from error


async def listed(work: Work, request: AnyRequest, kind: str | None) -> dict[str, Any]:
    limit, offset = page(request)
    rows = await work.all(
        "SELECT *, (SELECT count(*) FROM voucher WHERE campaign_id = campaign.id) AS vouchers_count, "
        f"{ASSIGNMENTS} FROM campaign "
        "WHERE $1::text IS NULL OR campaign_type = $1 ORDER BY created_at DESC, id DESC LIMIT $2 OFFSET $3",
        kind,
        limit,
        offset,
    )
    total = await work.value("SELECT count(*) FROM campaign WHERE $1::text IS NULL OR campaign_type = $1", kind)
    return render.old_list("campaigns", [render.campaign(row) for row in rows], total)


@post("/campaigns", status_code=200)
async def create_campaign(request: AnyRequest, store: TheStore) -> dict[str, Any]:
    body = await read_object(request)
    async with store.work() as work:
        return await create(work, body)


@get("/campaigns")
async def list_campaigns(request: AnyRequest, store: TheStore) -> dict[str, Any]:
    if flag(request, "filters"):
        raise NotEmulated("Filtering campaigns by `filters`")
    async with store.work() as work:
        return await listed(work, request, argument(request, "campaign_type"))


@get("/campaigns/{reference:str}")
async def get_campaign(reference: FromPath[str], store: TheStore) -> dict[str, Any]:
    async with store.work() as work:
        return render.campaign(await found(work, reference))


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
        shown = render.campaign(await found(work, row["id"]))
        work.announce(
            work.event(f"campaign.{'enabled' if active else 'disabled'}", row["id"], "evcam"), {"campaign": shown}
        )
    return {}


router = Router("/", route_handlers=[create_campaign, list_campaigns, get_campaign, enable_campaign, disable_campaign])
