"""What a member or an operator is told of an operation, in sentences: pure."""

from app.errors import VoucherifyError
from app.points.models import PointOperation

REASONS = {
    "loyalty_card_points_exceeded": "there are not enough points on the card",
    "not_found": "it is not offered",
    "resource_not_found": "it is not offered",
    "campaign_not_active": "it is not offered now",
    "no_voucher_suitable_for_publication": "it is sold out",
    "voucher_disabled": "the card is switched off",
    "loyalty_card_not_active": "the card is switched off",
    "voucher_not_active": "the card is not valid yet",
    "voucher_expired": "the card has expired",
}
"""Why points can't be moved, by Voucherify's error key: the end of a sentence."""


def refusal(kind: str, error: VoucherifyError) -> str:
    """Why a request was refused, and that nothing happened."""
    if error.retryable:
        return f"{_can_not(kind)} now. {error.sentence} No points were moved: try again."
    return refusal_by_rule(kind, error.key, error.sentence)


def refusal_by_rule(kind: str, key: str, otherwise: str = "") -> str:
    reason = REASONS.get(key) or otherwise.rstrip(".") or f"Voucherify refused it ({key})"
    return f"{_can_not(kind)}: {reason}. No points were moved."


def told(operation: PointOperation) -> str | None:
    """What there is to say about an operation; None where all went well."""
    if operation.status == "DONE":
        return None
    if operation.status == "PENDING" and operation.refusal is None:
        return "This is under way."
    if operation.status == "PENDING":
        return (
            "It is not known yet whether this was done: no clear answer came. We look for it by ourselves, and no "
            "points are moved twice."
        )
    if operation.status == "UNCLEAR":
        return (
            "It could not be found out whether this was done. Somebody looks into it; nothing more happens by itself, "
            "and no points are moved twice."
        )
    return operation.refusal


def _can_not(kind: str) -> str:
    return "The reward can't be bought" if kind == "reward" else "The points can't be moved"
