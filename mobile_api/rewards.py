"""What points can buy, and buying it, from the phone."""

from dataclasses import dataclass

from litestar import Response, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath

from app.auth.principal import Principal
from app.points.operations import Wanted
from app.points.routes import IdempotencyKey, OperationRead, answer


@dataclass(frozen=True)
class RewardRead:
    """A reward and its price in points."""

    id: str
    name: str
    points: int


@get("/rewards", role="member", operation_id="listRewards")
async def rewards(state: State, principal: NamedDependency[Principal]) -> list[RewardRead]:
    """What the member can get for points, the cheapest first; also what is too dear just now."""
    assert principal.member_id is not None
    return [
        RewardRead(reward.id, reward.name, reward.points) for reward in await state.points.rewards(principal.member_id)
    ]


@post("/rewards/{reward_id:str}/purchases", role="member", operation_id="buyReward")
async def buy(
    state: State, principal: NamedDependency[Principal], reward_id: FromPath[str], idempotency_key: IdempotencyKey
) -> Response[OperationRead]:
    """Get a reward for points; its coupon comes to the wallet. The same key gives the same answer and pays once.

    201 done; 202 not known yet, it is being looked up; 422 refused, no points were taken.
    """
    assert principal.member_id is not None
    wanted = Wanted(principal.name, idempotency_key, principal.member_id, reward_id=reward_id)
    return answer(await state.points.ask(wanted))
