"""What a request wants to use (codes, promotion tiers, stacks), and what became of each. Reads requests, not rows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.sandbox import purchases, stacking
from app.sandbox.applicability import EVERYTHING, Applicability
from app.sandbox.errors import Failure, invalid_payload
from app.sandbox.read import integer, mapping, one_of, required_text, text

_KINDS = ("voucher", "promotion_tier", "promotion_stack")


@dataclass(frozen=True)
class Redeemable:
    """One thing that a request wants to use: a code, or a promotion tier by its id."""

    kind: str
    id: str
    credits: int | None = None
    """How much of a gift card; by default what the order needs."""
    reward: str | None = None
    """What a loyalty card buys."""
    points: int | None = None
    """How many points pay for the order, where the reward is that; by default as many as it needs."""


@dataclass(frozen=True)
class Outcome:
    """What became of one redeemable: what it takes off, or why it does not apply."""

    code: str
    voucher: Mapping[str, Any] | None
    order: dict[str, Any] | None
    """The order's amounts after this one, when it applies and there is an order."""
    error: Failure | None
    skipped: str | None = None
    """The key of the reason for which it was left aside although nothing is wrong with it."""
    kind: str = "voucher"
    tier: Mapping[str, Any] | None = None
    credits: int = 0
    """What it takes off a gift card."""
    applicability: Applicability = EVERYTHING
    """Which lines it works on."""
    asked: frozenset[str] = frozenset()
    """The kinds of validation rules that were asked."""
    not_asked: Mapping[str, list[str]] = field(default_factory=dict)
    """The numbers of the rules that were not asked, by their definitions."""
    stack: Mapping[str, Any] | None = None
    """The promotion stack that it is used by."""
    wanted: Redeemable | None = None
    """What the request says of a voucher."""
    purchase: purchases.Purchase | None = None
    """What a loyalty card buys."""

    @property
    def without_effect(self) -> bool:
        """Whether it takes nothing off an order; what adds free units does something."""
        units = self.discount is not None and self.discount["type"] == "UNIT"
        return self.order is not None and not units and not self.order.get("total_applied_discount_amount")

    @property
    def categories(self) -> list[dict[str, Any]]:
        used = self.tier if self.tier is not None else self.voucher
        own: list[dict[str, Any]] = list(used["categories"]) if used is not None else []
        of_stack = self.stack["categories"] if self.stack is not None else []
        return own + [each for each in of_stack if each["id"] not in {mine["id"] for mine in own}]

    @property
    def applies(self) -> bool:
        return self.error is None and self.skipped is None

    @property
    def incentive(self) -> tuple[str | None, str] | None:
        """The campaign and the id of the code or promotion tier; None for a code that there is not."""
        used = self.tier if self.tier is not None else self.voucher
        return (used["campaign_id"], used["id"]) if used is not None else None

    @property
    def discount(self) -> dict[str, Any] | None:
        """The discount it gives, as the answers carry it."""
        if self.tier is not None:
            return {**self.tier["doc"]["action"]["discount"], "is_dynamic": False}
        if self.voucher is not None and self.voucher["type"] == "DISCOUNT_VOUCHER":
            return {**self.voucher["doc"]["discount"], "is_dynamic": False}
        return None

    @property
    def result(self) -> dict[str, Any]:
        """What it gives or takes, as the answers carry it."""
        if self.purchase is not None:
            return {"loyalty_card": {"points": self.purchase.points}}
        discount = self.discount
        return {"discount": discount} if discount is not None else {"gift": {"credits": self.credits}}


def read(body: dict[str, Any], rules: Mapping[str, Any] = stacking.DEFAULTS) -> list[Redeemable]:
    """What a request wants to use, checked for what the sandbox can do."""
    given = body.get("redeemables")
    if given is None:
        raise invalid_payload("Payload should have required property 'redeemables'")
    if not isinstance(given, list):
        raise invalid_payload("Property .redeemables must be array")
    if not given:
        raise invalid_payload("Property .redeemables must NOT have fewer than 1 items")
    if len(given) > (most := rules["redeemables_limit"]):
        raise invalid_payload(f"Property .redeemables_limit must be <= {most}")
    wanted = []
    for place, item in enumerate(given):
        at = f".redeemables[{place}]"
        if not isinstance(item, dict):
            raise invalid_payload(f"Property {at} must be object")
        for name in ("object", "id"):
            if item.get(name) is None:
                raise invalid_payload(f"Property {at} should have required property '{name}'")
        kind = one_of(item, "object", _KINDS, at=at)
        credits_ = integer(mapping(item, "gift", at=at), "credits", at=f"{at}.gift")
        reward = mapping(item, "reward", at=at)
        points = integer(reward, "points", least=1, at=f"{at}.reward")
        bought = text(reward, "id", at=f"{at}.reward")
        wanted.append(Redeemable(str(kind), required_text(item, "id", at=at), credits_, bought, points))
    if len({(each.kind, each.id) for each in wanted}) < len(wanted):
        raise repeated()
    if len(wanted) > 1 and any(each.kind == "promotion_stack" for each in wanted):
        details = "Promotion Stack cannot be use with other redeemables"
        raise Failure(400, "invalid_redeemables", "Invalid redeemables", details)
    return wanted


def repeated() -> Failure:
    details = "Duplicated redeemables detected in one redemption"
    return Failure(400, "duplicated_redeemables", "Duplicated redeemables detected", details)
