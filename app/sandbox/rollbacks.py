"""Rollbacks of redemptions: one, or all of a stack.

documented: the code is free again, credits are back on the gift card, the order is CANCELED and loses its discounts, a
second rollback is refused, a stack is rolled back by its parent, a customer or order of the request that is another one
is `invalid_customer`, `invalid_order`. inferred: points that the order earned stay; taking them back is not documented.
"""

from typing import Any

import asyncpg
from litestar import Router, post
from litestar.params import FromPath

from app.sandbox import (
    customers,
    discounts,
    gifts,
    orders,
    promotion_tiers,
    redemption_records,
    render,
    reward_refunds,
    vouchers,
)
from app.sandbox.clock import iso
from app.sandbox.errors import Failure, not_found
from app.sandbox.fidelity import documented
from app.sandbox.ids import new_id
from app.sandbox.read import AnyRequest, argument, mapping, read_object, text
from app.sandbox.store import Store, TheStore
from app.sandbox.work import Work


async def roll_back(
    work: Work, reference: str, reason: str | None, *, stack: bool, said: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Undo one redemption, or all of a stack: frees the codes, cancels the order and drops its discounts.

    `said` is the request's body: a customer or an order in it must be those of the redemption.
    """
    row = await work.one("SELECT * FROM redemption WHERE id = $1 AND object = 'redemption'", reference)
    if row is None:
        raise not_found("redemption", reference)
    customer = await customers.find(work, row["customer_id"], lock=True) if row["customer_id"] else None
    saved = await orders.find(work, row["order_id"], lock=True) if row["order_id"] else None
    _refuse_mismatch(said or {}, customer, saved)
    # Read again under the locks: a rollback that ran meanwhile has committed by now.
    children = await work.all("SELECT * FROM redemption WHERE parent_id = $1 ORDER BY id", reference)
    undone = await work.all(
        "SELECT * FROM redemption WHERE id = ANY($1) ORDER BY id FOR UPDATE",
        [child["id"] for child in children] or [reference],
    )
    row = await work.one("SELECT * FROM redemption WHERE id = $1 FOR UPDATE", reference)
    assert row is not None
    _refuse_rollback(row, stacked=bool(children), stack=stack)
    vouchers_used = [each["voucher_id"] for each in undone if each["voucher_id"]]
    await work.run(
        "SELECT 1 FROM voucher WHERE id = ANY($1) ORDER BY code FOR UPDATE",
        [*vouchers_used, *reward_refunds.given(undone)],
    )
    await reward_refunds.lock_products(work, undone)
    await work.run(
        "UPDATE voucher SET redeemed_quantity = redeemed_quantity - 1, updated_at = $2 WHERE id = ANY($1)",
        vouchers_used,
        work.now,
    )
    identifiers = {each["id"]: new_id("rr") for each in undone}
    own = new_id("rr") if children else identifiers[reference]
    with_order = work.stacking["redeemables_rollback_order_mode"] == "WITH_ORDER"
    if saved is not None:
        links = {**(saved["doc"].get("redemptions") or {})}
        links[reference] = {**links.get(reference, {}), "rollback_id": own, "rollback_date": iso(work.now)}
        if children:
            links[reference]["rollback_stacked"] = list(identifiers.values())
        before = discounts.without_discounts(saved["doc"]) if with_order else saved["doc"]
        status = "CANCELED" if with_order else saved["status"]
        doc = {**before, "redemptions": links}
        saved = await orders.save(work, saved, doc, status=status, source_id=saved["source_id"], customer=customer)
    await work.run(
        "UPDATE redemption SET status = 'ROLLED_BACK', doc = doc || '{\"status\": \"ROLLED_BACK\"}' WHERE id = ANY($1)",
        [reference, *identifiers],
    )
    shown_order = render.order(saved) if saved is not None else None
    rollbacks = []
    for each in undone:
        rollback = _rollback_of(work, each, identifiers[each["id"]], reason, shown_order)
        voucher: render.Row | None = await vouchers.find(work, each["voucher_id"]) if each["voucher_id"] else None
        if voucher is not None:
            voucher = await _credits_back(work, voucher, each, rollback, saved)
            if each["doc"].get("reward"):
                voucher = await reward_refunds.give_back(work, voucher, each, rollback, customer, saved)
            rollback["voucher"] = render.voucher(voucher, work.config.url)
        tier = await promotion_tiers.find(work, each["promotion_tier_id"]) if each["promotion_tier_id"] else None
        if tier is not None:
            rollback["promotion_tier"] = promotion_tiers.shown(tier)
        await redemption_records.insert(work, rollback, "redemption_rollback", customer, saved, voucher, tier=tier)
        await redemption_records.announce(
            work,
            "redemption.rollback.succeeded",
            each["doc"],  # as it was; what became of it is in the rollback
            customer,
            voucher,
            tier=tier,
            redemption_rollback=rollback,
            order=shown_order,
        )
        rollbacks.append(rollback)
    if not stack:
        return rollbacks[0]
    answer: dict[str, Any] = {"rollbacks": rollbacks}
    if children:
        parent = _rollback_of(work, row, own, reason, shown_order)
        await redemption_records.insert(work, parent, "redemption_rollback", customer, saved, None)
        answer["parent_rollback"] = parent
    return {**answer, **({"order": shown_order} if shown_order else {})}


async def _credits_back(
    work: Work, card: render.Row, redeemed: asyncpg.Record, rollback: dict[str, Any], saved: asyncpg.Record | None
) -> render.Row:
    """Give a gift card back what the redemption took; answers the card after it."""
    credits_ = (redeemed["doc"].get("gift") or {}).get("amount", 0)
    if "gift" not in redeemed["doc"]:
        return card
    rollback |= {"amount": -credits_, "gift": {"amount": -credits_}}
    if not credits_:
        return card
    details: dict[str, Any] = {"redemption": {"id": redeemed["id"]}, "rollback": {"id": rollback["id"]}}
    if saved is not None:
        details["order"] = {"id": saved["id"], "source_id": saved["source_id"]}
    movement = await gifts.move(
        work,
        card,
        credits_,
        "CREDITS_REFUND",
        details=details,
        order=render.order(saved) if saved is not None else None,
        redemption=redeemed["doc"],
        rollback=dict(rollback),
    )
    return movement.card


def _refuse_mismatch(said: dict[str, Any], customer: asyncpg.Record | None, saved: asyncpg.Record | None) -> None:
    for name, row in (("customer", customer), ("order", saved)):
        given = said.get(name)
        named = (
            [given]
            if isinstance(given, str)
            else [text(mapping(said, name), key, at=f".{name}") for key in ("id", "source_id")]
        )
        known = {row["id"], row["source_id"]} if row is not None else set()
        if any(each is not None and each not in known for each in named):
            details = f"The {name} is not the one of the redemption."
            raise Failure(400, f"invalid_{name}", f"Invalid {name}", details)


def _refuse_rollback(row: asyncpg.Record, *, stacked: bool, stack: bool) -> None:
    if row["status"] == "ROLLED_BACK":
        raise Failure(
            400,
            "already_rolled_back",
            "Already rolled back",
            "Redemption has been already rolled back.",
            resource_id=new_id("rrf"),
            resource_type="redemption_rollback",
        )
    if row["parent_id"]:
        raise Failure(400, "invalid_redemption_parent", "Invalid redemption parent", "Roll back the parent redemption.")
    if row["status"] != "SUCCEEDED" or (stacked and not stack):
        raise Failure(400, "invalid_redemption", "Invalid redemption", "This redemption cannot be rolled back.")


def _rollback_of(
    work: Work, row: asyncpg.Record, identifier: str, reason: str | None, shown_order: dict[str, Any] | None
) -> dict[str, Any]:
    doc = row["doc"]
    kept = ("customer_id", "tracking_id", "channel", "customer", "related_object_type", "related_object_id")
    return {
        **{name: doc.get(name) for name in kept},
        "id": identifier,
        "object": "redemption_rollback",
        "date": iso(work.now),
        "metadata": doc.get("metadata"),
        "redemption": row["id"],
        "reason": reason,
        "result": "SUCCESS",
        "status": "SUCCEEDED",
        "order": shown_order,
    }


@post("/redemptions/{reference:str}/rollback", status_code=200)
async def rollback(reference: FromPath[str], request: AnyRequest, store: TheStore) -> dict[str, Any]:
    return await _rolled_back(reference, request, store, stack=False)


@post("/redemptions/{reference:str}/rollbacks", status_code=200)
async def rollbacks(reference: FromPath[str], request: AnyRequest, store: TheStore) -> dict[str, Any]:
    return await _rolled_back(reference, request, store, stack=True)


async def _rolled_back(reference: str, request: AnyRequest, store: Store, *, stack: bool) -> dict[str, Any]:
    body = await read_object(request)
    reason = argument(request, "reason") or text(body, "reason")
    async with store.work() as work:
        return await roll_back(work, reference, reason, stack=stack, said=body)


router = Router("/", route_handlers=[rollback, rollbacks])

FIDELITY = (
    documented(
        "**Rollback** of one redemption or a stack: the code is free again, credits are back on the card, "
        "the order CANCELED without discounts and without free units, a second time "
        "`already_rolled_back`; another customer or order in the body is `invalid_customer`, "
        "`invalid_order`"
    ),
)
