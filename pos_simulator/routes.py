"""The till's API: the catalogue, what a basket costs, and the sale. Any point of sale can call it."""

from typing import Annotated

from litestar import Router, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import HeaderParameter, JSONBody

from app.auth.principal import Principal
from app.orders.checkout import Purchase
from pos_simulator import floor
from pos_simulator.bodies import Basket, Catalogue, OrderRead, QuoteRead
from pos_simulator.quote import products_for_sale, quote
from pos_simulator.register import client_of, location_of, register_name, register_of

IdempotencyKey = Annotated[
    str,
    HeaderParameter(
        name="Idempotency-Key",
        min_length=1,
        max_length=100,
        description="Made by the till for one basket, and kept when it asks again: one key sells once.",
    ),
]


@get("/catalogue", role="register", operation_id="getCatalogue")
async def catalogue(state: State, principal: NamedDependency[Principal]) -> Catalogue:
    """What this till sells."""
    async with state.database.session() as session:
        register = await register_of(session, principal)
        products = await products_for_sale(session)
    return Catalogue.of(register, list(products.values()))


@post("/quote", role="register", status_code=200, operation_id="quoteBasket")
async def quote_basket(state: State, principal: NamedDependency[Principal], data: JSONBody[Basket]) -> QuoteRead:
    """What a basket costs now, with what a coupon would take off. A refused coupon is an answer, not an error."""
    async with state.database.session() as session:
        register = await register_of(session, principal)
        products = await products_for_sale(session)
    priced = await quote(state.voucherify, register.location, products, data.wanted(), data.member_id, data.coupon)
    return QuoteRead.of(priced, register.location.currency)


@post("/orders", role="register", operation_id="placeOrder")
async def place_order(
    state: State, principal: NamedDependency[Principal], data: JSONBody[Basket], idempotency_key: IdempotencyKey
) -> OrderRead:
    """Sell a basket. The same key and basket give the same order; another basket under the same key is a 409."""
    name = register_name(principal)
    order = await state.checkout.place(
        Purchase(
            client=client_of(name),
            idempotency_key=idempotency_key,
            source="till",
            location_id=location_of(principal),
            lines=data.wanted(),
            register_name=name,
            member_id=data.member_id,
            coupon=data.coupon,
        )
    )
    return OrderRead.of(order)


router = Router("/pos", route_handlers=[catalogue, quote_basket, place_order, floor.router], tags=["till"])
