"""What the schema of a source is read as: kinds of event, and the properties of one."""

from dataclasses import dataclass
from datetime import datetime

from app.db.session import Database


@dataclass(frozen=True)
class EventKind:
    """A kind of event that a source has sent."""

    type: str
    name: str
    """The event of a track call, the name of a page or screen; else empty."""
    count: int
    first_seen: datetime
    last_seen: datetime
    mixed: int
    """Properties that came with more than one type: a mapping reads one of them only as it means to."""


@dataclass(frozen=True)
class PropertyKind:
    """A property or trait of a kind of event."""

    path: str
    """As in `properties.products[].price`."""
    types: dict[str, int]
    """How often it was string, number, boolean, object, array, null; the most frequent first."""
    first_seen: datetime
    last_seen: datetime
    mixed: bool
    """More than one type, null apart."""


async def kinds(database: Database, source: str) -> list[EventKind]:
    """The kinds of event of a source, the latest seen first."""
    async with database.connection() as connection:
        rows = await connection.fetch(
            """SELECT type, name, count, first_seen, last_seen, coalesce(mixed, 0) AS mixed
               FROM event_schema LEFT JOIN (
                   SELECT type, name, count(*) AS mixed FROM property_schema
                   WHERE source = $1 AND (types ? 'string')::int + (types ? 'number')::int + (types ? 'boolean')::int
                                         + (types ? 'object')::int + (types ? 'array')::int > 1
                   GROUP BY type, name) AS properties USING (type, name)
               WHERE source = $1 ORDER BY last_seen DESC, type, name""",
            source,
        )
    return [EventKind(**row) for row in rows]


async def properties(database: Database, source: str, type_: str, name: str) -> list[PropertyKind]:
    """The properties of one kind of event, by path."""
    async with database.connection() as connection:
        rows = await connection.fetch(
            """SELECT path, types, first_seen, last_seen FROM property_schema
               WHERE source = $1 AND type = $2 AND name = $3 ORDER BY path""",
            source,
            type_,
            name,
        )
    return [
        PropertyKind(
            path=row["path"],
            types=dict(sorted(row["types"].items(), key=lambda item: (-item[1], item[0]))),
            first_seen=row["first_seen"],
            last_seen=row["last_seen"],
            mixed=len(row["types"].keys() - {"null"}) > 1,
        )
        for row in rows
    ]
