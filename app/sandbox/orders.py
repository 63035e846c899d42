"""Orders: upserted by id or source_id; becoming PAID is what earns.

documented: upsert, statuses, earning only on PAID, amounts from items, discount fields left out when there is none.
inferred: a PAID order that is sent again does not earn again (switch `earn_again_on_paid` shows the other answer);
an order without a status is CREATED; discounts of earlier redemptions stay when the order is sent again.
"""

# ruff: noqa: S608 - what is put together here are constants and columns of an allow-list; values are parameters

from dataclasses import dataclass
from typing import Any

import asyncpg
from litestar import Router, get, post, put
from litestar.params import FromPath

from app.sandbox import customers, effects, lists, order_items, render
from app.sandbox.earning import earn
from app.sandbox.earning_rule_definitions import ORDER_PAID
from app.sandbox.errors import invalid_payload, not_found
from app.sandbox.fidelity import documented, inferred
from app.sandbox.ids import new_id
from app.sandbox.read import (
    LARGEST,
    AnyRequest,
    argument,
    boolean,
    integer,
    mapping,
    one_of,
    order,
    page,
    read_object,
    text,
)
from app.sandbox.store import TheStore
from app.sandbox.work import Work

STATUSES = ("CREATED", "PAID", "CANCELED", "FULFILLED")
_ITEM_TEXTS = ("source_id", "product_id", "sku_id")
_MOST_ITEMS = 500


@dataclass(frozen=True)
class Wanted:
    """What a request says about an order; `doc` has only what it says."""

    id: str | None
    source_id: str | None
    status: str | None
    doc: dict[str, Any]
    customer: Any


def read(body: dict[str, Any], at: str = "") -> Wanted:
    doc: dict[str, Any] = {}
    if (amount := integer(body, "amount", at=at)) is not None:
        doc["amount"] = amount
    if body.get("items") is not None:
        doc["items"] = _items(body["items"], at)
        doc |= order_items.amount_of(doc["items"])
        if doc.get("amount", 0) > LARGEST:
            raise invalid_payload(f"Property {at}.amount must be <= {LARGEST}")
    if "metadata" in body:
        doc["metadata"] = mapping(body, "metadata", at=at)
    return Wanted(
        text(body, "id", at=at),
        text(body, "source_id", longest=500, at=at) or None,
        one_of(body, "status", STATUSES, at=at),
        doc,
        body.get("customer"),
    )


def _items(given: Any, at: str) -> list[dict[str, Any]]:
    if not isinstance(given, list):
        raise invalid_payload(f"Property {at}.items must be array")
    if len(given) > _MOST_ITEMS:
        raise invalid_payload(f"Property {at}.items must NOT have more than {_MOST_ITEMS} items")
    return [_item(item, f"{at}.items[{place}]") for place, item in enumerate(given)]


def _item(given: Any, at: str) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise invalid_payload(f"Property {at} must be object")
    item: dict[str, Any] = {"object": "order_item", "id": new_id("ordli")}
    item |= {name: value for name in _ITEM_TEXTS if (value := text(given, name, at=at)) is not None}
    if kind := one_of(given, "related_object", ("product", "sku"), at=at):
        item["related_object"] = kind
    quantity = integer(given, "quantity", at=at)
    price = integer(given, "price", at=at)
    nested = {name: _catalogued(mapping(given, name, at=at), f"{at}.{name}") for name in ("sku", "product")}
    if price is None:
        price = nested["sku"].get("price")
    if price is None:
        price = nested["product"].get("price")
    amount = integer(given, "amount", at=at)
    if amount is None and price is not None:
        amount = price * (1 if quantity is None else quantity)
    item |= {name: value for name, value in (("quantity", quantity), ("price", price)) if value is not None}
    if amount is not None:
        item |= {"amount": amount, "subtotal_amount": amount}
    item |= {name: said for name, said in nested.items() if said}
    if metadata := mapping(given, "metadata", at=at):
        item["metadata"] = metadata
    return item


def _catalogued(said: dict[str, Any], at: str) -> dict[str, Any]:
    """What an item says of its product or SKU, checked."""
    for name in ("id", "source_id", "name", "sku"):
        text(said, name, longest=500, at=at)
    integer(said, "price", at=at)
    boolean(said, "override", at=at)
    mapping(said, "metadata", at=at)
    return said


def merged(before: dict[str, Any] | None, doc: dict[str, Any]) -> dict[str, Any]:
    """The stored order with what a request says laid over it, and its totals."""
    if before and "items_discount_amount" in before and "items" in doc:
        again = effects.sent_again(before, doc["items"])
        doc = {**doc, **{name: again[name] for name in again if name not in {"metadata", "redemptions"}}}
    whole = {"amount": 0, "items": [], **(before or {}), **doc}
    whole["items"] = order_items.without_marks(whole["items"])
    metadata = {**((before or {}).get("metadata") or {}), **doc.get("metadata", {})}
    whole["metadata"] = {name: value for name, value in metadata.items() if value is not None}
    return with_total(whole)


def with_total(doc: dict[str, Any]) -> dict[str, Any]:
    return {**doc, "total_amount": doc["amount"] - min(doc.get("total_discount_amount", 0), doc["amount"])}


async def find(work: Work, reference: str, *, lock: bool = False) -> asyncpg.Record | None:
    """The order with this id or source_id."""
    return await work.one(
        "SELECT * FROM customer_order WHERE id = $1 OR source_id = $1 ORDER BY (id = $1) DESC LIMIT 1"
        + (" FOR UPDATE" if lock else ""),
        reference,
    )


async def resolve(work: Work, wanted: Wanted) -> tuple[asyncpg.Record | None, asyncpg.Record | None]:
    """The stored order that a request means, if there is one, and its customer (upserted), both locked.

    Raises:
        Failure: the request names an order id that there is not.
    """
    reference = wanted.id or wanted.source_id
    row = await find(work, reference) if reference else None
    if row is None and wanted.id:
        raise not_found("order", wanted.id)
    customer: asyncpg.Record | None = None
    # The customer's lock comes before the order's, everywhere, so that no two requests wait for each other.
    if wanted.customer:
        customer = await customers.upsert(work, wanted.customer)
    elif row is not None and row["customer_id"]:
        customer = await customers.find(work, row["customer_id"], lock=True)
    if row is not None:
        row = await find(work, row["id"], lock=True)
    return row, customer


async def save(
    work: Work,
    row: asyncpg.Record | None,
    doc: dict[str, Any],
    *,
    status: str,
    source_id: str | None,
    customer: asyncpg.Record | None,
    earns_anyway: bool = False,
    redemption: dict[str, Any] | None = None,
) -> asyncpg.Record:
    """Store the order, tell what happened to it and, when it becomes PAID, earn; all in this transaction.

    `redemption` is the one that brought the order, if any; `earns_anyway` fires the rules for an order that was PAID.
    """
    before = row["status"] if row is not None else None
    saved: asyncpg.Record | None
    if row is None:
        saved = await work.one(
            "INSERT INTO customer_order (id, source_id, customer_id, status, total_amount, doc, created_at) "
            "VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (source_id) DO NOTHING RETURNING *",
            new_id("ord"),
            source_id,
            customer["id"] if customer else None,
            status,
            doc["total_amount"],
            doc,
            work.now,
        )
        if saved is None:  # somebody else made it meanwhile and has committed
            rival = await find(work, str(source_id), lock=True)
            assert rival is not None
            return await save(
                work,
                rival,
                merged(rival["doc"], doc),
                status=status,
                source_id=source_id,
                customer=customer,
                redemption=redemption,
            )
    else:
        saved = await work.one(
            "UPDATE customer_order SET customer_id = coalesce($2, customer_id), status = $3, total_amount = $4, "
            "doc = $5, updated_at = $6 WHERE id = $1 RETURNING *",
            row["id"],
            customer["id"] if customer else None,
            status,
            doc["total_amount"],
            doc,
            work.now,
        )
    assert saved is not None
    if customer is not None:
        await _tell(work, saved, customer, before, redemption, earns_anyway=earns_anyway)
    return saved


async def _tell(
    work: Work,
    saved: asyncpg.Record,
    customer: asyncpg.Record,
    before: str | None,
    redemption: dict[str, Any] | None,
    *,
    earns_anyway: bool,
) -> None:
    referrer = await customers.find(work, known) if (known := saved["doc"].get("referrer_id")) else None
    data = {
        "customer": render.simple_customer(customer),
        "referrer": render.simple_customer(referrer),
        "order": render.order(saved),
        "redemption": redemption,
    }
    status = saved["status"]
    changes = ["created"] if before is None else []
    if status == before:
        changes.append("updated")
    elif status in {"PAID", "CANCELED", "FULFILLED"}:
        changes.append(status.lower())
    elif before is not None:
        changes.append("updated")
    for change in changes:
        work.announce(work.event(f"customer.order.{change}", customer["id"]), data)
    if status == "PAID" and (before != "PAID" or earns_anyway):
        cause = next((event for event, _, _ in work.announced if event.type == "customer.order.paid"), None)
        await earn(work, customer, ORDER_PAID, cause or work.event("customer.order.paid", customer["id"]), order=saved)


async def upsert(work: Work, wanted: Wanted) -> asyncpg.Record:
    row, customer = await resolve(work, wanted)
    status = wanted.status or (row["status"] if row is not None else "CREATED")
    doc = await order_items.resolved(work, wanted.doc, keep=True)
    return await save(
        work,
        row,
        merged(row["doc"] if row is not None else None, doc),
        status=status,
        source_id=wanted.source_id,
        customer=customer,
        earns_anyway=work.faults.earn_again_on_paid and wanted.status == "PAID",
    )


@post("/orders", status_code=200)
async def create_order(request: AnyRequest, store: TheStore) -> dict[str, Any]:
    wanted = read(await read_object(request))
    async with store.work() as work:
        return render.order(await upsert(work, wanted))


@get("/orders")
async def list_orders(request: AnyRequest, store: TheStore) -> dict[str, Any]:
    limit, offset = page(request)
    sorting = order(
        request, {"created_at": "created_at", "updated_at": "updated_at", "status": "status"}, "-created_at"
    )
    customer = argument(request, "customer")
    where = (
        "$1::text IS NULL OR customer_id = "
        "(SELECT id FROM customer WHERE id = $1 OR source_id = $1 ORDER BY (id = $1) DESC LIMIT 1)"
    )
    async with store.work() as work:
        rows = await work.all(
            f"SELECT * FROM customer_order WHERE {where} ORDER BY {sorting} LIMIT $2 OFFSET $3", customer, limit, offset
        )
        total = await work.value(f"SELECT count(*) FROM customer_order WHERE {where}", customer)
    return lists.numbered("orders", [render.order(row) for row in rows], total)


@get("/orders/{reference:str}")
async def get_order(reference: FromPath[str], store: TheStore) -> dict[str, Any]:
    async with store.work() as work:
        row = await find(work, reference)
    if row is None:
        raise not_found("order", reference)
    return render.order(row)


@put("/orders/{reference:str}")
async def update_order(reference: FromPath[str], request: AnyRequest, store: TheStore) -> dict[str, Any]:
    wanted = read(await read_object(request))
    async with store.work() as work:
        row = await find(work, reference)
        if row is None:
            raise not_found("order", reference)
        return render.order(
            await upsert(work, Wanted(row["id"], row["source_id"], wanted.status, wanted.doc, wanted.customer))
        )


router = Router("/", route_handlers=[create_order, list_orders, get_order, update_order])

FIDELITY = (
    documented(
        "**Orders**: amount from the items; statuses CREATED, PAID, CANCELED, FULFILLED; no discount "
        "fields without a discount"
    ),
    documented("rules fire when an order *becomes* PAID"),
    inferred(
        "an order that is PAID already and is sent as PAID again does not earn again. Fault "
        "`earn_again_on_paid` gives the other answer"
    ),
    inferred("discounts of an earlier redemption stay on the order when it is sent again"),
    inferred(
        "an order that is sent again with its items keeps the discounts and free units of lines that did not change"
    ),
    inferred("an order that was CANCELED and becomes PAID again earns again"),
)
