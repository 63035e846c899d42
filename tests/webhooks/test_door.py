"""Where webhooks come in: only what Voucherify signed, stored once, then answered."""

import json
from pathlib import Path
from uuid import uuid4

import pytest

from app.voucherify.signature import sign
from app.webhooks.parse import parse
from tests.conftest import MakeDatabase
from tests.web import Web, open_web
from tests.webhooks.notices import coupon, movement, notice, post


async def stored(web: Web, event_id: str) -> int:
    async with web.database.connection() as connection:
        found: int = await connection.fetchval("SELECT count(*) FROM webhook WHERE event_id = $1", event_id)
    return found


@pytest.mark.parametrize("signature", ["", "0" * 64, "nonsense", "\u00e9"])
async def test_what_is_not_signed_is_refused_and_not_stored(web: Web, signature: str) -> None:
    """401 as a problem with a sentence that says which setting to check, and no row."""
    body = movement(uuid4(), 1, 1, 0)
    raw = json.dumps(body).encode()
    async with web.client() as client:
        headers = [(b"x-voucherify-signature", signature.encode("latin-1"))]
        answer = await client.post("/webhooks/voucherify", content=raw, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")
    assert "VOUCHERIFY_WEBHOOK_SECRET" in answer.json()["detail"]
    assert await stored(web, body["event"]["id"]) == 0


async def test_a_body_that_was_laid_out_anew_passes_with_the_compact_signature(web: Web) -> None:
    """A proxy that adds whitespace does not break the signature, which is that of the compact form."""
    body = movement(uuid4(), 1, 1, 0)
    compact = json.dumps(body, separators=(",", ":")).encode()
    assert web.settings.webhook_secret is not None
    signature = sign(web.settings.webhook_secret.get_secret_value(), compact)
    answer = await post(web, json.dumps(body, indent=2).encode(), signature)
    assert (answer.status_code, answer.json()) == (202, {"stored": True})
    assert await stored(web, body["event"]["id"]) == 1


async def test_a_repetition_is_answered_well_and_stored_once(web: Web) -> None:
    """Delivered again, also under another envelope `id`, it is 202 and one row; another source is another row."""
    body = movement(uuid4(), 1, 1, 0)
    answers = [await post(web, body), await post(web, {**body, "id": "whs_other"})]
    assert [(answer.status_code, answer.json()["stored"]) for answer in answers] == [(202, True), (202, False)]
    assert await stored(web, body["event"]["id"]) == 1
    await post(web, {**body, "source": {"id": "distr_1"}})
    assert await stored(web, body["event"]["id"]) == 2


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"{", "not valid JSON"),
        (b'"\xff"', "not valid JSON"),
        (b"[]", "v2024-01-01"),
        (b'{"type": "x", "data": {}}', "v2024-01-01"),
        (b'{"source": {"id": "s"}, "event": {"id": 5}, "data": {}}', "v2024-01-01"),
        (b'{"code": "a raw payload of a distribution"}', "v2024-01-01"),
    ],
)
async def test_a_signed_body_that_is_no_envelope_is_told_so(web: Web, raw: bytes, says: str) -> None:
    """400 with a sentence that says what to set in Voucherify."""
    answer = await post(web, raw)
    assert (answer.status_code, says in answer.json()["detail"]) == (400, True)


async def test_what_postgres_cannot_hold_does_not_cost_a_webhook(web: Web) -> None:
    """U+0000, half an emoji and a number beyond a double are left out or replaced; the rest is stored."""
    body = notice("customer.order.paid", {"note": "NOTE"})
    raw = json.dumps(body).replace('"NOTE"', r'["a\u0000b", "cut \ud83d", 1e400]').encode()
    assert (await post(web, raw)).status_code == 202
    async with web.database.connection() as connection:
        kept = await connection.fetchval("SELECT body FROM webhook WHERE event_id = $1", body["event"]["id"])
    assert kept["data"] == {"note": ["ab", "cut \ufffd", None]}


async def test_without_a_secret_there_is_no_such_door(make_database: MakeDatabase, tmp_path: Path) -> None:
    """With a real Voucherify and no webhook secret nothing can be verified, so nothing is taken in: 404."""
    real = {
        "VOUCHERIFY_API_URL": "http://127.0.0.1:9",
        "VOUCHERIFY_APPLICATION_ID": "a",
        "VOUCHERIFY_SECRET_KEY": "b",
        "VOUCHERIFY_TRANSPORT": "v1",
    }
    async with open_web(tmp_path, await make_database("no_secret"), **real) as web, web.client() as client:
        answer = await client.post("/webhooks/voucherify", json={}, headers={"x-voucherify-signature": sign("", b"{}")})
    assert web.settings.webhook_secret is None
    assert answer.status_code == 404


def test_member_and_order_are_found_where_each_webhook_has_them() -> None:
    """The member is customer or holder, the order stands in itself, in a transaction, or in a publication's reason."""
    member, order = uuid4(), uuid4()
    found = parse(coupon(member, "TEN-1", order))
    assert found is not None
    assert (found.member_id, found.order_id) == (member, str(order))
    moved = movement(member, 1, 1, 0)
    moved["data"]["transaction"]["details"]["order"] = {"source_id": "o-1"}
    found = parse(moved)
    assert found is not None
    assert (found.member_id, found.order_id) == (member, "o-1")
    # A distribution's own `type` is free text.
    odd = parse({**notice("customer.order.paid", {"order": {"source_id": "o-2"}}), "type": "My text"})
    assert odd is not None
    assert (odd.type, odd.order_id, odd.member_id) == ("customer.order.paid", "o-2", None)
