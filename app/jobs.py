"""The jobs that run by the clock: one worker at a time runs each, and a row says when it last ran and how it ended."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from time import monotonic

from sqlmodel import Field, SQLModel

from app.db import lease
from app.db.base import utc_field
from app.db.session import Database
from app.telemetry import log


class Job(SQLModel, table=True):
    """A job that runs by the clock."""

    __tablename__ = "job"

    name: str = Field(primary_key=True)
    every: float
    """Seconds."""
    runs: int = 0
    failures: int = 0
    started_at: datetime | None = utc_field(default=None)
    """Of the last run; the times are the database's."""
    finished_at: datetime | None = utc_field(default=None)
    milliseconds: float | None = None
    result: str | None = None
    """What the last run that ended well did, as in `12`: how many rows."""
    error: str | None = None
    """Of the last run; null when it ended well."""
    next_at: datetime | None = utc_field(default=None)


async def run_alone(
    database: Database, name: str, owner: str, every: float, job: Callable[[], Awaitable[object]]
) -> None:
    """Run the job now, unless another worker has it or has just run it. What it raises is logged and kept."""
    try:
        async with database.connection() as connection:
            if not await lease.take(connection, f"job:{name}", owner, every * 2):
                return
            await connection.execute(
                """INSERT INTO job (name, every, runs, failures, started_at, next_at)
                   VALUES ($1, $2::float8, 0, 0, now(), now() + make_interval(secs => $2::float8))
                   ON CONFLICT (name) DO UPDATE
                   SET every = excluded.every, started_at = now(), next_at = excluded.next_at""",
                name,
                every,
            )
        began = monotonic()
        error, result = None, None
        try:
            result = await job()
        except Exception as raised:  # noqa: BLE001 - the next run comes by itself
            error = repr(raised)[:500]
            log.error("job.failed", job=name, error=error)
        async with database.connection() as connection:
            await connection.execute(
                """UPDATE job SET runs = runs + 1, failures = failures + ($3::text IS NOT NULL)::int,
                          finished_at = now(), milliseconds = $2, error = $3, result = coalesce($4, result)
                   WHERE name = $1""",
                name,
                round((monotonic() - began) * 1000, 1),
                error.replace("\x00", "") if error else None,
                None if result is None else str(result)[:100],
            )
    except Exception as error:  # noqa: BLE001 - the database is away: the next run comes by itself
        log.error("job.failed", job=name, error=repr(error)[:500])
