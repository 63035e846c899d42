"""What validation rules are assigned to: made, listed and taken away. Told to webhooks by `conditions.py`.

documented: 409 for an assignment that there is, `force` replaces it, the object. inferred: a rule that could never be
asked where it is assigned (a limit of redemptions on an earning rule) is refused.
"""

from typing import Any

import asyncpg

from app.sandbox.clock import iso
from app.sandbox.errors import NotEmulated, duplicate, not_found
from app.sandbox.ids import new_id
from app.sandbox.validation_rule_definitions import names
from app.sandbox.work import Work

KINDS = ("voucher", "promotion_tier", "campaign", "earning_rule", "distribution", "reward_assignment")
ASSIGNMENT = "validation_rules_assignment"


def listed_for(kind: str, column: str) -> str:
    """SQL for a column `assignments`: what is assigned to the row whose id is in `column`. Both are constants."""
    return (
        "(SELECT coalesce(jsonb_agg(jsonb_build_object('id', a.id, 'rule_id', a.rule_id, 'related_object_id', "  # noqa: S608
        f"a.related_object_id, 'related_object_type', a.related_object_type, 'object', '{ASSIGNMENT}', "
        "'created_at', to_char(a.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'), "
        "'validation_status', 'VALID', 'validation_omitted_rules', '[]'::jsonb) "
        "ORDER BY a.created_at, a.id), '[]') FROM validation_rule_assignment a "
        f"WHERE a.related_object_type = '{kind}' AND a.related_object_id = {column}) AS assignments"
    )


async def rule_found(work: Work, rule_id: str, *, lock: bool = False) -> asyncpg.Record:
    query = "SELECT * FROM validation_rule WHERE id = $1"
    row = await work.one(f"{query} FOR UPDATE" if lock else query, rule_id)
    if row is None:
        raise not_found("validation_rules", rule_id)
    return row


def refuse_misplaced(doc: dict[str, Any], kind: str) -> None:
    """Refuse a rule where it would not be carried out."""
    wanted = names(doc)
    if kind == "distribution":
        raise NotEmulated("A validation rule of a distribution")
    if kind in {"earning_rule", "reward_assignment"}:
        about = ("redemption.", "campaign.", "publication.") if kind == "earning_rule" else ("custom_event.",)
    else:
        about = ("custom_event.",)
    if misplaced := sorted(name for name in wanted if name.startswith(about)):
        raise NotEmulated(f"A validation rule '{misplaced[0]}' assigned to {kind.replace('_', ' ')}")
    applicable = doc["applicable_to"]
    if kind in {"earning_rule", "reward_assignment"} and (applicable["included"] or applicable["excluded"]):
        raise NotEmulated(f"A validation rule with applicable_to assigned to {kind.replace('_', ' ')}")


async def insert(work: Work, rule_id: str, kind: str, identifier: str, *, force: bool = False) -> asyncpg.Record:
    """Assign a rule to an object that the caller knows to be there.

    Raises:
        Failure: there is no such rule, it is assigned there already, or it would not be carried out there.
    """
    rule = await rule_found(work, rule_id, lock=True)
    refuse_misplaced(rule["doc"], kind)
    if force:
        await work.run(
            "DELETE FROM validation_rule_assignment "
            "WHERE rule_id = $1 AND related_object_type = $2 AND related_object_id = $3",
            *(rule_id, kind, identifier),
        )
    row = await work.one(
        "INSERT INTO validation_rule_assignment (id, rule_id, related_object_type, related_object_id, created_at) "
        "VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING RETURNING *",
        *(new_id("asgm"), rule_id, kind, identifier, work.now),
    )
    if row is None:
        there = await work.value(
            "SELECT id FROM validation_rule_assignment "
            "WHERE rule_id = $1 AND related_object_type = $2 AND related_object_id = $3",
            *(rule_id, kind, identifier),
        )
        raise duplicate(ASSIGNMENT, there)
    await _name_in_earning_rule(work, kind, identifier, rule_id)
    return row


async def remove(work: Work, rule_id: str, assignment_id: str) -> asyncpg.Record:
    await rule_found(work, rule_id)
    row = await work.one(
        "DELETE FROM validation_rule_assignment WHERE rule_id = $1 AND id = $2 RETURNING *", rule_id, assignment_id
    )
    if row is None:
        raise not_found(ASSIGNMENT, assignment_id)
    await _name_in_earning_rule(work, row["related_object_type"], row["related_object_id"], None)
    return row


async def assigned(work: Work, kind: str, identifier: str) -> dict[str, Any]:
    """The `validation_rules_assignments` of an object."""
    rows = await work.all(
        "SELECT * FROM validation_rule_assignment WHERE related_object_type = $1 AND related_object_id = $2 "
        "ORDER BY created_at, id",
        *(kind, identifier),
    )
    return {"object": "list", "data_ref": "data", "data": [shown(row) for row in rows], "total": len(rows)}


async def _name_in_earning_rule(work: Work, kind: str, identifier: str, rule_id: str | None) -> None:
    """An earning rule shows the rule that it has as `validation_rule_id`."""
    if kind == "earning_rule":
        await work.run(
            "UPDATE earning_rule SET doc = doc || $2 WHERE id = $1", identifier, {"validation_rule_id": rule_id}
        )


def rule_shown(row: asyncpg.Record) -> dict[str, Any]:
    """A definition as the API and the webhooks give it; fields that say nothing are left out."""
    doc = {name: value for name, value in row["doc"].items() if value is not None}
    count = row.get("assignments")
    return {
        "id": row["id"],
        "name": row["name"],
        **doc,
        "created_at": iso(row["created_at"]),
        "updated_at": iso(row["updated_at"]),
        **({"assignments_count": count} if count else {}),
        "object": "validation_rules",
    }


def shown(row: asyncpg.Record) -> dict[str, Any]:
    return {
        **{name: row[name] for name in ("id", "rule_id", "related_object_id", "related_object_type")},
        "created_at": iso(row["created_at"]),
        "object": ASSIGNMENT,
    }
