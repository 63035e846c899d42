"""The shapes of requests for the sandbox's OpenAPI document, by method and address. Nothing is checked by them.

documented: the names and types. They are for people and for generators of requests; what a handler reads, it checks.
"""

from typing import Any, Final

Schema = dict[str, Any]
TEXT: Final[Schema] = {"type": "string"}
NAME: Final[Schema] = {"type": "string", "minLength": 1, "maxLength": 255}
COUNT: Final[Schema] = {"type": "integer", "minimum": 0, "maximum": 2**31 - 1}
FLAG: Final[Schema] = {"type": "boolean"}
POINTS: Final[Schema] = {"type": "integer", "minimum": 1, "maximum": 1_000_000}
METADATA: Final[Schema] = {"type": "object"}


def one_of(*values: str) -> Schema:
    return {"type": "string", "enum": list(values)}


def a(required: tuple[str, ...] = (), /, **properties: Schema) -> Schema:
    """An object with these properties."""
    return {"type": "object", "properties": properties, **({"required": list(required)} if required else {})}


def some(item: Schema) -> Schema:
    return {"type": "array", "items": item, "minItems": 1, "maxItems": 5}


def either(*schemas: Schema) -> Schema:
    return {"anyOf": list(schemas)}


ADDRESS = a(city=TEXT, state=TEXT, line_1=TEXT, line_2=TEXT, country=TEXT, postal_code=TEXT)
CUSTOMER = a(
    source_id=NAME,
    name=TEXT,
    description=TEXT,
    email=TEXT,
    phone=TEXT,
    birthdate={"type": "string", "format": "date"},
    address=ADDRESS,
    metadata=METADATA,
)
WHO = either(a(("source_id",), source_id=NAME), a(("id",), id=NAME), CUSTOMER)
ITEM = a(
    source_id=TEXT,
    product_id=TEXT,
    sku_id=TEXT,
    related_object=one_of("product", "sku"),
    quantity=COUNT,
    price=COUNT,
    amount=COUNT,
    product=a(name=TEXT, price=COUNT, metadata=METADATA, override=FLAG),
)
STATUS = one_of("CREATED", "PAID", "CANCELED", "FULFILLED")
ORDER = a(source_id=NAME, status=STATUS, amount=COUNT, items=some(ITEM), metadata=METADATA, customer=WHO)
REDEEMABLE = a(
    ("object", "id"),
    object=one_of("voucher", "promotion_tier", "promotion_stack"),
    id=NAME,
    reward=a(id=NAME, points=POINTS),
    gift=a(credits=COUNT),
)
REDEEM = a(
    ("redeemables",), redeemables=some(REDEEMABLE), order=ORDER, customer=WHO, metadata=METADATA, tracking_id=TEXT
)
DISCOUNT = a(
    ("type",),
    type=one_of("AMOUNT", "PERCENT", "UNIT", "FIXED"),
    amount_off=COUNT,
    percent_off={"type": "number", "minimum": 0, "maximum": 100},
    amount_limit=COUNT,
    effect=TEXT,
)
VOUCHER = a(
    type=one_of("DISCOUNT_VOUCHER", "LOYALTY_CARD", "GIFT_VOUCHER"),
    discount=DISCOUNT,
    loyalty_card=a(points=COUNT),
    gift=a(amount=COUNT),
    redemption=a(quantity=COUNT),
    is_referral_code=FLAG,
    code_config=a(pattern=TEXT, length=COUNT, charset=TEXT, prefix=TEXT, postfix=TEXT),
)
IMPORTED = a(
    ("code",),
    code=NAME,
    type=one_of("DISCOUNT_VOUCHER", "GIFT_VOUCHER"),
    discount=DISCOUNT,
    gift=a(amount=COUNT),
    loyalty_card=a(points=COUNT),
    redemption=a(quantity=COUNT),
    category=TEXT,
    active=FLAG,
    metadata=METADATA,
)
CAMPAIGN = a(
    ("name",),
    name=NAME,
    campaign_type=one_of("DISCOUNT_COUPONS", "GIFT_VOUCHERS", "LOYALTY_PROGRAM", "PROMOTION", "REFERRAL_PROGRAM"),
    type=one_of("AUTO_UPDATE", "STATIC", "STANDALONE"),
    join_once=FLAG,
    auto_join=FLAG,
    vouchers_count={"type": "integer", "minimum": 0, "maximum": 5},
    voucher=VOUCHER,
    referral_program=a(
        conversion_event_type=one_of("redemption", "custom_event"), custom_event=a(("name",), name=NAME)
    ),
    start_date={"type": "string", "format": "date-time"},
    expiration_date={"type": "string", "format": "date-time"},
    metadata=METADATA,
)
STEP = a(("every", "points"), every=POINTS, points=POINTS)
RULE = a(
    ("event", "loyalty"),
    event=either(one_of("order.paid"), NAME),
    loyalty=either(
        a(("type", "points"), type=one_of("FIXED"), points=POINTS),
        a(
            ("type", "calculation_type", "order"),
            type=one_of("PROPORTIONAL"),
            calculation_type=one_of("ORDER_AMOUNT", "ORDER_TOTAL_AMOUNT"),
            order=a(amount=STEP, total_amount=STEP),
        ),
    ),
    source=a(banner=TEXT),
    active=FLAG,
)
PRICE = a(loyalty=a(points=POINTS, auto_redeem=FLAG))
REWARD = a(
    name=TEXT,
    type=one_of("CAMPAIGN", "COIN", "MATERIAL"),
    parameters=either(
        a(campaign=a(id=NAME, type=TEXT, balance=COUNT)),
        a(coin=a(exchange_ratio={"type": "number"}, points_ratio=POINTS)),
        a(product=a(id=NAME, sku_id=TEXT)),
    ),
    stock=COUNT,
    attributes=a(image_url=TEXT, description=TEXT),
    metadata=METADATA,
)
MEMBERSHIP = a(customer=either(NAME, WHO), voucher=NAME, metadata=METADATA)
BALANCE = a(
    ("points",),
    points={"type": "integer", "minimum": -(10**6), "maximum": 10**6},
    reason=TEXT,
    source_id=TEXT,
    expiration_type=one_of("PROGRAM_RULES", "CUSTOM_DATE", "NON_EXPIRING"),
)
PURCHASE = a(("reward",), reward=a(("id",), id=NAME, points=POINTS), order=ORDER, metadata=METADATA)

HOLDERS = a(("holders",), holders=some(WHO), metadata=METADATA)
LEVEL = a(("name", "reward"), name=NAME, referees=POINTS, reward=a(("campaign",), campaign=NAME, points=POINTS))

_MOMENT: Final[Schema] = {"type": "string", "format": "date-time"}
CATEGORY = a(("name", "hierarchy"), name=NAME, hierarchy=COUNT)
_STACK: dict[str, Schema] = {"name": NAME, "tiers": a(("ids",), ids=some(NAME)), "category_id": NAME}
_MEMBER = ("/v1/loyalties/members/{reference}", "/v1/loyalties/{campaign}/members/{reference}")
BODIES: Final[dict[str, Schema]] = {
    "POST /v1/customers": CUSTOMER,
    "PUT /v1/customers/{reference}": CUSTOMER,
    "POST /v1/orders": ORDER,
    "PUT /v1/orders/{reference}": ORDER,
    "POST /v1/products": a(
        source_id=NAME, name=TEXT, price=COUNT, attributes=some(TEXT), metadata=METADATA, image_url=TEXT
    ),
    "POST /v1/events": a(
        ("event", "customer"), event=NAME, customer=WHO, metadata=METADATA, loyalty=a(code=TEXT), referral=a(code=TEXT)
    ),
    "POST /v1/campaigns": CAMPAIGN,
    "POST /v1/loyalties": CAMPAIGN,
    "POST /v1/loyalties/{campaign}/members": MEMBERSHIP,
    "POST /v1/loyalties/{campaign}/earning-rules": some(RULE),
    "POST /v1/loyalties/{campaign}/rewards": some(a(("reward",), reward=NAME, parameters=PRICE)),
    "PUT /v1/loyalties/{campaign}/rewards/{assignment}": a(parameters=PRICE),
    "POST /v1/rewards": REWARD,
    "PUT /v1/rewards/{reference}": REWARD,
    "POST /v1/rewards/{reward}/assignments": a(("campaign",), campaign=NAME, parameters=PRICE),
    "PUT /v1/rewards/{reward}/assignments/{assignment}": a(parameters=PRICE),
    "POST /v1/publications": a(
        ("customer",),
        campaign=either(NAME, a(name=NAME, count={"type": "integer", "minimum": 1, "maximum": 5})),
        voucher=NAME,
        customer=WHO,
        source_id=NAME,
        join_once=FLAG,
        metadata=METADATA,
    ),
    "POST /v1/referrals/members/{reference}/holders": HOLDERS,
    "POST /v1/referrals/{campaign}/members/{reference}/holders": HOLDERS,
    "POST /v1/categories": CATEGORY,
    "PUT /v1/categories/{reference}": CATEGORY,
    "POST /v1/promotions/{campaign}/stacks": a(("name", "tiers"), **_STACK),
    "PUT /v1/promotions/{campaign}/stacks/{stack}": a(**_STACK),
    "POST /v1/qualifications": a(
        scenario=one_of("ALL", "AUDIENCE_ONLY", "PROMOTION_STACKS", "PRODUCTS", "PRODUCTS_DISCOUNT_BY_CUSTOMER"),
        order=ORDER,
        customer=WHO,
        metadata=METADATA,
        options=a(limit=COUNT, sorting_rule=one_of("DEFAULT", "BEST_DEAL", "LEAST_DEAL"), starting_after=_MOMENT),
    ),
    "POST /v1/validations": REDEEM,
    "POST /v1/redemptions": REDEEM,
    "POST /v1/redemptions/{reference}/rollback": a(reason=TEXT),
    "POST /v1/redemptions/{reference}/rollbacks": a(reason=TEXT),
    **{f"POST {member}/balance": BALANCE for member in _MEMBER},
    **{f"POST {member}/redemption": PURCHASE for member in _MEMBER},
    "POST /segmentio/customer-processing": a(
        ("source_id",), source_id=NAME, first_name=TEXT, last_name=TEXT, email=TEXT, address=ADDRESS, metadata=METADATA
    ),
    "POST /segmentio/event-processing": a(
        ("customer", "event"), customer=a(("source_id",), source_id=NAME, email=TEXT), event=NAME, metadata=METADATA
    ),
    "POST /segmentio/group-processing": a(
        ("customer", "group_id"), customer=a(("source_id",), source_id=NAME), group_id=NAME, traits=METADATA
    ),
    "POST /sandbox/clock": either(
        a(("advance",), advance={"type": "number"}), a(("set",), set=TEXT), a(("reset",), reset=FLAG)
    ),
    "POST /sandbox/metadata-schemas": a(
        ("related_object", "properties"),
        related_object=TEXT,
        name=TEXT,
        properties={"type": "object", "additionalProperties": one_of("string", "number", "boolean", "date", "array")},
    ),
    "POST /sandbox/referral-tiers": a(("campaign", "tiers"), campaign=NAME, tiers=some(LEVEL)),
    "POST /v1/vouchers/import": some(IMPORTED),
    "POST /v1/campaigns/{reference}/import": some(IMPORTED),
    "POST /v1/vouchers/bulk/async": some(a(("code", "metadata"), code=NAME, metadata=METADATA)),
    "POST /v1/vouchers/metadata/async": a(("codes", "metadata"), codes=some(NAME), metadata=METADATA),
    "POST /sandbox/webhooks": a(target_url=TEXT, target_urls=some(TEXT)),
}
_LIMIT: Final[Schema] = {"type": "integer", "minimum": 1, "maximum": 100}
_ORDER: Final[Schema] = one_of("created_at", "-created_at", "updated_at", "-updated_at")
QUERIES: Final[dict[str, dict[str, Schema]]] = {
    "lists": {"limit": _LIMIT, "page": _LIMIT, "order": _ORDER, "starting_after_id": TEXT},
    "GET /v1/customers": {"limit": _LIMIT, "page": _LIMIT, "order": _ORDER, "email": TEXT, "name": TEXT, "city": TEXT},
    "GET /v1/customers/{reference}/activity": {
        "limit": _LIMIT,
        "starting_after_id": TEXT,
        "category": one_of("ACTION", "EFFECT"),
        "type": TEXT,
        "campaign_id": TEXT,
        "campaign_type": TEXT,
        "start_date": _MOMENT,
        "end_date": _MOMENT,
    },
    "GET /v1/publications": {
        "limit": _LIMIT,
        "page": _LIMIT,
        "order": _ORDER,
        "campaign": TEXT,
        "customer": TEXT,
        "source_id": TEXT,
    },
    "POST /v1/publications": {"join_once": FLAG},
    "GET /v1/redemptions": {
        "limit": _LIMIT,
        "page": _LIMIT,
        "order": _ORDER,
        "result": one_of("SUCCESS", "FAILURE"),
        "campaign": TEXT,
        "customer": TEXT,
    },
    "GET /v1/vouchers": {
        "limit": _LIMIT,
        "page": _LIMIT,
        "order": _ORDER,
        "campaign": TEXT,
        "customer": TEXT,
        "code": TEXT,
        "filters[code][conditions][$contains]": TEXT,
        "filters[metadata.a][conditions][$in]": TEXT,
    },
    "GET /sandbox/requests": {"limit": _LIMIT, "method": TEXT, "path": TEXT},
    "GET /sandbox/deliveries": {"limit": _LIMIT, "page": _LIMIT, "type": TEXT, "state": TEXT},
}
