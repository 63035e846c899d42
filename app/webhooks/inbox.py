"""Putting what Voucherify tells into the inbox, once, whichever feed brings it."""

from typing import Any

import asyncpg
import msgspec

from app.db.wake import CHANNEL
from app.webhooks.parse import Parsed


async def put(connection: asyncpg.Connection, parsed: Parsed, body: dict[str, Any]) -> bool:
    """Store one webhook for the worker, which is woken; False when it was stored before."""
    return bool(
        await connection.fetchval(
            """WITH stored AS (
                   INSERT INTO webhook (source_id, event_id, type, body, member_id, order_id, status, attempts, due_at,
                                        received_at)
                   VALUES ($1, $2, $3, $4, $5, $6, 'pending', 0, now(), clock_timestamp())
                   ON CONFLICT (source_id, event_id) DO NOTHING RETURNING true AS new
               )
               SELECT new FROM stored, pg_notify($7, 'apply')""",
            parsed.source_id,
            parsed.event_id,
            parsed.type,
            msgspec.json.encode(body).decode(),
            parsed.member_id,
            parsed.order_id,
            CHANNEL,
        )
    )
