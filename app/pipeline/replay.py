"""Replays: deliveries that are sent again on somebody's wish. Beginning, reading, stopping; the runner queues them."""

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, Literal

import asyncpg
import msgspec

from app.db.session import Database
from app.errors import BadInput, Conflict, NotFound, Refused
from app.pipeline.decisions import checked_note
from app.pipeline.registry import Connected, Registry
from app.pipeline.replay_labels import Label, Past, label_of
from app.pipeline.replay_selection import FROM, Conditions, Selection, checked, conditions
from app.telemetry import log

Function = Literal["rerun", "reuse"]

MOST: Final = 100_000
"""Deliveries of one replay: to send more again, choose by time, one part after the other."""
FINAL: Final = "delivery.status <> 'pending'"
"""What waits already is not sent again: it is sent."""
TRIES: Final = """LEFT JOIN LATERAL (
    SELECT bool_or(outcome IN ('done', 'found')) AS applied,
           bool_or(kind = 'send' AND coalesce(outcome, 'unclear') IN ('unclear', 'overruled')) AS unclear,
           max(id) AS last
    FROM attempt WHERE delivery_id = chosen.id
) AS tries ON true"""
"""What the tries of each row of `chosen` say."""

_LOCK = 7_220_011
"""Advisory: of two that ask for the same replay at once, the second finds the first's row."""


@dataclass(frozen=True)
class Wanted:
    """A replay as somebody asks for it."""

    selection: Selection
    function: Function = "reuse"
    """`rerun`: the insert function runs anew. `reuse`: its kept result counts."""
    twice: bool = False
    """Also what would be applied twice."""


@dataclass(frozen=True)
class Numbers:
    """What a replay would do, counted."""

    chosen: int
    queued: int
    """Would be sent again."""
    left_out: int
    """Would not: nobody said that they may be applied twice, or their mapping is not there any more."""
    labels: dict[Label, int] = field(default_factory=dict)
    status: dict[str, int] = field(default_factory=dict)
    """How they ended."""
    mapping: dict[str, int] = field(default_factory=dict)
    without_mapping: int = 0
    last: int = 0
    """The id of the last of them."""


@dataclass(frozen=True)
class Progress:
    """A replay, and how far it came."""

    id: int
    destination: str
    selection: dict[str, Any]
    function: str
    twice: bool
    note: str
    status: str
    """`running`, `stopped`, `done`."""
    total: int
    queued: int
    left_out: int
    """Would have been applied twice, or changed since they were chosen."""
    made_by: str
    made_at: datetime
    finished_at: datetime | None
    """When all were queued."""
    now: dict[str, int]
    """How those that were queued are now: waiting, delivered, failed, filtered, unclear. One that a later replay took,
    or that was deleted since, is not among them."""

    @property
    def looked_at(self) -> int:
        return self.queued + self.left_out

    @property
    def waiting(self) -> int:
        return self.now.get("waiting", 0)


def checked_wish(wanted: Wanted, registry: Registry) -> tuple[Wanted, Connected]:
    """The wish as it can be granted, and the destination that it is about.

    Raises:
        BadInput: no destination is named, or the selection can't be read.
        NotFound: the destination is not connected.
    """
    selection = checked(wanted.selection)
    if selection.destination is None:
        raise BadInput("destination: name one. A replay sends only to that.")
    if "pending" in selection.status:
        raise BadInput("status: what is pending is sent anyway. Choose delivered, failed, filtered or unclear.")
    to = registry.connected.get(selection.destination)
    if to is None:
        raise NotFound(f"There is no destination named {selection.destination!r}.")
    return replace(wanted, selection=selection), to


async def chosen(connection: asyncpg.Connection, selection: Selection, before: datetime) -> Conditions:
    """What the deliveries of a replay meet: the selection, and they came to an end before that moment.

    So one that changed since, by another replay or by a decision, is not among them any more.
    """
    made = await conditions(connection, selection)
    made.add(FINAL)
    made.add("coalesce(delivery.finished_at, delivery.created_at) < {0}", before)
    return made


async def numbers(connection: asyncpg.Connection, wanted: Wanted, to: Connected, before: datetime) -> Numbers:
    """Count what a replay would do. `wanted` is a checked one.

    Raises:
        Refused: these are too many for one replay.
    """
    where = await chosen(connection, wanted.selection, before)
    rows = await connection.fetch(
        f"""WITH chosen AS MATERIALIZED (
                SELECT delivery.id, mapping, status FROM {FROM} WHERE {where.sql} LIMIT {MOST + 1}
            )
            SELECT mapping, status, coalesce(applied, false) AS applied, coalesce(unclear, false) AS unclear,
                   count(*) AS count, max(chosen.id) AS last
            FROM chosen {TRIES} GROUP BY 1, 2, 3, 4""",  # noqa: S608 - our own text
        *where.arguments,
    )
    if sum(row["count"] for row in rows) > MOST:
        raise Refused(f"These are more than {MOST:,} deliveries. Choose by time, and send them again part by part.")
    return _counted(rows, wanted, to)


def _counted(rows: list[asyncpg.Record], wanted: Wanted, to: Connected) -> Numbers:
    labels: Counter[Label] = Counter()
    status: Counter[str] = Counter()
    mapping: Counter[str] = Counter()
    without = 0
    for row in rows:
        status[row["status"]] += row["count"]
        mapping[row["mapping"]] += row["count"]
        known = to.mappings.get(row["mapping"])
        if known is None:
            without += row["count"]
        else:
            labels[label_of(known.action.repeat, Past(row["applied"], row["unclear"]))] += row["count"]
    left_out = without + (0 if wanted.twice else labels["would apply twice"])
    total = sum(status.values())
    last = max((row["last"] for row in rows), default=0)
    return Numbers(total, total - left_out, left_out, +labels, status, mapping, without, last)


async def begin(
    database: Database, to: Connected, wanted: Wanted, note: str, made_by: str, key: str
) -> tuple[Progress, bool]:
    """Begin a replay; whether it is new. The same key of the same person gives the one that there is.

    `wanted` is a checked one.

    Raises:
        BadInput: the note is empty or too long.
        Conflict: the key was used for another replay.
        Refused: nothing is chosen, nothing of it may be sent, or it is too much.
    """
    note = checked_note(note)
    asked = msgspec.to_builtins(wanted.selection)
    async with database.transaction() as connection:
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
        before = await connection.fetchrow(
            "SELECT * FROM replay WHERE made_by = $1 AND idempotency_key = $2", made_by, key
        )
        if before is not None:
            if (before["selection"], before["function"], before["twice"]) != (asked, wanted.function, wanted.twice):
                raise Conflict(f"This key was used for replay {before['id']}, which is another one: use a new key.")
            return await _progress(connection, before), False
        at = await connection.fetchval("SELECT clock_timestamp()")
        counted = await numbers(connection, wanted, to, at)
        if not counted.chosen:
            raise Refused("No delivery is like that: nothing would be sent again.")
        if not counted.queued:
            raise Refused(f"All {counted.chosen:,} would be left out: nothing would be sent again.")
        row = await connection.fetchrow(
            """INSERT INTO replay (destination, selection, function, twice, note, status, total, until_id, at_id,
                                   queued, left_out, made_by, idempotency_key, made_at)
               VALUES ($1, $2::jsonb, $3, $4, $5, 'running', $6, $7, 0, 0, 0, $8, $9, $10) RETURNING *""",
            to.slug,
            msgspec.json.encode(asked).decode(),
            wanted.function,
            wanted.twice,
            note,
            counted.chosen,
            counted.last,
            made_by,
            key,
            at,
        )
        begun = await _progress(connection, row)
    log.info("replay.begun", replay=begun.id, destination=to.slug, deliveries=begun.total)
    return begun, True


async def replays(database: Database, limit: int = 50, before: int = 2**62) -> list[Progress]:
    """The latest replays, the newest first; those before that id, for the next page."""
    async with database.connection() as connection:
        rows = await connection.fetch("SELECT * FROM replay WHERE id < $2 ORDER BY id DESC LIMIT $1", limit, before)
        return [await _progress(connection, row) for row in rows]


async def replay_of(database: Database, replay_id: int) -> Progress:
    """One replay. Raises `NotFound`."""
    replay_id = _fitting(replay_id)
    async with database.connection() as connection:
        row = await connection.fetchrow("SELECT * FROM replay WHERE id = $1", replay_id)
        if row is None:
            raise NotFound("There is no replay with this id.")
        return await _progress(connection, row)


def _fitting(replay_id: int) -> int:
    """The id, or one that no replay has where it is too large for a row."""
    return replay_id if replay_id < 2**63 else -1


async def _progress(connection: asyncpg.Connection, row: asyncpg.Record) -> Progress:
    states = await connection.fetch(
        "SELECT status, count(*) AS count FROM delivery WHERE replay_id = $1 GROUP BY status", row["id"]
    )
    known = {name: row[name] for name in Progress.__dataclass_fields__ if name != "now"}
    now = {"waiting" if state["status"] == "pending" else state["status"]: state["count"] for state in states}
    return Progress(**known, now=now)


async def stop(database: Database, replay_id: int, made_by: str) -> Progress:
    """Queue nothing more of it. What waits in lanes already still goes out.

    Raises:
        NotFound: there is no such replay.
        Conflict: it does not run.
    """
    return await _turn(database, replay_id, "running", "stopped", made_by)


async def resume(database: Database, replay_id: int, made_by: str) -> Progress:
    """Go on where it stopped.

    Raises:
        NotFound: there is no such replay.
        Conflict: it is not stopped.
    """
    return await _turn(database, replay_id, "stopped", "running", made_by)


async def _turn(database: Database, replay_id: int, old: str, new: str, made_by: str) -> Progress:
    async with database.connection() as connection:
        turned = await connection.fetchval(
            "UPDATE replay SET status = $3 WHERE id = $1 AND status = $2 RETURNING true", _fitting(replay_id), old, new
        )
    found = await replay_of(database, replay_id)
    if not turned:
        raise Conflict(f"Replay {replay_id} is {found.status}, not {old}. Nothing was changed.")
    log.info("replay.turned", replay=replay_id, status=new, by=made_by)
    return found
