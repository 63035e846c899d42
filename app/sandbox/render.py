"""The API's objects, made from rows; loyalty and the catalogue have files of their own. Pure: JSON values out."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from app.sandbox import lists, render_loyalty
from app.sandbox.clock import iso

Row = Mapping[str, Any]


def simple_customer(row: Row | None) -> dict[str, Any] | None:
    """The compact form in which other objects carry a customer."""
    if row is None:
        return None
    doc = row["doc"]
    return {
        "id": row["id"],
        "name": doc.get("name"),
        "email": doc.get("email"),
        "source_id": row["source_id"],
        "metadata": doc["metadata"],
        "object": "customer",
    }


def customer(row: Row, summary: Row, cards: list[Row], cockpit: str, referrals: Sequence[Row] = ()) -> dict[str, Any]:
    """The full form. `summary` counts orders and redemptions, `cards` are the loyalty cards with their sums.

    `referrals` are those that the customer has a part in, as friend or as the one who brought a friend.
    """
    doc = row["doc"]
    brought = [each["campaign"] for each in referrals if each["referrer_id"] == row["id"]]
    came = [each for each in referrals if each["referee_id"] == row["id"]]
    campaigns: dict[str, dict[str, Any]] = {
        card["campaign"]: {
            "points": render_loyalty.card_balance(card),
            **({"loyalty_tier": card["tier_id"]} if card["tier_id"] else {}),
            "referred_customers": 0,
        }
        for card in cards
    }
    campaigns |= {name: {"points": 0, "referred_customers": brought.count(name)} for name in brought}
    points = sum(each["points"] for each in campaigns.values())
    orders: dict[str, Any] = {
        "total_amount": summary["orders_amount"],
        "total_count": summary["orders_count"],
        "average_amount": summary["orders_amount"] // summary["orders_count"] if summary["orders_count"] else 0,
        "last_order_amount": summary["last_order_amount"] or 0,
    }
    if summary["last_order_date"]:
        orders["last_order_date"] = iso(summary["last_order_date"])
    return {
        "id": row["id"],
        "source_id": row["source_id"],
        **{name: doc.get(name) for name in ("name", "description", "email", "phone", "birthdate", "address")},
        "summary": {
            "redemptions": {
                "total_redeemed": summary["succeeded"],
                "total_failed": summary["failed"],
                "total_succeeded": summary["succeeded"],
                "total_rolled_back": summary["rolled_back"],
                "total_rollback_failed": 0,
                "total_rollback_succeeded": summary["rolled_back"],
                "gift": {"redeemed_amount": summary["gift_redeemed"], "amount_to_go": summary["gift_left"]},
                "loyalty_card": {"redeemed_points": sum(card["redeemed"] for card in cards), "points_to_go": points},
            },
            "orders": orders,
        },
        "loyalty": {"points": points, "referred_customers": len(brought), "campaigns": campaigns},
        "referrals": {"total": len(came), "campaigns": [_referral(each) for each in came]},
        "metadata": doc["metadata"],
        "system_metadata": {},
        "created_at": iso(row["created_at"]),
        "updated_at": iso(row["updated_at"]),
        "assets": {"cockpit_url": f"{cockpit}/cockpit/{row['id']}"},
        "object": "customer",
    }


def _referral(row: Row) -> dict[str, Any]:
    named = ("campaign_id", "referrer_id", "related_object_id", "related_object_type")
    return {**{name: row[name] for name in named}, "date": iso(row["created_at"])}


def campaign(row: Row) -> dict[str, Any]:
    doc = dict(row["doc"])
    shown = {
        "id": row["id"],
        "name": row["name"],
        "campaign_type": row["campaign_type"],
        **doc,
        "categories": row.get("categories", []),
        "active": row["active"],
        "created_at": iso(row["created_at"]),
        "updated_at": iso(row["updated_at"]),
        "object": "campaign",
    }
    if "vouchers_count" in row:
        shown["vouchers_count"] = row["vouchers_count"]
    if "assignments" in row:
        shown["validation_rules_assignments"] = lists.whole(row["assignments"])
    return shown


def simple_campaign(row: Row) -> dict[str, Any]:
    """The form in webhooks: without the state of its code generation."""
    left_out = {"creation_status", "vouchers_generation_status", "protected", "validation_rules_assignments"}
    shown = {name: value for name, value in campaign(row).items() if name not in left_out}
    voucher = shown.get("voucher")
    if voucher is None:  # a promotion has no codes
        return shown
    return {**shown, "voucher": {**voucher, "redemption": {**voucher["redemption"], "redeemed_quantity": 0}}}


def gift(row: Row) -> dict[str, Any]:
    """A gift card's credits: `amount` is what ever came in, the balance what is left of it."""
    amount = row["initial_credits"] + row["credits_added"]
    return {
        "amount": amount,
        "subtracted_amount": row["credits_removed"],
        "balance": amount - row["credits_removed"] - row["credits_redeemed"],
        "effect": row["doc"].get("gift_effect", "APPLY_TO_ORDER"),
    }


def voucher(row: Row, url: str) -> dict[str, Any]:
    """The full form. `row` is a voucher with the name of its campaign and the sums of its ledger."""
    doc, code = row["doc"], row["code"]
    path = f"/v1/vouchers/{quote(code, safe='')}"
    card = row["type"] == "LOYALTY_CARD"
    return {
        "id": row["id"],
        "code": code,
        "campaign": row["campaign"],
        "campaign_id": row["campaign_id"],
        "category": doc.get("category"),
        "category_id": doc.get("category_id"),
        "categories": row.get("categories", []),
        "type": row["type"],
        "discount": doc.get("discount"),
        "gift": gift(row) if row["type"] == "GIFT_VOUCHER" else None,
        "loyalty_card": render_loyalty.loyalty_card(row) if card else None,
        "start_date": doc.get("start_date"),
        "expiration_date": doc.get("expiration_date"),
        "validity_timeframe": doc.get("validity_timeframe"),
        "validity_day_of_week": doc.get("validity_day_of_week"),
        "validity_hours": doc.get("validity_hours"),
        "active": row["active"] and row["campaign_active"],
        "additional_info": doc.get("additional_info"),
        "metadata": doc.get("metadata", {}),
        "assets": {
            "qr": {"id": row["id"], "url": f"{url}/api/v1/assets/qr/{row['id']}"},
            "barcode": {"id": row["id"], "url": f"{url}/api/v1/assets/barcode/{row['id']}"},
        },
        "is_referral_code": row["campaign_type"] == "REFERRAL_PROGRAM",
        "created_at": iso(row["created_at"]),
        "updated_at": iso(row["updated_at"]),
        "holder_id": row["holder_id"],
        **({"referrer_id": row["holder_id"]} if row["campaign_type"] == "REFERRAL_PROGRAM" else {}),
        "validation_rules_assignments": lists.whole(row.get("assignments", [])),
        "redemption": {
            "quantity": row["quantity"],
            "redeemed_quantity": row["redeemed_quantity"],
            **({"redeemed_points": row["redeemed"]} if card else {}),
            **({"redeemed_amount": row["credits_redeemed"]} if row["type"] == "GIFT_VOUCHER" else {}),
            "object": "list",
            "url": f"{path}/redemptions?page=1&limit=10",
        },
        "publish": {
            "object": "list",
            "count": row["publish_count"],
            "url": f"{path}/publications?page=1&limit=10",
        },
        "object": "voucher",
    }


def credit_balance(card: Row, amount: int) -> dict[str, Any]:
    """The balance object after a movement of `amount` credits; `card` carries the sums after it."""
    sums = gift(card)
    return {
        "type": "gift_voucher",
        "total": sums["amount"],
        "object": "balance",
        "amount": amount,
        "balance": sums["balance"],
        "operation_type": "MANUAL",  # credits know no other
        "related_object": {"type": "voucher", "id": card["id"]},
    }


def promotion_tier(row: Row) -> dict[str, Any]:
    """`row` is a tier with its campaign and the sums over its redemptions."""
    campaign_doc = row["campaign_doc"]
    dates = ("start_date", "expiration_date")
    recurring = ("validity_timeframe", "validity_day_of_week", "validity_hours")
    return {
        "id": row["id"],
        "created_at": iso(row["created_at"]),
        "updated_at": iso(row["updated_at"]),
        "name": row["name"],
        "banner": None,
        **row["doc"],
        "hierarchy": row["hierarchy"],
        "promotion_id": row["campaign_id"],
        "campaign": {
            "id": row["campaign_id"],
            **{name: campaign_doc.get(name) for name in dates},
            **{name: campaign_doc[name] for name in recurring if campaign_doc.get(name)},
            "active": row["campaign_active"],
            "category_id": campaign_doc.get("category_id"),
            "object": "campaign",
        },
        "campaign_id": row["campaign_id"],
        "active": row["active"],
        "summary": {
            "redemptions": {"total_redeemed": row["redeemed"]},
            "orders": {"total_amount": row["orders_amount"], "total_discount_amount": row["orders_discount"]},
        },
        "object": "promotion_tier",
        "validation_rule_assignments": lists.whole(row.get("assignments", [])),
        "category_id": row["doc"].get("category_id"),
        "categories": row.get("categories", []),
    }


def order(row: Row) -> dict[str, Any]:
    doc = row["doc"]
    return {
        "id": row["id"],
        "source_id": row["source_id"],
        "created_at": iso(row["created_at"]),
        "updated_at": iso(row["updated_at"]),
        "status": row["status"],
        **doc,
        "customer": {"id": row["customer_id"], "object": "customer"} if row["customer_id"] else None,
        "customer_id": row["customer_id"],
        **({"referrer": {"id": doc["referrer_id"], "object": "customer"}} if doc.get("referrer_id") else {}),
        "referrer_id": doc.get("referrer_id"),
        "object": "order",
    }


def transaction(row: Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "source_id": row["source_id"],
        "voucher_id": row["voucher_id"],
        "campaign_id": row["campaign_id"],
        "source": row["source"],
        "reason": row["reason"],
        "type": row["type"],
        "details": row["details"],
        "related_transaction_id": row["related_id"],
        "created_at": iso(row["created_at"]),
    }
