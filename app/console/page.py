"""What all console screens share: the rail, and above every screen what is wrong with a destination."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from litestar import MediaType, Response
from litestar.datastructures import State
from litestar.response import Template

from app.console.floor import HEADERS
from app.console.road import span
from app.db.base import now
from app.db.session import Database
from app.errors import LoyaltyError

RAIL = (
    ("/", "The floor"),
    ("/console", "Home"),
    ("/console/sources", "Sources"),
    ("/console/destinations", "Destinations"),
    ("/console/deliveries", "Deliveries"),
    ("/console/replays", "Replays"),
    ("/console/unclear", "Unclear"),
    ("/console/jobs", "Jobs"),
)
"""Address and name of each screen, in the order of the rail."""


@dataclass(frozen=True)
class Trouble:
    """Why nothing goes to a destination now."""

    destination: str
    name: str
    since: datetime
    sentence: str
    chosen: bool
    """Somebody paused it, which is no trouble."""


async def troubles(database: Database) -> list[Trouble]:
    """The destinations that are paused or down."""
    async with database.connection() as connection:
        rows = await connection.fetch(
            """SELECT state.*, coalesce(name, state.destination) AS name
               FROM destination_state AS state LEFT JOIN destination ON slug = state.destination
               WHERE failing_since IS NOT NULL OR paused_at IS NOT NULL ORDER BY state.destination"""
        )
    return [
        Trouble(
            row["destination"],
            row["name"],
            row["paused_at"] or row["failing_since"],
            f"Paused by {row['paused_by']}. What comes waits, and no clock runs."
            if row["paused_at"]
            else f"{_sentence(row['reason'])} What comes waits, nothing is given up, and it is asked again by itself.",
            bool(row["paused_at"]),
        )
        for row in rows
    ]


def _sentence(reason: str | None) -> str:
    text = (reason or "It does not answer").strip()
    return text if text.endswith((".", "!", "?")) else f"{text}."


async def page(
    state: State, template: str, here: str, context: Mapping[str, Any], error: LoyaltyError | None = None
) -> Response[Any]:
    """A screen of the console. `here` is its address in the rail; `error` is shown above it, with its status.

    Templates extend `console/layout.html` and have `moment`, `span`, `pretty`, `read_at`, `problem` beside `context`.
    """
    shared = {
        "rail": RAIL,
        "here": here,
        "troubles": await troubles(state.database),
        "problem": error.sentence if error else None,
        "read_at": now(),
        "span": span,
        "pretty": partial(json.dumps, indent=2, default=str, ensure_ascii=False),
    }
    return Template(
        template,
        context={**shared, **context},
        status_code=error.status if error else 200,
        headers=HEADERS,
        media_type=MediaType.HTML,
    )
