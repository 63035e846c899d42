"""What Voucherify's API can't do and a person does in the dashboard: as steps to click. Pure."""

from app.programmes.format import Programme
from app.programmes.format_campaigns import EarningRule, Loyalty, Referral, ReferrerGets
from app.programmes.project import Project

_RESOURCES = {"customer": "Customers", "order": "Orders", "product": "Products", "order_item": "Order items",
              "campaign": "Campaigns", "voucher": "Vouchers", "earning_rule": "Earning rules", "reward": "Rewards",
              "publication": "Publications", "redemption": "Redemptions"}  # fmt: skip


def steps(programme: Programme, project: Project, public_url: str) -> list[str]:
    """The steps, none for the sandbox."""
    if project.sandbox:
        return []
    return [
        *_schemas(programme, project),
        *_events(programme),
        *_rules(programme, project),
        *_referrers(programme),
        *_webhooks(programme, public_url),
        *_ids(programme),
    ]


def _schemas(programme: Programme, project: Project) -> list[str]:
    told = []
    for resource, wanted in programme.metadata_schemas.items():
        there = (project.found("metadata schema", resource) or {}).get("properties") or {}
        for key, kind in wanted.items():
            if key not in there:
                page = _RESOURCES.get(resource, resource)
                told.append(f"Project settings → Metadata schema → {page}: add `{key}` ({kind}).")
            elif isinstance(there[key], dict) and there[key].get("type") != kind:
                told.append(
                    f"Project settings → Metadata schema: `{key}` of {resource} is {there[key].get('type')} there, and "
                    f"{kind} in the file. A type can't be changed: rename one of them."
                )
    return told


def _events(programme: Programme) -> list[str]:
    """Event definitions can't be read over the API, so it can't be said which are there."""
    told = []
    for event in programme.events:
        keys = ", ".join(f"`{key}` ({kind})" for key, kind in event.metadata.items())
        with_keys = f" with the metadata {keys}" if keys else ""
        told.append(f"Project settings → Event schema: see that there is an event `{event.name}`{with_keys}.")
    return told


def _rules(programme: Programme, project: Project) -> list[str]:
    return [
        f"Loyalty → {campaign.name} → Earning rules: {_rule(rule)}. Over the API it can be made once the file gives "
        f"the event's `real_schema_id` (`ms_…`)."
        for campaign in programme.campaigns
        if isinstance(campaign, Loyalty)
        for rule in campaign.earning_rules
        if rule.when.event is not None and project.found("event", rule.when.event) is None
    ]


def _rule(rule: EarningRule) -> str:
    step = ""
    if rule.per is not None:
        step = f" for every {rule.per.every_minor_units or rule.per.every} of {rule.per.of} `{rule.per.key or ''}`"
    return f"on the event `{rule.when.event}` give {rule.points} points{step}, with the name «{rule.banner}»"


def _referrers(programme: Programme) -> list[str]:
    """The levels of those who bring friends can't be read or made over the API."""
    return [
        f"Campaigns → {campaign.name} → Referrer rewards: see that there is a tier that gives {_reward(gets)}."
        for campaign in programme.campaigns
        if isinstance(campaign, Referral) and (gets := campaign.referrer_gets) is not None
    ]


def _reward(gets: ReferrerGets) -> str:
    amount = f"{gets.points} points" if gets.points is not None else f"{gets.credits_minor_units} cents of credits"
    when = f"at {gets.at_friends} unique referees" if gets.at_friends is not None else "for each unique referee"
    return f"{amount} of {gets.campaign} {when}"


def _webhooks(programme: Programme, public_url: str) -> list[str]:
    told = []
    for each in programme.webhooks:
        url = each.url.replace("{PUBLIC_URL}", public_url)
        events = ", ".join(each.events) or "all events"
        told.append(f"Project settings → Webhooks → Add, version v2024-01-01: {url}, {events}.")
        if each.distributions:
            told.append(f"Distributions → New → Webhook to {url}, one for each of: {', '.join(each.distributions)}.")
    return told


def _ids(programme: Programme) -> list[str]:
    fixed = [campaign.name for campaign in programme.campaigns if campaign.sandbox_id is not None]
    if not fixed:
        return []
    return [
        f"A real project picks ids itself: put those of {', '.join(fixed)} into the apps that have them in their code."
    ]
