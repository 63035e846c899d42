"""Rewards: what points can buy. The catalogue of the project, what a programme offers at which price, and the buying.

documented: the objects, a price in points for each programme, 409 when assigned twice, 400 `missing_param` without a
price, the redemption object with its `reward`, `loyalty_card_points_exceeded`, `missing_reward`, the webhooks' data.
inferred: the order of the webhooks; a reward that this programme does not offer is 404; a failure leaves an `rf_`
redemption with its metadata, unless the coupon could not be made.
"""

from typing import Any

import asyncpg
from litestar import Router, get, post
from litestar.params import FromPath

from app.sandbox import (
    campaigns,
    conditions,
    customers,
    discounts,
    ledger,
    publications,
    redemptions,
    render,
    tiering,
    vouchers,
)
from app.sandbox.clock import iso
from app.sandbox.discounts import Outcome
from app.sandbox.errors import Failure, NotEmulated, duplicate, invalid_payload, not_found
from app.sandbox.fidelity import documented, inferred
from app.sandbox.ids import new_id
from app.sandbox.loyalties import LOYALTY, member
from app.sandbox.read import (
    AnyRequest,
    argument,
    boolean,
    flag,
    integer,
    mapping,
    page,
    read_json,
    read_object,
    required_text,
    text,
    texts,
)
from app.sandbox.store import TheStore
from app.sandbox.work import Work

ASSIGNED = """
  SELECT a.*, r.name, r.type, r.doc, r.created_at AS reward_created_at FROM reward_assignment a
  JOIN reward r ON r.id = a.reward_id WHERE a.campaign_id = $1
"""


async def found(work: Work, reference: str) -> asyncpg.Record:
    row = await work.one("SELECT * FROM reward WHERE id = $1", reference)
    if row is None:
        raise not_found("reward", reference)
    return row


async def redeem(work: Work, card: asyncpg.Record, body: dict[str, Any]) -> dict[str, Any] | Failure:
    """Take the price off the card and give the reward. A failure is answered, not raised: its record is committed."""
    wanted = text(mapping(body, "reward"), "id", at=".reward")
    if not wanted:
        raise Failure(400, "missing_reward", "Missing reward", "A reward is required when redeeming a LOYALTY_CARD")
    if body.get("order"):
        raise NotEmulated("An order beside a reward (pay with points)")
    if not card["holder_id"]:
        raise Failure(400, "invalid_customer", "Invalid customer", "Customer must be a holder of a loyalty card.")
    holder = await customers.found(work, card["holder_id"], lock=True)
    card = await vouchers.found(work, card["code"], lock=True)
    assignment = await work.one(f"{ASSIGNED} AND a.reward_id = $2", card["campaign_id"], wanted)
    if assignment is None:
        raise not_found("reward", wanted)
    base = redemptions.in_common(work, holder, mapping(body, "metadata"))
    error = discounts.refusal(card, card["code"], work.now)
    if error is None:
        related = [("voucher", card["id"]), ("campaign", card["campaign_id"]), ("reward_assignment", assignment["id"])]
        subject = conditions.Subject(holder, None, card, metadata=base["metadata"], lock=True)
        error = await conditions.refusal(work, related, subject)
    price = tiering.price(await tiering.of_card(work, card), assignment)
    if error is None and render.loyalty_card(card)["balance"] < price:
        error = Failure(400, "loyalty_card_points_exceeded", "loyalty card points exceeded", card["code"])
    if error is not None:
        return await redemptions.record_failure(work, Outcome(card["code"], card, None, error), base, holder)
    return await _redeemed(work, card, holder, assignment, price, base)


async def _redeemed(
    work: Work,
    card: asyncpg.Record,
    holder: asyncpg.Record,
    assignment: asyncpg.Record,
    price: int,
    base: dict[str, Any],
) -> dict[str, Any]:
    offered = await campaigns.found(work, assignment["doc"]["parameters"]["campaign"]["id"])
    publications.refuse_inactive(work, offered)
    publication = await publications.publish_card(work, offered, holder)
    coupon = render.voucher(await vouchers.found(work, publication["vouchers_id"][0]), work.config.url)
    await work.run("UPDATE voucher SET redeemed_quantity = redeemed_quantity + 1 WHERE id = $1", card["id"])
    named = {"id": assignment["reward_id"], "name": assignment["name"]}
    identifier = new_id("r")
    movement = await ledger.move(
        work,
        await vouchers.found(work, card["code"]),
        -price,
        "POINTS_REDEMPTION",
        details={"redemption": {"id": identifier}, "reward": named},
    )
    voucher = render.voucher(movement.card, work.config.url)
    reward = of(assignment)
    given = {
        **{name: value for name, value in reward.items() if name not in {"stock", "redeemed", "attributes"}},
        "assignment_id": assignment["id"],
        "voucher": coupon,
    }
    redemption = {
        **base,
        "id": identifier,
        "amount": price,
        "result": "SUCCESS",
        "status": "SUCCEEDED",
        "order": None,
        "related_object_type": "voucher",
        "related_object_id": card["id"],
        "voucher": voucher,
        "loyalty_card": {"points": price},
        "reward": {
            **dict.fromkeys(("product", "sku", "loyalty_tier_id")),
            "customer": render.simple_customer(holder),
            **given,
        },
    }
    await redemptions.insert(work, redemption, "redemption", holder, None, movement.card)
    await redemptions.announce(work, "redemption.succeeded", redemption, holder, movement.card)
    campaign = render.simple_campaign(await campaigns.found(work, card["campaign_id"]))
    work.announce(
        work.event("voucher.loyalty_card.transaction.created", card["id"], "evvou"),
        ledger.transaction_data(work, movement, campaign, holder, redemption=redemption, reward=reward),
        lane=holder["id"],
    )
    data = {
        "customer": render.simple_customer(holder),
        "holder": render.simple_customer(holder),
        "voucher": voucher,
        "campaign": campaign,
        "reward": given,
        "reward_assignment": render.reward_assignment(assignment),
        "reward_redemption": {
            "id": new_id("rewr"),
            "state": "COMPLETED",
            "created_at": iso(work.now),
            "updated_at": None,
            "voucher_id": card["id"],
            "campaign_id": card["campaign_id"],
            "customer_id": holder["id"],
            "reward_assignment_id": assignment["id"],
            "source_id": identifier,
            "source_type": "redemption",
        },
        "source": {"id": identifier, "type": "redemption"},
        "balance": None,
    }
    work.announce(work.event("customer.reward_redemptions.created", holder["id"]), data)
    completed = {**data, "publication": {**publication, "voucher": coupon}}
    work.announce(work.event("customer.reward_redemptions.completed", holder["id"]), completed)
    return redemption


def of(assignment: asyncpg.Record) -> dict[str, Any]:
    """The reward of an assignment that was read together with it."""
    return render.reward({**assignment, "id": assignment["reward_id"], "created_at": assignment["reward_created_at"]})


@post("/rewards", status_code=200)
async def create_reward(request: AnyRequest, store: TheStore) -> dict[str, Any]:
    body = await read_object(request)
    name, parameters = required_text(body, "name", longest=255), mapping(body, "parameters")
    if "campaign" not in parameters:
        raise NotEmulated("A reward other than a coupon of a campaign")
    attributes = mapping(body, "attributes")
    shown = {key: value for key in ("image_url", "description") if (value := text(attributes, key, at=".attributes"))}
    reference = required_text(mapping(parameters, "campaign", at=".parameters"), "id", at=".parameters.campaign")
    async with store.work() as work:
        campaign = await campaigns.found(work, reference)
        if campaign["campaign_type"] != "DISCOUNT_COUPONS":
            raise NotEmulated(f"A reward from a campaign of the type {campaign['campaign_type']}")
        doc = {
            "attributes": shown,
            "metadata": mapping(body, "metadata"),
            "parameters": {"campaign": {"id": campaign["id"], "type": campaign["campaign_type"]}},
        }
        row = await work.one(
            "INSERT INTO reward (id, name, type, doc, created_at) VALUES ($1, $2, 'CAMPAIGN', $3, $4) RETURNING *",
            new_id("rew"),
            name,
            doc,
            work.now,
        )
        assert row is not None
        return render.reward(row)


@get("/rewards")
async def list_rewards(request: AnyRequest, store: TheStore) -> dict[str, Any]:
    limit, offset = page(request)
    if argument(request, "assignment_id"):
        raise NotEmulated("Filtering rewards by `assignment_id`")
    async with store.work() as work:
        rows = await work.all(
            "SELECT * FROM reward ORDER BY created_at DESC, id DESC LIMIT $1 OFFSET $2", limit, offset
        )
        total = await work.value("SELECT count(*) FROM reward")
    return render.old_list("data", [render.reward(row) for row in rows], total)


@get("/rewards/{reference:str}")
async def get_reward(reference: FromPath[str], store: TheStore) -> dict[str, Any]:
    async with store.work() as work:
        return render.reward(await found(work, reference))


@post("/loyalties/{campaign:str}/rewards", status_code=200)
async def assign_rewards(campaign: FromPath[str], request: AnyRequest, store: TheStore) -> list[dict[str, Any]]:
    wanted = _read_assignments(await read_json(request))
    async with store.work() as work:
        row = await campaigns.found(work, campaign, LOYALTY)
        made = []
        for reward, points, rules in wanted:
            assigned = await work.one(
                "INSERT INTO reward_assignment (id, reward_id, campaign_id, points, created_at) "
                "VALUES ($1, $2, $3, $4, $5) ON CONFLICT (campaign_id, reward_id) DO NOTHING RETURNING *",
                new_id("rewa"),
                (await found(work, reward))["id"],
                row["id"],
                points,
                work.now,
            )
            if assigned is None:
                raise duplicate("reward_assignment", reward, by="reward")
            for rule in rules:
                await conditions.assign(work, rule, "reward_assignment", assigned["id"])
            made.append(
                {
                    **render.reward_assignment(assigned),
                    "validation_rules_assignments": await conditions.assigned(
                        work, "reward_assignment", assigned["id"]
                    ),
                }
            )
        return made


def _read_assignments(body: Any) -> list[tuple[str, int, list[str]]]:
    if not isinstance(body, list) or not all(isinstance(each, dict) for each in body):
        raise invalid_payload("Payload must be array")
    wanted = []
    for each in body:
        loyalty = mapping(mapping(each, "parameters"), "loyalty", at=".parameters")
        points = integer(loyalty, "points", least=1, most=2**31, at=".parameters.loyalty")
        if points is None:
            raise Failure(400, "missing_param", "Missing param", "parameters.loyalty.points is required")
        if boolean(loyalty, "auto_redeem", at=".parameters.loyalty"):
            raise NotEmulated("A reward that is redeemed by itself (auto_redeem)")
        wanted.append((required_text(each, "reward"), points, texts(each, "validation_rules", most=1)))
    return wanted


@get("/loyalties/{campaign:str}/rewards")
async def list_assignments(campaign: FromPath[str], request: AnyRequest, store: TheStore) -> dict[str, Any]:
    limit, offset = page(request)
    async with store.work() as work:
        row = await campaigns.found(work, campaign, LOYALTY)
        rows = await work.all(f"{ASSIGNED} ORDER BY a.created_at DESC, a.id DESC", row["id"])
    return render.old_list(
        "data", [render.reward_assignment(each) for each in rows[offset : offset + limit]], len(rows)
    )


@get(["/loyalties/members/{reference:str}/rewards", "/loyalties/{campaign:str}/members/{reference:str}/rewards"])
async def list_member_rewards(reference: FromPath[str], request: AnyRequest, store: TheStore) -> dict[str, Any]:
    limit, offset = page(request)
    affordable = flag(request, "affordable_only")
    async with store.work() as work:
        card = await member(work, reference, request.path_params.get("campaign"))
        rows = await work.all(f"{ASSIGNED} ORDER BY a.created_at DESC, a.id DESC", card["campaign_id"])
        tier = await tiering.of_card(work, card)
    balance = render.loyalty_card(card)["balance"]
    shown = [
        {"reward": of(row), "assignment": render.reward_assignment(row), "object": "loyalty_reward"}
        for row in rows
        if not affordable or tiering.price(tier, row) <= balance
    ]
    return render.old_list("data", shown[offset : offset + limit], len(shown))


@post(
    ["/loyalties/members/{reference:str}/redemption", "/loyalties/{campaign:str}/members/{reference:str}/redemption"],
    status_code=200,
)
async def redeem_reward(reference: FromPath[str], request: AnyRequest, store: TheStore) -> dict[str, Any]:
    body = await read_object(request)
    async with store.work() as work:
        answer = await redeem(work, await member(work, reference, request.path_params.get("campaign")), body)
    if isinstance(answer, Failure):
        raise answer
    return answer


router = Router(
    "/",
    route_handlers=[
        create_reward,
        list_rewards,
        get_reward,
        assign_rewards,
        list_assignments,
        list_member_rewards,
        redeem_reward,
    ],
)

FIDELITY = (
    documented(
        "**Rewards**: a coupon of a campaign for points, at a price of each programme; assigned once "
        "(409), `missing_param` without a price; a purchase takes the points (`POINTS_REDEMPTION`, "
        "`redeemed_points`) and publishes the coupon to the holder in one; `missing_reward`, "
        "`loyalty_card_points_exceeded`"
    ),
    inferred(
        "a refused purchase leaves `rf_…` with its metadata; a reward that the programme does not offer "
        "is 404; a campaign that is off refuses with `campaign_not_active` and leaves nothing"
    ),
)
