"""Earning rules as they are defined: read, checked, stored. What they give is in `earning.py`.

documented: the shapes; `points` as text is taken and answered as a number; a rule for a custom event carries its name.
"""

from typing import Any

import asyncpg

from app.sandbox import campaigns, expiry
from app.sandbox.clock import parse_time
from app.sandbox.errors import NotEmulated, invalid_payload, not_found
from app.sandbox.ids import new_id
from app.sandbox.read import boolean, integer, mapping, one_of, required_text, text
from app.sandbox.work import Work

_AMOUNTS = {"ORDER_AMOUNT": "amount", "ORDER_TOTAL_AMOUNT": "total_amount"}
_MOST_AT_ONCE = 100


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
    if event.startswith(("customer.", "order.")) and event != "order.paid":
        raise NotEmulated(f"Earning by {event}")
    for name in ("validation_rule_id", "pending_points", "validity_timeframe", "validity_day_of_week", "segment"):
        if rule.get(name) is not None:
            raise NotEmulated(f"An earning rule with {name}")
    loyalty = _loyalty(mapping(rule, "loyalty", at=at), event, f"{at}.loyalty")
    source = mapping(rule, "source", at=at)
    made: dict[str, Any] = {
        "event": event,
        "active": boolean(rule, "active", at=at) is not False,
        "loyalty": loyalty,
        "banner": text(source, "banner", at=f"{at}.source") or "",
        "metadata": mapping(rule, "metadata", at=at),
    }
    if expiration_rules := expiry.read(rule, at):
        made["expiration_rules"] = expiration_rules
    if event != "order.paid":
        schema = text(mapping(rule, "custom_event", at=at), "schema_id", at=f"{at}.custom_event")
        made["custom_event"] = {"schema_id": schema or new_id("ms")}
    for name in ("start_date", "expiration_date"):
        if (value := text(rule, name, at=at)) is not None:
            try:
                parse_time(value)
            except ValueError as error:
                raise invalid_payload(
                    f"Property {at}.{name} cannot be recognized as a ISO-8601 compliant date"
                ) from error
            made[name] = value
    return made


def _loyalty(given: dict[str, Any], event: str, at: str) -> dict[str, Any]:
    kind = one_of(given, "type", ("FIXED", "PROPORTIONAL"), at=at)
    if kind == "FIXED":
        if given.get("points_formula") is not None:
            raise NotEmulated("Points by a formula")
        points = given.get("points")
        if isinstance(points, str) and points.isdigit() and len(points) < 10:
            return {"type": kind, "points": int(points)}
        if (fixed := integer(given, "points", least=1, most=2**31, at=at)) is None:
            raise invalid_payload(f"Property {at} should have required property 'points'")
        return {"type": kind, "points": fixed}
    if kind is None:
        raise invalid_payload(f"Property {at} should have required property 'type'")
    calculation = text(given, "calculation_type", at=at) or ""
    if calculation not in _AMOUNTS:
        raise NotEmulated(f"Points proportional to {calculation or 'nothing'}")
    if event != "order.paid":
        raise invalid_payload(f"Property {at}.calculation_type cannot be used with the event {event}")
    name = _AMOUNTS[calculation]
    order = mapping(given, "order", at=at)
    if not order.get(name):
        raise invalid_payload(f"Loyalty order rules must contain one of the following properties - '{name}'")
    step = mapping(order, name, at=f"{at}.order")
    every = integer(step, "every", least=1, at=f"{at}.order.{name}")
    points = integer(step, "points", least=1, most=2**31, at=f"{at}.order.{name}")
    if every is None or points is None:
        raise invalid_payload(f"Property {at}.order.{name} should have required properties 'every', 'points'")
    return {"type": kind, "calculation_type": calculation, "order": {name: {"every": every, "points": points}}}


async def insert(work: Work, campaign_id: str, rule: dict[str, Any]) -> asyncpg.Record:
    doc: dict[str, Any] = {
        "validation_rule_id": None,
        "loyalty": rule["loyalty"],
        "source": {"banner": rule["banner"], "object_id": campaign_id, "object_type": "campaign"},
        "automation_id": new_id("auto"),
        "metadata": rule["metadata"],
        **{
            name: rule[name]
            for name in ("start_date", "expiration_date", "custom_event", "expiration_rules")
            if name in rule
        },
    }
    row = await work.one(
        "INSERT INTO earning_rule (id, campaign_id, event, active, doc, created_at) VALUES ($1, $2, $3, $4, $5, $6) "
        "RETURNING *",
        new_id("ern"),
        campaign_id,
        rule["event"],
        rule["active"],
        doc,
        work.now,
    )
    assert row is not None
    return row


async def found(work: Work, campaign: str, rule: str) -> asyncpg.Record:
    program = await campaigns.found(work, campaign, "LOYALTY_PROGRAM")
    row = await work.one("SELECT * FROM earning_rule WHERE id = $1 AND campaign_id = $2", rule, program["id"])
    if row is None:
        raise not_found("earning_rule", rule)
    return row


async def switch(work: Work, campaign: str, rule: str, *, active: bool) -> asyncpg.Record:
    before = await found(work, campaign, rule)
    row = await work.one(
        "UPDATE earning_rule SET active = $2, updated_at = $3 WHERE id = $1 RETURNING *", before["id"], active, work.now
    )
    assert row is not None
    return row
