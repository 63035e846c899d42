"""The filters of a destination over the API."""

import asyncio
from dataclasses import dataclass

from litestar import Router, delete, get, patch, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from app.auth.principal import Principal
from app.console.destinations_api import PATH, Seen, read
from app.errors import NotFound
from app.pipeline import configure_filters
from app.pipeline.configure_filters import FilterDraft
from app.pipeline.configure_read import FilterRead
from app.pipeline.lint import Finding, lint_trigger


class NewFilter(BaseModel):
    """A filter. `paths` for properties, `percent` for a sample."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "name": "No card numbers",
                    "condition": 'type = "track"',
                    "kind": "drop_properties",
                    "paths": ["properties.card_number"],
                }
            ]
        },
    )

    name: str = Field(max_length=100)
    condition: str
    kind: str = Field(description="`sample`, `drop`, `drop_properties` or `allow_properties`")
    paths: list[str] = Field(default_factory=list)
    percent: float | None = None
    enabled: bool = True

    def draft(self) -> FilterDraft:
        return FilterDraft(self.name, self.condition, self.kind, tuple(self.paths), self.percent, self.enabled)


class ChangedFilter(NewFilter):
    """A filter as it shall be from now on. `updated_at` is the one that was seen."""

    updated_at: AwareDatetime


@dataclass(frozen=True, kw_only=True)
class SavedFilter(FilterRead):
    """A filter as it is now, and what is worth knowing about its condition."""

    findings: list[Finding]


@get("/{slug:str}/filters", role="operator", operation_id="listFilters")
async def list_filters(state: State, slug: FromPath[str]) -> list[FilterRead]:
    """The filters of a destination."""
    return (await read(state, slug)).filters


@post("/{slug:str}/filters", role="admin", operation_id="createFilter")
async def create_filter(
    state: State, slug: FromPath[str], principal: NamedDependency[Principal], data: JSONBody[NewFilter]
) -> SavedFilter:
    """Make a filter. 409 where the destination has ten."""
    number = await configure_filters.create(state.database, slug, data.draft(), principal.person)
    return await _filter(state, slug, number)


@patch("/{slug:str}/filters/{number:int}", role="admin", operation_id="changeFilter")
async def change_filter(
    state: State,
    slug: FromPath[str],
    number: FromPath[int],
    principal: NamedDependency[Principal],
    data: JSONBody[ChangedFilter],
) -> SavedFilter:
    """Change a filter, given whole. 409 where somebody else has changed it since `updated_at`."""
    await configure_filters.edit(state.database, slug, number, data.draft(), data.updated_at, principal.person)
    return await _filter(state, slug, number)


@delete("/{slug:str}/filters/{number:int}", role="admin", operation_id="deleteFilter")
async def delete_filter(
    state: State,
    slug: FromPath[str],
    number: FromPath[int],
    principal: NamedDependency[Principal],
    updated_at: Seen,
) -> None:
    """Delete a filter. 409 where somebody else has changed it since `updated_at`."""
    await configure_filters.delete(state.database, slug, number, updated_at, principal.person)


async def _filter(state: State, slug: str, number: int) -> SavedFilter:
    for each in (await read(state, slug)).filters:
        if each.id == number:
            findings = await asyncio.to_thread(lint_trigger, each.condition)
            return SavedFilter(**vars(each), findings=findings)
    raise NotFound("This destination has no such filter.")


router = Router(PATH, route_handlers=[list_filters, create_filter, change_filter, delete_filter], tags=["destinations"])
