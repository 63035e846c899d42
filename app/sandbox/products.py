"""Products, simple: upserted by id or source_id, read and listed. SKUs and collections are not emulated."""

# ruff: noqa: S608 - what is put together here are constants and columns of an allow-list; values are parameters

from typing import Any

import asyncpg
from litestar import Router, get, post
from litestar.params import FromPath

from app.sandbox import render
from app.sandbox.errors import invalid_payload, not_found
from app.sandbox.ids import new_id
from app.sandbox.read import AnyRequest, integer, mapping, order, page, read_object, text
from app.sandbox.store import TheStore
from app.sandbox.work import Work


async def find(work: Work, reference: str, *, lock: bool = False) -> asyncpg.Record | None:
    return await work.one(
        "SELECT * FROM product WHERE id = $1 OR source_id = $1 ORDER BY (id = $1) DESC LIMIT 1"
        + (" FOR UPDATE" if lock else ""),
        reference,
    )


def _read(body: dict[str, Any]) -> dict[str, Any]:
    doc: dict[str, Any] = {name: text(body, name) for name in ("name", "image_url") if name in body}
    if "price" in body:
        doc["price"] = integer(body, "price")
    if "metadata" in body:
        doc["metadata"] = mapping(body, "metadata")
    if "attributes" in body:
        attributes = body["attributes"] or []
        if not isinstance(attributes, list) or not all(isinstance(each, str) for each in attributes):
            raise invalid_payload("Property .attributes must be array")
        doc["attributes"] = attributes
    return doc


@post("/products", status_code=200)
async def create_product(request: AnyRequest, store: TheStore) -> dict[str, Any]:
    body = await read_object(request)
    doc, identifier, source_id = _read(body), text(body, "id"), text(body, "source_id", longest=500) or None
    async with store.work() as work:
        reference = identifier or source_id
        row = await find(work, reference, lock=True) if reference else None
        if row is None:
            if identifier:
                raise not_found("product", identifier)
            empty: dict[str, Any] = {"name": None, "price": None, "attributes": [], "metadata": {}, "image_url": None}
            row = await work.one(
                "INSERT INTO product (id, source_id, doc, created_at) VALUES ($1, $2, $3, $4) "
                "ON CONFLICT (source_id) DO UPDATE SET doc = product.doc || $5, updated_at = excluded.created_at "
                "RETURNING *",
                new_id("prod"),
                source_id,
                {**empty, **doc},
                work.now,
                doc,
            )
        else:
            row = await work.one(
                "UPDATE product SET doc = doc || $2, updated_at = $3 WHERE id = $1 RETURNING *",
                row["id"],
                doc,
                work.now,
            )
        assert row is not None
        return render.product(row)


@get("/products")
async def list_products(request: AnyRequest, store: TheStore) -> dict[str, Any]:
    limit, offset = page(request)
    sorting = order(
        request,
        {"created_at": "created_at", "updated_at": "updated_at", "name": "doc ->> 'name'", "source_id": "source_id"},
        "-created_at",
    )
    async with store.work() as work:
        rows = await work.all(f"SELECT * FROM product ORDER BY {sorting} LIMIT $1 OFFSET $2", limit, offset)
        total = await work.value("SELECT count(*) FROM product")
    return render.old_list("products", [_shown(row) for row in rows], total)


@get("/products/{reference:str}")
async def get_product(reference: FromPath[str], store: TheStore) -> dict[str, Any]:
    async with store.work() as work:
        row = await find(work, reference)
    if row is None:
        raise not_found("product", reference)
    return _shown(row)


def _shown(row: asyncpg.Record) -> dict[str, Any]:
    return {**render.product(row), "skus": {"object": "list", "data_ref": "data", "data": [], "total": 0}}


router = Router("/", route_handlers=[create_product, list_products, get_product])
