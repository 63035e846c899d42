"""Earning rules as they are defined: read, checked, stored. What they give is in `earning.py`.

documented: the shapes; `points` as text is taken and answered as a number; a rule for a custom event carries its name;
which calculation goes with which event. inferred: a change keeps what it does not name, null clears a field, metadata
merges key by key; the data of `campaign.earning_rule.*`, which are not published: the campaign and the rule.
"""

from typing import Any

import asyncpg

from app.sandbox import conditions, earning_targets, expiry, render, render_loyalty, validity
from app.sandbox.earning_calculation import BASES
from app.sandbox.errors import NotEmulated, invalid_payload, not_found
from app.sandbox.ids import new_id
from app.sandbox.read import boolean, integer, mapping, one_of, required_text, text
from app.sandbox.work import Work

ORDER_PAID = "order.paid"
SEGMENT_ENTERED = "customer.segment.entered"
TIER_EVENTS = tuple(
    f"customer.loyalty.tier.{what}" for what in ("joined", "left", "upgraded", "downgraded", "prolonged")
)
ANY_TIER = "__ANY__"
_CALCULATIONS = {
    ORDER_PAID: set(BASES) - {"CUSTOM_EVENT_METADATA"},
    SEGMENT_ENTERED: {"CUSTOMER_METADATA"},
    **{event: {"CUSTOMER_METADATA"} for event in TIER_EVENTS},
}
_OF_CUSTOM_EVENTS = {"CUSTOMER_METADATA", "CUSTOM_EVENT_METADATA"}
_MOST_AT_ONCE = 100
_MOST_POINTS = 2**31
_LONGEST_PENDING = 90
_KEPT = ("custom_event", "segment", "loyalty_tier", "pending_points", "expiration_rules", *validity.FIELDS)
"""Fields of a rule that are there only where they were given."""


def read(given: Any) -> list[dict[str, Any]]:
    """The rules of a request, checked.

    Raises:
        Failure: a rule is not valid, or is of a kind that the sandbox does not emulate.
    """
    if not isinstance(given, list):
        raise invalid_payload("Payload must be array")
    if not 1 <= len(given) <= _MOST_AT_ONCE:
        raise invalid_payload(f"Payload must have 1 to {_MOST_AT_ONCE} items")
    return [_rule(rule, f"[{place}]") for place, rule in enumerate(given)]


def _rule(rule: Any, at: str) -> dict[str, Any]:
    if not isinstance(rule, dict):
        raise invalid_payload(f"Property {at} must be object")
    event = required_text(rule, "event", longest=300, at=at)
    if event.startswith(("customer.", "order.")) and event not in _CALCULATIONS:
        raise NotEmulated(f"Earning by {event}")
    loyalty = _loyalty(mapping(rule, "loyalty", at=at), event, f"{at}.loyalty")
    source = mapping(rule, "source", at=at)
    made: dict[str, Any] = {
        "event": event,
        "active": boolean(rule, "active", at=at) is not False,
        "loyalty": loyalty,
        "banner": text(source, "banner", at=f"{at}.source") or "",
        "metadata": mapping(rule, "metadata", at=at),
        "validation_rule_id": text(rule, "validation_rule_id", at=at),
        **{name: value for name, value in validity.read(rule, at).items() if value is not None},
    }
    validity.check(made, at)
    if event != SEGMENT_ENTERED and rule.get("segment") is not None:
        raise invalid_payload(f"Property {at}.segment cannot be used with the event {event}")
    if expiration_rules := expiry.read(rule, at):
        made["expiration_rules"] = expiration_rules
    if rule.get("pending_points") is not None:
        made["pending_points"] = _pending(mapping(rule, "pending_points", at=at), event, f"{at}.pending_points")
    if event == SEGMENT_ENTERED:
        segment = required_text(mapping(rule, "segment", at=at), "id", at=f"{at}.segment")
        made["segment"] = {"id": segment}
    elif event in TIER_EVENTS:
        tier = text(mapping(rule, "loyalty_tier", at=at), "id", at=f"{at}.loyalty_tier")
        made["loyalty_tier"] = {"id": tier or ANY_TIER}
    elif event != ORDER_PAID:
        schema = text(mapping(rule, "custom_event", at=at), "schema_id", at=f"{at}.custom_event")
        made["custom_event"] = {"schema_id": schema or new_id("ms")}
    return made


def _pending(given: dict[str, Any], event: str, at: str) -> dict[str, Any]:
    if event != ORDER_PAID:
        raise invalid_payload(f"Property {at} can be used with the event {ORDER_PAID} only")
    kind = one_of(given, "period_type", ("DAY",), at=at)
    days = integer(given, "period_value", least=1, most=_LONGEST_PENDING, at=at)
    if kind is None or days is None:
        raise invalid_payload(f"Property {at} should have required properties 'period_type', 'period_value'")
    return {"period_type": kind, "period_value": days}


def _loyalty(given: dict[str, Any], event: str, at: str) -> dict[str, Any]:
    kind = one_of(given, "type", ("FIXED", "PROPORTIONAL"), at=at)
    if kind == "FIXED":
        _refuse_formula(given)
        points = given.get("points")
        if isinstance(points, str) and points.isascii() and points.isdigit() and len(points) < 10:
            return {"type": kind, "points": int(points)}
        if (fixed := integer(given, "points", least=1, most=_MOST_POINTS, at=at)) is None:
            raise invalid_payload(f"Property {at} should have required property 'points'")
        return {"type": kind, "points": fixed}
    if kind is None:
        raise invalid_payload(f"Property {at} should have required property 'type'")
    calculation = one_of(given, "calculation_type", tuple(BASES), at=at)
    if calculation is None:
        raise invalid_payload(f"Property {at} should have required property 'calculation_type'")
    if calculation not in _CALCULATIONS.get(event, _OF_CUSTOM_EVENTS):
        raise invalid_payload(f"Property {at}.calculation_type cannot be used with the event {event}")
    owner, name = BASES[calculation]
    inside = mapping(given, owner, at=at)
    if not inside.get(name):
        raise invalid_payload(f"Loyalty {owner} rules must contain one of the following properties - '{name}'")
    step, at = mapping(inside, name, at=f"{at}.{owner}"), f"{at}.{owner}.{name}"
    _refuse_formula(step)
    every = integer(step, "every", least=1, at=at)
    points = integer(step, "points", least=1, most=_MOST_POINTS, at=at)
    if every is None or points is None:
        raise invalid_payload(f"Property {at} should have required properties 'every', 'points'")
    made: dict[str, Any] = {"every": every, "points": points}
    if name == "metadata":
        made["property"] = required_text(step, "property", longest=300, at=at)
    if owner == "order_items":
        made |= earning_targets.read(step, at)
    return {"type": kind, "calculation_type": calculation, owner: {name: made}}


def _refuse_formula(given: dict[str, Any]) -> None:
    if given.get("points_formula") is not None:
        raise NotEmulated("Points by a formula")


async def insert(work: Work, campaign: asyncpg.Record, rule: dict[str, Any]) -> asyncpg.Record:
    row = await work.one(
        "INSERT INTO earning_rule (id, campaign_id, event, active, doc, created_at) VALUES ($1, $2, $3, $4, $5, $6) "
        "RETURNING *",
        new_id("ern"),
        campaign["id"],
        rule["event"],
        rule["active"],
        {**_doc(campaign["id"], rule), "automation_id": new_id("auto")},
        work.now,
    )
    assert row is not None
    if rule["validation_rule_id"]:
        await conditions.assign(work, rule["validation_rule_id"], "earning_rule", row["id"])
        row = await work.one("SELECT * FROM earning_rule WHERE id = $1", row["id"])
        assert row is not None
    tell(work, "assigned", campaign, row)
    return row


def _doc(campaign_id: str, rule: dict[str, Any]) -> dict[str, Any]:
    return {
        "validation_rule_id": None,
        "loyalty": rule["loyalty"],
        "source": {"banner": rule["banner"], "object_id": campaign_id, "object_type": "campaign"},
        "metadata": rule["metadata"],
        **{name: rule[name] for name in _KEPT if name in rule},
    }


def tell(work: Work, what: str, campaign: asyncpg.Record, row: asyncpg.Record) -> None:
    work.announce(
        work.event(f"campaign.earning_rule.{what}", campaign["id"], "evcam"),
        {"campaign": render.simple_campaign(campaign), "earning_rule": render_loyalty.earning_rule(row)},
    )


async def change(work: Work, campaign: asyncpg.Record, before: asyncpg.Record, body: dict[str, Any]) -> asyncpg.Record:
    """Lay what a request says over a rule; its event, segment and custom event stay."""
    doc = before["doc"]
    metadata = {**doc["metadata"], **mapping(body, "metadata")}
    rule = _rule(
        {
            **doc,
            "active": before["active"],
            **body,
            "event": before["event"],
            **{name: doc[name] for name in ("custom_event", "segment", "loyalty_tier") if name in doc},
            "source": {"banner": doc["source"]["banner"], **mapping(body, "source")},
            "metadata": {name: value for name, value in metadata.items() if value is not None},
        },
        "",
    )
    if rule["validation_rule_id"] != doc["validation_rule_id"]:
        raise NotEmulated("Another validation rule for an earning rule that there is: assign it")
    row = await work.one(
        "UPDATE earning_rule SET active = $2, doc = $3, updated_at = $4 WHERE id = $1 RETURNING *",
        before["id"],
        rule["active"],
        {**_doc(campaign["id"], rule), **{name: doc[name] for name in ("automation_id", "validation_rule_id")}},
        work.now,
    )
    assert row is not None
    tell(work, "updated", campaign, row)
    return row


async def remove(work: Work, campaign: asyncpg.Record, row: asyncpg.Record) -> None:
    await work.run("DELETE FROM earning_rule WHERE id = $1", row["id"])
    tell(work, "deleted", campaign, row)


async def found(work: Work, campaign_id: str, rule: str) -> asyncpg.Record:
    row = await work.one("SELECT * FROM earning_rule WHERE id = $1 AND campaign_id = $2", rule, campaign_id)
    if row is None:
        raise not_found("earning_rule", rule)
    return row


async def switch(work: Work, campaign: asyncpg.Record, rule: str, *, active: bool) -> asyncpg.Record:
    before = await found(work, campaign["id"], rule)
    row = await work.one(
        "UPDATE earning_rule SET active = $2, updated_at = $3 WHERE id = $1 RETURNING *", before["id"], active, work.now
    )
    assert row is not None
    tell(work, "enabled" if active else "disabled", campaign, row)
    return row
