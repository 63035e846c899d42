"""The editor of a mapping: its form, what is known of it, a test without sending, and its versions."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from litestar import Request, Response, Router, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery
from litestar.response import Redirect

from app.auth.principal import Principal
from app.console import mapping_form, tries
from app.console.destinations import HERE
from app.console.destinations_api import read, seen_by
from app.console.mappings_api import start
from app.console.page import page
from app.console.tries import Tested
from app.errors import BadInput, LoyaltyError
from app.pipeline import configure, configure_mappings, configure_read
from app.pipeline.configure_mappings import Draft
from app.pipeline.configure_read import DestinationRead, MappingRead, mapping_of
from app.pipeline.lint import Finding
from app.pipeline.recent_events import RecentEvent, recent

AnyRequest = Request[Any, Any, Any]
LIST = HERE + "/{slug:str}/mappings"
ONE = LIST + "/{mapping:str}"
RECENT = 30
"""Events to choose from."""
MOST_INPUTS = 500


@dataclass(frozen=True)
class Typed:
    """The form as it was filled in: texts that may or may not be read."""

    name: str
    action: str
    trigger: str
    as_json: bool
    texts: Mapping[str, str]
    """By field."""
    json: str
    """The whole mapping."""
    version: int
    event: str = ""
    position: str = ""

    def draft(self) -> Draft:
        """What the form says.

        Raises:
            BadInput: the mapping can't be read.
        """
        if self.as_json:
            mapping = mapping_form.object_from(self.json, "mapping")
        else:
            mapping = mapping_form.mapping_from(self.texts.items())
        return Draft(self.name, self.action, self.trigger, mapping)


def typed_of(saved: MappingRead, *, as_json: bool) -> Typed:
    """The form as a saved mapping fills it in."""
    texts = mapping_form.texts_of(saved.mapping)
    json = mapping_form.pretty(saved.mapping)
    return Typed(saved.name, saved.action, saved.trigger, as_json, texts, json, saved.version)


async def form_of(request: AnyRequest) -> dict[str, str]:
    """What a form sent, in its order: the fields of a mapping are kept in theirs, and Litestar's own form has none.

    Raises:
        BadInput: it is no form, or one of too many inputs.
    """
    try:
        sent = parse_qsl((await request.body()).decode(), keep_blank_values=True, max_num_fields=MOST_INPUTS)
    except ValueError:
        raise BadInput("This is no form of this page.") from None
    # Browsers send line ends as \r\n, which a trigger can't have.
    return {name: value.replace("\r\n", "\n") for name, value in sent}


def typed_in(form: Mapping[str, str]) -> Typed:
    """The form as it was filled in."""
    texts = {
        name.removeprefix(mapping_form.FIELD): value
        for name, value in form.items()
        if name.startswith(mapping_form.FIELD)
    }
    given = {name: form.get(name, "") for name in NAMES}
    version = given["version"]
    return Typed(
        given["name"],
        given["action"],
        form.get("use") or given["trigger"],
        "mapping" in form,
        texts,
        given["mapping"],
        int(version) if version.isascii() and version.isdigit() and len(version) < 10 else 0,
        given["event"],
        given["position"],
    )


NAMES = ("name", "action", "trigger", "mapping", "version", "event", "position")


@dataclass(frozen=True)
class Shown:
    """What the screen shows beside what is saved."""

    typed: Typed
    tested: Tested | None = None
    unread: str | None = None
    """Why there was nothing to test."""
    error: LoyaltyError | None = None
    faults: Mapping[str, str] = field(default_factory=dict)
    """By field: what is wrong with it."""


@get(ONE, role="operator", include_in_schema=False)
async def show(
    state: State,
    slug: FromPath[str],
    mapping: FromPath[str],
    principal: NamedDependency[Principal],
    form: FromQuery[str] = "fields",
) -> Response[Any]:
    """The editor, with the fields one by one or (`?form=json`) the mapping as JSON."""
    found = await read(state, slug)
    saved = mapping_of(found, mapping)
    shown = mapping_of(seen_by(principal, found), mapping)
    return await _page(state, principal, found, saved, Shown(typed_of(shown, as_json=form == "json")))


@post(LIST, role="admin", status_code=200, include_in_schema=False)
async def create(
    state: State, slug: FromPath[str], request: AnyRequest, principal: NamedDependency[Principal]
) -> Response[Any]:
    """Make a mapping of a preset or of an action's defaults; it starts disabled, and in the editor."""
    form = await form_of(request)
    kind = await configure.type_of(state.database, state.registry.catalogue, slug)
    what, _, name = form.get("start", "").partition(":")
    preset = next((each for each in kind.presets if what == "preset" and each.name == name), None)
    draft = start(kind, name)
    if preset is not None:
        draft = Draft(preset.name, preset.action, preset.trigger, dict(preset.mapping))
    elif name not in kind.actions:
        raise BadInput("start: choose a preset or an action.")
    title = form.get("name", "").strip() or draft.name or kind.actions[draft.action].title.strip()
    draft = Draft(title, draft.action, draft.trigger, draft.mapping, enabled=False)
    made = await configure_mappings.create(state.database, kind, slug, draft, principal.person)
    return Redirect(f"{HERE}/{slug}/mappings/{made}", status_code=303)


@post(ONE, role="admin", status_code=200, include_in_schema=False)
async def change(
    state: State,
    slug: FromPath[str],
    mapping: FromPath[str],
    request: AnyRequest,
    principal: NamedDependency[Principal],
) -> Response[Any]:
    """Save what was typed, switch on or off, move, restore, or delete: `do` says which."""
    form = await form_of(request)
    do, typed, by = form.get("do", ""), typed_in(form), principal.person
    found = await read(state, slug)
    saved = mapping_of(found, mapping)
    database, seen = state.database, typed.version
    kind = await configure.type_of(database, state.registry.catalogue, slug)
    after = f"{HERE}/{slug}/mappings/{mapping}"
    try:
        if do == "save":
            draft = typed.draft()
            draft = Draft(draft.name, draft.action, draft.trigger, draft.mapping, saved.enabled)
            await configure_mappings.edit(database, kind, slug, mapping, draft, seen, by)
            after += "?form=json" if typed.as_json else ""
        elif do in {"enable", "disable"}:
            draft = Draft(saved.name, saved.action, saved.trigger, saved.mapping, do == "enable")
            await configure_mappings.edit(database, kind, slug, mapping, draft, seen, by)
        elif do in {"up", "down"}:
            places = [each.slug for each in found.mappings]
            place = places.index(mapping) + 1 + (1 if do == "down" else -1)
            await configure_mappings.move(database, slug, mapping, place, seen, by)
        elif do == "restore":
            number = mapping_form.number(form.get("restore", ""))
            await configure_mappings.restore(database, kind, slug, mapping, number, seen, by)
        elif do == "delete":
            await configure_mappings.delete(database, slug, mapping, seen, by)
        else:
            raise BadInput("do: choose one of save, enable, disable, up, down, restore, and delete.")
    except LoyaltyError as error:
        typed = typed if do == "save" else typed_of(saved, as_json=False)
        return await _page(state, principal, found, saved, Shown(typed, error=error, faults=_faults(error)))
    if do in {"up", "down", "delete"} or form.get("back"):
        after = f"{HERE}/{slug}#mappings"
    return Redirect(after, status_code=303)


@post(ONE + "/test", role="operator", status_code=200, include_in_schema=False)
async def test(
    state: State,
    slug: FromPath[str],
    mapping: FromPath[str],
    request: AnyRequest,
    principal: NamedDependency[Principal],
) -> Response[Any]:
    """What was typed, saved or not, tried on an event. Nothing is sent, and nothing is saved."""
    typed = typed_in(await form_of(request))
    found = await read(state, slug)
    saved = mapping_of(found, mapping)
    tested = unread = None
    faults: dict[str, str] = {}
    try:
        draft = typed.draft()
        draft = Draft(draft.name, draft.action, draft.trigger, draft.mapping, saved.enabled)
        event = mapping_form.object_from(typed.event, "event") if typed.event.strip() else None
        position = mapping_form.number(typed.position) if typed.position and event is None else None
        tested = tries.seen_by(principal, await tries.try_draft(state, slug, draft, event, position, mapping))
    except LoyaltyError as error:
        unread, faults = error.sentence, _faults(error)
    return await _page(state, principal, found, saved, Shown(typed, tested, unread, faults=faults))


async def _page(
    state: State, principal: Principal, found: DestinationRead, saved: MappingRead, shown: Shown
) -> Response[Any]:
    kind = state.registry.catalogue.get(found.type)
    action = kind.actions.get(shown.typed.action) if kind else None
    findings = shown.tested.findings if shown.tested else await _known(state, found, saved)
    context = {
        "destination": found,
        "mapping": saved,
        "typed": shown.typed,
        "rows": mapping_form.rows(action, shown.typed.texts),
        "action": action,
        "actions": list(kind.actions.values()) if kind else [],
        "tested": shown.tested,
        "unread": shown.unread,
        "findings": findings,
        "faults": shown.faults,
        "refused_for": shown.error.extra.get("findings", []) if shown.error else [],
        "field": mapping_form.FIELD,
        "events": await recent(state.database, RECENT),
        "event_name": event_name,
        "versions": await configure_read.versions(state.database, found.slug, saved.slug, plain=principal.may("admin")),
        "may_change": principal.may("admin"),
    }
    return await page(state, "destinations/mapping.html", HERE, context, shown.error)


async def _known(state: State, found: DestinationRead, saved: MappingRead) -> list[Finding]:
    to = await tries.connected(state, found.slug)
    draft = Draft(saved.name, saved.action, saved.trigger, saved.mapping, saved.enabled)
    return await tries.findings(state, to, draft, saved.slug)


def event_name(event: RecentEvent) -> str:
    """An event in a list to choose from."""
    return f"{event.type} {event.name or ''}".strip()


def _faults(error: LoyaltyError) -> dict[str, str]:
    return {fault["field"]: fault["message"] for fault in error.extra.get("faults", [])}


router = Router("/", route_handlers=[show, create, change, test])
