"""The entry for Segment's Webhooks destination: signed, stored once, with the times that Segment gave."""

import asyncio
import hashlib
import hmac
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest
import pytest_asyncio

from app.segment.backlog import Backlog
from app.segment.bridge_door import sign
from tests.conftest import MakeDatabase
from tests.segment.test_door import rejects, stored
from tests.web import Web, open_web

SECRET = "a secret shared with Segment"


@pytest_asyncio.fixture(scope="module")
async def bridge(make_database: MakeDatabase, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Web]:
    folder, url = tmp_path_factory.mktemp("bridge"), await make_database("bridge")
    async with open_web(folder, url, SEGMENT_WEBHOOK_SECRET=SECRET) as opened:
        yield opened


def event(**more: Any) -> dict[str, Any]:
    """As Segment posts it: received, corrected and completed there."""
    return {
        "type": "track",
        "event": "Order Completed",
        "messageId": str(uuid4()),
        "userId": "u-1",
        "properties": {"order_id": "o-1"},
        "channel": "server",
        "context": {"library": {"name": "analytics-python", "version": "2.4.0"}},
        "integrations": {},
        "originalTimestamp": "2026-11-22T11:00:00.000Z",
        "sentAt": "2026-11-22T11:00:05.000Z",
        "receivedAt": "2026-11-22T12:00:05.250Z",
        "timestamp": "2026-11-22T12:00:00.250Z",
        "version": 2,
        **more,
    }


def signature(body: bytes, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha1).hexdigest()


async def deliver(web: Web, what: Any, **headers: str) -> httpx.Response:
    """Post something with the signature that Segment would give it."""
    body = what if isinstance(what, bytes) else json.dumps(what, ensure_ascii=False).encode()
    given = {"content-type": "application/json", "x-signature": signature(body)}
    async with web.client() as client:
        return await client.post("/bridge/segment", content=body, headers={**given, **headers})


async def test_an_event_is_stored_as_segment_made_it(bridge: Web) -> None:
    """Ids and all four times stay as they came, though the formula would move the time by an hour once more."""
    sent = event(properties={"order_id": "o-1", "name": "Łódź"}, writeKey="theirs")
    answer = await deliver(bridge, sent)
    assert (answer.status_code, answer.json()) == (200, {"success": True})
    (kept,) = await stored(bridge, sent)
    del sent["writeKey"]
    assert kept == {**sent, "source": "segment"}


async def test_the_descriptions_example_is_taken_in(bridge: Web) -> None:
    """What `/schema` shows as the body of this call is stored."""
    operation = bridge.app.openapi_schema.to_schema()["paths"]["/bridge/segment"]["post"]
    sent = operation["requestBody"]["content"]["application/json"]["example"]
    assert (await deliver(bridge, sent)).status_code == 200
    assert [kept["event"] for kept in await stored(bridge, sent)] == ["Coffee Drunk"]


async def test_a_repetition_is_stored_once(bridge: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """Segment's own repetition, and the same event at our own door, are the event that is there already."""
    sent = event()
    async with bridge.database.connection() as connection:
        key = await connection.fetchval("SELECT key FROM write_key WHERE source = 'till'")
    async with bridge.client() as client:
        await client.post("/v1/batch", json={"batch": [sent], "writeKey": key})
    assert [(await deliver(bridge, sent)).status_code for _ in range(2)] == [200, 200]
    assert [kept["source"] for kept in await stored(bridge, sent)] == ["till"]


async def test_a_list_of_events_is_taken_too(bridge: Web) -> None:
    """Several events under one signature are stored in their order."""
    sent = [event(), event(type="identify", traits={"email": "mia@example.com"})]
    assert (await deliver(bridge, sent)).status_code == 200
    assert [kept["type"] for kept in await stored(bridge, *sent)] == ["track", "identify"]


async def test_what_we_emitted_ourselves_comes_back_marked(bridge: Web) -> None:
    """What Voucherify told us keeps its word not to go to Voucherify again."""
    sent = event(integrations={"Voucherify (Actions)": False})
    await deliver(bridge, sent)
    (kept,) = await stored(bridge, sent)
    assert kept["integrations"] == {"Voucherify (Actions)": False}


@pytest.mark.parametrize("given", ["", "0" * 40, signature(b"another body"), "é"])
async def test_what_is_not_signed_is_refused(bridge: Web, given: str) -> None:
    """Without the signature of this body nothing is looked at, and the answer says what to check."""
    sent = event(mark=str(uuid4()))
    body = json.dumps(sent).encode()
    async with bridge.client() as client:
        answer = await client.post("/bridge/segment", content=body, headers=[(b"x-signature", given.encode("latin-1"))])
    assert answer.status_code == 401
    assert "SEGMENT_WEBHOOK_SECRET" in answer.json()["detail"]
    assert (await stored(bridge, sent), await rejects(bridge, sent["mark"])) == ([], [])


async def test_a_signature_of_another_secret_is_refused(bridge: Web) -> None:
    """The right body under the wrong secret is not signed."""
    body = json.dumps(event()).encode()
    assert (await deliver(bridge, body, **{"x-signature": signature(body, "guessed")})).status_code == 401


async def test_without_a_secret_there_is_no_entry(web: Web) -> None:
    """A deployment that does not use real Segment has no such route."""
    assert (await deliver(web, event())).status_code == 404


@pytest.mark.parametrize(
    ("what", "code"),
    [
        ({"type": "delete", "userId": "u-1"}, "bad_request"),
        ({"type": "track", "userId": "u-1"}, "event_not_defined"),
        ({"type": "page", "userId": "u-1", "properties": {"a": "x" * 70_000}}, "message_too_large"),
        (7, "bad_request"),
    ],
    ids=["a deletion", "no event", "too large", "a number"],
)
async def test_what_breaks_a_rule_is_a_reject_and_not_sent_again(bridge: Web, what: Any, code: str) -> None:
    """Answered 200, for Segment would send it again and again; kept with its code; its neighbour is stored."""
    mark, good = str(uuid4()), event()
    bad = {"mark": mark, **what} if isinstance(what, dict) else mark
    assert (await deliver(bridge, [bad, good])).status_code == 200
    assert await rejects(bridge, mark) == [(code, "segment")]
    assert len(await stored(bridge, good)) == 1


async def test_an_event_without_an_id_has_the_same_one_every_time(bridge: Web) -> None:
    """Where Segment gave no messageId one is made of the event, so that its repetition is found."""
    sent = event(messageId=None, userId=str(uuid4()))
    assert [(await deliver(bridge, sent)).status_code for _ in range(2)] == [200, 200]
    async with bridge.database.connection() as connection:
        ids = await connection.fetch("SELECT message_id FROM event WHERE person = $1", sent["userId"])
    assert len(ids) == 1
    assert ids[0]["message_id"].startswith("segment-")


@pytest.mark.parametrize(("body", "status"), [(b"{", 400), (b"\xff", 400), (b"[NaN]", 400), (b" " * 600_000, 413)])
async def test_what_cannot_be_read_is_refused(bridge: Web, body: bytes, status: int) -> None:
    """No JSON is 400, and more than 500 KB is 413: neither is repeated by Segment."""
    answer = await deliver(bridge, body)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


async def test_half_a_character_costs_nothing(bridge: Web) -> None:
    """A text that was cut in an emoji, and a number that no double holds, are taken in, once, without them."""
    odd, plain = event(messageId=None, userId=str(uuid4()), properties={"odd": "here"}), event()
    body = json.dumps([odd, plain]).replace('"here"', r'["bad \ud83d", 1e400]').encode()
    assert [(await deliver(bridge, body)).status_code for _ in range(2)] == [200, 200]
    async with bridge.database.connection() as connection:
        kept = await connection.fetch("SELECT message FROM event WHERE person = $1", odd["userId"])
    assert [row["message"]["properties"] for row in kept] == [{"odd": ["bad \ufffd", None]}]
    assert len(await stored(bridge, plain)) == 1


async def test_a_200_means_that_it_is_committed(bridge: Web) -> None:
    """While the append can't commit Segment gets no answer."""
    sent = event()
    blocker = await asyncpg.connect(bridge.database.url)
    try:
        async with blocker.transaction():
            await blocker.execute("LOCK TABLE event IN EXCLUSIVE MODE")
            waiting = asyncio.create_task(deliver(bridge, sent))
            await asyncio.sleep(0.3)
            assert not waiting.done()
        assert (await waiting).status_code == 200
        assert await blocker.fetchval("SELECT count(*) FROM event WHERE message_id = $1", sent["messageId"]) == 1
    finally:
        await blocker.close()


async def test_what_cannot_be_stored_now_is_asked_for_again(bridge: Web) -> None:
    """503 with Retry-After while too much waits for the router, and when the source is missing: Segment repeats it."""
    backlog: Backlog = bridge.app.state.backlog
    most, backlog.most = backlog.most, 0
    try:
        full = await deliver(bridge, event())
    finally:
        backlog.most = most
    async with bridge.database.connection() as connection:
        await connection.execute("UPDATE write_key SET source = 'till' WHERE source = 'segment'")
        await connection.execute("DELETE FROM source WHERE slug = 'segment'")
        bridge.app.state.write_keys._known.clear()
        missing = await deliver(bridge, event())
        await connection.execute(
            "INSERT INTO source (slug, name, enabled, created_at) VALUES ('segment', '', true, now())"
        )
        bridge.app.state.write_keys._known.clear()
    for answer in (full, missing):
        assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
        assert int(answer.headers["retry-after"]) >= 1


async def test_the_name_of_a_source_is_not_a_write_key(bridge: Web) -> None:
    """What the entry remembers of its source opens nothing at the door."""
    await deliver(bridge, event())
    for key in ("segment", " segment", "\0segment"):
        sent = event()
        async with bridge.client() as client:
            await client.post("/v1/batch", json={"batch": [sent], "writeKey": key})
        assert await stored(bridge, sent) == []


def test_the_signature_is_segments() -> None:
    """The known HMAC-SHA1 of a known body: the test vector of RFC 2202, case 2."""
    assert sign("Jefe", b"what do ya want for nothing?") == "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"


async def test_the_how_tos_commands_deliver(bridge: Web, tmp_path: Path) -> None:
    """What the how-to says to type, with curl and openssl, is taken in as it says."""
    if not all(map(shutil.which, ("curl", "openssl"))):
        pytest.skip("curl or openssl is not installed")
    page = (Path(__file__).parents[2] / "docs/how-to/use-real-segment.md").read_text()
    script = page.partition("## 4. Try it")[2].partition("```sh\n")[2].partition("```")[0]
    script = script.replace("http://127.0.0.1:8000", bridge.url).replace("SECRET=try-me", f"SECRET={SECRET!r}")
    process = await asyncio.create_subprocess_exec("sh", "-euc", script, stdout=asyncio.subprocess.PIPE, cwd=tmp_path)
    async with asyncio.timeout(60):
        printed, _ = await process.communicate()
    assert json.loads(printed) == {"success": True}
    (kept,) = await stored(bridge, {"messageId": "try-1"})
    assert (kept["source"], kept["userId"]) == ("segment", "try")
    assert (kept["originalTimestamp"], kept["timestamp"]) == ("2026-01-01T11:00:00.000Z", "2026-01-01T12:00:00.000Z")
