"""Changes of destination filters: checked before they are kept, ten of a destination at most."""

import asyncio
from dataclasses import dataclass
from datetime import datetime

import asyncpg
import msgspec

from app.db.session import Database
from app.errors import BadInput, Conflict, NotFound
from app.pipeline.configure_mappings import with_findings
from app.pipeline.configure_shared import Fault, changed, checked_name, hold, is_text, refuse, somebody_else
from app.pipeline.filters import MOST, Rule, compile_filters
from app.telemetry import log

MOST_PATHS = 100


@dataclass(frozen=True)
class FilterDraft:
    """A filter as somebody wants it; see `DestinationFilter`."""

    name: str
    condition: str
    kind: str
    paths: tuple[str, ...] = ()
    percent: float | None = None
    enabled: bool = True


def checked(draft: FilterDraft) -> FilterDraft:
    """The draft, tidied up: what its kind does not use is left out.

    Raises:
        BadInput: it can't be read; the sentence names the field.
    """
    paths = tuple(path.strip() for path in draft.paths if path.strip())
    if len(paths) > MOST_PATHS or not is_text(draft.condition + "".join(paths)) or len("".join(paths)) > 10_000:
        raise refuse(Fault("paths", f"{MOST_PATHS} at most, none of them with the character NUL."))
    tidy = FilterDraft(
        checked_name(draft.name),
        draft.condition,
        draft.kind,
        () if draft.kind == "drop" else paths,
        draft.percent if draft.kind == "sample" else None,
        draft.enabled,
    )
    try:
        compile_filters([Rule(tidy.name, tidy.condition, tidy.kind, tidy.paths, tidy.percent)])
    except BadInput as error:
        field, _, message = error.sentence.partition(": ")
        raise with_findings(refuse(Fault(field, message)), tidy.condition) from None
    return tidy


async def create(database: Database, destination: str, draft: FilterDraft, by: str) -> int:
    """Make a filter; returns its id.

    Raises:
        BadInput: the draft can't be used.
        Conflict: the destination has its ten already.
    """
    draft = await asyncio.to_thread(checked, draft)
    async with database.transaction() as connection:
        await hold(connection, destination)
        count = await connection.fetchval("SELECT count(*) FROM destination_filter WHERE destination = $1", destination)
        if count >= MOST:
            raise Conflict(f"A destination has {MOST} filters at most, and this one has them. Delete one first.")
        made: int = await connection.fetchval(
            """INSERT INTO destination_filter (destination, name, condition, kind, paths, percent, enabled, created_at,
                                               updated_at)
               VALUES ($1, $2, $3, $4, $5, $6, $7, clock_timestamp(), clock_timestamp()) RETURNING id""",
            destination,
            *_columns(draft),
        )
        await changed(connection)
    log.info("filter.created", destination=destination, filter=made, by=by)
    return made


async def edit(database: Database, destination: str, number: int, draft: FilterDraft, seen: datetime, by: str) -> None:
    """Change a filter.

    Raises:
        BadInput: the draft can't be used.
        Conflict: somebody else has changed it since `seen`.
    """
    draft = await asyncio.to_thread(checked, draft)
    async with database.transaction() as connection:
        await _held(connection, destination, number, seen)
        await connection.execute(
            """UPDATE destination_filter SET name = $2, condition = $3, kind = $4, paths = $5, percent = $6,
                      enabled = $7, updated_at = clock_timestamp() WHERE id = $1""",
            number,
            *_columns(draft),
        )
        await changed(connection)
    log.info("filter.changed", destination=destination, filter=number, by=by)


async def delete(database: Database, destination: str, number: int, seen: datetime, by: str) -> None:
    """Delete a filter.

    Raises:
        Conflict: somebody else has changed it since `seen`.
    """
    async with database.transaction() as connection:
        await _held(connection, destination, number, seen)
        await connection.execute("DELETE FROM destination_filter WHERE id = $1", number)
        await changed(connection)
    log.info("filter.deleted", destination=destination, filter=number, by=by)


def _columns(draft: FilterDraft) -> tuple[object, ...]:
    paths = msgspec.json.encode(draft.paths).decode()
    return draft.name, draft.condition, draft.kind, paths, draft.percent, draft.enabled


async def _held(connection: asyncpg.Connection, destination: str, number: int, seen: datetime) -> None:
    """Hold the destination, and see that the filter is still as it was seen."""
    await hold(connection, destination)
    updated_at = None
    if number < 2**63:  # beyond, Postgres can't even be asked
        updated_at = await connection.fetchval(
            "SELECT updated_at FROM destination_filter WHERE destination = $1 AND id = $2", destination, number
        )
    if updated_at is None:
        raise NotFound("This destination has no such filter.")
    if updated_at != seen:
        raise somebody_else("this filter", updated_at)
