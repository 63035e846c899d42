"""Redemptions of discount codes, gift cards and promotion tiers.

documented: the objects, PAID as the default status of the order, parents and children of a stack, the customer is
upserted, `amount` is what came off a gift card, a session's key frees what it locked. inferred: the status sent with
the order is honoured (switch `ignore_redemption_order_status` shows the other answer); a failure answers with the
first failing key and leaves an `rf_` redemption.
"""

# ruff: noqa: S608 - what is put together here are constants and columns of an allow-list; values are parameters

from dataclasses import replace
from typing import Any

import asyncpg
from litestar import Router, get, post
from litestar.params import FromPath

from app.sandbox import (
    discounts,
    filter_fields,
    list_filters,
    lists,
    order_items,
    orders,
    purchases,
    redeemables,
    redemption_records,
    referral_programs,
    referrals,
    render,
    sessions,
    validations,
)
from app.sandbox.clock import iso
from app.sandbox.errors import Failure, not_found
from app.sandbox.fidelity import documented, inferred
from app.sandbox.ids import new_id
from app.sandbox.read import AnyRequest, argument, between, mapping, order, page, read_object
from app.sandbox.redeemables import Outcome
from app.sandbox.store import TheStore
from app.sandbox.work import Work


async def redeem(work: Work, body: dict[str, Any]) -> dict[str, Any] | Failure:
    """Redeem all codes of a request or none. A failure is answered, not raised: its record must be committed."""
    wanted_redeemables, session = redeemables.read(body, work.stacking), sessions.read(body)
    given = mapping(body, "order")
    wanted = orders.read(given, ".order")
    wanted = orders.Wanted(
        wanted.id,
        wanted.source_id,
        wanted.status,
        wanted.doc,
        body.get("customer") or wanted.customer or await purchases.holder_of(work, wanted_redeemables),
    )
    await referrals.lock(work, [each.id for each in wanted_redeemables if each.kind == "voucher"], wanted.customer)
    row, customer = await orders.resolve(work, wanted)
    doc = await order_items.resolved(work, wanted.doc, keep=True) if row is None else {}
    before = row["doc"] if row is not None else orders.merged(None, doc) if given else None
    metadata = mapping(body, "metadata")
    outcomes = await discounts.evaluate(
        work,
        wanted_redeemables,
        before,
        lock=True,
        session=session.key if session else None,
        customer=customer,
        metadata=metadata,
    )
    base = redemption_records.in_common(work, customer, metadata)
    applied = [outcome for outcome in outcomes if outcome.applies]
    if not applied:
        return await redemption_records.record_failure(
            work, discounts.why_none_applies(outcomes, work.stacking), base, customer
        )
    ids = [new_id("r") for _ in applied]
    parent_id = new_id("r") if len(applied) > 1 else None
    applied = await _counted(work, applied)
    if session is not None:
        await sessions.free(work, session.key, [outcome.voucher["id"] for outcome in applied if outcome.voucher])
    saved = None
    if before is not None:
        saved = await _save_order(work, row, before, applied, ids, parent_id, wanted, customer)
    shown_order = render.order(saved) if saved is not None else None
    redemptions = [
        await redemption_records.record_success(
            work, outcome, identifier, base, customer, saved, shown_order, parent_id
        )
        for outcome, identifier in zip(applied, ids, strict=True)
    ]
    answer: dict[str, Any] = {"redemptions": redemptions}
    if parent_id:
        parent = {
            **base,
            "id": parent_id,
            "result": "SUCCESS",
            "status": "SUCCEEDED",
            "order": shown_order,
            "related_object_type": "redemption",
            "related_object_id": parent_id,
        }
        await redemption_records.insert(work, parent, "redemption", customer, saved, None)
        answer["parent_redemption"] = parent
    if shown_order:
        answer["order"] = shown_order
    others = [
        validations.outcome_shown(outcome, None, work.call.request_id, work.stacking)
        for outcome in outcomes
        if not outcome.applies
    ]
    return {
        **answer,
        "inapplicable_redeemables": [each for each in others if each["status"] == "INAPPLICABLE"],
        "skipped_redeemables": [each for each in others if each["status"] == "SKIPPED"],
    }


async def _counted(work: Work, applied: list[Outcome]) -> list[Outcome]:
    """Count a use of each code; answers the outcomes with their codes as they are after it."""
    used = [outcome.voucher["id"] for outcome in applied if outcome.voucher]
    if not used:
        return applied
    rows = await work.all(
        "UPDATE voucher SET redeemed_quantity = redeemed_quantity + 1, updated_at = $2 WHERE id = ANY($1) "
        "RETURNING id, redeemed_quantity, updated_at",
        used,
        work.now,
    )
    after = {row["id"]: dict(row) for row in rows}
    return [
        replace(outcome, voucher={**outcome.voucher, **after[outcome.voucher["id"]]}) if outcome.voucher else outcome
        for outcome in applied
    ]


async def _save_order(
    work: Work,
    row: asyncpg.Record | None,
    before: dict[str, Any],
    applied: list[Outcome],
    ids: list[str],
    parent_id: str | None,
    wanted: orders.Wanted,
    customer: asyncpg.Record | None,
) -> asyncpg.Record:
    after = discounts.all_together(before, applied[-1].order or before)
    date = iso(work.now)
    if parent_id:
        links = {
            parent_id: {
                "date": date,
                "related_object_type": "redemption",
                "related_object_id": parent_id,
                "stacked": ids,
            }
        }
    else:
        used = applied[0].tier if applied[0].tier is not None else applied[0].voucher
        assert used is not None
        link = {
            "date": date,
            "related_object_type": applied[0].kind,
            "related_object_id": used["id"],
            "related_object_parent_id": used["campaign_id"],
        }
        links = {ids[0]: {name: value for name, value in link.items() if value is not None}}
    status = "PAID" if work.faults.ignore_redemption_order_status else wanted.status or "PAID"
    if row is not None and row["status"] == "PAID" and status == "CREATED":
        status = "PAID"  # a paid order does not become unpaid by a code
    if referrer := referral_programs.referrer_of(each.voucher for each in applied):
        after["referrer_id"] = referrer
    return await orders.save(
        work,
        row,
        {**after, "redemptions": {**(before.get("redemptions") or {}), **links}},
        status=status,
        source_id=wanted.source_id,
        customer=customer,
        redemption={"id": parent_id or ids[0], "object": "redemption"},
    )


@post("/redemptions", status_code=200)
async def create_redemptions(request: AnyRequest, store: TheStore) -> dict[str, Any]:
    body = await read_object(request)
    async with store.work() as work:
        answer = await redeem(work, body)
    if isinstance(answer, Failure):
        raise answer
    return answer


@get("/redemptions")
async def list_redemptions(request: AnyRequest, store: TheStore) -> dict[str, Any]:
    limit, offset = page(request, 99)
    sorting = order(request, {"created_at": "created_at"}, "-created_at")
    where = """
      ($1::text IS NULL OR doc ->> 'result' = $1)
      AND ($2::text IS NULL OR campaign_id = (SELECT id FROM campaign WHERE id = $2 OR name = $2 LIMIT 1))
      AND ($3::text IS NULL OR customer_id = (
        SELECT id FROM customer WHERE id = $3 OR source_id = $3 ORDER BY (id = $3) DESC LIMIT 1))
      AND ($4::timestamptz IS NULL OR created_at > $4) AND ($5::timestamptz IS NULL OR created_at < $5)
    """
    wanted = list_filters.read(request, filter_fields.REDEMPTIONS)
    conditions: list[Any] = [argument(request, name) for name in ("result", "campaign", "customer")]
    conditions += between(request, "created_at")
    async with store.work() as work:
        fits, values = list_filters.compiled(wanted, filter_fields.REDEMPTIONS, work.now, after=len(conditions))
        where, conditions = f"{where} AND ({fits})", [*conditions, *values]
        rows = await work.all(
            f"SELECT doc FROM redemption WHERE {where} ORDER BY {sorting} LIMIT {limit} OFFSET {offset}",
            *conditions,
        )
        total = await work.value(f"SELECT count(*) FROM redemption WHERE {where}", *conditions)
    return lists.numbered("redemptions", [row["doc"] for row in rows], total)


@get("/redemptions/{reference:str}")
async def get_redemption(reference: FromPath[str], store: TheStore) -> dict[str, Any]:
    async with store.work() as work:
        doc = await work.value("SELECT doc FROM redemption WHERE id = $1", reference)
    if doc is None:
        raise not_found("redemption", reference)
    shown: dict[str, Any] = doc
    return shown


router = Router("/", route_handlers=[create_redemptions, list_redemptions, get_redemption])

FIDELITY = (
    documented(
        "**Validations, redemptions** of codes, gift cards and promotion tiers, alone and stacked: "
        "quantity, active, times; `APPLICABLE`, `INAPPLICABLE`, `SKIPPED`; parent and children; failed "
        "ones leave `rf_…`"
    ),
    inferred(
        'the status sent with the order is honoured (`order: {source_id, status: "CREATED"}`). Fault '
        "`ignore_redemption_order_status` gives the other answer"
    ),
    inferred(
        "a failure answers 400 (unknown code 404) with the first failing key; where none applies "
        "in mode PARTIAL, or all are skipped, it is `no_applicable_redeemables`"
    ),
    inferred(
        "a code that was published to one customer can be redeemed by another: only a validation rule "
        "(`publication.redeemable_by_linked_customer`) forbids that"
    ),
)
