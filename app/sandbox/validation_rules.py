"""Validation rules by the API: made, changed, listed, assigned. What they let happen is in `conditions.py`.

documented: the addresses and objects, 404 and 409, an empty list of assignments for a rule that there is not, `force`.
inferred: two rules may have one name; a rule that is deleted is taken away from all it was assigned to; a change counts
at once.
"""

# ruff: noqa: S608 - what is put together here are constants and columns of an allow-list; values are parameters

from typing import Any

import asyncpg
from litestar import Router, delete, get, post, put
from litestar.params import FromPath

from app.sandbox import conditions, validation_rule_assignments, validation_rule_definitions
from app.sandbox.clock import iso
from app.sandbox.errors import NotEmulated, invalid_payload, not_found
from app.sandbox.fidelity import documented
from app.sandbox.ids import new_id
from app.sandbox.read import (
    AnyRequest,
    argument,
    flag,
    moment,
    one_of,
    order,
    page,
    read_object,
    required_text,
    text,
)
from app.sandbox.store import TheStore
from app.sandbox.validation_rule_assignments import rule_shown
from app.sandbox.work import Work

_RELATED = {
    "voucher": "SELECT id FROM voucher WHERE id = $1 OR code = $1",
    "campaign": "SELECT id FROM campaign WHERE id = $1 OR name = $1",
    "earning_rule": "SELECT id FROM earning_rule WHERE id = $1",
    "promotion_tier": "SELECT id FROM promotion_tier WHERE id = $1",
    "reward_assignment": "SELECT id FROM reward_assignment WHERE id = $1",
}
"""How what a rule may be assigned to is found."""
_COUNTED = (
    "SELECT r.*, (SELECT count(*) FROM validation_rule_assignment WHERE rule_id = r.id) AS assignments "
    "FROM validation_rule r"
)
_SINCE = "($1::timestamptz IS NULL OR created_at >= $1) AND ($2::timestamptz IS NULL OR created_at <= $2)"


async def found(work: Work, rule: str) -> asyncpg.Record:
    row = await work.one(f"{_COUNTED} WHERE r.id = $1", rule)
    if row is None:
        raise not_found("validation_rules", rule)
    return row


def _told(work: Work, what: str, row: asyncpg.Record) -> dict[str, Any]:
    """Tell what became of a definition, and show it."""
    shown = rule_shown(row)
    data = {"rule": shown, f"{what}_at": iso(work.now)}
    work.announce(work.event(f"business_validation_rule.{what}", row["id"], "evbvr"), data)
    return shown


@post("/validation-rules", status_code=200)
async def create_rule(request: AnyRequest, store: TheStore) -> dict[str, Any]:
    body = await read_object(request)
    name = required_text(body, "name", longest=500)
    doc = {
        "rules": {"logic": ""},
        "error": None,
        "applicable_to": {"excluded": [], "included": [], "included_all": False},
        "type": "expression",
        "context_type": "global",
        **validation_rule_definitions.read(body),
    }
    async with store.work() as work:
        row = await work.one(
            "INSERT INTO validation_rule (id, name, doc, created_at) VALUES ($1, $2, $3, $4) "
            "RETURNING *, 0 AS assignments",
            *(new_id("val"), name, doc, work.now),
        )
        assert row is not None
        return _told(work, "created", row)


@get("/validation-rules")
async def list_rules(request: AnyRequest, store: TheStore) -> dict[str, Any]:
    limit, offset = page(request)
    sorting = order(request, {"created_at": "created_at", "updated_at": "updated_at", "name": "name"}, "-created_at")
    since = [moment(request, name) for name in ("start_date", "end_date")]
    async with store.work() as work:
        rows = await work.all(f"{_COUNTED} WHERE {_SINCE} ORDER BY {sorting} LIMIT $3 OFFSET $4", *since, limit, offset)
        total = await work.value(f"SELECT count(*) FROM validation_rule WHERE {_SINCE}", *since)
    return {"object": "list", "data_ref": "data", "data": [rule_shown(row) for row in rows], "total": total}


@get("/validation-rules/{rule:str}")
async def get_rule(rule: FromPath[str], store: TheStore) -> dict[str, Any]:
    async with store.work() as work:
        return rule_shown(await found(work, rule))


@put("/validation-rules/{rule:str}")
async def update_rule(rule: FromPath[str], request: AnyRequest, store: TheStore) -> dict[str, Any]:
    body = await read_object(request)
    if "name" in body:
        required_text(body, "name", longest=500)
    changes = validation_rule_definitions.read(body)
    async with store.work() as work:
        row = await validation_rule_assignments.rule_found(work, rule, lock=True)
        doc = {**row["doc"], **changes}
        for kind in await work.all(
            "SELECT DISTINCT related_object_type AS name FROM validation_rule_assignment WHERE rule_id = $1", rule
        ):
            validation_rule_assignments.refuse_misplaced(doc, kind["name"])
        await work.run(
            "UPDATE validation_rule SET name = $2, doc = $3, updated_at = $4 WHERE id = $1",
            *(rule, body.get("name", row["name"]), doc, work.now),
        )
        return _told(work, "updated", await found(work, rule))


@delete("/validation-rules/{rule:str}", status_code=204)
async def delete_rule(rule: FromPath[str], store: TheStore) -> None:
    async with store.work() as work:
        row = await validation_rule_assignments.rule_found(work, rule, lock=True)
        await work.run(
            "UPDATE earning_rule SET doc = doc || $2 WHERE doc ->> 'validation_rule_id' = $1",
            *(rule, {"validation_rule_id": None}),
        )
        await work.run("DELETE FROM validation_rule WHERE id = $1", rule)
        _told(work, "deleted", row)


@post("/validation-rules/{rule:str}/assignments", status_code=200)
async def create_assignment(rule: FromPath[str], request: AnyRequest, store: TheStore) -> dict[str, Any]:
    body = await read_object(request)
    kind, identifier = _related(body)
    async with store.work() as work:
        await validation_rule_assignments.rule_found(work, rule)
        if kind not in _RELATED:
            raise NotEmulated(f"A validation rule assigned to a {kind.replace('_', ' ')}")
        known = await work.value(_RELATED[kind], identifier)
        if known is None:
            raise not_found(kind, identifier)
        return validation_rule_assignments.shown(
            await conditions.assign(work, rule, kind, known, force=flag(request, "force"))
        )


def _related(body: dict[str, Any]) -> tuple[str, str]:
    """What to assign to; the older `{"voucher": code}` and `{"campaign": name}` are taken too."""
    for kind in ("voucher", "campaign"):
        if (older := text(body, kind)) is not None:
            return kind, older
    kind = one_of(body, "related_object_type", validation_rule_assignments.KINDS) or "voucher"
    if body.get("related_object_id") is None:
        raise invalid_payload("Payload should have required property 'related_object_id'")
    return kind, required_text(body, "related_object_id")


@delete("/validation-rules/{rule:str}/assignments/{assignment:str}", status_code=204)
async def delete_assignment(rule: FromPath[str], assignment: FromPath[str], store: TheStore) -> None:
    async with store.work() as work:
        await conditions.withdraw(work, rule, assignment)


@get("/validation-rules/{rule:str}/assignments")
async def list_assignments_of_rule(rule: FromPath[str], request: AnyRequest, store: TheStore) -> dict[str, Any]:
    return await _assignments(request, store, rule, None)


@get("/validation-rules-assignments")
async def list_assignments(request: AnyRequest, store: TheStore) -> dict[str, Any]:
    return await _assignments(request, store, argument(request, "rule"), argument(request, "related_object_id"))


async def _assignments(request: AnyRequest, store: TheStore, rule: str | None, related: str | None) -> dict[str, Any]:
    limit, offset = page(request)
    sorting = order(request, {"created_at": "created_at"}, "-created_at")
    where = "($1::text IS NULL OR rule_id = $1) AND ($2::text IS NULL OR related_object_id = $2)"
    async with store.work() as work:
        rows = await work.all(
            f"SELECT * FROM validation_rule_assignment WHERE {where} ORDER BY {sorting} LIMIT $3 OFFSET $4",
            *(rule, related, limit, offset),
        )
        total = await work.value(f"SELECT count(*) FROM validation_rule_assignment WHERE {where}", rule, related)
    data = [validation_rule_assignments.shown(row) for row in rows]
    return {"object": "list", "data_ref": "data", "data": data, "total": total}


router = Router(
    "/",
    route_handlers=[
        create_rule,
        list_rules,
        get_rule,
        update_rule,
        delete_rule,
        create_assignment,
        delete_assignment,
        list_assignments_of_rule,
        list_assignments,
    ],
)

FIDELITY = (
    documented(
        "**Validation rules**: made, changed, deleted, listed; assigned to campaigns, vouchers, promotion "
        "tiers, earning rules and reward assignments, by their own addresses or when those are made (409 "
        "the second time, `force` replaces); asked by validations, redemptions, purchases of rewards and "
        "earning"
    ),
)
