"""The order in which a request's redeemables are tried, and which of them are left aside. No reads, no writes.

What the stacking rules ask is in `stacking.py`, what one redeemable does in `discounts.py`.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.sandbox import stacking
from app.sandbox.redeemables import Outcome


@dataclass(frozen=True)
class SoFar:
    """What a redeemable finds when it is its turn."""

    order: dict[str, Any] | None
    outcomes: tuple[Outcome, ...] = ()
    discounted: frozenset[int] = frozenset()
    """The places of the lines that something was taken off."""

    def and_then(self, outcome: Outcome) -> "SoFar":
        if not outcome.applies:
            return SoFar(self.order, (*self.outcomes, outcome), self.discounted)
        items = (outcome.order or {}).get("items") or []
        places = {place for place, item in enumerate(items) if item.get("applied_discount_amount")}
        return SoFar(outcome.order or self.order, (*self.outcomes, outcome), self.discounted | places)


Try = Callable[[Outcome, SoFar, str | None], Awaitable[Outcome]]
"""Tries one; the text is the reason for which it is left aside if nothing is wrong with it."""


async def all_of(
    found: Sequence[Outcome], order: dict[str, Any] | None, rules: Mapping[str, Any], tried: Try
) -> list[Outcome]:
    """All of them as they were tried: exclusive ones and their company before what they keep out."""
    found = sorted(found, key=lambda each: stacking.place(each.categories, rules))
    kinds = [stacking.kind_of(each.categories, rules) for each in found]
    if "EXCLUSIVE" not in kinds or None not in kinds:
        return await _one_after_the_other(found, (), order, rules, tried)
    company = [each for each, kind in zip(found, kinds, strict=True) if kind is not None]
    common = [each for each, kind in zip(found, kinds, strict=True) if kind is None]
    outcomes = await _one_after_the_other(company, common, order, rules, tried)
    alone = [each for each in outcomes if stacking.kind_of(each.categories, rules) == "EXCLUSIVE"]
    if any(each.applies for each in alone):
        return outcomes
    # None of the exclusive ones can be used: the others are as if they had come without them.
    refused = {(each.kind, each.code): each for each in alone}
    again = [refused.get((each.kind, each.code), each) for each in found]
    return await _one_after_the_other(again, (), order, rules, tried)


async def _one_after_the_other(
    found: Sequence[Outcome],
    kept_out: Sequence[Outcome],
    order: dict[str, Any] | None,
    rules: Mapping[str, Any],
    tried: Try,
) -> list[Outcome]:
    """`kept_out` are tried last: they are left aside if an exclusive one applies."""
    counts = stacking.Counts(rules, unlimited=any(each.stack for each in found))
    so_far = SoFar(order)
    for place, each in enumerate((*found, *kept_out)):
        excluded = place >= len(found) and counts.exclusive
        skip = "exclusion_rules_not_met" if excluded else counts.full(each.categories)
        outcome = each if each.skipped else await tried(each, so_far, skip)
        if outcome.applies:
            counts.add(outcome.categories)
        so_far = so_far.and_then(outcome)
    return list(so_far.outcomes)
