"""Customers: upserted by id or source_id from everywhere, shown with what they ordered, redeemed and hold.

documented: upsert, alternates in paths, `loyalty.campaigns` by campaign name, who upserts (orders, redemptions, events,
publications), the filters and the cursor of the list, bulk calls upsert and send no `customer.updated`, a permanent
deletion takes along what is connected. inferred: metadata is merged key by key, and null removes a key;
`customer.updated` only when something changed; bulk calls are done at once, all or nothing; `before` and `after` leave
out the moment itself; a permanent deletion leaves the cards and codes, with no holder.
"""

# ruff: noqa: S608 - what is put together here are constants and columns of an allow-list; values are parameters

import re
from collections.abc import Iterable
from typing import Any

import asyncpg
from litestar import Router, delete, get, post, put
from litestar.params import FromPath

from app.sandbox import async_actions, lists, membership, render
from app.sandbox.clock import iso
from app.sandbox.errors import Failure, invalid_payload, invalid_query, not_found
from app.sandbox.fidelity import documented, inferred
from app.sandbox.ids import new_id
from app.sandbox.read import (
    AnyRequest,
    argument,
    between,
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
from app.sandbox.vouchers import CARD_SUMS
from app.sandbox.work import Work

_FIELDS = ("name", "description", "email", "phone", "birthdate")
_ADDRESS = ("city", "state", "line_1", "line_2", "country", "postal_code")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


async def find(work: Work, reference: str, *, lock: bool = False) -> asyncpg.Record | None:
    """The customer with this id or source_id. An id wins over another customer's equal source_id."""
    return await work.one(
        "SELECT * FROM customer WHERE id = $1 OR source_id = $1 ORDER BY (id = $1) DESC LIMIT 1"
        + (" FOR UPDATE" if lock else ""),
        reference,
    )


async def found(work: Work, reference: str, *, lock: bool = False) -> asyncpg.Record:
    row = await find(work, reference, lock=lock)
    if row is None:
        raise not_found("customer", reference)
    return row


async def lock_all(work: Work, references: Iterable[str]) -> None:
    """Lock those of these customers (ids or source_ids) that there are, by their ids: whoever needs several does so
    first, that no two of them wait for each other.
    """
    await work.run(
        "SELECT 1 FROM customer WHERE id = ANY($1) OR source_id = ANY($1) ORDER BY id FOR UPDATE", list(references)
    )


async def upsert(
    work: Work, given: Any, *, at: str = ".customer", update: bool = True, tell: bool = True
) -> asyncpg.Record:
    """The customer that `given` (an object, or an id or source_id as text) names, made if need be, locked till commit.

    Whoever moves points, orders or cards holds this lock, so everything of one customer happens one after the other.

    `tell`: whether a change is announced; that of a bulk call is not.

    Raises:
        Failure: `given` is not valid, or names an id that there is not.
    """
    if isinstance(given, str):
        given = {"id": given} if given.startswith("cust_") else {"source_id": given}
    if not isinstance(given, dict):
        raise invalid_payload(f"Property {at} must be object")
    body: dict[str, Any] = given
    doc = _read(body, at)
    identifier, source_id = text(body, "id", at=at), text(body, "source_id", at=at)
    if identifier:
        row = await found(work, identifier, lock=True)
    elif source_id:
        # Both apps send a cust_ id as source_id as well; the real service takes either everywhere.
        row = await find(work, source_id, lock=True) or await _create(work, source_id, doc)
    else:
        row = await _create(work, None, doc)
    return await _change(work, row, doc, tell=tell) if update else row


async def _create(work: Work, source_id: str | None, doc: dict[str, Any]) -> asyncpg.Record:
    metadata = {name: value for name, value in doc.get("metadata", {}).items() if value is not None}
    row = await work.one(
        "INSERT INTO customer (id, source_id, doc, created_at) VALUES ($1, $2, $3, $4) "
        "ON CONFLICT (source_id) DO NOTHING RETURNING *",
        new_id("cust"),
        source_id,
        {**doc, "metadata": metadata},
        work.now,
    )
    if row is None:  # somebody else made it meanwhile and has committed
        assert source_id is not None
        return await found(work, source_id, lock=True)
    work.announce(work.event("customer.created", row["id"]), {"customer": await full(work, row)})
    return row


async def _change(work: Work, row: asyncpg.Record, doc: dict[str, Any], *, tell: bool = True) -> asyncpg.Record:
    merged = {**row["doc"], **doc}
    metadata = {**row["doc"]["metadata"], **doc.get("metadata", {})}
    merged["metadata"] = {name: value for name, value in metadata.items() if value is not None}
    if doc.get("address") and row["doc"].get("address"):
        merged["address"] = {**row["doc"]["address"], **doc["address"]}
    if _said(merged) == _said(row["doc"]):
        return row
    changed = await work.one(
        "UPDATE customer SET doc = $2, updated_at = $3 WHERE id = $1 RETURNING *", row["id"], merged, work.now
    )
    assert changed is not None
    if tell:
        work.announce(work.event("customer.updated", row["id"]), {"customer": await full(work, changed)})
    return changed


def _said(doc: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in doc.items() if value is not None}


def _read(body: dict[str, Any], at: str) -> dict[str, Any]:
    """What may be stored of a customer: only the fields that were sent, null included (it clears a field)."""
    doc: dict[str, Any] = {name: text(body, name, at=at) for name in _FIELDS if name in body}
    if doc.get("birthdate") and not _DATE.match(doc["birthdate"]):
        raise invalid_payload(f"Property {at}.birthdate cannot be recognized as a ISO-8601 compliant date")
    if "address" in body:
        address = mapping(body, "address", at=at)
        doc["address"] = {name: text(address, name, at=f"{at}.address") for name in _ADDRESS if name in address} or None
    if "metadata" in body:
        doc["metadata"] = mapping(body, "metadata", at=at)
    return doc


async def full(work: Work, row: asyncpg.Record) -> dict[str, Any]:
    """The full customer object as it stands in this transaction."""
    summary = await work.one(
        """
        SELECT coalesce(sum(o.total_amount), 0)::bigint AS orders_amount, count(o) AS orders_count,
          max(o.created_at) AS last_order_date,
          (SELECT total_amount FROM customer_order WHERE customer_id = $1 AND status IN ('PAID', 'FULFILLED')
             ORDER BY created_at DESC LIMIT 1) AS last_order_amount,
          r.succeeded, r.failed, r.rolled_back,
          (SELECT coalesce(-sum(t.amount) FILTER (WHERE t.type IN ('CREDITS_REDEMPTION', 'CREDITS_REFUND')), 0)::bigint
             FROM credit_transaction t JOIN voucher v ON v.id = t.voucher_id WHERE v.holder_id = $1) AS gift_redeemed,
          (SELECT coalesce(sum(v.initial_credits + (SELECT coalesce(sum(amount), 0) FROM credit_transaction
             WHERE voucher_id = v.id)), 0)::bigint
             FROM voucher v WHERE v.holder_id = $1 AND v.type = 'GIFT_VOUCHER') AS gift_left,
          EXISTS (SELECT 1 FROM referral WHERE referrer_id = $1 OR referee_id = $1) AS refers
        FROM (SELECT count(*) FILTER (WHERE status IN ('SUCCEEDED', 'ROLLED_BACK')) AS succeeded,
                count(*) FILTER (WHERE status = 'FAILED') AS failed,
                count(*) FILTER (WHERE status = 'ROLLED_BACK') AS rolled_back
              FROM redemption WHERE customer_id = $1 AND object = 'redemption'
                AND (voucher_id IS NOT NULL OR promotion_tier_id IS NOT NULL)) r
        LEFT JOIN customer_order o ON o.customer_id = $1 AND o.status IN ('PAID', 'FULFILLED')
        GROUP BY r.succeeded, r.failed, r.rolled_back
        """,
        row["id"],
    )
    cards = await work.all(
        f"""
        SELECT c.name AS campaign, m.tier_id, {CARD_SUMS} FROM voucher v JOIN campaign c ON c.id = v.campaign_id
        LEFT JOIN member_tier m ON m.voucher_id = v.id
        LEFT JOIN point_transaction t ON t.voucher_id = v.id
        WHERE v.holder_id = $1 AND v.type = 'LOYALTY_CARD' GROUP BY v.id, c.name, m.tier_id ORDER BY c.name
        """,
        row["id"],
    )
    assert summary is not None
    referrals = await _referrals(work, row["id"]) if summary["refers"] else []  # few customers have any
    return render.customer(row, summary, cards, work.config.url, referrals)


async def _referrals(work: Work, customer_id: str) -> list[asyncpg.Record]:
    """Those that the customer has a part in."""
    return await work.all(
        "SELECT r.*, c.name AS campaign FROM referral r JOIN campaign c ON c.id = r.campaign_id "
        "WHERE r.referrer_id = $1 OR r.referee_id = $1 ORDER BY r.created_at, r.id",
        customer_id,
    )


@post("/customers", status_code=200)
async def create_customer(request: AnyRequest, store: TheStore) -> dict[str, Any]:
    body = await read_object(request)
    async with store.work() as work:
        return await full(work, await upsert(work, body, at=""))


@get("/customers")
async def list_customers(request: AnyRequest, store: TheStore) -> dict[str, Any]:
    limit, offset = page(request, 99)
    sorting = order(
        request, {"created_at": "created_at", "updated_at": "updated_at", "source_id": "source_id"}, "-created_at"
    )
    segment = argument(request, "segment_id")
    descending = sorting.split(",")[0].endswith("DESC")
    column = sorting.partition(" ")[0]
    conditions: list[Any] = [
        *(argument(request, name) for name in ("email", "name", "city")),
        *between(request, "created_at"),
        *between(request, "updated_at"),
    ]
    where = (
        "($1::text IS NULL OR email = $1) AND ($2::text IS NULL OR doc ->> 'name' = $2) "
        "AND ($3::text IS NULL OR doc -> 'address' ->> 'city' = $3) "
        "AND ($4::timestamptz IS NULL OR created_at > $4) AND ($5::timestamptz IS NULL OR created_at < $5) "
        "AND ($6::timestamptz IS NULL OR updated_at > $6) AND ($7::timestamptz IS NULL OR updated_at < $7) "
        "AND ($8::text[] IS NULL OR id = ANY($8))"
    )
    cursor = moment(request, "starting_after")
    if cursor is not None and column == "source_id":
        raise invalid_query("Property .starting_after cannot be used with the order source_id")
    dated = "created_at" if column == "source_id" else column
    after = f"($9::timestamptz IS NULL OR {dated} {'<' if descending else '>'} $9)"
    async with store.work() as work:
        conditions.append(await _members(work, segment) if segment else None)
        total = await work.value(f"SELECT count(*) FROM customer WHERE {where}", *conditions)
        rows = await work.all(
            f"SELECT * FROM customer WHERE {where} AND {after} ORDER BY {sorting} LIMIT $10 OFFSET $11",
            *conditions,
            cursor,
            limit + 1,
            offset,
        )
        shown = [await full(work, row) for row in rows[:limit]]
    return {**lists.numbered("customers", shown, total), "has_more": len(rows) > limit}


async def _members(work: Work, segment: str) -> list[str]:
    """The ids of a segment's customers; an unknown segment has none."""
    row = await work.one("SELECT * FROM segment WHERE id = $1", segment)
    return await membership.members(work, row) if row is not None else []


@get("/customers/{reference:str}")
async def get_customer(reference: FromPath[str], store: TheStore) -> dict[str, Any]:
    async with store.work() as work:
        return await full(work, await found(work, reference))


@put("/customers/{reference:str}")
async def update_customer(reference: FromPath[str], request: AnyRequest, store: TheStore) -> dict[str, Any]:
    body = await read_object(request)
    async with store.work() as work:
        row = await found(work, reference, lock=True)
        # One of the apps sends the id as source_id with every change; a source_id never changes.
        return await full(work, await _change(work, row, _read(body, "")))


@delete("/customers/{reference:str}", status_code=204)
async def delete_customer(reference: FromPath[str], store: TheStore) -> None:
    async with store.work() as work:
        row = await found(work, reference, lock=True)
        work.announce(work.event("customer.deleted", row["id"]), {"customer": await full(work, row)})
        await work.run("DELETE FROM customer WHERE id = $1", row["id"])


@post("/customers/{reference:str}/permanent-deletion", status_code=200)
async def delete_permanently(reference: FromPath[str], store: TheStore) -> dict[str, Any]:
    async with store.work() as work:
        row = await found(work, reference, lock=True)
        # What is connected goes before the customer; events and activity go with it.
        counts = await work.one(
            """
            WITH orders AS (DELETE FROM customer_order WHERE customer_id = $1 RETURNING 1),
              redemptions AS (DELETE FROM redemption WHERE customer_id = $1),
              publications AS (DELETE FROM publication WHERE customer_id = $1)
            SELECT (SELECT count(*) FROM custom_event WHERE customer_id = $1) AS events,
              (SELECT count(*) FROM activity WHERE customer_id = $1) AS customer_events,
              (SELECT count(*) FROM orders) AS orders,
              (SELECT count(*) FROM segment_member WHERE customer_id = $1) AS segments,
              (SELECT count(*) FROM activity WHERE customer_id = $1 AND type LIKE 'customer.order.%') AS order_events
            """,
            row["id"],
        )
        assert counts is not None
        work.announce(work.event("customer.deleted", row["id"]), {"customer": await full(work, row)})
        await work.run("DELETE FROM customer WHERE id = $1", row["id"])
        return {
            "id": new_id("del"),
            "created_at": iso(work.now),
            "related_object_id": row["id"],
            "related_object": "customer",
            "status": "DONE",
            "data_json": {**counts, "daily_events": 0, "customer": 1},
            "object": "pernament_deletion",  # the real service writes it like this
        }


@post("/customers/bulk/async", status_code=202)
async def update_in_bulk(request: AnyRequest, store: TheStore) -> dict[str, Any]:
    given = await read_list(request)
    for place, item in enumerate(given):
        required_text(item, "source_id", longest=500, at=f"[{place}]")
    async with store.work() as work:
        await lock_all(work, (each["source_id"] for each in given))
        # New ones in one order, so that two such calls do not wait for each other.
        for place, item in sorted(enumerate(given), key=lambda each: (each[1]["source_id"], each[0])):
            known = {name: value for name, value in item.items() if name != "id"}
            await upsert(work, known, at=f"[{place}]", tell=False)
        done = await async_actions.done(work, "CUSTOMERS.BULK_UPDATE", len(given), "Customers have been updated")
    return {"async_action_id": done}


@post("/customers/metadata/async", status_code=202)
async def update_metadata_in_bulk(request: AnyRequest, store: TheStore) -> dict[str, Any]:
    source_ids, metadata = listed_metadata(await read_object(request))
    async with store.work() as work:
        await lock_all(work, source_ids)
        for source_id in source_ids:
            await upsert(work, {"source_id": source_id, "metadata": metadata}, at="", tell=False)
        told = "Customers' metadata has been updated"
        done = await async_actions.done(work, "CUSTOMERS.METADATA_UPDATE", len(source_ids), told)
    return {"async_action_id": done}


def missing() -> Failure:
    return Failure(400, "missing_customer", "Missing customer", "Customer is required")


router = Router(
    "/",
    route_handlers=[
        create_customer,
        list_customers,
        get_customer,
        update_customer,
        delete_customer,
        delete_permanently,
        update_in_bulk,
        update_metadata_in_bulk,
    ],
)

FIDELITY = (
    documented(
        "**Customers** are upserted; so do orders, publications, redemptions and events with theirs. "
        "`loyalty.campaigns` by campaign name, `summary` from what happened"
    ),
    inferred(
        "metadata merges key by key, null removes a key; `customer.updated` only when something changed; "
        "orders that are PAID or FULFILLED count in the summary"
    ),
    documented(
        "the list of customers by `email`, `name`, `city`, `created_at` and `updated_at` with `[before]` "
        "and `[after]`, `order` and the cursor `starting_after`; `bulk/async` and `metadata/async` upsert "
        "and send no `customer.updated`; `permanent-deletion` takes orders, redemptions, publications, "
        "events and activity along"
    ),
    inferred(
        "the bulk calls are done when they answer, and one bad item refuses all; a permanent deletion "
        "leaves cards and codes, with no holder, and sends `customer.deleted`; `before` and `after` leave "
        "out the moment itself"
    ),
)
