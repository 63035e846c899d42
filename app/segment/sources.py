"""Sources and their write keys as an admin changes them. A change is one transaction, alone with its source."""

import hashlib
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from app.db.session import Database
from app.errors import BadInput, Conflict, NotFound
from app.telemetry import log
from app.text import MASK, slug_of

UNKNOWN = "unknown"
"""The word for what came under no write key of ours. No source has it as its slug."""
MOST_KEYS = 2
"""Of a source: the one that is in use, and the one that follows it."""
LONGEST_NAME = 80
LONGEST_SLUG = 50
COUNTED = 100_000
"""The latest events that are counted for the list: `event` has no index by source, which would cost the door."""
_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True)
class Key:
    """A write key of a source."""

    id: str
    """Names it without telling it: twelve hex digits of its digest."""
    key: str
    created_at: datetime

    @property
    def masked(self) -> str:
        return f"{MASK}{self.key[-4:]}"


@dataclass(frozen=True)
class SourceRow:
    """A source with its keys, the oldest first."""

    slug: str
    name: str
    enabled: bool
    created_at: datetime
    keys: list[Key]


@dataclass(frozen=True)
class Counts:
    """What came in of late."""

    since: datetime
    """The beginning of the last full hour: refusals are counted by hours."""
    accepted: Mapping[str, int]
    """By source."""
    accepted_since: datetime
    """Later than `since` where more came than is counted."""
    refused: Mapping[str, Mapping[str, int]]
    """By source (`UNKNOWN` for unknown write keys) and code."""


def key_id(key: str) -> str:
    return hashlib.blake2b(key.encode(), digest_size=6).hexdigest()


async def sources(database: Database) -> list[SourceRow]:
    """All sources, by name."""
    async with database.connection() as connection:
        return await _read(connection, None)


async def source(database: Database, slug: str) -> SourceRow:
    """One source. Raises `NotFound`."""
    _could_be(slug)
    async with database.connection() as connection:
        return _only(await _read(connection, slug), slug)


async def create(database: Database, name: str, slug: str | None, made_by: str) -> SourceRow:
    """Make a source with its first write key. Without a slug it gets one from its name.

    Raises `BadInput`, and `Conflict` where the slug is taken.
    """
    name = _checked_name(name)
    slug = slug_of(name) if slug is None else slug.strip()
    if not _SLUG.fullmatch(slug) or len(slug) > LONGEST_SLUG:
        raise BadInput(
            f"slug: give one of small letters, digits and single hyphens, {LONGEST_SLUG} characters at most."
        )
    if slug == UNKNOWN:
        raise BadInput(f"slug: {UNKNOWN!r} stands for what came under no write key; take another.")
    async with database.transaction() as connection:
        made = await connection.fetchval(
            """INSERT INTO source (slug, name, enabled, created_at) VALUES ($1, $2, true, now())
               ON CONFLICT DO NOTHING RETURNING true""",
            slug,
            name,
        )
        if not made:
            raise Conflict(f"There is a source {slug!r} already: take another slug.")
        await _add_key(connection, slug)
        made_source = _only(await _read(connection, slug), slug)
    log.info("source.created", source=slug, made_by=made_by)
    return made_source


async def change(
    database: Database, slug: str, made_by: str, *, name: str | None = None, enabled: bool | None = None
) -> SourceRow:
    """Rename a source, or enable or disable it. Raises `BadInput`, `NotFound`, `Conflict`."""
    if name is not None:
        name = _checked_name(name)
    async with database.transaction() as connection:
        before = await _alone(connection, slug)
        if enabled and not before.keys:
            raise Conflict(f"{before.name} has no write key, so nothing could come from it: make one first.")
        await connection.execute(
            "UPDATE source SET name = coalesce($2, name), enabled = coalesce($3, enabled) WHERE slug = $1",
            slug,
            name,
            enabled,
        )
        after = _only(await _read(connection, slug), slug)
    log.info("source.changed", source=slug, enabled=after.enabled, made_by=made_by)
    return after


async def add_key(database: Database, slug: str, made_by: str) -> SourceRow:
    """Make a further write key; the one before it goes on to count. Raises `NotFound`, `Conflict` with two already."""
    async with database.transaction() as connection:
        before = await _alone(connection, slug)
        if len(before.keys) >= MOST_KEYS:
            raise Conflict(
                f"{before.name} has {MOST_KEYS} write keys already: delete the one that nobody uses any more."
            )
        await _add_key(connection, slug)
        after = _only(await _read(connection, slug), slug)
    log.info("source.key_added", source=slug, key=after.keys[-1].id, made_by=made_by)
    return after


async def delete_key(database: Database, slug: str, id_: str, made_by: str) -> SourceRow:
    """Delete a write key. Raises `NotFound`, and `Conflict` for the last one of an enabled source."""
    async with database.transaction() as connection:
        before = await _alone(connection, slug)
        found = next((key for key in before.keys if key.id == id_), None)
        if found is None:
            raise NotFound(f"{before.name} has no such write key.")
        if before.enabled and len(before.keys) == 1:
            raise Conflict(f"This is the only write key of {before.name}: make another first, or disable the source.")
        await connection.execute("DELETE FROM write_key WHERE key = $1", found.key)
        after = _only(await _read(connection, slug), slug)
    log.info("source.key_deleted", source=slug, key=id_, made_by=made_by)
    return after


async def counts(database: Database) -> Counts:
    """What was taken in and refused since the last full hour began, the latest `COUNTED` events at most."""
    async with database.connection() as connection:
        since: datetime = await connection.fetchval("SELECT date_trunc('hour', now() - interval '1 hour')")
        floor: int = await connection.fetchval("SELECT coalesce(max(position), 0) - $1::bigint FROM event", COUNTED)
        beyond: datetime | None = await connection.fetchval(
            "SELECT received_at FROM event WHERE position <= $1 ORDER BY position DESC LIMIT 1", floor
        )
        taken = await connection.fetch(
            "SELECT source, count(*) FROM event WHERE position > $1 AND received_at >= $2 GROUP BY source", floor, since
        )
        refused = await connection.fetch(
            "SELECT source, code, sum(count)::bigint AS count FROM reject_count WHERE hour >= $1 GROUP BY source, code",
            since,
        )
    codes: dict[str, dict[str, int]] = {}
    for row in refused:
        codes.setdefault(row["source"] or UNKNOWN, {})[row["code"]] = row["count"]
    return Counts(
        since=since,
        accepted={row["source"]: row["count"] for row in taken},
        accepted_since=max(since, beyond) if beyond else since,
        refused=codes,
    )


async def _alone(connection: asyncpg.Connection, slug: str) -> SourceRow:
    """The source, with nobody else changing it or its keys until the commit."""
    _could_be(slug)
    await connection.fetchval("SELECT true FROM source WHERE slug = $1 FOR NO KEY UPDATE", slug)
    return _only(await _read(connection, slug), slug)


async def _read(connection: asyncpg.Connection, slug: str | None) -> list[SourceRow]:
    rows = await connection.fetch(
        "SELECT * FROM source WHERE $1::text IS NULL OR slug = $1 ORDER BY lower(name), slug", slug
    )
    keys = await connection.fetch(
        "SELECT * FROM write_key WHERE $1::text IS NULL OR source = $1 ORDER BY created_at, key", slug
    )
    return [
        SourceRow(
            slug=row["slug"],
            name=row["name"],
            enabled=row["enabled"],
            created_at=row["created_at"],
            keys=[
                Key(key_id(key["key"]), key["key"], key["created_at"]) for key in keys if key["source"] == row["slug"]
            ],
        )
        for row in rows
    ]


def _only(rows: list[SourceRow], slug: str) -> SourceRow:
    if not rows:
        raise _missing(slug)
    return rows[0]


def _could_be(slug: str) -> None:
    """Refuse what no source is named, before Postgres meets a character that it does not store."""
    if not _SLUG.fullmatch(slug):
        raise _missing(slug)


def _missing(slug: str) -> NotFound:
    return NotFound(f"There is no source {slug[:LONGEST_SLUG]!r}.")


def _checked_name(name: str) -> str:
    name = " ".join(name.replace("\x00", "").split())
    if not name or len(name) > LONGEST_NAME:
        raise BadInput(f"name: give one, {LONGEST_NAME} characters at most.")
    return name


async def _add_key(connection: asyncpg.Connection, slug: str) -> None:
    # The clock, not the transaction's time: the relay writes with the newest.
    await connection.execute(
        "INSERT INTO write_key (key, source, created_at) VALUES ($1, $2, clock_timestamp())",
        secrets.token_urlsafe(24),
        slug,
    )
