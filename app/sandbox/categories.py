"""Categories of campaigns, by the API: made, changed, deleted, listed.

documented: the addresses and the object; `name` and `hierarchy` are required by both calls that write. inferred: two
categories may have one name; what was in a category that is deleted is in none, and stacking rules forget it.
"""

from typing import Any

import asyncpg
from litestar import Router, delete, get, post, put
from litestar.params import FromPath

from app.sandbox import stacking_rules
from app.sandbox.clock import iso
from app.sandbox.errors import invalid_payload, not_found
from app.sandbox.fidelity import documented, inferred
from app.sandbox.ids import new_id
from app.sandbox.read import AnyRequest, integer, read_object, required_text
from app.sandbox.store import TheStore
from app.sandbox.work import Work

_NAMED_IN = ("campaign", "voucher", "promotion_tier")


async def found(work: Work, reference: str) -> asyncpg.Record:
    row = await work.one("SELECT * FROM category WHERE id = $1", reference)
    if row is None:
        raise not_found("category", reference)
    return row


def shown(row: asyncpg.Record) -> dict[str, Any]:
    return {
        **{name: row[name] for name in ("id", "name", "hierarchy")},
        "created_at": iso(row["created_at"]),
        **({"updated_at": iso(row["updated_at"])} if row["updated_at"] else {}),
        "object": "category",
    }


def _read(body: dict[str, Any]) -> tuple[str, int]:
    name = required_text(body, "name", longest=255)
    hierarchy = integer(body, "hierarchy", most=2**31 - 1)
    if hierarchy is None:
        raise invalid_payload("Payload should have required property 'hierarchy'")
    return name, hierarchy


@post("/categories", status_code=200)
async def create_category(request: AnyRequest, store: TheStore) -> dict[str, Any]:
    name, hierarchy = _read(await read_object(request))
    async with store.work() as work:
        row = await work.one(
            "INSERT INTO category (id, name, hierarchy, created_at) VALUES ($1, $2, $3, $4) RETURNING *",
            *(new_id("cat"), name, hierarchy, work.now),
        )
    assert row is not None
    return shown(row)


@get("/categories")
async def list_categories(store: TheStore) -> dict[str, Any]:
    async with store.work() as work:
        rows = await work.all("SELECT * FROM category ORDER BY created_at DESC, id DESC")
    return {"object": "list", "data_ref": "data", "data": [shown(row) for row in rows], "total": len(rows)}


@get("/categories/{reference:str}")
async def get_category(reference: FromPath[str], store: TheStore) -> dict[str, Any]:
    async with store.work() as work:
        return shown(await found(work, reference))


@put("/categories/{reference:str}")
async def update_category(reference: FromPath[str], request: AnyRequest, store: TheStore) -> dict[str, Any]:
    name, hierarchy = _read(await read_object(request))
    async with store.work() as work:
        row = await work.one(
            "UPDATE category SET name = $2, hierarchy = $3, updated_at = $4 WHERE id = $1 RETURNING *",
            *(reference, name, hierarchy, work.now),
        )
        if row is None:
            raise not_found("category", reference)
        for table in _NAMED_IN:
            await work.run(
                f"UPDATE {table} SET doc = doc || $2 WHERE doc ->> 'category_id' = $1",  # noqa: S608 - ours
                *(reference, {"category": name}),
            )
    return shown(row)


@delete("/categories/{reference:str}", status_code=204)
async def delete_category(reference: FromPath[str], store: TheStore) -> None:
    async with store.work() as work:
        gone = await work.run("DELETE FROM category WHERE id = $1", reference)
        if gone == "DELETE 0":
            raise not_found("category", reference)
        for table in _NAMED_IN:
            await work.run(
                f"UPDATE {table} SET doc = doc || $2 WHERE doc ->> 'category_id' = $1",  # noqa: S608 - ours
                *(reference, {"category": None, "category_id": None}),
            )
        await stacking_rules.forget(work, reference)
    await store.load_stacking()


router = Router("/", route_handlers=[create_category, list_categories, get_category, update_category, delete_category])

FIDELITY = (
    documented("**Categories** with their hierarchy: made, changed, deleted, listed"),
    inferred(
        "two categories may have one name; the list is whole, newest first; what was in a category that is deleted is "
        "in none"
    ),
)
