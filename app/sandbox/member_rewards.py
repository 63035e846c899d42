"""What the holder of a loyalty card can buy: the list of rewards, and the purchase by the address of the card.

documented: `affordable_only`, rewards with their assignments, the redemption as the answer, an order where it is paid
with points. inferred: paying with points is affordable from one step of its ratio on.
"""

from typing import Any

import asyncpg
from litestar import Router, get, post
from litestar.params import FromPath

from app.sandbox import lists, purchases, redemptions, render, render_loyalty, rewards, tiering
from app.sandbox.errors import Failure
from app.sandbox.loyalties import member
from app.sandbox.read import AnyRequest, flag, mapping, page, read_object
from app.sandbox.store import TheStore
from app.sandbox.work import Work


async def offered(work: Work, card: render.Row) -> list[tuple[asyncpg.Record, int]]:
    """The rewards of this card's programme, each with the points that the holder needs for it."""
    rows = await work.all(f"{rewards.ASSIGNED} ORDER BY a.created_at DESC, a.id DESC", card["campaign_id"])
    tier = await tiering.of_card(work, card)
    return [(row, _least(tier, row)) for row in rows]


def _least(tier: asyncpg.Record | None, assignment: asyncpg.Record) -> int:
    if assignment["type"] == rewards.COIN:
        return int(assignment["doc"]["parameters"]["coin"]["points_ratio"])
    return tiering.price(tier, assignment)


async def in_qualifications(work: Work, card: render.Row) -> dict[str, Any]:
    """The `loyalty_card` of a card among the redeemables: its points, and what they are worth in an order."""
    coins = [row for row, _ in await offered(work, card) if row["type"] == rewards.COIN]
    worth = coins[0]["doc"]["parameters"]["coin"] if coins else {}
    return {"points": card["lifetime"], "balance": render_loyalty.card_balance(card), **worth}


@get(["/loyalties/members/{reference:str}/rewards", "/loyalties/{campaign:str}/members/{reference:str}/rewards"])
async def list_member_rewards(reference: FromPath[str], request: AnyRequest, store: TheStore) -> dict[str, Any]:
    limit, offset = page(request)
    affordable = flag(request, "affordable_only")
    async with store.work() as work:
        card = await member(work, reference, request.path_params.get("campaign"))
        rows = await offered(work, card)
    balance = render_loyalty.card_balance(card)
    shown = [
        {"reward": rewards.of(row), "assignment": render_loyalty.assignment(row), "object": "loyalty_reward"}
        for row, points in rows
        if not affordable or points <= balance
    ]
    return lists.numbered("data", shown[offset : offset + limit], len(shown))


@post(
    ["/loyalties/members/{reference:str}/redemption", "/loyalties/{campaign:str}/members/{reference:str}/redemption"],
    status_code=200,
)
async def redeem_reward(reference: FromPath[str], request: AnyRequest, store: TheStore) -> dict[str, Any]:
    body = await read_object(request)
    async with store.work() as work:
        card = await member(work, reference, request.path_params.get("campaign"))
        if not card["holder_id"]:
            raise purchases.not_the_holder()
        wanted = {"object": "voucher", "id": card["code"], "reward": mapping(body, "reward")}
        answer = await redemptions.redeem(
            work,
            {
                "redeemables": [wanted],
                "customer": {"id": card["holder_id"]},
                "order": mapping(body, "order"),
                "metadata": mapping(body, "metadata"),
            },
        )
    if isinstance(answer, Failure):
        raise answer
    bought: dict[str, Any] = answer["redemptions"][0]
    return bought


router = Router("/", route_handlers=[list_member_rewards, redeem_reward])
