"""Qualifications: what a customer could use, on this order or by who they are.

documented: the scenarios, `expand`, the filters, the sorting rules, `limit` of 5 at first, paging by `created_at`, the
states in a customer's wallet. inferred: a `limit` up to 100 is taken, for the reference apps send it; the cursor of a
list that is sorted by savings; nothing is cached. What each scenario offers is in `offers.py`.
"""

from datetime import datetime
from typing import Any

import asyncpg
from litestar import Router, get, post
from litestar.params import FromPath

from app.sandbox import (
    customers,
    discounts,
    filter_fields,
    gifts,
    list_filters,
    lists,
    order_items,
    orders,
    referral_holders,
    render,
    stacking,
    validations,
    vouchers,
)
from app.sandbox.clock import iso, parse_time
from app.sandbox.errors import invalid_payload, invalid_query
from app.sandbox.fidelity import documented, inferred
from app.sandbox.ids import tracking_id
from app.sandbox.offers import SCENARIOS, Offer, Question
from app.sandbox.read import AnyRequest, argument, integer, mapping, one_of, page, read_object, text
from app.sandbox.store import TheStore
from app.sandbox.work import Work

_SORTING = ("DEFAULT", "BEST_DEAL", "LEAST_DEAL")
_OPERATORS = ("$is", "$is_not", "$in", "$not_in", "$has_value", "$is_unknown")
_FIELDS = (
    "campaign_id",
    "campaign_type",
    "category_id",
    "code",
    "holder_role",
    "resource_id",
    "resource_type",
    "voucher_type",
)
_STATES = {
    "voucher_disabled": "DISABLED",
    "voucher_expired": "EXPIRED",
    "voucher_not_active": "NOT_ACTIVE_YET",
    "quantity_exceeded": "USED",
}
_MOST = 100
_AT_FIRST = 5
_COUNTED = 1000
"""As many as the microseconds of a cursor below a millisecond can count."""


async def qualify(work: Work, body: dict[str, Any]) -> dict[str, Any]:
    scenario = one_of(body, "scenario", SCENARIOS) or "ALL"
    options = mapping(body, "options")
    limit = integer(options, "limit", least=1, most=_MOST, at=".options") or _AT_FIRST
    after = text(options, "starting_after", at=".options")
    moment = _moment(after) if after is not None and after != "null" else None
    sorting = one_of(options, "sorting_rule", _SORTING, at=".options") or "DEFAULT"
    filters = _read_filters(mapping(options, "filters", at=".options"))
    expand = options.get("expand") or []
    if not isinstance(expand, list):
        raise invalid_payload("Property .options.expand must be array")
    locks = one_of(mapping(body, "session"), "type", ("LOCK",), at=".session") is not None
    given, customer_given = mapping(body, "order"), mapping(body, "customer")
    wanted = orders.read(given, ".order")
    reference = text(customer_given, "id") or text(customer_given, "source_id")
    customer = await customers.find(work, reference) if reference else None
    customer_id = customer["id"] if customer is not None else None
    stored = await orders.find(work, known) if (known := wanted.id or wanted.source_id) else None
    doc = await order_items.resolved(work, wanted.doc, keep=False) if stored is None else {}
    whole = stored["doc"] if stored is not None else orders.merged(None, doc) if given else None
    question = Question(work, scenario, customer, whole, mapping(body, "metadata"))
    offers = [each for each in await question.offers() if _fits(each, filters)]
    page_, next_ = _page(offers, sorting, limit, moment, work)
    shown = [each.shown(customer_id, expand, work.stacking) for each in page_]
    if locks:
        for offer, each in zip(page_, shown, strict=True):
            if "gift" in each["result"] and offer.kind == "voucher":
                each["result"]["gift"]["locked_credits"] = await gifts.locked(work, offer.row, None)
    redeemables: dict[str, Any] = {
        "object": "list",
        "data_ref": "data",
        "data": shown,
        "total": len(page_),
        "has_more": next_ is not None,
    }
    if next_ is not None:
        redeemables["more_starting_after"] = next_
    answer: dict[str, Any] = {"redeemables": redeemables}
    tracking = text(body, "tracking_id") or reference
    if tracking:
        answer["tracking_id"] = tracking_id(tracking)
    if whole is not None:
        answer["order"] = validations.order_shown(whole, customer_id, items=True)
    return {**answer, "stacking_rules": stacking.shown(work.stacking)}


def _page(
    offers: list[Offer], sorting: str, limit: int, after: datetime | None, work: Work
) -> tuple[list[Offer], str | None]:
    """One page, and the cursor of the next if there is one.

    The cursor is a moment. By time it is that of the page's last; what has the same one stays on this page. Sorted by
    what they save, it is the moment of the first question, and its microseconds count what has been shown since.
    """
    if sorting == "DEFAULT":
        before = iso(after) if after is not None else None
        offers = [each for each in offers if before is None or each.created_at < before]
        offers.sort(key=lambda each: (each.created_at, each.id), reverse=True)
        end = limit
        while 0 < end < len(offers) and offers[end].created_at == offers[end - 1].created_at:
            end += 1
        return offers[:end], offers[end - 1].created_at if end < len(offers) else None
    asked, seen = after or work.now, 0
    if after is not None:
        seen = after.microsecond % _COUNTED
    moment = str(iso(asked))
    offers = [each for each in offers if each.created_at <= moment]
    offers.sort(key=lambda each: (each.created_at, each.id), reverse=True)
    offers.sort(key=lambda each: each.saves, reverse=sorting == "BEST_DEAL")
    end = seen + limit
    more = end < min(len(offers), _COUNTED)
    return offers[seen:end], f"{moment.removesuffix('Z')}{end:03d}Z" if more else None


def _read_filters(given: dict[str, Any]) -> tuple[bool, list[tuple[str, str, list[str]]]]:
    """Whether any condition is enough, and the conditions: field, operator, values."""
    junction = str(given.get("junction") or "and").lower()
    if junction not in {"and", "or"}:
        raise invalid_payload("Property .options.filters.junction must be equal to one of the allowed values")
    wanted = []
    for field in given:
        if field == "junction":
            continue
        at = f".options.filters.{field}"
        if field not in _FIELDS:
            raise invalid_payload(f"Property {at} is not a filter")
        for operator, values in mapping(mapping(given, field, at=".options.filters"), "conditions", at=at).items():
            if operator not in _OPERATORS:
                raise invalid_payload(f"Property {at}.conditions.{operator} is not an operator")
            listed = values if isinstance(values, list) else [values]
            wanted.append((field, operator, [str(each) for each in listed]))
    return junction == "or", wanted


def _fits(offer: Offer, filters: tuple[bool, list[tuple[str, str, list[str]]]]) -> bool:
    enough, wanted = filters
    if not wanted:
        return True
    known = offer.values()
    answers = [_holds(known[field], operator, values) for field, operator, values in wanted]
    return any(answers) if enough else all(answers)


def _holds(known: set[str], operator: str, values: list[str]) -> bool:
    if operator == "$has_value":
        return bool(known)
    if operator == "$is_unknown":
        return not known
    among = not known.isdisjoint(values[:1] if operator in {"$is", "$is_not"} else values)
    return among if operator in {"$is", "$in"} else not among


def _moment(value: str) -> datetime:
    try:
        return parse_time(value)
    except (ValueError, OverflowError) as error:
        details = "Property .options.starting_after cannot be recognized as a ISO-8601 compliant date"
        raise invalid_payload(details) from error


@post("/qualifications", status_code=200)
async def check_eligibility(request: AnyRequest, store: TheStore) -> dict[str, Any]:
    body = await read_object(request)
    async with store.work() as work:
        return await qualify(work, body)


@get("/customers/{reference:str}/redeemables")
async def list_redeemables(reference: FromPath[str], request: AnyRequest, store: TheStore) -> dict[str, Any]:
    """The customer's wallet: every voucher that was published to them."""
    limit, _ = page(request)
    wanted = list_filters.read(request, filter_fields.REDEEMABLES)
    sorting, after = argument(request, "order") or "-id", argument(request, "starting_after_id")
    if sorting not in {"id", "-id"}:
        raise invalid_query("Property .order must be equal to one of the allowed values")
    async with store.work() as work:
        customer = await customers.found(work, reference)
        rows = await work.all(
            f"{vouchers.SELECT} WHERE v.holder_id = $1 ORDER BY v.created_at, v.id",
            customer["id"],
        )
        held = [(row, None) for row in rows] + await referral_holders.as_referee(work, customer["id"])
        shown = [each for row, as_ in held if wanted.fits(each := _held(row, work, as_), work.now)]
    total = len(shown)
    if sorting == "-id":
        shown.reverse()
    if after:
        place = next((place for place, each in enumerate(shown) if each["id"] == after), None)
        shown = shown[place + 1 :] if place is not None else []
    return {**lists.by_cursor(shown, limit), "total": total}


def _held(row: asyncpg.Record, work: Work, assignment: asyncpg.Record | None = None) -> dict[str, Any]:
    """A voucher in a wallet; `assignment` is that of a referee."""
    voucher = render.voucher(row, work.config.url)
    refused = discounts.refusal(work, row, row["code"])
    status = _STATES.get(refused.key, "ACTIVE") if refused is not None else "ACTIVE"
    left = (voucher["gift"] or voucher["loyalty_card"] or {}).get("balance")
    if status == "ACTIVE" and left == 0:
        status = "NO_BALANCE"
    held = referral_holders.holder_shown(row, assignment)
    return {
        **{name: value for name, value in held.items() if name not in {"object", "metadata"}},
        "redeemable": {
            "type": "voucher",
            "voucher": voucher,
            "status": status,
        },
    }


router = Router("/", route_handlers=[check_eligibility, list_redeemables])

FIDELITY = (
    documented(
        "**Qualifications**: every scenario; filters, sorting, `expand`, pages by `created_at`; limits of how often "
        "something is redeemed are not asked"
    ),
    inferred(
        "`total` counts the page; what was made in one moment stays on one page; in a list that is sorted by savings "
        "the cursor counts, up to 1000, what was shown; a `limit` up to 100 is taken (documented: 50); nothing "
        "is cached"
    ),
    documented("**The wallet** of a customer (`/redeemables`) with the state of each voucher"),
)
