"""What a reward costs in a programme: assignments by the addresses of rewards and by those of programmes.

documented: both families of addresses, the list that makes many, 409 for a reward that is assigned already, 400
`missing_param` without a price, no price where orders are paid with points, one reward of a programme that is redeemed
by itself, validation rules. inferred: a second one that is redeemed by itself is refused; members who have the points
for it when it is assigned get it in the next night; what a tier makes of a price goes with the assignment.
"""

from typing import Any

import asyncpg
from litestar import Router, delete, get, post, put
from litestar.params import FromPath

from app.sandbox import (
    auto_redeem,
    campaigns,
    conditions,
    lists,
    render,
    render_loyalty,
    rewards,
    validation_rule_assignments,
)
from app.sandbox.errors import Failure, duplicate, invalid_payload, not_found
from app.sandbox.fidelity import documented, inferred
from app.sandbox.ids import new_id
from app.sandbox.loyalties import LOYALTY
from app.sandbox.read import (
    AnyRequest,
    argument,
    boolean,
    integer,
    mapping,
    page,
    read_json,
    read_object,
    required_text,
    texts,
)
from app.sandbox.store import TheStore
from app.sandbox.work import Work

_FOUND = "SELECT * FROM reward_assignment WHERE id = $1 AND (reward_id = $2 OR campaign_id = $3)"


async def _found(
    work: Work, identifier: str, *, reward: str | None = None, campaign: str | None = None
) -> asyncpg.Record:
    """The assignment with this id, of this reward or in this programme."""
    program = (await campaigns.found(work, campaign, LOYALTY))["id"] if campaign is not None else None
    reference = (await rewards.found(work, reward))["id"] if reward is not None else None
    row = await work.one(_FOUND, identifier, reference, program)
    if row is None:
        raise not_found("reward_assignment", identifier)
    return row


async def _shown(work: Work, row: asyncpg.Record) -> dict[str, Any]:
    rules = await validation_rule_assignments.assigned(work, "reward_assignment", row["id"])
    return {**render_loyalty.assignment(row), "validation_rules_assignments": rules}


def _price(body: dict[str, Any], kind: str, before: asyncpg.Record | None = None) -> tuple[int | None, bool]:
    """The points, and whether it is redeemed by itself; `before` is what it was."""
    if kind == rewards.COIN:
        return None, False
    loyalty = mapping(mapping(body, "parameters"), "loyalty", at=".parameters")
    points = integer(loyalty, "points", least=1, most=2**31, at=".parameters.loyalty")
    by_itself = boolean(loyalty, "auto_redeem", at=".parameters.loyalty")
    if before is not None:
        points = before["points"] if points is None else points
        by_itself = before["auto_redeem"] if by_itself is None else by_itself
    if points is None:
        raise Failure(400, "missing_param", "Missing required parameter", "parameters.loyalty.points is required")
    return points, bool(by_itself)


async def _assign(work: Work, reward: asyncpg.Record, campaign: asyncpg.Record, body: dict[str, Any]) -> asyncpg.Record:
    rewards.refuse_own_points(campaign["id"], reward["doc"]["parameters"])
    points, by_itself = _price(body, reward["type"])
    try:
        row = await work.one(
            "INSERT INTO reward_assignment (id, reward_id, campaign_id, points, auto_redeem, created_at) "
            "VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (campaign_id, reward_id) DO NOTHING RETURNING *",
            new_id("rewa"),
            reward["id"],
            campaign["id"],
            points,
            by_itself,
            work.now,
        )
    except asyncpg.UniqueViolationError as error:
        raise _one_by_itself() from error
    if row is None:
        raise duplicate("reward_assignment", reward["id"], by="reward")
    for rule in texts(body, "validation_rules", most=1):
        await conditions.assign(work, rule, "reward_assignment", row["id"])
    if by_itself:
        await auto_redeem.from_tonight(work, campaign["id"])
    _tell(work, "created", row, reward, campaign)
    return row


def _one_by_itself() -> Failure:
    details = "Only one reward of a loyalty campaign can be redeemed automatically"
    return Failure(400, "invalid_payload", "Invalid payload", details)


def _tell(work: Work, what: str, row: asyncpg.Record, reward: asyncpg.Record, campaign: asyncpg.Record) -> None:
    data = {
        "campaign": render.simple_campaign(campaign),
        "reward": render_loyalty.reward(reward),
        "reward_assignment": render_loyalty.assignment(row),
    }
    work.announce(work.event(f"campaign.reward.assignment.{what}", campaign["id"], "evcam"), data)


async def _change(work: Work, row: asyncpg.Record, body: dict[str, Any]) -> dict[str, Any]:
    reward = await rewards.found(work, row["reward_id"])
    campaign = await campaigns.found(work, row["campaign_id"])
    points, by_itself = _price(body, reward["type"], row)
    try:
        changed = await work.one(
            "UPDATE reward_assignment SET points = $2, auto_redeem = $3, updated_at = $4 WHERE id = $1 RETURNING *",
            row["id"],
            points,
            by_itself,
            work.now,
        )
    except asyncpg.UniqueViolationError as error:
        raise _one_by_itself() from error
    if changed is None:
        raise not_found("reward_assignment", row["id"])
    if by_itself:
        await auto_redeem.from_tonight(work, campaign["id"])
    _tell(work, "updated", changed, reward, campaign)
    return await _shown(work, changed)


async def _remove(work: Work, row: asyncpg.Record) -> None:
    reward = await rewards.found(work, row["reward_id"])
    campaign = await campaigns.found(work, row["campaign_id"])
    await work.run("DELETE FROM reward_assignment WHERE id = $1", row["id"])
    await work.run(
        "DELETE FROM validation_rule_assignment WHERE related_object_type = 'reward_assignment' "
        "AND related_object_id = $1",
        row["id"],
    )
    await work.run(
        "UPDATE loyalty_tier SET doc = doc #- ARRAY['rewards', $2::text] "
        "WHERE campaign_id = $1 AND doc -> 'rewards' ? $2",
        campaign["id"],
        row["id"],
    )
    _tell(work, "deleted", row, reward, campaign)


@post("/loyalties/{campaign:str}/rewards", status_code=200)
async def assign_rewards(campaign: FromPath[str], request: AnyRequest, store: TheStore) -> list[dict[str, Any]]:
    wanted = await read_json(request)
    if not isinstance(wanted, list) or not all(isinstance(each, dict) for each in wanted):
        raise invalid_payload("Payload must be array")
    async with store.work() as work:
        program = await campaigns.found(work, campaign, LOYALTY)
        made = []
        for each in wanted:
            reward = await rewards.found(work, required_text(each, "reward"))
            made.append(await _shown(work, await _assign(work, reward, program, each)))
        return made


async def _listed(work: Work, request: AnyRequest, campaign: str, wanted: str | None) -> dict[str, Any]:
    limit, offset = page(request)
    program = await campaigns.found(work, campaign, LOYALTY)
    rows = await work.all(
        f"{rewards.ASSIGNED} AND ($2::text IS NULL OR a.id = $2) ORDER BY a.created_at DESC, a.id DESC",
        program["id"],
        wanted,
    )
    shown = [render_loyalty.assignment(each) for each in rows[offset : offset + limit]]
    return lists.numbered("data", shown, len(rows))


@get("/loyalties/{campaign:str}/rewards")
async def list_rewards_of_program(campaign: FromPath[str], request: AnyRequest, store: TheStore) -> dict[str, Any]:
    async with store.work() as work:
        return await _listed(work, request, campaign, argument(request, "assignment_id"))


@get("/loyalties/{campaign:str}/reward-assignments")
async def list_assignments(campaign: FromPath[str], request: AnyRequest, store: TheStore) -> dict[str, Any]:
    async with store.work() as work:
        return await _listed(work, request, campaign, argument(request, "assignmentId"))


@get(
    [
        "/loyalties/{campaign:str}/rewards/{assignment:str}",
        "/loyalties/{campaign:str}/reward-assignments/{assignment:str}",
    ]
)
async def get_assignment(campaign: FromPath[str], assignment: FromPath[str], store: TheStore) -> dict[str, Any]:
    async with store.work() as work:
        return render_loyalty.assignment(await _found(work, assignment, campaign=campaign))


@get("/loyalties/{campaign:str}/reward-assignments/{assignment:str}/reward")
async def get_assigned_reward(campaign: FromPath[str], assignment: FromPath[str], store: TheStore) -> dict[str, Any]:
    async with store.work() as work:
        row = await _found(work, assignment, campaign=campaign)
        return render_loyalty.reward(await rewards.found(work, row["reward_id"]))


@put("/loyalties/{campaign:str}/rewards/{assignment:str}")
async def update_price(
    campaign: FromPath[str], assignment: FromPath[str], request: AnyRequest, store: TheStore
) -> dict[str, Any]:
    body = await read_object(request)
    async with store.work() as work:
        return await _change(work, await _found(work, assignment, campaign=campaign), body)


@delete("/loyalties/{campaign:str}/rewards/{assignment:str}", status_code=204)
async def withdraw_reward(campaign: FromPath[str], assignment: FromPath[str], store: TheStore) -> None:
    async with store.work() as work:
        await _remove(work, await _found(work, assignment, campaign=campaign))


@post("/rewards/{reward:str}/assignments", status_code=200)
async def assign_reward(reward: FromPath[str], request: AnyRequest, store: TheStore) -> dict[str, Any]:
    body = await read_object(request)
    async with store.work() as work:
        row = await rewards.found(work, reward)
        program = await campaigns.found(work, required_text(body, "campaign"), LOYALTY)
        return await _shown(work, await _assign(work, row, program, body))


@get("/rewards/{reward:str}/assignments")
async def list_assignments_of_reward(reward: FromPath[str], request: AnyRequest, store: TheStore) -> dict[str, Any]:
    limit, offset = page(request)
    async with store.work() as work:
        row = await rewards.found(work, reward)
        rows = await work.all(
            "SELECT * FROM reward_assignment WHERE reward_id = $1 ORDER BY created_at DESC, id DESC", row["id"]
        )
    shown = [render_loyalty.assignment(each) for each in rows[offset : offset + limit]]
    return lists.numbered("data", shown, len(rows))


@get("/rewards/{reward:str}/assignments/{assignment:str}")
async def get_assignment_of_reward(reward: FromPath[str], assignment: FromPath[str], store: TheStore) -> dict[str, Any]:
    async with store.work() as work:
        return render_loyalty.assignment(await _found(work, assignment, reward=reward))


@put("/rewards/{reward:str}/assignments/{assignment:str}")
async def update_assignment_of_reward(
    reward: FromPath[str], assignment: FromPath[str], request: AnyRequest, store: TheStore
) -> dict[str, Any]:
    body = await read_object(request)
    async with store.work() as work:
        return await _change(work, await _found(work, assignment, reward=reward), body)


@delete("/rewards/{reward:str}/assignments/{assignment:str}", status_code=204)
async def delete_assignment_of_reward(reward: FromPath[str], assignment: FromPath[str], store: TheStore) -> None:
    async with store.work() as work:
        await _remove(work, await _found(work, assignment, reward=reward))


router = Router(
    "/",
    route_handlers=[
        assign_rewards,
        list_rewards_of_program,
        list_assignments,
        get_assignment,
        get_assigned_reward,
        update_price,
        withdraw_reward,
        assign_reward,
        list_assignments_of_reward,
        get_assignment_of_reward,
        update_assignment_of_reward,
        delete_assignment_of_reward,
    ],
)

FIDELITY = (
    documented(
        "**Prices of rewards** in a programme, by the addresses of rewards and of programmes: made (a reward once, "
        "409; `missing_param` without a price), changed, listed, taken away; paying with points has no price; one "
        "reward of a programme has `auto_redeem`"
    ),
    inferred(
        "a second reward with `auto_redeem` is `invalid_payload`; the data of the webhooks "
        "`campaign.reward.assignment.*` (the campaign, the reward and the assignment)"
    ),
)
