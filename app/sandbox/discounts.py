"""Which codes and promotion tiers of a request apply, why the others do not, and what they take off. No writes here.

documented: the error keys, SKIPPED and INAPPLICABLE, in mode ALL one that fails stops all, more credits than a gift
card has are `gift_amount_exceeded`. inferred: a code of a disabled campaign is disabled; a code published to one
customer may be redeemed by another unless a validation rule forbids it; a gift card without `credits` gives what the
order needs as far as it has it, and never more than the order has left.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import asyncpg

from app.sandbox import (
    attempts,
    conditions,
    effects,
    gifts,
    orders,
    promotion_stacks,
    promotion_tiers,
    purchases,
    referral_programs,
    render,
    sessions,
    stacking,
    validity,
    vouchers,
)
from app.sandbox.conditions import Subject
from app.sandbox.errors import Failure, not_found
from app.sandbox.fidelity import inferred
from app.sandbox.item_shares import Line, Scope
from app.sandbox.redeemables import Outcome, Redeemable, repeated
from app.sandbox.work import Work


async def evaluate(
    work: Work,
    wanted: list[Redeemable],
    order: dict[str, Any] | None,
    *,
    lock: bool = False,
    session: str | None = None,
    customer: asyncpg.Record | None = None,
    metadata: dict[str, Any] | None = None,
    omitted: frozenset[str] = frozenset(),
) -> list[Outcome]:
    """Try them one after the other, each on what the ones before it left, as the stacking rules say; so ordered.

    `session` is the key whose own locks do not count; `metadata` is that of the redemption; `omitted` are kinds of
    validation rules that are not asked.
    """
    if lock:  # always in one order, so that two requests for the same codes do not wait for each other
        codes = [each.id for each in wanted if each.kind == "voucher"] + await purchases.cards_filled(work, wanted)
        await work.run("SELECT 1 FROM voucher WHERE code = ANY($1) OR id = ANY($1) ORDER BY code FOR UPDATE", codes)
        await purchases.lock_products(work, wanted)
    found = [each for one in wanted for each in await _looked_up(work, one)]
    given = Subject(customer, order, metadata=metadata, lock=lock, omitted=omitted)

    async def tried(each: Outcome, so_far: attempts.SoFar, skip: str | None) -> Outcome:
        beside = [used for outcome in so_far.outcomes if outcome.applies and (used := outcome.incentive)]
        subject = replace(given, order=so_far.order, beside=beside)
        outcome = await try_one(work, each, subject, session=session, skip=skip, discounted=so_far.discounted)
        identifiers = {earlier.voucher["id"] for earlier in so_far.outcomes if earlier.voucher is not None}
        if outcome.voucher is not None and outcome.voucher["id"] in identifiers:  # once by its code, once by its id
            return replace(outcome, error=repeated())
        return outcome

    outcomes = await attempts.all_of(found, order, work.stacking, tried)
    failed = any(outcome.error for outcome in outcomes)
    if failed and work.stacking["redeemables_application_mode"] == "ALL":
        outcomes = [
            outcome
            if outcome.error
            else replace(outcome, order=None, skipped=outcome.skipped or "preceding_validation_failed")
            for outcome in outcomes
        ]
    return outcomes


async def _looked_up(work: Work, wanted: Redeemable) -> list[Outcome]:
    """What a redeemable names, before it is tried: itself, or the tiers of a stack."""
    if wanted.kind == "promotion_stack":
        stack = await promotion_stacks.found(work, wanted.id)
        tiers = await promotion_tiers.all_of(work, stack["tier_ids"])
        return [Outcome(tier["id"], None, None, None, kind="promotion_tier", tier=tier, stack=stack) for tier in tiers]
    if wanted.kind == "promotion_tier":
        tier = await promotion_tiers.find(work, wanted.id)
        error = not_found("promotion_tier", wanted.id) if tier is None else None
        return [Outcome(wanted.id, None, None, error, kind=wanted.kind, tier=tier)]
    voucher = await vouchers.find(work, wanted.id)
    error = not_found("voucher", wanted.id) if voucher is None else None
    return [Outcome(wanted.id, voucher, None, error, wanted=wanted)]


async def try_one(
    work: Work,
    looked_up: Outcome,
    subject: Subject,
    *,
    session: str | None = None,
    skip: str | None = None,
    discounted: frozenset[int] = frozenset(),
) -> Outcome:
    """What one redeemable does to the order of who tries it.

    `skip` is the key of the reason for which it is left aside if nothing is wrong with it; `discounted` are the places
    of the lines that others of the request have taken something off.
    """
    order = dict(subject.order) if subject.order is not None else None
    voucher, tier, error = looked_up.voucher, looked_up.tier, looked_up.error
    if error is None and tier is not None:
        error = promotion_tiers.refusal(work, tier, looked_up.code)
    elif error is None:
        error = refusal(work, voucher, looked_up.code)
        if error is None and voucher is not None and voucher["type"] == "LOYALTY_CARD":
            return await _bought(work, looked_up, voucher, subject, skip)
        if error is None and voucher is not None and voucher["quantity"] is not None:
            taken = voucher["redeemed_quantity"] + await sessions.held(work, voucher["id"], besides=session)
            error = quantity_exceeded(looked_up.code) if taken >= voucher["quantity"] else None
        if error is None and voucher is not None:
            error = referral_programs.refusal(voucher, subject.customer)
    outcome = replace(looked_up, error=error)
    if error is None and (used := outcome.incentive):
        campaign_id, identifier = used
        related = [(outcome.kind, identifier), *([("campaign", campaign_id)] if campaign_id else [])]
        judgement = await conditions.judge(work, related, replace(subject, voucher=voucher))
        outcome = replace(
            outcome,
            error=judgement.failure,
            applicability=judgement.applicability,
            asked=judgement.asked,
            not_asked=judgement.not_asked,
        )
    if outcome.error is not None:
        return outcome
    if skip is not None:
        return replace(outcome, skipped=skip)
    try:
        if voucher is not None and voucher["type"] == "GIFT_VOUCHER":
            credits_, after = await _spend(work, voucher, outcome, order, session)
            outcome = replace(outcome, credits=credits_, order=after)
        elif order is not None:
            outcome = replace(outcome, order=await _discounted_by(work, outcome, order, discounted))
    except Failure as failure:
        return replace(outcome, error=failure)
    if outcome.without_effect and stacking.skips_without_effect(outcome.categories, work.stacking):
        return replace(outcome, order=None, credits=0, skipped="no_effect")
    return outcome


async def _bought(
    work: Work, looked_up: Outcome, card: Mapping[str, Any], subject: Subject, skip: str | None
) -> Outcome:
    """What a loyalty card buys, and the order after it."""
    wanted = looked_up.wanted
    assert wanted is not None
    try:
        purchase = await purchases.tried(work, card, wanted.reward, wanted.points, subject)
    except Failure as failure:
        return replace(looked_up, error=failure)
    return replace(looked_up, order=None if skip else purchase.order, skipped=skip, purchase=purchase)


async def _discounted_by(
    work: Work, outcome: Outcome, order: dict[str, Any], discounted: frozenset[int]
) -> dict[str, Any]:
    discount, scope = outcome.discount, outcome.applicability.scope
    assert discount is not None
    if discounted and work.stacking["redeemables_products_application_mode"] == "ONCE":
        everything = Scope({place: Line() for place in range(len(order.get("items") or []))})
        scope = (scope or everything).without(discounted)
    initial = stacking.by_initial_amount(outcome.categories, work.stacking)
    return await taken_off(work, order, discount, scope=scope, initial=initial)


async def _spend(
    work: Work, card: Mapping[str, Any], outcome: Outcome, order: dict[str, Any] | None, session: str | None
) -> tuple[int, dict[str, Any] | None]:
    """How many credits go off the card, and the order after them."""
    wanted = outcome.wanted.credits if outcome.wanted is not None else None
    there = render.gift(card)["balance"] - await gifts.locked(work, card, session)
    if wanted is None and order is None:
        raise Failure(400, "missing_amount", "order amount was not specified", outcome.code)
    room = there if order is None else effects.left(order)
    credits_ = min(there, room) if wanted is None else wanted
    if credits_ > there or (there <= 0 and wanted is None and room):
        raise gifts.exceeded(outcome.code)
    if order is None:
        return credits_, None
    credits_ = min(credits_, room)
    return credits_, effects.off_order(order, credits_)


async def taken_off(
    work: Work,
    order: dict[str, Any],
    discount: Mapping[str, Any],
    *,
    scope: Scope | None = None,
    initial: bool = False,
) -> dict[str, Any]:
    """The order after one more discount, with what the catalogue says of free units."""
    products: dict[str, Mapping[str, Any]] = {}
    for unit in effects.units(discount):
        row = await work.one(
            "SELECT * FROM product WHERE id = $1 OR source_id = $1 ORDER BY (id = $1) DESC LIMIT 1", unit["unit_type"]
        )
        if row is not None:
            products[unit["unit_type"]] = {
                "id": row["id"],
                "source_id": row["source_id"],
                "name": row["doc"].get("name"),
                "price": row["doc"].get("price"),
            }
    return effects.apply(order, discount, products, scope=scope, initial=initial)


def why_none_applies(outcomes: list[Outcome], rules: Mapping[str, Any]) -> Outcome:
    """What a redemption that uses nothing is refused for: in mode ALL the first that failed, else that none applies."""
    failed = next((outcome for outcome in outcomes if outcome.error), None)
    if failed is not None and (rules["redeemables_application_mode"] == "ALL" or len(outcomes) == 1):
        return failed
    details = "None of the redeemables can be applied"
    error = Failure(400, "no_applicable_redeemables", "No applicable redeemables", details)
    return replace(failed or outcomes[0], error=error, skipped=None)


def refusal(work: Work, voucher: Mapping[str, Any] | None, code: str) -> Failure | None:
    """Why this code can't be used now, if so."""
    if voucher is None:
        return not_found("voucher", code)
    if not voucher["active"] or not voucher["campaign_active"]:
        return Failure(400, "voucher_disabled", "voucher is disabled", code)
    state = validity.state(voucher["doc"], work.now, work.config.time_zone)
    if state == "early":
        return Failure(400, "voucher_not_active", "voucher is not active yet", code)
    if state == "late":
        return Failure(400, "voucher_expired", "voucher expired", code)
    if state == "not_now":
        return Failure(400, "voucher_not_active_now", "voucher not active now", code)
    if voucher["quantity"] is not None and voucher["redeemed_quantity"] >= voucher["quantity"]:
        return quantity_exceeded(code)
    return None


def quantity_exceeded(code: str) -> Failure:
    return Failure(400, "quantity_exceeded", "quantity exceeded", code)


def all_together(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """The order after all discounts of a request: what is applied is their sum."""
    return effects.together(before, after)


def without_discounts(order: dict[str, Any]) -> dict[str, Any]:
    return orders.with_total(effects.undone(order))


FIDELITY = (
    inferred(
        "a gift card without `credits` gives what the order needs as far as it has it; what the order "
        "can't take stays on the card; without an order and without `credits` it is `missing_amount`"
    ),
)
