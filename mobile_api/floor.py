"""The phone on the floor: server-rendered fragments, asked for with the member's own token."""

from collections.abc import Sequence
from uuid import UUID, uuid4

from litestar import Router, get
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.response import Template
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.auth.principal import Principal
from app.db.base import now
from app.errors import Busy
from app.orders.models import Order
from app.points.decisions import open_of
from app.points.words import told
from mobile_api import card
from mobile_api.wallet import MovementRead, wallet

WORDS = {
    "POINTS_ACCRUAL": "Points earned",
    "POINTS_ADDITION": "Points added",
    "POINTS_REDEMPTION": "Points spent",
    "POINTS_REFUND": "Points returned",
    "POINTS_REMOVAL": "Points taken off",
    "POINTS_EXPIRATION": "Points expired",
}


def title(movement: MovementRead, numbers: dict[str, int | None]) -> str:
    """What a movement is called on the phone."""
    number = numbers.get(movement.order_id or "")
    return f"Order {number}" if number else movement.reason or WORDS.get(movement.type, "Points")


async def order_numbers(session: AsyncSession, movements: Sequence[MovementRead]) -> dict[str, int | None]:
    """The numbers of the orders behind movements, by order id. Ids that are not ours are left out."""
    wanted = {movement.order_id for movement in movements if movement.order_id}
    ids = [UUID(order_id) for order_id in wanted if len(order_id) == 36]
    found = await session.exec(select(Order.id, Order.number).where(col(Order.id).in_(ids)))
    return {str(order_id): number for order_id, number in found.all()}


@get("/", role="member", include_in_schema=False)
async def show(state: State, principal: NamedDependency[Principal]) -> Template:
    """The member's phone as it stands now."""
    assert principal.member_id is not None
    async with state.database.session() as session:
        found = await wallet(session, principal.member_id, now())
        numbers = await order_numbers(session, found.movements)
        waiting = await open_of(session, principal.member_id)
    context = {
        "wallet": found,
        "barcode": card.svg(found.card) if found.card else None,
        "titles": {movement.id: title(movement, numbers) for movement in found.movements},
        "waiting": [
            {"title": operation.title, "reward": operation.reward_id, "sentence": told(operation)}
            for operation in waiting
        ],
    }
    return Template("phone/screen.html", context=context)


@get("/rewards", role="member", include_in_schema=False)
async def show_rewards(state: State, principal: NamedDependency[Principal]) -> Template:
    """What points can buy, each with the key of its next purchase. Apart, for it costs a call to Voucherify."""
    assert principal.member_id is not None
    try:
        offered, problem = await state.points.rewards(principal.member_id), None
    except Busy as error:
        offered, problem = [], error.sentence
    return Template(
        "phone/rewards.html", context={"rewards": [(each, uuid4()) for each in offered], "problem": problem}
    )


router = Router("/floor", route_handlers=[show, show_rewards])
