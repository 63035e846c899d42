"""A webhook is sent once more because somebody asks for it."""

import asyncio
from typing import Any

import httpx
import pytest

from tests.sandbox.programme import send
from tests.sandbox.serving import Sink


async def deliveries(api: httpx.AsyncClient, state: str) -> list[dict[str, Any]]:
    """The deliveries in this state, once there is one."""
    for _ in range(200):
        if rows := (await send(api, "GET", f"/sandbox/deliveries?state={state}"))["data"]:
            return list(rows)
        await asyncio.sleep(0.01)
    return []


async def test_a_delivered_webhook_is_sent_again(api: httpx.AsyncClient, sink: Sink) -> None:
    """The same bytes and the same id come a second time."""
    await send(api, "POST", "/v1/customers", {"source_id": "u-1"})
    await sink.wait(1)
    [row] = await deliveries(api, "DELIVERED")
    answer = await send(api, "POST", f"/sandbox/deliveries/{row['id']}/resend", expect=202)
    assert (answer["id"], answer["state"]) == (row["id"], "WAITING")
    first, second = await sink.wait(2)
    assert first == second
    [row] = await deliveries(api, "DELIVERED")
    assert row["attempts"] == 1


async def test_a_webhook_that_waits_for_its_retry_goes_at_once(api: httpx.AsyncClient, sink: Sink) -> None:
    """Nobody has to wait a minute for a receiver that is well again."""
    sink.status = 500
    await send(api, "POST", "/v1/customers", {"source_id": "u-1"})
    await sink.wait(1)
    sink.status = 202
    for _ in range(100):
        [row] = await deliveries(api, "WAITING")
        if row["attempts"]:
            break
        await asyncio.sleep(0.01)
    await send(api, "POST", f"/sandbox/deliveries/{row['id']}/resend", expect=202)
    await sink.wait(2)
    assert len(await deliveries(api, "DELIVERED")) == 1


async def test_a_webhook_that_is_off_is_switched_on_first(api: httpx.AsyncClient, sink: Sink) -> None:
    """Re-sending to it is refused with what to do; switched on, it goes out."""
    hooks = (await send(api, "GET", "/sandbox/webhooks"))["data"]
    [project] = [hook for hook in hooks if hook["object"] == "webhook"]
    at = f"/sandbox/webhooks/{project['id']}"
    await send(api, "POST", "/v1/customers", {"source_id": "u-1"})
    await sink.wait(1)
    [row] = await deliveries(api, "DELIVERED")
    [off] = (await send(api, "POST", f"{at}/disable"))["data"]
    assert off["active"] is False
    failure = await send(api, "POST", f"/sandbox/deliveries/{row['id']}/resend", expect=400)
    assert (failure["key"], f"POST {at}/enable" in failure["details"]) == ("webhook_disabled", True)
    await send(api, "POST", "/v1/customers", {"source_id": "u-2"})
    await send(api, "POST", f"{at}/enable")
    await send(api, "POST", f"/sandbox/deliveries/{row['id']}/resend", expect=202)
    assert {body["data"]["customer"]["source_id"] for body in await sink.wait(2)} == {"u-1"}


@pytest.mark.parametrize("path", ["deliveries/whs_none/resend", "webhooks/wh_none/enable", "webhooks/wh_none/disable"])
async def test_what_there_is_not_cannot_be_sent_or_switched(api: httpx.AsyncClient, path: str) -> None:
    """An id that nobody has is a 404 with its kind."""
    failure = await send(api, "POST", f"/sandbox/{path}", expect=404)
    assert failure["resource_type"] in {"delivery", "webhook"}
