"""The stacking rules of the project by the management API, and what becomes of them with their categories.

documented: the addresses, 409 when there are some, the defaults have no id and are listed too, deleting goes back to
the defaults. inferred: a category that is named must be there; a change leaves what it does not name as it is.
"""

from typing import Any

from litestar import Router, delete, get, post, put
from litestar.params import FromPath

from app.sandbox import stacking
from app.sandbox.clock import iso
from app.sandbox.errors import Failure, not_found
from app.sandbox.fidelity import documented, inferred
from app.sandbox.ids import new_id
from app.sandbox.read import AnyRequest, read_object
from app.sandbox.store import Store, TheStore
from app.sandbox.work import Work

_ALL = "/projects/{project:str}/stacking-rules"
_ONE = _ALL + "/{rules:str}"
_LOCK = 7_220_005
"""Advisory lock: two changes of the one set of rules go in turns."""


async def _stored(work: Work) -> dict[str, Any] | None:
    await work.run("SELECT pg_advisory_xact_lock($1)", _LOCK)
    row: dict[str, Any] | None = await work.value("SELECT value FROM setting WHERE name = 'stacking_rules'")
    return row


async def _save(work: Work, rules: dict[str, Any]) -> dict[str, Any]:
    named = {each for name in stacking.LISTS for each in rules[name]}
    named |= set(rules["applicable_redeemables_category_limits"])
    known = {
        row["id"] for row in await work.all("SELECT id FROM category WHERE id = ANY($1) FOR KEY SHARE", list(named))
    }
    if unknown := sorted(named - known):
        raise not_found("category", unknown[0])
    await work.run(
        "INSERT INTO setting VALUES ('stacking_rules', $1) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        rules,
    )
    return _shown(rules)


def _shown(rules: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in rules.items() if value is not None}


async def forget(work: Work, category: str) -> None:
    """Take a category that is being deleted out of the rules; the caller has them loaded again afterwards."""
    rules = await _stored(work)
    if rules is None:
        return
    rules |= {name: [each for each in rules[name] if each != category] for name in stacking.LISTS}
    rules["applicable_redeemables_category_limits"].pop(category, None)
    await work.run("UPDATE setting SET value = $1 WHERE name = 'stacking_rules'", rules)


def _of_this(store: Store, project: str) -> None:
    if project != store.project_id:
        raise not_found("project", project)


def _named(stored: dict[str, Any] | None, reference: str) -> dict[str, Any]:
    if stored is None or stored["id"] != reference:
        raise not_found("stacking_rules", reference)
    return stored


@post(_ALL, status_code=200)
async def create_rules(project: FromPath[str], request: AnyRequest, store: TheStore) -> dict[str, Any]:
    _of_this(store, project)
    made = stacking.read(await read_object(request), stacking.DEFAULTS)
    async with store.work() as work:
        if await _stored(work) is not None:
            details = "Cannot exist more stacking rules for given project"
            raise Failure(409, "stacking_rules_exist", "Stacking rules exist", details)
        answer = await _save(work, {"id": new_id("stk"), **made, "created_at": iso(work.now), "updated_at": None})
    await store.load_stacking()
    return answer


@get(_ALL)
async def list_rules(project: FromPath[str], store: TheStore) -> dict[str, Any]:
    _of_this(store, project)
    async with store.work() as work:
        stored = await _stored(work)
    return {"object": "list", "data_ref": "data", "data": [_shown(stored or stacking.DEFAULTS)], "total": 1}


@get(_ONE)
async def get_rules(project: FromPath[str], rules: FromPath[str], store: TheStore) -> dict[str, Any]:
    _of_this(store, project)
    async with store.work() as work:
        return _shown(_named(await _stored(work), rules))


@put(_ONE)
async def update_rules(
    project: FromPath[str], rules: FromPath[str], request: AnyRequest, store: TheStore
) -> dict[str, Any]:
    _of_this(store, project)
    body = await read_object(request)
    async with store.work() as work:
        before = _named(await _stored(work), rules)
        answer = await _save(work, {**before, **stacking.read(body, before), "updated_at": iso(work.now)})
    await store.load_stacking()
    return answer


@delete(_ONE, status_code=204)
async def delete_rules(project: FromPath[str], rules: FromPath[str], store: TheStore) -> None:
    _of_this(store, project)
    async with store.work() as work:
        _named(await _stored(work), rules)
        await work.run("DELETE FROM setting WHERE name = 'stacking_rules'")
    await store.load_stacking()


router = Router("/management/v1", route_handlers=[create_rules, list_rules, get_rules, update_rules, delete_rules])

FIDELITY = (
    documented("stacking rules of a project by the management API: made once, read, changed, deleted, listed"),
    inferred("a category that the rules name must be there; a change leaves what it does not name"),
)
