"""The door over real HTTP: what is stored, what is refused and how, and what a 200 is worth."""

import asyncio
import gzip
import json
import zlib
from base64 import b64encode
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest
from segment.analytics.client import Client
from sqlalchemy.engine import make_url

from tests.conftest import MakeDatabase
from tests.web import Web, open_web


def track(**more: Any) -> dict[str, Any]:
    return {"type": "track", "userId": "u-1", "event": "Tested", "messageId": str(uuid4()), **more}


async def post(web: Web, key: str, *messages: Any, path: str = "/v1/batch", **more: Any) -> httpx.Response:
    async with web.client() as client:
        return await client.post(path, json={"batch": messages, "writeKey": key, **more})


async def send(web: Web, body: bytes, **headers: str) -> httpx.Response:
    async with web.client() as client:
        given = {"content-type": "application/json", **{name.replace("_", "-"): it for name, it in headers.items()}}
        return await client.post("/v1/batch", content=body, headers=given)


async def stored(web: Web, *messages: dict[str, Any]) -> list[dict[str, Any]]:
    """The events with these message ids, by position."""
    async with web.database.connection() as connection:
        rows = await connection.fetch(
            "SELECT message, source FROM event WHERE message_id = ANY($1) ORDER BY position",
            [message["messageId"] for message in messages],
        )
    return [{**row["message"], "source": row["source"]} for row in rows]


async def rejects(web: Web, mark: str) -> list[tuple[str, str | None]]:
    """Code and source of the rejected messages that contain the mark."""
    async with web.database.connection() as connection:
        rows = await connection.fetch("SELECT code, source FROM reject WHERE message::text LIKE $1", f"%{mark}%")
    return [(row["code"], row["source"]) for row in rows]


def basic(key: str) -> str:
    return "Basic " + b64encode(f"{key}:".encode()).decode()


async def test_segments_own_library_delivers_a_batch(web: Web, write_key: str) -> None:
    """The official Python client, unchanged, gets its calls stored under its source, gzipped."""
    user = str(uuid4())
    failed: list[Any] = []

    def run() -> None:
        client = Client(write_key, host=web.url, gzip=True, on_error=lambda *trouble: failed.append(trouble))
        client.identify(user, {"first_name": "Mia"})
        client.track(user, "Order Completed", {"order_id": "o-1", "total": 18.4})
        client.group(user, "g-1", {"name": "Paris"})
        client.flush()
        client.join()

    await asyncio.to_thread(run)
    async with web.database.connection() as connection:
        rows = await connection.fetch("SELECT type, name, source FROM event WHERE person = $1 ORDER BY position", user)
    assert failed == []
    assert [tuple(row) for row in rows] == [
        ("identify", None, "till"),
        ("track", "Order Completed", "till"),
        ("group", None, "till"),
    ]


@pytest.mark.parametrize(
    ("authorization", "in_body"),
    [
        ("", "right"),
        ("basic right", None),
        ("basic right", "wrong"),
        ("basic without a colon", "wrong"),
        ("basic empty", "right"),
        ("Bearer whatever", "right"),
    ],
)
async def test_the_write_key_is_found_where_libraries_put_it(
    web: Web, write_key: str, authorization: str, in_body: str | None
) -> None:
    """A key counts in the body, also beside a Bearer token, and as the user of Basic auth, and that wins."""
    message = track()
    header = {
        "basic right": basic(write_key),
        "basic without a colon": "Basic " + b64encode(write_key.encode()).decode(),
        "basic empty": basic(""),
    }.get(authorization, authorization)
    headers = {"authorization": header} if header else {}
    body = {"batch": [message], "writeKey": write_key if in_body == "right" else in_body}
    answer = await send(web, json.dumps(body).encode(), **headers)
    assert answer.json() == {"success": True}
    assert [event["source"] for event in await stored(web, message)] == ["till"]


async def test_a_single_call_takes_its_type_from_the_path(web: Web, write_key: str) -> None:
    """`POST /v1/identify` stores an identify without the write key in it, and a call that there is not is 404."""
    message = {"userId": "u-1", "traits": {"a": 1}, "messageId": str(uuid4())}
    async with web.client() as client:
        answer = await client.post("/v1/identify", json={**message, "writeKey": write_key})
        other = await client.post("/v1/dance", json=message)
    (event,) = await stored(web, message)
    assert answer.json() == {"success": True}
    assert (event["type"], "writeKey" in event) == ("identify", False)
    assert (other.status_code, other.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize("path", ["/v1/batch", "/v1/b", "/v1/import", "/v1/{call}"])
async def test_the_descriptions_example_is_taken_in(web: Web, write_key: str, path: str) -> None:
    """What `/schema` shows as the body of a call is stored when it is sent with a key, as the event that it says."""
    operation = web.app.openapi_schema.to_schema()["paths"][path]["post"]
    person = str(uuid4())
    text = json.dumps(operation["requestBody"]["content"]["application/json"]["example"])
    body = {**json.loads(text.replace("u-1", person)), "writeKey": write_key}
    async with web.client() as client:
        assert (await client.post(path.format(call="track"), json=body)).status_code == 200
    async with web.database.connection() as connection:
        assert await connection.fetchval("SELECT name FROM event WHERE person = $1", person) == "Coffee Drunk"


async def test_one_message_that_is_too_large_costs_its_whole_request(web: Web, write_key: str) -> None:
    """With a message of more than 32 KB nothing of the request is stored, and none of it is a reject."""
    mark = str(uuid4())
    small, large = track(mark=mark), track(mark=mark, properties={"a": "x" * 33 * 1024})
    answer = await post(web, write_key, small, large)
    assert (answer.status_code, answer.json()["code"]) == (400, "message_too_large")
    assert (await stored(web, small, large), await rejects(web, mark)) == ([], [])


async def test_a_gzip_bomb_is_refused_without_being_inflated(web: Web) -> None:
    """A request of 200 KB that would inflate to 200 MB is answered 400 at once."""
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join([*(packer.compress(b" " * 1_000_000) for _ in range(200)), packer.flush()])
    assert len(bomb) < 400_000
    began = asyncio.get_running_loop().time()
    answer = await send(web, bomb, content_encoding="gzip")
    assert (answer.status_code, answer.json()["code"]) == (400, "request_too_large")
    assert asyncio.get_running_loop().time() - began < 1


@pytest.mark.parametrize(
    ("body", "headers", "code"),
    [
        (b"{", {}, "bad_request"),
        (b"\xff\xfe", {}, "bad_request"),
        (b'"\xff"', {}, "bad_request"),
        (b"[" * 20_000 + b"]" * 20_000, {}, "bad_request"),
        (b'{"batch": [NaN]}', {}, "bad_request"),
        (b'{"batch": ["\\ud83d", -Infinity]}', {}, "bad_request"),
        (b'{"batch": ["\\ud83d", "\xed\xa0\xbd"]}', {}, "bad_request"),
        (b'{"batch": ["\\ud83d"]', {}, "bad_request"),
        (b"", {}, "bad_request"),
        (b"{}", {"content_encoding": "gzip"}, "bad_request"),
        (gzip.compress(b'{"batch": []}', mtime=0)[:-12], {"content_encoding": "gzip"}, "bad_request"),
        (gzip.compress(b'{"batch": []}', mtime=0)[:-1], {"content_encoding": "gzip"}, "bad_request"),
        (gzip.compress(b'{"batch": []}', mtime=0) + b"\0", {"content_encoding": "gzip"}, "bad_request"),
        (gzip.compress(b'{"batch": []}', mtime=0) * 2, {"content_encoding": "gzip"}, "bad_request"),
        (gzip.compress(b" " * 600_000, mtime=0), {"content_encoding": "gzip"}, "request_too_large"),
        (json.dumps({"batch": [track(properties={"a": "x" * 33 * 1024})]}).encode(), {}, "message_too_large"),
        (json.dumps({"batch": [track(properties={"a": "x" * 31_000})] * 17}).encode(), {}, "request_too_large"),
        (b" " * 2_000_000, {}, "request_too_large"),
    ],
    ids=lambda value: f"{value[:12]!r} of {len(value)}" if isinstance(value, bytes) else None,
)
async def test_what_cannot_be_read_is_400_in_segments_shape(
    web: Web, body: bytes, headers: dict[str, str], code: str
) -> None:
    """Only unreadable and oversize requests are refused, each with a code and a sentence and nothing else."""
    answer = await send(web, body, **headers)
    assert (answer.status_code, sorted(answer.json())) == (400, ["code", "message"])
    assert answer.json()["code"] == code
    assert answer.json()["message"].endswith(".")


async def test_a_bad_message_harms_only_itself(web: Web, write_key: str) -> None:
    """Bad messages in a batch are answered 200 and kept with their code; their neighbours are stored."""
    mark = str(uuid4())
    good = [track(), track()]
    bad = [{**track(), "userId": None, "mark": mark}, {**track(), "event": None, "mark": mark}, {"type": [], "m": mark}]
    answer = await post(web, write_key, good[0], *bad, good[1])
    assert (answer.status_code, answer.json()) == (200, {"success": True})
    assert len(await stored(web, *good)) == 2
    assert sorted(await rejects(web, mark)) == [
        ("bad_request", "till"),
        ("event_not_defined", "till"),
        ("no_user_anon_id", "till"),
    ]


@pytest.mark.parametrize("authorization", ["", "Basic !", "Basic //8=", "Basic \u00e9", basic("nobody"), basic("a\0b")])
async def test_an_unknown_write_key_looks_like_success(web: Web, authorization: str) -> None:
    """As at Segment, a wrong key is answered 200; nothing is stored, and the reject says why."""
    message = track(mark=str(uuid4()))
    body = json.dumps({"batch": [message], "writeKey": "wrong"}).encode()
    async with web.client() as client:
        headers = [(b"content-type", b"application/json"), (b"authorization", authorization.encode("latin-1"))]
        answer = await client.post("/v1/batch", content=body, headers=headers)
    assert (answer.status_code, answer.json()) == (200, {"success": True})
    assert await stored(web, message) == []
    assert await rejects(web, message["mark"]) == [("unknown_source", None)]


async def test_beyond_2500_messages_the_rest_is_rejected(web: Web, write_key: str) -> None:
    """The 2,501st message of a batch is answered 200 and rejected, as at Segment."""
    mark = str(uuid4())
    messages = [{"type": "page", "userId": mark, "messageId": f"{mark}-{number}"} for number in range(2_501)]
    assert (await post(web, write_key, *messages)).status_code == 200
    async with web.database.connection() as connection:
        count = await connection.fetchval("SELECT count(*) FROM event WHERE person = $1", mark)
    assert count == 2_500
    assert await rejects(web, f"{mark}-2500") == [("too_many_requests", "till")]


async def test_one_message_id_is_one_event(web: Web, write_key: str) -> None:
    """An id that comes twice in a batch, and again in ten batches at once, is stored once, as it came first."""
    message = track(properties={"first": True})
    await post(web, write_key, message, {**message, "properties": {"first": False}})
    await asyncio.gather(*(post(web, write_key, {**message, "properties": {}}, track()) for _ in range(10)))
    assert [event["properties"] for event in await stored(web, message)] == [{"first": True}]


async def test_batch_level_fields_reach_the_stored_event(web: Web, write_key: str) -> None:
    """What the batch says for all is in the event that consumers read, and null ids are not."""
    message = track(anonymousId=None)
    await post(web, write_key, message, context={"ip": "1.2.3.4"}, integrations={"All": False})
    (event,) = await stored(web, message)
    assert (event["context"], event["integrations"]) == ({"ip": "1.2.3.4"}, {"All": False})
    assert "anonymousId" not in event


async def test_a_nul_in_a_text_costs_neither_the_event_nor_its_neighbours(web: Web, write_key: str) -> None:
    """U+0000, which Postgres can't store, is left out; an escaped backslash before the same letters stays."""
    odd = track(event="Order\0ed", properties={"a\0b": "\0", "path": "C:\\u0000"})
    plain = track()
    answers = await asyncio.gather(post(web, write_key, odd), post(web, write_key, plain))
    assert [answer.status_code for answer in answers] == [200, 200]
    found, _ = await stored(web, odd), await stored(web, plain)
    assert (found[0]["event"], found[0]["properties"]) == ("Ordered", {"ab": "", "path": "C:\\u0000"})
    assert len(await stored(web, plain)) == 1


@pytest.mark.parametrize(
    ("text", "read"),
    [
        (r'"bad \ud83d"', "bad \ufffd"),
        (r'"\ude00\ud83d and \ud83d\ude00"', "\ufffd\ufffd and \U0001f600"),
        (r'"\ud83d\u0000"', "\ufffd"),
        (r'{"\ud83d": "C:\\ud83d"}', {"\ufffd": r"C:\ud83d"}),
        (r'["\uDE00 \\\uD83D", 1e400]', ["\ufffd \\\ufffd", None]),
        ("[1e400, -1e400, 1e-400, 18.40]", [None, None, 0.0, 18.4]),
        (f"[{'9' * 5_000}, -{'9' * 5_000}, {'9' * 30}, 7]", [None, None, int("9" * 30), 7]),
    ],
    ids=["cut", "halves and a whole", "before a NUL", "a key", "both", "floats", "integers"],
)
async def test_what_is_no_text_or_number_to_us_costs_neither_the_event_nor_its_neighbours(
    web: Web, write_key: str, text: str, read: Any
) -> None:
    """Half a surrogate pair becomes U+FFFD and a number that no double holds null; sent again it is a repetition."""
    odd, plain = track(properties={"odd": "here"}), track(properties={"name": "Łódź"})
    body = json.dumps({"batch": [plain, odd], "writeKey": write_key}).replace('"here"', text).encode()
    assert [(await send(web, body)).status_code for _ in range(2)] == [200, 200]
    assert [event["properties"] for event in await stored(web, plain, odd)] == [{"name": "Łódź"}, {"odd": read}]


async def test_what_one_request_does_to_the_database_harms_no_other(web: Web, write_key: str) -> None:
    """Of requests that are stored together, one that Postgres refuses gets a 503 and the others their 200."""
    blocker = await asyncpg.connect(web.database.url)
    await blocker.execute("ALTER TABLE event ADD CONSTRAINT no_poison CHECK (person <> 'poison') NOT VALID")
    good = [track() for _ in range(8)]
    try:
        async with asyncio.TaskGroup() as group:  # noqa: SIM117 - the lock is to be gone before the group waits
            async with blocker.transaction():  # while the first append waits here, the other requests gather
                await blocker.execute("LOCK TABLE event IN EXCLUSIVE MODE")
                others = [group.create_task(post(web, write_key, good[0]))]
                await asyncio.sleep(0.2)
                others += [group.create_task(post(web, write_key, message)) for message in good[1:4]]
                poison = group.create_task(post(web, write_key, track(userId="poison")))
                others += [group.create_task(post(web, write_key, message)) for message in good[4:]]
                await asyncio.sleep(0.2)
    finally:
        await blocker.execute("ALTER TABLE event DROP CONSTRAINT no_poison")
        await blocker.close()
    assert [task.result().status_code for task in others] == [200] * 8
    assert poison.result().status_code == 503
    assert len(await stored(web, *good)) == 8


async def test_a_200_means_that_it_is_committed(web: Web, write_key: str) -> None:
    """While the append can't commit there is no answer; with the answer, another connection sees the event."""
    message = track()
    blocker = await asyncpg.connect(web.database.url)
    try:
        async with blocker.transaction():
            await blocker.execute("LOCK TABLE event IN EXCLUSIVE MODE")
            waiting = asyncio.create_task(post(web, write_key, message))
            await asyncio.sleep(0.3)
            assert not waiting.done()
        assert (await waiting).status_code == 200
        assert await blocker.fetchval("SELECT count(*) FROM event WHERE message_id = $1", message["messageId"]) == 1
    finally:
        await blocker.close()


async def test_without_postgres_the_sender_is_asked_to_come_again(
    make_database: MakeDatabase, postgres: str, tmp_path: Path
) -> None:
    """While the database is away an event is answered 503 with Retry-After in Segment's shape, later it is stored."""
    url = await make_database("away")
    name = make_url(url).database
    admin = await asyncpg.connect(postgres)
    try:
        async with open_web(tmp_path, url) as web:
            async with web.database.connection() as connection:
                key = await connection.fetchval("SELECT key FROM write_key WHERE source = 'till'")
            message = track()
            await admin.execute(f'ALTER DATABASE "{name}" WITH ALLOW_CONNECTIONS false')
            await admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
            refused = await post(web, key, message)
            await admin.execute(f'ALTER DATABASE "{name}" WITH ALLOW_CONNECTIONS true')
            taken = await post(web, key, message)
            kept = await stored(web, message)
    finally:
        await admin.close()
    assert (refused.status_code, sorted(refused.json())) == (503, ["code", "message"])
    assert int(refused.headers["retry-after"]) >= 1
    assert (taken.status_code, len(kept)) == (200, 1)
