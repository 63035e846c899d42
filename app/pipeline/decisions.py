"""Deliveries of which nobody can know whether they were carried out, and what operators decide about them (rule 5).

A decision is a row that is never changed, written in the transaction of its effect.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import asyncpg

from app.db.session import Database
from app.errors import BadInput, Conflict, NotFound
from app.live import changes
from app.pipeline import lanes
from app.telemetry import log

Choice = Literal["done", "not_done", "send_again"]
LONGEST_NOTE = 1000
_REASONS: dict[Choice, str | None] = {
    "done": "An operator decided: done.",
    "not_done": "An operator decided: not done.",
    "send_again": None,
}
_STATUS: dict[Choice, str] = {"done": "delivered", "not_done": "failed", "send_again": "pending"}


@dataclass(frozen=True)
class Try:
    """A send, or a look-up whether an earlier send was carried out. `outcome` as in the table `attempt`."""

    kind: str
    started_at: datetime
    ended_at: datetime | None
    outcome: str | None
    status: int | None
    request: dict[str, Any]
    answer: str | None


@dataclass(frozen=True)
class UnclearDelivery:
    """A delivery that waits for a decision, with all that is known of it."""

    id: int
    destination: str
    mapping: str
    person: str
    event_position: int
    event_type: str
    event_name: str | None
    event_at: datetime
    """When the door took the event in."""
    order_id: str | None
    reason: str
    since: datetime
    tries: tuple[Try, ...]
    """In the order in which they began."""

    @property
    def sent(self) -> dict[str, Any] | None:
        """The request of the last send: `{method, url, body}`."""
        return next((one.request for one in reversed(self.tries) if one.kind == "send"), None)


@dataclass(frozen=True)
class Made:
    """A decision that was made, and what has become of its subject since."""

    subject: str
    decision: str
    note: str
    made_by: str
    made_at: datetime
    what: str | None
    """The mapping, of a delivery that is still kept."""
    status: str | None
    """Of the delivery now."""


async def unclear(database: Database, limit: int = 50, after: int = 0) -> list[UnclearDelivery]:
    """The deliveries that wait for a decision, the oldest first; those behind id `after`, for the next page."""
    async with database.connection() as connection:
        rows = await connection.fetch(
            """SELECT delivery.id, destination, mapping, delivery.person, event_position, event.order_id, error,
                      delivery.created_at, finished_at, event.received_at, event.type, event.name
               FROM delivery JOIN event ON event.position = event_position
               WHERE status = 'unclear' AND delivery.id > $1 ORDER BY delivery.id LIMIT $2""",
            after,
            limit,
        )
        tries = await connection.fetch(
            "SELECT * FROM attempt WHERE delivery_id = ANY($1) ORDER BY id", [row["id"] for row in rows]
        )
    return [
        UnclearDelivery(
            id=row["id"],
            destination=row["destination"],
            mapping=row["mapping"],
            person=row["person"],
            event_position=row["event_position"],
            event_type=row["type"],
            event_name=row["name"],
            event_at=row["received_at"],
            order_id=row["order_id"],
            reason=row["error"] or "No reason was kept.",
            since=row["finished_at"] or row["created_at"],
            tries=tuple(_try(one) for one in tries if one["delivery_id"] == row["id"]),
        )
        for row in rows
    ]


def _try(row: asyncpg.Record) -> Try:
    return Try(**{name: row[name] for name in Try.__dataclass_fields__})


async def count(connection: asyncpg.Connection, most: int = 100) -> int:
    """How many deliveries wait for a decision; counts no further than `most`."""
    found: int = await connection.fetchval(
        "SELECT count(*) FROM (SELECT FROM delivery WHERE status = 'unclear' LIMIT $1) AS waiting", most
    )
    return found


async def made(database: Database, limit: int = 50) -> list[Made]:
    """The latest decisions, the newest first."""
    async with database.connection() as connection:
        rows = await connection.fetch(
            """SELECT subject, decision, note, made_by, made_at, mapping AS what, status
               FROM (SELECT * FROM decision ORDER BY id DESC LIMIT $1) AS latest
               LEFT JOIN delivery
               ON delivery.id = CASE WHEN subject LIKE 'delivery:%' THEN substr(subject, 10)::bigint END
               ORDER BY latest.id DESC""",
            limit,
        )
    return [Made(**row) for row in rows]


def checked_note(note: str) -> str:
    """The note as it is stored.

    Raises:
        BadInput: it is empty or too long, or has a NUL.
    """
    if "\x00" in note:
        raise BadInput("note: it has a NUL character, which can't be kept.")
    kept = note.strip()
    if not kept:
        raise BadInput("note: say why. It is kept with your name.")
    if len(kept) > LONGEST_NOTE:
        raise BadInput(f"note: {len(kept)} characters are too many; {LONGEST_NOTE} are kept.")
    return kept


async def record(connection: asyncpg.Connection, subject: str, choice: Choice, note: str, made_by: str) -> None:
    """Keep a decision, in the transaction of its effect. `note` is a checked one."""
    await connection.execute(
        """INSERT INTO decision (subject, decision, note, made_by, made_at)
           VALUES ($1, $2, $3, $4, clock_timestamp())""",
        subject,
        choice,
        note,
        made_by,
    )


async def decide(database: Database, delivery_id: int, choice: Choice, note: str, made_by: str) -> None:
    """Settle an unclear delivery as an operator found it, and keep the decision.

    `done`: it counts as delivered. `not_done`: it counts as failed and is not tried again. `send_again`: it is sent at
    the next turn of its lane without another look at the tries so far; rows behind it have gone by, so it is marked as
    passed.

    Raises:
        BadInput: the note is empty or too long.
        NotFound: there is no such delivery.
        Conflict: it is not unclear; of two who decide at once, the second is told so.
    """
    note = checked_note(note)
    async with database.transaction() as connection:
        row = await connection.fetchrow(
            """UPDATE delivery SET status = $2, error = $3, due_at = now(), held = 0, passed = passed OR $4,
                      finished_at = CASE WHEN $4 THEN NULL ELSE clock_timestamp() END
               WHERE id = $1 AND status = 'unclear'
               RETURNING destination, person, (SELECT order_id FROM event WHERE position = event_position)""",
            delivery_id,
            _STATUS[choice],
            _REASONS[choice],
            choice == "send_again",
        )
        if row is None:
            raise await _refusal(connection, delivery_id)
        await record(connection, f"delivery:{delivery_id}", choice, note, made_by)
        if choice == "send_again":
            await _let_go(connection, delivery_id, row["destination"], row["person"])
        if row["order_id"]:
            kind = "delivery.waiting" if choice == "send_again" else f"delivery.{_STATUS[choice]}"
            await changes.append(connection, [changes.of_order(row["order_id"], kind)])
    log.info("delivery.decided", delivery=delivery_id, decision=choice)


async def _let_go(connection: asyncpg.Connection, delivery_id: int, destination: str, person: str) -> None:
    """Let the deliverer send it: earlier tries without an outcome count no more, and the lane is due."""
    await connection.execute(
        """UPDATE attempt SET outcome = 'overruled'
           WHERE delivery_id = $1 AND kind = 'send' AND (outcome IS NULL OR outcome = 'unclear')""",
        delivery_id,
    )
    await lanes.make_due(connection, [(destination, person)])


async def _refusal(connection: asyncpg.Connection, delivery_id: int) -> Conflict | NotFound:
    status = await connection.fetchval("SELECT status FROM delivery WHERE id = $1", delivery_id)
    if status is None:
        return NotFound("There is no delivery with this id.")
    last = await connection.fetchrow(
        "SELECT decision, made_by FROM decision WHERE subject = $1 ORDER BY id DESC LIMIT 1", f"delivery:{delivery_id}"
    )
    if last is None:
        return Conflict(f"This delivery is {status}: there is nothing to decide.")
    words = last["decision"].replace("_", " ")
    return Conflict(f"{last['made_by']} has decided “{words}” already; the delivery is {status}. Nothing was changed.")
