"""What an order would earn: `POST /v1/loyalties/{c}/qualifications`. What it does earn is in `earning.py`.

documented: it estimates by the rules for paid orders, of an order that is stored or described, for a member or, where
the programme lets customers join by themselves, for anybody; its errors. inferred: what is described of an order is
laid over the stored one; nothing is stored by an estimate.
"""

from typing import Any

from litestar import Router, post
from litestar.params import FromPath

from app.sandbox import (
    campaigns,
    customers,
    earning,
    orders,
    publishing,
    tiering,
)
from app.sandbox.errors import Failure, invalid_payload
from app.sandbox.fidelity import documented, inferred
from app.sandbox.loyalties import LOYALTY
from app.sandbox.read import AnyRequest, mapping, read_object, text
from app.sandbox.store import TheStore


@post("/loyalties/{campaign:str}/qualifications", status_code=200)
async def estimate_points(campaign: FromPath[str], request: AnyRequest, store: TheStore) -> dict[str, Any]:
    body = await read_object(request)
    for name in ("customer", "order"):
        if not isinstance(body.get(name), dict):
            raise invalid_payload(f"Property .{name} must be object")
    who, given = mapping(body, "customer"), mapping(body, "order")
    wanted = orders.read(given, ".order")
    async with store.work() as work:
        row = await campaigns.found(work, campaign, LOYALTY)
        publishing.refuse_inactive(work, row)
        reference = text(who, "id", at=".customer") or text(who, "source_id", at=".customer")
        customer = await customers.find(work, reference) if reference else None
        card = await publishing.held(work, row, customer) if customer is not None else None
        if card is None and not row["doc"].get("auto_join"):
            raise Failure(
                400,
                "campaign_not_allow_auto_join",
                f"Loyalty campaign '{row['id']}' does not allow auto-join for non-members",
                "Given campaign does not allow auto-join",
            )
        if card is not None and not card["active"]:
            raise Failure(
                400,
                "loyalty_card_not_active",
                f"Customer's loyalty card '{card['code']}' is not active",
                "Given customer's loyalty card is not active",
            )
        named = wanted.id or wanted.source_id
        stored = await orders.find(work, named) if named else None
        metadata = {**(customer["doc"]["metadata"] if customer is not None else {}), **mapping(who, "metadata")}
        points = await earning.estimate(
            work,
            row,
            orders.merged(stored["doc"] if stored is not None else None, wanted.doc),
            customer,
            metadata,
            await tiering.of_card(work, card) if card is not None else None,
        )
    return {
        "campaign": {"id": row["id"], "name": row["name"], "object": "campaign"},
        "points_estimation": points,
    }


router = Router("/", route_handlers=[estimate_points])

FIDELITY = (
    documented(
        "a member's activity; estimates of what an order would earn (`qualifications` of a programme) and their errors"
    ),
    inferred(
        "an estimate lays what is described over the stored order and stores nothing; a rule whose validation rule "
        "does not hold adds nothing to it"
    ),
)
