"""What a project has of the things that a programme names: read over the API, found by name."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from app.programmes.caller import Caller
from app.programmes.format import Programme
from app.programmes.format_campaigns import Loyalty, Promotion, Referral

Key = tuple[str, str]
"""A thing: its kind and its name. What is inside a campaign is named `campaign/name`."""


@dataclass
class Project:
    """Things by kind and name, as the API shows them."""

    sandbox: bool
    things: dict[Key, dict[str, Any]] = field(default_factory=dict)
    webhook_urls: list[str] = field(default_factory=list)
    """Where the sandbox sends webhooks; a real project does not tell."""

    def found(self, kind: str, name: str) -> dict[str, Any] | None:
        return self.things.get((kind, name))

    def id(self, kind: str, name: str) -> str:
        """Its id; a word in its place while it is not there."""
        thing = self.things.get((kind, name))
        return str(thing["id"]) if thing is not None else f"(the id of the {kind} {name})"

    def keep(self, kind: str, rows: Sequence[dict[str, Any]], within: str = "", by: str = "name") -> None:
        """Note what was read or made. Of several with one name the oldest counts: it was there first."""
        for row in sorted(rows, key=lambda row: str(row.get("created_at") or ""), reverse=True):
            name = row.get(by)
            if isinstance(name, str):
                self.things[(kind, within + name)] = row


async def read(caller: Caller, programme: Programme, *, sandbox: bool) -> Project:
    """Ask the project for what the programme names, and for nothing else."""
    project = Project(sandbox)
    if sandbox:
        await _sandbox_only(caller, project, programme)
    elif programme.metadata_schemas:
        project.keep("metadata schema", await caller.listed("/v1/metadata-schemas"), by="related_object")
    if not sandbox:
        project.things |= {
            ("event", event.name): {"id": event.real_schema_id, "name": event.name}
            for event in programme.events
            if event.real_schema_id is not None
        }
    for kind, path, wanted in (
        ("segment", "/v1/segments", programme.segments),
        ("validation rule", "/v1/validation-rules", programme.validation_rules),
        ("reward", "/v1/rewards", programme.rewards),
        ("campaign", "/v1/campaigns", programme.campaigns),
    ):
        if wanted:
            project.keep(kind, await caller.listed(path))
    await _products(caller, project, [each.source_id for each in programme.products])
    await _inside(caller, project, programme)
    return project


async def _sandbox_only(caller: Caller, project: Project, programme: Programme) -> None:
    if programme.metadata_schemas or programme.events:
        schemas = (await caller.get("/sandbox/metadata-schemas"))["schemas"]
        project.keep("event", [each for each in schemas if each["related_object"] == "custom_event"])
        others = [each for each in schemas if each["related_object"] != "custom_event"]
        project.keep("metadata schema", others, by="related_object")
    if programme.webhooks:
        shown = (await caller.get("/sandbox/webhooks"))["data"]
        project.webhook_urls = list(dict.fromkeys(str(each["target_url"]) for each in shown))


async def _products(caller: Caller, project: Project, wanted: Sequence[str]) -> None:
    """By pages where that is cheaper, else one by one: a catalogue may have thousands that the file does not name."""
    if not wanted:
        return
    rows, all_of_them = await caller.some("/v1/products", 1 + len(wanted) // 4)
    project.keep("product", rows, by="source_id")
    for name in wanted if not all_of_them else ():
        if project.found("product", name) is None and (row := await caller.get(f"/v1/products/{quoted(name)}")):
            project.keep("product", [row], by="source_id")


async def _inside(caller: Caller, project: Project, programme: Programme) -> None:
    """What is inside the campaigns that are there already."""
    for campaign in programme.campaigns:
        there = project.found("campaign", campaign.name)
        if there is None:
            continue
        within, path = f"{campaign.name}/", f"/v1/loyalties/{there['id']}"
        if isinstance(campaign, Promotion):
            tiers = await caller.listed(f"/v1/promotions/{there['id']}/tiers")
            project.keep("promotion tier", tiers, within)
        if isinstance(campaign, Referral) and project.sandbox:
            shown = await caller.get("/sandbox/referral-tiers", {"campaign": str(there["id"])})
            project.keep("referral tier", shown["data"] if shown else [], within)
        if isinstance(campaign, Loyalty):
            if campaign.earning_rules:
                rules = await caller.listed(f"{path}/earning-rules")
                named = [{**rule, "banner": (rule.get("source") or {}).get("banner")} for rule in rules]
                project.keep("earning rule", named, within, by="banner")
            if campaign.tiers:
                project.keep("tier", await caller.listed(f"{path}/tiers"), within)
            if campaign.rewards:
                names = {row["id"]: name for (kind, name), row in project.things.items() if kind == "reward"}
                prices = await caller.listed(f"{path}/rewards")
                project.keep("price", [{**row, "name": names.get(row["reward_id"])} for row in prices], within)
    for rule in dict.fromkeys(name for campaign in programme.campaigns for name in campaign.only_if):
        if there := project.found("validation rule", rule):
            rows = await caller.listed(f"/v1/validation-rules/{there['id']}/assignments")
            project.keep("assignment", rows, f"{rule}/", by="related_object_id")


def quoted(part: str) -> str:
    """A name as a part of a path."""
    return quote(part, safe="")
