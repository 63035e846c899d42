"""What a basket would cost now. Nothing is stored; at most one call to Voucherify, and none without a coupon."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.errors import BadInput, VoucherifyError
from app.orders.basket import Line, Totals, price, totals
from app.orders.models import Location, Order, Product
from app.orders.translate import voucherify_order
from app.voucherify.client import Client
from app.voucherify.redemptions import REASONS, validate


@dataclass(frozen=True)
class CouponCheck:
    """What Voucherify said of a coupon for this basket."""

    code: str
    valid: bool | None
    """None: it can't be checked now."""
    reason: str | None = None
    """Why not, as a sentence."""
    discount: int = 0
    """What it takes off, minor units."""


@dataclass(frozen=True)
class Quote:
    """A priced basket. Money in minor units of the location's currency."""

    lines: list[dict[str, Any]]
    totals: Totals
    coupon: CouponCheck | None


async def products_for_sale(session: AsyncSession) -> dict[str, Product]:
    """What can be sold, by id, in the order of the till's screen."""
    query = select(Product).where(col(Product.active)).order_by(col(Product.position), col(Product.id))
    return {product.id: product for product in (await session.exec(query)).all()}


async def quote(
    voucherify: Client,
    location: Location,
    products: Mapping[str, Product],
    lines: Sequence[Line],
    member_id: UUID | None,
    coupon: str | None,
) -> Quote:
    """Price a basket. Raises `BadInput` for one that could not be sold either."""
    priced = price(lines, products)
    if not coupon:
        return Quote(priced, totals(priced, 0, location), None)
    if member_id is None:
        raise BadInput("A coupon needs a member: send member_id with it.", field="coupon")
    order = Order(
        client="",
        idempotency_key="",
        request_hash="",
        source="till",
        location_id=location.id,
        status="PENDING",
        currency=location.currency,
        lines=priced,
        amount=totals(priced, 0, location).amount,
    )
    # No source_id: this basket is not an order yet, and must not become one in Voucherify.
    body = {name: value for name, value in voucherify_order(order, location).items() if name != "source_id"}
    check = await _check(voucherify, coupon, body, {"source_id": str(member_id)})
    return Quote(priced, totals(priced, check.discount, location), check)


async def _check(voucherify: Client, code: str, order: dict[str, Any], customer: dict[str, Any]) -> CouponCheck:
    try:
        answer = await validate(voucherify, code, order, customer)
    except VoucherifyError as error:
        return CouponCheck(code, None if error.retryable else False, error.sentence)
    if not answer.get("valid"):
        return CouponCheck(code, False, f"This coupon can't be used here: {refusal(answer)}")
    discount = answer.get("order", {}).get("total_applied_discount_amount", 0)
    return CouponCheck(code, True, discount=int(discount or 0))


def refusal(answer: Mapping[str, Any]) -> str:
    """Voucherify's reason in the answer of a validation that is not valid."""
    for redeemable in (*answer.get("redeemables", ()), *answer.get("inapplicable_redeemables", ())):
        result = redeemable.get("result", {})
        error = result.get("error", {})
        told = REASONS.get(error.get("key")) or error.get("message") or result.get("details", {}).get("message")
        if told:
            return str(told)
    return "Voucherify gave no reason."
