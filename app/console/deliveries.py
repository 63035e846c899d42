"""Deliveries: what goes to which destination and how it went, as JSON and as screens."""

from typing import Annotated, Any

from litestar import Request, Response, Router, get
from litestar.datastructures import State
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, FromQuery, QueryParameter

from app.console.deliveries_asked import Asked, meant, provide_asked, refuse_unknown
from app.console.deliveries_rows import DeliveryPage, DeliveryRead, page_of, read
from app.console.page import page
from app.errors import LoyaltyError

HERE = "/console/deliveries"
NEWEST = 2**62
STATES = {
    "delivered": ("good", "check", "delivered"),
    "failed": ("bad", "cross", "failed"),
    "filtered": ("mute", "skip", "filtered"),
    "unclear": ("waits", "clock", "unclear"),
    "pending": ("flies", "moving", "waiting"),
}
"""How a status is shown: class, icon, word."""
OUTCOMES = {
    "done": ("good", "check", "done"),
    "found": ("good", "check", "found done"),
    "not_found": ("mute", "skip", "not found"),
    "retry": ("waits", "clock", "nothing was done; tried again"),
    "refused": ("bad", "cross", "refused"),
    "unclear": ("waits", "clock", "no answer came"),
    "overruled": ("waits", "clock", "no answer came; sent again all the same"),
    None: ("flies", "moving", "no end is noted"),
}
"""The same of an attempt."""

Before = Annotated[int, QueryParameter(ge=0, le=NEWEST, description="Only those with a smaller id: the next page.")]
Limit = Annotated[int, QueryParameter(ge=1, le=100)]


@get("/api/deliveries", role="operator", operation_id="listDeliveries")
async def list_deliveries(
    state: State,
    request: Request[Any, Any, Any],
    asked: NamedDependency[Asked],
    before: Before = NEWEST,
    limit: Limit = 50,
) -> DeliveryPage:
    """Deliveries that meet all filters, the newest first. A filter that there is not is a 400.

    `person` is a member's id, or a phone number that begins with `+`; `error` is text that is in the error; `since` and
    `until` are about the time of routing.
    """
    refuse_unknown(request.query_params, ("before", "limit"))
    return await page_of(state.database, await meant(state.database, asked), before, limit)


@get("/api/deliveries/{delivery_id:int}", role="operator", operation_id="getDelivery")
async def get_delivery(state: State, delivery_id: FromPath[int]) -> DeliveryRead:
    """One delivery: its event, the function's result, each attempt with request and answer, and what was decided."""
    await state.registry.refresh()
    return await read(state.database, state.registry, _id(delivery_id))


@get(HERE, role="operator", include_in_schema=False)
async def show_list(state: State, asked: NamedDependency[Asked], before: Before = NEWEST) -> Response[Any]:
    """The screen of the same list."""
    await state.registry.refresh()
    found, problem = DeliveryPage([], None), None
    try:
        found = await page_of(state.database, await meant(state.database, asked), before, 50)
    except LoyaltyError as error:
        problem = error
    context = {
        "found": found,
        "asked": asked,
        "states": STATES,
        "destinations": state.registry.connected,
        "first": before == NEWEST,
    }
    return await page(state, "console/deliveries.html", HERE, context, problem)


@get(f"{HERE}/{{delivery_id:int}}", role="operator", include_in_schema=False)
async def show_one(state: State, delivery_id: FromPath[int], view: FromQuery[str] = "pretty") -> Response[Any]:
    """The screen of one. `view=raw`: JSON in one line, as it is."""
    await state.registry.refresh()
    found = await read(state.database, state.registry, _id(delivery_id))
    to = state.registry.connected.get(found.delivery.destination)
    context = {
        "found": found,
        "row": found.delivery,
        "states": STATES,
        "outcomes": OUTCOMES,
        "to": to.name if to else found.delivery.destination,
        "raw": view == "raw",
    }
    return await page(state, "console/delivery.html", HERE, context)


def _id(number: int) -> int:
    """The number, or one that no delivery has where it is too large for a row."""
    return number if 0 <= number < 2**63 else -1


router = Router(
    "/",
    route_handlers=[list_deliveries, get_delivery, show_list, show_one],
    dependencies={"asked": Provide(provide_asked, sync_to_thread=False)},
    tags=["console"],
)
