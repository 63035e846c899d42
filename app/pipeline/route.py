"""② The router: each event once, in the order of its partition: profile, facts, and a `Delivery` per mapping it meets.

The cursor moves in the transaction of its effects, so a router that dies in the middle has done nothing.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import asyncpg

from app.analytics import facts
from app.db.session import Database
from app.db.trouble import NOT_THE_WORK
from app.live import changes
from app.log import log as event_log
from app.log.log import StoredEvent
from app.pipeline import lanes
from app.pipeline.mappings import CompiledMapping, wants
from app.profiles import store
from app.telemetry import log

CONSUMER = "route"
BATCH = 500


@dataclass
class Router:
    """Routes the partitions that this worker holds."""

    database: Database
    owner: str
    partitions: int
    lease_seconds: float
    mappings: Sequence[CompiledMapping]
    _positions: dict[int, int] = field(default_factory=dict)
    """How far each partition that this worker holds was read."""
    _renew_at: float = 0.0
    """When the leases are prolonged and shared out anew, by this process's monotonic clock."""

    async def run_once(self) -> bool:
        """Route one batch of the partitions that this worker holds; whether there was anything."""
        if time.monotonic() >= self._renew_at:
            self._renew_at = time.monotonic() + self.lease_seconds / 3
            async with self.database.transaction() as connection:
                self._positions = await event_log.lease(
                    connection, CONSUMER, self.owner, self.partitions, self.lease_seconds
                )
        try:
            new = await self._batch(self._positions)
        except BaseException:
            self._renew_at = 0.0  # it is not known how far it came
            raise
        self._positions = self._positions | new
        return bool(new)

    async def _batch(self, read_to: Mapping[int, int]) -> dict[int, int]:
        """Route the next events; returns how far each partition is read now, of those that had any."""
        async with self.database.transaction() as connection:
            events = await event_log.read(connection, read_to, BATCH)
            if not events:
                return {}
            await self._apply(connection, events)
            new = {event.partition: event.position for event in events}
            if not await event_log.advance(connection, CONSUMER, self.owner, read_to, new):
                log.warning("route.lease_lost")
                raise asyncpg.InterfaceError("the lease was lost")  # rolls all back: another has it now
        return new

    async def _apply(self, connection: asyncpg.Connection, events: Sequence[StoredEvent]) -> None:
        """Route a batch; on an error halve it until the culprit stands alone, note that one, and go on (rule 9)."""
        try:
            async with connection.transaction():
                await self._effects(connection, events)
        except NOT_THE_WORK:
            raise
        except Exception as error:  # noqa: BLE001 - whatever an event does to us, the others go on
            if len(events) > 1:
                middle = len(events) // 2
                await self._apply(connection, events[:middle])
                await self._apply(connection, events[middle:])
                return
            log.error("route.poison", position=events[0].position, error=type(error).__name__)
            await connection.execute(
                """INSERT INTO poison_event (event_position, error, created_at) VALUES ($1, $2, now())
                   ON CONFLICT DO NOTHING""",
                events[0].position,
                f"{type(error).__name__}: {error}".replace("\x00", "")[:2000],
            )

    async def _effects(self, connection: asyncpg.Connection, events: Sequence[StoredEvent]) -> None:
        await store.apply_events(connection, [event.message for event in events])
        await facts.add_orders(connection, [(event.source, event.message) for event in events])
        deliveries = plan(events, self.mappings)
        if deliveries:
            await connection.executemany(
                """INSERT INTO delivery (event_position, destination, mapping, person, status, attempts, due_at, held,
                                         passed, created_at)
                   VALUES ($1, $2, $3, $4, 'pending', 0, now(), 0, false, clock_timestamp()) ON CONFLICT DO NOTHING""",
                deliveries,
            )
            await lanes.make_due(connection, ((destination, person) for _, destination, _, person in deliveries))
        of_orders = [(event.order_id, event.position) for event in events if event.order_id is not None]
        for order_id, position in of_orders:
            log.info("event.routed", order_id=order_id, position=position)
        await changes.append(connection, [changes.of_order(order_id, "event.routed") for order_id, _ in of_orders])


def plan(events: Sequence[StoredEvent], mappings: Sequence[CompiledMapping]) -> list[tuple[int, str, str, str]]:
    """The deliveries of a batch, as (event position, destination, mapping, person): pure.

    Triggers see the event as it came in, before any insert function (rule 7).
    """
    return [
        (event.position, mapping.destination.slug, mapping.slug, event.person)
        for event in events
        for mapping in mappings
        if wants(event.message, mapping.destination.name) and mapping.takes(event.message)
    ]
