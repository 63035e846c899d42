"""Sources over the API: their keys, what arrives from them, as it comes or as it came, and the schema of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from litestar import Router, delete, get, patch, post
from litestar.datastructures import State
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, HeaderParameter, JSONBody, QueryParameter
from litestar.response import ServerSentEvent
from pydantic import BaseModel, ConfigDict, Field

from app.auth.principal import Principal
from app.console.sources_asked import Asked, meant, provide_asked
from app.console.sources_feed import MOST, Arrival, Cursor, Page, cursor, one, page
from app.db.session import Database
from app.errors import BadInput, NotFound
from app.segment import schema_rows, sources
from app.segment.schema_rows import EventKind, PropertyKind
from app.segment.sources import UNKNOWN, Counts, SourceRow

Before = Annotated[str | None, QueryParameter(max_length=40, description="`next` of the page before: what is older.")]
After = Annotated[str | None, QueryParameter(max_length=40, description="`live` of a page: what came after it.")]
Limit = Annotated[int, QueryParameter(ge=1, le=MOST)]
LastEventId = Annotated[str | None, HeaderParameter(name="Last-Event-ID", max_length=100)]


class NewSource(BaseModel):
    """A source to make. Without a slug it gets one from its name."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"name": "Kiosk", "slug": "kiosk"}]})

    name: str = Field(max_length=200)
    slug: str | None = Field(default=None, max_length=200)


class ChangedSource(BaseModel):
    """What shall be different."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"enabled": False}]})

    name: str | None = Field(default=None, max_length=200)
    enabled: bool | None = None


@dataclass(frozen=True)
class KeyRead:
    """A write key. Only admins read it; others see its end."""

    id: str
    key: str
    created_at: datetime


@dataclass(frozen=True)
class SourceRead:
    """A source, and what came from it since the last full hour began."""

    slug: str
    name: str
    enabled: bool
    """What a disabled one sends is answered 200, refused, and not taken in later."""
    created_at: datetime
    keys: list[KeyRead]
    """Two at most, the oldest first."""
    accepted: int
    refused: Mapping[str, int]
    """By Segment's code."""


@dataclass(frozen=True)
class Sources:
    """All sources, by name."""

    sources: list[SourceRead]
    unknown: Mapping[str, int]
    """What was refused because its write key is nobody's."""
    since: datetime
    """The beginning of the last full hour: counts are from here on."""
    accepted_since: datetime
    """Later than `since` where more was accepted than is counted."""


@dataclass(frozen=True)
class Schema:
    """The kinds of event of a source, the latest seen first."""

    events: list[EventKind]


@dataclass(frozen=True)
class Properties:
    """The properties of a kind of event, by path."""

    properties: list[PropertyKind]


def as_read(row: SourceRow, counts: Counts, principal: Principal) -> SourceRead:
    """A source as this principal may see it."""
    clear = principal.may("admin")
    return SourceRead(
        slug=row.slug,
        name=row.name,
        enabled=row.enabled,
        created_at=row.created_at,
        keys=[KeyRead(key.id, key.key if clear else key.masked, key.created_at) for key in row.keys],
        accepted=counts.accepted.get(row.slug, 0),
        refused=counts.refused.get(row.slug, {}),
    )


async def all_sources(database: Database, principal: Principal) -> Sources:
    rows, counts = await sources.sources(database), await sources.counts(database)
    return Sources(
        sources=[as_read(row, counts, principal) for row in rows],
        unknown=counts.refused.get(UNKNOWN, {}),
        since=counts.since,
        accepted_since=counts.accepted_since,
    )


async def check(database: Database, slug: str) -> None:
    """Raise `NotFound` for what has no feed."""
    if slug != UNKNOWN:
        await sources.source(database, slug)


@get("/", role="operator", operation_id="listSources")
async def list_sources(state: State, principal: NamedDependency[Principal]) -> Sources:
    """All sources with their keys (masked for operators) and what came from each since the last full hour began."""
    return await all_sources(state.database, principal)


@post("/", role="admin", operation_id="createSource")
async def create(state: State, data: JSONBody[NewSource], principal: NamedDependency[Principal]) -> SourceRead:
    """Make a source with its first write key. 409 where the slug is taken."""
    row = await sources.create(state.database, data.name, data.slug, principal.person)
    return as_read(row, await sources.counts(state.database), principal)


@get("/{slug:str}", role="operator", operation_id="getSource")
async def show(state: State, slug: FromPath[str], principal: NamedDependency[Principal]) -> SourceRead:
    """One source, likewise."""
    return as_read(await sources.source(state.database, slug), await sources.counts(state.database), principal)


@patch("/{slug:str}", role="admin", operation_id="changeSource")
async def change(
    state: State, slug: FromPath[str], data: JSONBody[ChangedSource], principal: NamedDependency[Principal]
) -> SourceRead:
    """Rename a source, enable or disable it; the door heeds it within ten seconds."""
    row = await sources.change(state.database, slug, principal.person, name=data.name, enabled=data.enabled)
    return as_read(row, await sources.counts(state.database), principal)


@post("/{slug:str}/keys", role="admin", operation_id="addWriteKey")
async def add_key(state: State, slug: FromPath[str], principal: NamedDependency[Principal]) -> SourceRead:
    """Make a second write key: both count until one is deleted. 409 with two already."""
    row = await sources.add_key(state.database, slug, principal.person)
    return as_read(row, await sources.counts(state.database), principal)


@delete("/{slug:str}/keys/{key:str}", role="admin", status_code=200, operation_id="deleteWriteKey")
async def delete_key(
    state: State, slug: FromPath[str], key: FromPath[str], principal: NamedDependency[Principal]
) -> SourceRead:
    """Delete a write key by its `id`. 409 for the last one of an enabled source."""
    row = await sources.delete_key(state.database, slug, key, principal.person)
    return as_read(row, await sources.counts(state.database), principal)


@get("/{slug:str}/events", role="operator", operation_id="listArrivals")
async def list_arrivals(
    state: State, slug: FromPath[str], asked: NamedDependency[Asked], before: Before = None, limit: Limit = 100
) -> Page:
    """What arrived from a source, accepted and refused together, the newest first.

    `name` and `text` are parts of the event's name and of the message; `member` is a user id, an anonymous id, or a
    member's phone with its `+`; `refused=yes` leaves out what was accepted. A search looks through 100,000 positions;
    where it stopped there, `bounded` is true and `next` goes on. `unknown` is the source of what had no key of ours.
    """
    await check(state.database, slug)
    watched = await meant(state.database, slug, asked)
    start = cursor(before) if before is not None else None
    async with state.database.connection() as connection:
        return await page(connection, watched, start, limit)


@get("/{slug:str}/events/{key:str}", role="operator", operation_id="getArrival")
async def get_arrival(state: State, slug: FromPath[str], key: FromPath[str]) -> Arrival:
    """One of them, by its `key`."""
    return await arrival(state.database, slug, key)


async def arrival(database: Database, slug: str, key: str) -> Arrival:
    await check(database, slug)
    async with database.connection() as connection:
        found = await one(connection, slug, key)
    if found is None:
        raise NotFound("There is no such message, or it is too old and was deleted.")
    return found


@get("/{slug:str}/live", role="operator", operation_id="followArrivals")
async def follow(
    state: State,
    slug: FromPath[str],
    asked: NamedDependency[Asked],
    after: After = None,
    last_event_id: LastEventId = None,
) -> ServerSentEvent:
    """What arrives, as it comes: after `ready`, events named `arrived` with rows (the oldest first, without their
    messages), how many `more` fitted and are not shown, and how many positions were `unread`. Fifty rows a second at
    most.
    """
    await check(state.database, slug)
    start = _seen(last_event_id) or (cursor(after) if after is not None else None)
    stream: ServerSentEvent = state.feed.stream(await meant(state.database, slug, asked), start)
    return stream


def _seen(last_event_id: str | None) -> Cursor | None:
    """What a browser saw last; None when it says nothing, or something that we never sent."""
    try:
        return cursor(last_event_id or "")
    except BadInput:
        return None


@get("/{slug:str}/schema", role="operator", operation_id="listEventKinds")
async def list_kinds(state: State, slug: FromPath[str]) -> Schema:
    """The kinds of event that a source has sent, with counts, and how many properties came in several types."""
    await sources.source(state.database, slug)
    return Schema(await schema_rows.kinds(state.database, slug))


@get("/{slug:str}/schema/properties", role="operator", operation_id="listProperties")
async def list_properties(state: State, slug: FromPath[str], asked: NamedDependency[Asked]) -> Properties:
    """The properties of one kind of event: `type`, and `name` where it has one, as in the list of kinds."""
    await sources.source(state.database, slug)
    return Properties(await schema_rows.properties(state.database, slug, asked.type, asked.name))


router = Router(
    "/api/sources",
    route_handlers=[
        list_sources,
        create,
        show,
        change,
        add_key,
        delete_key,
        list_arrivals,
        get_arrival,
        follow,
        list_kinds,
        list_properties,
    ],
    dependencies={"asked": Provide(provide_asked, sync_to_thread=False)},
    tags=["sources"],
)
