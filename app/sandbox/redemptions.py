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
    campaigns,
    customers,
    discounts,
    filter_fields,
    gifts,
    list_filters,
    order_items,
    orders,
    promotion_tiers,
    purchases,
    referral_programs,
    referrals,
    render,
    sessions,
    stacks,
    validations,
    vouchers,
)
from app.sandbox.clock import iso
from app.sandbox.discounts import Outcome
from app.sandbox.errors import Failure, not_found
from app.sandbox.fidelity import documented, inferred
from app.sandbox.ids import new_id, tracking_id
from app.sandbox.read import AnyRequest, argument, between, mapping, order, page, read_object
from app.sandbox.store import TheStore
from app.sandbox.work import Work


async def redeem(work: Work, body: dict[str, Any]) -> dict[str, Any] | Failure:
    """Redeem all codes of a request or none. A failure is answered, not raised: its record must be committed."""
    wanted_redeemables, session = discounts.read_redeemables(body, work.stacking), sessions.read(body)
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
    base = in_common(work, customer, metadata)
    applied = [outcome for outcome in outcomes if outcome.applies]
    if not applied:
        return await record_failure(work, discounts.why_none_applies(outcomes, work.stacking), base, customer)
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
        await _record(work, outcome, identifier, base, customer, saved, shown_order, parent_id)
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
        await insert(work, parent, "redemption", customer, saved, None)
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


def in_common(work: Work, customer: asyncpg.Record | None, metadata: dict[str, Any]) -> dict[str, Any]:
    """What all redemptions of a request have in common."""
    return {
        "object": "redemption",
        "date": iso(work.now),
        "customer_id": customer["id"] if customer is not None else None,
        "tracking_id": tracking_id(customer["source_id"] or customer["id"]) if customer is not None else None,
        "metadata": metadata,
        "channel": {"channel_id": work.call.app_id, "channel_type": "API"},
        "customer": render.simple_customer(customer),
        "redemption": None,
    }


async def _record(
    work: Work,
    outcome: Outcome,
    identifier: str,
    base: dict[str, Any],
    customer: asyncpg.Record | None,
    saved: asyncpg.Record | None,
    shown_order: dict[str, Any] | None,
    parent_id: str | None,
) -> dict[str, Any]:
    amounts = {name: value for name, value in (outcome.order or {}).items() if name.endswith("_amount")}
    redemption = {
        **base,
        "id": identifier,
        "redemption": parent_id,
        "result": "SUCCESS",
        "status": "SUCCEEDED",
        # Each shows the order as it was after its own code.
        "order": {**shown_order, **amounts} if shown_order else None,
        "related_object_type": outcome.kind,
    }
    if outcome.tier is not None:
        # Written before it is shown, for the tier's summary counts it.
        redemption |= {"related_object_id": outcome.tier["id"], "voucher": None}
        await insert(work, redemption, "redemption", customer, saved, None, parent_id, tier=outcome.tier)
        tier = await promotion_tiers.found(work, outcome.tier["id"])
        redemption["promotion_tier"] = promotion_tiers.shown(tier)
        await work.run("UPDATE redemption SET doc = $2 WHERE id = $1", identifier, redemption)
        stack = {"promotion_stack": stacks.simple(outcome.stack)} if outcome.stack is not None else {}
        await announce(work, "redemption.succeeded", redemption, customer, None, tier=tier, **stack)
        return redemption
    if outcome.purchase is not None:
        return await record_purchase(work, outcome.purchase, redemption, saved, parent_id)
    voucher = outcome.voucher
    assert voucher is not None
    redemption["related_object_id"] = voucher["id"]
    if voucher["type"] == "GIFT_VOUCHER":
        voucher = await vouchers.found(work, outcome.code)  # a purchase of the same request may have filled it
        redemption |= {"amount": outcome.credits, "gift": {"amount": outcome.credits}}
        if outcome.credits:
            details: dict[str, Any] = {"redemption": {"id": identifier}}
            if saved is not None:
                details["order"] = {"id": saved["id"], "source_id": saved["source_id"]}
            movement = await gifts.move(
                work,
                voucher,
                -outcome.credits,
                "CREDITS_REDEMPTION",
                details=details,
                order=shown_order,
                redemption=dict(redemption),
            )
            voucher = movement.card
    redemption["voucher"] = render.voucher(voucher, work.config.url)
    await insert(work, redemption, "redemption", customer, saved, voucher, parent_id)
    await announce(work, "redemption.succeeded", redemption, customer, voucher)
    await referrals.by_redemption(work, voucher, redemption, customer)
    return redemption


async def record_purchase(
    work: Work,
    purchase: purchases.Purchase,
    redemption: dict[str, Any],
    saved: asyncpg.Record | None,
    parent_id: str | None = None,
) -> dict[str, Any]:
    """Carry a purchase out: points, reward, redemption and what is told of them."""
    redemption["related_object_id"] = purchase.card["id"]
    bought = await purchases.pay(work, purchase, redemption, saved)
    card = bought.movement.card
    await insert(work, redemption, "redemption", purchase.holder, saved, card, parent_id)
    await announce(work, "redemption.succeeded", redemption, purchase.holder, card)
    await purchases.tell(work, bought, redemption)
    return redemption


async def record_failure(work: Work, failed: Outcome, base: dict[str, Any], customer: asyncpg.Record | None) -> Failure:
    assert failed.error is not None
    error = failed.error
    key = "resource_not_found" if error.key == "not_found" else error.key
    redemption = {
        **base,
        "id": new_id("rf"),
        "result": "FAILURE",
        "status": "FAILED",
        "failure_code": key,
        "failure_message": error.fields["message"],
        "related_object_type": failed.kind,
        "order": None,
        "related_object_id": failed.voucher["id"] if failed.voucher else failed.code,
        "voucher": render.voucher(failed.voucher, work.config.url) if failed.voucher else None,
        **({"promotion_tier": promotion_tiers.shown(failed.tier)} if failed.tier is not None else {}),
    }
    await insert(work, redemption, "redemption", customer, None, failed.voucher, tier=failed.tier)
    await announce(work, "redemption.failed", redemption, customer, failed.voucher, tier=failed.tier)
    if error.key == "not_found":
        return error
    return Failure(
        error.code,
        error.key,
        error.fields["message"],
        error.fields["details"],
        resource_id=str(redemption["id"]),
        resource_type="redemption",
        custom=error.custom,
    )


async def insert(
    work: Work,
    doc: dict[str, Any],
    kind: str,
    customer: asyncpg.Record | None,
    saved: asyncpg.Record | None,
    voucher: render.Row | None,
    parent_id: str | None = None,
    *,
    tier: render.Row | None = None,
) -> None:
    used = tier if tier is not None else voucher
    await work.run(
        "INSERT INTO redemption "
        "(id, object, status, parent_id, voucher_id, campaign_id, customer_id, order_id, doc, created_at, "
        "promotion_tier_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        doc["id"],
        kind,
        doc["status"],
        parent_id,
        voucher["id"] if voucher else None,
        used["campaign_id"] if used is not None else None,
        customer["id"] if customer is not None else None,
        saved["id"] if saved is not None else None,
        doc,
        work.now,
        tier["id"] if tier is not None else None,
    )


async def announce(
    work: Work,
    kind: str,
    redemption: dict[str, Any],
    customer: asyncpg.Record | None,
    voucher: render.Row | None,
    *,
    tier: render.Row | None = None,
    **more: Any,
) -> None:
    used = tier if tier is not None else voucher
    campaign = await campaigns.find(work, used["campaign_id"]) if used is not None and used["campaign_id"] else None
    holder = customer
    if not voucher or not voucher["holder_id"]:
        holder = None
    elif customer is None or customer["id"] != voucher["holder_id"]:
        holder = await customers.find(work, voucher["holder_id"])
    work.announce(
        work.event(kind, redemption["id"], "evred"),
        {
            "customer": render.simple_customer(customer),
            "order": redemption.get("order"),
            "campaign": render.simple_campaign(campaign) if campaign else None,
            "voucher": redemption.get("voucher"),
            "holder": render.simple_customer(holder),
            "promotion_tier": promotion_tiers.shown(tier) if tier is not None else None,
            "redemption": redemption,
            "created_at": redemption["date"],
            **more,
        },
        lane=customer["id"] if customer is not None else None,
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
    return render.old_list("redemptions", [row["doc"] for row in rows], total)


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
