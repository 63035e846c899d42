"""What waits in lanes, with all that is needed to decide on it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg

from app.pipeline.functions import Outcome
from app.pipeline.lanes import Claim

BATCH = 50
"""Rows of a lane that are read at once."""


@dataclass(frozen=True)
class Row:
    """A delivery that waits, with all that is needed to decide on it."""

    id: int
    event_position: int
    mapping: str
    message: dict[str, Any]
    order_id: str | None
    attempts: int
    held: float
    passed: bool
    due: bool
    function: Outcome | None
    """The stored result of the insert function, when it has run."""
    done_before: bool
    """An earlier try is known to have been carried out."""
    unknown: "Unknown | None"
    """An earlier try may have been carried out."""
    replayed: bool = False
    """It is sent again on somebody's wish; what was tried before that counts only as `applied`."""
    applied: bool = False
    """Before the replay it was carried out, or may have been."""


@dataclass(frozen=True)
class Unknown:
    """Tries of which nobody knows whether they were carried out. Times by the database's clock."""

    started_at: datetime
    """When the first of them began."""
    elapsed: float
    """Seconds since the last of them was over."""
    overruled: bool
    """An operator decided to send it again although nobody knows."""


async def waiting(connection: asyncpg.Connection, lanes: Sequence[Claim]) -> list[list[Row]]:
    """Of each lane the first waiting rows, in order; without those that were passed and are not due yet."""
    rows = await connection.fetch(
        """SELECT place, delivery.id, event_position, mapping, message, event.order_id, attempts, held, passed,
                  due_at <= now() AS due, replay_id IS NOT NULL AS replayed,
                  result.outcome, result.event AS returned, result.error,
                  tries.done, tries.applied, tries.broken_off, tries.unknown_since, tries.overruled,
                  extract(epoch FROM now() - tries.unknown_over)::float8 AS elapsed
           FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS lane (of_destination, of_person, place)
           CROSS JOIN LATERAL (
               SELECT * FROM delivery
               WHERE destination = of_destination AND person = of_person AND status = 'pending'
               AND (NOT passed OR due_at <= now())
               ORDER BY id LIMIT $3
           ) AS delivery
           JOIN event ON event.position = event_position
           LEFT JOIN function_result AS result USING (event_position, destination)
           LEFT JOIN LATERAL (
               SELECT bool_or(outcome IS NULL) AS broken_off,
                      bool_or(outcome IN ('done', 'found')) FILTER (WHERE id > attempts_after) AS done,
                      bool_or(outcome IN ('done', 'found') OR maybe) FILTER (WHERE id <= attempts_after) AS applied,
                      min(started_at) FILTER (WHERE unknown) AS unknown_since,
                      max(ended_at) FILTER (WHERE unknown) AS unknown_over,
                      bool_and(outcome = 'overruled') FILTER (WHERE unknown) AS overruled
               FROM attempt
               CROSS JOIN LATERAL (
                   SELECT kind = 'send' AND coalesce(outcome, 'unclear') IN ('unclear', 'overruled'),
                          id > attempts_after
                          AND kind = 'send' AND coalesce(outcome, 'unclear') IN ('unclear', 'overruled')
               ) AS told (maybe, unknown)
               WHERE delivery_id = delivery.id
           ) AS tries ON true
           ORDER BY place, delivery.id""",
        [lane.destination for lane in lanes],
        [lane.person for lane in lanes],
        BATCH,
    )
    broken_off = [row["id"] for row in rows if row["broken_off"]]
    if broken_off:
        await _close(connection, broken_off)
        return await waiting(connection, lanes)
    found: list[list[Row]] = [[] for _ in lanes]
    for row in rows:
        found[row["place"] - 1].append(_row(row))
    return found


def _row(row: asyncpg.Record) -> Row:
    return Row(
        id=row["id"],
        event_position=row["event_position"],
        mapping=row["mapping"],
        message=row["message"],
        order_id=row["order_id"],
        attempts=row["attempts"],
        held=row["held"],
        passed=row["passed"],
        due=row["due"],
        function=Outcome(row["outcome"], event=row["returned"], error=row["error"]) if row["outcome"] else None,
        replayed=row["replayed"],
        applied=bool(row["applied"]),
        done_before=bool(row["done"]),
        unknown=Unknown(row["unknown_since"], row["elapsed"], row["overruled"]) if row["unknown_since"] else None,
    )


async def _close(connection: asyncpg.Connection, deliveries: list[int]) -> None:
    """End the tries of workers that had these rows before and are gone, or can't begin anything any more."""
    await connection.execute(
        """UPDATE attempt SET ended_at = clock_timestamp(), answer = 'Its worker ended before the answer came.',
                  outcome = CASE kind WHEN 'send' THEN 'unclear' ELSE 'retry' END
           WHERE delivery_id = ANY($1) AND outcome IS NULL""",
        deliveries,
    )
