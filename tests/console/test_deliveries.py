"""Deliveries, replays and jobs over HTTP: what an operator reads and does, as JSON and on the screens."""

import re
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import msgspec
import pytest
import pytest_asyncio

from app.auth.principal import SESSION_COOKIE
from app.console.deliveries_asked import Asked
from app.jobs import run_alone
from app.pipeline.replay_runner import Replayer
from app.pipeline.replay_selection import Selection
from tests.conftest import MakeDatabase
from tests.house import ROOT
from tests.pipeline.road import DESTINATION, ORDER, identify, order, registry, routed, states, track
from tests.web import Web, open_web

BODY = {"source_id": "o-1", "note": "<b>bold</b>"}
WISH: dict[str, Any] = {"selection": {"destination": DESTINATION, "status": ["failed"]}}


@pytest_asyncio.fixture(scope="module")
async def opened(make_database: MakeDatabase, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Web]:
    async with open_web(tmp_path_factory.mktemp("deliveries"), await make_database("deliveries")) as web:
        yield web


@pytest_asyncio.fixture
async def web(opened: Web) -> Web:
    """A web process without deliveries, replays and jobs. No insert function runs: they have tests of their own."""
    async with opened.database.connection() as connection:
        await connection.execute("TRUNCATE delivery, attempt, lane, decision, replay, job, function_result")
    opened.app.state.dry_runs._functions = {}
    return opened


async def ended(web: Web, status: str, *messages: dict[str, Any], outcome: str = "refused") -> list[int]:
    """Deliveries of these messages that ended so after two tries, the second with another body; their ids."""
    await routed(web.database, *messages)
    async with web.database.connection() as connection:
        rows = await connection.fetch(
            """UPDATE delivery SET status = $1, error = 'Voucherify answered 400: <i>no</i>', attempts = 2,
                      finished_at = now() WHERE status = 'pending' RETURNING id""",
            status,
        )
        found = sorted(row["id"] for row in rows)
        for body, ending in ((BODY, "retry"), ({**BODY, "amount": 5}, outcome)):
            await connection.execute(
                """INSERT INTO attempt (delivery_id, started_at, ended_at, outcome, status, request, answer)
                   SELECT id, now(), now() + interval '42 milliseconds', $2, 400, jsonb_build_object(
                       'method', 'POST', 'url', 'http://voucherify/v1/orders', 'body', CAST($3 AS jsonb)),
                       '{"key": "invalid_payload"}' FROM unnest($1::bigint[]) AS ended (id)""",
                found,
                ending,
                msgspec.json.encode(body).decode(),
            )
        await connection.execute("UPDATE lane SET due_at = NULL")
    return found


def operator(web: Web) -> httpx.AsyncClient:
    """An operator in a browser: the session's cookie, no header."""
    return httpx.AsyncClient(base_url=web.url, cookies={SESSION_COOKIE: web.operator_key}, timeout=60)


async def test_deliveries_are_listed_newest_first_in_pages(web: Web) -> None:
    """Two to a page, the page says where the next begins, and the last says none."""
    ids = await ended(web, "failed", order("o-1"), order("o-2"), order("o-3"))
    async with web.client(web.operator_key) as client:
        first = (await client.get("/api/deliveries?limit=2")).json()
        rest = (await client.get(f"/api/deliveries?limit=2&before={first['next_before']}")).json()
    assert [row["id"] for row in first["deliveries"] + rest["deliveries"]] == ids[::-1]
    assert rest["next_before"] is None
    row = rest["deliveries"][0]
    assert (row["event_name"], row["order_id"], row["mapping"]) == ("Order Completed", "o-1", ORDER)


async def test_filters_stand_in_the_address(web: Web) -> None:
    """Status (several), error, event, member by phone, order, time and ids: each chooses what it names."""
    (first,) = await ended(web, "failed", order("o-1", user=web.member_id))
    (second,) = await ended(web, "delivered", track("Coffee Drunk"))
    async with web.client(web.operator_key) as client:
        for query, found in (
            ("status=failed", [first]),
            ("status=failed&status=delivered", [second, first]),
            ("status=", [second, first]),
            ("error=ANSWERED 400", [second, first]),
            ("event=Coffee Drunk&mapping=", [second]),
            ("person=%2B48601234567", [first]),
            (f"person={web.member_id}", [first]),
            ("order_id=o-1", [first]),
            ("since=2020-01-01T00:00", [second, first]),
            ("until=2020-01-01T00:00:00Z", []),
            (f"ids={first},999", [first]),
            ("destination=nowhere", []),
        ):
            answer = await client.get(f"/api/deliveries?{query}")
            assert [row["id"] for row in answer.json()["deliveries"]] == found, query


@pytest.mark.parametrize(
    "query",
    ["status=lost", "since=yesterday", "ids=one", "person=%2B1", "person=%2B48601999999", "replay=x", "limit=0"],
)
async def test_a_filter_that_can_not_be_read_is_refused(web: Web, query: str) -> None:
    """A 400 as JSON that names the parameter; on the screen the sentence stands above the filters."""
    async with web.client(web.operator_key) as client:
        answer = await client.get(f"/api/deliveries?{query}")
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    assert query.partition("=")[0] in answer.json()["detail"] or "phone" in answer.json()["detail"]
    if not query.startswith("limit"):
        async with operator(web) as client:
            page = await client.get(f"/console/deliveries?{query}")
        assert page.status_code == 400
        assert 'role="alert"' in page.text


async def test_a_filter_that_there_is_not_is_refused(web: Web) -> None:
    """A typing error in a filter's name does not list everything: it is named, as what may be asked for is."""
    await ended(web, "failed", order("o-1"))
    async with web.client(web.operator_key) as client:
        answer = await client.get("/api/deliveries?persn=nobody&limit=5&before=9")
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    assert answer.json()["detail"].startswith("persn: ")
    assert "order_id" in answer.json()["detail"]


@pytest.mark.parametrize("time", ["0001-01-01", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59.999999-14:00"])
async def test_the_ends_of_time_are_times(web: Web, time: str) -> None:
    """Bounds that no database can hold, in any zone, are as good as none, in lists, on screens and in replays."""
    (delivery,) = await ended(web, "failed", order("o-1"))
    bound = "since" if time.startswith("0") else "until"
    query = {"destination": DESTINATION, "check": "1", bound: time}
    async with operator(web) as client:
        listed = await client.get("/api/deliveries", params={bound: time})
        assert [row["id"] for row in listed.json()["deliveries"]] == [delivery]
        for path in ("/console/deliveries", "/console/replays/new"):
            assert (await client.get(path, params=query)).status_code == 200
        whole = time if "T" in time else f"{time}T00:00:00"
        wish = {"selection": {"destination": DESTINATION, bound: whole}, "note": "Mended."}
        begun = await client.post("/api/replays", json=wish, headers={"idempotency-key": "k"})
        assert (begun.status_code, begun.json()["total"]) == (201, 1)
        assert (await client.get(f"/console/replays/{begun.json()['id']}")).status_code == 200


async def test_one_delivery_tells_everything(web: Web) -> None:
    """Event, trigger, each try with its answer and duration, what changed between them; unknown ones are a 404."""
    (delivery,) = await ended(web, "failed", order("o-1"))
    async with web.client(web.operator_key) as client:
        found = (await client.get(f"/api/deliveries/{delivery}")).json()
        for unknown in (delivery + 1, 2**70):
            assert (await client.get(f"/api/deliveries/{unknown}")).status_code == 404
    assert found["event"]["message"]["properties"]["order_id"] == "o-1"
    assert found["mapping"]["trigger"].startswith("type")
    first, second = found["attempts"]
    assert (first["status"], first["answer"], round(first["milliseconds"])) == (400, {"key": "invalid_payload"}, 42)
    assert [(change["path"], change["kind"], change["new"]) for change in second["changes"]] == [
        ("body.amount", "added", 5)
    ]
    assert (found["delivery"]["error"], found["replay"], found["decisions"]) == (
        "Voucherify answered 400: <i>no</i>",
        None,
        [],
    )


async def test_secrets_of_the_destination_are_masked(web: Web) -> None:
    """A key that got into a request or an answer is not shown, in neither form."""
    await web.app.state.registry.refresh()
    secret = web.app.state.registry.connected[DESTINATION].settings["secretKey"]
    (delivery,) = await ended(web, "failed", order("o-1"))
    async with web.database.connection() as connection:
        await connection.execute(
            "UPDATE attempt SET answer = $1, request = jsonb_set(request, '{body,key}', to_jsonb($2::text))",
            f"no such key: {secret}",
            secret,
        )
    async with operator(web) as client:
        for path in (f"/api/deliveries/{delivery}", f"/console/deliveries/{delivery}"):
            answer = (await client.get(path)).text
            assert "••••••" in answer
            assert secret not in answer


async def test_the_screens_show_texts_as_texts(web: Web) -> None:
    """What came from outside is no HTML; status has its word; pretty and raw differ; the page leads to a replay."""
    (delivery,) = await ended(web, "failed", order("o-1"))
    async with operator(web) as client:
        listed = (await client.get("/console/deliveries?status=failed")).text
        shown = await client.get(f"/console/deliveries/{delivery}")
        raw = (await client.get(f"/console/deliveries/{delivery}?view=raw")).text
    assert f'href="/console/deliveries/{delivery}"' in listed
    assert "&lt;i&gt;no&lt;/i&gt;" in listed
    assert "failed</span>" in listed
    assert f"ids={delivery}" in shown.text
    assert "&lt;b&gt;bold" in shown.text
    assert "<b>bold" not in shown.text + raw
    assert "\n  &#34;source_id" in shown.text
    assert "\n  &#34;source_id" not in raw
    assert "default-src 'self'" in shown.headers["content-security-policy"]


async def test_nothing_is_said_so(web: Web) -> None:
    """Empty lists are screens, not empty tables."""
    async with operator(web) as client:
        for path, words in (
            ("/console/deliveries", "No delivery is like that"),
            ("/console/replays", "Nothing was sent again yet"),
            ("/console/jobs", "No job has run yet"),
            ("/console/replays/new", "Show what would happen"),
        ):
            page = await client.get(path)
            assert (page.status_code, words in page.text) == (200, True), path


async def test_a_replay_over_http(web: Web) -> None:
    """Dry run, begin once by its key, progress, stop, resume; each in its own status code."""
    await ended(web, "failed", order("o-1"), order("o-2"))
    key = {"idempotency-key": str(uuid4())}
    async with web.client(web.operator_key) as client:
        dry = (await client.post("/api/replays/dry-run", json=WISH)).json()
        assert (dry["numbers"]["queued"], dry["deliveries"][0]["label"]) == (2, "safe")
        assert [status for _, status in await states(web.database)] == ["failed", "failed"]
        wish = {**WISH, "note": "Mended."}
        first, again = [await client.post("/api/replays", json=wish, headers=key) for _ in range(2)]
        assert (first.status_code, again.status_code, again.json()["id"]) == (201, 200, first.json()["id"])
        other = await client.post("/api/replays", json={**wish, "function": "rerun"}, headers=key)
        assert other.status_code == 409
        path = f"/api/replays/{first.json()['id']}"
        assert (await client.post(f"{path}/stop")).json()["status"] == "stopped"
        assert (await client.post(f"{path}/stop")).status_code == 409
        assert (await client.post(f"{path}/resume")).json()["status"] == "running"
        await Replayer(web.database, registry(web.database)).run_once()
        found = (await client.get(path)).json()
        assert (found["status"], found["queued"], found["now"], found["made_by"]) == (
            "done",
            2,
            {"waiting": 2},
            "operator:an operator",
        )
        assert [one["id"] for one in (await client.get("/api/replays")).json()["replays"]] == [found["id"]]
        listed = (await client.get(f"/api/deliveries?replay={found['id']}")).json()["deliveries"]
        assert [row["replay_id"] for row in listed] == [found["id"]] * 2
        assert (await client.get("/api/replays/999")).status_code == 404


@pytest.mark.parametrize("number", [2**62, 2**63, 2**64, 10**5000], ids=["2^62", "2^63", "2^64", "10^5000"])
async def test_a_number_that_no_replay_has_is_not_found(web: Web, number: int) -> None:
    """However large it is, on every route; where it stands in a selection or a page, it is refused or chooses none."""
    text = "1" + "0" * 5000 if number == 10**5000 else str(number)
    async with operator(web) as client:
        for base in ("/api/replays", "/console/replays"):
            for method, path in (("GET", ""), ("POST", "/stop"), ("POST", "/resume")):
                answer = await client.request(method, f"{base}/{text}{path}")
                assert answer.status_code == 404, (base, path)
        assert (await client.get(f"/console/replays/{text}/progress")).status_code == 404
        for base in ("/api/deliveries", "/console/deliveries"):
            assert (await client.get(f"{base}/{text}")).status_code == 404
            assert (await client.get(f"{base}?replay={text}")).status_code in {200, 400}
            assert (await client.get(f"{base}?before={text}")).status_code in {200, 400}
        assert (await client.get(f"/api/replays?before={text}")).status_code in {200, 400}
        for key in ("replay", "ids"):
            chosen = f'"{key}": {text if key == "replay" else f"[{text}]"}'
            wish = f'{{"selection": {{"destination": "{DESTINATION}", {chosen}}}}}'
            json = {"content-type": "application/json"}
            answer = await client.post("/api/replays/dry-run", content=wish, headers=json)
            assert answer.status_code in {200, 400}, key
        wish = f'{{"selection": {{"destination": "{DESTINATION}"}}, "after": {text}}}'
        answer = await client.post("/api/replays/dry-run", content=wish, headers=json)
        assert answer.status_code in {200, 400}


@pytest.mark.parametrize(
    "wrong",
    [
        {"selection": {"destination": DESTINATION, "persn": "u-1"}},
        {"selection": {"destination": DESTINATION}, "persn": "u-1"},
    ],
    ids=["in the selection", "beside it"],
)
async def test_a_field_that_there_is_not_is_refused(web: Web, wrong: dict[str, Any]) -> None:
    """A typing error in a selection does not choose everything: the dry run names it, and no replay begins."""
    await ended(web, "failed", order("o-1"))
    async with web.client(web.operator_key) as client:
        dry = await client.post("/api/replays/dry-run", json=wrong)
        begun = await client.post("/api/replays", json={**wrong, "note": "x"}, headers={"idempotency-key": "k"})
        for answer in (dry, begun):
            assert (answer.status_code, "persn" in answer.json()["detail"]) == (400, True)
        assert (await client.get("/api/replays")).json()["replays"] == []


async def test_the_fields_of_a_selection_are_told() -> None:
    """The how-to has a row for each, and the list of deliveries can be asked for each."""
    told = (ROOT / "docs/how-to/replay-deliveries.md").read_text()
    for name in msgspec.json.schema(Selection)["$defs"]["Selection"]["properties"]:
        assert f"| `{name}` |" in told
        assert name in Asked.__dataclass_fields__


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"selection": {}, "note": "x"}, 400),
        ({"selection": {"destination": "nowhere"}, "note": "x"}, 404),
        ({"selection": {"destination": DESTINATION, "status": ["lost"]}, "note": "x"}, 400),
        ({"selection": {"destination": DESTINATION, "person": "+1"}, "note": "x"}, 400),
        ({"selection": {"destination": DESTINATION}, "note": ""}, 400),
        ({"selection": {"destination": DESTINATION}, "note": "a\x00b"}, 400),
        ({"selection": {"destination": DESTINATION}, "note": "x", "function": "guess"}, 400),
        ({"selection": {"destination": DESTINATION, "status": ["failed"]}, "note": "x"}, 422),
    ],
    ids=[
        "no destination",
        "unknown destination",
        "unknown status",
        "no phone",
        "no note",
        "NUL",
        "no function",
        "nothing",
    ],
)
async def test_a_replay_that_can_not_begin_is_refused(web: Web, body: dict[str, Any], status: int) -> None:
    """With a sentence, and without a row."""
    await ended(web, "delivered", track(), outcome="done")
    async with web.client(web.operator_key) as client:
        answer = await client.post("/api/replays", json=body, headers={"idempotency-key": "k"})
        assert (answer.status_code, bool(answer.json()["detail"])) == (status, True)
        assert (await client.post("/api/replays", json=body)).status_code == 400  # no key
        assert (await client.get("/api/replays")).json()["replays"] == []


async def test_a_note_of_nothing_but_nul_is_told_so(web: Web) -> None:
    """Something was written, so it is not asked for a reason; and a replay is no decision."""
    await ended(web, "failed", order("o-1"))
    async with web.client(web.operator_key) as client:
        for note, words in (("\x00", "NUL"), (" ", "say why")):
            body = {**WISH, "note": note}
            detail = (await client.post("/api/replays", json=body, headers={"idempotency-key": "k"})).json()["detail"]
            assert words in detail
            assert "deci" not in detail


async def test_the_screens_have_the_destination_s_own_name(web: Web) -> None:
    """Two of one type are told apart: in the filters, on a delivery, in what would happen and on a replay."""
    (delivery,) = await ended(web, "failed", order("o-1"))
    async with web.database.connection() as connection:
        await connection.execute("UPDATE destination SET name = 'Till & <Loyalty>' WHERE slug = $1", DESTINATION)
        await connection.execute("UPDATE configuration SET version = version + 1")
    shown = "Till &amp; &lt;Loyalty&gt;"
    async with operator(web) as client:
        begun = await client.post("/api/replays", json={**WISH, "note": "x"}, headers={"idempotency-key": "k"})
        for path, words in (
            ("/console/deliveries", f">{shown}</option>"),
            ("/console/deliveries", f"{ORDER} · {shown}</span>"),
            (f"/console/deliveries/{delivery}", f"to {shown} by the mapping"),
            (f"/console/replays/new?destination={DESTINATION}&check=1", f"would be sent to {shown} again"),
            (f"/console/replays/{begun.json()['id']}", f"<dd>{shown}</dd>"),
            ("/console/replays", f'data-label="Destination">{shown}</td>'),
        ):
            assert words in (await client.get(path)).text, path
    async with web.database.connection() as connection:
        await connection.execute("UPDATE destination SET name = 'Voucherify (Actions)' WHERE slug = $1", DESTINATION)
        await connection.execute("UPDATE configuration SET version = version + 1")


async def test_requests_that_are_equal_look_equal(web: Web) -> None:
    """Side by side both have their keys in one order, whatever order the database and the mapping give."""
    (delivery,) = await ended(web, "failed", identify(email="mia@example.com", phone="+48601234567"))
    async with operator(web) as client:
        dry = (await client.post("/api/replays/dry-run", json=WISH)).json()
        async with web.database.connection() as connection:
            would = msgspec.json.encode(dry["deliveries"][0]["would_send"]).decode()
            await connection.execute("UPDATE attempt SET request = $1 WHERE delivery_id = $2", would, delivery)
        page = (await client.get(f"/console/replays/new?destination={DESTINATION}&check=1")).text
    assert "the same as it was" in page
    sent, would_send = re.findall(r'<pre class="json" tabindex="0"><code>(.*?)</code>', page, re.DOTALL)
    assert sent == would_send
    assert "mia@example.com" in sent


async def test_the_screen_says_what_will_happen_before_it_does(web: Web) -> None:
    """Numbers and labels first; the button has the number; begun by the form once, however often it is sent."""
    await ended(web, "delivered", order("o-1"), track(), identify(), outcome="done")
    query = f"destination={DESTINATION}&status=delivered&check=1"
    async with operator(web) as client:
        page = (await client.get(f"/console/replays/new?{query}")).text
        assert "2 of 3 deliveries would be sent" in page
        for words in ("already applied", "would apply twice", "safe", "Send 2 again"):
            assert words in page
        assert "counts once more" not in page
        twice = (await client.get(f"/console/replays/new?{query}&twice=1")).text
        assert "Send 3 again" in twice
        assert "counts once more" in twice
        form = {"destination": DESTINATION, "status": "delivered", "function": "reuse", "key": "k-9", "note": ""}
        refused = await client.post("/console/replays", data=form)
        assert refused.status_code == 400
        assert "note: say why" in refused.text
        begun = [await client.post("/console/replays", data={**form, "note": "Mended <b>it</b>."}) for _ in range(2)]
        assert [answer.status_code for answer in begun] == [303, 303]
        path = begun[0].headers["location"]
        assert begun[1].headers["location"] == path
        shown = (await client.get(path)).text
        assert "Mended &lt;b&gt;it&lt;/b&gt;." in shown
        assert 'hx-trigger="every 2s"' in (await client.get(f"{path}/progress")).text
        assert (await client.post(f"{path}/stop")).headers["location"] == path
        assert "Resume" in (await client.get(path)).text
        assert (await client.post(f"{path}/stop")).status_code == 409
        assert (await client.post(f"{path}/hurry")).status_code == 400
        await client.post(f"{path}/resume")
        await Replayer(web.database, registry(web.database)).run_once()
        async with web.database.connection() as connection:
            await connection.execute("UPDATE delivery SET status = 'delivered' WHERE status = 'pending'")
        progress = (await client.get(f"{path}/progress")).text
        assert "3 of 3 looked at" in progress
        assert "hx-get" not in progress  # nothing moves any more
        assert path in (await client.get("/console/replays")).text


async def test_jobs_tell_their_last_and_next_run(web: Web) -> None:
    """One that ended well, one that failed and one whose time is long over, as JSON and on the screen."""

    async def well() -> int:
        return 12

    async def fails() -> None:
        raise ValueError("no <b>luck</b>")

    await run_alone(web.database, "prune", "w-1", 60.0, well)
    await run_alone(web.database, "sweep", "w-1", 5.0, fails)
    await run_alone(web.database, "gone", "w-1", 5.0, well)
    async with web.database.connection() as connection:
        await connection.execute("UPDATE job SET next_at = now() - interval '1 hour' WHERE name = 'gone'")
    async with operator(web) as client:
        jobs = {job["name"]: job for job in (await client.get("/api/jobs")).json()["jobs"]}
        page = (await client.get("/console/jobs")).text
    assert {name: job["state"] for name, job in jobs.items()} == {"prune": "well", "sweep": "failed", "gone": "late"}
    assert (jobs["prune"]["result"], jobs["prune"]["runs"], jobs["sweep"]["failures"]) == ("12", 1, 1)
    assert "no &lt;b&gt;luck" in page
    assert "late" in page


async def test_only_operators_may(web: Web) -> None:
    """A till may neither read deliveries nor send them again."""
    async with web.till() as till:
        for path in ("/api/deliveries", "/api/deliveries/1", "/api/replays", "/api/jobs", "/console/deliveries"):
            assert (await till.get(path)).status_code == 403, path
        answer = await till.post("/api/replays", json={**WISH, "note": "x"}, headers={"idempotency-key": "k"})
        assert answer.status_code == 403
