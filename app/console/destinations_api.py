"""Destinations over the API: what there is, what is connected, and changes of it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from litestar import Router, delete, get, patch, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from app.auth.principal import Principal
from app.console import tries
from app.console.tries import Probe
from app.destinations import fields
from app.destinations.base import Destination
from app.pipeline import configure, configure_read
from app.pipeline.configure import Change, Wanted
from app.pipeline.configure_read import DestinationRead
from app.pipeline.recent_events import RecentEvent, recent, takes_safely

PATH = "/api/destinations"
Seen = Annotated[datetime, QueryParameter(description="The `updated_at` that was seen.")]


@dataclass(frozen=True)
class ActionRead:
    """An action of a type, and the mapping that a new one starts with."""

    slug: str
    title: str
    description: str
    default_trigger: str
    default_mapping: dict[str, Any]
    fields: tuple[fields.Field, ...]


@dataclass(frozen=True)
class PresetRead:
    """A mapping that a new destination starts with."""

    name: str
    trigger: str
    action: str
    mapping: dict[str, Any]


@dataclass(frozen=True)
class TypeRead:
    """What can be connected."""

    type: str
    name: str
    """What events call it in their `integrations` object."""
    settings: tuple[fields.Field, ...]
    settings_from: str
    """`environment`: it is set up there, once. `row`: any number can be connected."""
    actions: list[ActionRead]
    presets: list[PresetRead]


class NewDestination(BaseModel):
    """A destination to connect. With `presets` it starts with the mappings of its type."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"type": "webhook", "name": "Coupon mails", "settings": {"secret": "a long secret"}, "presets": False}
            ]
        },
    )

    type: str = Field(max_length=100)
    name: str = Field(max_length=100)
    settings: dict[str, Any] = Field(default_factory=dict)
    presets: bool = True


class ChangedDestination(BaseModel):
    """What shall be different. `updated_at` is the one that was seen. A secret that comes back masked stays."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"updated_at": "2026-11-22T09:30:00.123456Z", "enabled": False}]},
    )

    updated_at: AwareDatetime
    name: str | None = Field(default=None, max_length=100)
    settings: dict[str, Any] | None = None
    enabled: bool | None = None


@dataclass(frozen=True)
class Recent:
    """An event of the log, and the mappings of the destination whose triggers take it."""

    event: RecentEvent
    taken_by: list[str]


@get("/catalogue", role="operator", operation_id="listDestinationTypes")
async def catalogue(state: State) -> list[TypeRead]:
    """Every type of destination: its settings, its actions with their fields, and the mappings it starts with."""
    return [type_read(each, state.registry.environment) for each in state.registry.catalogue.values()]


def type_read(destination: Destination, environment: configure.Environment) -> TypeRead:
    """A type of the catalogue for reading."""
    return TypeRead(
        destination.slug,
        destination.name,
        destination.settings,
        "environment" if destination.slug in environment else "row",
        [
            ActionRead(
                action.slug,
                action.title.strip(),
                action.description,
                action.default_trigger,
                action.default_mapping,
                action.fields,
            )
            for action in destination.actions.values()
        ],
        [
            PresetRead(preset.name, preset.trigger, preset.action, dict(preset.mapping))
            for preset in destination.presets
        ],
    )


@get("/", role="operator", operation_id="listDestinations")
async def list_all(state: State, principal: NamedDependency[Principal]) -> list[DestinationRead]:
    """What is connected, with mappings and filters. Secrets are masked; those in mappings for who is no admin."""
    found = await configure_read.destinations(state.database, state.registry.catalogue, state.registry.environment)
    return [seen_by(principal, each) for each in found]


@post("/", role="admin", operation_id="connectDestination")
async def connect(
    state: State, principal: NamedDependency[Principal], data: JSONBody[NewDestination]
) -> DestinationRead:
    """Connect a destination. Its slug is made of its name and never changes."""
    wanted = Wanted(data.type, data.name, data.settings, data.presets)
    registry = state.registry
    slug = await configure.connect(state.database, registry.catalogue, registry.environment, wanted, principal.person)
    return await read(state, slug)


async def read(state: State, slug: str) -> DestinationRead:
    """A destination with its mappings and filters."""
    return await configure_read.destination(state.database, state.registry.catalogue, state.registry.environment, slug)


def seen_by(principal: Principal, found: DestinationRead) -> DestinationRead:
    """The destination as this person may see it: keys that stand in mappings are for admins."""
    return found if principal.may("admin") else configure_read.without_literals(found)


@get("/{slug:str}", role="operator", operation_id="getDestination")
async def show(state: State, slug: FromPath[str], principal: NamedDependency[Principal]) -> DestinationRead:
    """One destination, with its mappings and filters. Secrets are masked; those in mappings for who is no admin."""
    return seen_by(principal, await read(state, slug))


@patch("/{slug:str}", role="admin", operation_id="changeDestination")
async def change(
    state: State, slug: FromPath[str], principal: NamedDependency[Principal], data: JSONBody[ChangedDestination]
) -> DestinationRead:
    """Change name or settings, enable or disable. 409 where somebody else has changed it since `updated_at`."""
    registry = state.registry
    await configure.change(
        state.database,
        registry.catalogue,
        registry.environment,
        slug,
        Change(data.name, data.settings, data.enabled),
        data.updated_at,
        principal.person,
    )
    return await read(state, slug)


@delete("/{slug:str}", role="admin", operation_id="disconnectDestination")
async def disconnect(
    state: State, slug: FromPath[str], principal: NamedDependency[Principal], updated_at: Seen
) -> None:
    """Take a destination away. 409 while it is enabled, or deliveries of it wait or are unclear."""
    await configure.disconnect(state.database, state.registry.environment, slug, updated_at, principal.person)


@post("/{slug:str}/pause", role="operator", status_code=200, operation_id="pauseDestination")
async def pause(state: State, slug: FromPath[str], principal: NamedDependency[Principal]) -> DestinationRead:
    """Let everything for it wait; no clock runs meanwhile."""
    await configure.pause(state.database, slug, principal.person)
    return seen_by(principal, await read(state, slug))


@post("/{slug:str}/resume", role="operator", status_code=200, operation_id="resumeDestination")
async def resume(state: State, slug: FromPath[str], principal: NamedDependency[Principal]) -> DestinationRead:
    """Let what waits go out again."""
    await configure.resume(state.database, slug, principal.person)
    return seen_by(principal, await read(state, slug))


@post("/{slug:str}/test-connection", role="operator", status_code=200, operation_id="testConnection")
async def test_connection(state: State, slug: FromPath[str]) -> list[Probe]:
    """Send the destination's own test requests, which change nothing, and tell what came of each."""
    return await tries.probe(state, slug)


@get("/{slug:str}/recent-events", role="operator", operation_id="listRecentEvents")
async def recent_events(
    state: State, slug: FromPath[str], limit: Annotated[int, QueryParameter(ge=1, le=100)] = 20
) -> list[Recent]:
    """The latest events of the log, and which mappings of this destination take them: to try a mapping on."""
    to = await tries.connected(state, slug)
    events = await recent(state.database, limit)
    return [
        Recent(event, [name for name, mapping in to.mappings.items() if takes_safely(mapping.takes, event.message)])
        for event in events
    ]


router = Router(
    PATH,
    route_handlers=[
        catalogue,
        list_all,
        connect,
        show,
        change,
        disconnect,
        pause,
        resume,
        test_connection,
        recent_events,
    ],
    tags=["destinations"],
)
