"""Unclear outcomes: what nobody can know to have happened, shown whole, and decided by an operator (rule 5)."""

from dataclasses import dataclass
from typing import Annotated, Any

from litestar import Request, Response, Router, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.response import Redirect

from app.auth.principal import Principal
from app.console.page import page
from app.console.unclear_cases import WORDS, uuids
from app.console.unclear_rows import Unclear, unclear
from app.db.session import Database
from app.errors import BadInput, LoyaltyError, NotFound
from app.pipeline import decisions
from app.pipeline.decisions import Choice
from app.points import decisions as points

AnyRequest = Request[Any, Any, Any]


@dataclass(frozen=True)
class Decided:
    """What an operator found out."""

    decision: Choice
    note: str
    """Why: kept with the decision."""


async def decide(database: Database, subject: str, wanted: Decided, made_by: str) -> None:
    """Settle a case. Raises `BadInput`, `NotFound`, or `Conflict` where it is settled already."""
    kind, _, number = subject.partition(":")
    if kind == "delivery" and number.isascii() and number.isdigit() and len(number) < 19:
        await decisions.decide(database, int(number), wanted.decision, wanted.note, made_by)
    elif kind == "points" and (operations := uuids([number])):
        note = decisions.checked_note(wanted.note)
        await points.decide(database, operations[0], wanted.decision, note, made_by)
    else:
        raise NotFound(f"There is nothing named {subject[:100]!r} to decide.")


After = Annotated[int, QueryParameter(ge=0, le=2**62)]


@get("/console/unclear", role="operator", include_in_schema=False)
async def show(state: State, after: After = 0) -> Response[Any]:
    """The page of everything that waits for a decision."""
    return await _page(state, after)


@post("/console/unclear", role="operator", status_code=200, include_in_schema=False)
async def decide_on_page(state: State, request: AnyRequest, principal: NamedDependency[Principal]) -> Response[Any]:
    """One form of the page. Where it can't be decided so, the page comes again with the reason and what was typed."""
    form = await request.form()
    subject, decision, note = (str(form.get(name) or "") for name in ("subject", "decision", "note"))
    try:
        choice = next((each for each in WORDS if each == decision), None)
        if choice is None:
            raise BadInput("decision: choose one of done, not done, and send again.")
        await decide(state.database, subject, Decided(choice, note), principal.person)
    except LoyaltyError as error:
        return await _page(state, 0, error, {"subject": subject, "decision": decision, "note": note})
    return Redirect("/console/unclear", status_code=303)


@get("/console/unclear/list", role="operator", operation_id="listUnclear")
async def list_unclear(state: State, after: After = 0) -> Unclear:
    """What waits for a decision, with what was sent and how it was looked up, and the latest decisions."""
    return await unclear(state.database, after)


@post("/console/unclear/{subject:str}", role="operator", status_code=200, operation_id="decideUnclear")
async def decide_one(
    state: State, subject: FromPath[str], data: JSONBody[Decided], principal: NamedDependency[Principal]
) -> dict[str, str]:
    """Decide a case: `subject` as in the list. 409 where it is decided already."""
    await decide(state.database, subject, data, principal.person)
    return {"subject": subject, "decision": data.decision, "made_by": principal.person}


async def _page(
    state: State, after: int, error: LoyaltyError | None = None, typed: dict[str, str] | None = None
) -> Response[Any]:
    context = {
        "found": await unclear(state.database, after),
        "after": after,
        "typed": typed or {"subject": "", "decision": "", "note": ""},
        "names": WORDS,
        "longest": decisions.LONGEST_NOTE,
    }
    return await page(state, "unclear/page.html", "/console/unclear", context, error)


router = Router("/", route_handlers=[show, decide_on_page, list_unclear, decide_one], tags=["console"])
