"""Putting a message into the outbox, in the transaction of what it tells of."""

from typing import Any

import asyncpg
import msgspec

from app.db.wake import CHANNEL


async def emit(
    connection: asyncpg.Connection, source: str, message: dict[str, Any], order_id: str | None = None
) -> None:
    """Store a message for the relay. A `messageId` that is there already is left alone: it was emitted before."""
    await connection.execute(
        """WITH woken AS (SELECT pg_notify($5, 'relay'))
           INSERT INTO emission (source, message_id, message, order_id, status, attempts, due_at, created_at)
           SELECT $1, $2, $3::jsonb, $4, 'pending', 0, now(), clock_timestamp() FROM woken
           ON CONFLICT (message_id) DO NOTHING""",
        source,
        message["messageId"],
        msgspec.json.encode(message).decode(),
        order_id,
        CHANNEL,
    )
