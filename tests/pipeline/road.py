"""What tests of router, lanes and deliverer share: events in a log, our mappings, a worker that works when told to."""

import asyncio
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import httpx

from app.db.base import now
from app.db.session import Database
from app.destinations.catalogue import CATALOGUE
from app.destinations.voucherify import VOUCHERIFY
from app.log import log
from app.log.log import NewEvent
from app.pipeline import destination_state, lanes
from app.pipeline.deliver import Deliverer
from app.pipeline.registry import Registry, connect, rows_of
from app.pipeline.route import Router
from app.segment import messages

DESTINATION = VOUCHERIFY.slug
ORDER, TRACK, IDENTIFY = "order-paid", "add-custom-event-track-event", "create-or-update-customer"


def order(order_id: str, user: str = "u-1", price: float = 10.0, **properties: Any) -> dict[str, Any]:
    """An `Order Completed` of one product."""
    products = [{"product_id": "p-1", "quantity": 1, "price": price, "name": "Coffee", "category": "drinks"}]
    given = {"order_id": order_id, "currency": "USD", "total": price, "products": products, **properties}
    return {"type": "track", "event": "Order Completed", "userId": user, "properties": given}


def track(event: str = "Tested", user: str = "u-1", **more: Any) -> dict[str, Any]:
    return {"type": "track", "event": event, "userId": user, "properties": {}, **more}


def identify(user: str = "u-1", **traits: Any) -> dict[str, Any]:
    return {"type": "identify", "userId": user, "traits": {"first_name": "Mia", **traits}}


async def store(database: Database, *given: dict[str, Any]) -> None:
    """Put messages into a log of one partition, as the door would."""
    events: list[NewEvent] = []
    for message in given:
        at = now()
        done = messages.complete({"messageId": str(uuid4()), **message}, messages.envelope_of({}), at)
        events.append(messages.new_event(done, "till", at))
    async with database.transaction() as connection:
        await log.append(connection, events, 1)


def registry(database: Database, settings: Mapping[str, Any] | None = None) -> Registry:
    """Our Voucherify destination with its presets, whatever is in the database."""
    connected = connect(VOUCHERIFY.slug, VOUCHERIFY, settings or {}, rows_of(VOUCHERIFY.presets))
    return Registry(database, CATALOGUE, {}, {connected.slug: connected})


def router(database: Database, owner: str = "router") -> Router:
    return Router(database, owner, partitions=1, lease_seconds=10, registry=registry(database))


async def routed(database: Database, *given: dict[str, Any]) -> None:
    """Store the messages and route them all."""
    await store(database, *given)
    async with database.connection() as connection:
        await destination_state.make(connection, [DESTINATION])
    while await router(database).run_once():
        pass


async def work(deliverer: Deliverer) -> None:
    """Ask what is down whether it is up, then deliver everything that is due now, once."""
    await deliverer.watch.run_once()
    async with deliverer.database.transaction() as connection:
        claimed = await lanes.claim(connection, deliverer.owner, deliverer.lease_seconds, 100)
    await asyncio.gather(*(deliverer._lane(lane) for lane in claimed))


async def hurry(database: Database) -> None:
    """Let all waits be over, as if time had passed."""
    async with database.connection() as connection:
        await connection.execute("UPDATE delivery SET due_at = now() WHERE status = 'pending'")
        await connection.execute("UPDATE lane SET due_at = now() WHERE due_at IS NOT NULL")
        await connection.execute("UPDATE destination_state SET probe_at = now() WHERE down_since IS NOT NULL")
        await connection.execute("UPDATE attempt SET ended_at = ended_at - interval '1 hour'")


async def deliveries(database: Database) -> list[dict[str, Any]]:
    async with database.connection() as connection:
        return [dict(row) for row in await connection.fetch("SELECT * FROM delivery ORDER BY id")]


async def states(database: Database) -> list[tuple[str, str]]:
    """Mapping and status of all deliveries, in order."""
    return [(row["mapping"], row["status"]) for row in await deliveries(database)]


async def count(database: Database, table: str) -> int:
    async with database.connection() as connection:
        found: int = await connection.fetchval(f"SELECT count(*) FROM {table}")
    return found


def answering(*answers: httpx.Response | Exception, up: bool = True) -> tuple[httpx.MockTransport, list[httpx.Request]]:
    """A Voucherify that gives these answers, then 200; asked whether it is up, it says so meanwhile, or does not."""
    asked: list[httpx.Request] = []
    left = list(answers)

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/customers" and request.method == "GET":
            return httpx.Response(200 if up or not left else 503, json={})
        asked.append(request)
        given = left.pop(0) if left else httpx.Response(200, json={})
        if isinstance(given, Exception):
            raise given
        return given

    return httpx.MockTransport(answer), asked
