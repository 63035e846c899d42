"""The Webhooks destination: a mapping that Segment has works here, and what leaves can be checked and told apart."""

import json
import re
from typing import Any

import pytest

from app.destinations.addresses import AllowedHosts
from app.destinations.base import Request, SettingsError
from app.destinations.catalogue import CATALOGUE
from app.destinations.fields import PayloadError
from app.destinations.web import WebTransport, encoded
from app.destinations.webhook import WEBHOOK
from app.destinations.webhook.request import signature
from app.pipeline.bridge import request_for
from app.pipeline.mapping import compile_mapping
from app.pipeline.subscriptions import compile_trigger
from tests.destinations.receiver import receiving

EVENT: dict[str, Any] = {
    "type": "track",
    "messageId": "m-1",
    "userId": "u-1",
    "event": "Coupon Published",
    "properties": {"code": "BIG-1", "cool": True},
}
URL = "https://hooks.example.com/coupons"
SEND = WEBHOOK.actions["send"]
DEFAULTS = SEND.default_mapping
FROM_SEGMENT = {
    "url": URL,
    "method": "PUT",
    "headers": {"Custom-Header": "Custom-Value", "X-Code": {"@path": "$.properties.code"}},
    "data": {"@path": "$.properties"},
    "batch_size": 0,
    "batch_keys": ["url", "method", "headers"],
    "enable_batching": False,
}
"""A mapping as Segment keeps one, with the fields for batches, which are sent one by one here."""


def request(mapping: dict[str, Any], event: dict[str, Any] = EVENT, **settings: Any) -> Request:
    return request_for(SEND, compile_mapping(mapping), event, WEBHOOK.validate_settings(settings))


def test_it_is_in_the_catalogue() -> None:
    """By its slug; its name is the one that people write into `integrations`."""
    assert (CATALOGUE["webhook"], WEBHOOK.name, WEBHOOK.transport) == (WEBHOOK, "Webhooks (Actions)", "web")


def test_the_default_mapping_sends_the_whole_event() -> None:
    """With a URL alone, the event goes out as it is, once more or not: its id is the key."""
    sent = request({**DEFAULTS, "url": URL})
    assert (sent.method, sent.url, sent.body) == ("POST", URL, EVENT)
    assert sent.headers == {"content-type": "application/json", "idempotency-key": "m-1"}


def test_a_mapping_from_segment_works() -> None:
    """Its url, method, headers and data are taken; what it says about batches is left aside."""
    sent = request(FROM_SEGMENT)
    assert (sent.method, sent.url, sent.body) == ("PUT", URL, {"code": "BIG-1", "cool": True})
    assert sent.headers == {
        "content-type": "application/json",
        "custom-header": "Custom-Value",
        "x-code": "BIG-1",
    }


@pytest.mark.parametrize(
    ("secret", "body", "expected"),
    [
        # Case 2 of RFC 2202.
        ("Jefe", b"what do ya want for nothing?", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
        # printf '{"cool":true}' | openssl dgst -sha1 -hmac abc123
        ("abc123", b'{"cool":true}', "5099cab379b3be52908387457007040cc934ef86"),
    ],
    ids=["rfc 2202", "openssl"],
)
def test_the_signature_is_hmac_sha1(secret: str, body: bytes, expected: str) -> None:
    """In hex, as others compute it."""
    assert signature(secret, body) == expected


def test_what_is_signed_is_what_leaves() -> None:
    """The body is `JSON.stringify`'s, so that a receiver may sign the bytes, or what it parsed and wrote anew."""
    data = {"name": "Zoë ☕", "total": 12.5, "points": 10.0, "big": 1e21, "none": None, "list": [1, "a", {"b": []}]}
    event = {**EVENT, "properties": data}
    sent = request({"url": URL, "method": "POST", "data": {"@path": "$.properties"}}, event, sharedSecret="sécret")
    # printf '…' | openssl dgst -sha1 -hmac 'sécret'
    assert sent.headers["x-signature"] == "bebb59efe79f28ff51475730300507ca69328182"
    assert encoded(sent.body) == (
        '{"name":"Zoë ☕","total":12.5,"points":10,"big":1e+21,"none":null,"list":[1,"a",{"b":[]}]}'.encode()
    )


async def test_a_receiver_can_check_it() -> None:
    """On a real socket: the header holds for the bytes of the body."""
    web = WebTransport(AllowedHosts.read("127.0.0.1"))
    async with receiving() as receiver:
        sent = request({**DEFAULTS, "url": receiver.url()}, sharedSecret="abc123")
        await web.send(sent.method, sent.url, sent.body, sent.headers)
        await web.close()
    (got,) = receiver.got
    assert got.headers["x-signature"] == signature("abc123", got.body)
    assert (json.loads(got.body), got.headers["idempotency-key"]) == (EVENT, "m-1")


@pytest.mark.parametrize("mapping", [{"url": URL, "method": "POST"}, {**DEFAULTS, "url": URL}], ids=["data", "secret"])
def test_without_secret_or_data_there_is_no_signature(mapping: dict[str, Any]) -> None:
    """As on Segment: nothing to sign, or nothing to sign with."""
    settings: dict[str, Any] = {} if "data" in mapping else {"sharedSecret": "abc123"}
    assert "x-signature" not in request(mapping, **settings).headers


def test_a_mapping_cannot_sign() -> None:
    """The signature is the destination's: a header of that name from an event does not take its place."""
    forged = {**DEFAULTS, "url": URL, "headers": {"X-Signature": "forged"}}
    assert "x-signature" not in request(forged).headers
    assert request(forged, sharedSecret="abc123").headers["x-signature"] != "forged"


def test_a_mapping_says_its_own_content_type_and_key() -> None:
    """Headers of the mapping come before ours, whatever their case."""
    sent = request(
        {**DEFAULTS, "url": URL, "headers": {"Content-Type": "application/cloudevents+json", "Idempotency-Key": "k"}}
    )
    assert sent.headers == {"content-type": "application/cloudevents+json", "idempotency-key": "k"}


@pytest.mark.parametrize(
    ("mapping", "key"),
    [
        ({"data": {"@path": "$."}}, "m-1"),
        ({"data": {"@path": "$."}, "idempotency_key": {"@template": "{{messageId}}-coupon"}}, "m-1-coupon"),
        ({"data": {"@path": "$.properties"}, "idempotency_key": {"@path": "$.messageId"}}, "m-1"),
        ({"data": {"@path": "$.properties"}}, None),
        ({"data": {"messageId": 5}}, None),
        ({}, None),
    ],
)
def test_the_key_of_a_delivery(mapping: dict[str, Any], key: str | None) -> None:
    """The mapping's, else the id of the event where the data has it: the same at every try."""
    sent = request({"url": URL, "method": "POST", **mapping}, sharedSecret="abc123")
    assert sent.headers.get("idempotency-key") == key
    assert request({"url": URL, "method": "POST", **mapping}, sharedSecret="abc123") == sent


def test_it_is_sent_again_after_silence() -> None:
    """At least once, under one key: nothing is held for a person because an answer was lost."""
    assert SEND.repeat.safe


@pytest.mark.parametrize(
    ("headers", "kept"),
    [
        ({"A": 5, "B": 1.0, "C": True, "D": None, "E": ""}, {"a": "5", "b": "1", "c": "true", "e": ""}),
        ({}, {}),
    ],
)
def test_values_of_headers(headers: dict[str, Any], kept: dict[str, str]) -> None:
    """Numbers and booleans become text as JavaScript writes them; null is no header."""
    sent = request({"url": URL, "method": "POST", "headers": {"@literal": headers}})
    assert sent.headers == {"content-type": "application/json", **kept}


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Name": "Zoë"},
        {"X-Name": "a\r\nX-Other: b"},
        {"X-Name": {"a": 1}},
        {"X-Name": ["a"]},
        {"X Name": "a"},
        {"X-Näme": "a"},
        {"": "a"},
        {"Host": "other.example.com"},
        {"Content-Length": "1"},
        {"Transfer-Encoding": "chunked"},
    ],
    ids=repr,
)
def test_headers_that_cannot_be_sent(headers: dict[str, Any]) -> None:
    """Not ASCII, a second line, an object, or the connection's own: refused with the name of the header."""
    with pytest.raises(PayloadError, match=re.escape(repr(next(iter(headers))))):
        request({"url": URL, "method": "POST", "headers": {"@literal": headers}})


@pytest.mark.parametrize(
    ("mapping", "sentence"),
    [
        ({"method": "POST"}, "The root value is missing the required field 'url'."),
        ({"url": "", "method": "POST"}, "The root value is missing the required field 'url'."),
        ({"url": URL}, "The root value is missing the required field 'method'."),
        ({"url": URL, "method": "GET"}, "Method must be one of POST, PUT, PATCH."),
        ({"url": URL, "method": "DELETE"}, "Method must be one of POST, PUT, PATCH."),
        ({"url": "hooks.example.com", "method": "POST"}, "The URL must be one of http or https"),
        ({"url": "ftp://hooks.example.com", "method": "POST"}, "The URL must be one of http or https"),
        ({"url": "https://a:b@hooks.example.com", "method": "POST"}, "The URL must be one of http or https"),
        ({"url": URL, "method": "POST", "data": "text"}, "Data must be an object but it was a string."),
    ],
)
def test_payloads_that_are_refused(mapping: dict[str, Any], sentence: str) -> None:
    """Before anything is sent, with a sentence that names the field."""
    with pytest.raises(PayloadError, match=re.escape(sentence)):
        request(mapping)


def test_the_url_of_the_settings_is_for_mappings_without_one() -> None:
    """One receiver is set up once; a mapping may still name another."""
    elsewhere = "https://other.example.com/"
    assert request({**DEFAULTS, "url": URL}, url=elsewhere).url == URL
    assert request(DEFAULTS, url=elsewhere).url == elsewhere


def test_the_connection_is_tested_without_a_trace() -> None:
    """A HEAD to the URL of the settings; without one there is nobody to ask, and one that is none is told."""
    assert WEBHOOK.test_connection({"url": URL, "sharedSecret": "abc123"}) == (Request("HEAD", URL, {}),)
    assert WEBHOOK.test_connection({"sharedSecret": "abc123"}) == ()
    with pytest.raises(SettingsError, match="http or https"):
        WEBHOOK.test_connection({"url": "hooks"})


def test_the_secret_is_a_secret() -> None:
    """It is a password field, so screens and answers mask it; nothing else here is one."""
    assert [field.name for field in WEBHOOK.settings if field.kind == "password"] == ["sharedSecret"]


def test_the_trigger_that_a_new_mapping_starts_with_can_be_read() -> None:
    """An action's default trigger compiles."""
    assert compile_trigger(SEND.default_trigger)(EVENT)
