"""Changes of destinations: each is one transaction, and counts in `configuration`, so that all processes load it.

Changes of their mappings are in `configure_mappings`, of their filters in `configure_filters`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import asyncpg

from app.db.session import Database
from app.db.wake import wake
from app.destinations.base import Destination
from app.errors import Conflict, NotFound
from app.pipeline import destination_state
from app.pipeline.configure_mappings import Draft, insert
from app.pipeline.configure_settings import checked_settings
from app.pipeline.configure_shared import (
    COUNTED,
    Fault,
    as_json,
    changed,
    checked_name,
    free_slug,
    hold,
    no_destination,
    refuse,
    somebody_else,
    still_waiting,
)
from app.telemetry import log

RESERVED = frozenset({"catalogue"})
"""Slugs that would hide a route."""
Environment = Mapping[str, Mapping[str, Any]]
Catalogue = Mapping[str, Destination]


@dataclass(frozen=True)
class Wanted:
    """A destination that shall be connected."""

    type: str
    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    presets: bool = True
    """Whether it starts with the mappings of its type, or with none."""


async def connect_once(connection: asyncpg.Connection, destination: Destination, made_by: str) -> bool:
    """Connect a destination under its own name with its presets, unless it is connected already. In a transaction."""
    made = await connection.fetchval(
        """INSERT INTO destination (slug, type, name, enabled, settings, created_at, updated_at)
           VALUES ($1, $1, $2, true, '{}', now(), now()) ON CONFLICT DO NOTHING RETURNING true""",
        destination.slug,
        destination.name,
    )
    if not made:
        return False
    await _complete(connection, destination, destination.slug, made_by, presets=True)
    return True


async def connect(database: Database, catalogue: Catalogue, environment: Environment, wanted: Wanted, by: str) -> str:
    """Connect another destination; returns its slug.

    Raises:
        BadInput: the type or a setting can't be used.
        Conflict: the type is set up by the environment, which connects it.
    """
    destination = catalogue.get(wanted.type)
    if destination is None:
        raise refuse(Fault("type", f"there is no {wanted.type[:100]!r}. There is {', '.join(catalogue)}."))
    if wanted.type in environment:
        raise Conflict(f"{destination.name} is set up by the environment: there is one, and it is connected already.")
    name = checked_name(wanted.name)
    settings = as_json(checked_settings(destination, wanted.settings), "settings")
    async with database.transaction() as connection:
        # Two that are connected at once must not get one slug; nobody reads or delivers any slower meanwhile.
        await connection.execute("LOCK TABLE destination IN SHARE ROW EXCLUSIVE MODE")
        taken = await connection.fetch(
            """SELECT slug FROM destination UNION SELECT destination FROM destination_state
               UNION SELECT destination FROM mapping_version"""
        )
        slug = free_slug(name, RESERVED | set(environment) | {row["slug"] for row in taken}, wanted.type)
        await connection.execute(
            """INSERT INTO destination (slug, type, name, enabled, settings, created_at, updated_at)
               VALUES ($1, $2, $3, true, $4, clock_timestamp(), clock_timestamp())""",
            slug,
            wanted.type,
            name,
            settings,
        )
        await _complete(connection, destination, slug, by, presets=wanted.presets)
    log.info("destination.connected", destination=slug, type=wanted.type, by=by)
    return slug


async def _complete(
    connection: asyncpg.Connection, destination: Destination, slug: str, by: str, *, presets: bool
) -> None:
    """What a new destination has beside its row."""
    await destination_state.make(connection, [slug])
    for preset in destination.presets if presets else ():
        draft = Draft(preset.name, preset.action, preset.trigger, dict(preset.mapping))
        await insert(connection, slug, draft, by)
    await changed(connection)


@dataclass(frozen=True)
class Change:
    """What shall be different; None stays as it is."""

    name: str | None = None
    settings: Mapping[str, Any] | None = None
    """All of them; a secret that comes back masked stays as it is."""
    enabled: bool | None = None


async def change(
    database: Database,
    catalogue: Catalogue,
    environment: Environment,
    slug: str,
    wanted: Change,
    seen: datetime,
    by: str,
) -> None:
    """Change a destination's name or settings, or switch it on or off.

    Raises:
        BadInput: a setting can't be used.
        Conflict: its settings come from the environment, or somebody else has changed it since `seen`.
    """
    async with database.transaction() as connection:
        row = await hold(connection, slug)
        if row["updated_at"] != seen:
            raise somebody_else("this destination", row["updated_at"])
        settings = None
        if wanted.settings is not None:
            if row["type"] in environment:
                raise Conflict("The settings of this destination come from the environment: change them there.")
            if row["type"] not in catalogue:
                raise Conflict(f"This version of the programme has no destination of the type {row['type']}.")
            valid = checked_settings(catalogue[row["type"]], wanted.settings, row["settings"])
            settings = as_json(valid, "settings")
        await connection.execute(
            """UPDATE destination SET name = coalesce($2, name), settings = coalesce($3, settings),
                      enabled = coalesce($4, enabled), updated_at = clock_timestamp() WHERE slug = $1""",
            slug,
            checked_name(wanted.name) if wanted.name is not None else None,
            settings,
            wanted.enabled,
        )
        await changed(connection)
    # The names of what was changed, never a value: settings have secrets.
    told = [name for name in ("name", "settings", "enabled") if getattr(wanted, name) is not None]
    log.info("destination.changed", destination=slug, changed=told, by=by)


async def pause(database: Database, slug: str, by: str) -> None:
    """Let everything for it wait until somebody resumes it; no clock runs meanwhile. Paused already: it stays so."""
    async with database.transaction() as connection:
        await hold(connection, slug)
        await connection.execute(
            """UPDATE destination_state SET paused_at = now(), paused_by = $2
               WHERE destination = $1 AND paused_at IS NULL""",
            slug,
            by,
        )
    log.info("destination.paused", destination=slug, by=by)


async def resume(database: Database, slug: str, by: str) -> None:
    """Let what waits go out again. Where it was down, it is asked at once."""
    async with database.transaction() as connection:
        await hold(connection, slug)
        await connection.execute(
            "UPDATE destination_state SET paused_at = NULL, paused_by = NULL WHERE destination = $1", slug
        )
        await _due(connection, slug)
        await wake(connection, "deliver")
    log.info("destination.resumed", destination=slug, by=by)


async def ask_now(database: Database, slug: str) -> None:
    """Have a worker ask a destination that is down whether it is there again, without waiting for the next time."""
    async with database.transaction() as connection:
        await _due(connection, slug)


async def _due(connection: asyncpg.Connection, slug: str) -> None:
    await connection.execute(
        "UPDATE destination_state SET probe_at = now() WHERE destination = $1 AND down_since IS NOT NULL", slug
    )
    await wake(connection, "watch")


async def disconnect(database: Database, environment: Environment, slug: str, seen: datetime, by: str) -> None:
    """Take a destination away with its mappings and filters. Deliveries and versions of mappings stay.

    Raises:
        Conflict: it is switched on, deliveries of it wait, it comes from the environment, or somebody else has changed
            it since `seen`.
    """
    async with database.transaction() as connection:
        row = await hold(connection, slug)
        if row["updated_at"] != seen:
            raise somebody_else("this destination", row["updated_at"])
        if row["type"] in environment:
            raise Conflict("This destination is set up by the environment, and every start connects it. Disable it.")
        if row["enabled"]:
            raise Conflict("Disable this destination first, so that nothing new comes for it.")
        waiting = await connection.fetchval(
            """SELECT count(*) FROM (
                   SELECT FROM delivery WHERE destination = $1 AND status IN ('pending', 'unclear') LIMIT $2
               ) AS waiting""",
            slug,
            COUNTED,
        )
        if waiting:
            raise still_waiting(waiting, "destination")
        await connection.execute(
            """INSERT INTO mapping_version (mapping_id, destination, slug, version, change, name, action, trigger,
                                            mapping, enabled, place, changed_by, changed_at)
               SELECT id, destination, slug, version + 1, 'deleted', name, action, trigger, mapping, false, place, $2,
                      clock_timestamp() FROM mapping WHERE destination = $1""",
            slug,
            by,
        )
        await connection.execute("DELETE FROM mapping WHERE destination = $1", slug)
        await connection.execute("DELETE FROM destination WHERE slug = $1", slug)
        # Its state stays: a delivery that a router made in this very moment is still claimed, and fails with a reason.
        await connection.execute(
            """UPDATE destination_state SET down_since = NULL, failing_since = NULL, probe_at = NULL, reason = NULL,
                      paused_at = NULL, paused_by = NULL WHERE destination = $1""",
            slug,
        )
        await changed(connection)
    log.info("destination.disconnected", destination=slug, by=by)


async def type_of(database: Database, catalogue: Catalogue, slug: str) -> Destination:
    """What a connected destination is.

    Raises:
        NotFound: it is not connected, or this version of the programme does not know its type.
    """
    async with database.connection() as connection:
        kind = await connection.fetchval("SELECT type FROM destination WHERE slug = $1", slug.replace("\x00", ""))
    if kind is None:
        raise no_destination(slug)
    if kind not in catalogue:
        raise NotFound(f"This version of the programme has no destination of the type {kind}.")
    return catalogue[kind]
