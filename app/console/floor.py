"""The floor at `/`: till on the left, phone on the right, the road of the last order below.

Till and phone are their own fragments, asked for by address: the console knows them as any client does.
"""

import json
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any
from uuid import UUID

from litestar import MediaType, Request, Response, Router, get, post
from litestar.channels import ChannelsPlugin
from litestar.datastructures import Cookie, State
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, HeaderParameter, QueryParameter
from litestar.response import Redirect, ServerSentEvent, Template
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app import money
from app.auth import keys, tokens
from app.auth.principal import SESSION_COOKIE, identify
from app.console.road import ZONES, Road, road, span
from app.console.trace import trace
from app.console.unclear_rows import count
from app.db.base import now
from app.errors import NotFound
from app.live.listener import ALL
from app.live.stream import stream
from app.orders.models import Location, Order
from app.settings import Settings

AnyRequest = Request[Any, Any, Any]
LATEST_ORDERS = 5
FIRST_REGISTER = "warsaw/2"
DEVELOPMENT = "development"
"""Who answers for a change while everybody is signed in by themselves."""
HEADERS = {
    # Everything a screen loads comes from this server, and nothing in it runs from a string.
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True)
class RegisterChoice:
    """A till that the floor can stand at."""

    name: str
    """`<location>/<number>`."""
    location_id: str
    title: str


async def registers(session: AsyncSession) -> list[RegisterChoice]:
    """Every register of every shop."""
    locations = (await session.exec(select(Location).order_by(col(Location.name)))).all()
    return [
        RegisterChoice(f"{location.id}/{number}", location.id, f"{location.name}, register {number}")
        for location in locations
        for number in range(1, location.registers + 1)
    ]


@get("/", role="public", include_in_schema=False)
async def show(
    state: State,
    request: AnyRequest,
    register: Annotated[str | None, QueryParameter(max_length=100)] = None,
    order: FromQuery[UUID | None] = None,
) -> Response[Any]:
    """The floor; where development sign-in is on, signed in by itself at the register that was chosen.

    With `order` the road begins with that one instead of the last.
    """
    settings: Settings = state.settings
    async with state.database.session() as session:
        choices = await registers(session)
    principal = await identify(request)
    if not settings.development_sign_in and not (principal and principal.may("register")):
        return _page("floor/sign_in.html", {"problem": None})
    known = principal.name.removeprefix("register:") if principal else None
    here = _choose(choices, register, known)
    context = {
        "settings": settings,
        "choices": choices,
        "here": here,
        "order": order,
        "sees_road": settings.development_sign_in or bool(principal and principal.may("operator")),
    }
    page = _page("floor/floor.html", context)
    # Who signed in with a key of their own stays who they are.
    own = principal is not None and principal.operator not in {None, DEVELOPMENT}
    if settings.development_sign_in and here is not None and not own:
        roles = ["register", "admin"]
        page.cookies.append(_session(settings, f"register:{here.name}", here.location_id, roles, DEVELOPMENT))
    return page


def _choose(choices: list[RegisterChoice], asked: str | None, known: str | None) -> RegisterChoice | None:
    by_name = {choice.name: choice for choice in choices}
    if asked is not None and asked not in by_name:
        raise NotFound(f"There is no register {asked!r}.")
    for name in (asked, known, FIRST_REGISTER):
        if name in by_name:
            return by_name[name]
    return choices[0] if choices else None


@get("/sign-in", role="public", include_in_schema=False)
async def ask_for_keys() -> Response[Any]:
    """The form that takes the keys, for somebody who wants to show other ones."""
    return _page("floor/sign_in.html", {"problem": None})


@post("/sign-in", role="public", status_code=200, include_in_schema=False)
async def sign_in(state: State, request: AnyRequest) -> Response[Any]:
    """Sign in with a register's key, an operator's or admin's, or both: one opens the till, the other the console."""
    form = await request.form()
    async with state.database.connection() as connection:
        found = [await keys.find(connection, str(form.get(name) or "").strip()) for name in ("register", "operator")]
    till, operator = found
    if (form.get("register") or not operator) and (till is None or till.role != "register"):
        return _page("floor/sign_in.html", {"problem": "This is not the key of a register."}, status=401)
    if form.get("operator") and (operator is None or operator.role not in {"operator", "admin"}):
        return _page("floor/sign_in.html", {"problem": "This is not the key of an operator or admin."}, status=401)
    roles = [key.role for key in (till, operator) if key is not None]
    who = f"{operator.role}:{operator.name}" if operator else None
    answer = Redirect("/" if till else "/console", status_code=303)
    subject, location = (f"register:{till.name}", till.location_id) if till else (str(who), None)
    answer.cookies.append(_session(state.settings, subject, location, roles, who))
    return answer


def _session(
    settings: Settings, subject: str, location_id: str | None, roles: list[str], operator: str | None = None
) -> Cookie:
    token = tokens.make(settings.auth_secret, subject, roles, location=location_id, operator=operator)
    secure = settings.public_url.startswith("https://")
    return Cookie(key=SESSION_COOKIE, value=token, httponly=True, samesite="strict", secure=secure)


def _page(name: str, context: dict[str, Any], status: int = 200) -> Response[Any]:
    return Template(name, context=context, status_code=status, headers=HEADERS, media_type=MediaType.HTML)


@get("/floor/road", role="operator", include_in_schema=False)
async def show_road(state: State, order: FromQuery[UUID | None] = None) -> Template:
    """The road of an order; without `order` of the last one."""
    latest = await _latest_orders(state)
    wanted = order or (latest[0].id if latest else None)
    found = await _road(state, wanted) if wanted else None
    context = {
        "road": found,
        "zones": ZONES,
        "latest": latest,
        "pinned": order,
        "unclear": await count(state.database),
        "span": span,
        "money": partial(money.shown, currency=found.order["currency"]) if found else None,
    }
    return Template("floor/road.html", context=context)


@get("/floor/road/{order:uuid}/{step:str}", role="operator", include_in_schema=False)
async def show_station(state: State, order: FromPath[UUID], step: FromPath[str]) -> Template:
    """One station of an order's road: what came in, what went out, how long."""
    station = (await _road(state, order)).station(step)
    if station is None:
        raise NotFound(f"The road has no station {step!r}.")
    return Template(
        "floor/station.html",
        context={
            "order": order,
            "station": station,
            "span": span,
            "pretty": partial(json.dumps, indent=2, default=str),
        },
    )


@get("/floor/live", role="operator", include_in_schema=False)
async def live(
    state: State,
    channels: NamedDependency[ChannelsPlugin],
    last_event_id: Annotated[str | None, HeaderParameter(name="Last-Event-ID", max_length=100)] = None,
) -> ServerSentEvent:
    """Everything that changes anywhere in the house."""
    return stream(state.database, channels, ALL, last_event_id)


async def _latest_orders(state: State) -> list[Order]:
    async with state.database.session() as session:
        query = select(Order).order_by(col(Order.number).desc()).limit(LATEST_ORDERS)
        return list((await session.exec(query)).all())


async def _road(state: State, order_id: UUID) -> Road:
    found = await trace(state.database, order_id)
    if found is None:
        raise NotFound("There is no order with this id.")
    return road(found, now())


router = Router("/", route_handlers=[show, ask_for_keys, sign_in, show_road, show_station, live])
