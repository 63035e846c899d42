"""Voucherify's events as Segment's Voucherify source would send them, so that other destinations hear of them too.

They carry `integrations: {"Voucherify (Actions)": false}`: what Voucherify told us never goes back to it (rule 13).
"""

import hashlib
from typing import Any

import asyncpg

from app.emitter import messages
from app.emitter.outbox import emit
from app.webhooks.effects import Notice

SOURCE = "voucherify"
# Of the pairs of a project webhook and a distribution only the first: one thing that happened, one event.
NAMES = {
    "customer.rewarded.loyalty_points": "Customer Rewarded Loyalty Points",
    "publication.succeeded": "Customer Publication Succeeded",
    "redemption.succeeded": "Customer Redemption Succeeded",
    "redemption.rollback.succeeded": "Customer Redemption Rollback Succeeded",
}


async def emit_for(connection: asyncpg.Connection, notice: Notice) -> None:
    """Emit the track event of this webhook, when it has one."""
    name = NAMES.get(notice.type)
    if name is None:
        return
    message = messages.track(
        str(notice.member_id),
        f"voucherify:{happening(notice)}",
        notice.received_at,
        name,
        properties(notice),
        integrations={"All": True, messages.VOUCHERIFY: False},
    )
    await emit(connection, SOURCE, message, notice.order_id)


def happening(notice: Notice) -> str:
    """What it tells of, the same by a webhook and by the poll feed: one thing that happened is one event."""
    data = notice.data
    told: tuple[Any, ...]
    match notice.type:
        case "publication.succeeded":
            told = ((data.get("publication") or {}).get("id"),)
        case "redemption.succeeded" | "redemption.rollback.succeeded":  # a redemption is rolled back once
            told = ((data.get("redemption") or {}).get("id"),)
        case _:
            # It names no transaction. All that was ever on a card only grows by what is earned.
            balance = data.get("balance") or {}
            stated = (balance.get("points"), balance.get("total"), balance.get("balance"))
            told = ((data.get("voucher") or {}).get("code"), *stated, notice.order_id)
    if told[0] is None:
        return notice.event_id
    # A digest, for a code may be long, and a `messageId` has 100 letters at most.
    return f"{notice.type}:{hashlib.sha256(repr(told).encode()).hexdigest()[:32]}"


def properties(notice: Notice) -> dict[str, Any]:
    """Flat properties, as the docs say they are; how Voucherify flattens is not published."""
    data = notice.data
    balance, voucher = data.get("balance") or {}, data.get("voucher") or {}
    campaign = data.get("campaign") or {}
    found = {
        "campaign_name": campaign.get("name") or voucher.get("campaign"),
        "voucher_code": voucher.get("code"),
        "points": balance.get("points"),
        "balance": balance.get("balance"),
        "loyalty_order_id": notice.order_id,
    }
    return {name: value for name, value in found.items() if value is not None}
