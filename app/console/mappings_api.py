"""Mappings over the API: changes, versions, and trying one without sending anything."""

from dataclasses import dataclass, replace
from typing import Annotated, Any

from litestar import Router, delete, get, patch, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from pydantic import BaseModel, ConfigDict, Field

from app.auth.principal import Principal
from app.console import tries
from app.console.destinations_api import PATH, read, seen_by
from app.console.tries import Tested
from app.destinations.base import Destination
from app.errors import BadInput
from app.pipeline import configure, configure_mappings, configure_read
from app.pipeline.configure_mappings import MOST, Draft
from app.pipeline.configure_read import MappingRead, VersionRead, mapping_of
from app.pipeline.lint import Finding

LAST = 2**31 - 1
"""The largest version number that the table can hold."""
SeenVersion = Annotated[int, Field(ge=1, le=LAST, description="The `version` that was seen.")]


class NewMapping(BaseModel):
    """A mapping to make. What is left out comes from the action, as Segment's interface fills it in.

    It starts disabled, to be tested first.
    """

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "name": "Coffee drunk",
                    "action": "addCustomEvent",
                    "trigger": 'type = "track" and event = "Coffee Drunk"',
                }
            ]
        },
    )

    name: str = Field(max_length=100)
    action: str = Field(max_length=100)
    trigger: str | None = None
    mapping: dict[str, Any] | None = None
    enabled: bool = False


class ChangedMapping(BaseModel):
    """What shall be different. `version` is the one that was seen; what is left out stays."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"version": 3, "trigger": 'type = "track" and properties.total >= 10'}]},
    )

    version: SeenVersion
    name: str | None = Field(default=None, max_length=100)
    action: str | None = Field(default=None, max_length=100)
    trigger: str | None = None
    mapping: dict[str, Any] | None = None
    enabled: bool | None = None


class Moved(BaseModel):
    """A place in the order, the first being 1."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"version": 3, "place": 1}]})

    version: SeenVersion
    place: int = Field(ge=1, le=MOST)


class Restored(BaseModel):
    """An old version, and the one that was seen."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"version": 3, "restore": 1}]})

    version: SeenVersion
    restore: int = Field(ge=1, le=LAST)


class Trial(BaseModel):
    """A mapping, and what to try it on.

    `saved` names a mapping; what is given beside it counts instead of what is saved. Without `event` and `position` it
    is tried on the newest event that its trigger takes.
    """

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "saved": "add-custom-event-track-event",
                    "trigger": 'type = "track" and event = "Coffee Drunk"',
                    "event": {"type": "track", "event": "Coffee Drunk", "userId": "u-1", "properties": {}},
                }
            ]
        },
    )

    saved: str | None = Field(default=None, max_length=100)
    action: str | None = Field(default=None, max_length=100)
    trigger: str | None = None
    mapping: dict[str, Any] | None = None
    event: dict[str, Any] | None = None
    position: int | None = Field(default=None, ge=1, le=2**62)


@dataclass(frozen=True)
class Saved:
    """A mapping as it is now, and what is worth knowing about it."""

    mapping: MappingRead
    findings: list[Finding]


@get("/{slug:str}/mappings", role="operator", operation_id="listMappings")
async def list_mappings(state: State, slug: FromPath[str], principal: NamedDependency[Principal]) -> list[MappingRead]:
    """The mappings of a destination, in the order in which they are delivered."""
    return seen_by(principal, await read(state, slug)).mappings


@post("/{slug:str}/mappings", role="admin", operation_id="createMapping")
async def create(
    state: State, slug: FromPath[str], principal: NamedDependency[Principal], data: JSONBody[NewMapping]
) -> Saved:
    """Make a mapping at the end of the order. 409 where the destination has fifty."""
    kind = await configure.type_of(state.database, state.registry.catalogue, slug)
    draft = over(start(kind, data.action), data)
    made = await configure_mappings.create(state.database, kind, slug, draft, principal.person)
    return await _saved(state, slug, made)


@get("/{slug:str}/mappings/{mapping:str}", role="operator", operation_id="getMapping")
async def show(
    state: State, slug: FromPath[str], mapping: FromPath[str], principal: NamedDependency[Principal]
) -> Saved:
    """One mapping, and what is worth knowing about it. Who is no admin sees keys such as `authorization` masked."""
    saved = await _saved(state, slug, mapping)
    return replace(saved, mapping=mapping_of(seen_by(principal, await read(state, slug)), mapping))


@patch("/{slug:str}/mappings/{mapping:str}", role="admin", operation_id="changeMapping")
async def change(
    state: State,
    slug: FromPath[str],
    mapping: FromPath[str],
    principal: NamedDependency[Principal],
    data: JSONBody[ChangedMapping],
) -> Saved:
    """Change a mapping; each change is kept as a version. 409 where somebody else has changed it since `version`."""
    kind = await configure.type_of(state.database, state.registry.catalogue, slug)
    old = mapping_of(await read(state, slug), mapping)
    draft = over(Draft(old.name, old.action, old.trigger, old.mapping, old.enabled), data)
    await configure_mappings.edit(state.database, kind, slug, mapping, draft, data.version, principal.person)
    return await _saved(state, slug, mapping)


@delete("/{slug:str}/mappings/{mapping:str}", role="admin", operation_id="deleteMapping")
async def delete_one(
    state: State,
    slug: FromPath[str],
    mapping: FromPath[str],
    principal: NamedDependency[Principal],
    version: Annotated[int, QueryParameter(ge=1, le=LAST, description="The `version` that was seen.")],
) -> None:
    """Delete a mapping; its versions stay. 409 while deliveries of it wait or are unclear."""
    await configure_mappings.delete(state.database, slug, mapping, version, principal.person)


@post("/{slug:str}/mappings/{mapping:str}/move", role="admin", status_code=200, operation_id="moveMapping")
async def move(
    state: State,
    slug: FromPath[str],
    mapping: FromPath[str],
    principal: NamedDependency[Principal],
    data: JSONBody[Moved],
) -> list[MappingRead]:
    """Put a mapping at another place of the order; the others make room. The mappings in their new order."""
    await configure_mappings.move(state.database, slug, mapping, data.place, data.version, principal.person)
    return (await read(state, slug)).mappings


@get("/{slug:str}/mappings/{mapping:str}/versions", role="operator", operation_id="listMappingVersions")
async def versions(
    state: State, slug: FromPath[str], mapping: FromPath[str], principal: NamedDependency[Principal]
) -> list[VersionRead]:
    """What a mapping was, the latest first, who changed it, and which fields. Also of one that was deleted."""
    return await configure_read.versions(state.database, slug, mapping, plain=principal.may("admin"))


@post("/{slug:str}/mappings/{mapping:str}/restore", role="admin", status_code=200, operation_id="restoreMapping")
async def restore(
    state: State,
    slug: FromPath[str],
    mapping: FromPath[str],
    principal: NamedDependency[Principal],
    data: JSONBody[Restored],
) -> Saved:
    """Make a mapping what it was in an old version. That is a new version; nothing is lost by it."""
    kind = await configure.type_of(state.database, state.registry.catalogue, slug)
    await configure_mappings.restore(state.database, kind, slug, mapping, data.restore, data.version, principal.person)
    return await _saved(state, slug, mapping)


@post("/{slug:str}/mappings/test", role="operator", status_code=200, operation_id="testMapping")
async def test(
    state: State, slug: FromPath[str], principal: NamedDependency[Principal], data: JSONBody[Trial]
) -> Tested:
    """Try a mapping, saved or not, on an event, without sending anything: each step, payload and request.

    The insert function runs dry: what it would have written is in its `calls`, each with `"dry": true`.
    """
    draft = await _draft_of(state, slug, data)
    tested = await tries.try_draft(state, slug, draft, data.event, data.position, data.saved)
    return tries.seen_by(principal, tested)


async def _draft_of(state: State, slug: str, data: Trial) -> Draft:
    if data.saved is not None:
        old = mapping_of(await read(state, slug), data.saved)
        return over(Draft(old.name, old.action, old.trigger, old.mapping, old.enabled), data)
    if data.action is None:
        raise BadInput("action: say which action, or name a mapping in `saved`.")
    return over(start((await tries.connected(state, slug)).destination, data.action), data)


def start(kind: Destination, action: str) -> Draft:
    """What a new mapping to this action starts with."""
    found = kind.actions.get(action)
    return Draft("", action, found.default_trigger if found else "", found.default_mapping if found else {})


def over(draft: Draft, data: NewMapping | ChangedMapping | Trial) -> Draft:
    """The draft with what is given in its place."""
    given = {name: getattr(data, name, None) for name in ("name", "action", "trigger", "mapping", "enabled")}
    return replace(draft, **{name: value for name, value in given.items() if value is not None})


async def _saved(state: State, slug: str, mapping: str) -> Saved:
    found = mapping_of(await read(state, slug), mapping)
    draft = Draft(found.name, found.action, found.trigger, found.mapping, found.enabled)
    return Saved(found, await tries.findings(state, await tries.connected(state, slug), draft, mapping))


router = Router(
    PATH,
    route_handlers=[list_mappings, create, show, change, delete_one, move, versions, restore, test],
    tags=["destinations"],
)
