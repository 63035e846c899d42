"""What types can't say of a programme: that names are there, that they are used once, that one of several is given."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from app.programmes.bodies import ABOUT_PRODUCTS
from app.programmes.format import Programme
from app.programmes.format_campaigns import Discount, EarningRule, Gift, Gives, Loyalty, Per, Promotion, Referral, Tier
from app.programmes.format_tests import Given, Test
from app.programmes.format_things import Condition, Part, Reward
from app.programmes.yaml_text import Place

Fault = tuple[Place, str]
_MONEY = {"order total", "order before discounts", "amount of products", "amount of products before discounts"}
_METADATA = {"order metadata", "customer metadata", "event metadata"}
_PRODUCTS = {"quantity of products", "amount of products", "amount of products before discounts"}


def faults(programme: Programme) -> list[Fault]:
    """All that is wrong, each with its place in the file."""
    return list(_Check(programme).all())


class _Check:
    def __init__(self, programme: Programme) -> None:
        self.programme = programme
        self.names = {
            "campaign": [each.name for each in programme.campaigns],
            "loyalty campaign": [each.name for each in programme.campaigns if isinstance(each, Loyalty)],
            "discount campaign": [each.name for each in programme.campaigns if isinstance(each, Discount)],
            "promotion campaign": [each.name for each in programme.campaigns if isinstance(each, Promotion)],
            "gift campaign": [each.name for each in programme.campaigns if isinstance(each, Gift)],
            "reward": [each.name for each in programme.rewards],
            "segment": [each.name for each in programme.segments],
            "validation rule": [each.name for each in programme.validation_rules],
            "event": [each.name for each in programme.events],
            "product": [each.source_id for each in programme.products],
        }

    def all(self) -> Iterable[Fault]:
        for section, what in (
            ("campaigns", "campaign"), ("rewards", "reward"), ("segments", "segment"), ("events", "event"),
            ("validation_rules", "validation rule"), ("products", "product"),
        ):  # fmt: skip
            yield from self._once((section,), self.names[what])
        yield from self._once(("tests",), [test.name for test in self.programme.tests])
        for number, segment in enumerate(self.programme.segments):
            yield from self._conditions(("segments", number), segment.all_of, segment.any_of)
        for number, rule in enumerate(self.programme.validation_rules):
            yield from self._conditions(("validation_rules", number), rule.all_of, rule.any_of)
        for number, reward in enumerate(self.programme.rewards):
            yield from self._reward(("rewards", number), reward)
        for number, campaign in enumerate(self.programme.campaigns):
            place: Place = ("campaigns", number)
            for each, name in enumerate(campaign.only_if):
                yield from self._there((*place, "only_if", each), "validation rule", name)
            if isinstance(campaign, Loyalty):
                yield from self._loyalty(place, campaign)
            elif isinstance(campaign, Discount):
                yield from self._gives((*place, "gives"), campaign.gives)
            elif isinstance(campaign, Promotion):
                yield from self._promotion(place, campaign)
            elif isinstance(campaign, Referral):
                yield from self._referral(place, campaign)
        for number, test in enumerate(self.programme.tests):
            yield from self._test(("tests", number), test)

    def _once(self, place: Place, names: Sequence[str]) -> Iterable[Fault]:
        for number, name in enumerate(names):
            if name in names[:number]:
                yield (*place, number), f"The name {name!r} is used twice; everything is found by its name."

    def _there(self, place: Place, what: str, name: str | None) -> Iterable[Fault]:
        if name is None or name in self.names[what]:
            return
        near = get_close_matches(name, self.names[what], n=1, cutoff=0.6)
        known = ", ".join(map(repr, self.names[what])) or "none at all"
        hint = f"Did you mean {near[0]!r}?" if near else f"There is: {known}."
        yield place, f"There is no {what} {name!r} in this file. {hint}"

    def _one_of(self, place: Place, part: Part, fields: Sequence[str]) -> Iterable[Fault]:
        given = [name for name in fields if getattr(part, name) is not None]
        if len(given) != 1:
            said = "none" if not given else " and ".join(f"`{name}`" for name in given)
            yield (
                place,
                f"Exactly one of {', '.join(f'`{name}`' for name in fields)} must stand here, and there is {said}.",
            )

    def _together(self, place: Place, part: Part, name: str, other: str) -> Iterable[Fault]:
        if (getattr(part, name) is None) != (getattr(part, other) is None):
            yield place, f"`{name}` and `{other}` go together."

    def _conditions(self, place: Place, all_of: Sequence[Condition], any_of: Sequence[Condition]) -> Iterable[Fault]:
        if bool(all_of) == bool(any_of):
            yield place, "Give `all_of` or `any_of`, one of them, with at least one condition."
        for word, conditions in (("all_of", all_of), ("any_of", any_of)):
            for number, condition in enumerate(conditions):
                at = (*place, word, number)
                if len(condition.given()) != 1:
                    yield at, "A condition has exactly one operator, such as `is` or `at_least`."
                for operator, value in condition.given().items():
                    names = [str(each) for each in (value if isinstance(value, list) else [value])]
                    what = {"customer.segment": "segment"}.get(condition.what)
                    what = "product" if condition.what in ABOUT_PRODUCTS else what
                    for name in names if what else ():
                        yield from self._there((*at, operator), what or "", name)

    def _gives(self, place: Place, gives: Gives) -> Iterable[Fault]:
        yield from self._one_of(place, gives, ("percent_off", "amount_off_minor_units", "free_product"))
        yield from self._together(place, gives, "free_product", "free_units")
        yield from self._there((*place, "free_product"), "product", gives.free_product)
        if gives.at_most_minor_units is not None and gives.percent_off is None:
            yield place, "`at_most_minor_units` limits a `percent_off`, and there is none."

    def _reward(self, place: Place, reward: Reward) -> Iterable[Fault]:
        yield from self._one_of(place, reward, ("coupon_of", "gift_card_of", "points_of", "product", "pay_with_points"))
        for field, what in (
            ("coupon_of", "discount campaign"), ("gift_card_of", "gift campaign"), ("points_of", "loyalty campaign"),
            ("product", "product"),
        ):  # fmt: skip
            yield from self._there((*place, field), what, getattr(reward, field))
        yield from self._together(place, reward, "gift_card_of", "credits_minor_units")
        yield from self._together(place, reward, "points_of", "points")

    def _loyalty(self, place: Place, campaign: Loyalty) -> Iterable[Fault]:
        banners = [rule.banner for rule in campaign.earning_rules]
        yield from self._once((*place, "earning_rules"), banners)
        yield from self._once((*place, "rewards"), [price.reward for price in campaign.rewards])
        yield from self._once((*place, "tiers"), [tier.name for tier in campaign.tiers])
        for number, rule in enumerate(campaign.earning_rules):
            yield from self._earning((*place, "earning_rules", number), rule)
        for number, price in enumerate(campaign.rewards):
            at = (*place, "rewards", number, "reward")
            yield from self._there(at, "reward", price.reward)
            if any(each.name == price.reward and each.points_of == campaign.name for each in self.programme.rewards):
                yield at, "A loyalty campaign can't have its own points as a reward."
        for number, tier in enumerate(campaign.tiers):
            yield from self._tier((*place, "tiers", number), tier, banners, [each.reward for each in campaign.rewards])
        if campaign.tier_rules is not None and not campaign.tiers:
            yield (*place, "tier_rules"), "There are rules for tiers, and no `tiers`."
        rules = campaign.tier_rules
        if rules is not None and (rules.period is not None) != (rules.counts == "points earned in a period"):
            yield (*place, "tier_rules"), "`period` goes with `counts: points earned in a period`."
        if rules is not None and (rules.months is not None) != (rules.ends == "after months"):
            yield (*place, "tier_rules"), "`months` goes with `ends: after months`."

    def _earning(self, place: Place, rule: EarningRule) -> Iterable[Fault]:
        when, per = rule.when, rule.per
        yield from self._one_of((*place, "when"), when, ("order", "event", "enters_segment", "tier"))
        yield from self._there((*place, "when", "event"), "event", when.event)
        yield from self._there((*place, "when", "enters_segment"), "segment", when.enters_segment)
        yield from self._there((*place, "only_if"), "validation rule", rule.only_if)
        if rule.pending_days is not None and when.order is None:
            yield (*place, "pending_days"), "Only what an order earns can be pending: `when: {order: paid}`."
        if per is not None:
            yield from self._per((*place, "per"), per, rule)

    def _per(self, place: Place, per: Per, rule: EarningRule) -> Iterable[Fault]:
        yield from self._one_of(place, per, ("every_minor_units", "every"))
        if per.of in _MONEY and per.every is not None:
            yield place, f"`of: {per.of}` is money: write `every_minor_units`."
        if per.of == "quantity of products" and per.every_minor_units is not None:
            yield place, "`of: quantity of products` is no money: write `every`."
        if (per.key is not None) != (per.of in _METADATA):
            yield (
                place,
                "`key` names the key of metadata: give it with `of: order metadata` and the like, and only there.",
            )
        if bool(per.products) != (per.of in _PRODUCTS):
            yield place, "`products` says which ones count: give it with `of: quantity of products` and the like."
        for number, name in enumerate(per.products):
            yield from self._there((*place, "products", number), "product", name)
        if rule.when.order is None and per.of not in {"customer metadata", "event metadata"}:
            yield place, f"`of: {per.of}` needs an order: `when: {{order: paid}}`."
        if rule.when.event is None and per.of == "event metadata":
            yield place, "`of: event metadata` needs an event: `when: {event: its name}`."

    def _tier(self, place: Place, tier: Tier, banners: Sequence[str], rewards: Sequence[str]) -> Iterable[Fault]:
        if tier.to_points is not None and tier.to_points < tier.from_points:
            yield place, "`to_points` is less than `from_points`."
        for word, mapped, known, what in (
            ("earning", tier.earning, banners, "earning rule with the banner"),
            ("prices", tier.prices, rewards, "price of the reward"),
        ):
            for name, change in mapped.items():
                if name not in known:
                    near = get_close_matches(name, known, n=1, cutoff=0.6)
                    hint = f" Did you mean {near[0]!r}?" if near else ""
                    yield (*place, word, name), f"This campaign has no {what} {name!r}.{hint}"
                yield from self._one_of((*place, word, name), change, ("times", "points"))

    def _promotion(self, place: Place, campaign: Promotion) -> Iterable[Fault]:
        yield from self._once((*place, "tiers"), [tier.name for tier in campaign.tiers])
        for number, tier in enumerate(campaign.tiers):
            at = (*place, "tiers", number)
            yield from self._gives((*at, "gives"), tier.gives)
            for each, name in enumerate(tier.only_if):
                yield from self._there((*at, "only_if", each), "validation rule", name)

    def _referral(self, place: Place, campaign: Referral) -> Iterable[Fault]:
        yield from self._gives((*place, "friend_gets"), campaign.friend_gets)
        if (campaign.event is not None) != (campaign.converts_by == "event"):
            yield place, "`event` goes with `converts_by: event`, and with nothing else."
        yield from self._there((*place, "event"), "event", campaign.event)
        for field, gets in (("referrer_gets", campaign.referrer_gets), ("friend_earns", campaign.friend_earns)):
            if gets is None:
                continue
            at = (*place, field)
            yield from self._one_of(at, gets, ("points", "credits_minor_units"))
            what = "loyalty campaign" if gets.points is not None else "gift campaign"
            yield from self._there((*at, "campaign"), what, gets.campaign)

    def _test(self, place: Place, test: Test) -> Iterable[Fault]:
        members: list[str] = []
        for number, step in enumerate(test.given):
            yield from self._given((*place, "given", number), step, members)
        if not test.then:
            yield (*place, "then"), "A test says in `then` what must be so."
        for number, then in enumerate(test.then):
            at = (*place, "then", number)
            if not members or (then.member is not None and then.member not in members):
                yield at, "No member of that name is given." if members else "No member is given before this."
            yield from self._there((*at, "campaign"), "loyalty campaign", then.campaign)
            for name in then.coupons:
                yield from self._there((*at, "coupons", name), "campaign", name)

    def _given(self, place: Place, step: Given, members: list[str]) -> Iterable[Fault]:
        yield from self._one_of(place, step, ("member", "order", "event", "coupon", "buys", "days_pass"))
        if step.member is not None:
            for number, name in enumerate(step.member.joins or ()):
                yield from self._there((*place, "member", "joins", number), "loyalty campaign", name)
            members.append(step.member.name)
            return
        who = next((part.by for part in (step.order, step.event, step.buys) if part is not None and part.by), None)
        if step.days_pass is None and (not members or (who is not None and who not in members)):
            yield place, f"There is no member {who!r} yet." if who else "No member is given before this."
        yield from self._there((*place, "coupon"), "campaign", step.coupon)
        if step.buys is not None:
            yield from self._there((*place, "buys", "reward"), "reward", step.buys.reward)
            yield from self._there((*place, "buys", "campaign"), "loyalty campaign", step.buys.campaign)
        if step.order is not None:
            yield from self._there((*place, "order", "coupon"), "campaign", step.order.coupon)
            yield from self._there((*place, "order", "promotion"), "promotion campaign", step.order.promotion)
            for number, item in enumerate(step.order.items):
                yield from self._there((*place, "order", "items", number), "product", item.product)
            if (step.order.amount_minor_units is None) == (not step.order.items):
                yield (*place, "order"), "Give `amount_minor_units` or `items`, one of them."
        if step.event is not None:
            yield from self._there((*place, "event", "name"), "event", step.event.name)
            if step.event.referral_from is not None and step.event.referral_from not in members:
                yield (*place, "event"), f"There is no member {step.event.referral_from!r} yet."
