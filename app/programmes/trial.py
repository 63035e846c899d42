"""Programme tests: each begins with an empty sandbox, loads the file, lets things happen, and looks what became of it.

What happens comes in as it does in life: members and events through the door for Segment, which drops metadata that no
schema defines, orders and coupons over the API.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.errors import VoucherifyRefused
from app.programmes.caller import Caller
from app.programmes.format import Programme
from app.programmes.format_campaigns import Loyalty, Promotion
from app.programmes.format_tests import Given, Member, Order, Purchase, Test, TestEvent, Then
from app.programmes.load import Target, load
from app.programmes.own_sandbox import OwnSandbox
from app.programmes.project import quoted

_DAY = 86400


@dataclass(frozen=True)
class Outcome:
    """What became of one test: nothing wrong, or sentences about what is."""

    name: str
    wrongs: tuple[str, ...] = ()
    not_emulated: str = ""

    @property
    def passed(self) -> bool:
        return not self.wrongs and not self.not_emulated


async def run(sandbox: OwnSandbox, programme: Programme, test: Test) -> Outcome:
    """One test, on a sandbox that is emptied first."""
    caller = Caller(sandbox.client)
    try:
        await caller.write("POST", "/sandbox/reset")
        await caller.write("POST", "/sandbox/webhooks", {"target_urls": []})
        await load(Target(caller, sandbox=True, public_url="http://127.0.0.1:9"), programme)
        trial = _Trial(sandbox, caller, programme)
        for step in test.given:
            await trial.happens(step)
            if trial.refused is not None and step is not test.given[-1]:
                # Only the last step may be one that is refused: `then` says so.
                return Outcome(test.name, (f"Step {trial.step} was refused: {trial.refused.sentence}",))
        return Outcome(test.name, tuple([wrong for then in test.then for wrong in await trial.wrongs(then)]))
    except VoucherifyRefused as error:
        if error.code == 501:
            return Outcome(test.name, not_emulated=_told(error))
        return Outcome(test.name, (error.sentence,))


@dataclass
class _Trial:
    """One test under way."""

    sandbox: OwnSandbox
    caller: Caller
    programme: Programme
    last: str = ""
    """The member of the last step."""
    refused: VoucherifyRefused | None = None
    """What the last step was refused with, until somebody asks."""
    step: int = 0
    orders: dict[str, dict[str, Any]] = field(default_factory=dict)
    before: dict[str, int] = field(default_factory=dict)
    """The balances before the last step."""
    made: int = 0

    async def happens(self, step: Given) -> None:
        """One step of `given`."""
        self.step += 1
        await self._remember(step)
        try:
            if step.member is not None:
                await self._member(step.member)
            elif step.order is not None:
                await self._order(step.order)
            elif step.event is not None:
                await self._event(step.event)
            elif step.coupon is not None:
                await self._publish(step.coupon, self.last)
            elif step.buys is not None:
                await self._buy(step.buys)
            elif step.days_pass is not None:
                await self.caller.write("POST", "/sandbox/clock", {"advance": step.days_pass * _DAY})
        except VoucherifyRefused as error:
            if error.code == 501 or error.code in {401, 403}:
                raise
            self.refused = error

    # --- what happens

    async def _member(self, member: Member) -> None:
        source_id = _source_id(member.name)
        await self._segment("customer", {"name": member.name, **member.fields, "source_id": source_id})
        for name in member.joins if member.joins is not None else self._joined():
            body = {"campaign": {"name": name}, "customer": {"source_id": source_id}}
            await self.caller.write("POST", "/v1/publications?join_once=true", body)

    def _joined(self) -> list[str]:
        return [
            campaign.name
            for campaign in self.programme.campaigns
            if isinstance(campaign, Loyalty) and campaign.active and not campaign.joins_by_earning
        ]

    async def _order(self, order: Order) -> None:
        self.made += 1
        prices = {product.source_id: product for product in self.programme.products}
        body: dict[str, Any] = {
            "source_id": f"order-{self.made}",
            "status": "CREATED" if order.coupon or order.promotion else order.status.upper(),
            "metadata": order.metadata,
        }
        if order.amount_minor_units is not None:
            body["amount"] = order.amount_minor_units
        else:
            body["items"] = [
                {
                    "source_id": item.product,
                    "related_object": "product",
                    "quantity": item.quantity,
                    "price": prices[item.product].price_minor_units or 0,
                    "product": {"name": prices[item.product].name, "metadata": prices[item.product].metadata},
                }
                for item in order.items
            ]
        customer = {"source_id": _source_id(self.last)}
        redeemables = await self._redeemables(order)
        if redeemables:
            redemption = {"redeemables": redeemables, "order": body, "customer": customer}
            await self.caller.write("POST", "/v1/redemptions", redemption)
            if order.status == "paid":
                shown = await self.caller.write("PUT", f"/v1/orders/{body['source_id']}", {"status": "PAID"})
            else:
                shown = await self.caller.get(f"/v1/orders/{body['source_id']}")
        else:
            shown = await self.caller.write("POST", "/v1/orders", {**body, "customer": customer})
        self.orders[self.last] = shown

    async def _redeemables(self, order: Order) -> list[dict[str, str]]:
        """What takes something off the order: the member's coupon, the promotion's first tier."""
        found = []
        if order.coupon is not None:
            codes = await self._codes(self.last, order.coupon)
            found.append({"object": "voucher", "id": codes[0] if codes else "(none)"})
        if order.promotion is not None:
            campaign = await self.caller.get(f"/v1/campaigns/{quoted(order.promotion)}")
            tiers = await self.caller.listed(f"/v1/promotions/{campaign['id']}/tiers")
            first = next(each for each in self.programme.campaigns if each.name == order.promotion)
            name = first.tiers[0].name if isinstance(first, Promotion) else ""
            found += [{"object": "promotion_tier", "id": tier["id"]} for tier in tiers if tier["name"] == name]
        return found

    async def _event(self, event: TestEvent) -> None:
        body: dict[str, Any] = {
            "event": event.name,
            "customer": {"source_id": _source_id(self.last)},
            "metadata": event.metadata,
        }
        if event.referral_from is not None:
            body["referral"] = {"code": await self._referral_code(event.referral_from)}
        await self._segment("event", body)

    async def _buy(self, purchase: Purchase) -> None:
        card = await self._card(self.last, purchase.campaign or self._campaign())
        rewards = {row["name"]: row["id"] for row in await self.caller.listed("/v1/rewards")}
        body = {"reward": {"id": rewards[purchase.reward]}}
        path = f"/v1/loyalties/members/{quoted(str((card or {}).get('code', '-')))}/redemption"
        await self.caller.write("POST", path, body)

    async def _publish(self, campaign: str, member: str) -> None:
        body = {"campaign": {"name": campaign, "count": 1}, "customer": {"source_id": _source_id(member)}}
        await self.caller.write("POST", "/v1/publications", body)

    async def _referral_code(self, member: str) -> str:
        names = [each.name for each in self.programme.campaigns if type(each).__struct_config__.tag == "referral"]
        codes = [code for name in names for code in await self._codes(member, name)]
        return codes[0] if codes else ""

    async def _segment(self, kind: str, body: Mapping[str, Any]) -> None:
        """Through the door for Segment, with an integration key."""
        given = (self.sandbox.integration_id, self.sandbox.integration_key)
        identifier, key = (base64.b64encode(each.get_secret_value().encode()).decode() for each in given)
        headers = {"authorization": f"Basic {identifier}", "secret-key": key}
        await self.sandbox.client.send("POST", f"/segmentio/{kind}-processing", body, headers)

    # --- what became of it

    def _campaign(self) -> str:
        loyalty = [each for each in self.programme.campaigns if isinstance(each, Loyalty)]
        return next((each.name for each in loyalty if each.active), loyalty[0].name if loyalty else "")

    async def _card(self, member: str, campaign: str) -> dict[str, Any] | None:
        return next(iter(await self._vouchers(member, campaign)), None)

    async def _codes(self, member: str, campaign: str) -> list[str]:
        return [str(voucher["code"]) for voucher in await self._vouchers(member, campaign)]

    async def _vouchers(self, member: str, campaign: str) -> list[dict[str, Any]]:
        asked: dict[str, str | int | bool] = {"campaign": campaign, "customer": _source_id(member), "limit": 100}
        found: list[dict[str, Any]] = (await self.caller.get("/v1/vouchers", asked))["vouchers"]
        return found

    async def _remember(self, step: Given) -> None:
        """The balances of the one whose step it is."""
        self.last = _who(step) or self.last
        self.before = {}
        for campaign in self.programme.campaigns if self.last else ():
            if isinstance(campaign, Loyalty):
                card = await self._card(self.last, campaign.name)
                self.before[campaign.name] = card["loyalty_card"]["balance"] if card else 0

    async def wrongs(self, then: Then) -> list[str]:
        """What is not as it should be, in a person's words."""
        member, campaign = then.member or self.last, then.campaign or self._campaign()
        wrongs: list[str] = []
        if self.refused is not None:
            refused, self.refused = self.refused, None
            if refused.key != then.refused:
                expected = f", and {then.refused} was expected" if then.refused else ""
                wrongs.append(f"The last step was refused{expected}: {refused.sentence}")
        elif then.refused is not None:
            wrongs.append(f"The last step should have been refused with {then.refused}, and was done.")
        card = await self._card(member, campaign) if campaign else None
        wrongs += await self._points(then, member, campaign, card)
        for name, wanted in then.coupons.items():
            codes = await self._codes(member, name)
            if len(codes) != wanted:
                wrongs.append(f"{member} should hold {_many(wanted, 'code')} of {name}, and holds {len(codes)}.")
        if then.metadata:
            customer = await self.caller.get(f"/v1/customers/{quoted(_source_id(member))}") or {"metadata": {}}
            wrongs += [
                f"The metadata `{key}` of {member} should be {wanted!r}, and is {customer['metadata'].get(key)!r}."
                for key, wanted in then.metadata.items()
                if customer["metadata"].get(key) != wanted
            ]
        if then.last_order_total_minor_units is not None:
            total = self.orders.get(member, {}).get("total_amount")
            if total != then.last_order_total_minor_units:
                wrongs.append(
                    f"The last order of {member} should come to {then.last_order_total_minor_units} minor units, and "
                    f"comes to {total}."
                )
        return wrongs

    async def _points(self, then: Then, member: str, campaign: str, card: dict[str, Any] | None) -> list[str]:
        asked = (then.points, then.earned_by_last_step, then.pending_points, then.tier)
        if all(each is None for each in asked):
            return []
        if card is None:
            return [] if then.points == 0 and then.tier is None else [f"{member} has no card of {campaign}."]
        sums, wrongs = card["loyalty_card"], []
        if then.points is not None and sums["balance"] != then.points:
            history = await self._history(card)
            wrongs.append(f"{member} should have {_many(then.points, 'point')}, and has {sums['balance']}: {history}.")
        if then.earned_by_last_step is not None:
            earned = sums["balance"] - self.before[campaign]
            if member != self.last:
                wrongs.append(f"The last step was one of {self.last}: it can't be asked what {member} earned by it.")
            elif earned != then.earned_by_last_step:
                wrongs.append(f"The last step should move {then.earned_by_last_step} points of {member}, not {earned}.")
        if then.pending_points is not None and sums.get("pending_points") != then.pending_points:
            wrongs.append(
                f"{member} should have {_many(then.pending_points, 'pending point')}, and has {sums['pending_points']}."
            )
        if then.tier is not None:
            path = f"/v1/loyalties/members/{quoted(card['code'])}/tiers"
            tiers = [str(tier["name"]) for tier in (await self.caller.get(path) or {}).get("data", [])]
            if (tiers or ["none"]) != [then.tier]:
                wrongs.append(f"{member} should be in the tier {then.tier}, and is in {', '.join(tiers) or 'none'}.")
        return wrongs

    async def _history(self, card: dict[str, Any]) -> str:
        """How the balance came about: the initial points and every movement."""
        answer = await self.caller.get(f"/v1/loyalties/members/{quoted(card['code'])}/transactions", {"limit": 100})
        parts = []
        for row in reversed((answer or {}).get("data") or []):
            details = row.get("details") or {}
            points = (details.get("balance") or {}).get("points") or 0
            why = ((details.get("earning_rule") or {}).get("source") or {}).get("banner")
            why = why or (details.get("reward") or {}).get("name") or str(row["type"]).lower().replace("_", " ")
            parts.append(f"{points:+d} for «{why}»")
        moved = sum(int(part.split(" ", 1)[0]) for part in parts)
        begin = card["loyalty_card"]["balance"] - moved
        return ", ".join([f"{begin} to begin with", *parts])


def _who(step: Given) -> str | None:
    if step.member is not None:
        return step.member.name
    return next((part.by for part in (step.order, step.event, step.buys) if part is not None), None)


def _source_id(name: str) -> str:
    return f"test:{name}"


def _many(count: int, thing: str) -> str:
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"


def _told(error: VoucherifyRefused) -> str:
    answer = error.answer if isinstance(error.answer, dict) else {}
    return str(answer.get("details") or answer.get("message") or error.sentence)
