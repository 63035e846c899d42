"""How destinations are, for all workers: which is down, when it is asked again, and the pace of its calls (rule 8)."""

from collections.abc import Iterable

import asyncpg

from app.db.wake import wake

LONGEST_REFUSAL = 300.0
"""Seconds that one which answers its test and refuses the work is left alone at most."""


async def make(connection: asyncpg.Connection, destinations: Iterable[str]) -> None:
    """Make the rows: lanes of a destination without one are not claimed."""
    await connection.execute(
        """INSERT INTO destination_state (destination, probes, next_slot)
           SELECT destination, 0, now() FROM unnest($1::text[]) AS destination ON CONFLICT DO NOTHING""",
        sorted(destinations),
    )


async def note_down(connection: asyncpg.Connection, destination: str, reason: str, wait: float) -> bool:
    """Note that it is down, and ask again in `wait` seconds; True when it was up until now.

    One that answers its test and refuses the work again and again is left alone for longer and longer.
    """
    return bool(
        await connection.fetchval(
            """UPDATE destination_state SET down_since = coalesce(down_since, now()), reason = $2,
                      failing_since = coalesce(failing_since, now()),
                      probe_at = greatest(probe_at, now() + make_interval(
                          secs => CASE WHEN down_since IS NULL AND failing_since IS NOT NULL
                                  THEN greatest($3, least($4, $3 * 2 ^ least(probes, 10))) ELSE $3 END))
               WHERE destination = $1 RETURNING down_since = now()""",
            destination,
            reason[:2000],
            wait,
            LONGEST_REFUSAL,
        )
    )


async def to_ask(connection: asyncpg.Connection, seconds: float) -> list[tuple[str, int]]:
    """The destinations that are to be asked now, by this worker alone for `seconds`, with how often they were."""
    rows = await connection.fetch(
        """UPDATE destination_state SET probe_at = now() + make_interval(secs => $1), probes = probes + 1
           WHERE down_since IS NOT NULL AND probe_at <= now() RETURNING destination, probes""",
        seconds,
    )
    return [(row["destination"], row["probes"]) for row in rows]


async def ask_again(connection: asyncpg.Connection, destination: str, reason: str, wait: float) -> None:
    """It is still down: ask again in `wait` seconds."""
    await connection.execute(
        """UPDATE destination_state SET reason = $2, probe_at = now() + make_interval(secs => $3)
           WHERE destination = $1 AND down_since IS NOT NULL""",
        destination,
        reason[:2000],
        wait,
    )


async def note_up(connection: asyncpg.Connection, destination: str) -> None:
    """It answers again. Inside a transaction.

    `probes`, `failing_since` and the reason stay until a row was delivered: one that answers its test and refuses the
    work is asked less and less.
    """
    await connection.execute(
        "UPDATE destination_state SET down_since = NULL, probe_at = NULL WHERE destination = $1",
        destination,
    )
    await wake(connection, "deliver")


async def rest(connection: asyncpg.Connection, destination: str, seconds: float) -> None:
    """By its rate headers it wants to be left alone for so long: no worker claims anything of it meanwhile."""
    await connection.execute(
        """UPDATE destination_state SET rest_until = greatest(rest_until, now() + make_interval(secs => $2))
           WHERE destination = $1""",
        destination,
        seconds,
    )


async def reserve(connection: asyncpg.Connection, destination: str, interval: float, calls: int = 1) -> float:
    """Reserve the next `calls` slots, `interval` seconds apart; returns how long to wait for the first of them.

    One row for all workers, so that however many there are, they keep the pace together.
    """
    wait: float = await connection.fetchval(
        """UPDATE destination_state
           SET next_slot = greatest(next_slot, clock_timestamp()) + make_interval(secs => $2::float8 * $3)
           WHERE destination = $1
           RETURNING extract(epoch FROM next_slot - clock_timestamp())::float8 - $2::float8 * $3""",
        destination,
        interval,
        calls,
    )
    return max(0.0, wait)
