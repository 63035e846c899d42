"""Replays as JSON: what one would do, beginning one, how it goes, stopping it."""

from dataclasses import dataclass
from typing import Annotated

from litestar import Response, Router, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath, HeaderParameter, JSONBody, QueryParameter
from msgspec import Meta, Struct

from app.auth.principal import Principal
from app.console.deliveries_asked import found
from app.pipeline import replay
from app.pipeline.registry import Connected
from app.pipeline.replay import Function, Progress, Wanted
from app.pipeline.replay_preview import DryRun, Previewer
from app.pipeline.replay_selection import Selection

IdempotencyKey = Annotated[
    str,
    HeaderParameter(
        name="Idempotency-Key",
        min_length=1,
        max_length=100,
        description="Made by the caller for one replay, and kept when it asks again: one key begins one replay.",
    ),
]


class Wish(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which deliveries, and how. `selection.destination` is required."""

    selection: Selection
    function: Function = "reuse"
    """`reuse`: the insert function's kept result counts. `rerun`: it runs anew."""
    twice: bool = False
    """Also what would be applied twice."""
    after: Annotated[int, Meta(ge=0, le=2**62)] = 0
    """The page behind this id."""


class Beginning(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A replay that shall begin, and why."""

    selection: Selection
    note: str
    """Kept with the replay."""
    function: Function = "reuse"
    twice: bool = False


@dataclass(frozen=True)
class Replays:
    """The latest replays, the newest first."""

    replays: list[Progress]
    next_before: int | None


async def granted(state: State, selection: Selection, function: Function, *, twice: bool) -> tuple[Wanted, Connected]:
    """The wish, checked against the destinations as they are now.

    Raises:
        BadInput, NotFound: see `replay.checked_wish`.
    """
    await state.registry.refresh()
    wanted = Wanted(await found(state.database, selection), function, twice)
    return replay.checked_wish(wanted, state.registry)


@post("/api/replays/dry-run", role="operator", status_code=200, operation_id="dryRunReplay")
async def dry_run(state: State, data: JSONBody[Wish]) -> DryRun:
    """What a replay would do: numbers for all, and for twenty of them what was sent, what would be, and a label.

    Nothing is written or sent. The insert function runs dry: what it would have written is in its `calls`.
    """
    wanted, to = await granted(state, data.selection, data.function, twice=data.twice)
    return await Previewer(state.database, state.dry_runs).dry_run(wanted, to, data.after)


@post("/api/replays", role="operator", operation_id="beginReplay")
async def begin(
    state: State, principal: NamedDependency[Principal], data: JSONBody[Beginning], idempotency_key: IdempotencyKey
) -> Response[Progress]:
    """Begin a replay. 201; 200 with the one that there is, where the key was used for it before."""
    wanted, to = await granted(state, data.selection, data.function, twice=data.twice)
    begun, is_new = await replay.begin(state.database, to, wanted, data.note, principal.person, idempotency_key)
    return Response(begun, status_code=201 if is_new else 200)


@get("/api/replays", role="operator", operation_id="listReplays")
async def list_replays(state: State, before: Annotated[int, QueryParameter(ge=0, le=2**62)] = 2**62) -> Replays:
    """Fifty replays and how far they came."""
    rows = await replay.replays(state.database, 50, before)
    return Replays(rows, rows[-1].id if len(rows) == 50 else None)


@get("/api/replays/{replay_id:int}", role="operator", operation_id="getReplay")
async def get_replay(state: State, replay_id: FromPath[int]) -> Progress:
    """One replay and how far it came."""
    return await replay.replay_of(state.database, replay_id)


@post("/api/replays/{replay_id:int}/stop", role="operator", status_code=200, operation_id="stopReplay")
async def stop(state: State, replay_id: FromPath[int], principal: NamedDependency[Principal]) -> Progress:
    """Queue nothing more. What waits in lanes already (1,000 at most) still goes out. 409 where it does not run."""
    return await replay.stop(state.database, replay_id, principal.person)


@post("/api/replays/{replay_id:int}/resume", role="operator", status_code=200, operation_id="resumeReplay")
async def resume(state: State, replay_id: FromPath[int], principal: NamedDependency[Principal]) -> Progress:
    """Go on where it stopped. 409 where it is not stopped."""
    return await replay.resume(state.database, replay_id, principal.person)


router = Router("/", route_handlers=[dry_run, begin, list_replays, get_replay, stop, resume], tags=["console"])
