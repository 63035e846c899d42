"""② The router: each event once, in the order of its partition: profile, facts, and a `Delivery` per mapping it meets.

The cursor moves in the transaction of its effects, so a router that dies in the middle has done nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import NamedTuple

import asyncpg

from app.analytics import facts
from app.db import many
from app.db.session import Database
from app.db.trouble import NOT_THE_WORK
from app.errors import LoyaltyError
from app.live import changes
from app.log import log as event_log
from app.log.log import StoredEvent
from app.log.share import Share
from app.pipeline import lanes
from app.pipeline.mappings import wants
from app.pipeline.registry import Connected, Registry
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
    registry: Registry
    share: Share = field(init=False)

    def __post_init__(self) -> None:
        self.share = Share(self.database, CONSUMER, self.owner, self.partitions, self.lease_seconds)

    async def run_once(self) -> bool:
        """Route one batch of the partitions that this worker holds; whether there was anything."""
        read_to = await self.share.read_to()
        try:
            new = await self._batch(read_to)
        except BaseException:
            self.share.forget()
            raise
        self.share.moved(new)
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
        deliveries = plan(events, self.registry.connected.values())
        if deliveries:
            await many.execute(
                connection,
                """INSERT INTO delivery (event_position, destination, mapping, person, status, error, attempts, due_at,
                                         held, passed, created_at, finished_at)
                   SELECT position, destination, mapping, person, status, error, 0, now(), 0, false, clock_timestamp(),
                          CASE WHEN status = 'pending' THEN NULL ELSE clock_timestamp() END
                   FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[])
                   WITH ORDINALITY AS row (position, destination, mapping, person, status, error, place)
                   ORDER BY place
                   ON CONFLICT DO NOTHING""",
                deliveries,
            )
            await lanes.make_due(
                connection, ((row.destination, row.person) for row in deliveries if row.status == "pending")
            )
        of_orders = [(event.order_id, event.position) for event in events if event.order_id is not None]
        for order_id, position in of_orders:
            log.info("event.routed", order_id=order_id, position=position)
        await changes.append(connection, [changes.of_order(order_id, "event.routed") for order_id, _ in of_orders])


class Planned(NamedTuple):
    """A delivery to be."""

    event_position: int
    destination: str
    mapping: str
    person: str
    status: str = "pending"
    error: str | None = None


def plan(events: Sequence[StoredEvent], connected: Iterable[Connected]) -> list[Planned]:
    """The deliveries of a batch: pure.

    Triggers see the event as it came in, before any insert function (rule 7), without what filters take away. What a
    filter keeps back is planned as well, as filtered and with its name, so that nothing vanishes unseen.
    """
    planned: list[Planned] = []
    for to in connected:
        if not to.enabled:
            continue
        name, filters = to.destination.name, to.filters
        mappings = [mapping for mapping in to.mappings.values() if mapping.enabled]
        for event in events:
            message = event.message
            if not wants(message, name):
                continue
            reason = None
            if filters is not None:
                reason = filters.reason(message)
                message = message if reason else filters.shape(message)
            for mapping in mappings:
                ending = ("filtered", reason) if reason else ("pending", None)
                try:
                    if not mapping.takes(message):
                        continue
                except LoyaltyError as error:  # one trigger that fails on an event harms no other mapping of it
                    ending = ("failed", f"The trigger failed on this event: {error.sentence}")
                planned.append(Planned(event.position, to.slug, mapping.slug, event.person, *ending))
    planned.sort(key=_by_event)  # stable: of one event, in the order of its mappings
    return planned


_by_event = attrgetter("event_position")
