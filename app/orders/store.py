"""The rows of a checkout. Asked for with every sale, so they go past the session; nothing here commits."""

from collections.abc import Collection
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from app.members.models import Member
from app.orders.models import Location, Order, Product

_NEW = (
    "id", "client", "idempotency_key", "request_hash", "source", "location_id", "register_name", "member_id", "status",
    "currency", "lines", "amount", "discount", "tax", "total", "coupon", "redemption", "created_at",
)  # fmt: skip
_JSON = frozenset({"lines", "redemption"})
_INSERT = f"""
INSERT INTO orders ({", ".join(_NEW)}, touched_at)
VALUES ({", ".join(f"${place}" for place in range(1, len(_NEW) + 1))}, now())
ON CONFLICT (client, idempotency_key) DO NOTHING RETURNING *
"""  # noqa: S608 - column names of our own
_CHANGED = ("status", "discount", "tax", "total", "redemption", "refusal", "paid_at", "recheck_at")
_UPDATE = f"""
UPDATE orders SET {", ".join(f"{name} = ${place}" for place, name in enumerate(_CHANGED, start=2))} WHERE id = $1
"""  # noqa: S608 - column names of our own


async def by_key(connection: asyncpg.Connection, client: str, idempotency_key: str) -> Order | None:
    """The order that a key has made."""
    row = await connection.fetchrow(
        "SELECT * FROM orders WHERE client = $1 AND idempotency_key = $2", client, idempotency_key
    )
    return Order(**row) if row else None


async def insert(connection: asyncpg.Connection, order: Order) -> Order | None:
    """Store a new order and return it as stored, with its number; None when its key has made one meanwhile."""
    row = await connection.fetchrow(_INSERT, *(_value(order, name) for name in _NEW))
    return Order(**row) if row else None


async def locked(connection: asyncpg.Connection, order_id: UUID) -> Order:
    """The order, held until the end of the transaction."""
    return Order(**await connection.fetchrow("SELECT * FROM orders WHERE id = $1 FOR UPDATE", order_id))


async def touch(connection: asyncpg.Connection, order_id: UUID, untouched_for: float) -> bool:
    """Take up a PENDING order that nobody touched for so many seconds. The touch is a lease by the database's clock:
    of two who come at once, one goes on.
    """
    return bool(
        await connection.fetchval(
            """UPDATE orders SET touched_at = now() WHERE id = $1 AND status = 'PENDING'
               AND touched_at < now() - make_interval(secs => $2) RETURNING true""",
            order_id,
            untouched_for,
        )
    )


async def save(connection: asyncpg.Connection, order: Order) -> None:
    """Write what changes in the life of an order."""
    await connection.execute(_UPDATE, order.id, *(_value(order, name) for name in _CHANGED))


async def location(connection: asyncpg.Connection, location_id: str) -> Location | None:
    row = await connection.fetchrow("SELECT * FROM location WHERE id = $1", location_id)
    return Location(**row) if row else None


async def member(connection: asyncpg.Connection, member_id: UUID) -> Member | None:
    row = await connection.fetchrow("SELECT * FROM member WHERE id = $1", member_id)
    return Member(**row) if row else None


async def visit(connection: asyncpg.Connection, order: Order) -> int | None:
    """Which order of this member at this place it is, from 1; None without a member.

    The member is held until the end of the transaction: two orders that are paid at once are not both the first.
    """
    if order.member_id is None:
        return None
    await connection.execute("SELECT FROM member WHERE id = $1 FOR NO KEY UPDATE", order.member_id)
    before = await connection.fetchval(
        "SELECT count(*) FROM orders WHERE member_id = $1 AND location_id = $2 AND status = 'PAID' AND id <> $3",
        order.member_id,
        order.location_id,
        order.id,
    )
    return int(before) + 1


async def products(connection: asyncpg.Connection, ids: Collection[str]) -> dict[str, Product]:
    """Products by id; those that there are."""
    rows = await connection.fetch("SELECT * FROM product WHERE id = ANY($1)", list(ids))
    return {row["id"]: Product(**row) for row in rows}


def _value(order: Order, name: str) -> Any:
    value = getattr(order, name)
    return msgspec.json.encode(value).decode() if name in _JSON and value is not None else value
