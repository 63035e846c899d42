"""What loading a programme would do: what is missing, what differs, what only a person can do. Pure.

Nothing is changed that is there already. What differs is shown, and changed only with `--change`, where the API can.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from app.programmes import bodies, by_hand, changes, loyalty_bodies
from app.programmes.caller import Caller
from app.programmes.compare import differences
from app.programmes.format import Programme
from app.programmes.format_campaigns import Campaign, EarningRule, Loyalty, Promotion, Referral
from app.programmes.loyalty_bodies import Ids
from app.programmes.project import Project, quoted
from app.programmes.steps import Difference, Do, Plan, Step


def make(programme: Programme, project: Project, *, public_url: str) -> Plan:
    """Compare a programme with what a project has."""
    return _Planner(programme, project, public_url).plan()


_TIERS = "/v1/promotions/tiers"


class _Planner:
    def __init__(self, programme: Programme, project: Project, public_url: str) -> None:
        self.programme, self.project, self.public_url = programme, project, public_url
        self.result = Plan()

    def plan(self) -> Plan:
        programme = self.programme
        self._schemas()
        for segment in programme.segments:
            self._one("segment", segment.name, "/v1/segments", _same_whatever(bodies.segment(segment)))
        for product in programme.products:
            # The same call makes and changes it.
            self._one(
                "product", product.source_id, "/v1/products", _same_whatever(bodies.product(product)), upserts=True
            )
        for rule in programme.validation_rules:
            self._one(
                "validation rule",
                rule.name,
                "/v1/validation-rules",
                partial(bodies.validation_rule, rule),
            )
        # Referral campaigns last: what the referrer gets is of another campaign.
        campaigns = sorted(programme.campaigns, key=lambda each: isinstance(each, Referral))
        for campaign in campaigns:
            self._campaign(campaign)
        for reward in programme.rewards:
            self._one("reward", reward.name, "/v1/rewards", partial(bodies.reward, reward))
        for campaign in campaigns:
            if isinstance(campaign, Loyalty):
                self._loyalty(campaign)
        self._webhooks()
        self.result.by_hand += by_hand.steps(programme, self.project, self.public_url)
        return self.result

    # --- one thing, one call

    def _one(
        self,
        kind: str,
        name: str,
        path: str,
        body: Callable[[Ids], dict[str, Any]],
        *,
        at: str | None = None,
        upserts: bool = False,
        ignored: Sequence[str] = (),
        before: Do | None = None,
    ) -> None:
        """`at`: what the path of one of them begins with, where that is another; `upserts`: POST changes it too."""

        async def do(caller: Caller, project: Project) -> None:
            if before is not None:
                await before(caller, project)
            made = await caller.write("POST", path, body(project.id))
            project.things[(kind, name)] = made

        there = self.project.found(kind, name)
        if there is None:
            self.result.steps.append(Step(f"make the {kind} {name}", do, ((kind, name),)))
        elif upserts:
            self._compare(kind, name, body(self.project.id), there, Step(f"change the {kind} {name}", do))
        else:
            self._compare_to_put(kind, name, at or path, body, there, ignored)

    def _compare(
        self, kind: str, name: str, wanted: Mapping[str, Any], there: Mapping[str, Any], change: Step | None = None
    ) -> None:
        """`change` mends every field."""
        found = [Difference(kind, name, *each, change) for each in differences(wanted, there)]
        self.result.differences += found
        self.result.as_wanted += not found

    def _compare_to_put(
        self,
        kind: str,
        name: str,
        at: str,
        body: Callable[[Ids], dict[str, Any]],
        there: Mapping[str, Any],
        ignored: Sequence[str] = (),
    ) -> None:
        """What can be changed of it is changed by one PUT, with the fields that differ and no others."""
        wanted = {field: value for field, value in body(self.project.id).items() if field not in ignored}
        found = list(differences(wanted, there))
        ways = changes.changeable(kind, wanted, [where for where, _, _ in found], sandbox=self.project.sandbox)

        async def do(caller: Caller, project: Project) -> None:
            path = f"{at}/{quoted(project.id(kind, name))}"
            await caller.write("PUT", path, changes.put(body(project.id), dict.fromkeys(ways.values())))

        change = Step(f"change the {kind} {name}", do)
        self.result.differences += [
            Difference(kind, name, where, is_, should, change if where in ways else None)
            for where, is_, should in found
        ]
        self.result.as_wanted += not found

    # --- what only the sandbox takes over the API

    def _schemas(self) -> None:
        if not self.project.sandbox:
            return
        for resource, properties in self.programme.metadata_schemas.items():
            self._schema("metadata schema", resource, bodies.metadata_schema(resource, properties))
        for event in self.programme.events:
            self._schema("event", event.name, bodies.event_schema(event))

    def _schema(self, kind: str, name: str, body: dict[str, Any]) -> None:
        async def do(caller: Caller, project: Project) -> None:
            there = project.found(kind, name) or {}
            # One call states the whole schema: what it has besides must stay.
            properties = {**(there.get("properties") or {}), **body["properties"]}
            made = await caller.write("POST", "/sandbox/metadata-schemas", {**body, "properties": properties})
            project.things[(kind, name)] = {**made, "id": there.get("id", made["id"])}

        there = self.project.found(kind, name)
        if there is None:
            self.result.steps.append(Step(f"define the {kind} {name}", do, ((kind, name),)))
            return
        shown = {key: each["type"] for key, each in (there.get("properties") or {}).items()}
        self._compare(kind, name, body["properties"], shown, Step(f"add to the {kind} {name}", do))

    def _webhooks(self) -> None:
        if not self.project.sandbox:
            return
        wanted = [each.url.replace("{PUBLIC_URL}", self.public_url) for each in self.programme.webhooks]
        there = self.project.webhook_urls
        new = [url for url in dict.fromkeys(wanted) if url not in there]
        if new:

            async def do(caller: Caller, _: Project) -> None:
                await caller.write("POST", "/sandbox/webhooks", {"target_urls": [*there, *new]})

            self.result.steps.append(
                Step(f"send webhooks to {', '.join(new)}", do, tuple(("webhook", url) for url in new))
            )
        self.result.as_wanted += len(set(wanted)) - len(new)

    # --- campaigns

    def _campaign(self, campaign: Campaign) -> None:
        name, fixed = campaign.name, campaign.sandbox_id

        async def fix(caller: Caller, project: Project) -> None:
            if fixed is not None and project.sandbox:
                body = {"object": "campaign", "name": name, "id": fixed}
                await caller.write("POST", "/sandbox/ids", body)

        there = self.project.found("campaign", name)
        self._one(
            "campaign",
            name,
            "/v1/campaigns",
            partial(bodies.campaign, campaign),
            # Tiers are things of their own; how many codes there were at first says nothing later.
            ignored=("promotion", "vouchers_count", "active", "type"),
            before=fix,
        )
        if there is not None:
            self._active("campaign", name, "/v1/campaigns", campaign.active, there)
            if fixed is not None and self.project.sandbox and there["id"] != fixed:
                self.result.differences.append(Difference("campaign", name, "id", there["id"], fixed))
            if isinstance(campaign, Promotion):
                self._promotion_tiers(campaign)
        if isinstance(campaign, Referral):
            self._referral_tier(campaign)
        for rule in campaign.only_if:
            self._assignment(rule, name)

    def _referral_tier(self, campaign: Referral) -> None:
        """What who brings friends gets: only the sandbox takes it over the API."""
        gets, kind = campaign.referrer_gets, "referral tier"
        if gets is None or not self.project.sandbox:
            return
        name, body = f"{campaign.name}/{gets.name}", bodies.referral_tier(gets)

        async def do(caller: Caller, project: Project) -> None:
            stated = {"campaign": project.id("campaign", campaign.name), "tiers": [body]}
            made = await caller.write("POST", "/sandbox/referral-tiers", stated)
            project.keep(kind, made["data"], f"{campaign.name}/")

        there = self.project.found(kind, name)
        if there is None:
            self.result.steps.append(Step(f"give {campaign.name} the {kind}: {gets.name}", do, ((kind, name),)))
        else:
            self._compare(kind, name, body, there, Step(f"change the {kind} {name}", do))

    def _active(self, kind: str, name: str, at: str, wanted: bool, there: Mapping[str, Any]) -> None:
        async def do(caller: Caller, project: Project) -> None:
            verb = "enable" if wanted else "disable"
            await caller.write("POST", f"{at}/{quoted(project.id(kind, name))}/{verb}")

        if bool(there.get("active")) != wanted:
            change = Step(f"switch the {kind} {name} {'on' if wanted else 'off'}", do)
            self.result.differences.append(Difference(kind, name, "active", there.get("active"), wanted, change))

    def _promotion_tiers(self, campaign: Promotion) -> None:
        path = f"/v1/promotions/{quoted(self.project.id('campaign', campaign.name))}/tiers"
        for tier in campaign.tiers:
            self._one(
                "promotion tier",
                f"{campaign.name}/{tier.name}",
                path,
                partial(bodies.promotion_tier, tier),
                at=_TIERS,
                ignored=("validation_rules", "active"),
            )
            if (there := self.project.found("promotion tier", f"{campaign.name}/{tier.name}")) is not None:
                self._active("promotion tier", f"{campaign.name}/{tier.name}", _TIERS, tier.active, there)

    def _assignment(self, rule: str, campaign: str) -> None:
        campaign_id = self.project.id("campaign", campaign)
        if self.project.found("assignment", f"{rule}/{campaign_id}") is not None:
            self.result.as_wanted += 1
            return

        async def do(caller: Caller, project: Project) -> None:
            body = {"related_object_type": "campaign", "related_object_id": project.id("campaign", campaign)}
            path = f"/v1/validation-rules/{quoted(project.id('validation rule', rule))}/assignments"
            made = await caller.write("POST", path, body)
            project.things[("assignment", f"{rule}/{body['related_object_id']}")] = made

        step = Step(f"hold the campaign {campaign} to the validation rule {rule}", do, (("assignment", campaign),))
        self.result.steps.append(step)

    # --- inside a loyalty campaign: all that is missing of a kind in one call

    def _loyalty(self, campaign: Loyalty) -> None:
        rules = [rule for rule in campaign.earning_rules if not self._rule_by_hand(rule)]
        self._many(
            campaign.name,
            "earning rule",
            "earning-rules",
            [(rule.banner, partial(loyalty_bodies.earning_rule, rule)) for rule in rules],
        )
        self._many(
            campaign.name,
            "price",
            "rewards",
            [(price.reward, partial(loyalty_bodies.price, price)) for price in campaign.rewards],
        )
        self._many(
            campaign.name,
            "tier",
            "tiers",
            [(tier.name, partial(loyalty_bodies.tier, tier, campaign.name)) for tier in campaign.tiers],
        )

    def _rule_by_hand(self, rule: EarningRule) -> bool:
        """A real project takes a rule on an event only by the id of the event's definition."""
        event = rule.when.event
        return event is not None and not self.project.sandbox and self.project.found("event", event) is None

    def _many(
        self,
        campaign: str,
        kind: str,
        segment: str,
        wanted: Sequence[tuple[str, Callable[[Ids], dict[str, Any]]]],
    ) -> None:
        missing, at = [], f"/v1/loyalties/{quoted(self.project.id('campaign', campaign))}/{segment}"
        for name, body in wanted:
            there = self.project.found(kind, f"{campaign}/{name}")
            if there is None:
                missing.append((name, body))
            else:
                self._compare_to_put(kind, f"{campaign}/{name}", at, body, there, ignored=("reward",))
        if not missing:
            return

        async def do(caller: Caller, project: Project) -> None:
            path = f"/v1/loyalties/{quoted(project.id('campaign', campaign))}/{segment}"
            made = await caller.write("POST", path, [body(project.id) for _, body in missing])
            rows = made if isinstance(made, list) else made.get("data") or []
            for (name, _), row in zip(missing, rows, strict=False):
                project.things[(kind, f"{campaign}/{name}")] = row

        names = tuple((kind, f"{campaign}/{name}") for name, _ in missing)
        listed = ", ".join(name for name, _ in missing)
        plural = f"{kind}s" if len(missing) > 1 else kind
        self.result.steps.append(Step(f"give {campaign} the {plural}: {listed}", do, names))


def _same_whatever(body: dict[str, Any]) -> Callable[[Ids], dict[str, Any]]:
    """A body that names nothing else."""
    return lambda _: body
