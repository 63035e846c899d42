"""What happened to a customer: `GET /v1/customers/{id}/activity`, its deprecated older form, and that of members.

documented: the fields of an entry, newest first, the cursor `starting_after_id`, the filters, 404 for an unknown
customer. inferred: what is announced to webhooks is what the activity has; redemptions and custom events are `ACTION`,
all else is `EFFECT` (as `customer.order.paid` in the published samples); `start_date` and `end_date` are inclusive;
the older form has the data twice, nested as published and flat as Voucherify's own demo app reads it; a member's
activity is what the holder's has of this programme.
"""

from typing import Any

import asyncpg
from litestar import Router, get
from litestar.params import FromPath

from app.sandbox import customers, lists
from app.sandbox.activity_entries import CATEGORIES, shown
from app.sandbox.errors import NotEmulated, invalid_query
from app.sandbox.fidelity import documented, inferred
from app.sandbox.loyalties import member
from app.sandbox.read import AnyRequest, argument, moment, order, page
from app.sandbox.store import TheStore
from app.sandbox.work import Work


@get("/customers/{reference:str}/activity")
async def list_activity(reference: FromPath[str], request: AnyRequest, store: TheStore) -> dict[str, Any]:
    limit, _ = page(request)
    category = argument(request, "category")
    if category is not None and category not in CATEGORIES:
        raise invalid_query("Property .category must be equal to one of the allowed values")
    async with store.work() as work:
        rows, _ = await _read(work, reference, request, limit, kind=argument(request, "type"), category=category)
    return lists.by_cursor([shown(row) for row in rows], limit)


@get("/customers/{reference:str}/activities")
async def list_activities(reference: FromPath[str], request: AnyRequest, store: TheStore) -> dict[str, Any]:
    """The deprecated list, which Voucherify's own demo app still reads."""
    limit, _ = page(request)
    if argument(request, "product_id"):
        raise NotEmulated("Activities of one product")
    async with store.work() as work:
        rows, total = await _read(work, reference, request, limit, count=True)
    entries = [shown(row) for row in rows[:limit]]
    flat = [{**entry, "data": {**entry["data"]["data"], **entry["data"]}} for entry in entries]
    return lists.numbered("data", flat, total)


async def _read(
    work: Work,
    reference: str,
    request: AnyRequest,
    limit: int,
    *,
    kind: str | None = None,
    category: str | None = None,
    count: bool = False,
) -> tuple[list[asyncpg.Record], int]:
    """The entries that the request asks for, one more than its limit, and, if wanted, how many fit its filters."""
    newest_first = order(request, {"created_at": "created_at"}, "-created_at").startswith("created_at DESC")
    customer = await customers.found(work, reference)
    sign = "<" if newest_first else ">"
    filters = """
        FROM activity LEFT JOIN campaign ON campaign.id = campaign_id
        WHERE customer_id = $1
          AND ($2::text IS NULL OR activity.type = $2)
          AND ($3::text IS NULL OR category = $3)
          AND ($4::text IS NULL OR campaign_id = $4)
          AND ($5::text IS NULL OR campaign_type = $5)
          AND ($6::timestamptz IS NULL OR activity.created_at >= $6)
          AND ($7::timestamptz IS NULL OR activity.created_at <= $7)
    """
    conditions = (
        customer["id"],
        kind,
        category,
        argument(request, "campaign_id"),
        argument(request, "campaign_type"),
        moment(request, "start_date"),
        moment(request, "end_date"),
    )
    rows = await work.all(
        f"""
        SELECT activity.* {filters}
          AND ($8::text IS NULL OR seq {sign} (SELECT seq FROM activity WHERE id = $8))
          AND ($9::timestamptz IS NULL OR activity.created_at {sign} $9)
        ORDER BY seq {"DESC" if newest_first else "ASC"} LIMIT $10
        """,  # noqa: S608 - constants
        *conditions,
        argument(request, "starting_after_id"),
        moment(request, "starting_after"),
        limit + 1,
    )
    total = await work.value(f"SELECT count(*) {filters}", *conditions) if count else 0
    return rows, total


@get(["/loyalties/members/{reference:str}/activity", "/loyalties/{campaign:str}/members/{reference:str}/activity"])
async def list_member_activity(reference: FromPath[str], request: AnyRequest, store: TheStore) -> dict[str, Any]:
    """What the holder of a card did and got in the programme of that card."""
    limit, _ = page(request)
    newest_first = order(request, {"id": "seq", "created_at": "seq"}, "-id").startswith("seq DESC")
    async with store.work() as work:
        card = await member(work, reference, request.path_params.get("campaign"))
        rows = await work.all(
            "SELECT * FROM activity WHERE customer_id = $1 AND campaign_id = $2 "  # noqa: S608 - constants
            f"AND ($3::text IS NULL OR seq {'<' if newest_first else '>'} (SELECT seq FROM activity WHERE id = $3)) "
            f"ORDER BY seq {'DESC' if newest_first else 'ASC'} LIMIT $4",
            card["holder_id"],
            card["campaign_id"],
            argument(request, "starting_after_id"),
            limit + 1,
        )
    return lists.by_cursor([shown(row) for row in rows], limit)


router = Router("/", route_handlers=[list_activity, list_activities, list_member_activity])

FIDELITY = (
    documented(
        "**Activity** of a customer, newest first: customers, orders, publications, redemptions, "
        "rollbacks, points and custom events with their metadata; `starting_after_id` and all filters"
    ),
    documented("the older `/activities`, with `total` and both cursors; a member's activity, by cursor"),
    inferred(
        "its data comes twice, nested as published and flat as Voucherify's demo app reads it; "
        "`product_id` is refused with 501"
    ),
    inferred(
        "redemptions and custom events are `ACTION`, all else `EFFECT`; an entry is there as soon as its effect is"
    ),
)
