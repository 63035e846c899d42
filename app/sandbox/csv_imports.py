"""Customers, products and SKUs out of CSV files.

documented: the headers; customers and products are found by `source_id`; of a product that there is only the name
changes, of a SKU its name and price; no `customer.updated` is sent; customers answer 202, the others 200. inferred:
prices are in the smallest unit of the currency; a file is imported in one transaction: when it is broken off, nothing
of it is there.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from litestar import Router, post

from app.sandbox import csv_files, customers, products, skus
from app.sandbox.csv_files import Line, Report
from app.sandbox.errors import Failure, invalid_payload, not_found
from app.sandbox.fidelity import documented, inferred
from app.sandbox.read import AnyRequest
from app.sandbox.store import TheStore
from app.sandbox.work import Work

_ADDRESS = ("line_1", "line_2", "postal_code", "city", "state", "country")
_CUSTOMER = {
    **{name: name for name in ("id", "source_id", "name", "email", "phone", "birthdate", "description")},
    **{f"address_{name}": f"address.{name}" for name in _ADDRESS},
}
_PRODUCT = {name: name for name in ("name", "source_id", "price", "attributes", "image_url")}
_SKU = {name: name for name in ("product_id", "sku", "source_id", "price", "attributes", "image_url")}


def _by_source_id(lines: list[csv_files.Line]) -> list[csv_files.Line]:
    """In one order, so that two imports do not wait for each other."""

    def key(line: csv_files.Line) -> tuple[str, int]:
        named = {header.lower(): cell for header, cell in line.cells.items()}
        return named.get("source_id", ""), line.number

    return sorted(lines, key=key)


Take = Callable[[Work, dict[str, str], dict[str, Any]], Awaitable[None]]
"""Makes or changes what a line says: its fields, and its other columns as metadata."""


async def _take_each(
    work: Work, report: Report, kind: str, lines: list[Line], headers: Mapping[str, str], take: Take, *named: str
) -> None:
    """Take line by line. One that is refused harms only itself; `named` are the fields that it is told by."""
    defined = await csv_files.schema(work, kind)
    for line in _by_source_id(lines):
        fields, others = line.fields(headers)
        try:
            await take(work, fields, csv_files.typed(others, defined))
            report.done += 1
        except Failure as failure:
            report.fail(line, failure, **{name: fields.get(name) for name in named})


@post("/customers/importCSV", status_code=202)
async def import_customers(request: AnyRequest, store: TheStore) -> dict[str, Any]:
    lines, _ = await csv_files.read(request)
    report = Report("customer")
    async with store.work() as work:
        named = [line.fields(_CUSTOMER)[0] for line in lines]
        await customers.lock_all(work, [each[name] for each in named for name in ("id", "source_id") if name in each])
        await _take_each(work, report, "customer", lines, _CUSTOMER, _import_customer, "source_id")
        return await report.finish(work, "CUSTOMERS.IMPORT_CSV")


async def _import_customer(work: Work, fields: dict[str, str], metadata: dict[str, Any]) -> None:
    body: dict[str, Any] = {name: cell for name, cell in fields.items() if "." not in name}
    address = {name.partition(".")[2]: cell for name, cell in fields.items() if "." in name}
    body |= {"address": address} if address else {}
    await customers.upsert(work, {**body, "metadata": metadata}, at="", tell=False)


@post("/products/importCSV", status_code=200)
async def import_products(request: AnyRequest, store: TheStore) -> dict[str, Any]:
    lines, _ = await csv_files.read(request)
    report = Report("product")
    async with store.work() as work:
        await _take_each(work, report, "product", lines, _PRODUCT, _import_product, "source_id")
        return await report.finish(work, "PRODUCTS.IMPORT_CSV")


async def _import_product(work: Work, fields: dict[str, str], metadata: dict[str, Any]) -> None:
    if "name" not in fields:
        raise invalid_payload("name is required")
    source_id = fields.get("source_id")
    body: dict[str, Any] = {**fields, "metadata": metadata}
    if "attributes" in fields:
        body["attributes"] = [each.strip() for each in fields["attributes"].split(",") if each.strip()]
    if "price" in fields:
        body["price"] = csv_files.number(fields["price"], "price")
    doc = products.read(body)
    row = await products.find(work, source_id, lock=True) if source_id else None
    if row is not None:
        await products.change(work, row, {"name": doc["name"]})
    else:
        await products.upsert(work, source_id, doc)


@post("/skus/importCSV", status_code=200)
async def import_skus(request: AnyRequest, store: TheStore) -> dict[str, Any]:
    lines, _ = await csv_files.read(request)
    report = Report("sku")
    async with store.work() as work:
        await _take_each(work, report, "sku", lines, _SKU, _import_sku)
        return await report.finish(work, "SKUS.IMPORT_CSV")


async def _import_sku(work: Work, fields: dict[str, str], metadata: dict[str, Any]) -> None:
    for name in ("source_id", "product_id"):
        if name not in fields:
            raise invalid_payload(f"{name} is required")
    source_id = fields["source_id"]
    body: dict[str, Any] = {name: fields[name] for name in ("sku", "image_url") if name in fields}
    if "price" in fields:
        body["price"] = csv_files.number(fields["price"], "price")
    product = await products.find(work, fields["product_id"])
    if product is None:
        raise not_found("product", fields["product_id"])
    row = await skus.find(work, source_id, lock=True)
    if row is not None and row["product_id"] != product["id"]:
        raise invalid_payload(f"Resource sku with id {source_id} is in use by products with ids [{row['product_id']}]")
    if row is not None:
        await skus.change(work, row, skus.read({name: body[name] for name in ("sku", "price") if name in body}))
        return
    attributes = _attributes(fields["attributes"]) if "attributes" in fields else {}
    if unknown := sorted(set(attributes) - set(product["doc"]["attributes"])):
        raise invalid_payload(f"The product has no attribute {unknown[0]}")
    await skus.upsert(work, product, source_id, skus.read({**body, "attributes": attributes, "metadata": metadata}))


def _attributes(cell: str) -> dict[str, Any]:
    """`{'color':'blue'}`, with quotes of either kind."""
    for given in (cell, cell.replace("'", '"')):
        try:
            value = json.loads(given)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict) and all(isinstance(each, str) for each in value.values()):
            return value
    raise invalid_payload(f"attributes must be an object as JSON, not '{cell[:50]}'")


router = Router("/", route_handlers=[import_customers, import_products, import_skus])

FIDELITY = (
    documented(
        "**Imports** by CSV (`importCSV`) of customers, products and SKUs: the headers, metadata by the project's "
        "schema, what changes of what there is; the async action counts and names the lines that failed"
    ),
    inferred(
        "a file of up to 10,000 lines is one transaction, done when the call answers; empty cells say nothing; prices "
        "and values are in the smallest unit of the currency; metadata without a schema is text; a line with too many "
        "cells refuses the whole file"
    ),
)
