"""Webhooks as Voucherify (v2024-01-01) sends them, signed and posted."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import msgspec

from app.voucherify.signature import sign
from tests.web import Web

START = datetime(2026, 11, 22, 12, tzinfo=UTC)


def notice(type_: str, data: dict[str, Any], event_id: str | None = None, source: str = "wh_1") -> dict[str, Any]:
    return {
        "id": f"whs_{uuid4().hex[:8]}",
        "type": type_,
        "data": data,
        "source": {"id": source, "object": "webhook", "target_url": "https://x.y"},
        "event": {"id": event_id or f"ev_{uuid4().hex}", "type": type_, "created_at": "2026-11-22T12:00:00.000Z"},
    }


def movement(
    member: UUID, points: int, balance: int, seconds: int, transaction_id: str | None = None
) -> dict[str, Any]:
    """Points moved on the member's card, `seconds` after the start, to this balance."""
    transaction = {
        "id": transaction_id or f"vtx_{uuid4().hex}",
        "type": "POINTS_ACCRUAL" if points > 0 else "POINTS_REDEMPTION",
        "reason": None,
        "created_at": (START + timedelta(seconds=seconds)).isoformat(),
        "details": {"balance": {"type": "loyalty_card", "points": points, "balance": balance, "total": balance}},
    }
    voucher = {"code": f"CC-{str(member)[:8]}", "campaign": "Loyalty Program", "type": "LOYALTY_CARD"}
    data = {"transaction": transaction, "voucher": voucher, "holder": {"source_id": str(member)}}
    return notice("voucher.loyalty_card.transaction.created", data)


def coupon(member: UUID, code: str, order_id: UUID) -> dict[str, Any]:
    """A coupon was published to the member for an order."""
    discount = {"type": "PERCENT", "percent_off": 10}
    voucher = {"code": code, "type": "DISCOUNT_VOUCHER", "campaign": "Big basket", "discount": discount}
    data = {
        "publication": {"source_id": f"big-basket:{order_id}", "created_at": START.isoformat()},
        "customer": {"source_id": str(member)},
        "campaign": {"name": "Big basket"},
        "vouchers": [voucher],
    }
    return notice("publication.succeeded", data)


async def post(web: Web, body: dict[str, Any] | bytes, signature: str | None = None) -> httpx.Response:
    """Post a webhook, signed with the project's secret unless told otherwise."""
    async with web.client() as client:
        return await send(web, client, body, signature)


async def send(
    web: Web, client: httpx.AsyncClient, body: dict[str, Any] | bytes, signature: str | None = None
) -> httpx.Response:
    raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
    assert web.settings.webhook_secret is not None
    given = sign(web.settings.webhook_secret.get_secret_value(), raw) if signature is None else signature
    headers = {"content-type": "application/json", "x-voucherify-signature": given}
    return await client.post("/webhooks/voucherify", content=raw, headers=headers)
