"""Products: upserted by id or source_id, changed, listed and deleted, each shown with its SKUs.

documented: upsert, partial change (what is not sent stays, what can't be changed is skipped), deleting takes the SKUs
along, bulk calls upsert. inferred: metadata merges key by key, and null removes a key; `start_date` and `end_date` of a
list go by `created_at` and are inclusive; without `force` nothing stays in a bin; changing what is not there is a 404.
"""

# ruff: noqa: S608 - what is put together here are constants and columns of an allow-list; values are parameters

from typing import Any

import asyncpg
from litestar import Router, delete, get, post, put
from litestar.params import FromPath

from app.sandbox import async_actions, lists, render_catalogue
from app.sandbox.errors import invalid_payload, not_found
from app.sandbox.fidelity import documented, inferred
from app.sandbox.ids import new_id
from app.sandbox.read import (
    AnyRequest,
    integer,
    listed_metadata,
    mapping,
    moment,
    order,
    page,
    read_list,
    read_object,
    required_text,
    text,
)
from app.sandbox.store import TheStore
from app.sandbox.work import Work

SORTING = {"created_at": "created_at", "updated_at": "updated_at", "source_id": "source_id"}
_EMPTY: dict[str, Any] = {"name": None, "price": None, "attributes": [], "metadata": {}, "image_url": None}


async def find(work: Work, reference: str, *, lock: bool = False) -> asyncpg.Record | None:
    return await work.one(
        "SELECT * FROM product WHERE id = $1 OR source_id = $1 ORDER BY (id = $1) DESC LIMIT 1"
        + (" FOR UPDATE" if lock else ""),
        reference,
    )


async def found(work: Work, reference: str, *, lock: bool = False) -> asyncpg.Record:
    row = await find(work, reference, lock=lock)
    if row is None:
        raise not_found("product", reference)
    return row


def read(body: dict[str, Any], at: str = "") -> dict[str, Any]:
    doc: dict[str, Any] = {name: text(body, name, at=at) for name in ("name", "image_url") if name in body}
    if "price" in body:
        doc["price"] = integer(body, "price", at=at)
    if "metadata" in body:
        doc["metadata"] = mapping(body, "metadata", at=at)
    if "attributes" in body:
        attributes = body["attributes"] or []
        if not isinstance(attributes, list) or not all(isinstance(each, str) for each in attributes):
            raise invalid_payload(f"Property {at}.attributes must be array")
        doc["attributes"] = attributes
    return doc


def laid_over(before: dict[str, Any], doc: dict[str, Any]) -> dict[str, Any]:
    """What is stored with what a request says over it; of metadata, null removes a key."""
    metadata = {**before["metadata"], **doc.get("metadata", {})}
    return {**before, **doc, "metadata": {name: value for name, value in metadata.items() if value is not None}}


async def upsert(
    work: Work, source_id: str | None, doc: dict[str, Any], identifier: str | None = None
) -> asyncpg.Record:
    """The product with this id or source_id, changed or made."""
    reference = identifier or source_id
    row = await find(work, reference, lock=True) if reference else None
    if row is None:
        if identifier:
            raise not_found("product", identifier)
        made = await work.one(
            "INSERT INTO product (id, source_id, doc, created_at) VALUES ($1, $2, $3, $4) "
            "ON CONFLICT (source_id) DO NOTHING RETURNING *",
            new_id("prod"),
            source_id,
            laid_over(_EMPTY, doc),
            work.now,
        )
        # Where nothing came back, somebody else made it meanwhile and has committed.
        return made if made is not None else await change(work, await found(work, str(source_id), lock=True), doc)
    return await change(work, row, doc)


async def change(work: Work, row: asyncpg.Record, doc: dict[str, Any]) -> asyncpg.Record:
    changed = await work.one(
        "UPDATE product SET doc = $2, updated_at = $3 WHERE id = $1 RETURNING *",
        row["id"],
        laid_over(row["doc"], doc),
        work.now,
    )
    assert changed is not None
    return changed


@post("/products", status_code=200)
async def create_product(request: AnyRequest, store: TheStore) -> dict[str, Any]:
    body = await read_object(request)
    doc, identifier, source_id = read(body), text(body, "id"), text(body, "source_id", longest=500) or None
    async with store.work() as work:
        return render_catalogue.product(await upsert(work, source_id, doc, identifier))


@get("/products")
async def list_products(request: AnyRequest, store: TheStore) -> dict[str, Any]:
    limit, offset = page(request)
    sorting = order(request, {**SORTING, "name": "doc ->> 'name'"}, "-created_at")
    where = "($1::timestamptz IS NULL OR created_at >= $1) AND ($2::timestamptz IS NULL OR created_at <= $2)"
    conditions = moment(request, "start_date"), moment(request, "end_date")
    async with store.work() as work:
        rows = await work.all(
            f"SELECT * FROM product WHERE {where} ORDER BY {sorting} LIMIT $3 OFFSET $4", *conditions, limit, offset
        )
        total = await work.value(f"SELECT count(*) FROM product WHERE {where}", *conditions)
        shown = await _shown(work, rows)
    return lists.numbered("products", shown, total)


@get("/products/{reference:str}")
async def get_product(reference: FromPath[str], store: TheStore) -> dict[str, Any]:
    async with store.work() as work:
        return (await _shown(work, [await found(work, reference)]))[0]


@put("/products/{reference:str}")
async def update_product(reference: FromPath[str], request: AnyRequest, store: TheStore) -> dict[str, Any]:
    doc = read(await read_object(request))
    async with store.work() as work:
        row = await change(work, await found(work, reference, lock=True), doc)
        return (await _shown(work, [row]))[0]


@delete("/products/{reference:str}", status_code=204)
async def delete_product(reference: FromPath[str], store: TheStore) -> None:
    async with store.work() as work:
        await work.run("DELETE FROM product WHERE id = $1", (await found(work, reference, lock=True))["id"])


@post("/products/bulk/async", status_code=202)
async def update_in_bulk(request: AnyRequest, store: TheStore) -> dict[str, Any]:
    given = await read_list(request)
    wanted = sorted(
        (required_text(item, "source_id", longest=500, at=f"[{place}]"), place, read(item, f"[{place}]"))
        for place, item in enumerate(given)
    )  # in one order, so that two such calls do not wait for each other
    async with store.work() as work:
        for source_id, _, doc in wanted:
            await upsert(work, source_id, doc)
        done = await async_actions.done(work, "PRODUCTS.BULK_UPDATE", len(wanted), "Products have been updated")
    return {"async_action_id": done}


@post("/products/metadata/async", status_code=202)
async def update_metadata_in_bulk(request: AnyRequest, store: TheStore) -> dict[str, Any]:
    source_ids, metadata = listed_metadata(await read_object(request))
    async with store.work() as work:
        for source_id in source_ids:
            await upsert(work, source_id, {"metadata": metadata})
        told = "Products' metadata has been updated"
        done = await async_actions.done(work, "PRODUCTS.METADATA_UPDATE", len(source_ids), told)
    return {"async_action_id": done}


async def _shown(work: Work, rows: list[asyncpg.Record]) -> list[dict[str, Any]]:
    """Products with their SKUs."""
    skus = await work.all(
        "SELECT * FROM sku WHERE product_id = ANY($1) ORDER BY created_at, id", [row["id"] for row in rows]
    )
    by_product: dict[str, list[dict[str, Any]]] = {}
    for sku in skus:
        by_product.setdefault(sku["product_id"], []).append(render_catalogue.sku(sku))
    return [
        {**render_catalogue.product(row), "skus": lists.numbered("data", of, len(of))}
        for row in rows
        for of in [by_product.get(row["id"], [])]
    ]


router = Router(
    "/",
    route_handlers=[
        create_product,
        list_products,
        get_product,
        update_product,
        delete_product,
        update_in_bulk,
        update_metadata_in_bulk,
    ],
)

FIDELITY = (
    documented(
        "**Products**: upserted by `id` or `source_id`, changed in part, listed, deleted with their SKUs; "
        "`bulk/async` and `metadata/async` upsert"
    ),
    inferred(
        "metadata of products merges key by key; the bulk calls are done when they answer; nothing is "
        "kept in a bin, with or without `force`; `start_date` and `end_date` go by `created_at`"
    ),
)
