"""Changes of mappings. Each is one transaction that writes a version, and counts for all processes.

Who changes a mapping says which version was seen; where somebody else was faster, nothing is saved. Versions are kept
for ever, so a slug is never given twice.
"""

import asyncio
from dataclasses import asdict, dataclass, replace
from typing import Any

import asyncpg

from app.db.session import Database
from app.destinations.base import Destination
from app.errors import BadInput, Conflict, LoyaltyError, NotFound
from app.pipeline.configure_shared import (
    COUNTED,
    Fault,
    as_json,
    changed,
    checked_name,
    free_slug,
    hold,
    is_text,
    refuse,
    somebody_else,
    still_waiting,
)
from app.pipeline.filters import LONGEST_CONDITION
from app.pipeline.lint import lint_trigger
from app.pipeline.mapping import compile_mapping
from app.pipeline.subscriptions import compile_trigger
from app.telemetry import log

MOST = 50
"""Mappings of one destination, as in Segment."""
RESERVED = frozenset({"test"})
"""Slugs that would hide a route."""


@dataclass(frozen=True)
class Draft:
    """A mapping as somebody wants it."""

    name: str
    action: str
    trigger: str
    mapping: dict[str, Any]
    enabled: bool = True


def checked(destination: Destination, draft: Draft) -> Draft:
    """The draft, tidied up.

    Raises:
        BadInput: something in it can't be used; every fault is named by its field, and what is wrong with a trigger
            is in `findings`.
    """
    faults: list[Fault] = []
    name = draft.name
    try:
        name = checked_name(draft.name)
    except BadInput as error:
        faults += [Fault(**fault) for fault in error.extra["faults"]]
    if draft.action not in destination.actions:
        has = ", ".join(destination.actions)
        faults.append(Fault("action", f"{destination.name} has no action {draft.action[:100]!r}. It has {has}."))
    faults += trigger_faults(draft.trigger)
    faults += mapping_faults(draft.mapping)
    if faults:
        raise with_findings(refuse(*faults), draft.trigger)
    return replace(draft, name=name)


def with_findings(refused: BadInput, trigger: str) -> BadInput:
    """The refusal; where a trigger is at fault also what Segment makes of it and what to write, as `findings`."""
    if any(fault["field"] in {"trigger", "condition"} for fault in refused.extra["faults"]):
        refused.extra["findings"] = [asdict(finding) for finding in lint_trigger(trigger)]
    return refused


def is_too_large(draft: Draft) -> bool:
    """Whether its trigger or mapping is larger than any that can be saved."""
    try:
        as_json(draft.mapping, "mapping")
    except BadInput:
        return True
    return len(draft.trigger) > LONGEST_CONDITION


def trigger_faults(trigger: str) -> list[Fault]:
    """What keeps a trigger from being used: one fault, or none."""
    if len(trigger.encode("utf-8", "replace")) > LONGEST_CONDITION or not is_text(trigger):
        return [Fault("trigger", f"{LONGEST_CONDITION // 1024} KB of text at most, without the character NUL.")]
    try:
        compile_trigger(trigger)
    except LoyaltyError as error:
        return [Fault("trigger", error.sentence)]
    return []


def mapping_faults(mapping: dict[str, Any]) -> list[Fault]:
    """What keeps a mapping from being used, in Segment's sentences."""
    try:
        as_json(mapping, "mapping")
        compile_mapping(mapping)
    except BadInput as error:
        if "faults" in error.extra:
            return [Fault(**fault) for fault in error.extra["faults"]]
        return [Fault("mapping", message) for message in getattr(error, "messages", (error.sentence,))]
    return []


async def create(database: Database, type_: Destination, destination: str, draft: Draft, by: str) -> str:
    """Make a mapping at the end of the order; returns its slug.

    Raises:
        BadInput: the draft can't be used.
        Conflict: the destination has its fifty already.
    """
    draft = await asyncio.to_thread(checked, type_, draft)
    async with database.transaction() as connection:
        await hold(connection, destination)
        slug = await insert(connection, destination, draft, by)
        await changed(connection)
    log.info("mapping.created", destination=destination, mapping=slug, by=by)
    return slug


async def insert(connection: asyncpg.Connection, destination: str, draft: Draft, by: str) -> str:
    """Make a mapping of a destination that is held, or new in this transaction."""
    count, place = await connection.fetchrow(
        "SELECT count(*), coalesce(max(place), 0) + 1 FROM mapping WHERE destination = $1", destination
    )
    if count >= MOST:
        raise Conflict(f"A destination has {MOST} mappings at most, and this one has them. Delete one first.")
    taken = await connection.fetch("SELECT DISTINCT slug FROM mapping_version WHERE destination = $1", destination)
    slug = free_slug(draft.name, RESERVED | {row["slug"] for row in taken}, "mapping")
    made = await connection.fetchval(
        """INSERT INTO mapping (destination, slug, name, action, trigger, mapping, enabled, place, version,
                                created_at, updated_at)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 1, clock_timestamp(), clock_timestamp()) RETURNING id""",
        destination,
        slug,
        draft.name,
        draft.action,
        draft.trigger,
        as_json(draft.mapping, "mapping"),
        draft.enabled,
        place,
    )
    await _note(connection, made, "created", by)
    return slug


async def edit(
    database: Database, type_: Destination, destination: str, slug: str, draft: Draft, seen: int, by: str
) -> int:
    """Change a mapping; returns its version, which stays where nothing is different.

    Raises:
        BadInput: the draft can't be used.
        Conflict: somebody else has changed it since version `seen`.
    """
    draft = await asyncio.to_thread(checked, type_, draft)
    async with database.transaction() as connection:
        row = await _held(connection, destination, slug, seen)
        old = draft_of(row)
        change = "edited"
        if draft == replace(old, enabled=draft.enabled) and list(draft.mapping) == list(old.mapping):
            if draft.enabled == old.enabled:
                return int(row["version"])
            change = "enabled" if draft.enabled else "disabled"
        version = await _put(connection, row, draft, change, by)
    log.info("mapping.changed", destination=destination, mapping=slug, version=version, change=change, by=by)
    return version


async def restore(
    database: Database, type_: Destination, destination: str, slug: str, number: int, seen: int, by: str
) -> int:
    """Make a mapping what it was in version `number`: name, action, trigger and mapping. On or off it stays as it is.

    Raises:
        BadInput: what it was then can't be used any more.
        Conflict: somebody else has changed it since version `seen`.
    """
    async with database.transaction() as connection:
        row = await _held(connection, destination, slug, seen)
        then = await connection.fetchrow(
            "SELECT * FROM mapping_version WHERE mapping_id = $1 AND version = $2", row["id"], number
        )
        if then is None:
            raise NotFound(f"This mapping has no version {number}.")
        draft = checked(type_, replace(draft_of(then), enabled=row["enabled"]))
        version = await _put(connection, row, draft, "restored", by)
    log.info("mapping.restored", destination=destination, mapping=slug, version=version, of=number, by=by)
    return version


async def move(database: Database, destination: str, slug: str, place: int, seen: int, by: str) -> int:
    """Put a mapping at this place of the order, the first being 1; the others make room. Returns its version.

    Raises:
        Conflict: somebody else has changed it since version `seen`.
    """
    async with database.transaction() as connection:
        row = await _held(connection, destination, slug, seen)
        found = await connection.fetch("SELECT id FROM mapping WHERE destination = $1 ORDER BY place, id", destination)
        order = [each["id"] for each in found if each["id"] != row["id"]]
        order.insert(max(0, place - 1), row["id"])
        if order == [each["id"] for each in found]:
            return int(row["version"])
        await connection.execute(
            """UPDATE mapping SET place = ordered.place
               FROM unnest($1::bigint[]) WITH ORDINALITY AS ordered (id, place) WHERE mapping.id = ordered.id""",
            order,
        )
        # Only the one that was moved has a new version: who edits one of the others is not in the way.
        version = await _put(connection, row, draft_of(row), "moved", by)
    log.info("mapping.moved", destination=destination, mapping=slug, place=place, by=by)
    return version


async def delete(database: Database, destination: str, slug: str, seen: int, by: str) -> None:
    """Delete a mapping. Its versions stay.

    Raises:
        Conflict: deliveries of it wait, or somebody else has changed it since version `seen`.
    """
    async with database.transaction() as connection:
        row = await _held(connection, destination, slug, seen)
        waiting = await connection.fetchval(
            """SELECT count(*) FROM (
                   SELECT FROM delivery WHERE destination = $1 AND mapping = $2 AND status IN ('pending', 'unclear')
                   LIMIT $3) AS waiting""",
            destination,
            slug,
            COUNTED,
        )
        if waiting:
            raise still_waiting(waiting, "mapping")
        await _put(connection, row, replace(draft_of(row), enabled=False), "deleted", by)
        await connection.execute("DELETE FROM mapping WHERE id = $1", row["id"])
    log.info("mapping.deleted", destination=destination, mapping=slug, by=by)


def draft_of(row: asyncpg.Record) -> Draft:
    """What a row of mappings or of their versions says."""
    return Draft(row["name"], row["action"], row["trigger"], row["mapping"], row["enabled"])


async def _held(connection: asyncpg.Connection, destination: str, slug: str, seen: int) -> asyncpg.Record:
    """The row of a mapping as it was seen, held through its destination."""
    await hold(connection, destination)
    row = None
    if is_text(slug):
        row = await connection.fetchrow("SELECT * FROM mapping WHERE destination = $1 AND slug = $2", destination, slug)
    if row is None:
        raise NotFound(f"This destination has no mapping {slug[:100]!r}.")
    if row["version"] != seen:
        last = await connection.fetchrow(
            "SELECT changed_at, changed_by FROM mapping_version WHERE mapping_id = $1 AND version = $2",
            row["id"],
            row["version"],
        )
        raise somebody_else("this mapping", last["changed_at"], last["changed_by"])
    return row


async def _put(connection: asyncpg.Connection, row: asyncpg.Record, draft: Draft, change: str, by: str) -> int:
    version: int = await connection.fetchval(
        """UPDATE mapping SET name = $2, action = $3, trigger = $4, mapping = $5, enabled = $6, version = version + 1,
                  updated_at = clock_timestamp()
           WHERE id = $1 RETURNING version""",
        row["id"],
        draft.name,
        draft.action,
        draft.trigger,
        as_json(draft.mapping, "mapping"),
        draft.enabled,
    )
    await _note(connection, row["id"], change, by)
    await changed(connection)
    return version


async def _note(connection: asyncpg.Connection, mapping_id: int, change: str, by: str) -> None:
    """Keep the mapping as it is now as a version."""
    await connection.execute(
        """INSERT INTO mapping_version (mapping_id, destination, slug, version, change, name, action, trigger, mapping,
                                        enabled, place, changed_by, changed_at)
           SELECT id, destination, slug, version, $2, name, action, trigger, mapping, enabled, place, $3, updated_at
           FROM mapping WHERE id = $1""",
        mapping_id,
        change,
        by,
    )
