"""Destinations, mappings, versions and filters as the API and the screens show them. Secrets are masked."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import asyncpg

from app.db.session import Database
from app.errors import NotFound
from app.pipeline.configure import Catalogue, Environment
from app.pipeline.configure_settings import masked, masked_mapping
from app.pipeline.configure_shared import is_text, no_destination

MANY = 10_000
"""Waiting deliveries are counted up to here."""
VERSIONS = 200
"""The latest of a mapping that are shown."""


@dataclass(frozen=True)
class MappingRead:
    """A mapping. `version` goes back with every change of it."""

    slug: str
    name: str
    action: str
    trigger: str
    mapping: dict[str, Any]
    enabled: bool
    place: int
    version: int
    updated_at: datetime
    updated_by: str | None


@dataclass(frozen=True)
class FilterRead:
    """A filter. `updated_at` goes back with every change of it."""

    id: int
    name: str
    condition: str
    kind: str
    paths: list[str]
    percent: float | None
    enabled: bool
    updated_at: datetime


@dataclass(frozen=True)
class DestinationRead:
    """A destination. `updated_at` goes back with every change of it."""

    slug: str
    type: str
    type_name: str
    """What events call it in their `integrations` object."""
    name: str
    enabled: bool
    state: str
    """`up`, `down` (until something was delivered again), `paused` or `disabled`."""
    since: datetime | None
    reason: str | None
    settings: dict[str, Any]
    settings_from: str
    """`environment` or `row`."""
    waiting: int
    """Deliveries that wait, counted up to ten thousand."""
    mappings: list[MappingRead]
    filters: list[FilterRead]
    updated_at: datetime


@dataclass(frozen=True)
class Difference:
    """One field that a version changed; null before or after: it was not there."""

    field: str
    before: Any
    after: Any


@dataclass(frozen=True)
class VersionRead:
    """A mapping as it was from a moment on, and in what it differs from the version before."""

    version: int
    change: str
    changed_by: str
    changed_at: datetime
    name: str
    action: str
    trigger: str
    mapping: dict[str, Any]
    enabled: bool
    place: int
    differences: list[Difference]


async def destinations(database: Database, catalogue: Catalogue, environment: Environment) -> list[DestinationRead]:
    """All that are connected, with their mappings and filters."""
    return await _read(database, catalogue, environment, None)


async def destination(database: Database, catalogue: Catalogue, environment: Environment, slug: str) -> DestinationRead:
    """One of them.

    Raises:
        NotFound: it is not connected.
    """
    found = await _read(database, catalogue, environment, slug) if is_text(slug) else []
    if not found:
        raise no_destination(slug)
    return found[0]


def without_literals(found: DestinationRead) -> DestinationRead:
    """As somebody sees it who is no admin: with the keys in its mappings masked."""
    return replace(found, mappings=[replace(each, mapping=masked_mapping(each.mapping)) for each in found.mappings])


def mapping_of(found: DestinationRead, slug: str) -> MappingRead:
    """A mapping of a destination.

    Raises:
        NotFound: it has no such mapping.
    """
    for mapping in found.mappings:
        if mapping.slug == slug:
            return mapping
    raise NotFound(f"{found.name} has no mapping {slug[:100]!r}.")


async def _read(
    database: Database, catalogue: Catalogue, environment: Environment, slug: str | None
) -> list[DestinationRead]:
    async with database.connection() as connection:
        rows = await connection.fetch(
            """SELECT destination.*, coalesce(failing_since, down_since) AS down_since, reason, paused_at, paused_by,
                      (SELECT count(*) FROM (
                           SELECT FROM delivery WHERE status = 'pending' AND delivery.destination = destination.slug
                           LIMIT $2) AS found) AS waiting
               FROM destination LEFT JOIN destination_state AS state ON state.destination = slug
               WHERE $1::text IS NULL OR slug = $1 ORDER BY destination.created_at, slug""",
            slug,
            MANY,
        )
        mappings, filters = defaultdict(list), defaultdict(list)
        for row in await connection.fetch(
            """SELECT mapping.*, changed_by FROM mapping LEFT JOIN mapping_version AS latest
                      ON latest.mapping_id = mapping.id AND latest.version = mapping.version
               WHERE $1::text IS NULL OR mapping.destination = $1 ORDER BY mapping.place, mapping.id""",
            slug,
        ):
            mappings[row["destination"]].append(_mapping(row))
        for row in await connection.fetch(
            "SELECT * FROM destination_filter WHERE $1::text IS NULL OR destination = $1 ORDER BY id", slug
        ):
            filters[row["destination"]].append(_filter(row))
    return [_destination(row, catalogue, environment, mappings[row["slug"]], filters[row["slug"]]) for row in rows]


def _destination(
    row: asyncpg.Record,
    catalogue: Catalogue,
    environment: Environment,
    mappings: list[MappingRead],
    filters: list[FilterRead],
) -> DestinationRead:
    kind = catalogue.get(row["type"])
    state, since, reason = "up", None, None
    if row["paused_at"]:
        state, since, reason = "paused", row["paused_at"], f"Paused by {row['paused_by']}."
    elif row["down_since"]:
        state, since, reason = "down", row["down_since"], row["reason"]
    elif not row["enabled"]:
        state, since = "disabled", row["updated_at"]
    settings = row["settings"] or environment.get(row["type"], {})
    return DestinationRead(
        slug=row["slug"],
        type=row["type"],
        type_name=kind.name if kind else row["type"],
        name=row["name"],
        enabled=row["enabled"],
        state=state,
        since=since,
        reason=reason,
        settings=masked(kind, settings) if kind else {},
        settings_from="environment" if row["type"] in environment else "row",
        waiting=row["waiting"],
        mappings=mappings,
        filters=filters,
        updated_at=row["updated_at"],
    )


def _mapping(row: asyncpg.Record) -> MappingRead:
    return MappingRead(
        slug=row["slug"],
        name=row["name"],
        action=row["action"],
        trigger=row["trigger"],
        mapping=row["mapping"],
        enabled=row["enabled"],
        place=row["place"],
        version=row["version"],
        updated_at=row["updated_at"],
        updated_by=row["changed_by"],
    )


def _filter(row: asyncpg.Record) -> FilterRead:
    return FilterRead(
        id=row["id"],
        name=row["name"],
        condition=row["condition"],
        kind=row["kind"],
        paths=row["paths"],
        percent=row["percent"],
        enabled=row["enabled"],
        updated_at=row["updated_at"],
    )


async def versions(database: Database, destination: str, slug: str, *, plain: bool) -> list[VersionRead]:
    """The versions of a mapping, the latest first; of one that was deleted as well. `plain`: with the keys in them.

    Raises:
        NotFound: there never was such a mapping.
    """
    rows = []
    if is_text(destination + slug):
        async with database.connection() as connection:
            rows = await connection.fetch(
                """SELECT * FROM mapping_version WHERE destination = $1 AND slug = $2 ORDER BY id DESC LIMIT $3""",
                destination,
                slug,
                VERSIONS,
            )
    if not rows:
        raise NotFound(f"There is no mapping {slug[:100]!r} of a destination {destination[:100]!r}.")
    return [
        VersionRead(
            version=row["version"],
            change=row["change"],
            changed_by=row["changed_by"],
            changed_at=row["changed_at"],
            name=row["name"],
            action=row["action"],
            trigger=row["trigger"],
            mapping=row["mapping"] if plain else masked_mapping(row["mapping"]),
            enabled=row["enabled"],
            place=row["place"],
            differences=[each if plain else _masked(each) for each in differences(before, row)],
        )
        for row, before in zip(rows, [*rows[1:], None], strict=True)
    ]


def differences(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> list[Difference]:
    """The fields in which two versions of a mapping differ; of the mapping, key by key. None for the first version."""
    if before is None:
        return []
    found = [
        Difference(name, before[name], after[name])
        for name in ("name", "action", "trigger", "enabled", "place")
        if before[name] != after[name]
    ]
    old, new = before["mapping"], after["mapping"]
    found += [
        Difference(f"mapping.{key}", old.get(key), new.get(key))
        for key in {**old, **new}
        if key not in old or key not in new or old[key] != new[key]
    ]
    return found


def _masked(each: Difference) -> Difference:
    return Difference(
        each.field, *(masked_mapping({each.field: value})[each.field] for value in (each.before, each.after))
    )


async def last_day(database: Database, destination: str) -> dict[str, dict[str, int]]:
    """How many deliveries of each mapping were made in the last day, by their status now."""
    counted: dict[str, dict[str, int]] = defaultdict(dict)
    async with database.connection() as connection:
        for row in await connection.fetch(
            """SELECT mapping, status, count(*) AS found FROM delivery
               WHERE destination = $1 AND created_at > now() - interval '1 day' GROUP BY mapping, status""",
            destination,
        ):
            counted[row["mapping"]][row["status"]] = row["found"]
    return dict(counted)
