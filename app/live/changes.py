"""Changes for screens: a row and a wake-up in the transaction of the effect."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import msgspec

from app.db.wake import CHANNEL

_LOCK = 7_220_003
"""Advisory: positions must be in the order of commits, for screens read on by position (rule 4)."""

_APPEND = """
WITH locked AS MATERIALIZED (SELECT pg_advisory_xact_lock($4)),
made AS (
    INSERT INTO change (topic, kind, data, created_at)
    SELECT topic, kind, data::jsonb, clock_timestamp()
    FROM locked, unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS given (topic, kind, data, place)
    ORDER BY place
)
SELECT pg_notify($5, 'live')
"""
"""One round trip. No position is given before the lock is there, because every row is made from it."""


@dataclass(frozen=True)
class Change:
    """Something that a screen may be watching. `data` is small: ids and figures, no personal data."""

    topic: str
    kind: str
    data: dict[str, Any] = field(default_factory=dict)


def of_order(order_id: str, kind: str, **data: Any) -> Change:
    return Change(f"order:{order_id}", kind, data)


def of_member(member_id: object, kind: str, **data: Any) -> Change:
    return Change(f"member:{member_id}", kind, data)


async def append(connection: asyncpg.Connection, made: Sequence[Change]) -> None:
    """Store changes and wake the listeners at commit. Call it last: it takes a lock that is held until then."""
    if made:
        await connection.execute(
            _APPEND,
            [change.topic for change in made],
            [change.kind for change in made],
            [msgspec.json.encode(change.data).decode() for change in made],
            _LOCK,
            CHANNEL,
        )
