"""What operators read: for now the trace of any order."""

from typing import Any
from uuid import UUID

from litestar import Router, get
from litestar.datastructures import State
from litestar.params import FromPath

from app.console.trace import trace
from app.errors import NotFound


@get("/console/orders/{order_id:uuid}/trace", role="operator", operation_id="traceOrder")
async def trace_order(state: State, order_id: FromPath[UUID]) -> dict[str, Any]:
    """Every step of an order's road, with its time in ms since the till's call, what was sent and what came back."""
    found = await trace(state.database, order_id)
    if found is None:
        raise NotFound("There is no order with this id.")
    return found


router = Router("/", route_handlers=[trace_order], tags=["console"])
