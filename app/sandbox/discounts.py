"""Which codes of a request apply, why the others do not, and what they take off. No writes here.

documented: the error keys, the amount algebra, SKIPPED and INAPPLICABLE, the stacking rules' defaults in mode ALL.
inferred: a code of a disabled campaign is disabled; percentages round half up; a code published to one customer may be
redeemed by another unless a validation rule forbids it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from app.sandbox import orders, vouchers
from app.sandbox.clock import parse_time
from app.sandbox.conditions import Row, Subject
from app.sandbox.conditions import refusal as rules_refusal
from app.sandbox.errors import Failure, NotEmulated, invalid_payload, not_found
from app.sandbox.read import mapping, one_of, required_text
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
class Outcome:
    """What became of one redeemable: what it takes off, or why it does not apply."""

    code: str
    voucher: Mapping[str, Any] | None
    order: dict[str, Any] | None
    """The order's amounts after this one, when it applies and there is an order."""
    error: Failure | None
    skipped: str | None = None
    """The key of the reason for which it was left aside although nothing is wrong with it."""

    @property
    def applies(self) -> bool:
        return self.error is None and self.skipped is None


def read_redeemables(body: dict[str, Any]) -> list[str]:
    """The codes of a request, checked for what the sandbox can do."""
    given = body.get("redeemables")
    if given is None:
        raise invalid_payload("Payload should have required property 'redeemables'")
    if not isinstance(given, list):
        raise invalid_payload("Property .redeemables must be array")
    if not given:
        raise invalid_payload("Property .redeemables must NOT have fewer than 1 items")
    if len(given) > STACKING_RULES["redeemables_limit"]:
        raise invalid_payload("Property .redeemables_limit must be <= 30")
    if mapping(body, "session"):
        raise NotEmulated("Locking codes by a session")
    codes = []
    for place, item in enumerate(given):
        at = f".redeemables[{place}]"
        if not isinstance(item, dict):
            raise invalid_payload(f"Property {at} must be object")
        for name in ("object", "id"):
            if item.get(name) is None:
                raise invalid_payload(f"Property {at} should have required property '{name}'")
        if one_of(item, "object", _KINDS, at=at) != "voucher":
            raise NotEmulated(f"A redeemable of the kind {item['object']}")
        codes.append(required_text(item, "id", at=at))
    if len(set(codes)) < len(codes):
        raise Failure(400, "duplicated_redeemables", "Duplicated redeemables", "Each redeemable may be given once")
    return codes


async def evaluate(
    work: Work,
    codes: list[str],
    order: dict[str, Any] | None,
    *,
    lock: bool = False,
    customer: Row | None = None,
    metadata: dict[str, Any] | None = None,
) -> list[Outcome]:
    """Try the codes in the order of the request, each on what the ones before it left; mode ALL."""
    if lock:  # always in one order, so that two requests for the same codes do not wait for each other
        await work.run("SELECT 1 FROM voucher WHERE code = ANY($1) ORDER BY code FOR UPDATE", codes)
    outcomes: list[Outcome] = []
    current, applied = order, 0
    for code in codes:
        voucher = await vouchers.find(work, code)
        error = refusal(voucher, code, work.now)
        if voucher is not None and voucher["type"] != "DISCOUNT_VOUCHER":
            raise NotEmulated("Redeeming a loyalty card")
        if error is None and voucher is not None:
            related = [("voucher", voucher["id"]), ("campaign", voucher["campaign_id"])]
            beside = [
                (each.voucher["campaign_id"], each.voucher["id"]) for each in outcomes if each.applies and each.voucher
            ]
            subject = Subject(customer, current, voucher, metadata=metadata, beside=beside, lock=lock)
            error = await rules_refusal(work, related, subject)
        if error is not None:
            outcomes.append(Outcome(code, voucher, None, error))
        elif applied >= STACKING_RULES["applicable_redeemables_limit"]:
            outcomes.append(Outcome(code, voucher, None, None, "applicable_redeemables_limit_exceeded"))
        else:
            assert voucher is not None
            applied += 1
            if current is not None:
                current = taken_off(current, voucher["doc"]["discount"])
            outcomes.append(Outcome(code, voucher, current, None))
    if any(outcome.error for outcome in outcomes):
        outcomes = [
            outcome
            if outcome.error
            else Outcome(outcome.code, outcome.voucher, None, None, outcome.skipped or "preceding_validation_failed")
            for outcome in outcomes
        ]
    return outcomes


def refusal(voucher: Mapping[str, Any] | None, code: str, now: datetime) -> Failure | None:
    """Why this code can't be used now, if so."""
    if voucher is None:
        return not_found("voucher", code)
    doc = voucher["doc"]
    if not voucher["active"] or not voucher["campaign_active"]:
        return Failure(400, "voucher_disabled", "voucher is disabled", code)
    if doc.get("start_date") and parse_time(doc["start_date"]) > now:
        return Failure(400, "voucher_not_active", "voucher is not active yet", code)
    if doc.get("expiration_date") and parse_time(doc["expiration_date"]) <= now:
        return Failure(400, "voucher_expired", "voucher expired", code)
    if voucher["quantity"] is not None and voucher["redeemed_quantity"] >= voucher["quantity"]:
        return Failure(400, "quantity_exceeded", "quantity exceeded", code)
    return None


def taken_off(order: dict[str, Any], discount: dict[str, Any]) -> dict[str, Any]:
    """The order after one more discount on its whole; `applied_…` are those of this discount alone."""
    left = order["amount"] - order.get("total_discount_amount", 0)
    if discount["type"] == "AMOUNT":
        wanted = int(discount["amount_off"])
    else:
        share = Decimal(left) * Decimal(str(discount["percent_off"])) / 100
        wanted = int(share.quantize(Decimal(1), ROUND_HALF_UP))
        wanted = min(wanted, discount.get("amount_limit", wanted))
    off = max(0, min(wanted, left))
    return orders.with_total(
        {
            **order,
            "discount_amount": order.get("discount_amount", 0) + off,
            "total_discount_amount": order.get("total_discount_amount", 0) + off,
            "applied_discount_amount": off,
            "total_applied_discount_amount": off,
        }
    )


def all_together(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """The order after all discounts of a request: what is applied is their sum."""
    applied = after.get("total_discount_amount", 0) - before.get("total_discount_amount", 0)
    if "total_discount_amount" not in after:
        return after
    return {**after, "applied_discount_amount": applied, "total_applied_discount_amount": applied}


def without_discounts(order: dict[str, Any]) -> dict[str, Any]:
    return orders.with_total({name: value for name, value in order.items() if not name.endswith("discount_amount")})
