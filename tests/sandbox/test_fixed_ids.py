"""Ids that are known before the thing is made."""

import httpx
import pytest

from tests.sandbox.programme import coupons, send


async def test_a_campaign_gets_the_id_that_was_kept_for_its_name(api: httpx.AsyncClient) -> None:
    """The id is that of the campaign of this name alone; reset forgets it."""
    kept = {"object": "campaign", "name": "10 off", "id": "camp_known"}
    assert await send(api, "POST", "/sandbox/ids", kept) == kept
    assert (await coupons(api, "Another"))["id"] != "camp_known"
    assert (await coupons(api))["id"] == "camp_known"
    await send(api, "POST", "/sandbox/reset")
    assert (await coupons(api))["id"] != "camp_known"


async def test_an_id_that_is_taken_is_refused(api: httpx.AsyncClient) -> None:
    """An id can't be kept for a second name once a campaign has it; for its own name it can be said again."""
    kept = {"object": "campaign", "name": "10 off", "id": "camp_known"}
    await send(api, "POST", "/sandbox/ids", kept)
    await coupons(api)
    await send(api, "POST", "/sandbox/ids", kept)
    refused = await send(api, "POST", "/sandbox/ids", {**kept, "name": "Other"}, expect=409)
    assert refused["details"] == "The id camp_known is that of 10 off"


@pytest.mark.parametrize(
    ("body", "details"),
    [
        ({"name": "A", "id": "camp_a"}, "Payload should have required property 'object'"),
        ({"object": "voucher", "name": "A", "id": "v_a"}, "Property .object must be equal to one of"),
        ({"object": "campaign", "name": "A", "id": "promo_a"}, "Property .id must begin with camp_"),
    ],
)
async def test_what_makes_no_sense_is_refused(api: httpx.AsyncClient, body: dict[str, str], details: str) -> None:
    """An unknown kind, and an id of another kind, are refused with what is wrong."""
    assert details in (await send(api, "POST", "/sandbox/ids", body, expect=400))["details"]


async def test_schemas_of_events_can_be_read(api: httpx.AsyncClient) -> None:
    """`GET /sandbox/metadata-schemas` shows what `/v1/metadata-schemas` leaves out: those of custom events."""
    body = {"related_object": "custom_event", "name": "Signup", "properties": {"city": "string"}}
    await send(api, "POST", "/sandbox/metadata-schemas", body)
    await send(api, "POST", "/sandbox/metadata-schemas", {"related_object": "customer", "properties": {}})
    shown = (await send(api, "GET", "/sandbox/metadata-schemas"))["schemas"]
    assert [(each["related_object"], each.get("name")) for each in shown] == [
        ("custom_event", "Signup"), ("customer", None),
    ]  # fmt: skip
    assert len((await send(api, "GET", "/v1/metadata-schemas"))["schemas"]) == 1
