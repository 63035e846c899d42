"""Validating and redeeming one voucher for an order that is not paid yet, and taking a redemption back."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from app.errors import VoucherifyRefused, VoucherifyUnclear
from app.voucherify.client import Client

REASONS = {
    "quantity_exceeded": "it has been used already",
    "voucher_expired": "it has expired",
    "voucher_not_active": "it is not valid yet",
    "voucher_disabled": "it is switched off",
    "not_found": "there is no such code",
    "resource_not_found": "there is no such code",
    "customer_rules_violated": "it is not for this member",
    "order_rules_violated": "it is not for this basket",
}
"""Why a voucher can't be used, by Voucherify's error key: the end of a sentence that begins "The coupon …"."""


def redemption(code: str, order: dict[str, Any], customer: dict[str, Any], request_id: str) -> dict[str, Any]:
    """The body of `POST /v1/redemptions`. `order` has `source_id`, and `CREATED` keeps it from earning yet."""
    return {
        "redeemables": [{"object": "voucher", "id": code}],
        "order": {**order, "status": "CREATED"},
        "customer": customer,
        "metadata": {"request_id": request_id},
    }


async def redeem(client: Client, body: dict[str, Any]) -> dict[str, Any]:
    """Redeem. Not idempotent: after an unclear answer read the order by its `source_id` first."""
    answer: dict[str, Any] = await client.call("POST", "/v1/redemptions", body, urgent=True)
    return answer


async def validate(client: Client, code: str, order: dict[str, Any], customer: dict[str, Any]) -> dict[str, Any]:
    """What the voucher would do to the order; changes nothing. `valid` is false with the reason inside."""
    body = {"redeemables": [{"object": "voucher", "id": code}], "order": order, "customer": customer}
    answer: dict[str, Any] = await client.call("POST", "/v1/validations", body, urgent=True)
    return answer


def standing(order: Mapping[str, Any]) -> list[str]:
    """The redemptions of an order (as Voucherify has it) that were not rolled back."""
    return [
        id_
        for id_, link in (order.get("redemptions") or {}).items()
        if not (isinstance(link, dict) and link.get("rollback_id"))
    ]


async def roll_back(client: Client, redemption_id: str, reason: str) -> str | None:
    """Roll a redemption back, so that its code is free again; returns the rollback's id.

    None when it was rolled back before, so this may be called again after an unclear answer.
    """
    try:
        answer = await client.call(
            "POST", f"/v1/redemptions/{quote(redemption_id, safe='')}/rollback", params={"reason": reason}
        )
    except VoucherifyRefused as error:
        if error.key == "already_rolled_back":
            return None
        raise
    if not isinstance(answer, dict) or "id" not in answer:
        raise VoucherifyUnclear("Voucherify's answer names no rollback.")
    return str(answer["id"])
