"""A webhook that is replayed: one that was delivered is a second message, and goes out only where somebody says so."""

from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any, cast

import pytest

from app.db.session import Database
from app.destinations.addresses import AllowedHosts
from app.destinations.catalogue import CATALOGUE
from app.destinations.web import WebTransport
from app.destinations.webhook import WEBHOOK
from app.errors import Refused
from app.pipeline import replay
from app.pipeline.registry import Registry, connect
from app.pipeline.replay import Wanted, checked_wish
from app.pipeline.replay_runner import Replayer
from app.pipeline.replay_selection import Selection
from app.pipeline.send import Way
from tests.destinations.receiver import receiving
from tests.pipeline.conftest import MakeDeliverer
from tests.pipeline.road import DESTINATION, deliveries, routed, track, work


async def test_a_delivered_webhook_is_sent_again_only_with_the_flag(
    database: Database, deliverer: MakeDeliverer
) -> None:
    """Delivered: without the flag no replay begins, with it the receiver has it once more, under the same key."""
    web = WebTransport(AllowedHosts.read("127.0.0.1"), time_limit=5.0)
    async with receiving() as receiver, AsyncExitStack() as stack:
        stack.push_async_callback(web.close)
        row = {
            "slug": "add-custom-event-track-event",  # so that the router's rows are for it
            "action": "send",
            "trigger": 'type = "track"',
            "mapping": WEBHOOK.actions["send"].default_mapping,
            "enabled": True,
        }
        to = connect(DESTINATION, WEBHOOK, {"url": receiver.url()}, [row])
        known = Registry(database, CATALOGUE, {}, {DESTINATION: to})
        worker = deliverer(registry=known)
        worker.watch.registry = known
        cast("dict[str, Any]", worker.sender.ways)["web"] = Way(web)
        await routed(database, track("Coupon Published", messageId="m-1"))
        await work(worker)
        assert [each["status"] for each in await deliveries(database)] == ["delivered"]
        wanted, found = checked_wish(Wanted(Selection(destination=DESTINATION)), known)
        with pytest.raises(Refused, match="All 1 would be left out"):
            await replay.begin(database, found, wanted, "They lost it.", "operator:ada", "k-1")
        await replay.begin(database, found, replace(wanted, twice=True), "They lost it.", "operator:ada", "k-2")
        assert await Replayer(database, known).run_once() == 1
        await work(worker)
        assert [each["status"] for each in await deliveries(database)] == ["delivered"]
        assert [got.headers["idempotency-key"] for got in receiver.got if got.method == "POST"] == ["m-1", "m-1"]
