"""The door for Segment."""

import base64
from collections.abc import Mapping

import httpx
import pytest

from tests.sandbox.programme import balance, join, loyalty, rule, send

KEYS = {
    "authorization": "Basic " + base64.b64encode(b"integration-id").decode(),
    "secret-key": base64.b64encode(b"integration-secret").decode(),
}


async def door(api: httpx.AsyncClient, path: str, body: Mapping[str, object], expect: int = 200) -> dict[str, object]:
    answer = await api.post(f"/segmentio/{path}", json=body, headers=KEYS)
    assert answer.status_code == expect, answer.text
    shown: dict[str, object] = answer.json()
    return shown


async def test_the_integration_key_opens_it(api: httpx.AsyncClient) -> None:
    """Segment's test of the credentials is a 200 with the right ones and a 401 with any other."""
    assert (await api.get("/segmentio/test-authentication", headers=KEYS)).status_code == 200
    for wrong in ({"secret-key": "!"}, {"authorization": "Basic ///"}, {"authorization": "Bearer x"}):
        answer = await api.get("/segmentio/test-authentication", headers={**KEYS, **wrong})
        assert answer.status_code == 401


async def test_identify_upserts_and_keeps_defined_metadata_only(api: httpx.AsyncClient) -> None:
    """Names are joined, `street` is `line_1`; keys that the schema does not define, or of another type, are dropped."""
    schema = {
        "related_object": "customer",
        "properties": {"tier": "string", "visits": {"type": "number"}, "on": "date"},
    }
    await send(api, "POST", "/sandbox/metadata-schemas", schema)
    await door(
        api,
        "customer-processing",
        {
            "source_id": "u-1",
            "first_name": "Ann",
            "last_name": "Lee",
            "email": "a@x.io",
            "address": {"street": "Main 1", "city": "Łódź"},
            "metadata": {"tier": "gold", "visits": "many", "on": "2026-01-02", "secret": 1},
            "type": "identify",
        },
    )
    customer = await send(api, "GET", "/v1/customers/u-1")
    assert (customer["name"], customer["email"]) == ("Ann Lee", "a@x.io")
    assert (customer["address"]["line_1"], customer["address"]["city"]) == ("Main 1", "Łódź")
    assert customer["metadata"] == {"tier": "gold", "on": "2026-01-02"}


async def test_without_a_schema_all_metadata_is_dropped(api: httpx.AsyncClient) -> None:
    """Nothing defined, nothing kept: the surprise that a real project has in store as well."""
    await door(api, "customer-processing", {"source_id": "u-1", "metadata": {"tier": "gold"}, "type": "identify"})
    assert (await send(api, "GET", "/v1/customers/u-1"))["metadata"] == {}


async def test_track_earns_and_leaves_the_customer_alone(api: httpx.AsyncClient) -> None:
    """A track call fires the rules of its event; the customer's e-mail is not changed by it."""
    await loyalty(api)
    await rule(api, "Order Completed", {"type": "FIXED", "points": 5})
    card = await join(api)
    schema = {"related_object": "custom_event", "name": "Order Completed", "properties": {"total": "number"}}
    await send(api, "POST", "/sandbox/metadata-schemas", schema)
    answer = await door(
        api,
        "event-processing",
        {
            "customer": {"source_id": "u-1", "email": "new@x.io"},
            "event": "Order Completed",
            "metadata": {"total": 5, "colour": "red"},
            "type": "track",
        },
    )
    assert answer["metadata"] == {"total": 5}
    assert await balance(api, card) == 5
    assert (await send(api, "GET", "/v1/customers/u-1"))["email"] is None


async def test_track_makes_a_customer_that_is_not_there(api: httpx.AsyncClient) -> None:
    """The first thing heard of somebody may be a track call."""
    await door(api, "event-processing", {"customer": {"source_id": "u-1", "email": "a@x.io"}, "event": "Seen"})
    assert (await send(api, "GET", "/v1/customers/u-1"))["email"] == "a@x.io"


async def test_group_writes_its_traits_to_the_customer(api: httpx.AsyncClient) -> None:
    """Traits that the schema defines become metadata of the customer."""
    schema = {"related_object": "customer", "properties": {"plan": "string", "group_id": "string"}}
    await send(api, "POST", "/sandbox/metadata-schemas", schema)
    body = {"customer": {"source_id": "u-1"}, "group_id": "g-1", "traits": {"plan": "pro", "x": 1}, "type": "group"}
    await door(api, "group-processing", body)
    assert (await send(api, "GET", "/v1/customers/u-1"))["metadata"] == {"plan": "pro", "group_id": "g-1"}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("customer-processing", {}),
        ("customer-processing", {"source_id": 5}),
        ("event-processing", {"event": "x"}),
        ("event-processing", {"customer": {"source_id": "u"}}),
        ("group-processing", {"customer": {"source_id": "u"}}),
    ],
)
async def test_a_call_without_what_it_needs_is_refused(
    api: httpx.AsyncClient, path: str, body: dict[str, object]
) -> None:
    """The fields that Segment's destination must send are checked."""
    assert (await door(api, path, body, expect=400))["key"] == "invalid_payload"


async def test_what_came_through_is_logged(api: httpx.AsyncClient) -> None:
    """The raw calls can be read back: path, status, what was sent and answered."""
    await door(api, "customer-processing", {"source_id": "u-1", "metadata": {"dropped": 1}})
    [row] = (await send(api, "GET", "/sandbox/requests?path=/segmentio/customer"))["data"]
    assert (row["method"], row["status"]) == ("POST", 200)
    assert row["request"] == {"source_id": "u-1", "metadata": {"dropped": 1}}
    assert row["answer"]["object"] == "customer"
