"""A webhook on the whole road: routed, mapped, signed, received, and tried again under the same key."""

from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
import pytest_asyncio

from app.db.session import Database
from app.destinations.addresses import AllowedHosts
from app.destinations.catalogue import CATALOGUE
from app.destinations.web import WebTransport
from app.destinations.webhook import WEBHOOK
from app.destinations.webhook.request import signature
from app.pipeline import destination_state
from app.pipeline.deliver import Deliverer
from app.pipeline.registry import Registry, connect
from app.pipeline.route import Router
from app.pipeline.send import Way
from tests.destinations.receiver import OK, Receiver, answer, receiving
from tests.pipeline.conftest import MakeDeliverer
from tests.pipeline.road import deliveries, hurry, store, track, work

SECRET = "the-shared-secret"


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as made:
        yield made


@pytest_asyncio.fixture
async def worker(
    database: Database,
    deliverer: MakeDeliverer,
    receiver: Receiver,
) -> AsyncIterator[Deliverer]:
    """A worker with one webhook destination, to which one event is on its way."""
    row = {
        "slug": "coupons",
        "action": "send",
        "trigger": 'type = "track"',
        "mapping": WEBHOOK.actions["send"].default_mapping,
        "enabled": True,
    }
    settings = {"sharedSecret": SECRET, "url": receiver.url()}
    known = Registry(database, CATALOGUE, {}, {"mails": connect("mails", WEBHOOK, settings, [row])})
    web = WebTransport(AllowedHosts.read("127.0.0.1"), time_limit=0.5)
    made = deliverer(registry=known)
    made.watch.registry = known
    cast("dict[str, Any]", made.sender.ways)["web"] = Way(web)
    await store(database, track("Coupon Published", messageId="m-1"))
    async with database.connection() as connection:
        await destination_state.make(connection, ["mails"])
    while await Router(database, "router", partitions=1, lease_seconds=10, registry=known).run_once():
        pass
    yield made
    await web.close()


async def test_it_is_received(worker: Deliverer, database: Database, receiver: Receiver) -> None:
    """One signed POST of the event; what is kept of the try has no secret in it."""
    await work(worker)
    ((delivery,), (got,)) = await deliveries(database), receiver.got
    assert (delivery["destination"], delivery["mapping"], delivery["status"]) == ("mails", "coupons", "delivered")
    assert (got.method, got.target, got.headers["idempotency-key"]) == ("POST", "/hook", "m-1")
    assert got.headers["x-signature"] == signature(SECRET, got.body)
    async with database.connection() as connection:
        kept = await connection.fetch("SELECT attempt::text AS whole, outcome FROM attempt")
    assert [row["outcome"] for row in kept] == ["done"]
    assert "Coupon Published" in kept[0]["whole"]
    assert SECRET not in kept[0]["whole"]


@pytest.mark.parametrize("first", [[60.0], answer(500), answer(504)], ids=["silence", "500", "504"])
async def test_it_comes_again_under_one_key(
    worker: Deliverer, database: Database, receiver: Receiver, first: list[bytes | float]
) -> None:
    """After silence or a failure it is sent again at once it is due, without a look-up, with the same key and body."""
    receiver.answers = [first, [OK]]
    for _ in range(2):
        await work(worker)
        await hurry(database)
    assert [row["status"] for row in await deliveries(database)] == ["delivered"]
    posts = [got for got in receiver.got if got.method == "POST"]
    assert [got.headers["idempotency-key"] for got in posts] == ["m-1", "m-1"]
    assert posts[0].body == posts[1].body


async def test_a_refusal_is_final(worker: Deliverer, database: Database, receiver: Receiver) -> None:
    """A 400 fails the delivery with the receiver's words, and it is not tried again."""
    receiver.answers = [answer(400, b"no such list")]
    for _ in range(2):
        await work(worker)
        await hurry(database)
    (delivery,) = await deliveries(database)
    assert (delivery["status"], delivery["error"]) == ("failed", "127.0.0.1 answered 400: no such list")
    assert len(receiver.got) == 1
