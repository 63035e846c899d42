"""What the auditor reads of our own tables: in pages by key, each in a read-only transaction of its own.

Nothing is held while Voucherify is asked, so an audit of hours costs the shop a query now and then.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from app.audit.members import MemberRow, Movement, Operation
from app.audit.orders import Fact, Logged, OrderRow, Told
from app.db.session import Database
from app.points import taken_back

PAGE = 1000

_ORDER = """
SELECT o.*, fact.order_id AS fact_id, fact.user_id AS fact_user, fact.currency AS fact_currency,
       fact.amount AS fact_amount, fact.discount AS fact_discount, fact.total AS fact_total,
       fact.coupon AS fact_coupon, wallet.code AS wallet_code, wallet.redeemed_order_id AS coupon_used_by,
       (SELECT coalesce(jsonb_agg(jsonb_build_object('message_id', message_id, 'status', status) ORDER BY id), '[]')
        FROM emission WHERE order_id = o.id::text AND message->>'event' = 'Order Completed') AS told,
       (SELECT coalesce(jsonb_agg(jsonb_build_object(
                  'position', event.position, 'message_id', event.message_id,
                  'routed', event.position <= coalesce(cursor.position, 0),
                  'poison', EXISTS (SELECT FROM poison_event WHERE event_position = event.position),
                  'deliveries', (SELECT coalesce(jsonb_object_agg(destination || '/' || mapping, status), '{}')
                                 FROM delivery WHERE event_position = event.position)
               ) ORDER BY event.position), '[]')
        FROM event LEFT JOIN log_cursor AS cursor ON consumer = 'route' AND cursor.partition = event.partition
        WHERE event.order_id = o.id::text AND event.name = 'Order Completed') AS logged,
       EXISTS (SELECT FROM event JOIN delivery ON event_position = position
               WHERE event.order_id = o.id::text AND event.name = 'Order Refunded') AS refunded
FROM orders AS o
LEFT JOIN order_fact AS fact ON fact.order_id = o.id::text
LEFT JOIN coupon AS wallet ON wallet.code = o.coupon
"""


@dataclass(frozen=True)
class Scope:
    """Which rows an audit looks at: those made since a moment, or all."""

    since: datetime


@asynccontextmanager
async def reading(database: Database) -> AsyncIterator[asyncpg.Connection]:
    async with database.connection() as connection, connection.transaction(readonly=True):
        yield connection


async def orders(database: Database, scope: Scope, page: int = PAGE) -> AsyncIterator[Sequence[OrderRow]]:
    """All orders of the scope, the oldest first, a page at a time."""
    after = 0
    while True:
        async with reading(database) as connection:
            rows = await connection.fetch(
                f"{_ORDER} WHERE o.number > $1 AND o.created_at >= $2 ORDER BY o.number LIMIT $3",
                after,
                scope.since,
                page,
            )
        if not rows:
            return
        yield [_order(row) for row in rows]
        after = rows[-1]["number"]


async def some_orders(database: Database, ids: Sequence[UUID]) -> Sequence[OrderRow]:
    async with reading(database) as connection:
        rows = await connection.fetch(f"{_ORDER} WHERE o.id = ANY($1)", list(ids))
    by_id = {row["id"]: _order(row) for row in rows}
    return [by_id[identifier] for identifier in ids if identifier in by_id]


async def since_of_newest(database: Database, count: int) -> datetime | None:
    """When the oldest of the newest `count` orders was made; None where there are not so many."""
    async with reading(database) as connection:
        moment: datetime | None = await connection.fetchval(
            "SELECT created_at FROM orders ORDER BY number DESC OFFSET $1 LIMIT 1", count - 1
        )
    return moment


async def to_ask(
    database: Database, scope: Scope, most: int, *, sample: bool
) -> tuple[list[tuple[UUID, UUID]], list[UUID]]:
    """Orders (with their members) and members that could be asked about: the newest first, or random ones."""
    async with reading(database) as connection:
        found = await connection.fetch(
            """SELECT id, member_id FROM orders WHERE created_at >= $1 AND member_id IS NOT NULL AND status <> 'PENDING'
               ORDER BY CASE WHEN $3 THEN random() ELSE -number END LIMIT $2""",
            scope.since,
            most,
            sample,
        )
        members = await connection.fetch(
            """SELECT id FROM member WHERE created_at >= $1
                  OR id IN (SELECT member_id FROM orders WHERE created_at >= $1)
               ORDER BY CASE WHEN $3 THEN random() ELSE -extract(epoch FROM created_at) END LIMIT $2""",
            scope.since,
            most,
            sample,
        )
    return [(row["id"], row["member_id"]) for row in found], [row["id"] for row in members]


async def member(database: Database, member_id: UUID, pays: frozenset[str]) -> MemberRow:
    """A member; `pays` are the mappings that move an order to PAID in Voucherify."""
    async with reading(database) as connection:
        row = await connection.fetchrow(
            """SELECT member.id, member.card, member.created_at, coalesce(profile.loyalty, '{}') AS loyalty
               FROM member
               LEFT JOIN profile_identifier AS key ON key.type = 'user_id' AND key.value = member.id::text
               LEFT JOIN profile ON profile.id = key.profile_id
               WHERE member.id = $1""",
            member_id,
        )
        movements = await connection.fetch(
            "SELECT transaction_id, points, created_at FROM point_movement WHERE member_id = $1 AND card = $2",
            member_id,
            row["card"],
        )
        coupons = await connection.fetch("SELECT code, published_at FROM coupon WHERE member_id = $1", member_id)
        operations = await connection.fetch(
            # A reward is known by the redemption that was answered; one that an operator found done has none.
            """SELECT id, client, idempotency_key, points, coalesce(finished_at, touched_at) AS at,
                      CASE kind WHEN 'adjustment' THEN id::text ELSE answered->>'id' END AS name
               FROM point_operation
               WHERE member_id = $1 AND status = 'DONE' AND (kind = 'adjustment' OR answered->>'id' IS NOT NULL)""",
            member_id,
        )
        unpaid = await connection.fetch("SELECT id FROM orders WHERE member_id = $1 AND status = 'CANCELED'", member_id)
        delivered = await connection.fetch(
            """SELECT event.order_id, min(finished_at) AS at FROM orders
               JOIN event ON event.order_id = orders.id::text AND name = 'Order Completed'
               JOIN delivery ON event_position = position AND delivery.status = 'delivered'
               WHERE member_id = $1 AND orders.status = 'PAID' AND destination || '/' || mapping = ANY($2)
               GROUP BY event.order_id""",
            member_id,
            list(pays),
        )
    return MemberRow(
        id=row["id"],
        card=row["card"],
        created_at=row["created_at"],
        loyalty=row["loyalty"],
        movements={each["transaction_id"]: Movement(each["points"], each["created_at"]) for each in movements},
        coupons={each["code"]: each["published_at"] for each in coupons},
        operations=[Operation(each["id"], each["points"], each["name"], each["at"]) for each in operations],
        taken_back=frozenset(each["idempotency_key"] for each in operations if each["client"] == taken_back.CLIENT),
        unpaid=frozenset(str(each["id"]) for each in unpaid),
        delivered={each["order_id"]: each["at"] for each in delivered},
    )


async def card_of(database: Database, member_id: UUID) -> str | None:
    async with reading(database) as connection:
        card: str | None = await connection.fetchval("SELECT card FROM member WHERE id = $1", member_id)
    return card


async def figures(database: Database, scope: Scope) -> dict[str, int]:
    """How much there is in the scope."""
    async with reading(database) as connection:
        row = await connection.fetchrow(
            """SELECT (SELECT count(*) FROM orders WHERE created_at >= $1) AS orders,
                      (SELECT count(*) FROM orders WHERE created_at >= $1 AND status = 'PAID') AS orders_paid,
                      (SELECT count(*) FROM orders WHERE created_at >= $1 AND status = 'CANCELED') AS orders_canceled,
                      (SELECT count(*) FROM orders WHERE created_at >= $1 AND status = 'PAID' AND coupon IS NOT NULL)
                          AS orders_with_coupon,
                      (SELECT count(*) FROM member WHERE created_at >= $1) AS members,
                      (SELECT count(*) FROM event WHERE received_at >= $1) AS events,
                      (SELECT count(*) FROM delivery WHERE created_at >= $1) AS deliveries,
                      (SELECT count(*) FROM webhook WHERE received_at >= $1) AS webhooks,
                      (SELECT count(*) FROM point_movement WHERE created_at >= $1) AS movements,
                      (SELECT count(*) FROM point_operation WHERE created_at >= $1) AS point_operations""",
            scope.since,
        )
    return dict(row)


def _order(row: asyncpg.Record) -> OrderRow:
    redemption: dict[str, Any] = row["redemption"] or {}
    return OrderRow(
        id=row["id"],
        number=row["number"],
        status=row["status"],
        member_id=row["member_id"],
        currency=row["currency"],
        amount=row["amount"],
        discount=row["discount"],
        total=row["total"],
        coupon=row["coupon"],
        redemption_id=redemption.get("id"),
        sent_redemption=bool(redemption),
        recheck_at=row["recheck_at"],
        at=row["paid_at"] or row["touched_at"],
        told=[Told(**each) for each in row["told"]],
        logged=[Logged(**each) for each in row["logged"]],
        refunded=row["refunded"],
        fact=None
        if row["fact_id"] is None
        else Fact(
            user_id=row["fact_user"],
            currency=row["fact_currency"],
            amount=row["fact_amount"],
            discount=row["fact_discount"],
            total=row["fact_total"],
            coupon=row["fact_coupon"],
        ),
        coupon_used_by=row["coupon_used_by"],
        in_wallet=row["wallet_code"] is not None,
    )


async def paying(database: Database) -> frozenset[str]:
    """The mappings (`<destination>/<mapping>`) that move an order to PAID, also those that did so once."""
    async with database.connection() as connection:
        found = await connection.fetch(
            "SELECT DISTINCT destination || '/' || slug AS name FROM mapping_version WHERE action = 'orderPaid'"
        )
    return frozenset(row["name"] for row in found)
