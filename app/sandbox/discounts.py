"""Which codes and promotion tiers of a request apply, why the others do not, and what they take off. No writes here.

documented: the error keys, SKIPPED and INAPPLICABLE, the stacking rules' defaults in mode ALL, more credits than a gift
card has are `gift_amount_exceeded`. inferred: a code of a disabled campaign is disabled; a code published to one
customer may be redeemed by another unless a validation rule forbids it; a gift card without `credits` gives what the
order needs as far as it has it, and never more than the order has left.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import asyncpg

from app.sandbox import (
    conditions,
    effects,
    gifts,
    orders,
    promotion_tiers,
    purchases,
    referral_programs,
    render,
    sessions,
    validity,
    vouchers,
)
from app.sandbox.conditions import Subject
from app.sandbox.errors import Failure, NotEmulated, invalid_payload, not_found
from app.sandbox.fidelity import inferred
from app.sandbox.read import integer, mapping, one_of, required_text, text
from app.sandbox.work import Work

STACKING_RULES: dict[str, Any] = {
    "redeemables_limit": 30,
    "applicable_redeemables_limit": 5,
    "applicable_redeemables_per_category_limit": 1,
    "applicable_redeemables_category_limits": {},
    "applicable_exclusive_redeemables_limit": 1,
    "applicable_exclusive_redeemables_per_category_limit": 1,
    "exclusive_categories": [],
    "joint_categories": [],
    "redeemables_application_mode": "ALL",
    "redeemables_sorting_rule": "REQUESTED_ORDER",
    "redeemables_products_application_mode": "STACK",
    "redeemables_no_effect_rule": "REDEEM_ANYWAY",
    "no_effect_skip_categories": [],
    "no_effect_redeem_anyway_categories": [],
    "redeemables_rollback_order_mode": "WITH_ORDER",
}
_KINDS = ("voucher", "promotion_tier", "promotion_stack")


@dataclass(frozen=True)
class Redeemable:
    """One thing that a request wants to use: a code, or a promotion tier by its id."""

    kind: str
    id: str
    credits: int | None = None
    """How much of a gift card; by default what the order needs."""
    reward: str | None = None
    """What a loyalty card buys."""
    points: int | None = None
    """How many points pay for the order, where the reward is that; by default as many as it needs."""


@dataclass(frozen=True)
class Outcome:
    """What became of one redeemable: what it takes off, or why it does not apply."""

    code: str
    voucher: Mapping[str, Any] | None
    order: dict[str, Any] | None
    """The order's amounts after this one, when it applies and there is an order."""
    error: Failure | None
    skipped: str | None = None
    """The key of the reason for which it was left aside although nothing is wrong with it."""
    kind: str = "voucher"
    tier: Mapping[str, Any] | None = None
    credits: int = 0
    """What it takes off a gift card."""
    purchase: purchases.Purchase | None = None
    """What a loyalty card buys."""

    @property
    def applies(self) -> bool:
        return self.error is None and self.skipped is None

    @property
    def incentive(self) -> tuple[str | None, str] | None:
        """The campaign and the id of the code or promotion tier; None for a code that there is not."""
        used = self.tier if self.tier is not None else self.voucher
        return (used["campaign_id"], used["id"]) if used is not None else None

    @property
    def discount(self) -> dict[str, Any] | None:
        """The discount it gives, as the answers carry it."""
        if self.tier is not None:
            return {**self.tier["doc"]["action"]["discount"], "is_dynamic": False}
        if self.voucher is not None and self.voucher["type"] == "DISCOUNT_VOUCHER":
            return {**self.voucher["doc"]["discount"], "is_dynamic": False}
        return None

    @property
    def result(self) -> dict[str, Any]:
        """What it gives or takes, as the answers carry it."""
        if self.purchase is not None:
            return {"loyalty_card": {"points": self.purchase.points}}
        discount = self.discount
        return {"discount": discount} if discount is not None else {"gift": {"credits": self.credits}}


def read_redeemables(body: dict[str, Any]) -> list[Redeemable]:
    """What a request wants to use, checked for what the sandbox can do."""
    given = body.get("redeemables")
    if given is None:
        raise invalid_payload("Payload should have required property 'redeemables'")
    if not isinstance(given, list):
        raise invalid_payload("Property .redeemables must be array")
    if not given:
        raise invalid_payload("Property .redeemables must NOT have fewer than 1 items")
    if len(given) > STACKING_RULES["redeemables_limit"]:
        raise invalid_payload("Property .redeemables_limit must be <= 30")
    wanted = []
    for place, item in enumerate(given):
        at = f".redeemables[{place}]"
        if not isinstance(item, dict):
            raise invalid_payload(f"Property {at} must be object")
        for name in ("object", "id"):
            if item.get(name) is None:
                raise invalid_payload(f"Property {at} should have required property '{name}'")
        kind = one_of(item, "object", _KINDS, at=at)
        if kind == "promotion_stack":
            raise NotEmulated("A redeemable of the kind promotion_stack")
        credits_ = integer(mapping(item, "gift", at=at), "credits", at=f"{at}.gift")
        reward = mapping(item, "reward", at=at)
        points = integer(reward, "points", least=1, at=f"{at}.reward")
        bought = text(reward, "id", at=f"{at}.reward")
        wanted.append(Redeemable(str(kind), required_text(item, "id", at=at), credits_, bought, points))
    if len({(each.kind, each.id) for each in wanted}) < len(wanted):
        raise _repeated()
    return wanted


def _repeated() -> Failure:
    return Failure(400, "duplicated_redeemables", "Duplicated redeemables", "Each redeemable may be given once")


async def evaluate(
    work: Work,
    wanted: list[Redeemable],
    order: dict[str, Any] | None,
    *,
    lock: bool = False,
    session: str | None = None,
    customer: asyncpg.Record | None = None,
    metadata: dict[str, Any] | None = None,
) -> list[Outcome]:
    """Try them in the order of the request, each on what the ones before it left; mode ALL.

    `session` is the key whose own locks do not count; `metadata` is that of the redemption.
    """
    if lock:  # always in one order, so that two requests for the same codes do not wait for each other
        codes = [each.id for each in wanted if each.kind == "voucher"] + await purchases.cards_filled(work, wanted)
        await work.run("SELECT 1 FROM voucher WHERE code = ANY($1) OR id = ANY($1) ORDER BY code FOR UPDATE", codes)
        await purchases.lock_products(work, wanted)
    outcomes: list[Outcome] = []
    current, applied = order, 0
    seen: set[str] = set()
    for each in wanted:
        full = applied >= STACKING_RULES["applicable_redeemables_limit"]
        beside = [used for outcome in outcomes if outcome.applies and (used := outcome.incentive)]
        subject = Subject(customer, current, metadata=metadata, beside=beside, lock=lock)
        outcome = await try_one(work, each, subject, session=session, full=full)
        if outcome.voucher is not None:
            identifier = outcome.voucher["id"]
            if identifier in seen:  # once by its code and once by its id
                outcome = replace(outcome, error=_repeated())
            seen.add(identifier)
        outcomes.append(outcome)
        if outcome.applies:
            applied += 1
            current = outcome.order or current
    if any(outcome.error for outcome in outcomes):
        outcomes = [
            outcome
            if outcome.error
            else replace(outcome, order=None, skipped=outcome.skipped or "preceding_validation_failed")
            for outcome in outcomes
        ]
    return outcomes


async def try_one(
    work: Work, wanted: Redeemable, subject: Subject, *, session: str | None = None, full: bool = False
) -> Outcome:
    """What one redeemable does to the order of who tries it. `full`: there is no room for more that apply."""
    order = dict(subject.order) if subject.order is not None else None
    voucher: Mapping[str, Any] | None = None
    tier: Mapping[str, Any] | None = None
    if wanted.kind == "promotion_tier":
        tier = await promotion_tiers.find(work, wanted.id)
        error = promotion_tiers.refusal(tier, wanted.id, work.now)
    else:
        voucher = await vouchers.find(work, wanted.id)
        error = refusal(voucher, wanted.id, work.now)
        if error is None and voucher is not None and voucher["type"] == "LOYALTY_CARD":
            return await _bought(work, wanted, voucher, subject, full=full)
        if error is None and voucher is not None and voucher["quantity"] is not None:
            taken = voucher["redeemed_quantity"] + await sessions.held(work, voucher["id"], besides=session)
            error = quantity_exceeded(wanted.id) if taken >= voucher["quantity"] else None
        if error is None and voucher is not None:
            error = referral_programs.refusal(voucher, subject.customer)
    outcome = Outcome(wanted.id, voucher, None, error, kind=wanted.kind, tier=tier)
    if error is None and (used := outcome.incentive):
        campaign_id, identifier = used
        related = [(wanted.kind, identifier), *([("campaign", campaign_id)] if campaign_id else [])]
        outcome = replace(outcome, error=await conditions.refusal(work, related, replace(subject, voucher=voucher)))
    if outcome.error is not None:
        return outcome
    if full:
        return replace(outcome, skipped="applicable_redeemables_limit_exceeded")
    try:
        if voucher is not None and voucher["type"] == "GIFT_VOUCHER":
            credits_, after = await _spend(work, voucher, wanted, order, session)
            return replace(outcome, credits=credits_, order=after)
        discount = outcome.discount
        assert discount is not None
        return replace(outcome, order=await taken_off(work, order, discount) if order is not None else None)
    except Failure as failure:
        return replace(outcome, error=failure)


async def _bought(work: Work, wanted: Redeemable, card: Mapping[str, Any], subject: Subject, *, full: bool) -> Outcome:
    """What a loyalty card buys, and the order after it."""
    try:
        purchase = await purchases.tried(work, card, wanted.reward, wanted.points, subject)
    except Failure as failure:
        return Outcome(wanted.id, card, None, failure)
    skipped = "applicable_redeemables_limit_exceeded" if full else None
    return Outcome(wanted.id, card, None if full else purchase.order, None, skipped, purchase=purchase)


async def _spend(
    work: Work, card: Mapping[str, Any], wanted: Redeemable, order: dict[str, Any] | None, session: str | None
) -> tuple[int, dict[str, Any] | None]:
    """How many credits go off the card, and the order after them."""
    there = render.gift(card)["balance"] - await gifts.locked(work, card, session)
    if wanted.credits is None and order is None:
        raise Failure(400, "missing_amount", "order amount was not specified", wanted.id)
    room = there if order is None else effects.left(order)
    credits_ = min(there, room) if wanted.credits is None else wanted.credits
    if credits_ > there or (there <= 0 and wanted.credits is None and room):
        raise gifts.exceeded(wanted.id)
    if order is None:
        return credits_, None
    credits_ = min(credits_, room)
    return credits_, effects.off_order(order, credits_)


async def taken_off(work: Work, order: dict[str, Any], discount: Mapping[str, Any]) -> dict[str, Any]:
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
    return effects.apply(order, discount, products)


def refusal(voucher: Mapping[str, Any] | None, code: str, now: datetime) -> Failure | None:
    """Why this code can't be used now, if so."""
    if voucher is None:
        return not_found("voucher", code)
    if not voucher["active"] or not voucher["campaign_active"]:
        return Failure(400, "voucher_disabled", "voucher is disabled", code)
    state = validity.state(voucher["doc"], now)
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
