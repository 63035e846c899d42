"""The console's first screen: the road as it is now, stage by stage, and what of it needs a person."""

from dataclasses import dataclass
from typing import Any

from litestar import Response, Router, get
from litestar.datastructures import State

from app.console.page import page
from app.db.session import Database
from app.log import log as event_log
from app.pipeline.route import CONSUMER

MOST = 10_000
"""Rows are counted up to so many: what is beyond does not change what to do."""


@dataclass(frozen=True)
class Stage:
    """A part of the road."""

    name: str
    waits: int
    waits_for: str
    needs: int
    """Rows that nobody but a person brings further."""
    needs_what: str
    link: str
    link_name: str


async def stages(database: Database) -> list[Stage]:
    """Every stage, in the order of the road. Each count reads an index of what is not done."""
    async with database.connection() as connection:

        async def count(rows: str) -> int:
            found: int = await connection.fetchval(f"SELECT count(*) FROM (SELECT FROM {rows} LIMIT {MOST}) AS counted")  # noqa: S608
            return found

        return [
            Stage(
                "Relay",
                await count("emission WHERE status = 'pending'"),
                "to be sent to the door",
                await count("emission WHERE status = 'dead'"),
                "refused for good",
                "/console/sources",
                "Sources",
            ),
            Stage(
                "Router",
                await event_log.waiting(connection, CONSUMER),
                "to be routed",
                await count("poison_event"),
                "could not be routed",
                "/console/sources",
                "Sources",
            ),
            Stage(
                "Deliverer",
                await count("delivery WHERE status = 'pending'"),
                "to be delivered",
                await count("delivery WHERE status = 'failed'"),
                "failed",
                "/console/deliveries?status=failed",
                "Failed deliveries",
            ),
            Stage(
                "Unclear",
                0,
                "",
                await count("delivery WHERE status = 'unclear'")
                + await count("point_operation WHERE status = 'UNCLEAR'"),
                "to be decided",
                "/console/unclear",
                "Decide them",
            ),
            Stage(
                "Webhooks",
                await count("webhook WHERE status = 'pending'"),
                "to be applied",
                await count("webhook WHERE status = 'failed'"),
                "could not be applied",
                "/health",
                "Health",
            ),
        ]


@get("/console", role="operator", include_in_schema=False)
async def show(state: State) -> Response[Any]:
    """What waits, and what needs somebody."""
    return await page(state, "console/home.html", "/console", {"stages": await stages(state.database), "most": MOST})


router = Router("/", route_handlers=[show])
