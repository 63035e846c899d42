"""More than a web process can take: everybody is answered, what was accepted is there, and the till still sells."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest
import pytest_asyncio
from segment.analytics.request import APIError, parse_retry_after
from segment.analytics.request import post as sdk_post
from sqlalchemy.engine import make_url

from app.db import session
from app.segment import write_keys
from app.segment.backlog import Backlog
from app.segment.intake import Intake
from app.segment.write_keys import KeyOwner, WriteKeys
from tests.conftest import MakeDatabase
from tests.web import Web, open_web
from tests.webhooks.notices import movement, send


@pytest_asyncio.fixture(scope="session")
async def web(make_database: MakeDatabase, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Web]:
    """A web process with little room."""
    room = {"DATABASE_POOL": "18", "WEB_AT_ONCE": "4", "DOOR_AT_ONCE": "4", "DOOR_MOST_WAITING": "100000"}
    async with open_web(tmp_path_factory.mktemp("overload"), await make_database("overload"), **room) as opened:
        yield opened


@pytest_asyncio.fixture(scope="session")
async def write_key(web: Web) -> str:
    async with web.database.connection() as connection:
        key: str = await connection.fetchval("SELECT key FROM write_key WHERE source = 'till'")
    return key


@contextlib.asynccontextmanager
async def locked(web: Web, table: str) -> AsyncIterator[None]:
    """While the block runs, whoever writes to this table waits."""
    blocker = await asyncpg.connect(web.database.url)
    try:
        async with blocker.transaction():
            await blocker.execute(f"LOCK TABLE {table} IN EXCLUSIVE MODE")
            yield
    finally:
        await blocker.close()


async def event(client: httpx.AsyncClient, key: str, message_id: str) -> httpx.Response:
    message = {"type": "track", "event": "Tested", "userId": "u-1", "messageId": message_id}
    return await client.post("/v1/batch", json={"writeKey": key, "batch": [message]})


async def sale(till: httpx.AsyncClient, key: str | None = None) -> httpx.Response:
    body = {"lines": [{"product_id": "tea", "quantity": 1}]}
    return await till.post("/pos/orders", json=body, headers={"idempotency-key": key or str(uuid4())})


async def enrolment(till: httpx.AsyncClient) -> httpx.Response:
    return await till.post("/members", json={"phone": f"+4860{random.randrange(10**6, 10**7)}"})


def assert_asks_to_come_again(answer: httpx.Response) -> None:
    assert answer.status_code in {429, 503}, answer.text
    assert int(answer.headers["retry-after"]) >= 1


async def test_everybody_is_answered_and_what_was_accepted_is_there(web: Web, write_key: str) -> None:
    """A flood at every door at once: each gets its 2xx, or 503 with Retry-After; the rows are those of the 2xx."""
    ids, keys = [str(uuid4()) for _ in range(80)], [str(uuid4()) for _ in range(40)]
    notices = [movement(uuid4(), 1, 1, 0) for _ in range(40)]
    async with web.client() as client, web.till() as till:
        calls = [
            *(event(client, write_key, id_) for id_ in ids),
            *(sale(till, key) for key in keys),
            *(send(web, client, body) for body in notices),
            *(enrolment(till) for _ in range(40)),
        ]
        answers = await asyncio.gather(*calls)
    for answer in answers:
        if not answer.is_success:
            assert_asks_to_come_again(answer)
    assert {answer.status_code for answer in answers} >= {200, 201, 202, 503}
    events, orders, webhooks = answers[:80], answers[80:120], answers[120:160]
    async with web.database.connection() as connection:
        stored = await connection.fetch("SELECT message_id FROM event WHERE message_id = ANY($1)", ids)
        sold = await connection.fetch("SELECT idempotency_key FROM orders WHERE idempotency_key = ANY($1)", keys)
        told = await connection.fetch(
            "SELECT event_id FROM webhook WHERE event_id = ANY($1)", [body["event"]["id"] for body in notices]
        )
    assert {row[0] for row in stored} == {id_ for id_, answer in zip(ids, events, strict=True) if answer.is_success}
    assert {row[0] for row in sold} == {key for key, answer in zip(keys, orders, strict=True) if answer.is_success}
    assert {row[0] for row in told} == {
        body["event"]["id"] for body, answer in zip(notices, webhooks, strict=True) if answer.is_success
    }


async def test_while_the_door_is_full_the_till_sells(web: Web, write_key: str) -> None:
    """With all of the door's room taken the next event is turned away at once, in Segment's words; sales go through."""
    async with web.client() as client, web.till() as till:
        async with locked(web, "event"):
            inside = [asyncio.create_task(event(client, write_key, str(uuid4()))) for _ in range(4)]
            await asyncio.sleep(0.3)
            async with asyncio.timeout(60):
                refused = await event(client, write_key, str(uuid4()))
                sold = [await sale(till) for _ in range(5)]
                enrolled = await enrolment(till)
            assert not any(task.done() for task in inside)
        assert [answer.status_code for answer in await asyncio.gather(*inside)] == [200] * 4
        assert (await event(client, write_key, str(uuid4()))).status_code == 200
    assert_asks_to_come_again(refused)
    assert refused.json() == {"code": "too_many_requests", "message": "Too much at once. Come again in a moment."}
    assert [answer.status_code for answer in sold] == [201] * 5
    assert enrolled.status_code == 201


async def test_while_the_till_is_full_events_come_in_and_reads_are_answered(web: Web, write_key: str) -> None:
    """Each part of the API has room of its own, and what only reads is not counted."""
    async with web.client() as client, web.till() as till:
        async with locked(web, "emission"):
            inside = [asyncio.create_task(sale(till)) for _ in range(4)]
            await asyncio.sleep(0.3)
            async with asyncio.timeout(60):
                refused = await sale(till)
                stored = await event(client, write_key, str(uuid4()))
                catalogue = await till.get("/pos/catalogue")
            assert not any(task.done() for task in inside)
        await asyncio.gather(*inside)
    assert_asks_to_come_again(refused)
    assert refused.headers["content-type"] == "application/problem+json"
    assert (stored.status_code, catalogue.status_code) == (200, 200)


async def left_waiting(calls: Sequence[asyncio.Task[httpx.Response]]) -> int:
    """How many are not answered when all but one are, and some time has passed."""
    answered = asyncio.as_completed(calls, timeout=60)
    for _ in range(len(calls) - 1):
        await next(answered)
    await asyncio.sleep(0.5)
    return sum(not task.done() for task in calls)


async def test_no_free_connection_is_503_and_not_a_failure(
    make_database: MakeDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who gets no connection of the pool in time is asked to come again; who has one is served."""
    monkeypatch.setattr(session, "WAIT_FOR_ONE", 0.5)
    url = await make_database("pool")
    async with open_web(tmp_path, url, DATABASE_POOL="2") as web, web.client() as client, web.till() as till:
        async with locked(web, "webhook"):
            calls = [asyncio.create_task(send(web, client, movement(uuid4(), 1, 1, 0))) for _ in range(5)]
            assert await left_waiting(calls) == 1
        answers = await asyncio.gather(*calls)
        async with locked(web, "member"):
            calls = [asyncio.create_task(enrolment(till)) for _ in range(3)]
            assert await left_waiting(calls) == 1
        answers += await asyncio.gather(*calls)
    assert sorted(answer.status_code for answer in answers) == [201, 202] + [503] * 6
    for answer in answers:
        if answer.status_code == 503:
            assert_asks_to_come_again(answer)


async def test_without_postgres_every_api_asks_to_come_again(
    make_database: MakeDatabase, postgres: str, tmp_path: Path
) -> None:
    """While the database is away till, members, phone, webhooks and door answer 503 with Retry-After, none 500."""
    url = await make_database("gone")
    name = make_url(url).database
    admin = await asyncpg.connect(postgres)
    try:
        async with open_web(tmp_path, url) as web, web.client() as client, web.till() as till:
            key = "no key at all"
            assert (await sale(till)).status_code == 201
            await admin.execute(f'ALTER DATABASE "{name}" WITH ALLOW_CONNECTIONS false')
            for _ in range(2):  # with connections that were cut, and then with none
                await admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
                answers = [
                    await sale(till),
                    await enrolment(till),
                    await till.get("/members", params={"phone": "+48601234567"}),
                    await client.get("/phone/me", headers={"authorization": f"Bearer {web.member_token()}"}),
                    await client.post("/phone/sign-in", json={"phone": "+48601234567"}),
                    await send(web, client, movement(uuid4(), 1, 1, 0)),
                    await event(client, key, str(uuid4())),
                ]
                for answer in answers:
                    assert_asks_to_come_again(answer)
            await admin.execute(f'ALTER DATABASE "{name}" WITH ALLOW_CONNECTIONS true')
            assert (await sale(till)).status_code == 201
    finally:
        await admin.close()


async def test_a_door_that_is_too_far_ahead_asks_to_wait(make_database: MakeDatabase, tmp_path: Path) -> None:
    """429 with Retry-After while too much waits for the router, in a way that Segment's library understands."""
    url = await make_database("backlog")
    async with open_web(tmp_path, url, DOOR_MOST_WAITING="3") as web, web.client() as client:
        async with web.database.connection() as connection:
            key = await connection.fetchval("SELECT key FROM write_key WHERE source = 'till'")
            await connection.execute(
                """INSERT INTO log_cursor (consumer, partition, position)
                   SELECT 'route', n, 0 FROM generate_series(0, 7) AS n"""
            )
        for _ in range(3):
            assert (await event(client, key, str(uuid4()))).status_code == 200
        backlog: Backlog = web.app.state.backlog
        backlog._until = 0.0  # a second later
        refused = await event(client, key, str(uuid4()))
        with pytest.raises(APIError) as caught:
            await asyncio.to_thread(sdk_post, key, host=web.url, batch=[])
        single = await client.post("/v1/track", json={"writeKey": key, "userId": "u", "event": "e"})
        async with web.database.connection() as connection:
            assert await connection.fetchval("SELECT count(*) FROM event") == 3
            await connection.execute("UPDATE log_cursor SET position = 1000")
        backlog._until = 0.0
        taken = await event(client, key, str(uuid4()))
    assert (refused.status_code, single.status_code, taken.status_code) == (429, 429, 200)
    assert_asks_to_come_again(refused)
    assert refused.json()["code"] == "too_many_requests"
    assert (caught.value.status, parse_retry_after(caught.value.response)) == (429, 30)
    assert refused.headers["x-ratelimit-reset"] == "30"


async def test_the_backlog_is_measured_once_a_second(web: Web) -> None:
    """However many requests come, one of them asks the database."""
    backlog = Backlog(web.database, most=10**9)
    await asyncio.gather(*[backlog.refuse_when_full() for _ in range(50)])
    until = backlog._until
    await asyncio.gather(*[backlog.refuse_when_full() for _ in range(50)])
    assert backlog._until == until > 0


async def test_between_two_requests_that_are_read_everybody_else_has_a_turn(web: Web) -> None:
    """Messages of many requests are checked one request at a time, and other work runs in between."""
    intake, seen = Intake(web.database, 8), []

    async def request() -> None:
        async with intake.turn():
            seen.append("request")

    async def till() -> None:
        while seen.count("request") < 20:
            seen.append("till")
            await asyncio.sleep(0)

    await asyncio.gather(*[request() for _ in range(20)], till())
    assert "request request" not in " ".join(seen)


async def test_a_write_key_is_remembered_for_a_moment(
    web: Web, write_key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key that was just seen costs no query; that its source was disabled is known when the moment is over."""
    monkeypatch.setattr(write_keys, "REMEMBERED", 0.3)
    keys = WriteKeys(web.database)
    assert await keys.owner_of(write_key) == KeyOwner("till", enabled=True)
    async with web.database.connection() as connection:
        await connection.execute("UPDATE source SET enabled = false WHERE slug = 'till'")
        try:
            assert await keys.owner_of(write_key) == KeyOwner("till", enabled=True)
            await asyncio.sleep(0.35)
            assert await keys.owner_of(write_key) == KeyOwner("till", enabled=False)
        finally:
            await connection.execute("UPDATE source SET enabled = true WHERE slug = 'till'")


async def test_what_is_remembered_of_keys_is_bounded(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """Strangers who try one key after the other fill no memory, and a key as long as a book is not looked up."""
    monkeypatch.setattr(write_keys, "MOST_REMEMBERED", 10)
    keys: Any = WriteKeys(web.database)
    for number in range(30):
        assert await keys.owner_of(f"stranger-{number}") is None
    assert await keys.owner_of("x" * 100_000) is None
    assert list(keys._known) == [f"stranger-{number}" for number in range(20, 30)]
