"""Collections of products and SKUs: STATIC ones name them, AUTO_UPDATE ones find them by a filter.

documented: the calls, the fields of a filter, what can be changed, the errors for a bad filter. inferred: a name that
is used already is a 409, what a static collection names must exist; a filter sees products and SKUs alike, with `name`
of a SKU its `sku`; text is compared without regard to case. Conditions by days and by location are not emulated.
"""

# ruff: noqa: S608 - what is put together here are constants and columns of an allow-list; values are parameters

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import asyncpg
from litestar import Router, delete, get, post, put
from litestar.params import FromPath

from app.sandbox import collection_filters, lists, products, render_catalogue, skus
from app.sandbox.errors import duplicate, invalid_payload, not_found
from app.sandbox.fidelity import documented, inferred
from app.sandbox.ids import new_id
from app.sandbox.read import AnyRequest, one_of, order, page, read_object, required_text, text
from app.sandbox.store import TheStore
from app.sandbox.work import Work

_KINDS = ("STATIC", "AUTO_UPDATE")
_MOST_PRODUCTS = 1000


async def members(work: Work, collection: asyncpg.Record) -> list[dict[str, Any]]:
    """The products and SKUs of a collection, newest first; a SKU carries its product."""
    wanted = [each["id"] for each in collection["doc"].get("products", [])]
    condition = "($1::text[] IS NULL OR id = ANY($1))"
    named = wanted if collection["type"] == "STATIC" else None
    parents = {row["id"]: render_catalogue.product(row) for row in await work.all("SELECT * FROM product")}
    rows = [parents[row["id"]] for row in await work.all(f"SELECT id FROM product WHERE {condition}", named)]
    variants = await work.all(f"SELECT * FROM sku WHERE {condition}", named)
    rows += [{**render_catalogue.sku(row), "product": parents[row["product_id"]]} for row in variants]
    if collection["type"] == "AUTO_UPDATE":
        rows = [row for row in rows if collection_filters.matches(collection["doc"]["filter"], row)]
    return sorted(rows, key=lambda row: (row["created_at"], row["id"]), reverse=True)


async def of_lines(work: Work, lines: Sequence[Mapping[str, Any]], wanted: AbstractSet[str]) -> list[set[str]]:
    """For each line of an order: which of these collections have its product or SKU. One that is gone has nothing."""
    collections = await work.all("SELECT * FROM product_collection WHERE id = ANY($1)", list(wanted))
    if not collections:
        return [set() for _ in lines]
    skus_named = [name for line in lines for name in names_of_sku(line)]
    variants = await work.all("SELECT * FROM sku WHERE id = ANY($1) OR source_id = ANY($1)", skus_named)
    named = [name for line in lines for name in names_of_product(line)]
    parents = await work.all(
        "SELECT * FROM product WHERE id = ANY($1) OR source_id = ANY($1) OR id = ANY($2)",
        *(named, [row["product_id"] for row in variants]),
    )
    of_sku = {name: row for row in variants for name in (row["source_id"], row["id"]) if name}
    of_product = {name: row for row in parents for name in (row["source_id"], row["id"]) if name}
    inside: dict[str, set[str]] = {}
    for row in (*parents, *variants):
        whole = render_catalogue.sku(row) if "product_id" in row else render_catalogue.product(row)
        inside[row["id"]] = {each["id"] for each in collections if _has_member(each, whole)}
    answers = []
    for line in lines:
        sku = next((of_sku[name] for name in names_of_sku(line) if name in of_sku), None)
        product = next((of_product[name] for name in names_of_product(line) if name in of_product), None)
        if product is None and sku is not None:
            product = of_product.get(sku["product_id"])
        answers.append({each for row in (product, sku) if row is not None for each in inside[row["id"]]})
    return answers


def _has_member(collection: asyncpg.Record, whole: dict[str, Any]) -> bool:
    if collection["type"] == "AUTO_UPDATE":
        return collection_filters.matches(collection["doc"]["filter"], whole)
    return any(each["id"] == whole["id"] for each in collection["doc"].get("products", []))


def names_of_product(line: Mapping[str, Any]) -> list[str]:
    """All that a line of an order calls its product."""
    product = line.get("product") or {}
    names = [line.get("product_id"), product.get("id"), product.get("source_id")]
    if line.get("related_object") != "sku":
        names.append(line.get("source_id"))
    return [name for name in names if isinstance(name, str) and name]


def names_of_sku(line: Mapping[str, Any]) -> list[str]:
    """All that a line of an order calls its SKU."""
    sku = line.get("sku") or {}
    names = [line.get("sku_id"), sku.get("id"), sku.get("source_id")]
    if line.get("related_object") == "sku":
        names.append(line.get("source_id"))
    return [name for name in names if isinstance(name, str) and name]


async def found(work: Work, reference: str, *, lock: bool = False) -> asyncpg.Record:
    row = await work.one("SELECT * FROM product_collection WHERE id = $1" + (" FOR UPDATE" if lock else ""), reference)
    if row is None:
        raise not_found("products_collection", reference)
    return row


async def _read_products(work: Work, given: Any) -> list[dict[str, Any]]:
    if given is None:
        return []
    if not isinstance(given, list) or len(given) > _MOST_PRODUCTS:
        raise invalid_payload(f"Property .products must be array of at most {_MOST_PRODUCTS} items")
    made = []
    for place, item in enumerate(given):
        at = f".products[{place}]"
        if not isinstance(item, dict):
            raise invalid_payload(f"Property {at} must be object")
        identifier = required_text(item, "id", at=at)
        kind = one_of(item, "object", ("sku", "product"), at=at)
        if kind is None:
            raise invalid_payload(f"Property {at} should have required property 'object'")
        if kind == "product":
            made.append({"id": (await products.found(work, identifier))["id"], "object": kind})
        else:
            row = await skus.found(work, identifier)
            made.append({"id": row["id"], "product_id": row["product_id"], "object": kind})
    return made


@post("/product-collections", status_code=200)
async def create_collection(request: AnyRequest, store: TheStore) -> dict[str, Any]:
    body = await read_object(request)
    name, kind = required_text(body, "name"), one_of(body, "type", _KINDS)
    if kind is None:
        raise invalid_payload("Payload should have required property 'type'")
    async with store.work() as work:
        doc: dict[str, Any] = (
            {"products": await _read_products(work, body.get("products"))}
            if kind == "STATIC"
            else {"filter": collection_filters.read(body.get("filter"))}
        )
        row = await work.one(
            "INSERT INTO product_collection (id, name, type, doc, created_at) VALUES ($1, $2, $3, $4, $5) "
            "ON CONFLICT (name) DO NOTHING RETURNING *",
            new_id("pc"),
            name,
            kind,
            doc,
            work.now,
        )
        if row is None:
            raise duplicate("products_collection", name, "name")
    return render_catalogue.collection(row)


@get("/product-collections")
async def list_collections(request: AnyRequest, store: TheStore) -> dict[str, Any]:
    limit, offset = page(request)
    sorting = order(request, {"created_at": "created_at", "updated_at": "updated_at", "type": "type"}, "-created_at")
    async with store.work() as work:
        rows = await work.all(
            f"SELECT * FROM product_collection ORDER BY {sorting} LIMIT $1 OFFSET $2",
            limit,
            offset,
        )
        total = await work.value("SELECT count(*) FROM product_collection")
    return lists.numbered("data", [render_catalogue.collection(row) for row in rows], total)


@get("/product-collections/{reference:str}")
async def get_collection(reference: FromPath[str], store: TheStore) -> dict[str, Any]:
    async with store.work() as work:
        return render_catalogue.collection(await found(work, reference))


@put("/product-collections/{reference:str}")
async def update_collection(reference: FromPath[str], request: AnyRequest, store: TheStore) -> dict[str, Any]:
    body = await read_object(request)
    name = text(body, "name")
    async with store.work() as work:
        row = await found(work, reference, lock=True)
        doc = row["doc"]
        if row["type"] == "AUTO_UPDATE" and "filter" in body:
            doc = {**doc, "filter": collection_filters.read(body["filter"])}
        try:
            changed = await work.one(
                "UPDATE product_collection SET name = $2, doc = $3, updated_at = $4 WHERE id = $1 RETURNING *",
                row["id"],
                name or row["name"],
                doc,
                work.now,
            )
        except asyncpg.UniqueViolationError as error:
            raise duplicate("products_collection", str(name), "name") from error
        assert changed is not None
        return render_catalogue.collection(changed)


@delete("/product-collections/{reference:str}", status_code=204)
async def delete_collection(reference: FromPath[str], store: TheStore) -> None:
    async with store.work() as work:
        await work.run("DELETE FROM product_collection WHERE id = $1", (await found(work, reference, lock=True))["id"])


@get("/product-collections/{reference:str}/products")
async def list_members(reference: FromPath[str], request: AnyRequest, store: TheStore) -> dict[str, Any]:
    limit, offset = page(request)
    allowed = {name: name for name in ("created_at", "updated_at", "source_id", "name")}
    name, direction = order(request, allowed, "-created_at").split(",")[0].split(" ")
    async with store.work() as work:
        rows = await members(work, await found(work, reference))
    rows.sort(key=lambda row: (str(collection_filters.value(row, name) or ""), row["id"]), reverse=direction == "DESC")
    return lists.numbered("data", rows[offset : offset + limit], len(rows))


router = Router(
    "/",
    route_handlers=[
        create_collection,
        list_collections,
        get_collection,
        update_collection,
        delete_collection,
        list_members,
    ],
)

FIDELITY = (
    documented(
        "**Product collections**: STATIC by its list, AUTO_UPDATE by a filter over products and SKUs "
        "(`$is`, `$in`, `$contains`, `$starts_with`, `$more_than`, `$after` and their likes), "
        "`/products`; what can be changed, the errors for a bad filter"
    ),
    inferred(
        "text in such a filter is compared without regard to case; `name` of a SKU is its `sku`; "
        "conditions by days and by location are refused with 501"
    ),
)
