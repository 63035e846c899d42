"""What the deliverer writes: each try, each function's result, and how a row ended."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg
import msgspec

from app.db.storable import without_nul
from app.destinations.base import Request
from app.live import changes
from app.pipeline.functions import Outcome
from app.pipeline.lanes import Claim
from app.pipeline.verdict import Ending, Verdict
from app.pipeline.waiting import Row

KEPT_ANSWER = 2048


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
               WHERE failing_since IS NOT NULL AND down_since IS NULL
               AND destination IN (SELECT destination FROM finished WHERE status = 'delivered')
               ORDER BY destination FOR UPDATE
           ), hopeful AS (
               UPDATE destination_state AS state SET probes = 0, failing_since = NULL, reason = NULL
               FROM works WHERE state.destination = works.destination
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
