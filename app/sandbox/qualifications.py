"""Qualifications: what a customer could use, on this order or by who they are.

documented: the scenarios ALL, CUSTOMER_WALLET and AUDIENCE_ONLY, `expand`, the filters, the sorting rules, `limit` of 5
at first, paging by `created_at`, the states in a customer's wallet. inferred: a `limit` up to 100 is taken, for the
reference apps send it; a loyalty card shows its points; ALL offers what is the customer's, codes that stand alone and
promotions; AUDIENCE_ONLY asks no rules about the order and offers campaigns too, of which a code could be published;
nothing is cached.
"""

from collections.abc import Mapping
from typing import Any

import asyncpg
from litestar import Router, get, post
from litestar.params import FromPath

from app.sandbox import (
    customers,
    discounts,
    effects,
    filter_fields,
    list_filters,
    order_items,
    orders,
    promotion_tiers,
    render,
    validations,
    validity,
    vouchers,
)
from app.sandbox.clock import iso, parse_time
from app.sandbox.discounts import STACKING_RULES, Outcome, Redeemable
from app.sandbox.errors import Failure, NotEmulated, invalid_payload, invalid_query
from app.sandbox.fidelity import documented, inferred
from app.sandbox.ids import stable_id, tracking_id
from app.sandbox.read import AnyRequest, argument, integer, mapping, one_of, page, read_object, text
from app.sandbox.store import TheStore
from app.sandbox.work import Work

SCENARIOS = ("ALL", "CUSTOMER_WALLET", "AUDIENCE_ONLY")
_ALL_SCENARIOS = (
    *SCENARIOS,
    "PRODUCTS",
    "PRODUCTS_DISCOUNT",
    "PROMOTION_STACKS",
    "PRODUCTS_BY_CUSTOMER",
    "PRODUCTS_DISCOUNT_BY_CUSTOMER",
)
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
_ABOUT_ORDERS = {"missing_amount", "missing_order", "missing_order_items", "order_rules_violated"}
_MOST = 100
_AT_FIRST = 5


async def qualify(work: Work, body: dict[str, Any]) -> dict[str, Any]:
    scenario = one_of(body, "scenario", _ALL_SCENARIOS) or "ALL"
    if scenario not in SCENARIOS:
        raise NotEmulated(f"Qualification by the scenario {scenario}")
    options = mapping(body, "options")
    limit = integer(options, "limit", least=1, most=_MOST, at=".options") or _AT_FIRST
    after = text(options, "starting_after", at=".options")
    sorting = one_of(options, "sorting_rule", _SORTING, at=".options") or "DEFAULT"
    filters = _read_filters(mapping(options, "filters", at=".options"))
    expand = options.get("expand") or []
    if not isinstance(expand, list):
        raise invalid_payload("Property .options.expand must be array")
    given, customer_given = mapping(body, "order"), mapping(body, "customer")
    wanted = orders.read(given, ".order")
    reference = text(customer_given, "id") or text(customer_given, "source_id")
    customer = await customers.find(work, reference) if reference else None
    customer_id = customer["id"] if customer is not None else None
    stored = await orders.find(work, known) if (known := wanted.id or wanted.source_id) else None
    doc = await order_items.resolved(work, wanted.doc, keep=False) if stored is None else {}
    whole = stored["doc"] if stored is not None else orders.merged(None, doc) if given else None
    offers = [
        each
        for each in await _offers(work, scenario, customer, whole)
        if _fits(each, filters) and (after is None or each.created_at < _moment(after))
    ]
    if sorting == "DEFAULT":
        offers.sort(key=lambda each: (each.created_at, each.id), reverse=True)
    else:
        offers.sort(key=lambda each: each.saves, reverse=sorting == "BEST_DEAL")
    page_, more = offers[:limit], len(offers) > limit
    # The cursor is a moment: what has the same one as the page's last stays on this page.
    while (
        more
        and sorting == "DEFAULT"
        and len(page_) < len(offers)
        and (offers[len(page_)].created_at == page_[-1].created_at)
    ):
        page_ = offers[: len(page_) + 1]
        more = len(offers) > len(page_)
    redeemables: dict[str, Any] = {
        "object": "list",
        "data_ref": "data",
        "data": [each.shown(customer_id, expand) for each in page_],
        "total": len(page_),
        "has_more": more,
    }
    if more:
        redeemables["more_starting_after"] = page_[-1].created_at
    answer: dict[str, Any] = {"redeemables": redeemables}
    tracking = text(body, "tracking_id") or reference
    if tracking:
        answer["tracking_id"] = tracking_id(tracking)
    if whole is not None:
        answer["order"] = validations.order_shown(whole, customer_id, items=True)
    return {**answer, "stacking_rules": STACKING_RULES}


class Offer:
    """One redeemable that the customer qualifies for."""

    def __init__(self, kind: str, identifier: str, row: Mapping[str, Any], outcome: Outcome) -> None:
        self.kind, self.id, self.row, self.outcome = kind, identifier, row, outcome
        self.created_at = str(iso(row["created_at"]))

    @property
    def saves(self) -> int:
        return int((self.outcome.order or {}).get("total_applied_discount_amount", 0))

    def values(self) -> dict[str, str | None]:
        """What the filters ask about."""
        row = self.row
        voucher = self.kind == "voucher"
        return {
            "campaign_id": row["id"] if self.kind == "campaign" else row["campaign_id"],
            "campaign_type": "PROMOTION" if self.kind == "promotion_tier" else row["campaign_type"],
            "category_id": None,
            "code": row["code"] if voucher else None,
            "holder_role": "OWNER" if voucher and row["holder_id"] else None,
            "resource_id": row["id"],
            "resource_type": self.kind,
            "voucher_type": row["type"] if voucher else (row["doc"].get("voucher") or {}).get("type"),
        }

    def shown(self, customer_id: str | None, expand: list[Any]) -> dict[str, Any]:
        effect = validations.effect_shown(self.outcome, customer_id, items=True)
        row = self.row
        if self.kind == "campaign":
            effect = {name: value for name, value in effect.items() if not name.startswith("campaign_")}
            effect["name"] = row["name"]
        elif self.kind == "voucher" and row["type"] == "LOYALTY_CARD":
            sums = render.loyalty_card(row)
            effect["result"] = {"loyalty_card": {"points": sums["balance"]}}
        elif self.kind == "voucher" and row["type"] == "GIFT_VOUCHER":
            effect["result"]["gift"]["balance"] = render.gift(row)["balance"]
        rules = {"validation_rules_assignments": render.empty_list()} if "validation_rules" in expand else {}
        return {"id": self.id, "object": self.kind, "created_at": self.created_at, **effect, **rules}


async def _offers(
    work: Work, scenario: str, customer: asyncpg.Record | None, order: dict[str, Any] | None
) -> list[Offer]:
    found: list[Offer] = []
    for row in await _vouchers(work, customer, alone=scenario != "CUSTOMER_WALLET"):
        if row["type"] == "LOYALTY_CARD":
            if discounts.refusal(row, row["code"], work.now) is None:
                found.append(Offer("voucher", row["code"], row, Outcome(row["code"], row, order, None)))
            continue
        outcome = await _tried(work, Redeemable("voucher", row["code"]), order, customer, scenario)
        if outcome is not None:
            found.append(Offer("voucher", row["code"], row, outcome))
    if scenario == "CUSTOMER_WALLET":
        return found
    for tier in await promotion_tiers.available(work):
        outcome = await _tried(work, Redeemable("promotion_tier", tier["id"]), order, customer, scenario)
        if outcome is not None:
            found.append(Offer("promotion_tier", tier["id"], tier, outcome))
    if scenario == "AUDIENCE_ONLY":
        found += await _campaigns(work, order)
    return found


async def _vouchers(work: Work, customer: asyncpg.Record | None, *, alone: bool) -> list[asyncpg.Record]:
    """The customer's own vouchers, and those that stand alone and are nobody's."""
    return await work.all(
        f"{vouchers.SELECT} WHERE v.active AND coalesce(c.active, true) AND (v.holder_id = $1 OR ($2 "
        "AND v.holder_id IS NULL AND (v.campaign_id IS NULL OR c.doc ->> 'type' = 'STANDALONE'))) "
        "ORDER BY v.created_at DESC, v.id DESC",
        customer["id"] if customer is not None else None,
        alone,
    )


async def _tried(
    work: Work, wanted: Redeemable, order: dict[str, Any] | None, customer: asyncpg.Record | None, scenario: str
) -> Outcome | None:
    """What this would do, if it may be used: a reason that only the order gives does not count for AUDIENCE_ONLY."""
    [outcome] = await discounts.evaluate(work, [wanted], order, customer=customer)
    if outcome.applies:
        return outcome
    about_order = outcome.error is not None and outcome.error.key in _ABOUT_ORDERS
    if about_order and (scenario == "AUDIENCE_ONLY" or order is None):
        return Outcome(outcome.code, outcome.voucher, None, None, kind=outcome.kind, tier=outcome.tier)
    return None


async def _campaigns(work: Work, order: dict[str, Any] | None) -> list[Offer]:
    """Campaigns of which a code could be published to the customer."""
    rows = await work.all(
        "SELECT *, id AS campaign_id, name AS campaign FROM campaign "
        "WHERE active AND campaign_type IN ('DISCOUNT_COUPONS', 'GIFT_VOUCHERS') AND doc ->> 'type' <> 'STANDALONE'"
    )
    found = []
    for row in rows:
        if validity.state(row["doc"], work.now) is not None:
            continue
        template = row["doc"]["voucher"]
        gift = template.get("gift")
        # As the code that it would publish: a voucher that nobody has and that is worth what the template says.
        code = {**row, "type": template["type"], "doc": {**row["doc"], "discount": template.get("discount")}}
        try:
            if gift:
                credits_ = min(gift["amount"], effects.left(order)) if order is not None else gift["amount"]
                after = effects.off_order(order, credits_) if order is not None else None
                outcome = Outcome(row["id"], code, after, None, credits=credits_)
            else:
                after = await discounts.taken_off(work, order, template["discount"]) if order is not None else None
                outcome = Outcome(row["id"], code, after, None)
        except Failure:
            outcome = Outcome(row["id"], code, None, None)
        found.append(Offer("campaign", row["id"], row, outcome))
    return found


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


def _holds(value: str | None, operator: str, values: list[str]) -> bool:
    if operator == "$has_value":
        return value is not None
    if operator == "$is_unknown":
        return value is None
    among = value in (values[:1] if operator in {"$is", "$is_not"} else values)
    return among if operator in {"$is", "$in"} else not among


def _moment(value: str) -> str:
    try:
        return str(iso(parse_time(value)))
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
        shown = [held for row in rows if wanted.fits(held := _held(row, customer["id"], work), work.now)]
    total = len(shown)
    if sorting == "-id":
        shown.reverse()
    if after:
        place = next((place for place, each in enumerate(shown) if each["id"] == after), None)
        shown = shown[place + 1 :] if place is not None else []
    return {**render.cursor_list(shown, limit), "total": total}


def _held(row: asyncpg.Record, customer_id: str, work: Work) -> dict[str, Any]:
    voucher = render.voucher(row, work.config.url)
    refused = discounts.refusal(row, row["code"], work.now)
    status = _STATES.get(refused.key, "ACTIVE") if refused is not None else "ACTIVE"
    left = (voucher["gift"] or voucher["loyalty_card"] or {}).get("balance")
    if status == "ACTIVE" and left == 0:
        status = "NO_BALANCE"
    return {
        "id": stable_id("rh", f"{row['id']} {customer_id}"),
        "created_at": voucher["updated_at"] or voucher["created_at"],
        "redeemable_id": row["id"],
        "redeemable_object": "voucher",
        "customer_id": customer_id,
        "holder_role": "OWNER",
        "campaign_id": row["campaign_id"],
        "campaign_type": row["campaign_type"],
        "voucher_type": row["type"],
        "redeemable": {
            "type": "voucher",
            "voucher": voucher,
            "status": status,
        },
    }


router = Router("/", route_handlers=[check_eligibility, list_redeemables])

FIDELITY = (
    documented(
        "**Qualifications**: `ALL`, `CUSTOMER_WALLET`, `AUDIENCE_ONLY`; filters, sorting, `expand`, pages "
        "by `created_at`"
    ),
    inferred(
        "`ALL` offers what the customer holds, codes that stand alone and promotions, `AUDIENCE_ONLY` "
        "campaigns as well; `total` counts the page; what was made in one moment stays on one page; a "
        "`limit` up to 100 is taken (documented: 50); nothing is cached"
    ),
    documented("**The wallet** of a customer (`/redeemables`) with the state of each voucher"),
)
