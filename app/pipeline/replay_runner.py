"""The runner of replays: sets the chosen deliveries pending again, a batch at a time, never more than a few at once.

Each batch is one transaction that begins by locking the replay's row: whoever is killed in it has done nothing, and a
second worker or a stop finds the row as it was left.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Self

import asyncpg
import msgspec

from app.db.session import Database
from app.live import changes
from app.pipeline import lanes
from app.pipeline.decisions import LONGEST_NOTE, record
from app.pipeline.registry import Connected, Registry
from app.pipeline.replay import TRIES, chosen
from app.pipeline.replay_labels import Past, label_of
from app.pipeline.replay_selection import FROM, Selection
from app.telemetry import log

BATCH: Final = 200
MOST_BATCHES: Final = 10
"""In one run, so that a replay does not keep others waiting."""
AT_ONCE: Final = 1000
"""Deliveries of one replay that wait in lanes: a stop stops, and other traffic goes on."""


@dataclass(frozen=True)
class _Running:
    """The row of a replay that was locked for a batch."""

    id: int
    destination: str
    selection: Selection
    rerun: bool
    twice: bool
    note: str
    total: int
    until_id: int
    at_id: int
    left_out: int
    queued: int
    made_by: str
    made_at: datetime

    @classmethod
    def of(cls, row: asyncpg.Record) -> Self:
        same = {name: row[name] for name in cls.__dataclass_fields__ if name not in {"selection", "rerun"}}
        selection = msgspec.convert(row["selection"], Selection)
        return cls(**same, selection=selection, rerun=row["function"] == "rerun")


@dataclass
class Replayer:
    """One per worker; one of them runs at a time, and two would do no harm."""

    database: Database
    registry: Registry
    at_once: int = AT_ONCE

    async def run_once(self) -> int:
        """Queue the next deliveries of every running replay; returns how many."""
        async with self.database.connection() as connection:
            running = await connection.fetch("SELECT id FROM replay WHERE status = 'running' ORDER BY id")
        if running:
            await self.registry.refresh()
        queued = 0
        for row in running:
            for _ in range(MOST_BATCHES):
                number = await self._batch(row["id"])
                if number is None:
                    break
                queued += number
        return queued

    async def _batch(self, replay_id: int) -> int | None:
        """Queue one batch; None when it is stopped, another worker has it, or enough of it waits."""
        async with self.database.transaction() as connection:
            row = await connection.fetchrow(
                "SELECT * FROM replay WHERE id = $1 AND status = 'running' FOR UPDATE SKIP LOCKED", replay_id
            )
            if row is None:
                return None
            replay = _Running.of(row)
            room = self.at_once - await connection.fetchval(
                "SELECT count(*) FROM delivery WHERE replay_id = $1 AND status = 'pending'", replay_id
            )
            if room <= 0:
                return None
            limit = min(BATCH, room)
            rows = await _next(connection, replay, limit)
            to = self.registry.connected.get(replay.destination)
            wanted = [each for each in rows if to is not None and _may_go(each, replay, to)]
            await _queue(connection, replay, wanted)
            await _note(connection, replay, rows, len(wanted), through=len(rows) < limit)
        log.info("replay.queued", replay=replay_id, queued=len(wanted), left_out=len(rows) - len(wanted))
        return len(wanted)


async def _next(connection: asyncpg.Connection, replay: _Running, limit: int) -> list[asyncpg.Record]:
    """The next deliveries, locked so that they stay as they are, and then what their tries say."""
    where = await chosen(connection, replay.selection, replay.made_at)
    where.add("delivery.id > {0} AND delivery.id <= {1}", replay.at_id, replay.until_id)
    locked = await connection.fetch(
        f"""SELECT delivery.id FROM {FROM} WHERE {where.sql} ORDER BY delivery.id LIMIT {limit}
            FOR UPDATE OF delivery""",  # noqa: S608 - our own text
        *where.arguments,
    )
    rows: list[asyncpg.Record] = await connection.fetch(
        f"""SELECT chosen.id, chosen.status, chosen.mapping, chosen.person, chosen.event_position, event.order_id,
                   coalesce(applied, false) AS applied, coalesce(unclear, false) AS unclear, coalesce(last, 0) AS last
            FROM delivery AS chosen JOIN event ON event.position = event_position {TRIES}
            WHERE chosen.id = ANY($1) ORDER BY chosen.id""",  # noqa: S608 - our own text
        [row["id"] for row in locked],
    )
    return rows


def _may_go(row: asyncpg.Record, replay: _Running, to: Connected) -> bool:
    """Whether it is sent again: its mapping is there, and it is not applied twice against the wish."""
    mapping = to.mappings.get(row["mapping"])
    if mapping is None:
        return False
    label = label_of(mapping.action.repeat, Past(row["applied"], row["unclear"]))
    return replay.twice or label != "would apply twice"


async def _queue(connection: asyncpg.Connection, replay: _Running, rows: list[asyncpg.Record]) -> None:
    """Set them pending, their lanes due; keep a decision on each that was unclear, for this is one."""
    if not rows:
        return
    unclear = [row["id"] for row in rows if row["status"] == "unclear"]
    for delivery in unclear:
        note = f"Replay {replay.id}: {replay.note}"[:LONGEST_NOTE]
        await record(connection, f"delivery:{delivery}", "send_again", note, replay.made_by)
    await connection.execute(
        """UPDATE attempt SET outcome = 'overruled' WHERE delivery_id = ANY($1) AND kind = 'send'
           AND (outcome IS NULL OR outcome = 'unclear')""",
        unclear,
    )
    if replay.rerun:  # one of since then is of this replay already, by another mapping of the event
        await connection.execute(
            """DELETE FROM function_result WHERE destination = $1 AND event_position = ANY($2) AND started_at < $3""",
            replay.destination,
            [row["event_position"] for row in rows],
            replay.made_at,
        )
    await connection.execute(
        """UPDATE delivery SET status = 'pending', attempts = 0, held = 0, passed = true, due_at = now(),
                  finished_at = NULL, replay_id = $1, attempts_after = chosen.last
           FROM unnest($2::bigint[], $3::bigint[]) AS chosen (id, last) WHERE delivery.id = chosen.id""",
        replay.id,
        [row["id"] for row in rows],
        [row["last"] for row in rows],
    )
    await lanes.make_due(connection, ((replay.destination, row["person"]) for row in rows))
    orders: Any = dict.fromkeys(row["order_id"] for row in rows if row["order_id"])
    await changes.append(connection, [changes.of_order(order, "delivery.waiting") for order in orders])


async def _note(
    connection: asyncpg.Connection, replay: _Running, rows: list[asyncpg.Record], queued: int, *, through: bool
) -> None:
    """Move the replay on. Those that were chosen and changed since were met by nobody: at the end they are left out."""
    all_queued = replay.queued + queued
    left_out = max(0, replay.total - all_queued) if through else replay.left_out + len(rows) - queued
    await connection.execute(
        """UPDATE replay SET at_id = $2, queued = $3, left_out = $4, status = CASE WHEN $5 THEN 'done' ELSE status END,
                  finished_at = CASE WHEN $5 THEN clock_timestamp() END
           WHERE id = $1""",
        replay.id,
        rows[-1]["id"] if rows else replay.until_id,
        all_queued,
        left_out,
        through,
    )
