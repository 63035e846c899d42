"""Pending points: what an order earned, and what can be used only some days later.

documented: the object, a rule's `pending_points` for paid orders, the calls to list, activate, change and cancel them,
the errors; they are in no balance; they become active at midnight of `activates_at`, and their time to expire begins
then. inferred: `activates_at` is the day of earning and `period_value` days; those that are active or canceled are not
listed; activated by hand has no source, by the night `Automation`.
"""

# ruff: noqa: S608 - what is put together here are constants; values are parameters

from typing import Any

import asyncpg
from litestar import Router, get, post
from litestar.params import FromPath

from app.sandbox import campaigns, customers, ledger, lists, render, render_loyalty, vouchers
from app.sandbox.errors import Failure, invalid_payload, not_found
from app.sandbox.fidelity import documented, inferred
from app.sandbox.ids import new_id
from app.sandbox.loyalties import LOYALTY, member
from app.sandbox.point_buckets import tell
from app.sandbox.read import AnyRequest, argument, integer, order, page, read_object
from app.sandbox.store import TheStore
from app.sandbox.work import Work


async def add(
    work: Work,
    card: render.Row,
    campaign: asyncpg.Record,
    customer: asyncpg.Record,
    order_row: asyncpg.Record,
    rule: asyncpg.Record,
    points: int,
    details: dict[str, Any],
) -> render.Row:
    """Put points on a card that are pending; answers the card after it. The caller holds the holder's lock."""
    row = await work.one(
        "INSERT INTO pending_points (id, voucher_id, campaign_id, customer_id, order_id, earning_rule_id, points, "
        "activates_at, details, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8::date + $9::int, $10, $11) "
        "RETURNING *",
        new_id("lopp"),
        card["id"],
        campaign["id"],
        customer["id"],
        order_row["id"],
        rule["id"],
        points,
        ledger.today(work),
        rule["doc"]["pending_points"]["period_value"],
        details,
        work.now,
    )
    assert row is not None
    after = {**card, "pending_points": (card["pending_points"] or 0) + points}
    balance = _balance(after, points, "AUTOMATIC")
    _tell(work, "added", after, row, campaign, customer, order_row, voucher_pending_points_balance=balance)
    return after


def _balance(card: render.Row, points: int, operation: str) -> dict[str, Any]:
    return {
        "points": points,
        "total": card["pending_points"],
        "object": "balance",
        "related_object": {"type": "voucher", "id": card["id"]},
        "operation_type": operation,
    }


def _tell(
    work: Work,
    what: str,
    card: render.Row,
    row: render.Row,
    campaign: asyncpg.Record,
    customer: render.Row | None,
    order_row: render.Row | None,
    **balance: Any,
) -> None:
    tell(
        work,
        f"voucher.loyalty_card.pending_points.{what}",
        card,
        {
            "voucher": render.voucher(card, work.config.url),
            "campaign": render.simple_campaign(campaign),
            "customer": render.simple_customer(customer),
            "order": render.order(order_row) if order_row is not None else None,
            "pending_points": render_loyalty.pending_points(row),
            **balance,
        },
    )


async def activate(
    work: Work,
    card: render.Row,
    row: render.Row,
    campaign: asyncpg.Record,
    holder: render.Row | None,
    *,
    by_hand: bool,
) -> ledger.Movement:
    """Make pending points usable. Their time to expire begins now, by their rule or by the programme's."""
    changed = await work.one(
        "UPDATE pending_points SET state = 'ACTIVATED', updated_at = $2 WHERE id = $1 RETURNING *", row["id"], work.now
    )
    assert changed is not None
    rule = await work.one("SELECT * FROM earning_rule WHERE id = $1", row["earning_rule_id"])
    order_row = await work.one("SELECT * FROM customer_order WHERE id = $1", row["order_id"])
    shown = render_loyalty.pending_points(row)
    details = {
        name: {"id": value["id"], "type": value["type"]} if name == "event" else value
        for name, value in row["details"].items()
    }
    movement = await ledger.move(
        work,
        {**card, "pending_points": (card["pending_points"] or 0) - row["points"]},
        row["points"],
        "PENDING_POINTS_ACTIVATION",
        details={**details, "pending_points": shown},
        source=None if by_hand else "Automation",
        operation="MANUAL" if by_hand else "AUTOMATIC",
        expires_at=ledger.by_rule(work, rule["doc"]) if rule is not None else None,
    )
    _tell(
        work,
        "activated",
        movement.card,
        row,
        campaign,
        holder,
        order_row,
        balance=movement.balance,
        transaction=movement.transaction,
    )
    work.announce(
        work.event("voucher.loyalty_card.transaction.created", card["id"], "evvou"),
        ledger.transaction_data(
            work,
            movement,
            render.simple_campaign(campaign),
            holder,
            order=render.order(order_row) if order_row is not None else None,
        ),
        lane=card["holder_id"] or card["id"],
    )
    return movement


async def _locked(work: Work, member_id: str, identifier: str, what: str) -> tuple[render.Row, asyncpg.Record]:
    """A card and pending points on it that can still be changed; the holder is locked.

    Raises:
        Failure: there are no such points on this card, or they are active or canceled.
    """
    card: render.Row = await member(work, member_id)
    if card["holder_id"]:
        await customers.found(work, card["holder_id"], lock=True)
    card = await vouchers.found(work, card["code"], lock=True)
    row = await work.one("SELECT * FROM pending_points WHERE id = $1 AND voucher_id = $2", identifier, card["id"])
    if row is None:
        raise not_found("pending_points", identifier)
    if row["state"] != "PENDING":
        raise Failure(
            400,
            "invalid_pending_points_state",
            "Invalid pending points state",
            f"Only pending points in 'PENDING' status can be {what}. Current status: '{row['state']}'.",
        )
    return card, row


async def _related(work: Work, row: render.Row) -> tuple[asyncpg.Record, asyncpg.Record | None, asyncpg.Record | None]:
    """The programme, the customer and the order of pending points."""
    campaign = await campaigns.found(work, row["campaign_id"])
    customer = await customers.find(work, row["customer_id"]) if row["customer_id"] else None
    return campaign, customer, await work.one("SELECT * FROM customer_order WHERE id = $1", row["order_id"])


_ONE = "/loyalties/members/{reference:str}/pending-points/{identifier:str}"


@post(f"{_ONE}/activate", status_code=200)
async def activate_points(reference: FromPath[str], identifier: FromPath[str], store: TheStore) -> dict[str, Any]:
    async with store.work() as work:
        card, row = await _locked(work, reference, identifier, "activated")
        campaign, customer, _ = await _related(work, row)
        return (await activate(work, card, row, campaign, customer, by_hand=True)).balance


@post(f"{_ONE}/balance", status_code=200)
async def adjust_points(
    reference: FromPath[str], identifier: FromPath[str], request: AnyRequest, store: TheStore
) -> dict[str, Any]:
    body = await read_object(request)
    points = integer(body, "points", least=-(2**31), most=2**31)
    if not points:
        raise invalid_payload("Property .points must be an integer other than 0")
    async with store.work() as work:
        card, row = await _locked(work, reference, identifier, "updated")
        if row["points"] + points <= 0:
            raise Failure(400, "invalid_amount", "Invalid Amount", "Amount has to be a valid positive number")
        changed = await work.one(
            "UPDATE pending_points SET points = points + $2, updated_at = $3 WHERE id = $1 RETURNING *",
            identifier,
            points,
            work.now,
        )
        return await _changed(work, "updated", card, changed, points)


@post(f"{_ONE}/cancel", status_code=204)
async def cancel_points(reference: FromPath[str], identifier: FromPath[str], store: TheStore) -> None:
    async with store.work() as work:
        card, row = await _locked(work, reference, identifier, "canceled")
        await work.run(
            "UPDATE pending_points SET state = 'CANCELED', updated_at = $2 WHERE id = $1", identifier, work.now
        )
        await _changed(work, "canceled", card, row, -row["points"])


async def _changed(work: Work, what: str, card: render.Row, row: asyncpg.Record | None, points: int) -> dict[str, Any]:
    assert row is not None
    after = {**card, "pending_points": (card["pending_points"] or 0) + points}
    balance = _balance(after, points, "MANUAL")
    campaign, customer, order_row = await _related(work, row)
    _tell(work, what, after, row, campaign, customer, order_row, voucher_pending_points_balance=balance)
    return balance


@get(
    [
        "/loyalties/members/{reference:str}/pending-points",
        "/loyalties/{campaign:str}/members/{reference:str}/pending-points",
    ]
)
async def list_of_member(reference: FromPath[str], request: AnyRequest, store: TheStore) -> dict[str, Any]:
    async with store.work() as work:
        card = await member(work, reference, request.path_params.get("campaign"))
        return await _listed(work, request, "voucher_id", card["id"])


@get("/loyalties/{campaign:str}/pending-points")
async def list_of_campaign(campaign: FromPath[str], request: AnyRequest, store: TheStore) -> dict[str, Any]:
    async with store.work() as work:
        row = await campaigns.found(work, campaign, LOYALTY)
        return await _listed(work, request, "campaign_id", row["id"])


async def _listed(work: Work, request: AnyRequest, column: str, identifier: str) -> dict[str, Any]:
    limit, _ = page(request)
    sorting = order(request, {"id": "seq", "created_at": "seq", "activates_at": "activates_at"}, "-created_at")
    key = sorting.split()[0]
    newest_first = " DESC" in sorting
    direction, beyond = ("DESC", "<") if newest_first else ("ASC", ">")
    rows = await work.all(
        f"SELECT * FROM pending_points WHERE {column} = $1 AND state = 'PENDING' "
        f"AND ($2::text IS NULL OR ({key}, seq) {beyond} (SELECT {key}, seq FROM pending_points WHERE id = $2)) "
        f"ORDER BY {key} {direction}, seq {direction} LIMIT $3",
        identifier,
        argument(request, "starting_after_id"),
        limit + 1,
    )
    return lists.by_cursor([render_loyalty.pending_points(row) for row in rows], limit)


router = Router("/", route_handlers=[activate_points, adjust_points, cancel_points, list_of_member, list_of_campaign])

FIDELITY = (
    documented(
        "**Pending points** of a rule for paid orders, 1 to 90 days: listed for a card and a programme, "
        "activated, changed, canceled, active by themselves at midnight of `activates_at`; in no balance "
        "before; their time to expire begins then; the four webhooks and triggers"
    ),
    inferred(
        "`activates_at` is the day of earning and the days of the rule; the night's activation has the "
        "source `Automation`, one by hand none"
    ),
)
