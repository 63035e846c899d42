"""Vouchers: discount codes, gift cards and loyalty cards, members of a campaign or standing alone.

documented: the objects, lookup by code or id, filters, enable and disable answer with the full voucher. inferred: a
voucher of a disabled campaign shows as not active; a list without `order` starts with the newest.
"""

# ruff: noqa: S608 - what is put together here are constants and columns of an allow-list; values are parameters

from typing import Any

import asyncpg
from litestar import Router, get, post
from litestar.params import FromPath

from app.sandbox import category_links, filter_fields, list_filters, lists, render
from app.sandbox.errors import not_found
from app.sandbox.fidelity import documented
from app.sandbox.read import AnyRequest, argument, between, order, page
from app.sandbox.store import Store, TheStore
from app.sandbox.validation_rule_assignments import listed_for
from app.sandbox.work import Work

CARD_SUMS = """
  v.initial_points + coalesce(sum(t.points) FILTER (WHERE t.type IN
    ('POINTS_ACCRUAL', 'POINTS_ADDITION', 'POINTS_TRANSFER_IN', 'PENDING_POINTS_ACTIVATION')), 0)::bigint AS lifetime,
  -coalesce(sum(t.points) FILTER (WHERE t.type IN ('POINTS_REMOVAL', 'POINTS_TRANSFER_OUT')), 0)::bigint AS subtracted,
  -coalesce(sum(t.points) FILTER (WHERE t.type IN ('POINTS_REDEMPTION', 'POINTS_REFUND')), 0)::bigint AS redeemed,
  -coalesce(sum(t.points) FILTER (WHERE t.type = 'POINTS_EXPIRATION'), 0)::bigint AS expired
"""
"""A card's sums from its ledger `t`: what it ever got, what was taken off it, what was spent, what expired."""
CREDIT_SUMS = """
  coalesce(sum(g.amount) FILTER (WHERE g.type = 'CREDITS_ADDITION'), 0)::bigint AS credits_added,
  -coalesce(sum(g.amount) FILTER (WHERE g.type = 'CREDITS_REMOVAL'), 0)::bigint AS credits_removed,
  -coalesce(sum(g.amount) FILTER (WHERE g.type IN ('CREDITS_REDEMPTION', 'CREDITS_REFUND')), 0)::bigint
    AS credits_redeemed
"""
"""The same of a gift card from its ledger `g`: what came in after its initial credits, was taken off, was spent."""
SELECT = f"""
  SELECT v.*, c.name AS campaign, c.campaign_type, coalesce(c.active, true) AS campaign_active,
    s.lifetime, s.subtracted, s.redeemed, s.expired, credit.*,
    c.doc #> '{{voucher,loyalty_card,expiration_rules}}' AS expiration_rules,
    n.expires_at AS next_expiration_date, n.points AS next_expiration_points,
    (SELECT sum(points) FROM pending_points p WHERE p.voucher_id = v.id AND state = 'PENDING')::bigint
      AS pending_points,
    EXISTS (SELECT 1 FROM loyalty_tier l WHERE l.campaign_id = v.campaign_id) AS tiered,
    EXISTS (SELECT 1 FROM reward_assignment w WHERE w.campaign_id = v.campaign_id AND w.auto_redeem) AS auto_redeems,
    {listed_for("voucher", "v.id")},
    {category_links.of("v.doc ->> 'category_id'", "c.doc ->> 'category_id'")}
  FROM voucher v LEFT JOIN campaign c ON c.id = v.campaign_id
  CROSS JOIN LATERAL (
    SELECT {CARD_SUMS} FROM point_transaction t WHERE t.voucher_id = v.id
  ) s
  CROSS JOIN LATERAL (
    SELECT {CREDIT_SUMS} FROM credit_transaction g WHERE g.voucher_id = v.id AND v.type = 'GIFT_VOUCHER'
  ) credit
  LEFT JOIN LATERAL (
    SELECT b.expires_at, b.points FROM point_bucket b
    WHERE b.voucher_id = v.id AND b.points > 0 AND b.expires_at < 'infinity' ORDER BY b.expires_at LIMIT 1
  ) n ON true
"""


async def find(work: Work, reference: str, *, lock: bool = False) -> asyncpg.Record | None:
    """The voucher with this code or id, with its campaign's name and its sums."""
    if lock:
        await work.run("SELECT 1 FROM voucher WHERE code = $1 OR id = $1 FOR UPDATE", reference)
    return await work.one(f"{SELECT} WHERE v.code = $1 OR v.id = $1 ORDER BY (v.code = $1) DESC LIMIT 1", reference)


async def found(work: Work, reference: str, *, lock: bool = False) -> asyncpg.Record:
    row = await find(work, reference, lock=lock)
    if row is None:
        raise not_found("voucher", reference)
    return row


async def listed(
    work: Work, request: AnyRequest, *, campaign: str | None, kind: str | None = None
) -> tuple[list[dict[str, Any]], int]:
    """Vouchers by the filters of the request, and how many there are in all."""
    limit, offset = page(request, 99)
    sorting = order(
        request, {"created_at": "v.created_at", "updated_at": "v.updated_at", "code": "v.code"}, "-created_at"
    ).replace(", id", ", v.id")
    where = """
      ($1::text IS NULL OR c.id = $1 OR c.name = $1)
      AND ($2::text IS NULL OR v.holder_id = (
        SELECT id FROM customer WHERE id = $2 OR source_id = $2 ORDER BY (id = $2) DESC LIMIT 1))
      AND ($3::text IS NULL OR v.code = $3) AND ($4::text IS NULL OR v.type = $4)
      AND ($5::text[] IS NULL OR v.id = ANY($5)) AND ($6::text IS NULL OR v.doc ->> 'category' = $6)
      AND ($7::timestamptz IS NULL OR v.created_at > $7) AND ($8::timestamptz IS NULL OR v.created_at < $8)
      AND ($9::timestamptz IS NULL OR v.updated_at > $9) AND ($10::timestamptz IS NULL OR v.updated_at < $10)
    """
    conditions: tuple[Any, ...] = (
        campaign,
        argument(request, "customer"),
        argument(request, "code"),
        kind,
        _ids(request),
        argument(request, "category"),
        *between(request, "created_at"),
        *between(request, "updated_at"),
    )
    wanted = list_filters.read(request, filter_fields.VOUCHERS)
    fits, values = list_filters.compiled(wanted, filter_fields.VOUCHERS, work.now, after=len(conditions))
    where, conditions = f"{where} AND ({fits})", (*conditions, *values)
    rows = await work.all(
        f"{SELECT} WHERE {where} ORDER BY {sorting} LIMIT {limit} OFFSET {offset}",
        *conditions,
    )
    total = await work.value(
        f"SELECT count(*) FROM voucher v LEFT JOIN campaign c ON c.id = v.campaign_id WHERE {where}", *conditions
    )
    return [render.voucher(row, work.config.url) for row in rows], total


def _ids(request: AnyRequest) -> list[str] | None:
    """`ids` in the forms that clients send: repeated, with brackets, or once with commas."""
    given = [
        part
        for name, value in request.query_params.multi_items()
        if name.partition("[")[0] == "ids"
        for part in str(value).split(",")
        if part and "\x00" not in part
    ]
    return given or None


@get("/vouchers")
async def list_vouchers(request: AnyRequest, store: TheStore) -> dict[str, Any]:
    campaign = argument(request, "campaign_id") or argument(request, "campaign")
    async with store.work() as work:
        rows, total = await listed(work, request, campaign=campaign)
    return lists.numbered("vouchers", rows, total)


@get("/vouchers/{reference:str}")
async def get_voucher(reference: FromPath[str], store: TheStore) -> dict[str, Any]:
    async with store.work() as work:
        return render.voucher(await found(work, reference), work.config.url)


@post("/vouchers/{reference:str}/enable", status_code=200)
async def enable_voucher(reference: FromPath[str], store: TheStore) -> dict[str, Any]:
    return await _switch(store, reference, active=True)


@post("/vouchers/{reference:str}/disable", status_code=200)
async def disable_voucher(reference: FromPath[str], store: TheStore) -> dict[str, Any]:
    return await _switch(store, reference, active=False)


async def _switch(store: Store, reference: str, *, active: bool) -> dict[str, Any]:
    async with store.work() as work:
        row = await found(work, reference, lock=True)
        await work.run("UPDATE voucher SET active = $2, updated_at = $3 WHERE id = $1", row["id"], active, work.now)
        shown = render.voucher(await found(work, row["code"]), work.config.url)
        event = work.event(f"voucher.{'enabled' if active else 'disabled'}", row["id"], "evvou")
        work.announce(event, {"voucher": shown}, lane=row["holder_id"] or row["id"])
        return shown


router = Router("/", route_handlers=[list_vouchers, get_voucher, enable_voucher, disable_voucher])

FIDELITY = (documented("the list of vouchers by campaign, holder, code, ids, category and times"),)
