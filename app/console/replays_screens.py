"""The screens of replays: choose, look at what would happen, begin, watch."""

from typing import Annotated, Any, get_args
from uuid import uuid4

from litestar import Request, Response, Router, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, FromQuery, QueryParameter
from litestar.response import Redirect

from app.auth.principal import Principal
from app.console.deliveries import STATES
from app.console.deliveries_asked import Asked, meant, of_form, provide_asked
from app.console.page import page
from app.console.replays import granted
from app.errors import BadInput, LoyaltyError
from app.pipeline import replay
from app.pipeline.decisions import LONGEST_NOTE
from app.pipeline.replay import Function, Progress
from app.pipeline.replay_labels import WORDS
from app.pipeline.replay_preview import DryRun, Previewer

HERE = "/console/replays"
LABELS = {
    "safe": ("good", "check"),
    "already applied": ("flies", "clock"),
    "would apply twice": ("bad", "cross"),
    None: ("mute", "skip"),
}
"""How a label is shown: class and icon."""
REPLAY_STATES = {
    "running": ("flies", "moving", "running"),
    "stopped": ("waits", "clock", "stopped"),
    "done": ("good", "check", "all queued"),
}
_FUNCTIONS: dict[str, Function] = {name: name for name in get_args(Function)}

AnyRequest = Request[Any, Any, Any]


@get(HERE, role="operator", include_in_schema=False)
async def show_list(state: State) -> Response[Any]:
    """The latest replays."""
    found = await replay.replays(state.database)
    await state.registry.refresh()
    context = {"found": found, "states": REPLAY_STATES, "destinations": state.registry.connected}
    return await page(state, "console/replays.html", HERE, context)


@get(f"{HERE}/new", role="operator", include_in_schema=False)
async def show_new(
    state: State,
    asked: NamedDependency[Asked],
    function: FromQuery[str] = "reuse",
    twice: FromQuery[str] = "",
    after: Annotated[int, QueryParameter(ge=0, le=2**62)] = 0,
    check: FromQuery[str] = "",
) -> Response[Any]:
    """Choose; with `check` also what would happen."""
    return await _new(state, asked, function, twice=bool(twice), after=after, looks=bool(check))


@post(HERE, role="operator", status_code=200, include_in_schema=False)
async def begin(state: State, request: AnyRequest, principal: NamedDependency[Principal]) -> Response[Any]:
    """Begin what was looked at. Where that can't be, the page comes again with the reason and what was typed."""
    form = await request.form()
    asked = of_form(form, form.getall("status", []))
    function, twice, note = str(form.get("function") or ""), bool(form.get("twice")), str(form.get("note") or "")
    key = str(form.get("key") or uuid4())[:100]
    try:
        selection = await meant(state.database, asked)
        wanted, to = await granted(state, selection, _function(function), twice=twice)
        begun, _ = await replay.begin(state.database, to, wanted, note, principal.person, key)
    except LoyaltyError as error:
        return await _new(state, asked, function, twice=twice, after=0, looks=True, error=error, note=note)
    return Redirect(f"{HERE}/{begun.id}", status_code=303)


@get(f"{HERE}/{{replay_id:int}}", role="operator", include_in_schema=False)
async def show_one(state: State, replay_id: FromPath[int]) -> Response[Any]:
    """One replay, and how it goes."""
    return await _one(state, await replay.replay_of(state.database, replay_id))


@get(f"{HERE}/{{replay_id:int}}/progress", role="operator", include_in_schema=False)
async def show_progress(state: State, replay_id: FromPath[int]) -> Response[Any]:
    """The part of its page that moves."""
    found = await replay.replay_of(state.database, replay_id)
    return await page(state, "console/replay_progress.html", HERE, _context(state, found))


@post(f"{HERE}/{{replay_id:int}}/{{turn:str}}", role="operator", status_code=200, include_in_schema=False)
async def turn(
    state: State, replay_id: FromPath[int], turn: FromPath[str], principal: NamedDependency[Principal]
) -> Response[Any]:
    """`stop` or `resume`, by the page's button."""
    turns = {"stop": replay.stop, "resume": replay.resume}
    try:
        if turn not in turns:
            raise BadInput("A replay can be stopped and resumed.")
        await turns[turn](state.database, replay_id, principal.person)
    except LoyaltyError as error:
        return await _one(state, await replay.replay_of(state.database, replay_id), error)
    return Redirect(f"{HERE}/{replay_id}", status_code=303)


async def _one(state: State, found: Progress, error: LoyaltyError | None = None) -> Response[Any]:
    await state.registry.refresh()
    return await page(state, "console/replay.html", HERE, _context(state, found), error)


def _context(state: State, found: Progress) -> dict[str, Any]:
    chosen = {name: value for name, value in found.selection.items() if value not in (None, [], "")}
    to = state.registry.connected.get(found.destination)
    return {
        "replay": found,
        "to": to.name if to else found.destination,
        "chosen": chosen,
        "states": REPLAY_STATES,
        "ends": STATES,
    }


async def _new(
    state: State,
    asked: Asked,
    function: str,
    *,
    twice: bool,
    after: int,
    looks: bool,
    error: LoyaltyError | None = None,
    note: str = "",
) -> Response[Any]:
    await state.registry.refresh()
    dry: DryRun | None = None
    if looks:
        try:
            selection = await meant(state.database, asked)
            wanted, to = await granted(state, selection, _function(function), twice=twice)
            dry = await Previewer(state.database, state.dry_runs).dry_run(wanted, to, after)
        except LoyaltyError as refused:
            error = error or refused
    to_name = state.registry.connected.get(asked.destination)
    context = {
        "asked": asked,
        "function": function,
        "twice": twice,
        "after": after,
        "dry": dry,
        "note": note,
        "key": str(uuid4()),
        "longest": LONGEST_NOTE,
        "labels": LABELS,
        "words": WORDS,
        "states": STATES,
        "destinations": state.registry.connected,
        "to_name": to_name.name if to_name else asked.destination,
    }
    return await page(state, "console/replay_new.html", HERE, context, error)


def _function(name: str) -> Function:
    if name not in _FUNCTIONS:
        raise BadInput("function: reuse or rerun.")
    return _FUNCTIONS[name]


router = Router(
    "/",
    route_handlers=[show_list, show_new, begin, show_one, show_progress, turn],
    dependencies={"asked": Provide(provide_asked, sync_to_thread=False)},
    include_in_schema=False,
)
