"""SKUs, the variants of a product: upserted by id or source_id below their product, read also by themselves.

documented: the calls and objects, `data_ref` `skus`, partial change. inferred: a SKU that another product has is not
found below this one; `source_id` is unique among all SKUs; metadata merges key by key, as with products.
"""

# ruff: noqa: S608 - what is put together here are constants and columns of an allow-list; values are parameters

from typing import Any

import asyncpg
from litestar import Router, delete, get, post, put
from litestar.params import FromPath

from app.sandbox import lists, products, render_catalogue
from app.sandbox.errors import not_found
from app.sandbox.fidelity import documented, inferred
from app.sandbox.ids import new_id
from app.sandbox.read import AnyRequest, integer, mapping, moment, order, page, read_object, text
from app.sandbox.store import TheStore
from app.sandbox.work import Work

_EMPTY: dict[str, Any] = {
    "sku": None,
    "price": None,
    "currency": None,
    "attributes": {},
    "image_url": None,
    "metadata": {},
}


async def find(work: Work, reference: str, *, product: str | None = None, lock: bool = False) -> asyncpg.Record | None:
    """The SKU with this id or source_id, of one product or of any."""
    return await work.one(
        "SELECT * FROM sku WHERE (id = $1 OR source_id = $1) AND ($2::text IS NULL OR product_id = $2) "
        "ORDER BY (id = $1) DESC LIMIT 1" + (" FOR UPDATE" if lock else ""),
        reference,
        product,
    )


async def found(work: Work, reference: str, *, product: str | None = None, lock: bool = False) -> asyncpg.Record:
    row = await find(work, reference, product=product, lock=lock)
    if row is None:
        raise not_found("sku", reference)
    return row


def read(body: dict[str, Any]) -> dict[str, Any]:
    doc: dict[str, Any] = {name: text(body, name) for name in ("sku", "currency", "image_url") if name in body}
    if "price" in body:
        doc["price"] = integer(body, "price")
    for name in ("attributes", "metadata"):
        if name in body:
            doc[name] = mapping(body, name)
    return doc


async def upsert(
    work: Work, product: asyncpg.Record, source_id: str | None, doc: dict[str, Any], identifier: str | None = None
) -> asyncpg.Record:
    """The SKU with this id or source_id below the product, changed or made."""
    reference = identifier or source_id
    row = await find(work, reference, lock=True) if reference else None
    if row is not None and row["product_id"] != product["id"]:
        raise not_found("sku", str(reference))
    if row is None:
        if identifier:
            raise not_found("sku", identifier)
        made = await work.one(
            "INSERT INTO sku (id, source_id, product_id, doc, created_at) VALUES ($1, $2, $3, $4, $5) "
            "ON CONFLICT (source_id) DO NOTHING RETURNING *",
            new_id("sku"),
            source_id,
            product["id"],
            products.laid_over(_EMPTY, doc),
            work.now,
        )
        if made is not None:
            return made
        row = await found(work, str(source_id), product=product["id"], lock=True)  # somebody else was faster
    return await change(work, row, doc)


async def change(work: Work, row: asyncpg.Record, doc: dict[str, Any]) -> asyncpg.Record:
    changed = await work.one(
        "UPDATE sku SET doc = $2, updated_at = $3 WHERE id = $1 RETURNING *",
        row["id"],
        products.laid_over(row["doc"], doc),
        work.now,
    )
    assert changed is not None
    return changed


@post("/products/{product:str}/skus", status_code=200)
async def create_sku(product: FromPath[str], request: AnyRequest, store: TheStore) -> dict[str, Any]:
    body = await read_object(request)
    doc, identifier, source_id = read(body), text(body, "id"), text(body, "source_id", longest=500) or None
    async with store.work() as work:
        return render_catalogue.sku(await upsert(work, await products.found(work, product), source_id, doc, identifier))


@get("/products/{product:str}/skus")
async def list_skus(product: FromPath[str], request: AnyRequest, store: TheStore) -> dict[str, Any]:
    limit, offset = page(request)
    sorting = order(request, {**products.SORTING, "sku": "doc ->> 'sku'"}, "-created_at")
    where = (
        "product_id = $1 AND ($2::timestamptz IS NULL OR created_at >= $2) "
        "AND ($3::timestamptz IS NULL OR created_at <= $3)"
    )
    async with store.work() as work:
        parent = await products.found(work, product)
        conditions = parent["id"], moment(request, "start_date"), moment(request, "end_date")
        rows = await work.all(
            f"SELECT * FROM sku WHERE {where} ORDER BY {sorting} LIMIT $4 OFFSET $5", *conditions, limit, offset
        )
        total = await work.value(f"SELECT count(*) FROM sku WHERE {where}", *conditions)
    return lists.numbered("skus", [render_catalogue.sku(row) for row in rows], total)


@get("/skus/{reference:str}")
async def get_sku(reference: FromPath[str], store: TheStore) -> dict[str, Any]:
    async with store.work() as work:
        return render_catalogue.sku(await found(work, reference))


@put("/products/{product:str}/skus/{reference:str}")
async def update_sku(
    product: FromPath[str], reference: FromPath[str], request: AnyRequest, store: TheStore
) -> dict[str, Any]:
    doc = read(await read_object(request))
    async with store.work() as work:
        parent = await products.found(work, product)
        return render_catalogue.sku(
            await change(work, await found(work, reference, product=parent["id"], lock=True), doc)
        )


@delete("/products/{product:str}/skus/{reference:str}", status_code=204)
async def delete_sku(product: FromPath[str], reference: FromPath[str], store: TheStore) -> None:
    async with store.work() as work:
        parent = await products.found(work, product)
        await work.run(
            "DELETE FROM sku WHERE id = $1", (await found(work, reference, product=parent["id"], lock=True))["id"]
        )


router = Router("/", route_handlers=[create_sku, list_skus, get_sku, update_sku, delete_sku])

FIDELITY = (
    documented(
        "**SKUs** of a product: upserted by `id` or `source_id`, changed in part, listed, deleted, read "
        "also by themselves"
    ),
    inferred(
        "a SKU that another product has is not found below this one; `source_id` is unique among all "
        "SKUs; metadata merges key by key"
    ),
)
