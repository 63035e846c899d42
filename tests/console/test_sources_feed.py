"""What arrives from a source: as it came, by pages and filters, and as it comes, by a stream."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest
import pytest_asyncio

from app.console import sources_feed, sources_live
from app.console.sources_live import Feed
from app.db.base import now
from tests.conftest import MakeDatabase
from tests.console.arrivals import feed, made, names, send, track
from tests.web import Web, open_web

PATIENCE = 90.0


@pytest_asyncio.fixture(scope="module")
async def web(make_database: MakeDatabase, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Web]:
    async with open_web(tmp_path_factory.mktemp("sources"), await make_database("sources")) as opened:
        yield opened


@contextlib.asynccontextmanager
async def watching(
    client: httpx.AsyncClient, source: dict[str, Any], last: str | None = None, **asked: Any
) -> AsyncIterator[AsyncIterator[tuple[str, dict[str, Any]]]]:
    """A stream that is open and ready; gives id and data of what arrives."""
    headers = {"last-event-id": last} if last else {}
    url = f"/api/sources/{source['slug']}/live"
    async with asyncio.timeout(PATIENCE), client.stream("GET", url, params=asked, headers=headers) as answer:
        assert answer.status_code == 200
        events = _events(answer)
        assert (await anext(events))[0] == ""
        yield events


async def _events(answer: httpx.Response) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    id_ = ""
    async for line in answer.aiter_lines():
        name, _, value = line.partition(": ")
        if name == "id":
            id_ = value
        if name == "data":
            yield id_, json.loads(value)


async def until(events: AsyncIterator[tuple[str, dict[str, Any]]], count: int) -> tuple[list[str], int, str]:
    """The names of so many arrivals, shown or only counted, how many were only counted, and the last id."""
    found: list[str] = []
    more = 0
    async for id_, data in events:
        found += [row["name"] for row in data["rows"]]
        more += data["more"] + data["unread"]
        if len(found) + more >= count:
            return found, more, id_
    raise AssertionError("the stream ended")


async def test_accepted_and_refused_come_together(
    web: Web, operator: httpx.AsyncClient, source: dict[str, Any], admin: httpx.AsyncClient
) -> None:
    """The newest first, refused ones with their code and what was sent, of this source alone."""
    await send(web, source, track("One"), {"type": "track", "userId": "u-1"}, track("Two"), track("Three", user=None))
    await send(web, await made(admin), track("Another source's"))
    found = await feed(operator, source)
    assert [(row["name"], row["code"]) for row in found["rows"]] == [
        ("Three", "no_user_anon_id"),
        ("Two", None),
        (None, "event_not_defined"),
        ("One", None),
    ]
    assert found["rows"][2]["message"] == {"type": "track", "userId": "u-1"}
    assert (found["next"], found["bounded"]) == (None, False)


async def test_pages_give_everything_once(web: Web, operator: httpx.AsyncClient, source: dict[str, Any]) -> None:
    """Page after page, every accepted and every refused message comes once, in the order of all."""
    sent = [track(f"Event {n}", user=None if n % 3 else "u-1") for n in range(11)]
    await send(web, source, *sent)
    found: list[str | None] = []
    before: dict[str, str] = {}
    for _ in range(6):
        page = await feed(operator, source, limit=2, **before)
        found += names(page)
        before = {"before": page["next"]}
    assert page["next"] is None
    assert found == [message["event"] for message in reversed(sent)]
    for wrong in ("x", "1", "1-2-3", "-1-2", "9" * 30 + "-1"):
        assert (await operator.get(f"/api/sources/{source['slug']}/events?before={wrong}")).status_code == 400


MANY: list[dict[str, Any]] = [
    track("Coffee Drunk", anonymousId="a-7", properties={"city": "Łódź", "note": "50 % off_"}),
    track("Order Completed", user="u-2"),
    {"type": "page", "name": "Coffee menu", "anonymousId": "a-7"},
    {"type": "identify", "userId": "u-1", "traits": {"first_name": "Mia"}},
    {"type": "track", "userId": "u-2", "properties": {"city": "Lima"}},
    {"type": "page", "name": "Coffee", "groupId": 3, "userId": "u-1"},
]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"type": "page"}, [5, 2]),
        ({"name": "COFFEE"}, [5, 2, 0]),
        ({"name": "coffee d"}, [0]),
        ({"member": "u-2"}, [4, 1]),
        ({"member": "a-7"}, [2, 0]),
        ({"member": " u-1 ", "type": "page"}, [5]),
        ({"text": "lima"}, [4]),
        ({"text": "Łódź"}, [0]),
        ({"text": "% off_"}, [0]),
        ({"text": "_%"}, []),
        ({"text": "id_not_string"}, [5]),
        ({"refused": "yes"}, [5, 4]),
        ({"refused": "yes", "name": "coffee"}, [5]),
        ({"member": "\x00nobody"}, []),
        ({"type": "", "name": " "}, [5, 4, 3, 2, 1, 0]),
    ],
    ids=str,
)
async def test_filters(
    web: Web, operator: httpx.AsyncClient, source: dict[str, Any], asked: dict[str, str], expected: list[int]
) -> None:
    """Each filter gives what fits, accepted or refused; the stream gives the same, and so does the screen."""
    await send(web, source, *MANY)
    page = await feed(operator, source, **asked)
    assert [MANY.index(_sent(row["message"])) for row in page["rows"]] == expected
    if expected:
        async with watching(operator, source, after="0-0", **asked) as events:
            found, more, _ = await until(events, len(expected))
        assert (found[::-1], more) == (names(page), 0)
    screen = (await operator.get(f"/console/sources/{source['slug']}", params=asked)).text
    assert screen.count("data-key=") - 2 == len(expected)  # two are templates of rows


def _sent(message: dict[str, Any]) -> dict[str, Any]:
    """A stored message without what the door added."""
    return {name: value for name, value in message.items() if name not in {"messageId", "timestamp", "receivedAt"}}


async def test_a_members_phone_stands_for_the_member(
    web: Web, operator: httpx.AsyncClient, source: dict[str, Any]
) -> None:
    """The phone finds what came under the member's id; of nobody, nothing; what is no phone is said so."""
    await send(web, source, track("Mia's", user=web.member_id), track("Another's"))
    assert names(await feed(operator, source, member="+48 601 234 567")) == ["Mia's"]
    assert names(await feed(operator, source, member="+48601234000")) == []
    answer = await operator.get(f"/console/sources/{source['slug']}?member=%2B12")
    assert (answer.status_code, "phone must begin" in answer.text or "phone is not" in answer.text) == (400, True)


async def test_a_search_that_stops_says_so_and_goes_on(
    web: Web, operator: httpx.AsyncClient, source: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond so many positions it is bounded; from there it goes on until it has found what is further back."""
    await send(web, source, track("Rare"), *[track("Common") for _ in range(7)])
    monkeypatch.setattr(sources_feed, "SEARCHED", 3)
    page = await feed(operator, source, name="rare")
    assert (names(page), page["bounded"]) == ([], True)
    assert "Look further back" in (await operator.get(f"/console/sources/{source['slug']}?name=rare")).text
    for _ in range(3):
        page = await feed(operator, source, name="rare", before=page["next"])
        if page["rows"]:
            break
    assert names(page) == ["Rare"]


async def test_a_message_by_its_key(
    web: Web, operator: httpx.AsyncClient, source: dict[str, Any], admin: httpx.AsyncClient
) -> None:
    """Each row's key gives its message, of its own source only; on the screen as text, never as HTML."""
    await send(web, source, track("<b>Bold</b>", properties={"x": "<i>"}), track("x" * 3_000, user=None))
    long, bold = (await feed(operator, source))["rows"]
    assert long["name"] is None  # only the beginning of what is long is kept
    assert long["message"].startswith('{"type":"track","event":"xxx')
    for row in (long, bold):
        assert (await operator.get(f"/api/sources/{source['slug']}/events/{row['key']}")).json() == row
    other = await made(admin)
    for wrong in (f"{other['slug']}/events/{bold['key']}", f"{source['slug']}/events/x1", f"{source['slug']}/events/e"):
        assert (await operator.get(f"/api/sources/{wrong}")).status_code == 404
    sheet = (await operator.get(f"/console/sources/{source['slug']}/events/{bold['key']}")).text
    assert "&lt;b&gt;Bold" in sheet
    assert "<b>Bold" not in sheet
    sheet = (await operator.get(f"/console/sources/{source['slug']}/events/{long['key']}")).text
    assert "no_user_anon_id" in sheet
    assert "neither a userId nor an anonymousId" in sheet


async def test_json_of_any_depth_is_shown(web: Web, operator: httpx.AsyncClient, source: dict[str, Any]) -> None:
    """A tower of brackets that the door takes in is a sheet, not an error."""
    tower: Any = 1
    for _ in range(800):
        tower = [tower]
    await send(web, source, track(properties={"tower": tower}))
    (row,) = (await feed(operator, source))["rows"]
    assert (await operator.get(f"/console/sources/{source['slug']}/events/{row['key']}")).status_code == 200


async def test_unknown_write_keys_have_a_feed(web: Web, operator: httpx.AsyncClient) -> None:
    """What came under a key of nobody's is found under `unknown`, live too."""
    mark = uuid4().hex
    nobody = {"keys": [{"key": mark}]}
    async with watching(operator, {"slug": "unknown"}, name=mark) as events:
        await send(web, nobody, track(mark))
        assert (await until(events, 1))[0] == [mark]
    (row,) = (await feed(operator, {"slug": "unknown"}, name=mark))["rows"]
    assert row["code"] == "unknown_source"
    assert (await operator.get("/console/sources/unknown")).status_code == 200


async def test_the_stream_goes_on_where_it_broke_off(
    web: Web, operator: httpx.AsyncClient, source: dict[str, Any]
) -> None:
    """What comes is sent in order; what came while nobody listened comes after `Last-Event-ID`; nothing comes twice."""
    async with watching(operator, source) as events:
        await send(web, source, track("One"), track("Two", user=None), track("Three"))
        found, more, last = await until(events, 3)
    assert (found, more) == (["One", "Two", "Three"], 0)
    await send(web, source, track("Four"), track("Five", user=None))
    async with watching(operator, source, last) as events:
        await send(web, source, track("Six"))
        found, more, _ = await until(events, 3)
    assert (found, more) == (["Four", "Five", "Six"], 0)


async def test_the_page_begins_with_the_last_500(web: Web, operator: httpx.AsyncClient, source: dict[str, Any]) -> None:
    """The newest five hundred arrivals are on the page before anything comes live, and the others behind a link."""
    batch = [track(f"Cup {number}") for number in range(502)]
    async with web.client() as client:
        answer = await client.post("/v1/batch", json={"batch": batch, "writeKey": source["keys"][-1]["key"]})
    assert answer.status_code == 200
    page = (await operator.get(f"/console/sources/{source['slug']}")).text
    assert (page.count('data-key="e'), "Older ones" in page) == (500, True)
    assert [f">{batch[at]['event']}<" in page for at in (0, 1, 2, 501)] == [False, False, True, True]


async def test_a_page_and_its_stream_meet(web: Web, operator: httpx.AsyncClient, source: dict[str, Any]) -> None:
    """What arrives after the page was read and before its stream was opened comes by the stream, and only that."""
    await send(web, source, track("On the page"), track("On the page, too", user=None))
    page = await feed(operator, source)
    await send(web, source, track("Between"))
    async with watching(operator, source, after=page["live"]) as events:
        await send(web, source, track("Later"))
        found, _, _ = await until(events, 2)
    assert found == ["Between", "Later"]


async def test_a_burst_is_counted_not_shown(web: Web, operator: httpx.AsyncClient, source: dict[str, Any]) -> None:
    """Of what comes at once some rows are shown, the newest; the others are counted, each once."""
    async with watching(operator, source) as events, web.client() as client:
        key = source["keys"][0]["key"]
        for part in range(3):
            batch = [track(f"Event {part * 1_000 + n:05}") for n in range(1_000)]
            assert (await client.post("/v1/batch", json={"batch": batch, "writeKey": key})).status_code == 200
        found, more, _ = await until(events, 3_000)
    assert len(found) + more == 3_000
    assert len(found) <= 3 * sources_live.ROWS
    assert found[-1] == "Event 02999"
    assert found == sorted(found)


async def test_who_reads_slowly_holds_nothing_up() -> None:
    """What waits for one watcher is bounded: older rows are counted instead."""
    start = sources_feed.Cursor(0, 0)
    watcher = sources_live.Watcher(start)
    row = sources_feed.Arrival("e1", now(), "track", "x", "u", None, None, None, {})
    for n in range(20):
        watcher.give([row] * sources_live.ROWS, 5, 2, sources_feed.Cursor(n, 0))
    message = await watcher.take(1)
    assert message is not None
    data = json.loads(str(message.data))
    assert len(data["rows"]) == sources_live.MOST_WAITING
    assert data["more"] == 20 * sources_live.ROWS + 20 * 5 - sources_live.MOST_WAITING
    assert (data["unread"], message.id) == (40, "19-0")
    assert await watcher.take(0.01) is None


async def test_far_behind_it_jumps_and_says_so(
    web: Web, operator: httpx.AsyncClient, source: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """More positions than a look takes are left unread, in number."""
    monkeypatch.setattr(sources_live, "LOOKED_AT", 10)
    async with watching(operator, source) as events, web.client() as client:
        batch = [track(f"Event {n:05}") for n in range(100)]
        await client.post("/v1/batch", json={"batch": batch, "writeKey": source["keys"][0]["key"]})
        id_, data = await anext(events)
    assert ([row["name"] for row in data["rows"]][-1], len(data["rows"]), data["unread"]) == ("Event 00099", 10, 90)
    assert int(id_.split("-")[0]) > 0


async def test_a_silence_has_its_place(
    web: Web,
    operator: httpx.AsyncClient,
    source: dict[str, Any],
    admin: httpx.AsyncClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A stream in which nothing fits says how far it looked, so that the browser comes back to there."""
    monkeypatch.setattr(sources_live, "KEEP_ALIVE", 0.3)
    page = await feed(operator, source)
    other = await made(admin)
    async with asyncio.timeout(PATIENCE), operator.stream("GET", f"/api/sources/{source['slug']}/live") as answer:
        sent = False
        async for line in answer.aiter_lines():
            if not sent:
                await send(web, other, track("Another source's"))
                sent = True
            name, _, value = line.partition(": ")
            if name == "id" and value != page["live"]:
                break
    assert int(value.split("-")[0]) > int(page["live"].split("-")[0])


async def test_who_was_away_for_long_is_told_so(
    web: Web, operator: httpx.AsyncClient, source: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of what was missed so many positions are looked through, and the others said to be unread."""
    page = await feed(operator, source)
    await send(web, source, *[track(f"Event {n}") for n in range(6)])
    monkeypatch.setattr(sources_live, "SEARCHED", 2)
    async with watching(operator, source, after=page["live"]) as events:
        _, data = await anext(events)
    assert ([row["name"] for row in data["rows"]], data["unread"]) == (["Event 4", "Event 5"], 4)


async def test_a_reject_that_commits_late_is_seen(
    web: Web, operator: httpx.AsyncClient, source: dict[str, Any]
) -> None:
    """Ids of rejects are not in the order of commits: one that is made before another and committed after it comes."""
    add = """INSERT INTO reject (source, code, message, received_at)
             VALUES ($1, 'bad_request', jsonb_build_object('message', jsonb_build_object('event', $2::text)), now())"""
    async with watching(operator, source) as events:
        late = await asyncpg.connect(web.database.url)
        try:
            async with late.transaction():
                await late.execute(add, source["slug"], "Late")
                async with web.database.connection() as connection:
                    await connection.execute(add, source["slug"], "Early")
                assert (await until(events, 1))[0] == ["Early"]
        finally:
            await late.close()
        found, _, _ = await until(events, 1)
        await send(web, source, track("Last"))
        found += (await until(events, 1))[0]
    assert found == ["Late", "Last"]


async def test_watchers_share_a_reader_and_leave_none(
    web: Web, operator: httpx.AsyncClient, source: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who watches the same is served by one look; too many are asked to come again; with the last one all is over."""
    watched: Feed = web.app.state.feed
    assert watched._watches == {}
    async with watching(operator, source) as first, watching(operator, source) as second:
        assert len(watched._watches) == 1
        await send(web, source, track("Both"))
        assert (await until(first, 1))[0] == (await until(second, 1))[0] == ["Both"]
        monkeypatch.setattr(sources_live, "MOST_OPEN", 2)
        refused = await operator.get(f"/api/sources/{source['slug']}/live")
        assert (refused.status_code, "retry-after" in refused.headers) == (503, True)
    async with asyncio.timeout(PATIENCE):
        while watched._watches or watched._task is not None:  # noqa: ASYNC110 - nothing tells when a stream is closed
            await asyncio.sleep(0.05)
