"""Who has a referral code: the one who gives it away (REFERRER), and friends that it is assigned to (REFEREE).

documented: the four answers of the calls, all holders of a request or none, who has the code already is refused with
`holder_assignement_duplication` (so spelled), a code that is not published is `not_published`, the referrer can't be
taken away, the data of `customer.holder.assignment.*`. inferred: being assigned is no referral yet; the newest first.
"""

from typing import Any

import asyncpg
from litestar import Router, delete, get, post
from litestar.params import FromPath

from app.sandbox import campaigns, customers, lists, render, vouchers
from app.sandbox.clock import iso
from app.sandbox.errors import Failure, NotEmulated, duplicate, invalid_payload, invalid_query, not_found
from app.sandbox.fidelity import documented, inferred
from app.sandbox.ids import new_id, stable_id
from app.sandbox.read import AnyRequest, argument, mapping, page, read_object, text
from app.sandbox.referral_programs import REFERRAL, unpublished
from app.sandbox.store import TheStore
from app.sandbox.work import Work

_MOST = 100
_HOLDERS = (
    "/referrals/members/{reference:str}/holders",
    "/referrals/{campaign:str}/members/{reference:str}/holders",
)


async def assign(
    work: Work, voucher: asyncpg.Record, campaign: asyncpg.Record, customer: asyncpg.Record, metadata: dict[str, Any]
) -> asyncpg.Record | None:
    """Make the customer a referee of this code and tell of it; None where they are one already."""
    row = await work.one(
        "INSERT INTO redeemable_holder (id, voucher_id, customer_id, metadata, created_at) VALUES ($1, $2, $3, $4, $5) "
        "ON CONFLICT (voucher_id, customer_id) DO NOTHING RETURNING *",
        new_id("rh"),
        voucher["id"],
        customer["id"],
        metadata,
        work.now,
    )
    if row is not None:
        _tell(work, "created", row, voucher, campaign, customer)
    return row


def _tell(
    work: Work,
    change: str,
    row: asyncpg.Record,
    voucher: asyncpg.Record,
    campaign: asyncpg.Record,
    customer: asyncpg.Record,
) -> None:
    holder = {**holder_shown(voucher, row), "publication_id": None}
    work.announce(
        work.event(f"customer.holder.assignment.{change}", customer["id"]),
        {
            "holder": {name: value for name, value in holder.items() if name != "metadata"},
            "voucher": render.voucher(voucher, work.config.url),
            "campaign": render.simple_campaign(campaign),
            "customer": render.simple_customer(customer),
        },
    )


def holder_shown(voucher: render.Row, row: render.Row | None = None) -> dict[str, Any]:
    """A holder of this code: the referee of `row`, or else the one that the code was published to."""
    own = {
        "id": row["id"] if row else stable_id("rh", f"{voucher['id']} {voucher['holder_id']}"),
        "created_at": iso(row["created_at"] if row else voucher["updated_at"] or voucher["created_at"]),
        "customer_id": row["customer_id"] if row else voucher["holder_id"],
        "holder_role": "REFEREE" if row else "REFERRER" if voucher["campaign_type"] == REFERRAL else "OWNER",
        **({"metadata": row["metadata"]} if row else {}),
    }
    return {
        **own,
        "redeemable_id": voucher["id"],
        "redeemable_object": "voucher",
        "campaign_id": voucher["campaign_id"],
        "campaign_type": voucher["campaign_type"],
        "voucher_type": voucher["type"],
        "object": "redeemable_holder",
    }


async def as_referee(work: Work, customer_id: str) -> list[tuple[asyncpg.Record, asyncpg.Record]]:
    """The codes that a customer is a referee of, each with its assignment, the oldest first."""
    rows = await work.all("SELECT * FROM redeemable_holder WHERE customer_id = $1 ORDER BY created_at, id", customer_id)
    return [(await vouchers.found(work, row["voucher_id"]), row) for row in rows]


async def _code(
    work: Work, reference: str, campaign: str | None, *, lock: bool = False
) -> tuple[asyncpg.Record, asyncpg.Record]:
    """The referral code of an address, and its campaign."""
    named = await campaigns.found(work, campaign, REFERRAL) if campaign else None
    voucher = await vouchers.found(work, reference, lock=lock)
    if voucher["campaign_type"] != REFERRAL or (named is not None and named["id"] != voucher["campaign_id"]):
        raise not_found("voucher", reference)
    return voucher, named or await campaigns.found(work, voucher["campaign_id"])


def _wanted(body: dict[str, Any]) -> list[dict[str, Any]]:
    given = body.get("holders")
    if given is None:
        raise invalid_payload("Payload should have required property 'holders'")
    if not isinstance(given, list):
        raise invalid_payload("Property .holders must be array")
    if not given:
        raise invalid_payload("Property .holders must NOT have fewer than 1 items")
    if len(given) > _MOST:
        raise invalid_payload(f"Property .holders must NOT have more than {_MOST} items")
    for place, each in enumerate(given):
        at = f".holders[{place}]"
        if not isinstance(each, dict):
            raise invalid_payload(f"Property {at} must be object")
        if not text(each, "id", at=at) and not text(each, "source_id", at=at):
            raise invalid_payload(f"Property {at} should have required property 'source_id'")
    return given


async def _added(work: Work, reference: str, campaign: str | None, body: dict[str, Any]) -> list[dict[str, Any]]:
    wanted, metadata = _wanted(body), mapping(body, "metadata")
    voucher, owner = await _code(work, reference, campaign)
    if voucher["holder_id"] is None:
        raise unpublished()
    made: dict[int, dict[str, Any]] = {}
    seen: set[str] = set()
    await customers.lock_all(work, [str(each.get("id") or each.get("source_id")) for each in wanted])
    # New ones in one order, so that two such calls do not wait for each other.
    for place, each in sorted(enumerate(wanted), key=lambda pair: str(pair[1].get("id") or pair[1].get("source_id"))):
        customer = await customers.upsert(work, each, at=f".holders[{place}]")
        if customer["id"] in seen:
            raise duplicate("customer", str(each.get("id") or each.get("source_id")))
        seen.add(customer["id"])
        row = None
        if customer["id"] != voucher["holder_id"]:
            row = await assign(work, voucher, owner, customer, metadata)
        if row is None:
            message = "Customer is already assigned to given redeemable"
            raise Failure(409, "holder_assignement_duplication", message)
        made[place] = holder_shown(voucher, row)
    return [made[place] for place in sorted(made)]


@post(list(_HOLDERS), status_code=200)
async def add_holders(reference: FromPath[str], request: AnyRequest, store: TheStore) -> dict[str, Any]:
    body = await read_object(request)
    async with store.work() as work:
        return {"holders": await _added(work, reference, request.path_params.get("campaign"), body)}


@get(list(_HOLDERS))
async def list_holders(reference: FromPath[str], request: AnyRequest, store: TheStore) -> dict[str, Any]:
    limit, _ = page(request)
    if any(name.startswith("filters") for name in request.query_params):
        raise NotEmulated("Filtering the holders of a code by `filters`")
    sorting, after = argument(request, "order") or "-id", argument(request, "starting_after_id")
    if sorting not in {"id", "-id"}:
        raise invalid_query("Property .order must be equal to one of the allowed values")
    async with store.work() as work:
        voucher, _ = await _code(work, reference, request.path_params.get("campaign"))
        rows = await work.all(
            "SELECT * FROM redeemable_holder WHERE voucher_id = $1 ORDER BY created_at, id", voucher["id"]
        )
    shown = [holder_shown(voucher, row) for row in rows]
    if voucher["holder_id"] is not None:
        shown.insert(0, holder_shown(voucher))
    total = len(shown)
    if sorting == "-id":
        shown.reverse()
    if after:
        place = next((place for place, each in enumerate(shown) if each["id"] == after), None)
        shown = shown[place + 1 :] if place is not None else []
    return {**lists.by_cursor(shown, limit), "total": total}


@delete([f"{each}/{{holder:str}}" for each in _HOLDERS], status_code=204)
async def remove_holder(reference: FromPath[str], holder: FromPath[str], request: AnyRequest, store: TheStore) -> None:
    async with store.work() as work:
        voucher, campaign = await _code(work, reference, request.path_params.get("campaign"))
        if voucher["holder_id"] is not None and holder == holder_shown(voucher)["id"]:
            raise Failure(403, "forbidden", "Can not remove assignment", "You can not remove Referrer assignment")
        row = await work.one(
            "DELETE FROM redeemable_holder WHERE id = $1 AND voucher_id = $2 RETURNING *", holder, voucher["id"]
        )
        if row is None:
            raise not_found("redeemable_holder", holder)
        customer = await customers.found(work, row["customer_id"])
        _tell(work, "deleted", row, voucher, campaign, customer)


router = Router("/", route_handlers=[add_holders, list_holders, remove_holder])

FIDELITY = (
    documented(
        "**Holders of a referral code**: friends are added (all of a request or none), listed with the referrer, and "
        "taken away; `not_published`, `holder_assignement_duplication`; the wallet shows codes with the role "
        "`REFERRER` or `REFEREE`"
    ),
    inferred("being assigned a code is no referral; `customer.holder.assignment.*` are sent as distributions"),
)
