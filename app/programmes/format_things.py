"""What a programme file may say, its smaller things: products, events, segments, validation rules, rewards.

Each class is a part of the file, each field a word in it. Units are in the names: `_minor_units` (cents), `_days`,
`_months`; points are points. Things name each other by name, and products, whose names are not unique, by `source_id`.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

Name = Annotated[str, Meta(min_length=1, max_length=255)]
Count = Annotated[int, Meta(ge=1, le=2**31 - 1)]
Amount = Annotated[int, Meta(ge=0, le=2**53 - 1)]
Percent = Annotated[float, Meta(ge=0, le=100)]
Date = Annotated[str, Meta(pattern=r"^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}:\d{2}(\.\d{1,3})?Z)?$")]
"""`2027-01-31`, or with a time in UTC, `2027-01-31T18:00:00Z`."""
Kind = Literal["string", "number", "boolean", "date", "datetime", "image_url", "geopoint", "object"]


class Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A part of a file. A word that is not one of its fields is a mistake."""


class Product(Part, frozen=True, kw_only=True):
    source_id: Name
    name: Name
    price_minor_units: Amount | None = None
    image_url: str | None = None
    metadata: dict[str, Any] = {}


class Event(Part, frozen=True, kw_only=True):
    """A custom event that Voucherify is told of, and the metadata that it may carry through the door for Segment."""

    name: Name
    metadata: dict[str, Kind] = {}
    real_schema_id: Annotated[str, Meta(pattern="^ms_")] | None = None
    """In a real project, the id of its definition: an earning rule on the event needs it."""


class Condition(Part, frozen=True, kw_only=True, rename={"is_": "is", "in_": "in"}):
    """One comparison: `what` in Voucherify's words, perhaps a `property` of it, and one operator."""

    what: Name
    """`order.metadata`, `order.amount`, `order.items.count`, `customer.metadata`, `customer.segment`, …; in a segment a
    field of the customer: `metadata.city`, `created_at`, …"""
    property: str | None = None
    is_: Any = msgspec.UNSET
    is_not: Any = msgspec.UNSET
    in_: list[Any] | msgspec.UnsetType = msgspec.UNSET
    not_in: list[Any] | msgspec.UnsetType = msgspec.UNSET
    less_than: float | msgspec.UnsetType = msgspec.UNSET
    at_most: float | msgspec.UnsetType = msgspec.UNSET
    more_than: float | msgspec.UnsetType = msgspec.UNSET
    at_least: float | msgspec.UnsetType = msgspec.UNSET
    starts_with: str | msgspec.UnsetType = msgspec.UNSET
    ends_with: str | msgspec.UnsetType = msgspec.UNSET
    contains: str | msgspec.UnsetType = msgspec.UNSET
    after: Date | msgspec.UnsetType = msgspec.UNSET
    before: Date | msgspec.UnsetType = msgspec.UNSET

    def given(self) -> dict[str, Any]:
        """The operators that are set, by their name in the file."""
        names = {field: words for field, words in _OPERATORS.items() if getattr(self, field) is not msgspec.UNSET}
        return {word: getattr(self, field) for field, word in names.items()}


_OPERATORS = {
    field.name: field.encode_name
    for field in msgspec.structs.fields(Condition)
    if field.name not in {"what", "property"}
}


class Segment(Part, frozen=True, kw_only=True):
    """Customers who fulfil all conditions (or any of them)."""

    name: Name
    watched: bool = True
    """Whether entering and leaving happen as events (auto-update), or it is looked up when asked (passive)."""
    all_of: list[Condition] = []
    any_of: list[Condition] = []


class ValidationRule(Part, frozen=True, kw_only=True):
    """When something applies: all of these conditions hold (or any)."""

    name: Name
    context: str = "global"
    """What it is for, in Voucherify's words: `earning_rule.order.paid`, `campaign.discount_coupons`, …"""
    all_of: list[Condition] = []
    any_of: list[Condition] = []
    message: str | None = None
    """What is told when it is not fulfilled."""


class PayWithPoints(Part, frozen=True, kw_only=True):
    points: Count
    are_worth_major_units: Annotated[float, Meta(gt=0)]


class Reward(Part, frozen=True, kw_only=True):
    """What points can buy: exactly one of a coupon, credits of a gift card, points of another programme, a product,
    or money off.
    """

    name: Name
    coupon_of: Name | None = None
    gift_card_of: Name | None = None
    credits_minor_units: Count | None = None
    points_of: Name | None = None
    points: Count | None = None
    product: Name | None = None
    stock: Amount | None = None
    pay_with_points: PayWithPoints | None = None
    description: str | None = None
    image_url: str | None = None
    metadata: dict[str, Any] = {}
