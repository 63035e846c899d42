"""One transaction of the sandbox: what a request reads, writes and announces."""

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import asyncpg

from app.sandbox.clock import iso
from app.sandbox.config import SandboxConfig
from app.sandbox.faults import Faults
from app.sandbox.ids import new_id, request_id


@dataclass(frozen=True)
class Call:
    """Who calls, as the edge has seen it; read where an answer or a webhook names the caller."""

    request_id: str = field(default_factory=request_id)
    channel: str | None = None
    """The header `X-Voucherify-Channel`."""
    app_id: str = ""


CALL: ContextVar[Call] = ContextVar("call", default=Call())  # noqa: B039 - frozen


@dataclass(frozen=True)
class Event:
    """Something that happened to one entity, before it is addressed to a webhook."""

    id: str
    type: str
    entity_id: str
    created_at: datetime

    def reference(self, group_id: str) -> dict[str, Any]:
        """How the data of another event names this one as its cause."""
        return {
            "id": self.id,
            "type": self.type,
            "category": "EFFECT",
            "entity_id": self.entity_id,
            "created_at": iso(self.created_at),
            "group_id": group_id,
        }


class Work:
    """One transaction: its connection, its moment, and what it will announce when it commits."""

    def __init__(
        self, connection: "asyncpg.pool.PoolConnectionProxy[Any]", now: datetime, config: SandboxConfig, faults: Faults
    ) -> None:
        self.db = connection
        self.now = now
        self.call = CALL.get()
        self.config = config
        self.faults = faults
        self.announced: list[tuple[Event, str, dict[str, Any]]] = []
        self.stacking: Mapping[str, Any] = {}
        """What goes together in one redemption, as the store has it at the start of this."""
        self.moved: dict[str, Any] = {}
        """Cards whose points moved in a programme with tiers, as they are now: their tiers are settled at the end."""
        self.gained: set[str] = set()
        """Cards (their ids) that got points where a reward is bought by itself: that is done at the end."""

    def event(self, kind: str, entity_id: str, prefix: str = "evcus") -> Event:
        return Event(f"{prefix}_{new_id('x')[2:]}", kind, entity_id, self.now)

    def announce(self, event: Event, data: dict[str, Any], *, lane: str | None = None) -> None:
        """Tell the webhooks when this commits. Deliveries of one lane go out in the order of their announcing.

        `lane` is the customer the event is about, or by default the entity; `data` is taken as it is now.
        """
        self.announced.append((event, lane or event.entity_id, data))

    async def one(self, query: str, *arguments: Any) -> asyncpg.Record | None:
        return await self.db.fetchrow(query, *arguments)

    async def all(self, query: str, *arguments: Any) -> list[asyncpg.Record]:
        rows: list[asyncpg.Record] = await self.db.fetch(query, *arguments)
        return rows

    async def value(self, query: str, *arguments: Any) -> Any:
        return await self.db.fetchval(query, *arguments)

    async def run(self, query: str, *arguments: Any) -> str:
        return str(await self.db.execute(query, *arguments))
