"""The page of unclear outcomes and its JSON twins: what an operator reads there, and that a decision counts once."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import httpx
import msgspec
import pytest
import pytest_asyncio

from app.auth.principal import SESSION_COOKIE
from app.db.base import now
from app.pipeline import decisions
from app.points.models import PointOperation
from tests.conftest import MakeDatabase
from tests.pipeline.road import order, routed, states, track
from tests.web import Web, open_web

BODY = {"event": "Coffee <b>Drunk</b>", "customer": {"source_id": "u-1"}, "metadata": {"cups": 2}}


@pytest_asyncio.fixture(scope="module")
async def opened(make_database: MakeDatabase, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Web]:
    async with open_web(tmp_path_factory.mktemp("unclear"), await make_database("unclear")) as web:
        yield web


@pytest_asyncio.fixture
async def web(opened: Web) -> Web:
    """A web process with nothing unclear and nothing decided."""
    async with opened.database.connection() as connection:
        await connection.execute("TRUNCATE delivery, attempt, lane, decision, point_operation")
    return opened


async def set_unclear(web: Web, *messages: dict[str, Any]) -> list[str]:
    """Unclear deliveries of these messages, by default of an event of the web's member; their subjects."""
    await routed(web.database, *(messages or [drunk(web)]))
    async with web.database.connection() as connection:
        await connection.execute("UPDATE delivery SET status = 'unclear', error = 'No <i>answer</i> came.'")
        await connection.execute(
            """INSERT INTO attempt (delivery_id, kind, started_at, ended_at, outcome, status, request, answer)
               SELECT id, kind, now(), now(), outcome, tries.status, jsonb_build_object(
                   'method', method, 'url', 'http://voucherify/v1/events', 'body', CAST($1 AS jsonb)), answer
               FROM delivery, (VALUES ('send', 'unclear', 0, 'POST', 'No answer within 2.0 s.'),
                                      ('look_up', 'not_found', 200, 'GET', '{"data": []}'))
                              AS tries (kind, outcome, status, method, answer)""",
            msgspec.json.encode(BODY).decode(),
        )
        return [f"delivery:{row['id']}" for row in await connection.fetch("SELECT id FROM delivery ORDER BY id")]


def drunk(web: Web) -> dict[str, Any]:
    return track("Coffee <b>Drunk</b>", user=web.member_id)


async def set_points(web: Web, status: str = "UNCLEAR") -> str:
    """A movement of points in this state; its subject."""
    operation = PointOperation(
        id=uuid4(),
        client="operator:ada",
        idempotency_key=str(uuid4()),
        request_hash="h",
        kind="reward",
        member_id=UUID(web.member_id),
        card="L-1",
        points=-1200,
        reward_id="rew_1",
        title="A mug",
        status=status,
        sent={"method": "POST", "path": "/v1/loyalties/x", "body": {"reward": "rew_1"}, "at": None, "asked_before": 0},
        look_ups=[{"at": now().isoformat(), "path": "/v1/transactions", "found": False}],
        refusal="It was looked for once and not found.",
        created_at=now(),
        touched_at=now(),
    )
    async with web.database.session() as session:
        session.add(operation)
    return f"points:{operation.id}"


def operator(web: Web) -> httpx.AsyncClient:
    """An operator in a browser: the session's cookie, no header."""
    return httpx.AsyncClient(base_url=web.url, cookies={SESSION_COOKIE: web.operator_key}, timeout=60)


async def test_nothing_unclear_is_said_so(web: Web) -> None:
    """An empty page is a page, not an empty table."""
    async with operator(web) as client:
        page = await client.get("/console/unclear")
    assert page.status_code == 200
    assert "Nothing is unclear" in page.text
    assert "<form" not in page.text


async def test_the_page_tells_everything_that_is_known(web: Web) -> None:
    """Whose it is, what was sent, why it is unclear, and every send and look-up with its answer; as text, not HTML."""
    (subject,) = await set_unclear(web)
    async with operator(web) as client:
        page = (await client.get("/console/unclear")).text
    for told in (subject, "Mia", web.member_id, "http://voucherify/v1/events", "&#34;cups&#34;: 2", "Looked up"):
        assert told in page
    for told in ("no answer came", "not found", "No &lt;i&gt;answer&lt;/i&gt; came.", "&lt;b&gt;Drunk", "within 2.0 s"):
        assert told in page
    assert "<b>Drunk" not in page
    assert "default-src 'self'" in (await _headers(web))["content-security-policy"]


async def _headers(web: Web) -> httpx.Headers:
    async with operator(web) as client:
        return (await client.get("/console/unclear")).headers


async def test_a_decision_on_the_page_moves_the_row_into_the_history(web: Web) -> None:
    """The form settles the case and leads back to the page, where it is a decision with note and name."""
    (subject,) = await set_unclear(web)
    form = {"subject": subject, "decision": "not_done", "note": "Not in the dashboard."}
    async with operator(web) as client:
        answer = await client.post("/console/unclear", data=form)
        assert (answer.status_code, answer.headers["location"]) == (303, "/console/unclear")
        page = (await client.get("/console/unclear")).text
    assert "Nothing is unclear" in page
    assert "Not in the dashboard." in page
    assert "operator:an operator" in page
    assert [status for _, status in await states(web.database)] == ["failed"]


@pytest.mark.parametrize(
    ("form", "status", "words"),
    [
        ({"decision": "done", "note": " "}, 400, "say why"),
        ({"decision": "perhaps", "note": "Typed words."}, 400, "choose one"),
        ({"decision": "done", "note": "Typed words.", "subject": "delivery:999"}, 404, "no delivery"),
        ({"decision": "done", "note": "Typed words.", "subject": "weather:1"}, 404, "weather"),
    ],
)
async def test_what_can_not_be_decided_so_comes_back_with_a_sentence(
    web: Web, form: dict[str, str], status: int, words: str
) -> None:
    """The page comes again with the reason, nothing is decided, and what was typed is still there."""
    (subject,) = await set_unclear(web)
    sent = {"subject": subject, **form}
    async with operator(web) as client:
        answer = await client.post("/console/unclear", data=sent)
    assert answer.status_code == status
    assert words in answer.text
    assert ("Typed words." in answer.text) == (sent["subject"] == subject and form["note"] == "Typed words.")
    assert await decisions.made(web.database) == []


async def test_who_comes_second_is_told(web: Web) -> None:
    """A case that somebody has settled meanwhile is a conflict, on the page and in JSON, with who it was."""
    (subject,) = await set_unclear(web)
    wanted = {"decision": "done", "note": "Seen in the dashboard."}
    async with web.client(web.operator_key) as client:
        first = await client.post(f"/console/unclear/{subject}", json=wanted)
        second = await client.post(f"/console/unclear/{subject}", json=wanted)
        on_page = await client.post("/console/unclear", data={"subject": subject, **wanted})
    assert (first.status_code, second.status_code, on_page.status_code) == (200, 409, 409)
    assert first.json() == {"subject": subject, "decision": "done", "made_by": "operator:an operator"}
    assert "operator:an operator has decided “done” already" in second.json()["detail"]
    assert "operator:an operator has decided “done” already" in on_page.text


async def test_points_wait_beside_deliveries(web: Web) -> None:
    """A movement of points that is unclear is a case of the same list, with its figures; so is its decision."""
    await set_unclear(web)
    subject = await set_points(web)
    await set_points(web, "PENDING")  # goes on by itself: nothing to decide
    async with web.client(web.operator_key) as client:
        listed = (await client.get("/console/unclear/list")).json()
        assert len(listed["unclear"]) == 2
        (case,) = [case for case in listed["unclear"] if case["subject"] == subject]
        assert case["about"] == "reward: 1,200 points taken from card L-1"
        assert case["member_name"] == "Mia"
        assert [step["kind"] for step in case["steps"]] == ["send", "look_up"]
        assert "1,200 points" in case["choices"]["done"]
        assert "A mug" in (await client.get("/console/unclear")).text
        decided = await client.post(f"/console/unclear/{subject}", json={"decision": "done", "note": "On the card."})
        assert decided.status_code == 200
        listed = (await client.get("/console/unclear/list")).json()
    assert len(listed["unclear"]) == 1
    assert (listed["decisions"][0]["what"], listed["decisions"][0]["status"]) == ("A mug", "DONE")


async def test_the_list_is_paged(web: Web) -> None:
    """Twenty at a time; the list says where the next page begins, and the last says none."""
    subjects = await set_unclear(web, *[drunk(web)] * 21)
    async with web.client(web.operator_key) as client:
        first = (await client.get("/console/unclear/list")).json()
        rest = (await client.get(f"/console/unclear/list?after={first['next_after']}")).json()
        assert "The next ones" in (await client.get("/console/unclear")).text
    found = [case["subject"] for case in first["unclear"] + rest["unclear"]]
    assert (sorted(found), rest["next_after"]) == (sorted(subjects), None)


async def test_json_that_is_no_decision_is_refused(web: Web) -> None:
    """A word that is none of the three, or no note, is a 400 with a sentence."""
    (subject,) = await set_unclear(web)
    async with web.client(web.operator_key) as client:
        for wanted in ({"decision": "maybe", "note": "x"}, {"decision": "done"}, {"decision": "done", "note": ""}):
            answer = await client.post(f"/console/unclear/{subject}", json=wanted)
            assert answer.status_code == 400, answer.text
            assert answer.json()["detail"]


async def test_the_floor_tells_how_many_wait(web: Web) -> None:
    """The road carries a link with the number while something is unclear, and none otherwise."""
    async with operator(web) as client:
        assert "/console/unclear" not in (await client.get("/floor/road")).text
        await set_unclear(web, drunk(web), drunk(web))
        await set_points(web)
        road = (await client.get("/floor/road")).text
    assert 'href="/console/unclear"' in road
    assert "3 unclear" in road


async def test_an_order_and_its_case_lead_to_each_other(web: Web) -> None:
    """The case links to the road; the trace of the order counts sends, not look-ups, and says where it is decided."""
    async with web.till() as till:
        body = {"member_id": web.member_id, "lines": [{"product_id": "coffee", "quantity": 1}], "coupon": None}
        sold = (await till.post("/pos/orders", json=body, headers={"idempotency-key": str(uuid4())})).json()
    await set_unclear(web, order(sold["id"], user=web.member_id))
    async with operator(web) as client:
        page = (await client.get("/console/unclear")).text
        trace = (await client.get(f"/console/orders/{sold['id']}/trace")).json()
    assert f'href="/?order={sold["id"]}"' in page
    deliver = next(step for step in trace["steps"] if step["name"] == "deliver")
    assert (deliver["state"], deliver["sent"]["method"], deliver["received"]["tries"]) == ("failed", "POST", 1)
    assert "/console/unclear" in deliver["note"]
