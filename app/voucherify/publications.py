"""Publications: a code for a customer. Once, by `source_id` or by `join_once`."""

from typing import Any

from app.errors import VoucherifyRefused
from app.voucherify.client import Client
from app.voucherify.happened import PAGE


async def publish(
    client: Client, campaign: str, customer: dict[str, Any], source_id: str, metadata: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Publish one code of a campaign (name or id) and return the publication.

    Calling again with the same `source_id` returns the first publication: Voucherify's guide says so, its schema says
    that it answers 400 `duplicate_source_id`. Both are taken.
    """
    body = {
        "campaign": {"name": campaign, "count": 1},
        "customer": customer,
        "source_id": source_id,
        "metadata": metadata or {},
    }
    try:
        publication: dict[str, Any] = await client.call("POST", "/v1/publications", body)
    except VoucherifyRefused as error:
        if error.key != "duplicate_source_id":
            raise
        found = await client.call("GET", "/v1/publications", params={"source_id": source_id, "limit": 1})
        if not found.get("publications"):
            raise
        publication = found["publications"][0]
    return publication


async def join(client: Client, campaign: str, customer: dict[str, Any]) -> dict[str, Any]:
    """Publish a card of a campaign that a customer joins once; a second call returns the same card."""
    publication: dict[str, Any] = await client.call(
        "POST",
        "/v1/publications",
        {"campaign": {"name": campaign, "count": 1}, "customer": customer},
        params={"join_once": "true"},
    )
    return publication


async def of(
    client: Client, customer: str, *, campaign: str | None = None, page: int = 1, limit: int = PAGE
) -> list[dict[str, Any]]:
    """A page of what was published to a customer (id or `source_id`); of one campaign (name), if it is named."""
    only = {} if campaign is None else {"campaign": campaign}
    asked: dict[str, str | int | bool] = {"customer": customer, "limit": limit, "page": page, **only}
    answer = await client.call("GET", "/v1/publications", params=asked)
    return list(answer.get("publications") or [])


def code_of(publication: dict[str, Any]) -> str:
    """The published code. A list of publications may show the voucher as its code only."""
    voucher = publication.get("voucher") or (publication.get("vouchers") or [None])[0]
    return str(voucher["code"] if isinstance(voucher, dict) else voucher)
