"""What a qualification offers, by its scenario.

documented: what each scenario is for; each redeemable is tried alone; limits of redemptions are not asked;
`validation_omitted_rules`. inferred: a loyalty card shows its points; ALL offers what is the customer's, codes that
stand alone and promotions; AUDIENCE_ONLY asks no rules about the order and offers campaigns too, of which a code could
be published; the scenarios of products offer the same and ask who the customer is only in their `…_BY_CUSTOMER` form.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import asyncpg

from app.sandbox import (
    campaigns,
    conditions,
    discounts,
    effects,
    lists,
    member_rewards,
    promotion_stacks,
    promotion_tiers,
    render,
    stacking,
    validations,
    validity,
    vouchers,
)
from app.sandbox.clock import iso
from app.sandbox.errors import Failure
from app.sandbox.fidelity import inferred
from app.sandbox.predicates import COUNTS, HOLDER, ITEMS, NAMES, THINGS
from app.sandbox.redeemables import Outcome, Redeemable
from app.sandbox.referral_programs import REFERRAL
from app.sandbox.work import Work

_OF_PRODUCTS = ("PRODUCTS", "PRODUCTS_DISCOUNT")
_BY_CUSTOMER = tuple(f"{scenario}_BY_CUSTOMER" for scenario in _OF_PRODUCTS)
SCENARIOS = ("ALL", "CUSTOMER_WALLET", "AUDIENCE_ONLY", "PROMOTION_STACKS", *_OF_PRODUCTS, *_BY_CUSTOMER)
_ABOUT_ORDERS = {"missing_amount", "missing_order", "missing_order_items", "order_rules_violated"}
_NEED_PRODUCTS = frozenset({*ITEMS, *THINGS, "product.metadata"})
"""Kinds of validation rules that ask for a product in the order."""
_ABOUT_CUSTOMERS = frozenset(name for name in NAMES if name.startswith("customer.")) | {HOLDER}
_OMITTED = {
    **dict.fromkeys(_OF_PRODUCTS, COUNTS | _ABOUT_CUSTOMERS),
    "AUDIENCE_ONLY": (NAMES - _ABOUT_CUSTOMERS) | {conditions.APPLICABLE},
}
"""Kinds of validation rules that are not asked, by the scenario; by default those that count redemptions."""


class Offer:
    """One redeemable that the customer qualifies for."""

    def __init__(
        self, kind: str, identifier: str, row: Mapping[str, Any], outcome: Outcome, parts: tuple[Outcome, ...] = ()
    ) -> None:
        self.kind, self.id, self.row, self.outcome, self.parts = kind, identifier, row, outcome, parts
        self.created_at = iso(row["created_at"]) or ""

    @property
    def saves(self) -> int:
        return int((self.outcome.order or {}).get("total_applied_discount_amount", 0))

    @property
    def for_products(self) -> bool:
        """Whether its discount is one on products that it names."""
        discount = self.outcome.discount or (self.row["doc"].get("voucher") or {}).get("discount") or {}
        scope = self.outcome.applicability.scope
        return scope is not None and bool(scope.lines) and discount.get("effect", "").startswith("APPLY_TO_ITEMS")

    def values(self) -> dict[str, set[str]]:
        """What the filters ask about."""
        row = self.row
        voucher = self.kind == "voucher"
        template = {} if self.kind == "promotion_stack" else row["doc"].get("voucher") or {}
        known = {
            "campaign_id": row["id"] if self.kind == "campaign" else row["campaign_id"],
            "campaign_type": "PROMOTION" if self.kind == "promotion_tier" else row["campaign_type"],
            "code": row["code"] if voucher else None,
            "holder_role": _role(row) if voucher and row["holder_id"] else None,
            "resource_id": row["id"],
            "resource_type": self.kind,
            "voucher_type": row["type"] if voucher else template.get("type"),
        }
        return {
            **{name: {value} if value is not None else set() for name, value in known.items()},
            "category_id": {each["id"] for each in row["categories"]},
        }

    def shown(self, customer_id: str | None, expand: list[Any], rules: Mapping[str, Any]) -> dict[str, Any]:
        if self.kind == "promotion_stack":
            return self._stack_shown(customer_id, expand, rules)
        effect = validations.effect_shown(self.outcome, customer_id, rules, items=True)
        row = self.row
        if self.kind == "campaign":
            effect = {name: value for name, value in effect.items() if not name.startswith("campaign_")}
            effect["name"] = row["name"]
        elif self.kind == "voucher" and row["type"] == "LOYALTY_CARD":
            effect["result"] = {"loyalty_card": row["in_qualifications"]}
        elif self.kind == "voucher" and row["type"] == "GIFT_VOUCHER":
            effect["result"]["gift"]["balance"] = render.gift(row)["balance"]
        assigned = {"validation_rules_assignments": lists.whole([self._assigned(each) for each in row["assignments"]])}
        return {
            "id": self.id,
            "object": self.kind,
            "created_at": self.created_at,
            **effect,
            **(assigned if "validation_rules" in expand else {}),
        }

    def _assigned(self, assignment: dict[str, Any]) -> dict[str, Any]:
        omitted = self.outcome.not_asked.get(assignment["rule_id"], [])
        status = "PARTIALLY_VALID" if omitted else "VALID"
        return {**assignment, "validation_status": status, "validation_omitted_rules": omitted}

    def _stack_shown(self, customer_id: str | None, expand: list[Any], rules: Mapping[str, Any]) -> dict[str, Any]:
        row, order = self.row, self.outcome.order
        tiers = [Offer("promotion_tier", each.code, each.tier, each) for each in self.parts if each.tier is not None]
        return {
            "id": self.id,
            "object": self.kind,
            "created_at": self.created_at,
            "result": {},
            **({"order": validations.order_shown(order, customer_id, items=True)} if order else {}),
            "metadata": {},
            "categories": stacking.marked(row["categories"], rules),
            "name": row["name"],
            "campaign_id": row["campaign_id"],
            "campaign_name": row["campaign"],
            "redeemables": [each.shown(customer_id, expand, rules) for each in tiers],
        }


def _role(row: Mapping[str, Any]) -> str:
    # Who gives a referral code away can't use it: whom it is offered to is a referee.
    return "REFEREE" if row["campaign_type"] == REFERRAL else "OWNER"


class Question:
    """One qualification: who asks, about which order."""

    def __init__(
        self,
        work: Work,
        scenario: str,
        customer: asyncpg.Record | None,
        order: dict[str, Any] | None,
        metadata: dict[str, Any],
    ) -> None:
        self._work, self._scenario, self._customer, self._order = work, scenario, customer, order
        self._metadata = metadata
        self._omitted = _OMITTED.get(scenario, COUNTS)

    async def offers(self) -> list[Offer]:
        work, scenario = self._work, self._scenario
        if scenario == "PROMOTION_STACKS":
            return await self._stacks()
        found: list[Offer] = []
        for row in await self._vouchers(alone=scenario != "CUSTOMER_WALLET"):
            if row["type"] == "LOYALTY_CARD":
                if discounts.refusal(work, row, row["code"]) is None:
                    card = {**row, "in_qualifications": await member_rewards.in_qualifications(work, row)}
                    found.append(Offer("voucher", row["code"], card, Outcome(row["code"], row, self._order, None)))
                continue
            outcome = await self._tried(Redeemable("voucher", row["code"]))
            if outcome is not None:
                found.append(Offer("voucher", row["code"], row, outcome))
        if scenario == "CUSTOMER_WALLET":
            return found
        for tier in await promotion_tiers.available(work):
            outcome = await self._tried(Redeemable("promotion_tier", tier["id"]))
            if outcome is not None:
                found.append(Offer("promotion_tier", tier["id"], tier, outcome))
        if scenario != "ALL":
            found += await self._campaigns()
        if scenario.startswith("PRODUCTS_DISCOUNT"):
            return [each for each in found if each.for_products]
        if scenario.startswith("PRODUCTS"):
            return [each for each in found if each.for_products or each.outcome.asked & _NEED_PRODUCTS]
        return found

    async def _vouchers(self, *, alone: bool) -> list[asyncpg.Record]:
        """The customer's own vouchers, and those that stand alone and are nobody's."""
        return await self._work.all(
            f"{vouchers.SELECT} WHERE v.active AND coalesce(c.active, true) AND (v.holder_id = $1 OR ($2 "  # noqa: S608
            "AND v.holder_id IS NULL AND (v.campaign_id IS NULL OR c.doc ->> 'type' = 'STANDALONE')) "
            "OR v.id IN (SELECT voucher_id FROM redeemable_holder WHERE customer_id = $1)) "
            "ORDER BY v.created_at DESC, v.id DESC",
            self._customer["id"] if self._customer is not None else None,
            alone,
        )

    async def _evaluated(self, wanted: Redeemable) -> list[Outcome]:
        return await discounts.evaluate(
            self._work,
            [wanted],
            self._order,
            customer=self._customer,
            metadata=self._metadata,
            omitted=self._omitted,
        )

    async def _tried(self, wanted: Redeemable) -> Outcome | None:
        """What this would do, if it may be used; for AUDIENCE_ONLY no reason counts that only the order gives."""
        [outcome] = await self._evaluated(wanted)
        if outcome.applies:
            return outcome
        about_order = outcome.error is not None and outcome.error.key in _ABOUT_ORDERS
        if about_order and (self._scenario == "AUDIENCE_ONLY" or self._order is None):
            return Outcome(outcome.code, outcome.voucher, None, None, kind=outcome.kind, tier=outcome.tier)
        return None

    async def _stacks(self) -> list[Offer]:
        """The stacks that may be used: in mode ALL all of their tiers, else any."""
        found = []
        for row in await promotion_stacks.available(self._work):
            outcomes = await self._evaluated(Redeemable("promotion_stack", row["id"]))
            used = tuple(each for each in outcomes if each.applies)
            if used:
                order = used[-1].order
                if order is not None and self._order is not None:
                    order = discounts.all_together(self._order, order)
                found.append(Offer("promotion_stack", row["id"], row, replace(used[-1], order=order), used))
        return found

    async def _campaigns(self) -> list[Offer]:
        """Campaigns of which a code could be published to the customer."""
        work = self._work
        rows = await work.all(
            "SELECT campaign.*, id AS campaign_id, name AS campaign, "  # noqa: S608 - what is put together is ours
            f"{campaigns.ASSIGNMENTS} FROM campaign "
            "WHERE active AND campaign_type IN ('DISCOUNT_COUPONS', 'GIFT_VOUCHERS') AND doc ->> 'type' <> 'STANDALONE'"
        )
        found = []
        for row in rows:
            if validity.state(row["doc"], work.now, work.config.time_zone) is None:
                outcome = await self._as_published(row)
                if outcome is not None:
                    found.append(Offer("campaign", row["id"], row, outcome))
        return found

    async def _as_published(self, row: asyncpg.Record) -> Outcome | None:
        """What a code of this campaign would do: a voucher that nobody has and that is worth what the template says."""
        work, order = self._work, self._order
        template = row["doc"]["voucher"]
        gift = template.get("gift")
        code = {**row, "type": template["type"], "doc": {**row["doc"], "discount": template.get("discount")}}
        outcome = Outcome(row["id"], code, None, None)
        subject = conditions.Subject(self._customer, order, metadata=self._metadata, omitted=self._omitted)
        judgement = await conditions.judge(work, [("campaign", row["id"])], subject)
        if judgement.failure is not None:
            return None
        outcome = replace(
            outcome,
            applicability=judgement.applicability,
            asked=judgement.asked,
            not_asked=judgement.not_asked,
        )
        if order is None:
            return replace(outcome, credits=gift["amount"]) if gift else outcome
        try:
            if gift:
                credits_ = min(gift["amount"], effects.left(order))
                return replace(outcome, order=effects.off_order(order, credits_), credits=credits_)
            scope = outcome.applicability.scope
            return replace(outcome, order=await discounts.taken_off(work, order, template["discount"], scope=scope))
        except Failure:
            return outcome if self._scenario == "AUDIENCE_ONLY" else None


FIDELITY = (
    inferred(
        "`ALL` offers what the customer holds, codes that stand alone and promotions, `AUDIENCE_ONLY` campaigns as "
        "well, and so do the scenarios of products: what names products that are in the order, by what its discount "
        "applies to or (not for `PRODUCTS_DISCOUNT`) by a validation rule; without `_BY_CUSTOMER` no rule about the "
        "customer is asked; `PROMOTION_STACKS` offers stacks with their tiers, and no other scenario does"
    ),
)
