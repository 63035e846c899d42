"""Entries of customers' activity: written in the transaction of the effects that they tell of."""

from typing import Any

from app.sandbox.clock import iso
from app.sandbox.render import Row
from app.sandbox.work import Work

CATEGORIES = ("ACTION", "EFFECT")
_ACTIONS = ("customer.custom_event", "customer.redemption.")
_OF_CUSTOMERS = {
    "publication.succeeded": "customer.publication.succeeded",
    "redemption.failed": "customer.redemption.failed",
    "redemption.rollback.succeeded": "customer.redemption.rollback.succeeded",
    "redemption.succeeded": "customer.redemption.succeeded",
    "voucher.loyalty_card.points_added": "customer.voucher.loyalty_card.points_added",
}
"""What is told of other entities, and how the activity of the customer calls it."""


async def write(work: Work) -> None:
    """Write what this transaction announced and concerns a customer, in the order of its announcing."""
    rows = []
    for event, _, data in work.announced:
        own = event.type.startswith("customer.")
        kind = event.type if own else _OF_CUSTOMERS.get(event.type)
        customer = event.entity_id if own else (data.get("customer") or {}).get("id")
        if kind is None or customer is None:
            continue
        category = "ACTION" if kind.startswith(_ACTIONS) else "EFFECT"
        campaign = (data.get("campaign") or {}).get("id")
        rows.append((f"evcus_{event.id.partition('_')[2]}", customer, kind, category, campaign, _data(work, data)))
    if rows:
        # Joined with the customers as they are now: one that was just deleted has no activity any more.
        await work.run(
            "INSERT INTO activity (id, customer_id, type, category, campaign_id, data, group_id, created_at) "
            "SELECT row.id, row.customer_id, row.type, row.category, row.campaign_id, row.data, $7, $8 "
            "FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::jsonb[]) "
            "WITH ORDINALITY AS row (id, customer_id, type, category, campaign_id, data, place) "
            "JOIN customer ON customer.id = row.customer_id ORDER BY place",
            *(list(column) for column in zip(*rows, strict=True)),
            work.call.request_id,
            work.now,
        )


def _data(work: Work, data: dict[str, Any]) -> dict[str, Any]:
    source = {"channel": "API", "api_key": {"name": "Primary", "app_id": work.call.app_id}}
    return {"data": data, "event_source": source}


def shown(row: Row) -> dict[str, Any]:
    """An entry as the API gives it."""
    return {
        "id": row["id"],
        "type": row["type"],
        "data": row["data"],
        "created_at": iso(row["created_at"]),
        "group_id": row["group_id"],
    }
