"""The rows of the deliverer: what waits in a lane, each try, each function's result, and how it ended."""

from collections.abc import Sequence
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


@dataclass(frozen=True)
class Trying:
    """A try that is about to leave. `kind`: `send`, or `look_up`."""

    lane: Claim
    row: Row
    request: Request
    kind: str


@dataclass(frozen=True)
class Ran:
    """What an insert function made of a row's event."""

    lane: Claim
    row: Row
    outcome: Outcome


@dataclass(frozen=True)
class Finished:
    """How a try of a row ended, and the state that it has now."""

    lane: Claim
    row: Row
    status: str
    judged: Verdict
    held: float
    passed: bool


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


async def keep_functions(connection: asyncpg.Connection, ran: Sequence[Ran]) -> list[Outcome]:
    """Keep what the insert function made of events and return what counts: the first result. In a transaction."""
    kept = await connection.fetch(
        """INSERT INTO function_result (event_position, destination, outcome, event, error, log, calls, milliseconds,
                                        started_at, finished_at)
           SELECT event_position, destination, outcome, event::jsonb, error, log, calls::jsonb, ms,
                  now() - make_interval(secs => ms / 1000), now()
           FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
                       $8::float8[]) AS ran (event_position, destination, outcome, event, error, log, calls, ms)
           ON CONFLICT DO NOTHING RETURNING event_position, destination""",
        [one.row.event_position for one in ran],
        [one.lane.destination for one in ran],
        [one.outcome.outcome for one in ran],
        [_storable(one.outcome.event) if one.outcome.event is not None else None for one in ran],
        [one.outcome.error.replace("\x00", "") if one.outcome.error else None for one in ran],
        [one.outcome.log.replace("\x00", "") for one in ran],
        [_storable(one.outcome.calls) for one in ran],
        [one.outcome.milliseconds for one in ran],
    )
    mine = {(row["event_position"], row["destination"]) for row in kept}
    made = [one for one in ran if (one.row.event_position, one.lane.destination) in mine]
    counts = [one.outcome if one in made else await _kept_function(connection, one) for one in ran]
    await changes.append(
        connection, [changes.of_order(one.row.order_id, "function.done") for one in made if one.row.order_id]
    )
    return counts


async def _kept_function(connection: asyncpg.Connection, ran: Ran) -> Outcome:
    stored = await connection.fetchrow(
        "SELECT outcome, event, error FROM function_result WHERE event_position = $1 AND destination = $2",
        ran.row.event_position,
        ran.lane.destination,
    )
    return Outcome(stored["outcome"], event=stored["event"], error=stored["error"])


def _storable(value: Any) -> str:
    return without_nul(msgspec.json.encode(value)).decode()


async def start(connection: asyncpg.Connection, trying: Sequence[Trying]) -> list[int | None]:
    """Note tries (or look-ups) before they leave; None for one whose lane is not ours any more, or that may not leave
    now.

    Headers have the keys: they stay out.
    """
    rows = await connection.fetch(
        """INSERT INTO attempt (delivery_id, kind, started_at, request)
           SELECT delivery, kind, clock_timestamp(), request::jsonb
           FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[])
                AS trying (delivery, destination, person, holder, kind, request)
           JOIN lane USING (destination, person) JOIN destination_state USING (destination)
           WHERE lane.owner = holder AND lane.due_at > now()
           AND paused_at IS NULL AND (rest_until IS NULL OR rest_until <= now())
           RETURNING delivery_id, id""",
        [one.row.id for one in trying],
        [one.lane.destination for one in trying],
        [one.lane.person for one in trying],
        [one.lane.holder for one in trying],
        [one.kind for one in trying],
        [_storable({"method": one.request.method, "url": one.request.url, "body": one.request.body}) for one in trying],
    )
    ids = {row["delivery_id"]: row["id"] for row in rows}
    return [ids.get(one.row.id) for one in trying]


async def end(connection: asyncpg.Connection, endings: Sequence[Ending]) -> None:
    """Note how tries ended. Also where a lane was lost meanwhile: the next worker must know."""
    await connection.execute(
        """UPDATE attempt SET ended_at = clock_timestamp(), outcome = ended.outcome, status = ended.status,
                  answer = ended.answer
           FROM unnest($1::bigint[], $2::text[], $3::int[], $4::text[]) AS ended (id, outcome, status, answer)
           WHERE attempt.id = ended.id""",
        [one.attempt for one in endings],
        [one.outcome for one in endings],
        [one.status for one in endings],
        [_answer(one.answer) for one in endings],
    )


def _answer(answer: Any) -> str:
    text = answer if isinstance(answer, str) else msgspec.json.encode(answer).decode()
    return text.replace("\x00", "")[:KEPT_ANSWER]


async def finish(connection: asyncpg.Connection, finished: Sequence[Finished]) -> list[bool]:
    """Bring deliveries to their new states, but none whose lane was lost; whether each was ours to write.

    How their last tries ended is written in any case: the next worker must know. Inside a transaction.
    """
    endings = [one.judged.ending for one in finished if one.judged.ending is not None]
    if endings:
        await end(connection, endings)
    rows = await connection.fetch(
        """WITH finished AS (
               SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[],
                                    $7::float8[], $8::boolean[], $9::float8[])
                      AS given (id, destination, person, holder, status, error, held, passed, wait)
           ), works AS (  -- it does the work again, so it is asked soon when it goes down the next time
               SELECT destination FROM destination_state
               WHERE probes > 0 AND down_since IS NULL
               AND destination IN (SELECT destination FROM finished WHERE status = 'delivered')
               ORDER BY destination FOR UPDATE
           ), hopeful AS (
               UPDATE destination_state AS state SET probes = 0 FROM works WHERE state.destination = works.destination
           )
           UPDATE delivery SET status = finished.status, error = finished.error, held = finished.held,
                  passed = finished.passed, attempts = attempts + 1,
                  due_at = now() + make_interval(secs => finished.wait),
                  finished_at = CASE WHEN finished.status = 'pending' THEN NULL ELSE clock_timestamp() END
           FROM finished JOIN lane USING (destination, person)
           WHERE delivery.id = finished.id AND delivery.status = 'pending'
           AND lane.owner = finished.holder AND lane.due_at > now()
           RETURNING delivery.id""",
        [one.row.id for one in finished],
        [one.lane.destination for one in finished],
        [one.lane.person for one in finished],
        [one.lane.holder for one in finished],
        [one.status for one in finished],
        [one.judged.sentence.replace("\x00", "") or None for one in finished],
        [one.held for one in finished],
        [one.passed for one in finished],
        [one.judged.wait for one in finished],
    )
    kept = {row["id"] for row in rows}
    await changes.append(
        connection,
        [
            changes.of_order(
                one.row.order_id, "delivery.waiting" if one.status == "pending" else f"delivery.{one.status}"
            )
            for one in finished
            if one.row.order_id and one.row.id in kept
        ],
    )
    return [one.row.id in kept for one in finished]
