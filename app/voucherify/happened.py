"""Voucherify's lists that tell what happened, the newest first: a page each call.

documented: publications and redemptions are sorted by `-created_at` and paged by number, 99 pages at most (100 of
publications); the transactions of a campaign are sorted by `-id` and read on after an id. inferred: their ids are in
the order of time. All 28 published samples with an id and a time are, from 2023 to 2025.
"""

from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from app.errors import VoucherifyRefused, VoucherifyUnclear
from app.voucherify.client import Client

PAGE: Final = 100
"""Rows that Voucherify lists at a time, at most."""
MOST_PAGES: Final = 99


@dataclass(frozen=True)
class Page:
    """Some rows of a list, and where it goes on; None at its end."""

    rows: list[dict[str, Any]]
    next: str | None


async def publications(client: Client, place: str | None) -> Page:
    """Codes that were given to customers."""
    return await _numbered(client, "/v1/publications", "publications", place)


async def redemptions(client: Client, place: str | None) -> Page:
    """Redemptions and their rollbacks, those that failed too."""
    return await _numbered(client, "/v1/redemptions", "redemptions", place)


async def transactions(client: Client, campaign: str, place: str | None) -> Page:
    """Movements on the cards of a campaign (name or id)."""
    path = f"/v1/campaigns/{quote(campaign, safe='')}/transactions"
    after = {"starting_after_id": place} if place else {}
    answer = await client.call("GET", path, params={"limit": PAGE, "order": "-id", **after})
    rows = _rows(answer, "data")
    ids = [row["id"] for row in rows if isinstance(row, dict) and row.get("id")]
    return Page(rows, str(ids[-1]) if answer.get("has_more") and ids else None)


async def voucher(client: Client, reference: str) -> dict[str, Any] | None:
    """A voucher by its code or id; None when there is none (any more)."""
    return await _one(client, f"/v1/vouchers/{quote(reference, safe='')}")


async def customer(client: Client, reference: str) -> dict[str, Any] | None:
    """A customer by its id or `source_id`; None when there is none (any more)."""
    return await _one(client, f"/v1/customers/{quote(reference, safe='')}")


async def _numbered(client: Client, path: str, name: str, place: str | None) -> Page:
    number = int(place or 1)
    answer = await client.call("GET", path, params={"limit": PAGE, "page": number, "order": "-created_at"})
    rows = _rows(answer, name)
    return Page(rows, str(number + 1) if len(rows) == PAGE else None)


def _rows(answer: Any, name: str) -> list[dict[str, Any]]:
    rows = answer.get(name) if isinstance(answer, dict) else None
    if not isinstance(rows, list):
        raise VoucherifyUnclear("Voucherify's answer is no list.", answer=answer)
    return rows


async def _one(client: Client, path: str) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = await client.call("GET", path)
    except VoucherifyRefused as error:
        if error.code == 404:
            return None
        raise
    return found
