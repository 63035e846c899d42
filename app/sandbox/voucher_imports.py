"""Vouchers out of lists and CSV files, of a campaign or standing alone.

documented: the fields and headers, `invalid_voucher` without a code, `duplicate_key` for codes that there are, the
fields that are passed over; what a campaign says counts for its codes; in a file, a code that stands alone is changed
when it is there already, of a campaign's code only `active` and `category`; `webhooks_enable`; 202, but 200 for a file
of a campaign's codes. inferred: a list is taken whole or not at all; `Value` is in the unit of the API; a code twice
in one file is refused the second time; without `webhooks_enable` nothing is told.
"""

from dataclasses import dataclass, field
from typing import Any

import asyncpg
from litestar import Router, post
from litestar.params import FromPath

from app.sandbox import (
    async_actions,
    campaign_codes,
    campaigns,
    category_links,
    csv_files,
    effects,
    gifts,
    render,
    validity,
    voucher_edits,
    vouchers,
)
from app.sandbox.csv_files import Line, Report
from app.sandbox.errors import Failure, NotEmulated, duplicate, invalid_payload
from app.sandbox.fidelity import documented
from app.sandbox.ids import new_id
from app.sandbox.read import AnyRequest, integer, mapping, one_of, read_list, text
from app.sandbox.store import TheStore
from app.sandbox.work import Work

_HEADERS = {
    name: name
    for name in (
        *("code", "voucher_type", "value", "discount_type", "category", "start_date", "expiration_date", "active"),
        *("redemption_limit", "redeemed_quantity", "redeemed_amount", "additional_info"),
    )
}
_OF_CAMPAIGN = {
    name: name
    for name in (
        *("code", "category", "active", "loyalty_points", "gift_amount", "redeemed_amount", "redeemed_quantity"),
    )
}
_VALUES = {"AMOUNT": "amount_off", "PERCENT": "percent_off", "FIXED": "fixed_amount"}


@dataclass
class _New:
    """A voucher to be made."""

    code: str
    type: str
    doc: dict[str, Any]
    active: bool = True
    quantity: int | None = None
    redeemed: int = 0
    points: int = 0
    credits: int = 0
    id: str = field(default_factory=lambda: new_id("v"))


def _refuse_codeless(items: list[dict[str, Any]]) -> None:
    without = sum(not isinstance(item.get("code"), str) or not item["code"].strip() for item in items)
    if without:
        details = f"Found {without} voucher(s) without 'code' value"
        raise Failure(400, "invalid_voucher", "Invalid Voucher", details)
    if len(items) > csv_files.MOST_LINES:
        raise invalid_payload(f"Payload must NOT have more than {csv_files.MOST_LINES} items")


def _taken(count: int) -> Failure:
    return Failure(400, "duplicate_key", "Duplicate codes", f"{count} voucher codes(s) already exist.")


def _checked(made: _New) -> _New:
    if made.quantity is not None and made.redeemed > made.quantity:
        raise invalid_payload("Redeemed Quantity must NOT be more than what can be redeemed")
    voucher_edits.refuse_code(made.code)
    validity.check(made.doc)
    made.doc = {name: value for name, value in made.doc.items() if value is not None}
    return made


def _alone(body: dict[str, Any], redeemed: int = 0) -> _New:
    """A voucher without a campaign, of an item of the list; what is not imported is passed over."""
    kind = one_of(body, "type", ("DISCOUNT_VOUCHER", "GIFT_VOUCHER", "LOYALTY_CARD"))
    kind = kind or ("GIFT_VOUCHER" if body.get("gift") else "DISCOUNT_VOUCHER")
    if kind == "LOYALTY_CARD":
        raise Failure(400, "invalid_voucher", "Invalid Voucher", "A loyalty card needs a campaign")
    changes = _changes(body)
    made = _New(body["code"], kind, {}, changes.pop("active", True), changes.pop("quantity", None), redeemed)
    made.doc = {"metadata": {}, **changes}
    if kind == "DISCOUNT_VOUCHER":
        made.doc["discount"] = effects.read(mapping(body, "discount"), ".discount")
    else:
        gift = gifts.read(mapping(body, "gift"), ".gift")
        made.credits, made.doc["gift_effect"] = gift["amount"], gift["effect"]
    return _checked(made)


def _of_campaign(campaign: asyncpg.Record, body: dict[str, Any], redeemed: int = 0) -> _New:
    """A voucher of a campaign, of which it has all but a few things."""
    template = campaign["doc"]["voucher"]
    names = ("code", "category", "active", "metadata", "additional_info", "redemption")
    changes = _changes({name: body[name] for name in names if name in body})
    quantity = changes.pop("quantity", template["redemption"]["quantity"])
    made = _New(body["code"], template["type"], {}, changes.pop("active", True), quantity, redeemed)
    inherited = campaign_codes.inherited(campaign)
    made.doc = {**inherited, **changes, "metadata": {**inherited["metadata"], **changes.get("metadata", {})}}
    made.points = (template.get("loyalty_card") or {}).get("points") or 0
    made.credits = (template.get("gift") or {}).get("amount") or 0
    if template["type"] == "LOYALTY_CARD":
        given = integer(mapping(body, "loyalty_card"), "points", at=".loyalty_card")
        made.points = made.points if given is None else given
    elif template["type"] == "GIFT_VOUCHER":
        given = integer(mapping(body, "gift"), "amount", at=".gift")
        made.credits = made.credits if given is None else given
    return _checked(made)


def _changes(body: dict[str, Any]) -> dict[str, Any]:
    changes = voucher_edits.changes({name: value for name, value in body.items() if name != "validation_rules"})
    metadata = {name: value for name, value in changes.get("metadata", {}).items() if value is not None}
    category = {"category": text(body, "category")} if "category" in body else {}
    return {**changes, **category, **({"metadata": metadata} if "metadata" in changes else {})}


async def _insert(work: Work, new: list[_New], campaign: asyncpg.Record | None) -> set[str]:
    """Make vouchers; answers the codes of those that are made: the others are there already."""
    new = sorted(new, key=lambda each: each.code)  # in one order, so that two imports do not wait for each other
    categories = await category_links.by_name(work, {name for each in new if (name := each.doc.get("category"))})
    for each in new:
        if identifier := categories.get(each.doc.get("category", "")):
            each.doc["category_id"] = identifier
    rows = await work.all(
        "INSERT INTO voucher (id, code, type, active, doc, quantity, redeemed_quantity, initial_points, "
        "initial_credits, campaign_id, created_at) SELECT new.*, $10, $11 FROM unnest($1::text[], $2::text[], "
        "$3::text[], $4::boolean[], $5::jsonb[], $6::integer[], $7::integer[], $8::bigint[], $9::bigint[]) AS new "
        "ON CONFLICT (code) DO NOTHING RETURNING code",
        *([getattr(each, name) for each in new] for name in ("id", "code", "type", "active", "doc")),
        *([getattr(each, name) for each in new] for name in ("quantity", "redeemed", "points", "credits")),
        campaign["id"] if campaign is not None else None,
        work.now,
    )
    return {row["code"] for row in rows}


async def _import_list(work: Work, items: list[dict[str, Any]], campaign: asyncpg.Record | None) -> dict[str, Any]:
    _refuse_codeless(items)
    codes = [item["code"] for item in items]
    there = await work.value("SELECT count(*) FROM voucher WHERE code = ANY($1)", codes)
    if taken := there + len(codes) - len(set(codes)):
        raise _taken(taken)
    new = [_alone(item) if campaign is None else _of_campaign(campaign, item) for item in items]
    made = await _insert(work, new, campaign)
    if len(made) < len(new):  # somebody else was faster
        raise _taken(len(new) - len(made))
    kind = "VOUCHERS.IMPORT" if campaign is None else "CAMPAIGN.VOUCHERS_IMPORT"
    message = f"{len(made)} voucher(s) imported successfully, 0 failed."
    return {"async_action_id": await async_actions.done(work, kind, len(made), message, failed_count=0)}


@post("/vouchers/import", status_code=202)
async def import_vouchers(request: AnyRequest, store: TheStore) -> dict[str, Any]:
    items = await read_list(request)
    async with store.work() as work:
        return await _import_list(work, items, None)


@post("/campaigns/{reference:str}/import", status_code=202)
async def import_to_campaign(reference: FromPath[str], request: AnyRequest, store: TheStore) -> dict[str, Any]:
    items = await read_list(request)
    async with store.work() as work:
        campaign = await campaigns.found(work, reference)
        voucher_edits.refuse_codeless(campaign)
        return await _import_list(work, items, campaign)


@post("/vouchers/importCSV", status_code=202)
async def import_vouchers_by_file(request: AnyRequest, store: TheStore) -> dict[str, Any]:
    lines, form = await csv_files.read(request)
    tell = form.get("webhooks_enable", "").lower() == "true"
    async with store.work() as work:
        report = await _import_lines(work, lines, None, tell=tell)
        return await report.finish(work, "VOUCHERS.IMPORT_CSV")


@post("/campaigns/{reference:str}/importCSV", status_code=200)
async def import_file_to_campaign(reference: FromPath[str], request: AnyRequest, store: TheStore) -> dict[str, Any]:
    lines, _ = await csv_files.read(request)
    async with store.work() as work:
        campaign = await campaigns.found(work, reference)
        voucher_edits.refuse_codeless(campaign)
        report = await _import_lines(work, lines, campaign, tell=False)
        return await report.finish(work, "CAMPAIGN.VOUCHERS_IMPORT_CSV")


async def _import_lines(work: Work, lines: list[Line], campaign: asyncpg.Record | None, *, tell: bool) -> Report:
    """Make the vouchers that are not there, and change the others."""
    report, defined = Report("voucher"), await csv_files.schema(work, "voucher")
    read = [(line, *line.fields(_HEADERS if campaign is None else _OF_CAMPAIGN)) for line in lines]
    there = await _locked(work, [fields["code"] for _, fields, _ in read if "code" in fields])
    new: dict[str, tuple[Line, _New]] = {}
    changed: set[str] = set()
    for line, fields, others in read:
        code = fields.get("code")
        try:
            if code is None:
                raise invalid_payload("Code is required")
            if code in new or code in changed:
                raise invalid_payload(f"Code {code[:50]} is in the file twice")
            body = {**_body(fields, campaign), "metadata": csv_files.typed(others, defined)}
            if code in there:
                changed.add(code)
                await _change(work, there[code], body, campaign, tell=tell)
                report.done += 1
            else:
                redeemed = _count(fields, "redeemed_quantity") or 0
                new[code] = line, _alone(body, redeemed) if campaign is None else _of_campaign(campaign, body, redeemed)
        except Failure as failure:
            report.fail(line, failure, code=code)
    made = await _insert(work, [each for _, each in new.values()], campaign)
    report.done += len(made)
    for code, (line, _) in new.items():
        if code not in made:  # somebody else was faster
            report.fail(line, duplicate("voucher", code), code=code)
        elif tell:
            await _told(work, code)
    return report


async def _told(work: Work, code: str) -> None:
    row = await vouchers.found(work, code)
    event = work.event("voucher.created", row["id"], "evvou")
    work.announce(event, {"voucher": render.voucher(row, work.config.url), "campaign": None})


async def _locked(work: Work, codes: list[str]) -> dict[str, asyncpg.Record]:
    """The vouchers with these codes under their holders' locks and their own, in one order."""
    return {row["code"]: row for row in await voucher_edits.lock_all(work, codes)}


async def _change(
    work: Work, row: asyncpg.Record, body: dict[str, Any], campaign: asyncpg.Record | None, *, tell: bool
) -> None:
    """What a line changes of a voucher that is there: of a campaign's only whether it is active, and its category."""
    own = campaign["id"] if campaign is not None else None
    if row["campaign_id"] != own:
        raise duplicate("voucher", row["code"])
    if campaign is not None:
        body = {name: body[name] for name in ("active", "category") if name in body}
    elif body.get("type", row["type"]) != row["type"]:
        raise Failure(400, "invalid_voucher", "Invalid Voucher", "It is not possible to change Voucher type")
    await voucher_edits.change(work, await vouchers.found(work, row["id"]), body, tell=tell)


def _body(fields: dict[str, str], campaign: asyncpg.Record | None) -> dict[str, Any]:
    """A line as an item of the list says it."""
    body: dict[str, Any] = {name: fields[name] for name in ("code", "category", "additional_info") if name in fields}
    body |= {name: fields[name] for name in ("start_date", "expiration_date") if name in fields}
    if "active" in fields:
        body["active"] = csv_files.truth(fields["active"], "Active")
    if _count(fields, "redeemed_amount"):
        raise NotEmulated("Importing gift cards with a Redeemed Amount")
    if (limit := _count(fields, "redemption_limit")) is not None:
        body["redemption"] = {"quantity": limit}
    if campaign is not None:
        for header, name, inside in (("loyalty_points", "loyalty_card", "points"), ("gift_amount", "gift", "amount")):
            if header in fields:
                body[name] = {inside: _count(fields, header)}
        return body
    if "voucher_type" in fields:
        body["type"] = fields["voucher_type"]
    value = csv_files.number(fields["value"], "Value") if "value" in fields else None
    if "discount_type" in fields:
        kind = fields["discount_type"]
        if kind == "UNIT":
            raise NotEmulated("Importing free units by a file")
        if kind not in _VALUES:
            raise invalid_payload(f"Discount Type must be AMOUNT, PERCENT, FIXED or UNIT, not '{kind[:50]}'")
        body["discount"] = {"type": kind, _VALUES[kind]: value}
    elif value is not None and fields.get("voucher_type") == "GIFT_VOUCHER":
        body["gift"] = {"amount": value}
    return body


def _count(fields: dict[str, str], name: str) -> int | None:
    if name not in fields:
        return None
    value = csv_files.number(fields[name], name)
    return integer({name: value}, name, most=2**31 - 1)


router = Router(
    "/", route_handlers=[import_vouchers, import_to_campaign, import_vouchers_by_file, import_file_to_campaign]
)

FIDELITY = (
    documented(
        "**Imports** of vouchers, by a list (`import`) or a CSV file (`importCSV`), standing alone or of a campaign: "
        "what is taken and passed over, `invalid_voucher`, `duplicate_key`, what changes of codes that there are, "
        "`webhooks_enable`",
        "a list is taken whole or not at all, and a file in one transaction: inferred",
    ),
)
