"""A programme's parts in Voucherify's words: the bodies of the calls that make them. Pure.

What a part refers to by name goes in by id; `ids` knows them. While a plan is made some are not known yet, and then
`ids` gives a word in the place of the id.
"""

from typing import Any

from app.programmes import loyalty_bodies
from app.programmes.format_campaigns import (
    Campaign,
    Discount,
    Gift,
    Gives,
    Loyalty,
    Promotion,
    PromotionTier,
    Referral,
    ReferrerGets,
)
from app.programmes.format_things import Condition, Event, Product, Reward, Segment, ValidationRule
from app.programmes.loyalty_bodies import Ids, moment, validity

TYPES = {
    "loyalty": "LOYALTY_PROGRAM",
    "discount": "DISCOUNT_COUPONS",
    "gift": "GIFT_VOUCHERS",
    "promotion": "PROMOTION",
    "referral": "REFERRAL_PROGRAM",
}
ABOUT_PRODUCTS = frozenset({"order.items.any", "order.items.every", "order.items.none", "product.id"})
"""Conditions whose values are products."""
_OPERATORS = {
    "is": "$is",
    "is_not": "$is_not",
    "in": "$in",
    "not_in": "$not_in",
    "less_than": "$less_than",
    "at_most": "$less_than_or_equal",
    "more_than": "$more_than",
    "at_least": "$more_than_or_equal",
    "starts_with": "$starts_with",
    "ends_with": "$ends_with",
    "contains": "$contains",
    "after": "$after",
    "before": "$before",
}


def kind_of(campaign: Campaign) -> str:
    """`loyalty`, `discount`, …"""
    return str(type(campaign).__struct_config__.tag)


def product(part: Product) -> dict[str, Any]:
    body: dict[str, Any] = {"source_id": part.source_id, "name": part.name}
    optional = {"price": part.price_minor_units, "image_url": part.image_url, "metadata": part.metadata or None}
    return body | {name: value for name, value in optional.items() if value is not None}


def metadata_schema(resource: str, properties: dict[str, Any]) -> dict[str, Any]:
    return {"related_object": resource, "properties": dict(properties)}


def event_schema(event: Event) -> dict[str, Any]:
    return {"related_object": "custom_event", "name": event.name, "properties": dict(event.metadata)}


# --- conditions


def segment(part: Segment) -> dict[str, Any]:
    conditions: dict[str, Any] = {}
    for each in part.all_of or part.any_of:
        fields = conditions.setdefault(_field(each), {"conditions": {}})["conditions"]
        fields |= {_OPERATORS[word]: _listed(value) for word, value in each.given().items()}
    return {
        "name": part.name,
        "type": "auto-update" if part.watched else "passive",
        "filter": {"junction": "and" if part.all_of else "or", **conditions},
    }


def _field(condition: Condition) -> str:
    return f"{condition.what}.{condition.property}" if condition.property else condition.what


def validation_rule(part: ValidationRule, ids: Ids) -> dict[str, Any]:
    conditions = part.all_of or part.any_of
    rules: dict[str, Any] = {str(place): _rule(each, ids) for place, each in enumerate(conditions, 1)}
    rules["logic"] = (" and " if part.all_of else " or ").join(str(place) for place in range(1, len(conditions) + 1))
    body: dict[str, Any] = {"name": part.name, "context_type": part.context, "rules": rules}
    return body | ({"error": {"message": part.message}} if part.message else {})


def _rule(condition: Condition, ids: Ids) -> dict[str, Any]:
    (word, given), values = next(iter(condition.given().items())), []
    for value in _listed(given):
        if condition.what == "customer.segment":
            value = ids("segment", value)
        elif condition.what in ABOUT_PRODUCTS:
            value = {"object": "product", "id": ids("product", value), "source_id": value}
        elif isinstance(value, str) and word in {"after", "before"}:
            value = moment(value)
        values.append(value)
    named = {"property": condition.property} if condition.property else {}
    return {"name": condition.what, **named, "rules": {}, "conditions": {_OPERATORS[word]: values}}


def _listed(value: Any) -> list[Any]:
    values = value if isinstance(value, list) else [value]
    return [int(each) if isinstance(each, float) and each.is_integer() else each for each in values]


# --- campaigns


def campaign(part: Campaign, ids: Ids) -> dict[str, Any]:
    kind = kind_of(part)
    body: dict[str, Any] = {
        "name": part.name,
        "campaign_type": TYPES[kind],
        "type": "AUTO_UPDATE",
        "active": part.active,
        **validity(part),
    }
    body |= {name: value for name, value in (("description", part.description), ("metadata", part.metadata)) if value}
    if isinstance(part, Promotion):
        return body | {"type": "STATIC", "promotion": {"tiers": [promotion_tier(tier, ids) for tier in part.tiers]}}
    if part.number_of_codes is not None:
        body |= {"type": "STATIC", "vouchers_count": part.number_of_codes}
    if part.usable_days is not None:
        body["activity_duration_after_publishing"] = f"P{part.usable_days}D"
    return body | _by_kind(part, ids)


def _by_kind(part: Loyalty | Discount | Gift | Referral, ids: Ids) -> dict[str, Any]:
    voucher: dict[str, Any] = {"code_config": {"pattern": part.codes}} if part.codes else {}
    if isinstance(part, Loyalty):
        card: dict[str, Any] = {"points": part.welcome_points}
        if part.points_expire is not None:
            card["expiration_rules"] = loyalty_bodies.expiration(part.points_expire)
        voucher |= {"type": "LOYALTY_CARD", "loyalty_card": card}
        body: dict[str, Any] = {"join_once": True, "auto_join": part.joins_by_earning, "voucher": voucher}
        return body | (
            {"loyalty_tiers_expiration": loyalty_bodies.tier_rules(part.tier_rules)} if part.tier_rules else {}
        )
    if isinstance(part, Gift):
        voucher |= {"type": "GIFT_VOUCHER", "gift": {"amount": part.amount_minor_units, "effect": "APPLY_TO_ORDER"}}
        return {"join_once": part.one_per_member, "voucher": voucher}
    gives = part.gives if isinstance(part, Discount) else part.friend_gets
    voucher |= {"type": "DISCOUNT_VOUCHER", "discount": discount(gives, ids)}
    if part.redemptions_per_code is not None:
        voucher["redemption"] = {"quantity": part.redemptions_per_code}
    if isinstance(part, Discount):
        return {"join_once": part.one_per_member, "voucher": voucher}
    # Everybody has one code to give to friends.
    return {
        "join_once": True,
        "voucher": {**voucher, "is_referral_code": True},
        "referral_program": _referral(part, ids),
    }


def _referral(part: Referral, ids: Ids) -> dict[str, Any]:
    program: dict[str, Any] = {
        "conversion_event_type": "redemption" if part.converts_by == "redemption" else "custom_event"
    }
    if part.event is not None:
        program["custom_event"] = {"name": part.event}
        # A word in brackets stands for an id that is not known: then the name has to do.
        if not (identifier := ids("event", part.event)).startswith("("):
            program["custom_event"]["id"] = identifier
    if (earns := part.friend_earns) is not None:
        parent = {"id": ids("campaign", earns.campaign), "name": earns.campaign, "object": "CAMPAIGN"}
        program["referee_reward"] = {
            "related_object_parent": parent,
            "type": "LOYALTY_CARD" if earns.points is not None else "GIFT_VOUCHER",
            "amount": earns.points if earns.points is not None else earns.credits_minor_units,
        }
    return program


def referral_tier(gets: ReferrerGets) -> dict[str, Any]:
    """What the one who brings friends gets, as the sandbox takes it: Voucherify has no call for it."""
    amount = {"points": gets.points} if gets.points is not None else {"credits": gets.credits_minor_units}
    at = {"referees": gets.at_friends} if gets.at_friends is not None else {}
    return {"name": gets.name, **at, "reward": {"campaign": {"name": gets.campaign}, **amount}}


def discount(gives: Gives, ids: Ids) -> dict[str, Any]:
    if gives.free_product is not None:
        return {
            "type": "UNIT",
            "effect": "ADD_MISSING_ITEMS",
            "unit_off": gives.free_units,
            "unit_type": ids("product", gives.free_product),
        }
    if gives.percent_off is None:
        return {"type": "AMOUNT", "effect": "APPLY_TO_ORDER", "amount_off": gives.amount_off_minor_units}
    percent = gives.percent_off
    limit = {"amount_limit": gives.at_most_minor_units} if gives.at_most_minor_units is not None else {}
    whole = int(percent) if percent == int(percent) else percent
    return {"type": "PERCENT", "effect": "APPLY_TO_ORDER", "percent_off": whole, **limit}


def promotion_tier(tier: PromotionTier, ids: Ids) -> dict[str, Any]:
    body: dict[str, Any] = {
        "name": tier.name,
        "banner": tier.banner or tier.name,
        "action": {"discount": discount(tier.gives, ids)},
        "active": tier.active,
        "metadata": tier.metadata,
    }
    if tier.place is not None:
        body["hierarchy"] = tier.place
    if tier.only_if:
        body["validation_rules"] = [ids("validation rule", name) for name in tier.only_if]
    return body


# --- rewards


def reward(part: Reward, ids: Ids) -> dict[str, Any]:
    body: dict[str, Any] = {"name": part.name, "type": "CAMPAIGN"}
    if part.pay_with_points is not None:
        ratio = {
            "exchange_ratio": part.pay_with_points.are_worth_major_units,
            "points_ratio": part.pay_with_points.points,
        }
        body |= {"type": "COIN", "parameters": {"coin": ratio}}
    elif part.product is not None:
        body |= {"type": "MATERIAL", "parameters": {"product": {"id": ids("product", part.product)}}}
    else:
        named = part.coupon_of or part.gift_card_of or part.points_of or ""
        balance = part.credits_minor_units if part.credits_minor_units is not None else part.points
        more = {"balance": balance} if balance is not None else {}
        body["parameters"] = {"campaign": {"id": ids("campaign", named), **more}}
    if part.stock is not None:
        body["stock"] = part.stock
    attributes = {"description": part.description, "image_url": part.image_url}
    if shown := {name: value for name, value in attributes.items() if value is not None}:
        body["attributes"] = shown
    return body | ({"metadata": part.metadata} if part.metadata else {})
