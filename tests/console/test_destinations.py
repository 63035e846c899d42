"""Destinations and filters over the API: secrets never come out, and changes never overwrite each other."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import pytest_asyncio
from litestar import Litestar
from litestar.handlers import head

from app.console.page import troubles
from app.db.wake import CHANNEL
from app.pipeline import lanes
from app.pipeline.filters import MOST
from tests.conftest import MakeDatabase
from tests.console.setting_up import (
    API,
    NESTED,
    SECRET,
    UNNESTED,
    VOUCHERIFY,
    admin,
    browser,
    mapping,
    ok,
    version,
    webhook,
)
from tests.web import Web, open_web, served

RULE = {"name": "No cards", "condition": 'type = "track"', "kind": "drop_properties", "paths": ["properties.card"]}


@pytest_asyncio.fixture(scope="module")
async def web(make_database: MakeDatabase, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Web]:
    folder, database = tmp_path_factory.mktemp("destinations"), await make_database("destinations")
    async with open_web(folder, database, WEBHOOK_ALLOWED_HOSTS="127.0.0.1") as opened:
        yield opened


@pytest_asyncio.fixture
async def client(web: Web) -> AsyncIterator[httpx.AsyncClient]:
    async with admin(web) as opened:
        yield opened


async def kept_settings(web: Web, slug: str) -> Any:
    async with web.database.connection() as connection:
        return await connection.fetchval("SELECT settings FROM destination WHERE slug = $1", slug)


async def wait_for(web: Web, slug: str, status: str = "pending") -> None:
    """One delivery of the destination, with its lane."""
    async with web.database.connection() as connection:
        await connection.execute(
            """INSERT INTO delivery (event_position, destination, mapping, person, status, attempts, due_at, held,
                                     passed, created_at) VALUES (1, $1, 'm', 'u-1', $2, 0, now(), 0, false, now())""",
            slug,
            status,
        )
        await connection.execute("INSERT INTO lane (destination, person, due_at) VALUES ($1, 'u-1', now())", slug)


async def test_the_catalogue_has_all_that_a_form_needs(client: httpx.AsyncClient) -> None:
    """Each type with its settings, actions, their fields and help, default mappings, and presets."""
    types = {each["type"]: each for each in await ok(await client.get(f"{API}/catalogue"))}
    voucherify = types["voucherify-actions"]
    assert (voucherify["settings_from"], types["webhook"]["settings_from"]) == ("environment", "row")
    actions = {action["slug"]: action for action in voucherify["actions"]}
    assert actions["upsertCustomer"]["default_mapping"]["email"] == {"@path": "$.traits.email"}
    assert actions["upsertCustomer"]["fields"][0]["required"]
    assert len(voucherify["presets"]) >= 6


async def test_a_secret_goes_in_and_never_comes_out(
    web: Web, client: httpx.AsyncClient, capsys: pytest.CaptureFixture[str]
) -> None:
    """Masked in every answer, on every screen and in no log; the mask sent back keeps it, another text replaces it."""
    made = await webhook(client, "Masked")
    path, screen = f"{API}/{made['slug']}", f"/console/destinations/{made['slug']}"
    given = {"sharedSecret": "••••••", "url": "https://hooks.example.com/other"}
    body = {"updated_at": made["updated_at"], "settings": given}
    changed = await ok(await client.patch(path, json=body))
    assert await kept_settings(web, made["slug"]) == {**given, "sharedSecret": SECRET}
    await mapping(client, made["slug"])
    tests = await ok(
        await client.post(f"{path}/mappings/test", json={"saved": "all-tracks", "event": {"type": "track"}})
    )
    assert tests["request"]["headers"]["x-signature"] == "••••••"
    wrong = {"sharedSecret": SECRET, "url": f"not an address {SECRET}"}
    refused = await client.patch(path, json={"updated_at": changed["updated_at"], "settings": wrong})
    assert refused.status_code == 400
    async with browser(web, web.admin_token) as person:
        form = {"do": "change", "name": "", "updated_at": changed["updated_at"], "settings.sharedSecret": SECRET}
        shown = [
            await person.post(screen, data=form),
            await person.get(screen),
            await person.get("/console/destinations"),
        ]
    assert shown[0].status_code == 400
    answers = [refused, await client.get(API), await client.get(path), *shown]
    everything = [str(made), str(changed), str(tests), *(answer.text for answer in answers), capsys.readouterr().out]
    for text in everything:
        assert SECRET not in text
        assert quote(SECRET) not in text
    changed = await ok(await client.patch(path, json={**body, "updated_at": changed["updated_at"], "settings": {
        "sharedSecret": "another-one", "url": "https://hooks.example.com/other"}}))  # fmt: skip
    assert (await kept_settings(web, made["slug"]))["sharedSecret"] == "another-one"
    await ok(await client.patch(path, json={"updated_at": changed["updated_at"], "settings": {"sharedSecret": ""}}))
    assert await kept_settings(web, made["slug"]) == {}


async def test_the_environments_secrets_stay_there(web: Web, client: httpx.AsyncClient) -> None:
    """Voucherify's keys are masked, are in no row, and are changed, disconnected or connected twice by nobody here."""
    found = await ok(await client.get(VOUCHERIFY))
    assert (found["settings"]["apiKey"], found["settings"]["secretKey"]) == ("••••••", "••••••")
    assert await kept_settings(web, "voucherify-actions") == {}
    seen = {"updated_at": found["updated_at"]}
    for answer in (
        await client.patch(VOUCHERIFY, json={**seen, "settings": found["settings"]}),
        await client.delete(VOUCHERIFY, params=seen),
        await client.post(API, json={"type": "voucherify-actions", "name": "Another"}),
    ):
        assert answer.status_code == 409
        assert "environment" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"type": "fax", "name": "Fax"}, "type: there is no 'fax'. There is voucherify-actions"),
        ({"type": "webhook", "name": " "}, "name: give it one"),
        ({"type": "webhook", "name": "W", "settings": {"urll": "x"}}, "settings.urll: Webhooks (Actions) has no such"),
        (
            {"type": "webhook", "name": "W", "settings": {"sharedSecret": "••••••"}},
            "settings.sharedSecret: there is none",
        ),
        ({"type": "webhook", "name": "W", "settings": {"url": "ftp://x"}}, "settings: The URL must be"),
        ({"type": "webhook", "name": "W", "settings": {"sharedSecret": ["a", "b"]}}, "must be a string"),
        ({"type": "webhook", "name": "W", "settings": {"sharedSecret": "a\x00"}}, "NUL"),
    ],
    ids=["type", "name", "unknown", "mask", "address", "kind", "nul"],
)
async def test_what_can_not_be_connected_is_refused(
    client: httpx.AsyncClient, body: dict[str, Any], words: str
) -> None:
    """400 with a sentence that names the field, and nothing is connected."""
    before = len(await ok(await client.get(API)))
    answer = await client.post(API, json=body)
    assert (answer.status_code, words in answer.json()["detail"]) == (400, True), answer.text
    assert len(await ok(await client.get(API))) == before


async def test_two_that_are_connected_at_once_get_two_slugs(client: httpx.AsyncClient) -> None:
    """The same name at the same moment: both are connected, each under a slug of its own."""
    made = await asyncio.gather(*(webhook(client, "Twins") for _ in range(3)))
    assert sorted(each["slug"] for each in made) == ["twins", "twins-2", "twins-3"]
    assert (await webhook(client, "Catalogue"))["slug"] == "catalogue-2"  # the first would hide a route


async def test_of_two_who_change_a_destination_the_second_is_told(client: httpx.AsyncClient) -> None:
    """Both saw the same `updated_at`: one is kept, the other gets 409."""
    made = await webhook(client, "Contested")
    path = f"{API}/{made['slug']}"
    bodies = [{"updated_at": made["updated_at"], "name": name} for name in ("Ada's", "Bob's")]
    answers = await asyncio.gather(*(client.patch(path, json=body) for body in bodies))
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    kept = next(answer for answer in answers if answer.status_code == 200).json()
    assert (await ok(await client.get(path)))["name"] == kept["name"]


async def test_a_paused_destination_waits_and_goes_on(web: Web, client: httpx.AsyncClient) -> None:
    """An operator pauses it: nothing of it is claimed. Resumed, its lane is claimed, and workers are woken."""
    slug = (await webhook(client, "Paused"))["slug"]
    await wait_for(web, slug)
    heard: list[str] = []
    async with web.client(web.operator_key) as operator, web.database.connection() as connection:
        paused = await ok(await operator.post(f"{API}/{slug}/pause"))
        assert (paused["state"], paused["reason"], paused["waiting"]) == (
            "paused",
            "Paused by operator:an operator.",
            1,
        )
        assert slug not in [lane.destination for lane in await lanes.claim(connection, "w", 10, 10)]
        await connection.add_listener(CHANNEL, hear := lambda *told: heard.append(str(told[-1])))
        assert (await ok(await operator.post(f"{API}/{slug}/resume")))["state"] == "up"
        await connection.fetchval("SELECT 1")  # what was notified comes with the next answer
        await connection.remove_listener(CHANNEL, hear)
        assert sorted(heard) == ["deliver", "watch"]
        assert slug in [lane.destination for lane in await lanes.claim(connection, "w", 10, 10)]


async def test_a_destination_goes_when_nothing_waits(web: Web, client: httpx.AsyncClient) -> None:
    """409 while it is on, while a delivery waits or is unclear; then it goes with all it had, and its slug with it."""
    made = await webhook(client, "Leaving")
    slug, path = made["slug"], f"{API}/{made['slug']}"
    await mapping(client, slug)
    await ok(await client.post(f"{path}/filters", json=RULE))
    on = await client.delete(path, params={"updated_at": made["updated_at"]})
    assert (on.status_code, "Disable this destination first" in on.json()["detail"]) == (409, True)
    off = await ok(await client.patch(path, json={"updated_at": made["updated_at"], "enabled": False}))
    assert off["state"] == "disabled"
    async with web.database.connection() as connection:
        await connection.execute("UPDATE destination_state SET failing_since = now() WHERE destination = $1", slug)
    seen = {"updated_at": off["updated_at"]}
    await wait_for(web, slug, "unclear")
    assert "1 delivery of this destination" in (await client.delete(path, params=seen)).json()["detail"]
    async with web.database.connection() as connection:
        await connection.execute("UPDATE delivery SET status = 'failed' WHERE destination = $1", slug)
    assert (await client.delete(path, params={"updated_at": made["updated_at"]})).status_code == 409
    assert (await client.delete(path, params=seen)).status_code == 204
    assert (await client.get(path)).status_code == 404
    assert slug not in [trouble.destination for trouble in await troubles(web.database)]
    versions = await ok(await client.get(f"{path}/mappings/all-tracks/versions"))
    assert [each["change"] for each in versions] == ["deleted", "created"]
    assert (await webhook(client, "Leaving"))["slug"] == f"{slug}-2"


@head("/in", sync_to_thread=False)
def answers() -> None:
    """A receiver that is there."""


async def test_a_connection_is_tested_plainly(web: Web, client: httpx.AsyncClient) -> None:
    """What each test request met: an answer, nobody there, or nothing to ask. An operator may ask."""
    async with served(Litestar([answers], openapi_config=None)) as url:
        there = await webhook(client, "There", url=f"{url}/in")
        async with web.client(web.operator_key) as operator:
            probes = await ok(await operator.post(f"{API}/{there['slug']}/test-connection"))
    assert [(probe["passes"], probe["status"]) for probe in probes] == [(True, 200)]
    assert probes[0]["request"] == f"HEAD {url}/in"
    (gone,) = await ok(await client.post(f"{API}/{there['slug']}/test-connection"))
    assert (gone["passes"], gone["status"]) == (False, None)
    assert gone["sentence"].endswith(".")
    nothing = await webhook(client, "Nothing", url="")
    assert await ok(await client.post(f"{API}/{nothing['slug']}/test-connection")) == []


async def test_a_filter_is_made_changed_and_deleted(web: Web, client: httpx.AsyncClient) -> None:
    """Each change counts for all processes; what the kind does not use is not kept; a stale change gets 409."""
    path = f"{API}/{(await webhook(client, 'Filtered'))['slug']}/filters"
    before = await version(web.database)
    made = await ok(await client.post(path, json={**RULE, "percent": 5}))
    assert (made["paths"], made["percent"]) == (["properties.card"], None)
    sample = {"name": "A tenth", "condition": 'type = "page"', "kind": "sample", "percent": 10}
    body = {**sample, "updated_at": made["updated_at"], "enabled": False}
    changed = await ok(await client.patch(f"{path}/{made['id']}", json=body))
    assert (changed["kind"], changed["percent"], changed["paths"], changed["enabled"]) == ("sample", 10, [], False)
    assert (await client.patch(f"{path}/{made['id']}", json=body)).status_code == 409
    stale = await client.delete(f"{path}/{made['id']}", params={"updated_at": made["updated_at"]})
    assert stale.status_code == 409
    gone = await client.delete(f"{path}/{made['id']}", params={"updated_at": changed["updated_at"]})
    assert (gone.status_code, await ok(await client.get(path))) == (204, [])
    assert await version(web.database) == before + 3
    assert (await client.delete(f"{path}/{2**80}", params={"updated_at": changed["updated_at"]})).status_code == 404


async def test_two_can_not_make_the_tenth_filter(client: httpx.AsyncClient) -> None:
    """With nine there and three made at once there are ten."""
    path = f"{API}/{(await webhook(client, 'Ten'))['slug']}/filters"
    for _ in range(MOST - 1):
        await ok(await client.post(path, json=RULE))
    made = await asyncio.gather(*(client.post(path, json=RULE) for _ in range(3)))
    assert sorted(answer.status_code for answer in made) == [201, 409, 409]
    assert len(await ok(await client.get(path))) == MOST


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"kind": "burn"}, "kind: a filter is one of"),
        ({"condition": "("}, "condition: "),
        ({"paths": ["card"]}, "paths: card is not a property"),
        ({"kind": "sample", "paths": []}, "percent: say how many"),
        ({"name": ""}, "name: give it one"),
        ({"paths": ["properties.a\x00"]}, "paths: "),
    ],
    ids=["kind", "condition", "paths", "percent", "name", "nul"],
)
async def test_a_filter_that_can_not_be_read_is_refused(
    client: httpx.AsyncClient, given: dict[str, Any], words: str
) -> None:
    """400 with a sentence that names the field."""
    answer = await client.post(f"{VOUCHERIFY}/filters", json={**RULE, **given})
    assert (answer.status_code, words in answer.json()["detail"]) == (400, True), answer.text


async def test_changes_need_an_admin(web: Web, client: httpx.AsyncClient) -> None:
    """An operator reads, pauses and tests; what changes a destination or a filter is an admin's."""
    made = await webhook(client, "Guarded")
    path, seen = f"{API}/{made['slug']}", {"updated_at": made["updated_at"]}
    async with web.client(web.operator_key) as operator:
        assert (await operator.get(path)).status_code == 200
        for answer in (
            await operator.post(API, json={"type": "webhook", "name": "x"}),
            await operator.patch(path, json={**seen, "name": "x"}),
            await operator.delete(path, params=seen),
            await operator.post(f"{path}/filters", json=RULE),
        ):
            assert answer.status_code == 403


@pytest.mark.parametrize("slug", ["nowhere", "a%00b", "x" * 500], ids=["none", "nul", "long"])
async def test_what_is_not_connected_is_not_found(client: httpx.AsyncClient, slug: str) -> None:
    """404 with a sentence, whatever was asked for."""
    for answer in (
        await client.get(f"{API}/{slug}"),
        await client.post(f"{API}/{slug}/pause"),
        await client.post(f"{API}/{slug}/test-connection"),
        await client.get(f"{API}/{slug}/mappings"),
        await client.get(f"{API}/{slug}/mappings/x/versions"),
        await client.post(f"{API}/{slug}/mappings", json={"name": "x", "action": "send"}),
        await client.get(f"{VOUCHERIFY}/mappings/{slug}"),
    ):
        assert answer.status_code == 404, answer.text
        assert answer.json()["detail"]


async def test_a_destination_that_was_down_is_asked_at_once(web: Web, client: httpx.AsyncClient) -> None:
    """A test of the connection that it answers, and Resume, make the next question due now; one that fails does not."""

    async def due(slug: str) -> bool:
        async with web.database.connection() as connection:
            await connection.execute(
                """UPDATE destination_state SET down_since = now(), reason = 'It is down.',
                          probe_at = now() + interval '1 hour' WHERE destination = $1""",
                slug,
            )
            await connection.add_listener(CHANNEL, hear := lambda *told: heard.append(str(told[-1])))
            await ok(await client.post(f"{API}/{slug}/{do}"))
            found: bool = await connection.fetchval(
                "SELECT probe_at <= now() FROM destination_state WHERE destination = $1", slug
            )
            await connection.remove_listener(CHANNEL, hear)
        return found and "watch" in heard

    heard: list[str] = []
    gone = (await webhook(client, "Gone", url="http://127.0.0.1:1/in"))["slug"]
    async with served(Litestar([answers], openapi_config=None)) as url:
        there = (await webhook(client, "Back", url=f"{url}/in"))["slug"]
        do = "test-connection"
        assert await due(there)
    assert not await due(gone)
    heard.clear()
    do = "resume"
    assert await due(gone)


async def test_a_filter_tells_what_to_write_instead(client: httpx.AsyncClient) -> None:
    """Saved or refused, the answer has the findings of its condition; the list has none."""
    path = f"{API}/{(await webhook(client, 'Findings'))['slug']}/filters"
    made = await ok(await client.post(path, json={**RULE, "condition": "event = Coffee Drunk"}))
    assert made["findings"][0]["write_instead"] == 'event = "Coffee Drunk"'
    refused = (await client.post(path, json={**RULE, "condition": NESTED})).json()
    assert [fault["field"] for fault in refused["faults"]] == ["condition"]
    assert {finding["write_instead"] for finding in refused["findings"]} == {UNNESTED}
    no_path = (await client.post(path, json={**RULE, "paths": ["card"]})).json()
    assert "findings" not in no_path
