"""Changes for screens: a row and a wake-up in the transaction of the effect."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import msgspec

from app.db.wake import wake

_LOCK = 7_220_003
"""Advisory: positions must be in the order of commits, for screens read on by position (rule 4)."""


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
    if not made:
        return
    await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
    await connection.executemany(
        "INSERT INTO change (topic, kind, data, created_at) VALUES ($1, $2, $3, clock_timestamp())",
        [(change.topic, change.kind, msgspec.json.encode(change.data).decode()) for change in made],
    )
    await wake(connection, "live")
