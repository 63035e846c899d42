"""Custom events: `POST /v1/events`, and what the Segment door makes of track calls.

documented: the customer is made if missing, rules for the event's name fire, a card may be named. inferred: an event
whose name nobody defined is taken; an unknown customer *id* is a 404. A repeat earns again: there is no key.
"""

from typing import Any

from litestar import Router, post

from app.sandbox import customers, referrals, render, vouchers
from app.sandbox.clock import iso
from app.sandbox.earning import earn
from app.sandbox.errors import invalid_payload
from app.sandbox.fidelity import documented
from app.sandbox.ids import new_id, stable_id
from app.sandbox.metadata import CUSTOM_EVENT
from app.sandbox.read import AnyRequest, mapping, read_object, required_text, text
from app.sandbox.store import TheStore
from app.sandbox.work import Work


async def track(work: Work, body: dict[str, Any], *, metadata: dict[str, Any], update: bool = True) -> dict[str, Any]:
    """Record a custom event, tell of it, and let it earn. `update`: whether the customer's data may change by it."""
    name = required_text(body, "event", longest=300)
    if not body.get("customer"):
        raise customers.missing()
    referral_code = text(mapping(body, "referral"), "code", at=".referral")
    if update and body.get("referral") is not None and not referral_code:
        # Only here: what Segment sends has an empty object with every event.
        raise invalid_payload("Property .referral should have required property 'code'")
    card_code = text(mapping(body, "loyalty"), "code", at=".loyalty")
    if referral_code:
        await referrals.lock(work, [referral_code], body["customer"])
    customer = await customers.upsert(work, body["customer"], update=update)
    referral = await referrals.used(work, referral_code) if referral_code else None
    card = await vouchers.found(work, card_code) if card_code else None
    loyalty = {"code": card["code"], "id": card["id"]} if card is not None else None
    event = {
        "id": new_id("event"),
        "object": "event",
        "type": name,
        "customer": {"id": customer["id"], "object": "customer"},
        "referral": referral.in_event() if referral is not None else None,
        "loyalty": loyalty,
        "metadata": metadata,
        "created_at": iso(work.now),
    }
    await work.run(
        "INSERT INTO custom_event (id, customer_id, type, metadata, created_at) VALUES ($1, $2, $3, $4, $5)",
        event["id"],
        customer["id"],
        name,
        metadata,
        work.now,
    )
    shown = render.simple_customer(customer)
    cause = work.event("customer.custom_event", customer["id"])
    schema = await work.value(
        "SELECT doc ->> 'id' FROM metadata_schema WHERE related_object = $1 AND name = $2", CUSTOM_EVENT, name
    )
    work.announce(
        cause,
        {
            "event": event,
            "event_schema": {"id": schema or stable_id("ms", name), "name": name},
            "customer": shown,
            "referral": referral.in_webhook(work.config.url) if referral is not None else None,
            "loyalty": loyalty,
        },
    )
    if referral is not None:
        await referrals.by_event(work, referral, customer, event, cause)
    await earn(work, customer, name, cause, custom_event=event, only_card=card_code)
    return {
        "object": "event",
        "type": name,
        "customer": shown,
        "referral": None,
        "loyalty": loyalty,
        "metadata": metadata,
    }


@post("/events", status_code=200)
async def create_event(request: AnyRequest, store: TheStore) -> dict[str, Any]:
    body = await read_object(request)
    async with store.work() as work:
        return await track(work, body, metadata=mapping(body, "metadata"))


router = Router("/", route_handlers=[create_event])

FIDELITY = (
    documented(
        "**Events**: `POST /v1/events` makes the customer if need be, a repeat earns again",
        "names that nobody defined are taken: inferred",
    ),
)
