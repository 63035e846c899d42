"""The demo programme in Voucherify's words: earn and burn with a welcome, a coupon for a big basket, and a reward."""

from typing import Any

LOYALTY = "Loyalty Program"

CAMPAIGNS: list[dict[str, Any]] = [
    {
        "name": LOYALTY,
        "campaign_type": "LOYALTY_PROGRAM",
        "type": "AUTO_UPDATE",
        "join_once": True,
        "voucher": {
            "type": "LOYALTY_CARD",
            "loyalty_card": {"points": 50},  # the welcome
            "code_config": {"pattern": "CC-########"},
        },
    },
    {
        "name": "Big basket",
        "campaign_type": "DISCOUNT_COUPONS",
        "type": "AUTO_UPDATE",
        "voucher": {
            "type": "DISCOUNT_VOUCHER",
            "discount": {"type": "PERCENT", "percent_off": 10},
            "redemption": {"quantity": 1},
            "code_config": {"pattern": "TEN-######"},
        },
    },
    {
        "name": "Free coffee",
        "campaign_type": "DISCOUNT_COUPONS",
        "type": "AUTO_UPDATE",
        "voucher": {
            "type": "DISCOUNT_VOUCHER",
            "discount": {"type": "AMOUNT", "amount_off": 380},  # a flat white
            "redemption": {"quantity": 1},
            "code_config": {"pattern": "CUP-######"},
        },
    },
]

REWARDS: list[dict[str, Any]] = [
    {"name": "Free coffee", "campaign": "Free coffee", "points": 100},
]
"""What points can buy: a coupon of a campaign, at a price in points."""

METADATA_SCHEMAS: list[dict[str, Any]] = [
    # Voucherify's door for Segment keeps what the project's schema defines and drops the rest without a word.
    {"related_object": "customer", "properties": {"registered_customer": "boolean", "enrolled_by": "string"}},
]

EARNING_RULES: list[dict[str, Any]] = [
    {
        "event": "order.paid",
        "loyalty": {
            "type": "PROPORTIONAL",
            "calculation_type": "ORDER_TOTAL_AMOUNT",
            "order": {"total_amount": {"every": 100, "points": 1}},
        },
        "source": {"banner": "1 point for every full 1.00"},
        "active": True,
    }
]
