"""Orders: upserted on `source_id`, which is our order id. Money in minor units."""

from typing import Any
from urllib.parse import quote

from app.errors import VoucherifyRefused
from app.voucherify.client import Client


async def get(client: Client, source_id: str) -> dict[str, Any] | None:
    """The order as Voucherify has it, or None when it has none."""
    try:
        order: dict[str, Any] = await client.call("GET", f"/v1/orders/{quote(source_id, safe='')}")
    except VoucherifyRefused as error:
        if error.code == 404:
            return None
        raise
    return order
