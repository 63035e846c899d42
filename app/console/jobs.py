"""The jobs that run by the clock: when each ran last, how that ended, and when it runs next."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from litestar import Response, Router, get
from litestar.datastructures import State

from app.console.page import page
from app.db.session import Database

HERE = "/console/jobs"


@dataclass(frozen=True)
class JobRead:
    """A job. Times are the database's."""

    name: str
    every: float
    """Seconds."""
    runs: int
    failures: int
    started_at: datetime | None
    """Of the last run."""
    finished_at: datetime | None
    milliseconds: float | None
    result: str | None
    """What the last run that ended well did: mostly how many rows."""
    error: str | None
    """Of the last run; null when it ended well."""
    next_at: datetime | None
    state: str
    """`well`, `failed`, `running`, or `late`: it should have run again long ago, so no worker may be there."""


@dataclass(frozen=True)
class Jobs:
    """All jobs that ever ran, by name."""

    jobs: list[JobRead]


@get("/api/jobs", role="operator", operation_id="listJobs")
async def list_jobs(state: State) -> Jobs:
    """The jobs that run by the clock; one worker at a time runs each."""
    return Jobs(await jobs(state.database))


@get(HERE, role="operator", include_in_schema=False)
async def show(state: State) -> Response[Any]:
    """The screen of the same."""
    return await page(state, "console/jobs.html", HERE, {"jobs": await jobs(state.database)})


async def jobs(database: Database) -> list[JobRead]:
    async with database.connection() as connection:
        rows = await connection.fetch(
            """SELECT job.*, CASE
                   WHEN next_at < now() - make_interval(secs => greatest(every * 3, 30)) THEN 'late'
                   WHEN finished_at IS NULL OR finished_at < started_at THEN 'running'
                   WHEN error IS NOT NULL THEN 'failed' ELSE 'well' END AS state
               FROM job ORDER BY name"""
        )
    return [JobRead(**{name: row[name] for name in JobRead.__dataclass_fields__}) for row in rows]


router = Router("/", route_handlers=[list_jobs, show], tags=["console"])
