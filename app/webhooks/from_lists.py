"""Rows of Voucherify's lists as the webhooks that would have told of them: pure.

Their event id is made from what the row tells of, so that reading it again stores nothing; their source is the feed.
"""

from datetime import UTC, datetime
from typing import Any, Final

Row = dict[str, Any]
SOURCE: Final = "poll"


def moment(row: Row) -> datetime:
    """When it happened, by Voucherify's clock.

    Raises:
        ValueError: the row has no time or no id. Or it is a KeyError, TypeError or AttributeError.
    """
    if not isinstance(row["id"], str) or not row["id"]:
        raise ValueError("no id")
    at = datetime.fromisoformat(row.get("created_at") or row["date"])
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


def publication(row: Row, vouchers: list[Row]) -> list[Row]:
    """`vouchers` are the published ones in full."""
    data = {
        "publication": row,
        "customer": row["customer"],
        "campaign": {"name": next((each["campaign"] for each in vouchers if each.get("campaign")), None)},
        "vouchers": [_with_kind(each) for each in vouchers],
    }
    return [_webhook("publication.succeeded", row["id"], data)]


def redemption(row: Row) -> list[Row]:
    """A redemption or its rollback; nothing for one that failed."""
    if row.get("result") != "SUCCESS":
        return []
    voucher, customer = row.get("voucher") or {}, row.get("customer")
    told = {"customer": customer, "order": row.get("order"), "voucher": _with_kind(voucher)}
    if row.get("object") == "redemption_rollback":
        undone = row["redemption"]
        undone = undone if isinstance(undone, dict) else {"id": undone}
        return [_webhook("redemption.rollback.succeeded", row["id"], {**told, "redemption": undone, "rollback": row})]
    held = voucher.get("holder_id") is not None and voucher.get("holder_id") == row.get("customer_id")
    data = {**told, "holder": customer if held else None, "redemption": row}
    return [_webhook("redemption.succeeded", row["id"], data)]


def transaction(row: Row, card: str, campaign: str, member: str) -> list[Row]:
    """A movement of points; where a rule gave them, the news for Segment as well."""
    details = row["details"]
    voucher = {"code": card, "campaign": campaign, "type": "LOYALTY_CARD"}
    told = {"voucher": voucher, "holder": {"source_id": member}, "order": details.get("order")}
    made = [_webhook("voucher.loyalty_card.transaction.created", row["id"], {**told, "transaction": row})]
    if details.get("earning_rule") and row.get("type") == "POINTS_ACCRUAL":
        given = {**told, "customer": told["holder"], "campaign": {"name": campaign}, "balance": details["balance"]}
        made.append(_webhook("customer.rewarded.loyalty_points", row["id"], given))
    return made


def _webhook(kind: str, happened: str, data: Row) -> Row:
    return {"type": kind, "source": {"id": SOURCE}, "event": {"id": f"{kind}:{happened}", "type": kind}, "data": data}


def _with_kind(voucher: Row) -> Row:
    """Lists may leave out what kind a voucher is; what it holds says so."""
    if voucher.get("type") or not voucher:
        return voucher
    kind = "LOYALTY_CARD" if voucher.get("loyalty_card") else "GIFT_VOUCHER" if voucher.get("gift") else None
    return {**voucher, "type": kind or "DISCOUNT_VOUCHER"}
