"""The screens of sources: the list with keys and switches, the live feed of one, and its schema."""

from functools import partial
from typing import Any

import msgspec
from litestar import MediaType, Request, Response, Router, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath
from litestar.response import Redirect, Template

from app.auth.principal import Principal
from app.console.floor import HEADERS
from app.console.page import page
from app.console.sources_api import Before, all_sources, arrival, check
from app.console.sources_asked import Asked, meant, provide_asked
from app.console.sources_codes import meaning
from app.console.sources_feed import BEGINNING, MOST, SEARCHED, Page, cursor
from app.console.sources_feed import page as feed_page
from app.db.base import now
from app.db.session import Database
from app.errors import BadInput, LoyaltyError
from app.segment import schema_rows, sources
from app.segment.messages import TYPES
from app.segment.sources import UNKNOWN, SourceRow

AnyRequest = Request[Any, Any, Any]
HERE = "/console/sources"
ROWS = MOST
"""Of the feed, before anything comes live."""


@get(HERE, role="operator", include_in_schema=False)
async def show_list(state: State, principal: NamedDependency[Principal]) -> Response[Any]:
    """All sources."""
    return await _list(state, principal)


@post(HERE, role="admin", status_code=200, include_in_schema=False)
async def create(state: State, request: AnyRequest, principal: NamedDependency[Principal]) -> Response[Any]:
    """The form that makes one. Where it can't be made so, the page comes again with the reason and what was typed."""
    form = await request.form()
    name, slug = (str(form.get(field) or "") for field in ("name", "slug"))
    try:
        made = await sources.create(state.database, name, slug.strip() or None, principal.person)
    except LoyaltyError as error:
        return await _list(state, principal, error, {"name": name, "slug": slug})
    return Redirect(f"{HERE}#{made.slug}", status_code=303)


@post(f"{HERE}/{{slug:str}}", role="admin", status_code=200, include_in_schema=False)
async def change(
    state: State, request: AnyRequest, slug: FromPath[str], principal: NamedDependency[Principal]
) -> Response[Any]:
    """The forms that change one."""
    form = await request.form()
    wanted, name, key = (str(form.get(field) or "") for field in ("do", "name", "key"))
    try:
        await _change(state.database, slug, wanted, name, key, principal.person)
    except LoyaltyError as error:
        return await _list(state, principal, error)
    return Redirect(f"{HERE}#{slug}", status_code=303)


async def _change(database: Database, slug: str, wanted: str, name: str, key: str, made_by: str) -> None:
    if wanted == "rename":
        await sources.change(database, slug, made_by, name=name)
    elif wanted in {"enable", "disable"}:
        await sources.change(database, slug, made_by, enabled=wanted == "enable")
    elif wanted == "add_key":
        await sources.add_key(database, slug, made_by)
    elif wanted == "delete_key":
        await sources.delete_key(database, slug, key, made_by)
    else:
        raise BadInput("do: choose one of rename, enable, disable, add_key, delete_key.")


async def _list(
    state: State, principal: Principal, error: LoyaltyError | None = None, typed: dict[str, str] | None = None
) -> Response[Any]:
    context = {
        "found": await all_sources(state.database, principal),
        "admin": principal.may("admin"),
        "typed": typed or {"name": "", "slug": ""},
        "meaning": meaning,
        "unknown": UNKNOWN,
        "most_keys": sources.MOST_KEYS,
    }
    return await page(state, "console/sources.html", HERE, context, error)


@get(f"{HERE}/{{slug:str}}", role="operator", include_in_schema=False)
async def show_feed(
    state: State,
    slug: FromPath[str],
    asked: NamedDependency[Asked],
    principal: NamedDependency[Principal],
    before: Before = None,
) -> Response[Any]:
    """What arrives from one source, live; with `before` an older page of it."""
    source = await _source(state.database, slug)
    found, problem = Page([], None, bounded=False, live=str(BEGINNING)), None
    try:
        watched, start = await meant(state.database, slug, asked), cursor(before) if before else None
        async with state.database.connection() as connection:
            found = await feed_page(connection, watched, start, ROWS)
    except LoyaltyError as error:
        problem = error
    admin = principal.may("admin")
    context = {
        "source": source,
        "found": found,
        "asked": asked,
        "query": asked.query(),
        "older": asked.query(before=found.next),
        "live": None if before or problem else f"/api/sources/{slug}/live?{asked.query(after=found.live)}",
        "types": sorted(TYPES),
        "unknown": UNKNOWN,
        "admin": admin,
        "address": state.settings.public_url,
        "key": source.keys[-1].key if admin and source.keys else None,
        "searched": SEARCHED,
        "meaning": meaning,
    }
    return await page(state, "console/source_feed.html", HERE, context, problem)


@get(f"{HERE}/{{slug:str}}/events/{{key:str}}", role="operator", include_in_schema=False)
async def show_message(state: State, slug: FromPath[str], key: FromPath[str]) -> Response[Any]:
    """One message of the feed: the fragment of its sheet."""
    found = await arrival(state.database, slug, key)
    context = {
        "row": found,
        "meaning": meaning,
        "compact": partial(_json, indent=0),
        "pretty": partial(_json, indent=2),
    }
    return Template("console/source_message.html", context=context, headers=HEADERS, media_type=MediaType.HTML)


@get(f"{HERE}/{{slug:str}}/schema", role="operator", include_in_schema=False)
async def show_schema(state: State, slug: FromPath[str], asked: NamedDependency[Asked]) -> Response[Any]:
    """What a source sends: its kinds of event, and with `type` and `name` the properties of one."""
    source = await sources.source(state.database, slug)
    kinds = await schema_rows.kinds(state.database, slug)
    chosen = next((kind for kind in kinds if (kind.type, kind.name) == (asked.type, asked.name)), None)
    context = {
        "source": source,
        "kinds": kinds,
        "chosen": chosen,
        "properties": await schema_rows.properties(state.database, slug, chosen.type, chosen.name) if chosen else [],
        "query": lambda kind: Asked(type=kind.type, name=kind.name).query(),
    }
    return await page(state, "console/source_schema.html", HERE, context)


async def _source(database: Database, slug: str) -> SourceRow:
    """A source, or what stands for all unknown write keys."""
    await check(database, slug)
    if slug != UNKNOWN:
        return await sources.source(database, slug)
    return SourceRow(UNKNOWN, "Unknown write keys", enabled=True, created_at=now(), keys=[])


def _json(value: Any, indent: int) -> str:
    """`indent` 0: in one line."""
    try:
        return msgspec.json.format(msgspec.json.encode(value), indent=indent).decode()
    except RecursionError:
        return "(nested too deeply to be shown)"


router = Router(
    "/",
    route_handlers=[show_list, create, change, show_feed, show_message, show_schema],
    dependencies={"asked": Provide(provide_asked, sync_to_thread=False)},
)
