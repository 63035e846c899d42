"""The lists of movements of points and credits: of one voucher, and of all vouchers of a campaign.

Those of a member, who is named by a card, are in `loyalties.py`.
"""

from typing import Any

from litestar import Router, get
from litestar.params import FromPath

from app.sandbox import campaigns, filter_fields, list_filters, lists, render, vouchers
from app.sandbox.fidelity import documented
from app.sandbox.loyalties import LOYALTY
from app.sandbox.read import AnyRequest, argument, order, page
from app.sandbox.store import TheStore
from app.sandbox.work import Work


async def _listed(work: Work, request: AnyRequest, column: str, value: str, table: str) -> dict[str, Any]:
    limit, _ = page(request)
    after = argument(request, "starting_after_id")
    down = order(request, {"id": "seq", "created_at": "seq"}, "-id").startswith("seq DESC")
    fields = filter_fields.PROGRAMME_TRANSACTIONS if column == "campaign_id" else {}
    fits, values = list_filters.compiled(list_filters.read(request, fields), fields, work.now, after=3)
    rows = await work.all(
        f"SELECT * FROM {table} WHERE {column} = $1 "  # noqa: S608 - names of our own
        f"AND ($2::text IS NULL OR seq {'<' if down else '>'} (SELECT seq FROM {table} WHERE id = $2)) "
        f"AND ({fits}) ORDER BY seq {'DESC' if down else 'ASC'} LIMIT $3",
        value,
        after,
        limit + 1,
        *values,
    )
    return lists.by_cursor([render.transaction(row) for row in rows], limit)


@get("/vouchers/{reference:str}/transactions")
async def list_transactions(reference: FromPath[str], request: AnyRequest, store: TheStore) -> dict[str, Any]:
    async with store.work() as work:
        row = await vouchers.found(work, reference)
        table = "point_transaction" if row["type"] == "LOYALTY_CARD" else "credit_transaction"
        return await _listed(work, request, "voucher_id", row["id"], table)


@get("/campaigns/{reference:str}/transactions")
async def list_campaign_transactions(reference: FromPath[str], request: AnyRequest, store: TheStore) -> dict[str, Any]:
    async with store.work() as work:
        row = await campaigns.found(work, reference)
        table = "point_transaction" if row["campaign_type"] == "LOYALTY_PROGRAM" else "credit_transaction"
        return await _listed(work, request, "campaign_id", row["id"], table)


@get("/loyalties/{campaign:str}/transactions")
async def list_programme_transactions(campaign: FromPath[str], request: AnyRequest, store: TheStore) -> dict[str, Any]:
    async with store.work() as work:
        row = await campaigns.found(work, campaign, LOYALTY)
        return await _listed(work, request, "campaign_id", row["id"], "point_transaction")


router = Router("/", route_handlers=[list_transactions, list_campaign_transactions, list_programme_transactions])

FIDELITY = (documented("the transactions of a voucher, of a campaign and of a programme, by cursor"),)
