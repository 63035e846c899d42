"""The rows of the deliverer: what waits in a lane, each try, each function's result, and how it ended."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg
import msgspec

from app.db.trouble import without_nul
from app.destinations.base import Request
from app.live import changes
from app.pipeline.functions import Outcome
from app.pipeline.lanes import Claim
from app.pipeline.verdict import Ending, Verdict

BATCH = 50
KEPT_ANSWER = 2048


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


async def waiting(connection: asyncpg.Connection, lane: Claim) -> list[Row]:
    """The first waiting rows of a lane, in order; without those that were passed and are not due yet."""
    rows = await connection.fetch(
        """SELECT delivery.id, event_position, mapping, message, event.order_id, attempts, held, passed,
                  due_at <= now() AS due, replay_id IS NOT NULL AS replayed,
                  result.outcome, result.event AS returned, result.error,
                  tries.done, tries.applied, tries.broken_off, tries.unknown_since, tries.overruled,
                  extract(epoch FROM now() - tries.unknown_over)::float8 AS elapsed
           FROM delivery
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
           WHERE destination = $1 AND delivery.person = $2 AND status = 'pending' AND (NOT passed OR due_at <= now())
           ORDER BY delivery.id LIMIT $3""",
        lane.destination,
        lane.person,
        BATCH,
    )
    broken_off = [row["id"] for row in rows if row["broken_off"]]
    if broken_off:
        await _close(connection, broken_off)
        return await waiting(connection, lane)
    return [
        Row(
            id=row["id"],
            event_position=row["event_position"],
            mapping=row["mapping"],
            message=row["message"],
            order_id=row["order_id"],
            attempts=row["attempts"],
            held=row["held"],
            passed=row["passed"],
            due=row["due"],
            function=Outcome(
                row["outcome"],
                event=row["returned"],
                error=row["error"],
            )
            if row["outcome"]
            else None,
            replayed=row["replayed"],
            applied=bool(row["applied"]),
            done_before=bool(row["done"]),
            unknown=Unknown(row["unknown_since"], row["elapsed"], row["overruled"]) if row["unknown_since"] else None,
        )
        for row in rows
    ]


async def _close(connection: asyncpg.Connection, deliveries: list[int]) -> None:
    """End the tries of workers that had these rows before and are gone, or can't begin anything any more."""
    await connection.execute(
        """UPDATE attempt SET ended_at = clock_timestamp(), answer = 'Its worker ended before the answer came.',
                  outcome = CASE kind WHEN 'send' THEN 'unclear' ELSE 'retry' END
           WHERE delivery_id = ANY($1) AND outcome IS NULL""",
        deliveries,
    )


async def keep_function(connection: asyncpg.Connection, lane: Claim, row: Row, outcome: Outcome) -> Outcome:
    """Keep what the insert function made of the event, and return what counts: the first result stays."""
    kept = await connection.fetchval(
        """INSERT INTO function_result (event_position, destination, outcome, event, error, log, calls, milliseconds,
                                        started_at, finished_at)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8::float8, now() - make_interval(secs => $8::float8 / 1000), now())
           ON CONFLICT DO NOTHING RETURNING true""",
        row.event_position,
        lane.destination,
        outcome.outcome,
        _storable(outcome.event) if outcome.event is not None else None,
        outcome.error.replace("\x00", "") if outcome.error else None,
        outcome.log.replace("\x00", ""),
        _storable(outcome.calls),
        outcome.milliseconds,
    )
    if not kept:
        return await _kept_function(connection, lane, row)
    await changes.append(connection, [changes.of_order(row.order_id, "function.done")] if row.order_id else [])
    return outcome


async def _kept_function(connection: asyncpg.Connection, lane: Claim, row: Row) -> Outcome:
    stored = await connection.fetchrow(
        "SELECT outcome, event, error FROM function_result WHERE event_position = $1 AND destination = $2",
        row.event_position,
        lane.destination,
    )
    return Outcome(stored["outcome"], event=stored["event"], error=stored["error"])


def _storable(value: Any) -> str:
    return without_nul(msgspec.json.encode(value)).decode()


async def start(
    connection: asyncpg.Connection, lane: Claim, row: Row, request: Request, kind: str = "send"
) -> int | None:
    """Note a try (or a look-up) before it leaves; None when the lane is not ours any more, or nothing may leave now.

    Headers have the keys: they stay out.
    """
    attempt: int | None = await connection.fetchval(
        """WITH mine AS (
               SELECT 1 FROM lane JOIN destination_state USING (destination)
               WHERE destination = $2 AND person = $3 AND owner = $4 AND due_at > now()
               AND paused_at IS NULL AND (rest_until IS NULL OR rest_until <= now())
           )
           INSERT INTO attempt (delivery_id, kind, started_at, request)
           SELECT $1, $6, clock_timestamp(), $5::jsonb FROM mine RETURNING id""",
        row.id,
        lane.destination,
        lane.person,
        lane.holder,
        _storable({"method": request.method, "url": request.url, "body": request.body}),
        kind,
    )
    return attempt


async def end(connection: asyncpg.Connection, ending: Ending) -> None:
    """Note how a try ended. Also when the lane was lost meanwhile: the next worker must know."""
    answer = ending.answer
    text = answer if isinstance(answer, str) else msgspec.json.encode(answer).decode()
    await connection.execute(
        "UPDATE attempt SET ended_at = clock_timestamp(), outcome = $2, status = $3, answer = $4 WHERE id = $1",
        ending.attempt,
        ending.outcome,
        ending.status,
        text.replace("\x00", "")[:KEPT_ANSWER],
    )


async def finish(
    connection: asyncpg.Connection,
    lane: Claim,
    row: Row,
    status: str,
    judged: Verdict,
    held: float,
    *,
    passed: bool,
) -> bool:
    """Bring the delivery to its new state, unless the lane was lost; whether it was ours to write.

    How its last try ended is written in any case: the next worker must know. Inside a transaction.
    """
    if judged.ending is not None:
        await end(connection, judged.ending)
    kept = await connection.fetchval(
        """WITH works AS (  -- it does the work again, so it is asked soon when it goes down the next time
               UPDATE destination_state SET probes = 0
               WHERE destination = $2 AND probes > 0 AND down_since IS NULL AND $5::text = 'delivered'
           )
           UPDATE delivery SET status = $5::text, error = $6, held = $7, passed = $8, attempts = attempts + 1,
                  due_at = now() + make_interval(secs => $9),
                  finished_at = CASE WHEN $5::text = 'pending' THEN NULL ELSE clock_timestamp() END
           WHERE id = $1 AND status = 'pending' AND EXISTS (
               SELECT FROM lane WHERE destination = $2 AND person = $3 AND owner = $4 AND due_at > now())
           RETURNING true""",
        row.id,
        lane.destination,
        lane.person,
        lane.holder,
        status,
        judged.sentence.replace("\x00", "") or None,
        held,
        passed,
        judged.wait,
    )
    if kept and row.order_id:
        kind = "delivery.waiting" if status == "pending" else f"delivery.{status}"
        await changes.append(connection, [changes.of_order(row.order_id, kind)])
    return bool(kept)
