"""The API's objects of loyalty programmes: points, earning rules, tiers, rewards. Pure: rows in, JSON values out."""

from collections.abc import Mapping
from typing import Any

from app.sandbox.calendar_days import NEVER
from app.sandbox.clock import iso

Row = Mapping[str, Any]


def card_balance(row: Row) -> int:
    """What is left of all that a card ever got."""
    return int(row["lifetime"] - row["expired"] - row["subtracted"] - row["redeemed"])


def loyalty_card(row: Row) -> dict[str, Any]:
    """`points` is what the card ever got; the balance is what is left of it; pending points are in neither."""
    day = row["next_expiration_date"]
    return {
        "points": row["lifetime"],
        "balance": card_balance(row),
        **(
            {"next_expiration_date": day.isoformat(), "next_expiration_points": row["next_expiration_points"]}
            if day
            else {}
        ),
        "pending_points": row["pending_points"] or 0,
        "expired_points": row["expired"],
        "subtracted_points": row["subtracted"],
    }


def balance(card: Row, points: int, operation: str) -> dict[str, Any]:
    """The balance object after a movement of `points`; `card` carries the sums after it."""
    sums = loyalty_card(card)
    return {
        "type": "loyalty_card",
        "total": sums["points"],
        "object": "balance",
        "points": points,
        "balance": sums["balance"],
        "operation_type": operation,
        "related_object": {"type": "voucher", "id": card["id"]},
    }


def earning_rule(row: Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "created_at": iso(row["created_at"]),
        "updated_at": iso(row["updated_at"]),
        **row["doc"],
        "event": row["event"],
        "active": row["active"],
        "object": "earning_rule",
    }


def points_bucket(row: Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "voucher_id": row["voucher_id"],
        "campaign_id": row["campaign_id"],
        "bucket": {"total_points": row["points"]},
        "status": "ACTIVE",
        **({"expires_at": row["expires_at"].isoformat()} if row["expires_at"] != NEVER else {}),
        "created_at": iso(row["created_at"]),
        **({"updated_at": iso(row["updated_at"])} if row["updated_at"] else {}),
        "object": "loyalty_points_bucket",
    }


def pending_points(row: Row) -> dict[str, Any]:
    return {
        **{name: row[name] for name in ("id", "voucher_id", "campaign_id", "customer_id", "order_id", "points")},
        "activates_at": row["activates_at"].isoformat(),
        "details": row["details"],
        "created_at": iso(row["created_at"]),
        **({"updated_at": iso(row["updated_at"])} if row["updated_at"] else {}),
    }


def tier(row: Row) -> dict[str, Any]:
    """A tier; `row` may carry the days of the member who is in it."""
    bounds = {"from": row["from_points"], **({"to": row["to_points"]} if row["to_points"] is not None else {})}
    shown = {
        "id": row["id"],
        "name": row["name"],
        "campaign_id": row["campaign_id"],
        **row["doc"],
        "created_at": iso(row["created_at"]),
        "updated_at": iso(row["updated_at"]),
        "config": {"points": bounds},
        "points": bounds,
        "object": "loyalty_tier",
    }
    if "member_since" in row:
        days = {name: row[name].isoformat() for name in ("start_date", "expiration_date") if row[name]}
        shown["expiration"] = {
            "customer_id": row["holder_id"],
            "campaign_id": row["campaign_id"],
            "tier_id": row["id"],
            **days,
            "created_at": iso(row["member_since"]),
            **({"updated_at": iso(row["member_updated_at"])} if row["member_updated_at"] else {}),
        }
    return shown


def reward(row: Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "name": row["name"],
        "stock": row["stock"],
        "redeemed": row["redeemed"] or None,
        **row["doc"],
        "type": row["type"],
        "created_at": iso(row["created_at"]),
        "updated_at": iso(row["updated_at"]),
        "object": "reward",
    }


def assignment(row: Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "reward_id": row["reward_id"],
        "related_object_id": row["campaign_id"],
        "related_object_type": "campaign",
        **_price(row),
        "created_at": iso(row["created_at"]),
        "updated_at": iso(row["updated_at"]),
        "object": "reward_assignment",
    }


def _price(assignment: Row) -> dict[str, Any]:
    """What a reward costs; one that orders are paid with has no price."""
    if assignment["points"] is None:
        return {}
    by_itself = {"auto_redeem": True} if assignment["auto_redeem"] else {}
    return {"parameters": {"loyalty": {"points": assignment["points"], **by_itself}}}
