"""What a programme file may say in its tests: what is given, and what must be so then."""

from typing import Annotated, Any, Literal

from msgspec import Meta

from app.programmes.format_things import Amount, Count, Name, Part


class Item(Part, frozen=True, kw_only=True):
    product: Name
    quantity: Count = 1


class Member(Part, frozen=True, kw_only=True):
    name: Name
    fields: dict[str, Any] = {}
    """`metadata`, `email`, …: they come through the door for Segment, which drops what no schema defines."""
    joins: list[Name] | None = None
    """Loyalty campaigns; left out: every active one that is not joined by earning."""


class Order(Part, frozen=True, kw_only=True):
    by: Name | None = None
    amount_minor_units: Amount | None = None
    items: list[Item] = []
    metadata: dict[str, Any] = {}
    coupon: Name | None = None
    """The campaign of the member's coupon that is used."""
    promotion: Name | None = None
    """The promotion campaign whose first tier is used."""
    status: Literal["created", "paid", "canceled"] = "paid"


class TestEvent(Part, frozen=True, kw_only=True):
    name: Name
    by: Name | None = None
    metadata: dict[str, Any] = {}
    referral_from: Name | None = None
    """The member whose referral code comes with it."""


class Purchase(Part, frozen=True, kw_only=True):
    reward: Name
    by: Name | None = None
    campaign: Name | None = None


class Given(Part, frozen=True, kw_only=True):
    """Something that happens: exactly one of these."""

    member: Member | None = None
    order: Order | None = None
    event: TestEvent | None = None
    coupon: Name | None = None
    """The member gets a code of this campaign, as an insert function gives it."""
    buys: Purchase | None = None
    days_pass: Annotated[int, Meta(ge=1, le=36500)] | None = None


class Then(Part, frozen=True, kw_only=True):
    member: Name | None = None
    """Left out: the last one that was given."""
    campaign: Name | None = None
    """Which card; left out: that of the first loyalty campaign in the file that is active."""
    points: int | None = None
    """The balance of the card."""
    earned_by_last_step: int | None = None
    pending_points: int | None = None
    tier: str | None = None
    """`none`: no tier."""
    coupons: dict[str, Amount] = {}
    """How many codes of a campaign the member holds."""
    metadata: dict[str, Any] = {}
    """What the customer carries in Voucherify; `null`: not there."""
    last_order_total_minor_units: Amount | None = None
    refused: str | None = None
    """The last step was refused by Voucherify, with this key."""


class Test(Part, frozen=True, kw_only=True):
    name: Name
    given: list[Given]
    then: list[Then]
