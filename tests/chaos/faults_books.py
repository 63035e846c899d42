"""The books of a town after the trouble: till, log, deliveries, Voucherify's ledger, profile and facts must agree."""

import asyncio
import time
from collections import Counter
from typing import Any
from uuid import UUID

import asyncpg
import httpx

from tests.chaos.faults_town import Town

WELCOME = 50
SETTLED_WITHIN = 150.0

WAITING = """
SELECT (SELECT count(*) FROM orders WHERE member_id = ANY($1) AND status = 'PENDING') AS orders,
       (SELECT count(*) FROM emission WHERE status = 'pending') AS emissions,
       (SELECT count(*) FROM event JOIN log_cursor USING (partition)
        WHERE consumer = 'route' AND event.position > log_cursor.position) AS events,
       (SELECT count(*) FROM delivery WHERE person = ANY($2) AND status = 'pending') AS deliveries,
       (SELECT count(*) FROM webhook WHERE member_id = ANY($1) AND status = 'pending') AS webhooks,
       (SELECT count(*) FROM profile WHERE jsonb_exists(loyalty, 'unsettled')) AS balances
"""


STUCK = """
SELECT delivery.id, delivery.attempts, held, passed, error, delivery.due_at - now() AS due, lane.owner,
       lane.due_at - now() AS lane_due, down_since, probe_at - now() AS asked_in, reason,
       (SELECT json_agg(attempt) FROM attempt WHERE delivery_id = delivery.id) AS tries
FROM delivery LEFT JOIN lane USING (destination, person) LEFT JOIN destination_state USING (destination)
WHERE delivery.person = ANY($1) AND status = 'pending' ORDER BY delivery.id
"""


SESSIONS = """
SELECT pid, state, wait_event, pg_blocking_pids(pid) AS blocked_by, now() - xact_start AS open_for,
       left(query, 60) AS query
FROM pg_stat_activity WHERE datname = current_database() AND xact_start IS NOT NULL AND pid <> pg_backend_pid()
"""
CURSORS = "SELECT log_cursor.*, until - now() AS leased_for FROM log_cursor WHERE consumer = 'route' ORDER BY partition"


async def settle(town: Town) -> None:
    """Wait until nothing of these members is on its way any more."""
    until = time.monotonic() + SETTLED_WITHIN
    async with town.database() as connection:
        while True:
            # The sender first: what it has handed over by now is in the rows that are read then.
            unsent = _unsent_webhooks(town)
            rows = await connection.fetchrow(WAITING, list(map(UUID, town.members)), town.members)
            left = {"unsent webhooks": unsent} | {name: count for name, count in rows.items() if count}
            if not any(left.values()):
                return
            if time.monotonic() > until:
                rows = await connection.fetch(STUCK, town.members)
                rows += [*await connection.fetch(SESSIONS), *await connection.fetch(CURSORS)]
                raise AssertionError(f"still on its way: {left}\n" + "\n".join(str(dict(row)) for row in rows))
            await asyncio.sleep(0.1)


def _unsent_webhooks(town: Town) -> int:
    """How many webhooks wait in the sandbox. One that was refused waits a minute of its clock, which is moved here."""
    rows = httpx.get(
        f"{town.house.sandbox}/sandbox/deliveries", params={"state": "WAITING", "limit": 100}, timeout=10
    ).json()["data"]
    if any(row["attempts"] for row in rows):
        httpx.post(f"{town.house.sandbox}/sandbox/clock", json={"advance": 60}, timeout=60)
    return len(rows)


async def agree(town: Town) -> None:
    """The common end of a test on the whole road: once everything has settled, all parts tell the same story."""
    await settle(town)
    async with town.database() as connection:
        for member in town.members:
            await _one_story(town, connection, member)


async def _one_story(town: Town, connection: asyncpg.Connection, member: str) -> None:
    orders = await connection.fetch("SELECT * FROM orders WHERE member_id = $1", UUID(member))
    assert sorted(row["idempotency_key"] for row in orders) == sorted(town.keys[member])
    paid = {str(row["id"]): row for row in orders if row["status"] == "PAID"}
    assert all(row["status"] in {"PAID", "CANCELED"} for row in orders)
    await _events_and_deliveries(connection, member, list(paid))
    ledger = _ledger(town, member)
    earned = {order_id: row["total"] // 100 for order_id, row in paid.items()}
    assert Counter((row["details"]["order"]["source_id"], _points(row)) for row in ledger) == Counter(earned.items())
    _coupons(town, member, paid)
    await _mirrors(town, connection, member, ledger)


async def _events_and_deliveries(connection: asyncpg.Connection, member: str, orders: list[str]) -> None:
    """One emission, sent, and one event for each paid order, and each delivery of it done."""
    emissions = await connection.fetch(
        "SELECT order_id, status FROM emission WHERE order_id = ANY($1) AND source = 'till' ORDER BY order_id", orders
    )
    events = await connection.fetch(
        "SELECT order_id, person FROM event WHERE order_id = ANY($1) AND name = 'Order Completed' ORDER BY order_id",
        orders,
    )
    assert [tuple(row) for row in emissions] == [(order, "sent") for order in sorted(orders)]
    assert [tuple(row) for row in events] == [(order, member) for order in sorted(orders)]
    deliveries = await connection.fetch(
        """SELECT order_id, mapping, status FROM delivery JOIN event ON event.position = event_position
           WHERE order_id = ANY($1) ORDER BY order_id""",
        orders,
    )
    assert [tuple(row) for row in deliveries] == [(order, "order-paid", "delivered") for order in sorted(orders)]
    facts = await connection.fetchval("SELECT count(*) FROM order_fact WHERE order_id = ANY($1)", orders)
    assert facts == len(orders)


def _ledger(town: Town, member: str) -> list[dict[str, Any]]:
    """What Voucherify's ledger has of the member's card."""
    answer = town.house.voucherify("GET", f"/v1/loyalties/members/{town.cards[member]}/transactions?limit=100")
    assert not answer["has_more"], "a test sells less than that"
    rows: list[dict[str, Any]] = answer["data"]
    return rows


def _points(row: dict[str, Any]) -> int:
    found: int = row["details"]["balance"]["points"]
    return found


def _coupons(town: Town, member: str, paid: dict[str, asyncpg.Record]) -> None:
    """One redemption of each coupon, and by the order that has it; one publication of each reason, and no others."""
    redemptions = town.house.voucherify("GET", f"/v1/redemptions?customer={member}&result=SUCCESS&limit=100")
    redeemed = Counter((row["voucher"]["code"], row["order"]["source_id"]) for row in redemptions["redemptions"])
    assert redeemed == Counter((row["coupon"], order_id) for order_id, row in paid.items() if row["coupon"])
    published = town.house.voucherify("GET", f"/v1/publications?customer={member}&campaign=Big%20basket&limit=100")
    reasons = Counter(row["source_id"] for row in published["publications"])
    assert reasons == Counter(f"big-basket:{order_id}" for order_id, row in paid.items() if row["total"] > 1500)


async def _mirrors(town: Town, connection: asyncpg.Connection, member: str, ledger: list[dict[str, Any]]) -> None:
    """Card, profile and facts say what the ledger says."""
    card = town.house.voucherify("GET", f"/v1/loyalties/members/{town.cards[member]}")["loyalty_card"]["balance"]
    mirror = await connection.fetchval(
        """SELECT loyalty FROM profile JOIN profile_identifier ON profile_id = profile.id
           WHERE type = 'user_id' AND value = $1""",
        member,
    )
    assert (mirror["card"], mirror["balance"]) == (town.cards[member], card)
    assert card == WELCOME + sum(map(_points, ledger))
    movements = await connection.fetch(
        "SELECT transaction_id, points, order_id FROM point_movement WHERE member_id = $1", UUID(member)
    )
    assert sorted(map(tuple, movements)) == sorted(
        (row["id"], _points(row), row["details"]["order"]["source_id"]) for row in ledger
    )
    wallet = await connection.fetch("SELECT code, redeemed_order_id FROM coupon WHERE member_id = $1", UUID(member))
    used = await connection.fetch(
        "SELECT coupon, id::text FROM orders WHERE member_id = $1 AND status = 'PAID' AND coupon IS NOT NULL",
        UUID(member),
    )
    assert {tuple(row) for row in wallet if row["redeemed_order_id"]} == set(map(tuple, used))
