"""The screens of destinations: all of them at `/console/destinations`, one with its mappings and filters below it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from litestar import Request, Response, Router, get, post
from litestar.datastructures import FormMultiDict, State
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Redirect

from app.auth.principal import Principal
from app.console import tries
from app.console.destinations_api import read, type_read
from app.console.mapping_form import number as number_of
from app.console.page import page
from app.errors import BadInput, LoyaltyError
from app.pipeline import configure, configure_filters, configure_mappings, configure_read, filters
from app.pipeline.configure import Change, Wanted
from app.pipeline.configure_filters import FilterDraft

AnyRequest = Request[Any, Any, Any]
HERE = "/console/destinations"
KINDS = {
    "sample": "Sample: let only some events pass",
    "drop": "Drop: keep events away",
    "drop_properties": "Drop properties: send events without them",
    "allow_properties": "Allow properties: send nothing else of properties, traits or context",
}


@get(HERE, role="operator", include_in_schema=False)
async def show_all(state: State, principal: NamedDependency[Principal]) -> Response[Any]:
    """Every destination as a card, and a form for another one."""
    return await _all(state, principal)


async def _all(
    state: State, principal: Principal, error: LoyaltyError | None = None, typed: Mapping[str, str] | None = None
) -> Response[Any]:
    registry = state.registry
    types = [type_read(each, registry.environment) for each in registry.catalogue.values()]
    context = {
        "destinations": await configure_read.destinations(state.database, registry.catalogue, registry.environment),
        "types": [each for each in types if each.settings_from == "row"],
        "typed": typed or {},
        "may_change": principal.may("admin"),
    }
    return await page(state, "destinations/all.html", HERE, context, error)


@post(HERE, role="admin", status_code=200, include_in_schema=False)
async def connect(state: State, request: AnyRequest, principal: NamedDependency[Principal]) -> Response[Any]:
    """Connect another destination by the form."""
    form = await request.form()
    wanted = Wanted(_text(form, "type"), _text(form, "name"), _settings(form))
    registry = state.registry
    try:
        slug = await configure.connect(
            state.database, registry.catalogue, registry.environment, wanted, principal.person
        )
    except LoyaltyError as error:
        return await _all(state, principal, error, {name: _text(form, name) for name in form})
    return Redirect(f"{HERE}/{slug}", status_code=303)


@get(HERE + "/{slug:str}", role="operator", include_in_schema=False)
async def show(state: State, slug: FromPath[str], principal: NamedDependency[Principal]) -> Response[Any]:
    """A destination: how it is, its mappings, filters and settings."""
    return await _one(state, slug, principal)


async def _one(
    state: State,
    slug: str,
    principal: Principal,
    error: LoyaltyError | None = None,
    typed: Mapping[str, Any] | None = None,
    probes: list[tries.Probe] | None = None,
) -> Response[Any]:
    found = await read(state, slug)
    kind = state.registry.catalogue.get(found.type)
    context = {
        "destination": found,
        "kind": type_read(kind, state.registry.environment) if kind else None,
        "counts": await configure_read.last_day(state.database, slug),
        "findings": await tries.findings_of_all(state, slug) if kind else [],
        "filter_findings": await tries.findings_of_filters(found.filters),
        "refused_for": error.extra.get("findings", []) if error else [],
        "kinds": KINDS,
        "typed": typed or {},
        "probes": probes,
        "may_change": principal.may("admin"),
        "most": {"mappings": configure_mappings.MOST, "filters": filters.MOST},
    }
    return await page(state, "destinations/one.html", HERE, context, error)


@post(HERE + "/{slug:str}", role="admin", status_code=200, include_in_schema=False)
async def change(
    state: State, slug: FromPath[str], request: AnyRequest, principal: NamedDependency[Principal]
) -> Response[Any]:
    """Settings and name, on and off, and away: `do` says which."""
    form = await request.form()
    do, typed = _text(form, "do"), {name: _text(form, name) for name in form}
    registry = state.registry
    try:
        seen = moment(_text(form, "updated_at"))
        if do == "disconnect":
            await configure.disconnect(state.database, registry.environment, slug, seen, principal.person)
            return Redirect(HERE, status_code=303)
        wanted = {
            "change": Change(name=_text(form, "name"), settings=_settings(form) or None),
            "enable": Change(enabled=True),
            "disable": Change(enabled=False),
        }.get(do)
        if wanted is None:
            raise BadInput("do: choose one of change, enable, disable, and disconnect.")
        await configure.change(
            state.database, registry.catalogue, registry.environment, slug, wanted, seen, principal.person
        )
    except LoyaltyError as error:
        return await _one(state, slug, principal, error, {"settings": typed} if do == "change" else None)
    return Redirect(f"{HERE}/{slug}", status_code=303)


@post(HERE + "/{slug:str}/state", role="operator", status_code=200, include_in_schema=False)
async def pause_or_resume(
    state: State, slug: FromPath[str], request: AnyRequest, principal: NamedDependency[Principal]
) -> Response[Any]:
    """Let everything for it wait, or go out again."""
    form = await request.form()
    act = configure.pause if _text(form, "do") == "pause" else configure.resume
    await act(state.database, slug, principal.person)
    return Redirect(f"{HERE}/{slug}", status_code=303)


@post(HERE + "/{slug:str}/connection", role="operator", status_code=200, include_in_schema=False)
async def test_connection(state: State, slug: FromPath[str], principal: NamedDependency[Principal]) -> Response[Any]:
    """Ask the destination whether it is there, and show what it said."""
    try:
        probes = await tries.probe(state, slug)
    except LoyaltyError as error:
        return await _one(state, slug, principal, error)
    return await _one(state, slug, principal, probes=probes)


@post(HERE + "/{slug:str}/filters", role="admin", status_code=200, include_in_schema=False)
async def change_filters(
    state: State, slug: FromPath[str], request: AnyRequest, principal: NamedDependency[Principal]
) -> Response[Any]:
    """Make, change or delete a filter: `do` says which, `id` which one."""
    form = await request.form()
    typed = {
        name: _text(form, name) for name in ("do", "id", "name", "condition", "kind", "paths", "percent", "enabled")
    }
    try:
        draft = FilterDraft(
            typed["name"],
            typed["condition"],
            typed["kind"],
            tuple(typed["paths"].splitlines()),
            _percent(typed["percent"]),
            enabled=bool(typed["enabled"]),
        )
        if not typed["id"]:
            await configure_filters.create(state.database, slug, draft, principal.person)
        else:
            which, seen = number_of(typed["id"]), moment(_text(form, "updated_at"))
            if typed["do"] == "delete":
                await configure_filters.delete(state.database, slug, which, seen, principal.person)
            else:
                await configure_filters.edit(state.database, slug, which, draft, seen, principal.person)
    except LoyaltyError as error:
        return await _one(state, slug, principal, error, {"filter": typed})
    return Redirect(f"{HERE}/{slug}#filters", status_code=303)


def _text(form: FormMultiDict, name: str) -> str:
    return str(form.get(name) or "")


def _settings(form: FormMultiDict) -> dict[str, str]:
    """The inputs of settings, named `settings.<name>`."""
    return {name.removeprefix("settings."): _text(form, name).strip() for name in form if name.startswith("settings.")}


def _percent(text: str) -> float | None:
    if not text.strip():
        return None
    try:
        return float(text)
    except ValueError:
        raise BadInput("percent: say how many of a hundred events pass, 0 to 100.") from None


def moment(text: str) -> datetime:
    """The `updated_at` that a form carries.

    Raises:
        BadInput: it is none.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise BadInput("updated_at: load the page again, and send its form.")
    return found


router = Router(
    "/",
    route_handlers=[show_all, connect, show, change, pause_or_resume, test_connection, change_filters],
)
