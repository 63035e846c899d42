"""What is inside a loyalty campaign, in Voucherify's words: the bodies of the calls that make it. Pure."""

from collections.abc import Callable
from typing import Any

from app.programmes.format_campaigns import Campaign, EarningRule, Mapped, PointsExpire, Price, Tier, TierRules

Ids = Callable[[str, str], str]
"""The id of a thing, by its kind (`campaign`, `reward`, `segment`, …) and its name."""

_ROUNDING = {
    "end of month": "END_OF_MONTH",
    "end of quarter": "END_OF_QUARTER",
    "end of half year": "END_OF_HALF_YEAR",
    "end of year": "END_OF_YEAR",
}
_PERIODS = {"month": "MONTH", "quarter": "QUARTER", "half year": "HALF_YEAR", "year": "YEAR"}
_TIER_ENDS = {"end of period": "END_OF_PERIOD", "end of next period": "END_OF_NEXT_PERIOD"}


def moment(date: str) -> str:
    """`2027-01-31` is that day's first moment, in UTC."""
    return date if "T" in date else f"{date}T00:00:00.000Z"


def validity(part: Campaign | EarningRule) -> dict[str, Any]:
    dates = {"start_date": part.starts, "expiration_date": part.ends}
    return {name: moment(date) for name, date in dates.items() if date is not None}


def expiration(part: PointsExpire) -> dict[str, Any]:
    rounding = {"rounding_type": _ROUNDING[part.rounded_to]} if part.rounded_to else {}
    return {"period_type": "MONTH", "period_value": part.after_months, **rounding}


def earning_rule(part: EarningRule, ids: Ids) -> dict[str, Any]:
    when = part.when
    body: dict[str, Any] = {"event": "order.paid"}
    if when.event is not None:
        body = {"event": when.event, "custom_event": {"schema_id": ids("event", when.event)}}
    elif when.enters_segment is not None:
        body = {"event": "customer.segment.entered", "segment": {"id": ids("segment", when.enters_segment)}}
    elif when.tier is not None:
        body = {"event": f"customer.loyalty.tier.{when.tier}", "loyalty_tier": {"id": "__ANY__"}}
    body |= {"loyalty": _points(part, ids), "source": {"banner": part.banner}, "active": part.active, **validity(part)}
    if part.only_if is not None:
        body["validation_rule_id"] = ids("validation rule", part.only_if)
    if part.pending_days is not None:
        body["pending_points"] = {"period_type": "DAY", "period_value": part.pending_days}
    return body | ({"metadata": part.metadata} if part.metadata else {})


def _points(part: EarningRule, ids: Ids) -> dict[str, Any]:
    per = part.per
    if per is None:
        return {"type": "FIXED", "points": part.points}
    step: dict[str, Any] = {"every": per.every_minor_units or per.every, "points": part.points}
    calculation, section, field = _BASES[per.of]
    if per.key is not None:
        step["property"] = per.key
    if per.products:
        # The items' steps name what counts beside themselves.
        step |= {"object": "product", "id": ids("product", per.products[0])}
        if len(per.products) > 1:
            del step["id"], step["object"]
            step["applicable_to"] = [{"object": "product", "id": ids("product", name)} for name in per.products]
    return {"type": "PROPORTIONAL", "calculation_type": calculation, section: {field: step}}


_BASES: dict[str, tuple[str, str, str]] = {
    "order total": ("ORDER_TOTAL_AMOUNT", "order", "total_amount"),
    "order before discounts": ("ORDER_AMOUNT", "order", "amount"),
    "order metadata": ("ORDER_METADATA", "order", "metadata"),
    "customer metadata": ("CUSTOMER_METADATA", "customer", "metadata"),
    "event metadata": ("CUSTOM_EVENT_METADATA", "custom_event", "metadata"),
    "quantity of products": ("ORDER_ITEMS_QUANTITY", "order_items", "quantity"),
    "amount of products": ("ORDER_ITEMS_SUBTOTAL_AMOUNT", "order_items", "subtotal_amount"),
    "amount of products before discounts": ("ORDER_ITEMS_AMOUNT", "order_items", "amount"),
}


def price(part: Price, ids: Ids) -> dict[str, Any]:
    loyalty: dict[str, Any] = {"points": part.points}
    if part.redeemed_by_itself:
        loyalty["auto_redeem"] = True
    return {"reward": ids("reward", part.reward), "parameters": {"loyalty": loyalty}}


def tier(part: Tier, campaign_name: str, ids: Ids) -> dict[str, Any]:
    points: dict[str, Any] = {"from": part.from_points}
    if part.to_points is not None:
        points["to"] = part.to_points
    body: dict[str, Any] = {"name": part.name, "points": points}
    for word, kind, changes in (("earning_rules", "earning rule", part.earning), ("rewards", "price", part.prices)):
        if changes:
            body[word] = {ids(kind, f"{campaign_name}/{name}"): _mapped(each) for name, each in changes.items()}
    return body | ({"metadata": part.metadata} if part.metadata else {})


def _mapped(part: Mapped) -> dict[str, Any]:
    if part.points is not None:
        return {"type": "CUSTOM", "points": part.points}
    assert part.times is not None
    return {"type": "MULTIPLY", "multiplier": int(part.times) if part.times == int(part.times) else part.times}


def tier_rules(part: TierRules) -> dict[str, Any]:
    if part.counts == "balance":
        body: dict[str, Any] = {"qualification_type": "BALANCE", "start_date": {"type": "IMMEDIATE"}}
    else:
        body = {
            "qualification_type": "POINTS_IN_PERIOD",
            "qualification_period": _PERIODS[part.period or "year"],
            "start_date": {"type": "IMMEDIATE" if part.begins == "at once" else "NEXT_PERIOD"},
        }
    if part.ends == "after months":
        return body | {"expiration_date": {"type": "CUSTOM", "extend": f"P{part.months}M"}}
    return body | {"expiration_date": {"type": _TIER_ENDS.get(part.ends, "BALANCE_DROP")}}
