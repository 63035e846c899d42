"""What a programme file may say of campaigns. An earning rule has no name of its own: its banner stands for it."""

from typing import Annotated, Any, Literal

from msgspec import Meta

from app.programmes.format_things import Amount, Count, Date, Name, Part, Percent


class When(Part, frozen=True, kw_only=True):
    """What makes an earning rule fire: exactly one of these."""

    order: Literal["paid"] | None = None
    event: Name | None = None
    enters_segment: Name | None = None
    tier: Literal["joined", "left", "upgraded", "downgraded", "prolonged"] | None = None


Base = Literal[
    "order total",
    "order before discounts",
    "order metadata",
    "customer metadata",
    "event metadata",
    "quantity of products",
    "amount of products",
    "amount of products before discounts",
]


class Per(Part, frozen=True, kw_only=True):
    """The points are given for every full step of something."""

    of: Base
    every_minor_units: Count | None = None
    every: Count | None = None
    """Where it is no money: pieces, or the number in the metadata."""
    key: str | None = None
    """Of the metadata."""
    products: list[Name] = []


class EarningRule(Part, frozen=True, kw_only=True):
    banner: Name
    """What members read, and the name of the rule in this file."""
    when: When
    points: Count
    per: Per | None = None
    only_if: Name | None = None
    """The name of a validation rule."""
    pending_days: Annotated[int, Meta(ge=1, le=90)] | None = None
    starts: Date | None = None
    ends: Date | None = None
    active: bool = True
    metadata: dict[str, Any] = {}


class Mapped(Part, frozen=True, kw_only=True):
    """What a tier makes of an earning rule or of a price: so many times as much, or this many points instead."""

    times: Annotated[float, Meta(gt=0)] | None = None
    points: Count | None = None


class Tier(Part, frozen=True, kw_only=True):
    name: Name
    from_points: Amount
    to_points: Amount | None = None
    earning: dict[str, Mapped] = {}
    """By the banner of the earning rule."""
    prices: dict[str, Mapped] = {}
    """By the name of the reward."""
    metadata: dict[str, Any] = {}


class TierRules(Part, frozen=True, kw_only=True):
    """What counts for a tier and how long it is kept."""

    counts: Literal["balance", "points earned in a period"] = "balance"
    period: Literal["month", "quarter", "half year", "year"] | None = None
    begins: Literal["at once", "next period"] = "at once"
    ends: Literal["when the balance drops", "after months", "end of period", "end of next period"] = (
        "when the balance drops"
    )
    months: Count | None = None


class PointsExpire(Part, frozen=True, kw_only=True):
    after_months: Amount
    rounded_to: Literal["end of month", "end of quarter", "end of half year", "end of year"] | None = None


class Price(Part, frozen=True, kw_only=True):
    reward: Name
    points: Count
    redeemed_by_itself: bool = False
    """Bought by itself each night, for as long as there are points for it."""


class Gives(Part, frozen=True, kw_only=True):
    """A discount: exactly one of percent, amount and free units."""

    percent_off: Percent | None = None
    at_most_minor_units: Count | None = None
    amount_off_minor_units: Count | None = None
    free_product: Name | None = None
    free_units: Count | None = None


class CampaignPart(Part, frozen=True, kw_only=True):
    name: Name
    description: str | None = None
    active: bool = True
    starts: Date | None = None
    ends: Date | None = None
    only_if: list[Name] = []
    """Names of validation rules that all must be fulfilled."""
    metadata: dict[str, Any] = {}
    sandbox_id: Annotated[str, Meta(pattern="^camp_")] | None = None
    """The id that it gets in the sandbox, for apps that have it in their code. A real Voucherify picks its own."""


class CodesPart(CampaignPart, frozen=True, kw_only=True):
    codes: str | None = None
    """The pattern of its codes: every # is a letter or a digit."""
    number_of_codes: Annotated[int, Meta(ge=1, le=10_000)] | None = None
    """A fixed number, made at once. Left out, codes are made as they are needed."""
    usable_days: Count | None = None
    """For how many days after it was given to a member a code can be used."""


class Loyalty(CodesPart, frozen=True, kw_only=True, tag="loyalty", tag_field="kind"):
    welcome_points: Amount = 0
    joins_by_earning: bool = False
    """Whether who earns without a card gets one first (`auto_join`)."""
    points_expire: PointsExpire | None = None
    earning_rules: list[EarningRule] = []
    rewards: list[Price] = []
    tiers: list[Tier] = []
    tier_rules: TierRules | None = None


class Discount(CodesPart, frozen=True, kw_only=True, tag="discount", tag_field="kind"):
    gives: Gives
    redemptions_per_code: Count | None = 1
    """`null`: as often as one likes."""
    one_per_member: bool = False


class Gift(CodesPart, frozen=True, kw_only=True, tag="gift", tag_field="kind"):
    amount_minor_units: Amount
    one_per_member: bool = False


class PromotionTier(Part, frozen=True, kw_only=True):
    name: Name
    gives: Gives
    banner: str | None = None
    active: bool = True
    only_if: list[Name] = []
    place: Count | None = None
    """Which one is tried first, second, … (`hierarchy`)."""
    metadata: dict[str, Any] = {}


class Promotion(CampaignPart, frozen=True, kw_only=True, tag="promotion", tag_field="kind"):
    tiers: list[PromotionTier]


class OnCard(Part, frozen=True, kw_only=True):
    """Points of a loyalty campaign, or credits of a gift campaign."""

    campaign: Name
    points: Count | None = None
    credits_minor_units: Count | None = None


class ReferrerGets(OnCard, frozen=True, kw_only=True):
    """What the one who brought a friend gets. Voucherify's API can't take it: there it is done by hand."""

    at_friends: Count | None = None
    """Only once, when this many friends have come; by default for each of them."""

    @property
    def name(self) -> str:
        return f"{self.at_friends} friends" if self.at_friends is not None else "Each friend"


class Referral(CodesPart, frozen=True, kw_only=True, tag="referral", tag_field="kind"):
    friend_gets: Gives
    """What the code takes off for the friend who redeems it."""
    friend_earns: OnCard | None = None
    """What the friend gets besides once they count as referred."""
    converts_by: Literal["redemption", "event"] = "redemption"
    event: Name | None = None
    referrer_gets: ReferrerGets | None = None
    redemptions_per_code: Count | None = None


Campaign = Loyalty | Discount | Gift | Promotion | Referral
