"""Loyalty programmes by the v1 addresses: programmes, members, earning rules, balances, transactions.

documented: most member addresses exist with and without the programme; a member is a card's code or id; rules are made
and answered as a list; a balance answer is the movement and what it led to. inferred: a removal may not take more than
there is; an adjustment's source is the caller's channel, or "API".
"""

from datetime import date
from typing import Any

import asyncpg
from litestar import Router, delete, get, post, put
from litestar.params import FromPath

from app.sandbox import (
    campaigns,
    customers,
    filter_fields,
    ledger,
    list_filters,
    lists,
    publishing,
    render,
    render_loyalty,
    vouchers,
)
from app.sandbox.calendar_days import NEVER
from app.sandbox.clock import parse_time
from app.sandbox.errors import Failure, invalid_payload, not_found
from app.sandbox.read import AnyRequest, argument, integer, mapping, one_of, page, read_object, text
from app.sandbox.store import TheStore
from app.sandbox.work import Work

LOYALTY = "LOYALTY_PROGRAM"


async def member(work: Work, reference: str, campaign: str | None = None) -> asyncpg.Record:
    """The card with this code or id, in this programme if one is named."""
    card = await vouchers.find(work, reference)
    if card is None or card["type"] != "LOYALTY_CARD" or campaign not in {None, card["campaign_id"], card["campaign"]}:
        raise not_found("voucher", reference)
    return card


@post("/loyalties", status_code=200)
async def create_program(request: AnyRequest, store: TheStore) -> dict[str, Any]:
    body = await read_object(request)
    async with store.work() as work:
        return await campaigns.create(work, body, LOYALTY)


@get("/loyalties")
async def list_programs(request: AnyRequest, store: TheStore) -> dict[str, Any]:
    async with store.work() as work:
        return await campaigns.listed(work, request, LOYALTY)


@get("/loyalties/{campaign:str}")
async def get_program(campaign: FromPath[str], store: TheStore) -> dict[str, Any]:
    async with store.work() as work:
        return render.campaign(await campaigns.found(work, campaign, LOYALTY))


@put("/loyalties/{campaign:str}")
async def update_program(campaign: FromPath[str], request: AnyRequest, store: TheStore) -> dict[str, Any]:
    body = await read_object(request)
    async with store.work() as work:
        row = await campaigns.found(work, campaign, LOYALTY)
        await work.run("SELECT 1 FROM campaign WHERE id = $1 FOR NO KEY UPDATE", row["id"])
        return await campaigns.change(work, await campaigns.found(work, row["id"], LOYALTY), body)


@delete("/loyalties/{campaign:str}", status_code=200)
async def delete_program(campaign: FromPath[str], store: TheStore) -> dict[str, Any]:
    async with store.work() as work:
        row = await campaigns.found(work, campaign, LOYALTY)
        await work.run("SELECT 1 FROM campaign WHERE id = $1 FOR UPDATE", row["id"])
        return await campaigns.remove(work, await campaigns.found(work, row["id"], LOYALTY))


@post("/loyalties/{campaign:str}/members", status_code=200)
async def add_member(campaign: FromPath[str], request: AnyRequest, store: TheStore) -> dict[str, Any]:
    body = await read_object(request)
    if not body.get("customer"):
        raise customers.missing()
    async with store.work() as work:
        row = await campaigns.found(work, campaign, LOYALTY)
        publishing.refuse_inactive(work, row)
        customer = await customers.upsert(work, body["customer"])
        if await publishing.held(work, row, customer) is not None:
            raise publishing.joined_already()
        await publishing.publish_card(
            work, row, customer, metadata=mapping(body, "metadata"), code=text(body, "voucher")
        )
        card = await publishing.held(work, row, customer)
        assert card is not None
        return render.voucher(card, work.config.url)


@get("/loyalties/{campaign:str}/members")
async def list_members(campaign: FromPath[str], request: AnyRequest, store: TheStore) -> dict[str, Any]:
    async with store.work() as work:
        row = await campaigns.found(work, campaign, LOYALTY)
        rows, total = await vouchers.listed(work, request, campaign=row["id"], kind="LOYALTY_CARD")
    return lists.numbered("vouchers", rows, total)


@get(["/loyalties/members/{reference:str}", "/loyalties/{campaign:str}/members/{reference:str}"])
async def get_member(reference: FromPath[str], request: AnyRequest, store: TheStore) -> dict[str, Any]:
    async with store.work() as work:
        return render.voucher(await member(work, reference, request.path_params.get("campaign")), work.config.url)


@post(
    ["/loyalties/members/{reference:str}/balance", "/loyalties/{campaign:str}/members/{reference:str}/balance"],
    status_code=200,
)
async def adjust_balance(reference: FromPath[str], request: AnyRequest, store: TheStore) -> dict[str, Any]:
    body = await read_object(request)
    async with store.work() as work:
        return await adjust(work, await member(work, reference, request.path_params.get("campaign")), body)


async def adjust(work: Work, card: asyncpg.Record, body: dict[str, Any]) -> dict[str, Any]:
    """Add points to a published card by hand, or take some off; answers the balance object."""
    points = integer(body, "points", least=-(2**31), most=2**31)
    if not points:
        raise Failure(400, "invalid_payload", "Invalid payload", "Property .points must be an integer other than 0")
    expires_at = _expires_at(work, body)
    if not card["holder_id"]:
        raise Failure(400, "invalid_voucher", "Invalid voucher", "Points can be added to a published card only.")
    holder = await customers.found(work, card["holder_id"], lock=True)
    card = await vouchers.found(work, card["code"], lock=True)
    if not card["active"] or not card["campaign_active"]:
        raise Failure(400, "loyalty_card_not_active", "Loyalty card is not active", card["code"])
    if render_loyalty.loyalty_card(card)["balance"] + points < 0:
        raise Failure(400, "loyalty_card_points_exceeded", "loyalty card points exceeded", card["code"])
    source_id, reason = text(body, "source_id"), text(body, "reason")
    movement = await ledger.move(
        work,
        card,
        points,
        "POINTS_ADDITION" if points > 0 else "POINTS_REMOVAL",
        source=work.call.channel or "API",
        source_id=source_id,
        reason=reason,
        expires_at=expires_at,
    )
    campaign = await campaigns.found(work, card["campaign_id"])
    shown_campaign = render.simple_campaign(campaign)
    work.announce(
        work.event("voucher.loyalty_card.points_added", card["id"], "evvou"),
        {
            "voucher": render.voucher(movement.card, work.config.url),
            "balance": movement.balance,
            "campaign": shown_campaign,
            "customer": render.simple_customer(holder),
            "transaction": movement.transaction,
        },
        lane=holder["id"],
    )
    work.announce(
        work.event("voucher.loyalty_card.transaction.created", card["id"], "evvou"),
        ledger.transaction_data(work, movement, shown_campaign, holder),
        lane=holder["id"],
    )
    return movement.balance


def _expires_at(work: Work, body: dict[str, Any]) -> date | None:
    """The last day of points that are added by hand; None: by the rules of the programme."""
    kind = one_of(body, "expiration_type", ("PROGRAM_RULES", "CUSTOM_DATE", "NON_EXPIRING"))
    given = text(body, "expiration_date")
    try:
        day = parse_time(given).date() if given is not None else None
    except ValueError as error:
        raise invalid_payload("Property .expiration_date cannot be recognized as a ISO-8601 compliant date") from error
    if kind != "CUSTOM_DATE":
        return NEVER if kind == "NON_EXPIRING" else None
    if day is None:
        raise invalid_payload("Payload should have required property 'expiration_date'")
    if day < ledger.today(work):
        raise Failure(400, "invalid_expiration_date", "Invalid expiration date", "Expiration date is in the past")
    return day


@get(
    [
        "/loyalties/members/{reference:str}/transactions",
        "/loyalties/{campaign:str}/members/{reference:str}/transactions",
    ]
)
async def list_transactions(reference: FromPath[str], request: AnyRequest, store: TheStore) -> dict[str, Any]:
    limit, offset = page(request)
    after = argument(request, "starting_after_id")
    wanted = list_filters.read(request, filter_fields.MEMBER_TRANSACTIONS)
    async with store.work() as work:
        card = await member(work, reference, request.path_params.get("campaign"))
        fits, values = list_filters.compiled(wanted, filter_fields.MEMBER_TRANSACTIONS, work.now, after=4)
        rows = await work.all(
            "SELECT * FROM point_transaction WHERE voucher_id = $1 "  # noqa: S608 - of our own fields
            "AND ($2::text IS NULL OR seq < (SELECT seq FROM point_transaction WHERE id = $2)) "
            f"AND ({fits}) ORDER BY seq DESC LIMIT $3 OFFSET $4",
            card["id"],
            after,
            limit + 1,
            offset,
            *values,
        )
    return lists.by_cursor([render.transaction(row) for row in rows], limit)


router = Router(
    "/",
    route_handlers=[
        create_program,
        list_programs,
        get_program,
        update_program,
        delete_program,
        add_member,
        list_members,
        get_member,
        adjust_balance,
        list_transactions,
    ],
)
