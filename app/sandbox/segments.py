"""Segments: groups of customers by a list or a filter, and what happens when a customer enters or leaves one.

documented: the three kinds; only active ones (`auto-update`) tell of entering and leaving; a passive one becomes active
when an earning rule uses it; the answers. inferred: who is in an active segment from its beginning has not entered it;
a customer is looked at again at the end of every request that did something to him, not as time passes; without a
type, a list makes a static segment and a filter a passive one.
"""

# ruff: noqa: S608 - what is put together here are constants and columns of an allow-list; values are parameters

from typing import Any

import asyncpg
from litestar import Router, delete, get, post
from litestar.params import FromPath

from app.sandbox import customers, filter_fields, list_filters, membership
from app.sandbox.clock import iso
from app.sandbox.earning import earn
from app.sandbox.earning_rule_definitions import SEGMENT_ENTERED
from app.sandbox.errors import NotEmulated, invalid_payload, not_found
from app.sandbox.fidelity import documented, inferred
from app.sandbox.ids import new_id
from app.sandbox.read import AnyRequest, mapping, one_of, order, page, read_object, required_text
from app.sandbox.store import TheStore
from app.sandbox.work import Work

_TYPES = ("auto-update", "passive", "static")
_MOST_LISTED = 20_000
_ROUNDS = 10
"""The points of one entering may lead into the next segment; what goes round in a circle is broken off."""


async def found(work: Work, reference: str) -> asyncpg.Record:
    row = await work.one("SELECT * FROM segment WHERE id = $1", reference)
    if row is None:
        raise not_found("segment", reference)
    return row


async def settle(work: Work) -> None:
    """Look again at every customer to whom this transaction did something."""
    touched = {
        event.entity_id if event.type.startswith("customer.") else (data.get("customer") or {}).get("id")
        for event, _, data in work.announced
    }
    if not touched or not await work.value("SELECT EXISTS (SELECT 1 FROM segment WHERE type = 'auto-update')"):
        return
    rows = await work.all(
        "SELECT * FROM customer WHERE id = ANY($1) ORDER BY id FOR UPDATE", [each for each in touched if each]
    )
    for row in rows:
        await refresh(work, row)


async def refresh(work: Work, customer: asyncpg.Record) -> None:
    """Tell of the active segments that a customer entered or left by now, and let what that earns be given.

    The caller holds the customer's lock.
    """
    for _ in range(_ROUNDS):
        if not await _moved(work, customer):
            return


async def _moved(work: Work, customer: asyncpg.Record) -> bool:
    rows = await work.all(
        "SELECT s.*, m.customer_id IS NOT NULL AS listed FROM segment s "
        "LEFT JOIN segment_member m ON m.segment_id = s.id AND m.customer_id = $1 "
        "WHERE s.type = 'auto-update' ORDER BY s.created_at, s.id",
        customer["id"],
    )
    facts = (await membership.facts_of(work, [customer], [row["filter"] for row in rows]))[customer["id"]]
    moved = [row for row in rows if membership.belongs(row["filter"], facts, work.now) is not row["listed"]]
    for row in moved:
        if row["listed"]:
            statement = "DELETE FROM segment_member WHERE segment_id = $1 AND customer_id = $2"
        else:
            statement = "INSERT INTO segment_member VALUES ($1, $2) ON CONFLICT DO NOTHING"
        await work.run(statement, row["id"], customer["id"])
        event = work.event("customer.segment.left" if row["listed"] else SEGMENT_ENTERED, customer["id"])
        work.announce(event, {"customer": await customers.full(work, customer), "segment": simple(row)})
        if not row["listed"]:
            await earn(work, customer, SEGMENT_ENTERED, event, segment=simple(row))
    return bool(moved)


def simple(row: asyncpg.Record) -> dict[str, Any]:
    return {"id": row["id"], "name": row["name"], "object": "segment"}


def shown(row: asyncpg.Record) -> dict[str, Any]:
    return {
        "id": row["id"],
        "name": row["name"],
        "created_at": iso(row["created_at"]),
        "updated_at": iso(row["updated_at"]),
        "type": row["type"],
        "filter": row["filter"],
        "object": "segment",
    }


@post("/segments", status_code=200)
async def create_segment(request: AnyRequest, store: TheStore) -> dict[str, Any]:
    body = await read_object(request)
    name = required_text(body, "name", longest=255)
    kind = one_of(body, "type", _TYPES) or ("static" if "customers" in body else "passive")
    listed: list[str] = []
    wanted = None
    if kind == "static":
        if body.get("filter"):
            raise NotEmulated("A static segment by a filter")
        listed = _listed(body)
    else:
        wanted = membership.read_filter(mapping(body, "filter"))
    async with store.work() as work:
        row = await work.one(
            "INSERT INTO segment (id, name, type, filter, created_at) VALUES ($1, $2, $3, $4, $5) RETURNING *",
            *(new_id("seg"), name, kind, wanted, work.now),
        )
        assert row is not None
        if kind == "static":
            listed = [(await customers.found(work, each))["id"] for each in listed]
        elif kind == "auto-update":
            listed = await membership.members(work, row)
        await _list(work, row["id"], listed)
    return shown(row)


def _listed(body: dict[str, Any]) -> list[str]:
    given = body.get("customers") or []
    if not isinstance(given, list) or not all(isinstance(each, str) for each in given):
        raise invalid_payload("Property .customers must be array")
    if len(given) > _MOST_LISTED:
        raise invalid_payload(f"Property .customers must NOT have more than {_MOST_LISTED} items")
    return given


async def activate(work: Work, reference: str) -> None:
    """Have a segment tell of entering and leaving, for something earns by it. Who is in it already does not enter."""
    row = await found(work, reference)
    if row["type"] == "static":
        raise NotEmulated("Earning by a static segment, which nobody enters,")
    if row["type"] == "passive":
        await work.run("UPDATE segment SET type = 'auto-update' WHERE id = $1", row["id"])
        await _list(work, row["id"], await membership.members(work, row))


async def _list(work: Work, segment: str, listed: list[str]) -> None:
    await work.run("INSERT INTO segment_member SELECT $1, unnest($2::text[]) ON CONFLICT DO NOTHING", segment, listed)


@get("/segments")
async def list_segments(request: AnyRequest, store: TheStore) -> dict[str, Any]:
    limit, offset = page(request)
    sorting = order(request, {"created_at": "created_at"}, "-created_at")
    wanted = list_filters.read(request, filter_fields.SEGMENTS)
    async with store.work() as work:
        fits, values = list_filters.compiled(wanted, filter_fields.SEGMENTS, work.now, after=0)
        rows = await work.all(
            f"SELECT * FROM segment WHERE {fits} ORDER BY {sorting} LIMIT {limit} OFFSET {offset}", *values
        )
        total = await work.value(f"SELECT count(*) FROM segment WHERE {fits}", *values)
    return {"object": "list", "data_ref": "data", "data": [shown(row) for row in rows], "total": total}


@get("/segments/{reference:str}")
async def get_segment(reference: FromPath[str], store: TheStore) -> dict[str, Any]:
    async with store.work() as work:
        return shown(await found(work, reference))


@delete("/segments/{reference:str}", status_code=204)
async def delete_segment(reference: FromPath[str], store: TheStore) -> None:
    async with store.work() as work:
        await work.run("DELETE FROM segment WHERE id = $1", (await found(work, reference))["id"])


@get("/customers/{reference:str}/segments")
async def list_customer_segments(reference: FromPath[str], store: TheStore) -> dict[str, Any]:
    async with store.work() as work:
        customer = await customers.find(work, reference)
        rows = await work.all("SELECT * FROM segment ORDER BY created_at, id")
        if customer is not None:
            mine = await membership.inside(work, customer)
            data = [simple(row) for row in rows if row["id"] in mine]
        else:
            facts = membership.stranger(reference)
            data = [simple(row) for row in rows if row["filter"] and membership.belongs(row["filter"], facts, work.now)]
    return {"object": "list", "data_ref": "data", "data": data, "total": len(data)}


router = Router(
    "/", route_handlers=[create_segment, list_segments, get_segment, delete_segment, list_customer_segments]
)

FIDELITY = (
    documented(
        "**Segments**: static, active and passive; filters by profile, address, metadata, orders, "
        "redemptions, custom events and points; a passive one becomes active when an earning rule uses "
        "it; `GET /v1/customers/{id}/segments` answers for unknown ids too; `segment_id` filters "
        "customers"
    ),
    documented("entering an active segment earns by `customer.segment.entered`; who was in it before gets nothing"),
    inferred(
        "a customer enters and leaves at the end of the request that moves him, not as time passes; who "
        "belongs is looked up when it is asked, so there time counts; names need not be unique"
    ),
)
