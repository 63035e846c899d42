"""Which customers a segment has: filters read, what they ask about gathered, and asked. Reads only.

documented: `junction`, the conditions, fields of the profile, metadata, orders, redemptions, custom events and
points; a customer whom nobody knows belongs where an empty profile with that id would. inferred: membership by a
filter is looked up when it is asked, so the passing of time counts too.
"""

# ruff: noqa: S608 - what is put together here are constants; values are parameters

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import asyncpg

from app.sandbox import operators, render_loyalty
from app.sandbox.errors import NotEmulated, invalid_payload
from app.sandbox.vouchers import CARD_SUMS
from app.sandbox.work import Work

_PROFILE = ("source_id", "name", "description", "email", "phone", "birthdate", "created_at", "updated_at")
_SUMMARY = (
    *("orders.total_amount", "orders.total_count", "orders.average_amount"),
    *("orders.last_order_amount", "orders.last_order_date"),
    *("redemptions.total_redeemed", "redemptions.total_succeeded", "redemptions.total_failed"),
    "redemptions.total_rolled_back",
)
_EVENTS = ("events.", ".count")
_CARDS = ("loyalty_points.campaigns.", ".points")
_POINTS = "loyalty.points"
_BATCH = 1000


def read_filter(given: Mapping[str, Any]) -> dict[str, Any]:
    """A filter, checked.

    Raises:
        Failure: it is not valid, or asks about something that the sandbox does not emulate.
    """
    if given.get("junction") is not None and str(given["junction"]).lower() not in {"and", "or"}:
        raise invalid_payload("Property .filter.junction must be equal to one of the allowed values")
    fields = {field: asked for field, asked in given.items() if field != "junction"}
    if not fields:
        raise invalid_payload("Property .filter must NOT have fewer than 1 fields")
    for field, asked in fields.items():
        if not _is_known(field):
            raise NotEmulated(f"A segment by '{field}'")
        conditions = asked.get("conditions") if isinstance(asked, dict) else None
        if not isinstance(conditions, dict) or not conditions:
            raise invalid_payload(f"Property .filter.{field} should have required property 'conditions'")
        for operator, value in conditions.items():
            canonical = operators.canonical(operator)
            if canonical not in operators.EMULATED:
                raise NotEmulated(f"The operator {operator} of a segment")
            if problem := operators.unreadable(canonical, value):
                raise invalid_payload(f"Property .filter.{field}.conditions.{operator} {problem}")
    return dict(given)


def _is_known(field: str) -> bool:
    return (
        field in {*_PROFILE, _POINTS}
        or field.removeprefix("summary.") in _SUMMARY
        or any(
            _between(field, *around) is not None for around in (_EVENTS, _CARDS, ("metadata.", ""), ("address.", ""))
        )
    )


def _between(field: str, start: str, end: str) -> str | None:
    """The free part of a field's name, which may hold dots and spaces itself."""
    if field.startswith(start) and field.endswith(end) and len(field) > len(start) + len(end):
        return field[len(start) : len(field) - len(end)]
    return None


def belongs(wanted: Mapping[str, Any], facts: Mapping[str, Any], now: datetime) -> bool:
    """Whether a customer, known by these facts, fits a filter. Pure."""
    fields = {field: asked for field, asked in wanted.items() if field != "junction"}
    fits = [operators.satisfied(asked["conditions"], value(field, facts), now) for field, asked in fields.items()]
    return any(fits) if str(wanted.get("junction")).lower() == "or" else all(fits)


def value(field: str, facts: Mapping[str, Any]) -> Any:
    """What a field of a filter means for a customer. Pure."""
    if (event := _between(field, *_EVENTS)) is not None:
        return facts["events"].get(event, 0)
    if (campaign := _between(field, *_CARDS)) is not None:
        return facts["points"].get(campaign)
    if field == _POINTS:
        return sum(facts["points"].values())
    if field.startswith("summary."):
        return facts["summary"].get(field.removeprefix("summary."))
    if field.startswith(("metadata.", "address.")):
        whole, _, key = field.partition(".")
        return (facts["profile"].get(whole) or {}).get(key)
    return facts["profile"].get(field)


def stranger(reference: str) -> dict[str, Any]:
    """The facts of somebody who is no customer yet."""
    return {"profile": {"source_id": reference}, "summary": _no_summary(), "events": {}, "points": {}}


def _no_summary() -> dict[str, Any]:
    return {name: None if name.endswith("last_order_date") else 0 for name in _SUMMARY}


async def facts_of(
    work: Work, customers: Sequence[Mapping[str, Any]], filters: Sequence[Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """What these filters may ask about these customers, by customer id: one query for each kind of it."""
    fields = {field for each in filters for field in each}
    found = {row["id"]: stranger(row["id"]) for row in customers}
    for row in customers:
        found[row["id"]]["profile"] = {
            **row["doc"],
            **{name: row[name] for name in ("source_id", "created_at", "updated_at")},
        }
    ids = list(found)
    if any(field.startswith("summary.orders.") for field in fields):
        for row in await work.all(_ORDERS, ids):
            found[row["customer_id"]]["summary"] |= {f"orders.{name}": row[name] for name in _ORDER_SUMS}
    if any(field.startswith("summary.redemptions.") for field in fields):
        for row in await work.all(_REDEMPTIONS, ids):
            found[row["customer_id"]]["summary"] |= {f"redemptions.{name}": row[name] for name in _REDEMPTION_SUMS}
    if any(field.startswith("events.") for field in fields):
        for row in await work.all(_CUSTOM_EVENTS, ids):
            found[row["customer_id"]]["events"][row["type"]] = row["count"]
    if any(field.startswith("loyalty") for field in fields):
        for row in await work.all(_CARD_POINTS, ids):
            found[row["holder_id"]]["points"][row["campaign"]] = render_loyalty.card_balance(row)
    return found


_ORDER_SUMS = ("total_amount", "total_count", "average_amount", "last_order_amount", "last_order_date")
_ORDERS = """
  SELECT customer_id, sum(total_amount)::bigint AS total_amount, count(*) AS total_count,
    (sum(total_amount) / count(*))::bigint AS average_amount,
    (array_agg(total_amount ORDER BY created_at DESC))[1] AS last_order_amount, max(created_at) AS last_order_date
  FROM customer_order WHERE customer_id = ANY($1) AND status IN ('PAID', 'FULFILLED') GROUP BY customer_id
"""
_REDEMPTION_SUMS = ("total_redeemed", "total_succeeded", "total_failed", "total_rolled_back")
_REDEMPTIONS = """
  SELECT customer_id, count(*) FILTER (WHERE status IN ('SUCCEEDED', 'ROLLED_BACK')) AS total_redeemed,
    count(*) FILTER (WHERE status IN ('SUCCEEDED', 'ROLLED_BACK')) AS total_succeeded,
    count(*) FILTER (WHERE status = 'FAILED') AS total_failed,
    count(*) FILTER (WHERE status = 'ROLLED_BACK') AS total_rolled_back
  FROM redemption WHERE customer_id = ANY($1) AND object = 'redemption' AND voucher_id IS NOT NULL
  GROUP BY customer_id
"""
_CUSTOM_EVENTS = """
  SELECT customer_id, type, count(*) AS count FROM custom_event WHERE customer_id = ANY($1) GROUP BY customer_id, type
"""
_CARD_POINTS = f"""
  SELECT v.holder_id, c.name AS campaign, {CARD_SUMS} FROM voucher v JOIN campaign c ON c.id = v.campaign_id
  LEFT JOIN point_transaction t ON t.voucher_id = v.id
  WHERE v.holder_id = ANY($1) AND v.type = 'LOYALTY_CARD' GROUP BY v.id, c.name
"""


async def inside(work: Work, customer: Mapping[str, Any], segments: Sequence[str] | None = None) -> frozenset[str]:
    """The ids of those of these segments (by default: of all) that a customer belongs to."""
    rows = await work.all(
        "SELECT s.*, EXISTS (SELECT 1 FROM segment_member WHERE segment_id = s.id AND customer_id = $2) AS listed "
        "FROM segment s WHERE $1::text[] IS NULL OR s.id = ANY($1)",
        segments,
        customer["id"],
    )
    filters = [row["filter"] for row in rows if row["filter"]]
    facts = (await facts_of(work, [customer], filters))[customer["id"]] if filters else {}
    return frozenset(
        row["id"]
        for row in rows
        if (row["listed"] if row["type"] == "static" else belongs(row["filter"], facts, work.now))
    )


async def members(work: Work, segment: asyncpg.Record) -> list[str]:
    """The ids of all customers in a segment."""
    if segment["type"] == "static":
        rows = await work.all("SELECT customer_id FROM segment_member WHERE segment_id = $1", segment["id"])
        return [row["customer_id"] for row in rows]
    found: list[str] = []
    after = ""
    while rows := await work.all("SELECT * FROM customer WHERE id > $1 ORDER BY id LIMIT $2", after, _BATCH):
        facts = await facts_of(work, rows, [segment["filter"]])
        found += [row["id"] for row in rows if belongs(segment["filter"], facts[row["id"]], work.now)]
        after = rows[-1]["id"]
    return found
