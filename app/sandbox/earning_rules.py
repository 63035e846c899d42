"""The addresses of earning rules. What is in a rule is in `earning_rule_definitions.py`, what it gives in `earning.py`.

documented: rules are made and answered as a list; a change and a switch answer the rule, a deletion nothing.
"""

from typing import Any

from litestar import Router, delete, get, post, put
from litestar.params import FromPath

from app.sandbox import campaigns, earning_rule_definitions, lists, render_loyalty, segments
from app.sandbox.errors import NotEmulated
from app.sandbox.loyalties import LOYALTY
from app.sandbox.read import AnyRequest, flag, page, read_json, read_object
from app.sandbox.store import Store, TheStore

_ALL = "/loyalties/{campaign:str}/earning-rules"
_ONE = _ALL + "/{rule:str}"


@post(_ALL, status_code=200)
async def create_rules(campaign: FromPath[str], request: AnyRequest, store: TheStore) -> list[dict[str, Any]]:
    made = earning_rule_definitions.read(await read_json(request))
    async with store.work() as work:
        row = await campaigns.found(work, campaign, LOYALTY)
        for rule in made:
            if "segment" in rule:
                await segments.activate(work, rule["segment"]["id"])
        return [render_loyalty.earning_rule(await earning_rule_definitions.insert(work, row, rule)) for rule in made]


@get(_ALL)
async def list_rules(campaign: FromPath[str], request: AnyRequest, store: TheStore) -> dict[str, Any]:
    limit, offset = page(request)
    if flag(request, "filters"):
        raise NotEmulated("Filtering earning rules by `filters`")
    async with store.work() as work:
        row = await campaigns.found(work, campaign, LOYALTY)
        rows = await work.all(
            "SELECT * FROM earning_rule WHERE campaign_id = $1 ORDER BY created_at DESC, id DESC LIMIT $2 OFFSET $3",
            row["id"],
            limit,
            offset,
        )
        total = await work.value("SELECT count(*) FROM earning_rule WHERE campaign_id = $1", row["id"])
    return lists.numbered("data", [render_loyalty.earning_rule(each) for each in rows], total)


@get(_ONE)
async def get_rule(campaign: FromPath[str], rule: FromPath[str], store: TheStore) -> dict[str, Any]:
    async with store.work() as work:
        row = await campaigns.found(work, campaign, LOYALTY)
        return render_loyalty.earning_rule(await earning_rule_definitions.found(work, row["id"], rule))


@put(_ONE)
async def change_rule(
    campaign: FromPath[str], rule: FromPath[str], request: AnyRequest, store: TheStore
) -> dict[str, Any]:
    body = await read_object(request)
    async with store.work() as work:
        row = await campaigns.found(work, campaign, LOYALTY)
        return render_loyalty.earning_rule(
            await earning_rule_definitions.change(
                work, row, await earning_rule_definitions.found(work, row["id"], rule), body
            )
        )


@delete(_ONE, status_code=204)
async def delete_rule(campaign: FromPath[str], rule: FromPath[str], store: TheStore) -> None:
    async with store.work() as work:
        row = await campaigns.found(work, campaign, LOYALTY)
        await earning_rule_definitions.remove(work, row, await earning_rule_definitions.found(work, row["id"], rule))


@post(_ONE + "/enable", status_code=200)
async def enable_rule(campaign: FromPath[str], rule: FromPath[str], store: TheStore) -> dict[str, Any]:
    return await _switch(store, campaign, rule, active=True)


@post(_ONE + "/disable", status_code=200)
async def disable_rule(campaign: FromPath[str], rule: FromPath[str], store: TheStore) -> dict[str, Any]:
    return await _switch(store, campaign, rule, active=False)


async def _switch(store: Store, campaign: str, rule: str, *, active: bool) -> dict[str, Any]:
    async with store.work() as work:
        row = await campaigns.found(work, campaign, LOYALTY)
        return render_loyalty.earning_rule(await earning_rule_definitions.switch(work, row, rule, active=active))


router = Router(
    "/", route_handlers=[create_rules, list_rules, get_rule, change_rule, delete_rule, enable_rule, disable_rule]
)
