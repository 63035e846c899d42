"""What happened to a customer: `GET /v1/customers/{id}/activity`, written with the effects that it tells of.

documented: the fields of an entry, newest first, the cursor `starting_after_id`, the filters, 404 for an unknown
customer. inferred: what is announced to webhooks is what the activity has; redemptions and custom events are `ACTION`,
all else is `EFFECT` (as `customer.order.paid` in the published samples); `start_date` and `end_date` are inclusive.
"""

from typing import Any

from litestar import Router, get
from litestar.params import FromPath

from app.sandbox import customers, render
from app.sandbox.entries import CATEGORIES, shown
from app.sandbox.errors import invalid_query
from app.sandbox.read import AnyRequest, argument, moment, order, page
from app.sandbox.store import TheStore


@get("/customers/{reference:str}/activity")
async def list_activity(reference: FromPath[str], request: AnyRequest, store: TheStore) -> dict[str, Any]:
    limit, _ = page(request)
    newest_first = order(request, {"created_at": "created_at"}, "-created_at").startswith("created_at DESC")
    category = argument(request, "category")
    if category is not None and category not in CATEGORIES:
        raise invalid_query("Property .category must be equal to one of the allowed values")
    async with store.work() as work:
        customer = await customers.found(work, reference)
        rows = await work.all(
            f"""
            SELECT activity.* FROM activity LEFT JOIN campaign ON campaign.id = campaign_id
            WHERE customer_id = $1
              AND ($2::text IS NULL OR activity.type = $2)
              AND ($3::text IS NULL OR category = $3)
              AND ($4::text IS NULL OR campaign_id = $4)
              AND ($5::text IS NULL OR campaign_type = $5)
              AND ($6::timestamptz IS NULL OR activity.created_at >= $6)
              AND ($7::timestamptz IS NULL OR activity.created_at <= $7)
              AND ($8::text IS NULL OR seq {"<" if newest_first else ">"} (SELECT seq FROM activity WHERE id = $8))
            ORDER BY seq {"DESC" if newest_first else "ASC"} LIMIT $9
            """,  # noqa: S608 - constants
            customer["id"],
            argument(request, "type"),
            category,
            argument(request, "campaign_id"),
            argument(request, "campaign_type"),
            moment(request, "start_date"),
            moment(request, "end_date"),
            argument(request, "starting_after_id"),
            limit + 1,
        )
    return render.cursor_list([shown(row) for row in rows], limit)


router = Router("/", route_handlers=[list_activity])
