"""Publications: handing a code or a loyalty card to a customer.

documented: both forms, counts, `join_once`, `source_id` once (then 400 `duplicate_source_id`; read it back with GET),
one card per customer and loyalty campaign, initial points without a transaction. inferred: a repeat with `join_once`
answers with the first publication; an inactive campaign is refused with `campaign_not_active`.
"""

# ruff: noqa: S608 - what is put together here are constants and columns of an allow-list; values are parameters

from typing import Any

import asyncpg
from litestar import Router, get, post

from app.sandbox import (
    campaigns,
    customers,
    filter_fields,
    list_filters,
    lists,
    publishing,
    render,
    vouchers,
)
from app.sandbox.errors import Failure, invalid_payload, invalid_query
from app.sandbox.fidelity import documented, inferred
from app.sandbox.read import (
    AnyRequest,
    argument,
    between,
    boolean,
    flag,
    integer,
    mapping,
    order,
    page,
    read_object,
    text,
)
from app.sandbox.store import TheStore
from app.sandbox.work import Work


async def _shown(work: Work, publication: dict[str, Any], *, many: bool) -> dict[str, Any]:
    """The answer: the publication with its voucher in full, or with the codes where a count was asked for."""
    rows = await work.all(
        f"{vouchers.SELECT} WHERE v.id = ANY($1) ORDER BY v.created_at, v.id", publication["vouchers_id"]
    )
    if many:
        return {**publication, "vouchers": [row["code"] for row in rows]}
    return {**publication, "voucher": render.voucher(rows[0], work.config.url) if rows else None}


async def publish(work: Work, body: dict[str, Any], *, join_once: bool) -> dict[str, Any]:
    """`POST /v1/publications`: by campaign (one code or several) or one voucher, to a customer who is upserted."""
    reference, count = _campaign_wanted(body)
    wanted = body.get("voucher")
    code = text(wanted, "code", at=".voucher") if isinstance(wanted, dict) else text(body, "voucher")
    if not reference and not code:
        raise Failure(400, "missing_vouchers", "Missing vouchers", "Either Campaign or Voucher is required")
    if not body.get("customer"):
        raise customers.missing()
    source_id = text(body, "source_id", longest=500)
    if source_id and count > 1:
        raise invalid_payload("Property .source_id can be used with a count of 1 only")
    if source_id and await work.value("SELECT 1 FROM publication WHERE source_id = $1", source_id):
        raise publishing.repeated(source_id)
    campaign: asyncpg.Record | None = None
    if reference:
        campaign = await campaigns.found(work, reference)
    else:
        voucher = await vouchers.found(work, str(code))
        if voucher["campaign_id"]:
            campaign = await campaigns.found(work, voucher["campaign_id"])
    publishing.refuse_inactive(work, campaign)
    customer = await customers.upsert(work, body["customer"])
    if campaign is not None and (join_once or campaign["doc"]["join_once"]):
        before = await publishing.held(work, campaign, customer)
        if before is not None and not join_once:
            raise publishing.joined_already()
        if before is not None:
            first = await work.value(
                "SELECT doc FROM publication WHERE voucher_ids @> $1 ORDER BY created_at LIMIT 1", [before["id"]]
            )
            return await _shown(work, first, many=False)
        if count > 1:
            raise invalid_payload("Property .campaign.count must be <= 1 in a campaign that is joined once")
    voucher_ids = await publishing.take(work, campaign, count, code)
    publication = await publishing.publish_codes(
        work, campaign, customer, voucher_ids, metadata=mapping(body, "metadata"), source_id=source_id
    )
    return await _shown(work, publication, many=count > 1)


def _campaign_wanted(body: dict[str, Any]) -> tuple[str | None, int]:
    given = body.get("campaign")
    if given is None or isinstance(given, str):
        return given, 1
    if not isinstance(given, dict):
        raise invalid_payload("Property .campaign must be object")
    name = text(given, "id", at=".campaign") or text(given, "name", at=".campaign")
    return name, integer(given, "count", least=1, most=50, at=".campaign") or 1


@post("/publications", status_code=200)
async def create_publication(request: AnyRequest, store: TheStore) -> dict[str, Any]:
    body = await read_object(request)
    join_once = flag(request, "join_once") or bool(boolean(body, "join_once"))
    async with store.work() as work:
        return await publish(work, body, join_once=join_once)


@get("/publications")
async def list_publications(request: AnyRequest, store: TheStore) -> dict[str, Any]:
    limit, offset = page(request, 1000)
    columns = {
        "created_at": "created_at",
        "id": "id",
        "customer_id": "customer_id",
        "tracking_id": "doc ->> 'tracking_id'",
        "channel": "doc ->> 'channel'",
    }
    sorting = order(request, columns, "-created_at")
    wanted = list_filters.read(request, filter_fields.PUBLICATIONS)
    where = """
      ($1::text IS NULL OR source_id = $1)
      AND ($2::text IS NULL OR campaign_id = (SELECT id FROM campaign WHERE id = $2 OR name = $2 LIMIT 1))
      AND ($3::text IS NULL OR customer_id = (
        SELECT id FROM customer WHERE id = $3 OR source_id = $3 ORDER BY (id = $3) DESC LIMIT 1))
      AND ($4::text IS NULL OR voucher_ids @> (SELECT array_agg(id) FROM voucher WHERE code = $4 OR id = $4))
      AND ($5::text IS NULL OR doc ->> 'result' = $5)
      AND ($6::text IS DISTINCT FROM 'true'
        OR campaign_id IN (SELECT id FROM campaign WHERE campaign_type = 'REFERRAL_PROGRAM'))
      AND ($7::text IS NULL OR EXISTS (SELECT 1 FROM voucher WHERE id = ANY(voucher_ids) AND type = $7))
      AND ($8::timestamptz IS NULL OR created_at > $8) AND ($9::timestamptz IS NULL OR created_at < $9)
    """
    names = ("source_id", "campaign", "customer", "voucher", "result", "is_referral_code", "voucher_type")
    conditions: list[Any] = [argument(request, name) for name in names]
    conditions += between(request, "created_at")
    async with store.work() as work:
        fits, values = list_filters.compiled(wanted, filter_fields.PUBLICATIONS, work.now, after=len(conditions))
        where, conditions = f"{where} AND ({fits})", [*conditions, *values]
        rows = await work.all(
            f"SELECT doc FROM publication WHERE {where} ORDER BY {sorting} LIMIT {limit} OFFSET {offset}",
            *conditions,
        )
        total = await work.value(f"SELECT count(*) FROM publication WHERE {where}", *conditions)
        shown = [await _listed(work, row["doc"]) for row in rows]
    return lists.numbered("publications", shown, total)


async def _listed(work: Work, publication: dict[str, Any]) -> dict[str, Any]:
    """In a list the voucher is short, and there is always one named."""
    rows = await work.all(
        f"{vouchers.SELECT} WHERE v.id = ANY($1) ORDER BY v.created_at, v.id", publication["vouchers_id"]
    )
    shown = {**publication}
    if rows:
        full = render.voucher(rows[0], work.config.url)
        names = (
            "id",
            "code",
            "campaign",
            "campaign_id",
            "type",
            "discount",
            "gift",
            "loyalty_card",
            "is_referral_code",
            "object",
        )
        shown["voucher"] = {name: full[name] for name in names if full[name] is not None}
    if len(rows) > 1:
        shown["vouchers"] = [row["code"] for row in rows]
    return shown


@get("/publications/create")
async def create_publication_by_query(request: AnyRequest, store: TheStore) -> dict[str, Any]:
    """The same by a query string: `campaign[name]=…&customer[source_id]=…`. The keys of the project do here."""
    body = _from_query(request)
    if not body.get("customer"):
        raise invalid_query("Query should have required property 'customer'")
    if body.get("voucher"):
        body.pop("campaign", None)
    async with store.work() as work:
        return await publish(work, body, join_once=flag(request, "join_once"))


def _from_query(request: AnyRequest) -> dict[str, Any]:
    """`a[b][c]=x` as nested objects; `campaign` and `customer` may be plain text as well."""
    body: dict[str, Any] = {}
    for name in request.query_params:
        value = argument(request, name)
        path = [part.rstrip("]") for part in name.split("[")]
        if value is None or path[0] not in {"voucher", "campaign", "source_id", "customer", "metadata"}:
            continue
        inside = body
        for part in path[:-1]:
            deeper = inside.setdefault(part, {})
            if not isinstance(deeper, dict):
                raise invalid_query(f"Property .{part} must be object")
            inside = deeper
        inside[path[-1]] = value
    if isinstance(body.get("campaign"), dict) and body["campaign"].pop("count", "1") != "1":
        raise Failure(
            400, "too_many_vouchers_requested", "Too many vouchers requested", "Only up to 1 can be published"
        )
    return body


router = Router("/", route_handlers=[create_publication, create_publication_by_query, list_publications])

FIDELITY = (
    documented(
        "**Publications**: by campaign (object or text, `count`) or voucher; `join_once` in the query or "
        "the body; one card per customer and programme, again without the flag is "
        "`voucher_cannot_be_published`"
    ),
    documented(
        "a `source_id` that was used is 400 `duplicate_source_id`",
        "a guide says the same code comes back: be ready for both",
    ),
    inferred("`join_once` again answers with the first publication; an inactive campaign is `campaign_not_active`"),
    documented("the same by `GET /v1/publications/create`", "that it takes the project's keys: inferred"),
)
