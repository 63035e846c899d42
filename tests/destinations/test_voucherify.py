"""The Voucherify destination: which request an event becomes, on both transports."""

import json
from pathlib import Path
from typing import Any

import pytest

from app.destinations.base import Request, SettingsError
from app.destinations.fields import PayloadError
from app.destinations.voucherify import VOUCHERIFY
from app.destinations.voucherify.presets import OFFICIAL_PRESETS, PRESETS
from app.destinations.voucherify.transport import test_connection as connection_test
from app.pipeline.bridge import request_for
from app.pipeline.mapping import MappingError, compile_mapping
from app.pipeline.subscriptions import compile_trigger

VECTORS = Path(__file__).parents[2].parent / "shared" / "conformance" / "vectors"
SETTINGS = {"apiKey": "app-id", "secretKey": "key", "customURL": "https://us1.segmentio.voucherify.io"}
V1 = {"apiKey": "app-id", "secretKey": "key", "customURL": "https://api.voucherify.io/", "transport": "v1"}

IDENTIFY = {
    "type": "identify",
    "userId": "u1",
    "traits": {
        "first_name": "Ann",
        "last_name": "Nowak",
        "email": "ann@example.com",
        "address": {"city": "Lublin", "street": "Rynek 1"},
        "metadata": {"tier": "gold"},
    },
}
TRACK = {
    "type": "track",
    "userId": "u1",
    "event": "Coffee Drunk",
    "context": {"traits": {"email": "ann@example.com"}},
    "properties": {"loyalty": {"code": "L-1"}, "metadata": {"cups": 2}, "price": 3},
}
GROUP = {"type": "group", "userId": "u1", "groupId": "g1", "traits": {"name": "Baristas"}}


def request(event: dict[str, Any], settings: dict[str, Any]) -> Request:
    """The one request that the official presets make of an event."""
    (preset,) = [preset for preset in OFFICIAL_PRESETS if compile_trigger(preset.trigger)(event)]
    maps = compile_mapping(dict(preset.mapping))
    return request_for(VOUCHERIFY.actions[preset.action], maps, event, VOUCHERIFY.validate_settings(settings))


@pytest.mark.parametrize(
    ("event", "path", "body"),
    [
        (
            IDENTIFY,
            "customer-processing",
            {
                "source_id": "u1",
                "first_name": "Ann",
                "last_name": "Nowak",
                "email": "ann@example.com",
                "address": {"city": "Lublin", "street": "Rynek 1"},
                "metadata": {"tier": "gold"},
                "type": "identify",
            },
        ),
        (
            TRACK,
            "event-processing",
            {
                "customer": {"source_id": "u1", "email": "ann@example.com"},
                "referral": {},
                "loyalty": {"code": "L-1"},
                "metadata": {"cups": 2},
                "event": "Coffee Drunk",
                "type": "track",
            },
        ),
        (
            GROUP,
            "group-processing",
            {"customer": {"source_id": "u1"}, "group_id": "g1", "traits": {"name": "Baristas"}, "type": "group"},
        ),
    ],
)
def test_segmentio(event: dict[str, Any], path: str, body: dict[str, Any]) -> None:
    """Through the gateway each event becomes the request that Segment sends, headers and order of keys included."""
    sent = request(event, SETTINGS)

    assert (sent.method, sent.url) == ("POST", f"https://us1.segmentio.voucherify.io/segmentio/{path}")
    assert sent.headers == {
        "authorization": "Basic YXBwLWlk",
        "secret-key": "a2V5",
        "user-agent": "Segment (Actions)",
        "content-type": "application/json",
    }
    assert json.dumps(sent.body) == json.dumps(body)


@pytest.mark.parametrize(
    ("event", "path", "body"),
    [
        (
            IDENTIFY,
            "customers",
            {
                "source_id": "u1",
                "name": "Ann Nowak",
                "email": "ann@example.com",
                "address": {"city": "Lublin", "line_1": "Rynek 1"},
                "metadata": {"tier": "gold"},
            },
        ),
        (
            TRACK,
            "events",
            {
                "event": "Coffee Drunk",
                "customer": {"source_id": "u1"},
                "loyalty": {"code": "L-1"},
                "metadata": {"cups": 2},
            },
        ),
        (GROUP, "customers", {"source_id": "u1", "metadata": {"group_id": "g1", "group_name": "Baristas"}}),
    ],
)
def test_v1(event: dict[str, Any], path: str, body: dict[str, Any]) -> None:
    """With the other transport the same events become calls of the public API, in its words."""
    sent = request(event, V1)

    assert (sent.method, sent.url) == ("POST", f"https://api.voucherify.io/v1/{path}")
    assert sent.headers == {"x-app-id": "app-id", "x-app-token": "key", "content-type": "application/json"}
    assert sent.body == body


def test_v1_wants_a_name_for_the_event() -> None:
    """An event without a name goes through the gateway as on Segment, but the public API would refuse it: so do we."""
    nameless = {key: value for key, value in TRACK.items() if key != "event"}

    assert "event" not in request(nameless, SETTINGS).body
    with pytest.raises(PayloadError, match="missing the required field 'event'"):
        request(nameless, V1)


@pytest.mark.parametrize("event", [{"type": "identify", "anonymousId": "a"}, {"type": "track", "event": "x"}])
def test_anonymous_people_are_not_sent(event: dict[str, Any]) -> None:
    """Without a userId there is no customer to send, and the error says which field is missing."""
    with pytest.raises(PayloadError, match="'source_id'"):
        request(event, SETTINGS)


@pytest.mark.parametrize("context", [None, {"personas": None}])
def test_null_context(context: Any) -> None:
    """A context of null fails where it fails on Segment: after validation, before the request."""
    with pytest.raises(MappingError, match="context"):
        request(IDENTIFY | {"context": context}, SETTINGS)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"secretKey": ""}, "The request is missing Application ID or Secret Key."),
        ({"customURL": ""}, "URL not provided."),
        ({"customURL": "http://localhost:8100"}, "The Custom URL: http://localhost:8100 is invalid."),
        ({"customURL": "https://api.voucherify.io\n"}, "is invalid"),
        ({"customURL": "ftp://api.voucherify.io"}, "is invalid"),
        ({"transport": "pigeon"}, "segmentio or v1, not 'pigeon'"),
    ],
)
def test_settings_that_cannot_be_used(change: dict[str, str], sentence: str) -> None:
    """Missing keys and malformed addresses are refused with Segment's sentences before anything is sent."""
    with pytest.raises(SettingsError, match=sentence):
        request(IDENTIFY, SETTINGS | change)


def test_connection_tests_send_nothing() -> None:
    """The test of the settings is a GET without a body to each door that the actions use."""
    gateway = "https://us1.segmentio.voucherify.io/segmentio/test-authentication"
    api = "https://api.voucherify.io/v1/customers?limit=1"
    assert [request.url for request in connection_test(SETTINGS)] == [gateway]
    assert [request.url for request in connection_test({**SETTINGS, "api": V1})] == [gateway, api]
    assert [request.url for request in connection_test(V1)] == [api]
    asked = connection_test({**SETTINGS, "api": V1})
    assert all((request.method, request.body) == ("GET", None) for request in asked)


@pytest.mark.parametrize(
    ("event", "action"),
    [("Order Completed", "orderPaid"), ("Order Refunded", "orderRefunded"), ("Else", "addCustomEvent")],
)
def test_an_order_is_taken_once(event: str, action: str) -> None:
    """Of our presets exactly one takes an event of an order, and it is not the custom event."""
    order = {"type": "track", "event": event, "userId": "u1"}
    taking = [preset.action for preset in PRESETS if compile_trigger(preset.trigger)(order)]

    assert taking == [action]


@pytest.mark.parametrize("event", ["Order Completed", "Order Refunded"])
def test_orders_of_nobody_are_left_out(event: str) -> None:
    """Without a userId there is no customer: neither the order nor its refund goes to Voucherify."""
    order = {"type": "track", "event": event, "anonymousId": "a1"}

    assert not [preset for preset in PRESETS if compile_trigger(preset.trigger)(order)]


@pytest.mark.skipif(not VECTORS.exists(), reason="../shared/conformance, Segment's recorded presets, is not here")
def test_the_official_presets() -> None:
    """Names, triggers, actions and mappings of the five official presets are Segment's."""
    recorded = json.loads((VECTORS / "voucherify.presets.json").read_text("utf-8"))

    assert [
        {"name": preset.name, "subscribe": preset.trigger, "partnerAction": preset.action, "mapping": preset.mapping}
        for preset in OFFICIAL_PRESETS
    ] == [{key: value for key, value in preset.items() if key != "type"} for preset in recorded]


@pytest.mark.skipif(not VECTORS.exists(), reason="../shared/conformance, Segment's recorded schemas, is not here")
@pytest.mark.parametrize("action", ["upsertCustomer", "addCustomEvent", "assignCustomerToGroup"])
def test_the_official_fields(action: str) -> None:
    """Names, labels, types and what is required of the three official actions' fields are Segment's, in its order."""
    schema = json.loads((VECTORS / "voucherify.schemas.json").read_text("utf-8"))[action]

    def described(fields: Any) -> list[Any]:
        return [
            (
                field.name,
                field.label,
                [field.kind, "null"] if field.allow_null else field.kind,
                described(field.properties),
            )
            for field in fields
        ]

    def recorded(properties: dict[str, Any]) -> list[Any]:
        return [
            (name, field["title"], field["type"], recorded(field.get("properties", {})))
            for name, field in properties.items()
        ]

    fields = VOUCHERIFY.actions[action].fields
    assert described(fields) == recorded(schema["properties"])
    assert [field.name for field in fields if field.required] == schema["required"]
