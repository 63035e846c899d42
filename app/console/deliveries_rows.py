"""Reading deliveries: a page of them, and one with everything that is known of it."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import asyncpg
import msgspec

from app.db.session import Database
from app.errors import NotFound
from app.pipeline.configure_settings import secrets, without_secrets
from app.pipeline.registry import Registry
from app.pipeline.replay_difference import Change, differences
from app.pipeline.replay_selection import FROM, Selection, conditions

COLUMNS: Final = """delivery.id, delivery.destination, mapping, delivery.person, status, attempts, error, passed,
    delivery.created_at, due_at, finished_at, replay_id, event_position, event.type AS event_type,
    event.name AS event_name, event.order_id"""


@dataclass(frozen=True)
class DeliveryRow:
    """One event for one mapping of a destination."""

    id: int
    destination: str
    mapping: str
    person: str
    status: str
    """`pending`, `delivered`, `failed`, `filtered`, `unclear`."""
    attempts: int
    """Tries since it was routed, or since it was last sent again."""
    error: str | None
    passed: bool
    created_at: datetime
    due_at: datetime
    finished_at: datetime | None
    replay_id: int | None
    event_position: int
    event_type: str
    event_name: str | None
    order_id: str | None

    @property
    def title(self) -> str:
        return self.event_name or self.event_type


@dataclass(frozen=True)
class DeliveryPage:
    """Deliveries, the newest first."""

    deliveries: list[DeliveryRow]
    next_before: int | None
    """Ask with `?before=` for the next page; null on the last."""


@dataclass(frozen=True)
class AttemptRead:
    """A send, or a look-up whether an earlier send was carried out."""

    id: int
    kind: str
    """`send` or `look_up`."""
    started_at: datetime
    milliseconds: float | None
    """Null while it runs, or where its worker died in it."""
    outcome: str | None
    status: int | None
    """The HTTP status; 0: no answer came."""
    request: dict[str, Any]
    """`{method, url, body}`, without headers and secrets."""
    answer: Any
    """The first 2 KB: JSON where it is whole, else text."""
    before_replay: bool
    changes: list[Change] = field(default_factory=list)
    """Where the request differs from the last one of its kind."""


@dataclass(frozen=True)
class DeliveryRead:
    """A delivery with everything that is known of it."""

    delivery: DeliveryRow
    event: dict[str, Any]
    """`{position, source, received_at, message}`."""
    mapping: dict[str, Any] | None
    """As it is now: `{name, action, trigger, enabled, version}`; null where it was deleted."""
    filters: list[dict[str, Any]]
    """Those of the destination that are on now: `{name, kind, condition}`."""
    function: dict[str, Any] | None
    """What the insert function made of the event: `{outcome, error, log, calls, event, milliseconds, finished_at}`."""
    attempts: list[AttemptRead]
    """In the order in which they began."""
    decisions: list[dict[str, Any]]
    """`{decision, note, made_by, made_at}`, the latest last."""
    replay: dict[str, Any] | None
    """The last one that sent it again: `{id, note, made_by, made_at}`."""


async def page_of(database: Database, selection: Selection, before: int, limit: int) -> DeliveryPage:
    """A page of the deliveries that are meant, those below the id `before`. `selection` is a checked one."""
    async with database.connection() as connection:
        where = await conditions(connection, selection)
        where.add("delivery.id < {0}", before)
        rows = await connection.fetch(
            f"""SELECT {COLUMNS} FROM {FROM} WHERE {where.sql}
                ORDER BY delivery.id DESC LIMIT {limit + 1}""",  # noqa: S608 - our own text and a number
            *where.arguments,
        )
    shown = [DeliveryRow(**row) for row in rows[:limit]]
    return DeliveryPage(shown, shown[-1].id if len(rows) > limit else None)


async def read(database: Database, registry: Registry, delivery_id: int) -> DeliveryRead:
    """One delivery. Raises `NotFound`."""
    async with database.connection() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        row = await connection.fetchrow(
            f"""SELECT {COLUMNS}, attempts_after, message, source, received_at FROM {FROM}
                WHERE delivery.id = $1""",  # noqa: S608 - our own text
            delivery_id,
        )
        if row is None:
            raise NotFound("There is no delivery with this id. One that ended well is kept for some weeks only.")
        mapping = await connection.fetchrow(
            "SELECT name, action, trigger, enabled, version FROM mapping WHERE destination = $1 AND slug = $2",
            row["destination"],
            row["mapping"],
        )
        filters = await connection.fetch(
            "SELECT name, kind, condition FROM destination_filter WHERE destination = $1 AND enabled ORDER BY id",
            row["destination"],
        )
        function = await connection.fetchrow(
            """SELECT outcome, error, log, calls, event, milliseconds, finished_at FROM function_result
               WHERE event_position = $1 AND destination = $2""",
            row["event_position"],
            row["destination"],
        )
        tries = await connection.fetch("SELECT * FROM attempt WHERE delivery_id = $1 ORDER BY id", delivery_id)
        decisions = await connection.fetch(
            "SELECT decision, note, made_by, made_at FROM decision WHERE subject = $1 ORDER BY id",
            f"delivery:{delivery_id}",
        )
        replay = await connection.fetchrow(
            "SELECT id, note, made_by, made_at FROM replay WHERE id = $1", row["replay_id"]
        )
    to = registry.connected.get(row["destination"])
    hidden = secrets(to.destination, to.settings) if to is not None else ()
    return DeliveryRead(
        delivery=DeliveryRow(**{name: row[name] for name in DeliveryRow.__dataclass_fields__}),
        event={
            "position": row["event_position"],
            "source": row["source"],
            "received_at": row["received_at"],
            "message": row["message"],
        },
        mapping=dict(mapping) if mapping else None,
        filters=[dict(one) for one in filters],
        function=without_secrets(dict(function), hidden) if function else None,
        attempts=_attempts(tries, row["attempts_after"], hidden),
        decisions=[dict(one) for one in decisions],
        replay=dict(replay) if replay else None,
    )


def _attempts(rows: list[asyncpg.Record], replayed_after: int, hidden: tuple[str, ...]) -> list[AttemptRead]:
    made: list[AttemptRead] = []
    last: dict[str, dict[str, Any]] = {}
    for row in rows:
        request = without_secrets(row["request"], hidden)
        made.append(
            AttemptRead(
                id=row["id"],
                kind=row["kind"],
                started_at=row["started_at"],
                milliseconds=(row["ended_at"] - row["started_at"]).total_seconds() * 1000 if row["ended_at"] else None,
                outcome=row["outcome"],
                status=row["status"],
                request=request,
                answer=_parsed(without_secrets(row["answer"], hidden)),
                before_replay=row["id"] <= replayed_after,
                changes=differences(last[row["kind"]], request) if row["kind"] in last else [],
            )
        )
        last[row["kind"]] = request
    return made


def _parsed(text: str | None) -> Any:
    """An answer as JSON where it is whole JSON; long ones were cut."""
    try:
        return msgspec.json.decode(text) if text else text
    except msgspec.DecodeError:
        return text
