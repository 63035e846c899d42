"""The till on the floor: server-rendered fragments around one basket, which travels in the form itself.

The sale is not made here: the page calls `POST /pos/orders` as any point of sale does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Request, Router, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter
from litestar.response import Template
from sqlmodel import select

from app import money
from app.analytics.models import PointMovement
from app.auth.principal import Principal
from app.db.base import now
from app.errors import BadInput, NotFound
from app.members import service
from app.members.models import Member
from app.orders.basket import Line
from app.orders.models import Order
from app.profiles.models import Coupon
from pos_simulator import demo
from pos_simulator.customer import Customer, customer, display_name, latest_members
from pos_simulator.quote import products_for_sale, quote
from pos_simulator.register import Register, register_of

AnyRequest = Request[Any, Any, Any]
BasketNumber = Annotated[int, QueryParameter(ge=0, le=10**9)]
Code = Annotated[str | None, QueryParameter(min_length=1, max_length=100)]


@dataclass(frozen=True)
class Till:
    """What stands in the form of the panel."""

    basket: int
    """Which demo basket this began as."""
    lines: tuple[Line, ...]
    member_id: UUID | None = None
    coupon: str | None = None

    def pressed(self, button: str) -> "Till":
        """The till after a button: `more:<product>`, `less:<product>`, `coupon:<code>`, `no-coupon`, `member`."""
        verb, _, what = button.partition(":")
        step = {"more": 1, "less": -1}.get(verb, 0)
        lines = [Line(line.product_id, line.quantity + step * (line.product_id == what)) for line in self.lines]
        # A coupon belongs to its member, so another member at the till puts it away.
        coupon = {"coupon": what, "no-coupon": None, "member": None}.get(verb, self.coupon)
        return Till(self.basket, tuple(line for line in lines if line.quantity > 0), self.member_id, coupon)


def till_of(form: dict[str, Any]) -> Till:
    """The till as its form tells it, or `BadInput`."""
    try:
        return Till(
            basket=int(form.get("basket") or 0),
            lines=msgspec.json.decode(str(form.get("lines") or "[]"), type=tuple[Line, ...]),
            member_id=UUID(str(form["member"])) if form.get("member") else None,
            coupon=str(form["coupon"]) if form.get("coupon") else None,
        )
    except (ValueError, msgspec.DecodeError) as error:
        raise BadInput("This is not the form of the till: load the page again.") from error


@get("/", role="register", include_in_schema=False)
async def show(
    state: State,
    principal: NamedDependency[Principal],
    basket: BasketNumber = 0,
    member: FromQuery[UUID | None] = None,
    coupon: Code = None,
) -> Template:
    """A new demo basket. Without `member` the one who joined first of the latest is at the till."""
    async with state.database.session() as session:
        products = await products_for_sale(session)
        if member is None and state.settings.development_sign_in:
            listed = await latest_members(session)
            member = listed[-1].id if listed else None
    lines = tuple(demo.basket(list(products.values()), basket))
    return await _panel(state, principal, Till(basket, lines, member, coupon))


@post("/", role="register", status_code=200, include_in_schema=False)
async def press(state: State, principal: NamedDependency[Principal], request: AnyRequest) -> Template:
    """The panel after a button was pressed."""
    form = dict(await request.form())
    return await _panel(state, principal, till_of(form).pressed(str(form.get("do") or "")))


@post("/members", role="register", status_code=200, include_in_schema=False)
async def enrol(state: State, principal: NamedDependency[Principal], request: AnyRequest) -> Template:
    """Enrol somebody, who then stands at the till with the basket as it is."""
    form = dict(await request.form())
    phone, name = str(form.get("phone") or ""), str(form.get("first_name") or "")
    if len(name) > 100 or not name.isprintable():
        raise BadInput("first_name may have 100 letters at most.", field="first_name")
    async with state.database.session() as session:
        member, is_new = await service.enrol(session, service.Enrolment(phone, first_name=name), "till")
    till = till_of(form).pressed("member")
    said = f"{display_name(member)} joined." if is_new else f"{display_name(member)} is a member already."
    return await _panel(state, principal, Till(till.basket, till.lines, member.id), said)


@get("/orders/{order_id:uuid}", role="register", include_in_schema=False)
async def receipt(
    state: State, principal: NamedDependency[Principal], order_id: FromPath[UUID], basket: BasketNumber = 0
) -> Template:
    """The receipt of an order of this shop, with what it has earned so far."""
    async with state.database.session() as session:
        register = await register_of(session, principal)
        order = await session.get(Order, order_id)
        if order is None or order.location_id != register.location.id:
            raise NotFound("This shop has no such order.")
        member = await session.get(Member, order.member_id) if order.member_id else None
        earned = await session.exec(select(PointMovement.points).where(PointMovement.order_id == str(order_id)))
        coupons = await session.exec(select(Coupon).where(Coupon.order_id == str(order_id)))
        context = {
            "order": order,
            "shop": register.location,
            "member": member,
            "name": display_name(member) if member else None,
            "points": sum(earned.all()),
            "coupons": coupons.all(),
            "basket": basket,
            "money": partial(money.shown, currency=order.currency),
        }
    return Template("till/receipt.html", context=context)


async def _panel(state: State, principal: Principal, till: Till, said: str = "") -> Template:
    async with state.database.session() as session:
        register = await register_of(session, principal)
        products = await products_for_sale(session)
        known = await customer(session, till.member_id, now()) if till.member_id else None
        listed = await latest_members(session) if state.settings.development_sign_in else []
    lines = tuple(line for line in till.lines if line.product_id in products)
    context = _context(register, till, known, listed, said)
    if lines:
        # The transaction is over: a quote may ask Voucherify, and that takes as long as it takes.
        coupon = till.coupon if known else None
        context["quote"] = await quote(state.voucherify, register.location, products, lines, till.member_id, coupon)
    context["lines"] = msgspec.json.encode(lines).decode()
    return Template("till/basket.html", context=context)


def _context(
    register: Register, till: Till, known: Customer | None, listed: Sequence[Member], said: str
) -> dict[str, Any]:
    members = {member.id: display_name(member) for member in listed}
    if known is not None:
        members.setdefault(known.member.id, known.name)
    return {
        "register": register,
        "shop": register.location,
        "till": till,
        "customer": known,
        "members": members,
        "quote": None,
        "said": said,
        "money": partial(money.shown, currency=register.location.currency),
    }


router = Router("/floor", route_handlers=[show, press, enrol, receipt])
