"""Mappings over the API: each change is a version, two editors never overwrite each other, a test sends nothing."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import httpx
import pytest
import pytest_asyncio

from app.db.wake import CHANNEL
from app.pipeline.configure_mappings import MOST
from tests.conftest import MakeDatabase
from tests.console.setting_up import (
    API,
    NESTED,
    TRACK,
    UNNESTED,
    VOUCHERIFY,
    admin,
    browser,
    mapping,
    ok,
    version,
    webhook,
)
from tests.pipeline.road import count, identify, order, store, track
from tests.web import Web, open_web

SAVED = f"{VOUCHERIFY}/mappings/{TRACK}"
COFFEE = 'type = "track" and event = "Coffee Drunk"'


@pytest_asyncio.fixture(scope="module")
async def web(make_database: MakeDatabase, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Web]:
    async with open_web(tmp_path_factory.mktemp("mappings"), await make_database("mappings")) as opened:
        yield opened


@pytest_asyncio.fixture
async def client(web: Web) -> AsyncIterator[httpx.AsyncClient]:
    async with admin(web) as opened:
        yield opened


@pytest_asyncio.fixture
async def path(client: httpx.AsyncClient) -> str:
    """The address of a new webhook's mappings."""
    return f"{API}/{(await webhook(client))['slug']}/mappings"


@pytest_asyncio.fixture
async def one(client: httpx.AsyncClient, path: str) -> str:
    """The address of a new mapping."""
    return f"{path}/{(await mapping(client, path.split('/')[3]))['slug']}"


async def names(client: httpx.AsyncClient, path: str) -> list[tuple[str, int]]:
    """Slug and version of the mappings, in their order."""
    return [(each["slug"], each["version"]) for each in await ok(await client.get(path))]


async def test_a_change_is_a_version_that_all_processes_hear_of(web: Web, client: httpx.AsyncClient, one: str) -> None:
    """It tells who, when and which fields; the configuration's number grows, and `config` is notified."""
    heard: list[str] = []
    listener = await asyncpg.connect(web.database.url)
    await listener.add_listener(CHANNEL, lambda *told: heard.append(str(told[-1])))
    before = await version(web.database)
    saved = await ok(await client.patch(one, json={"version": 1, "trigger": COFFEE, "name": "Coffee"}))
    await ok(await client.patch(one, json={"version": 2, "mapping": {"method": "PUT", "url": "https://x.example.com"}}))
    assert (saved["mapping"]["version"], saved["mapping"]["updated_by"]) == (2, "admin:first admin")
    assert await version(web.database) == before + 2
    versions = await ok(await client.get(f"{one}/versions"))
    assert [(each["version"], each["change"]) for each in versions] == [(3, "edited"), (2, "edited"), (1, "created")]
    fields = [[difference["field"] for difference in each["differences"]] for each in versions]
    kept = ["mapping.method", "mapping.data", "mapping.idempotency_key", "mapping.url"]
    assert fields == [kept, ["name", "trigger"], []]
    assert versions[1]["differences"][1] == {"field": "trigger", "before": 'type = "track"', "after": COFFEE}
    await asyncio.sleep(0.1)
    await listener.close()
    assert heard.count("config") == 2


async def test_what_changes_nothing_makes_no_version(web: Web, client: httpx.AsyncClient, one: str) -> None:
    """A mapping saved as it is stays at its version, and no process loads anything. Another order of keys counts."""
    before = await version(web.database)
    saved = await ok(await client.patch(one, json={"version": 1, "trigger": 'type = "track"', "enabled": True}))
    assert (saved["mapping"]["version"], await version(web.database)) == (1, before)
    turned = dict(reversed(saved["mapping"]["mapping"].items()))
    saved = await ok(await client.patch(one, json={"version": 1, "mapping": turned}))
    assert (saved["mapping"]["version"], list(saved["mapping"]["mapping"])) == (2, list(turned))


async def test_of_two_editors_the_second_is_told(client: httpx.AsyncClient, one: str) -> None:
    """Both saw version 1 and save at once: one is kept, the other gets 409 with the first one's name."""
    edits = [client.patch(one, json={"version": 1, "name": name}) for name in ("Ada's", "Bob's")]
    answers = await asyncio.gather(*edits)
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    refused = next(answer for answer in answers if answer.status_code == 409)
    assert "admin:first admin changed this mapping at" in refused.json()["detail"]
    kept = next(answer for answer in answers if answer.status_code == 200).json()["mapping"]["name"]
    assert (await ok(await client.get(one)))["mapping"]["name"] == kept
    assert len(await ok(await client.get(f"{one}/versions"))) == 2


@pytest.mark.parametrize("do", ["delete", "move", "restore"])
async def test_whoever_saw_an_old_version_changes_nothing(client: httpx.AsyncClient, one: str, do: str) -> None:
    """Deleting, moving and restoring ask for the version that was seen as well."""
    await ok(await client.patch(one, json={"version": 1, "enabled": False}))
    answer = {
        "delete": lambda: client.delete(one, params={"version": 1}),
        "move": lambda: client.post(f"{one}/move", json={"version": 1, "place": 2}),
        "restore": lambda: client.post(f"{one}/restore", json={"version": 1, "restore": 1}),
    }[do]()
    assert (await answer).status_code == 409
    assert (await ok(await client.get(one)))["mapping"]["version"] == 2


async def test_two_can_not_make_the_fiftieth(web: Web, client: httpx.AsyncClient, path: str) -> None:
    """With 49 there and two made at once there are fifty, and one of the two is told why."""
    async with web.database.connection() as connection:
        await connection.execute(
            """INSERT INTO mapping (destination, slug, name, action, trigger, mapping, enabled, place, version,
                                    created_at, updated_at)
               SELECT $1, 'm-' || n, 'M', 'send', 'type = "page"', '{}', true, n, 1, now(), now()
               FROM generate_series(1, $2::int) AS n""",
            path.split("/")[3],
            MOST - 1,
        )
    made = await asyncio.gather(*(client.post(path, json={"name": "Last", "action": "send"}) for _ in range(2)))
    assert sorted(answer.status_code for answer in made) == [201, 409]
    assert "50 mappings at most" in next(answer for answer in made if answer.status_code == 409).json()["detail"]
    assert len(await ok(await client.get(path))) == MOST


@pytest.mark.parametrize(
    ("given", "field", "words"),
    [
        ({"trigger": 'type = "track'}, "trigger", ""),
        ({"trigger": "length(event) > 5"}, "trigger", ""),
        ({"trigger": f'type = "{"x" * 6000}"'}, "trigger", "5 KB"),
        ({"trigger": 'type = "a\x00"'}, "trigger", "NUL"),
        ({"action": "fly"}, "action", "has no action 'fly'. It has send"),
        ({"name": " "}, "name", "give it one"),
        ({"name": "a\nb"}, "name", "printable"),
        ({"mapping": {"data": {"@pth": "$.x"}}}, "mapping", "/data has an invalid directive: @pth."),
        ({"mapping": {"url": {"@template": 5}}}, "mapping", "/url/@template should be a string or a mapping directive"),
        ({"mapping": {"data": "x" * 70_000}}, "mapping", "64 KB"),
        ({"mapping": {"data": "a\x00"}}, "mapping", "NUL"),
    ],
    ids=["quote", "field", "long", "nul", "action", "empty", "line", "directive", "operand", "large", "nul in it"],
)
async def test_what_can_not_be_read_is_refused_by_its_field(
    client: httpx.AsyncClient, one: str, given: dict[str, Any], field: str, words: str
) -> None:
    """400 with the sentence, Segment's where it is Segment's, and the fault under the field's name; nothing is kept."""
    answer = await client.patch(one, json={"version": 1, **given})
    assert answer.status_code == 400, answer.text
    problem = answer.json()
    assert words in problem["detail"]
    assert [fault["field"] for fault in problem["faults"]] == [field]
    assert (await ok(await client.get(one)))["mapping"]["version"] == 1


async def test_all_faults_come_at_once(client: httpx.AsyncClient, path: str) -> None:
    """A draft with three faults is told all three."""
    body = {"name": "", "action": "send", "trigger": "", "mapping": {"a": {"@x": 1}, "b": {"@y": 1}}}
    problem = (await client.post(path, json=body)).json()
    assert [fault["field"] for fault in problem["faults"]] == ["name", "trigger", "mapping", "mapping"]


@pytest.mark.parametrize(
    "body",
    [
        b'{"version": 1, "mapping": ' + b'{"a":' * 500 + b"1" + b"}" * 500 + b"}",
        b'{"version": 1, "mapping": {"a": 123456789012345678901234567890}}',
        b'{"version": 1, "mapping": []}',
        b'{"version": 99999999999, "name": "x"}',
        b'{"version": 1, "nmae": "x"}',
        b"{",
    ],
    ids=["deep", "big number", "list", "big version", "unknown key", "no JSON"],
)
async def test_hostile_bodies_are_refused(client: httpx.AsyncClient, one: str, body: bytes) -> None:
    """Whatever the body is, the answer is a 4xx with a sentence, or it is stored as it can be read again."""
    answer = await client.patch(one, content=body, headers={"content-type": "application/json"})
    assert answer.status_code < 500, answer.text
    assert answer.status_code == 200 or answer.json()["detail"]
    assert (await client.get(one)).status_code == 200


async def test_the_order_is_moved_and_kept(client: httpx.AsyncClient, path: str) -> None:
    """The one that is moved has a new version; its neighbours only make room, so their editors are not disturbed."""
    for name in ("A", "B", "C"):
        await mapping(client, path.split("/")[3], name)
    moved = await ok(await client.post(f"{path}/c/move", json={"version": 1, "place": 1}))
    assert [(each["slug"], each["place"]) for each in moved] == [("c", 1), ("a", 2), ("b", 3)]
    assert await names(client, path) == [("c", 2), ("a", 1), ("b", 1)]
    again = await ok(await client.post(f"{path}/c/move", json={"version": 2, "place": 1}))
    assert again[0]["version"] == 2


async def test_an_old_version_comes_back_as_a_new_one(client: httpx.AsyncClient, one: str) -> None:
    """What it was is restored key by key and in its order; that it is off stays, and no version is lost."""
    first = (await ok(await client.get(one)))["mapping"]
    await ok(await client.patch(one, json={"version": 1, "trigger": COFFEE, "mapping": {"method": "PUT"}}))
    await ok(await client.patch(one, json={"version": 2, "enabled": False}))
    restored = (await ok(await client.post(f"{one}/restore", json={"version": 3, "restore": 1})))["mapping"]
    assert (restored["trigger"], restored["mapping"]) == (first["trigger"], first["mapping"])
    assert list(restored["mapping"]) == list(first["mapping"])
    assert (restored["enabled"], restored["version"]) == (False, 4)
    versions = await ok(await client.get(f"{one}/versions"))
    assert [each["change"] for each in versions] == ["restored", "disabled", "edited", "created"]
    assert (await client.post(f"{one}/restore", json={"version": 4, "restore": 9})).status_code == 404


@pytest.mark.parametrize("status", ["pending", "unclear"])
async def test_a_mapping_with_deliveries_that_wait_stays(
    web: Web, client: httpx.AsyncClient, one: str, status: str
) -> None:
    """409 while one waits or is unclear; then it goes, its versions stay, and its slug is never given again."""
    destination, slug = one.split("/")[3], one.split("/")[5]
    async with web.database.connection() as connection:
        await connection.execute(
            """INSERT INTO delivery (event_position, destination, mapping, person, status, attempts, due_at, held,
                                     passed, created_at)
               VALUES (1, $1, $2, 'u-1', $3, 0, now(), 0, false, now())""",
            destination,
            slug,
            status,
        )
        refused = await client.delete(one, params={"version": 1})
        assert (refused.status_code, refused.json()["detail"][:26]) == (409, "1 delivery of this mapping")
        await connection.execute("UPDATE delivery SET status = 'delivered' WHERE destination = $1", destination)
    assert (await client.delete(one, params={"version": 1})).status_code == 204
    assert (await client.get(one)).status_code == 404
    assert [each["change"] for each in await ok(await client.get(f"{one}/versions"))] == ["deleted", "created"]
    assert (await mapping(client, destination))["slug"] == f"{slug}-2"


async def test_an_operator_looks_and_tests_and_changes_nothing(web: Web, one: str) -> None:
    """Reading and testing need an operator; every change needs an admin."""
    async with web.client(web.operator_key) as client:
        assert (await client.get(one)).status_code == 200
        test = {"saved": one.split("/")[5], "event": track()}
        assert (await client.post(one.rpartition("/")[0] + "/test", json=test)).status_code == 200
        for answer in (
            await client.patch(one, json={"version": 1, "name": "x"}),
            await client.delete(one, params={"version": 1}),
            await client.post(f"{one}/move", json={"version": 1, "place": 1}),
            await client.post(f"{one}/restore", json={"version": 1, "restore": 1}),
            await client.post(one.rpartition("/")[0], json={"name": "x", "action": "send"}),
        ):
            assert answer.status_code == 403


async def tried(client: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    found: dict[str, Any] = await ok(await client.post(f"{VOUCHERIFY}/mappings/test", json=body))
    return found


def stops(found: dict[str, Any]) -> list[str]:
    """The steps that do not let it pass."""
    return [step["name"] for step in found["steps"] if step["passes"] is False]


async def test_a_test_shows_the_request_and_sends_nothing(web: Web, client: httpx.AsyncClient) -> None:
    """An unsaved draft on a real event: payload and request with masked keys; nothing is sent, saved or delivered."""
    await store(web.database, track("Coffee Drunk", properties={"metadata": {"cups": 2}}))
    before = await version(web.database)
    found = await tried(client, saved=TRACK, trigger=COFFEE)
    assert (found["would_send"], stops(found)) == (True, [])
    assert found["request"]["body"] == found["payload"]
    assert found["payload"]["metadata"] == {"cups": 2}
    assert found["request"]["url"].endswith("/segmentio/event-processing")
    headers = found["request"]["headers"]
    assert (headers["authorization"], headers["secret-key"]) == ("••••••", "••••••")
    keys = web.settings
    for secret in (keys.voucherify_secret_key, keys.voucherify_integration_secret_key):
        assert secret.get_secret_value() not in str(found)
    assert found["event"]["event"] == "Coffee Drunk"
    assert await version(web.database) == before
    for table in ("delivery", "function_result"):
        async with web.database.connection() as connection:
            assert not await connection.fetchval(
                f"SELECT count(*) FROM {table} WHERE destination = 'voucherify-actions'"
            )
    assert (await ok(await client.get(SAVED)))["mapping"]["version"] == 1


async def test_the_function_runs_dry(web: Web, client: httpx.AsyncClient) -> None:
    """Card and coupon are not published: the calls are shown as not made, and nothing is kept as done."""
    found = await tried(client, saved="order-paid", event=order("o-dry", price=50.0))
    assert found["function"]["outcome"] == "returned"
    assert found["function"]["event"]["properties"]["earned_coupon"] == "DRY-RUN"
    assert [call["dry"] for call in found["function"]["calls"] if call["method"] == "POST"] == [True, True]
    assert "2 calls that would have written were not made" in str(found["steps"])
    assert await count(web.database, "function_once") == 0


async def test_the_position_of_an_event_chooses_it(web: Web, client: httpx.AsyncClient) -> None:
    """Events to choose from come newest first, with who takes them; any position can be tried, a gone one is a 404."""
    await store(web.database, identify("u-77"))
    recent = await ok(await client.get(f"{VOUCHERIFY}/recent-events?limit=1"))
    assert recent[0]["event"]["message"]["userId"] == "u-77"
    assert recent[0]["taken_by"] == ["create-or-update-customer"]
    found = await tried(client, saved=TRACK, position=recent[0]["event"]["position"])
    assert (found["position"], stops(found)) == (recent[0]["event"]["position"], ["trigger"])
    missing = await client.post(f"{VOUCHERIFY}/mappings/test", json={"saved": TRACK, "position": 10**9})
    assert missing.status_code == 404


async def test_no_event_is_an_answer_too(client: httpx.AsyncClient) -> None:
    """Where no recent event meets the trigger, or it can't be read, the answer says so and has the lint."""
    found = await tried(client, saved=TRACK, trigger='type = "track" and event = "Never"')
    assert (found["would_send"], found["event"]) == (False, None)
    assert "None of the latest 500 events" in found["steps"][0]["sentence"]
    found = await tried(client, saved=TRACK, trigger='(type = "track" and (event = "A" or event = "B"))')
    assert "can't be read" in found["steps"][0]["sentence"]
    assert any(finding["level"] == "error" for finding in found["findings"])


@pytest.mark.parametrize(
    ("draft", "event", "stopped", "words"),
    [
        ({"trigger": 'type = "page"'}, {}, ["trigger"], "does not take"),
        ({}, {"integrations": {"All": False}}, ["integrations"], "integrations object keeps it"),
        ({}, {"type": "delete"}, ["trigger", "function"], "no handler on_delete"),
        ({"mapping": {}}, {}, ["mapping"], "missing the required field 'customer'"),
        ({"mapping": {"customer": {"@x": 1}}}, {}, ["mapping"], "/customer has an invalid directive: @x."),
        ({"action": "fly"}, {}, ["mapping"], "has no action 'fly'"),
        ({}, {"context": None}, ["mapping"], "context"),
    ],
)
async def test_each_step_says_why_it_stops(
    client: httpx.AsyncClient, draft: dict[str, Any], event: dict[str, Any], stopped: list[str], words: str
) -> None:
    """The step that would stop the event says no, with its reason; the others are shown all the same."""
    found = await tried(client, saved=TRACK, event=track() | event, **draft)
    assert (stops(found), found["would_send"]) == (stopped, False)
    assert words in " ".join(step["sentence"] for step in found["steps"])


async def test_filters_and_off_stop_it_in_a_test(client: httpx.AsyncClient, path: str, one: str) -> None:
    """A filter that drops, one that takes properties, a mapping and a destination that are off: each is told."""
    destination = path.removesuffix("/mappings")
    slug, event = one.split("/")[5], track(properties={"card": "4111", "total": 5})
    rule = {"name": "No cards", "condition": 'type = "track"', "kind": "drop_properties", "paths": ["properties.card"]}
    await ok(await client.post(f"{destination}/filters", json=rule))

    async def run() -> dict[str, Any]:
        found: dict[str, Any] = await ok(await client.post(f"{path}/test", json={"saved": slug, "event": event}))
        return found

    found = await run()
    assert (found["would_send"], found["payload"]["data"]["properties"]) == (True, {"total": 5})
    assert "•" not in found["request"]["headers"]["content-type"]
    rule = {"name": "None at all", "condition": 'event = "Tested"', "kind": "drop"}
    await ok(await client.post(f"{destination}/filters", json=rule))
    await ok(await client.patch(one, json={"version": 1, "enabled": False}))
    found = await run()
    assert stops(found) == ["enabled", "filters"]
    assert "The filter None at all keeps it from this destination." in str(found["steps"])


async def test_saving_tells_what_is_worth_knowing(client: httpx.AsyncClient, one: str) -> None:
    """A trigger that Segment reads otherwise is saved as it is, and the answer says how it is read."""
    trap = 'type = "track" or event = "A" and event = "B"'
    saved = await ok(await client.patch(one, json={"version": 1, "trigger": trap}))
    assert saved["mapping"]["trigger"] == trap
    assert any(finding["reads_as"] for finding in saved["findings"])
    saved = await ok(await client.patch(one, json={"version": 2, "mapping": {"method": "POST", "dta": 1}}))
    assert any(finding["at"] == "/dta" for finding in saved["findings"])


async def test_a_trigger_that_is_refused_comes_with_what_to_write(
    client: httpx.AsyncClient, path: str, one: str
) -> None:
    """Of a new mapping and of a change, the 400 has the findings of the trigger; other faults have none."""
    new = await client.post(path, json={"name": "A", "action": "send", "trigger": NESTED})
    change = await client.patch(one, json={"version": 1, "trigger": NESTED})
    for refused in (new, change):
        assert (refused.status_code, refused.json()["faults"][0]["field"]) == (400, "trigger")
        assert {finding["write_instead"] for finding in refused.json()["findings"]} == {UNNESTED}
    other = await client.patch(one, json={"version": 1, "mapping": {"data": {"@bogus": 1}}})
    assert (other.status_code, "findings" in other.json()) == (400, False)


async def test_a_new_mapping_starts_disabled(client: httpx.AsyncClient, path: str) -> None:
    """Only who says so gets one that takes events at once."""
    new = {"name": "New", "action": "send"}
    assert not (await ok(await client.post(path, json=new)))["mapping"]["enabled"]
    assert (await ok(await client.post(path, json={**new, "enabled": True})))["mapping"]["enabled"]


async def test_the_tested_event_counts_as_one_that_came(client: httpx.AsyncClient) -> None:
    """What the mapping loses of the event that it is tried on is told, though no such event ever came."""
    event = track(properties={"metadata": {}, "colour_of_the_cup": "blue"})
    found = await tried(client, saved=TRACK, event=event)
    assert any(
        finding["code"] == "never-leaves" and "colour_of_the_cup" in finding["sentence"]
        for finding in found["findings"]
    )


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        ("http://169.254.169.254/latest", False),
        ("http://[::ffff:10.0.0.1]:9/", False),
        ("https://2130706433/", False),
        ("https://93.184.215.14/", True),
        ("https://hooks.example.com/", True),
    ],
)
async def test_an_address_of_no_public_net_is_not_called(
    client: httpx.AsyncClient, path: str, url: str, sent: bool
) -> None:
    """A test says what the worker would: nothing goes to a number that is not public. Names are not looked up."""
    mapping = {"method": "POST", "url": url, "data": {"@path": "$."}}
    body = {"action": "send", "trigger": 'type = "track"', "mapping": mapping, "event": track()}
    found = await ok(await client.post(f"{path}/test", json=body))
    assert (found["would_send"], stops(found)) == (sent, [] if sent else ["request"])
    assert ("not public" in found["steps"][-1]["sentence"]) is not sent
    assert "lets it through to Coupon mails (there it is Webhooks (Actions))" in found["steps"][1]["sentence"]


async def test_keys_in_mappings_are_for_admins(web: Web, client: httpx.AsyncClient, path: str) -> None:
    """An operator sees a mask wherever a mapping or its test is shown; paths stay, and an admin sees all."""
    key, headers = "Bearer first-key", {"X-Api-Key": {"@path": "$.context.key"}, "accept": "text/plain"}
    given = {"url": "https://x.example.com", "method": "POST", "headers": {"authorization": key, **headers}}
    destination = path.removesuffix("/mappings")
    slug = (await mapping(client, destination.split("/")[3], "Keys", mapping=given))["slug"]
    given["headers"]["authorization"] = "Bearer other-key"  # type: ignore[index]
    await ok(await client.patch(f"{path}/{slug}", json={"version": 1, "mapping": given}))
    screen = f"{path.replace('/api', '/console')}/{slug}"
    shown = [API, destination, path, f"{path}/{slug}", f"{path}/{slug}/versions", screen]
    async with browser(web, web.operator_key) as operator:
        answers = [await operator.get(each) for each in shown]
        answers.append(await operator.post(f"{path}/test", json={"saved": slug, "event": track()}))
        answers.append(await operator.post(f"{destination}/pause"))
        answers.append(await operator.post(f"{destination}/resume"))
    seen = [each.text for each in answers if each.status_code == 200]
    assert len(seen) == len(answers)
    assert [each for each in seen if "-key" in each.replace("x-api-key", "")] == []
    assert "$.context.key" in seen[3]
    assert "text/plain" in seen[3]
    assert [each for each in shown[:5] if "other-key" not in (await client.get(each)).text] == []
