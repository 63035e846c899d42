"""What the dashboard shows, read from the database: no writes here."""

from typing import Any

import msgspec

from app.sandbox import customers, render, render_loyalty, vouchers
from app.sandbox.activity_entries import shown as entry
from app.sandbox.errors import not_found
from app.sandbox.store import Store

PAGE = 25
_COUNTED = {
    "customers": "customer",
    "campaigns": "campaign",
    "vouchers": "voucher",
    "orders": "customer_order",
    "redemptions": "redemption",
    "movements of points": "point_transaction",
}


def pretty(value: Any) -> str:
    """JSON to be read by people."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


async def overview(store: Store) -> dict[str, Any]:
    """How much there is of everything."""
    pool = await store.pool()
    counts = {name: await pool.fetchval(f"SELECT count(*) FROM {table}") for name, table in _COUNTED.items()}  # noqa: S608
    waiting = await pool.fetch("SELECT state, count(*) FROM delivery GROUP BY state")
    return {"counts": counts, "deliveries": {row["state"]: row["count"] for row in waiting}}


async def customer_list(store: Store, wanted: str, page: int) -> dict[str, Any]:
    """Customers, newest first, whose id, source_id, name, e-mail or phone has what is wanted."""
    where = "$1 = '' OR id = $1 OR " + " OR ".join(
        f"strpos(lower({column}), lower($1)) > 0"
        for column in ("source_id", "email", "doc ->> 'name'", "doc ->> 'phone'")
    )
    async with store.work() as work:
        rows = await work.all(
            f"SELECT * FROM customer WHERE {where} ORDER BY created_at DESC, id LIMIT $2 OFFSET $3",  # noqa: S608 - constants
            wanted,
            PAGE + 1,
            (page - 1) * PAGE,
        )
        shown = [await customers.full(work, row) for row in rows[:PAGE]]
    return {"customers": shown, "more": len(rows) > PAGE}


async def customer(store: Store, reference: str) -> dict[str, Any]:
    """One customer with cards, codes, movements, orders and what happened."""
    async with store.work() as work:
        row = await customers.found(work, reference)
        held = await work.all(f"{vouchers.SELECT} WHERE v.holder_id = $1 ORDER BY v.created_at DESC, v.id", row["id"])
        shown = [render.voucher(each, store.config.url) for each in held]
        movements = await work.all(
            "SELECT t.*, v.code FROM point_transaction t JOIN voucher v ON v.id = t.voucher_id "
            "WHERE v.holder_id = $1 ORDER BY t.seq DESC LIMIT 50",
            row["id"],
        )
        orders = await work.all(
            "SELECT * FROM customer_order WHERE customer_id = $1 ORDER BY created_at DESC, id LIMIT 20", row["id"]
        )
        activity = await work.all("SELECT * FROM activity WHERE customer_id = $1 ORDER BY seq DESC LIMIT 30", row["id"])
        return {
            "customer": await customers.full(work, row),
            "cards": [each for each in shown if each["type"] == "LOYALTY_CARD"],
            "codes": [each for each in shown if each["type"] != "LOYALTY_CARD"],
            "movements": [_movement(each) for each in movements],
            "orders": [render.order(each) for each in orders],
            "activity": [entry(each) for each in activity],
        }


def _movement(row: render.Row) -> dict[str, Any]:
    details = row["details"] or {}
    return {
        **render.transaction(row),
        "code": row["code"],
        "points": row["points"],
        "balance": (details.get("balance") or {}).get("balance"),
        "cause": _cause(details),
    }


def _cause(details: dict[str, Any]) -> str:
    """In a few words, what made a movement."""
    rule = (details.get("earning_rule") or {}).get("source") or {}
    order = (details.get("order") or {}).get("source_id") or (details.get("order") or {}).get("id")
    return " · ".join(str(each) for each in (rule.get("banner"), order) if each)


async def campaign_list(store: Store) -> list[dict[str, Any]]:
    """Every campaign with how many codes it has, and how many of them somebody has."""
    rows = await (await store.pool()).fetch(
        "SELECT c.id, c.name, c.campaign_type, c.active, c.created_at, count(v.id) AS vouchers, "
        "count(v.holder_id) AS held FROM campaign c LEFT JOIN voucher v ON v.campaign_id = c.id "
        "GROUP BY c.id ORDER BY c.created_at DESC, c.id"
    )
    return [dict(row) for row in rows]


async def campaign(store: Store, reference: str, wanted: str, page: int) -> dict[str, Any]:
    """One campaign with its earning rules and its codes; `wanted` is how a code begins."""
    async with store.work() as work:
        row = await work.one("SELECT * FROM campaign WHERE id = $1 OR name = $1", reference)
        if row is None:
            raise not_found("campaign", reference)
        rules = await work.all("SELECT * FROM earning_rule WHERE campaign_id = $1 ORDER BY created_at, id", row["id"])
        found = await work.all(
            f"{vouchers.SELECT} WHERE v.campaign_id = $1 AND starts_with(v.code, $2) "
            "ORDER BY v.created_at DESC, v.id LIMIT $3 OFFSET $4",
            row["id"],
            wanted,
            PAGE + 1,
            (page - 1) * PAGE,
        )
        return {
            "campaign": render.campaign(row),
            "rules": [render_loyalty.earning_rule(rule) for rule in rules],
            "vouchers": [render.voucher(each, store.config.url) for each in found[:PAGE]],
            "more": len(found) > PAGE,
        }


async def voucher(store: Store, reference: str) -> dict[str, Any]:
    """One code or card with its movements of points."""
    async with store.work() as work:
        row = await vouchers.found(work, reference)
        movements = await work.all(
            "SELECT t.*, v.code FROM point_transaction t JOIN voucher v ON v.id = t.voucher_id "
            "WHERE v.id = $1 ORDER BY t.seq DESC LIMIT 100",
            row["id"],
        )
        return {
            "voucher": render.voucher(row, store.config.url),
            "movements": [_movement(each) for each in movements],
        }


async def deliveries(store: Store, state: str | None, page: int) -> dict[str, Any]:
    """Webhooks as they were or will be sent, newest first."""
    rows = await (await store.pool()).fetch(
        "SELECT d.id, d.event_type, d.state, d.attempts, d.due_at, d.delivered_at, d.answer, w.name, w.active, "
        "convert_from(d.body, 'UTF8')::jsonb AS body FROM delivery d JOIN webhook w ON w.id = d.webhook_id "
        "WHERE $1::text IS NULL OR d.state = $1 ORDER BY d.seq DESC LIMIT $2 OFFSET $3",
        state,
        PAGE + 1,
        (page - 1) * PAGE,
    )
    return {"deliveries": [dict(row) for row in rows[:PAGE]], "more": len(rows) > PAGE}
