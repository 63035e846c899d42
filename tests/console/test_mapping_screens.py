"""The screens of destinations and mappings, by their forms alone, as a browser without JavaScript sends them."""

import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from tests.conftest import MakeDatabase
from tests.console.setting_up import API, NESTED, SECRET, UNNESTED, admin, browser, mapping, ok, webhook
from tests.pipeline.road import store, track
from tests.web import Web, open_web

HERE = "/console/destinations"
UNNESTED_SHOWN = UNNESTED.replace('"', "&#34;")


@pytest_asyncio.fixture(scope="module")
async def web(make_database: MakeDatabase, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Web]:
    async with open_web(tmp_path_factory.mktemp("screens"), await make_database("screens")) as opened:
        yield opened


@pytest_asyncio.fixture
async def person(web: Web) -> AsyncIterator[httpx.AsyncClient]:
    """An admin in a browser."""
    async with browser(web, web.admin_token) as opened:
        yield opened


@pytest_asyncio.fixture
async def slug(web: Web) -> str:
    """A webhook with two mappings, A and B."""
    async with admin(web) as client:
        made: str = (await webhook(client))["slug"]
        for name in ("A", "B"):
            await mapping(client, made, name)
    return made


async def now(web: Web, path: str) -> Any:
    """What the API says."""
    async with admin(web) as client:
        return await ok(await client.get(f"{API}/{path}"))


async def send(person: httpx.AsyncClient, path: str, **form: str) -> str:
    """Send a form that goes well; where it leads to."""
    answer = await person.post(f"{HERE}{path}", data=form)
    assert answer.status_code == 303, answer.text
    where: str = answer.headers["location"]
    assert (await person.get(where)).status_code == 200
    return where


async def test_a_destination_is_connected_and_set_up_by_forms(web: Web, person: httpx.AsyncClient) -> None:
    """Connected, renamed, disabled and disconnected; at each step the page shows what is now so."""
    form = {
        "type": "webhook",
        "name": "Push",
        "settings.url": "https://push.example.com",
        "settings.sharedSecret": SECRET,
    }
    assert await send(person, "", **form) == f"{HERE}/push"
    found = await now(web, "push")
    changed = {
        "do": "change",
        "name": "Push 2",
        "settings.url": "https://p.example.com",
        "settings.sharedSecret": "••••••",
    }
    await send(person, "/push", updated_at=found["updated_at"], **changed)
    found = await now(web, "push")
    assert (found["name"], found["settings"]) == ("Push 2", {"sharedSecret": "••••••", "url": "https://p.example.com"})
    await send(person, "/push", do="disable", updated_at=found["updated_at"])
    page = (await person.get(f"{HERE}/push")).text
    assert "Disabled" in page
    assert SECRET not in page
    found = await now(web, "push")
    assert await send(person, "/push", do="disconnect", updated_at=found["updated_at"]) == HERE
    assert "Push 2" not in (await person.get(HERE)).text


async def test_what_was_typed_comes_back_but_no_secret(person: httpx.AsyncClient) -> None:
    """A form that can't be used comes again with the sentence and what was typed; a secret has to be typed anew."""
    form = {"type": "webhook", "name": "Typed name", "settings.url": "ftp://typed", "settings.sharedSecret": SECRET}
    answer = await person.post(HERE, data=form)
    assert answer.status_code == 400
    for shown in ("The URL must be", 'value="Typed name"', 'value="ftp://typed"', "type it again"):
        assert shown in answer.text
    assert SECRET not in answer.text


async def test_a_mapping_is_edited_field_by_field_and_as_json(web: Web, person: httpx.AsyncClient, slug: str) -> None:
    """Both forms save the same kind of version, and line ends of a browser are none of a trigger's."""
    path = f"/{slug}/mappings/a"
    form = {"do": "save", "version": "1", "name": "A", "action": "send", "trigger": 'type = "track"\r\nand event = "X"'}
    fields = {"field:method": '"PUT"', "field:data": "$.properties", "field:url": "", "field:headers": "{}"}
    await send(person, path, **form, **fields)
    saved = (await now(web, path[1:]))["mapping"]
    assert saved["mapping"] == {"method": "PUT", "data": {"@path": "$.properties"}, "headers": {}}
    assert list(saved["mapping"]) == ["method", "data", "headers"]  # the order in which it is sent
    assert saved["trigger"] == 'type = "track"\nand event = "X"'
    assert (await send(person, path, **{**form, "version": "2", "mapping": '{"method": "POST"}'})).endswith(
        "?form=json"
    )
    assert (await now(web, path[1:]))["mapping"]["mapping"] == {"method": "POST"}
    page = (await person.get(f"{HERE}{path}")).text
    assert "Version 3" in page
    assert "Restore version 1" in page
    await send(person, path, do="restore", version="3", restore="1")
    assert (await now(web, path[1:]))["mapping"]["mapping"]["data"] == {"@path": "$."}


async def test_faults_stand_beside_their_fields(web: Web, person: httpx.AsyncClient, slug: str) -> None:
    """Text that is no JSON, a trigger that can't be read, a stale version: the page comes again with what was typed."""
    path, form = f"{HERE}/{slug}/mappings/a", {"do": "save", "version": "1", "name": "A", "action": "send"}
    page = await person.post(path, data={**form, "trigger": 'type = "track"', "field:data": "properties.<b>"})
    assert page.status_code == 400
    assert page.text.count('class="fault"') == 1
    assert "properties.&lt;b&gt;</textarea>" in page.text
    page = await person.post(path, data={**form, "trigger": 'type = "typed', "mapping": '{"method": '})
    assert "line 1, column 12" in page.text
    page = await person.post(path, data={**form, "trigger": 'type = "typed', "mapping": "{}"})
    assert (page.status_code, "type = &#34;typed" in page.text) == (400, True)
    page = await person.post(path, data={**form, "trigger": NESTED, "mapping": "{}"})
    assert (page.status_code, page.text.count("Write instead"), page.text.count(f'value="{UNNESTED_SHOWN}"')) == (
        400,
        1,
        1,
    )
    page = await person.post(path, data={**form, "version": "7", "trigger": 'type = "typed"', "mapping": "{}"})
    assert (page.status_code, "after you looked at it" in page.text, "type = &#34;typed" in page.text) == (
        409,
        True,
        True,
    )
    assert (await now(web, f"{slug}/mappings/a"))["mapping"]["version"] == 1


async def test_mappings_are_made_moved_switched_and_deleted(web: Web, person: httpx.AsyncClient, slug: str) -> None:
    """A new one starts disabled and at the end; buttons move it, switch it and delete it."""
    assert await send(person, f"/{slug}/mappings", start="action:send", name="New") == f"{HERE}/{slug}/mappings/new"
    new = (await now(web, f"{slug}/mappings/new"))["mapping"]
    assert (new["enabled"], new["place"]) == (False, 3)
    back = await send(person, f"/{slug}/mappings/new", do="up", version="1")
    assert back == f"{HERE}/{slug}#mappings"
    await send(person, f"/{slug}/mappings/new", do="enable", version="2", back="yes")
    found = await now(web, f"{slug}/mappings")
    assert [(each["slug"], each["enabled"]) for each in found] == [("a", True), ("new", True), ("b", True)]
    await send(person, f"/{slug}/mappings/new", do="delete", version="3")
    assert [each["slug"] for each in await now(web, f"{slug}/mappings")] == ["a", "b"]
    preset = {"start": "preset:Create Or Update Customer", "name": ""}
    made = await send(person, "/voucherify-actions/mappings", **preset)
    assert made.endswith("/create-or-update-customer-2")


async def test_what_is_typed_is_tested_and_not_saved(web: Web, person: httpx.AsyncClient, slug: str) -> None:
    """The test shows what would be sent of a recent event or of a typed one; a fix of the lint can be taken over."""
    await store(web.database, track("Coffee Drunk", properties={"cups": 4}))
    path = f"{HERE}/{slug}/mappings/a"
    form = {"version": "1", "name": "A", "action": "send", "field:data": "$.properties", "field:method": '"POST"'}
    page = await person.post(f"{path}/test", data={**form, "trigger": 'type = "track" and event = "Coffee Drunk"'})
    assert "It would be sent" in page.text
    assert "&#34;cups&#34;: 4" in page.text
    assert "••••••" in page.text
    trap = 'type = "track" or event = "A" and event = "B"'
    page = await person.post(f"{path}/test", data={**form, "trigger": trap, "event": '{"type": "page"}'})
    assert "It would not be sent" in page.text
    (fix,) = set(re.findall(r'name="use" value="([^"]+)"', page.text))
    page = await person.post(f"{path}/test", data={**form, "trigger": trap, "use": fix.replace("&#34;", '"')})
    assert f"required>{fix}</textarea>" in page.text
    page = await person.post(f"{path}/test", data={**form, "trigger": trap, "event": "{no"})
    assert (page.status_code, "event: This is not JSON" in page.text) == (200, True)
    assert (await now(web, f"{slug}/mappings/a"))["mapping"]["version"] == 1


async def test_filters_are_made_changed_and_deleted(web: Web, person: httpx.AsyncClient, slug: str) -> None:
    """By their forms; one that can't be read comes back open, with what was typed."""
    form = {"do": "save", "name": "No cards", "condition": 'type = "track"', "kind": "drop_properties", "percent": ""}
    await send(person, f"/{slug}/filters", **form, paths="properties.card\r\n\r\nproperties.cvc", enabled="yes")
    (made,) = await now(web, f"{slug}/filters")
    assert (made["paths"], made["enabled"]) == (["properties.card", "properties.cvc"], True)
    which = {"id": str(made["id"]), "updated_at": made["updated_at"]}
    wrong = await person.post(f"{HERE}/{slug}/filters", data={**form, **which, "paths": "typed.path"})
    assert (wrong.status_code, "typed.path is not a property" in wrong.text) == (400, True)
    assert ">typed.path</textarea>" in wrong.text
    unread = await person.post(f"{HERE}/{slug}/filters", data={**form, **which, "condition": NESTED})
    assert (unread.status_code, unread.text.count(f"Write instead: <code>{UNNESTED_SHOWN}<")) == (400, 1)
    await send(person, f"/{slug}/filters", **{**form, **which, "kind": "sample", "percent": "12.5", "paths": ""})
    (made,) = await now(web, f"{slug}/filters")
    assert (made["kind"], made["percent"], made["enabled"]) == ("sample", 12.5, False)
    assert "12.5 of 100" in (await person.get(f"{HERE}/{slug}")).text
    await send(person, f"/{slug}/filters", **{**which, "do": "delete", "updated_at": made["updated_at"]})
    assert await now(web, f"{slug}/filters") == []


async def test_the_page_counts_the_last_day(web: Web, person: httpx.AsyncClient, slug: str) -> None:
    """Each mapping says how many deliveries of the last day are in which state, and what is older does not count."""
    async with web.database.connection() as connection:
        await connection.execute(
            """INSERT INTO delivery (event_position, destination, mapping, person, status, attempts, due_at, held,
                                     passed, created_at)
               SELECT n, $1, 'a', 'u-1', CASE WHEN n > 2 THEN 'delivered' ELSE 'failed' END, 0, now(), 0, false,
                      now() - n * interval '4 hours' FROM generate_series(1, 9) AS n""",
            slug,
        )
    page = (await person.get(f"{HERE}/{slug}")).text
    told = re.findall(r"<strong>([\d,]+)</strong> (\w+)", page)
    assert told == [("3", "delivered"), ("2", "failed")]


async def test_an_operator_sees_no_button_that_is_an_admins(web: Web, slug: str) -> None:
    """Pause and both tests are there; what changes something is not, and is refused when it is sent all the same."""
    async with browser(web, web.operator_key) as person:
        for path in (HERE, f"{HERE}/{slug}", f"{HERE}/{slug}/mappings/a"):
            page = (await person.get(path)).text
            assert 'value="save"' not in page
            assert "Save" not in page.replace("can save it", "")
        assert "Pause" in (await person.get(f"{HERE}/{slug}")).text
        await send(person, f"/{slug}/state", do="pause")
        assert "Paused by operator:an operator." in (await person.get(f"{HERE}/{slug}")).text
        await send(person, f"/{slug}/state", do="resume")
        test = {"version": "1", "name": "A", "action": "send", "trigger": 'type = "page"', "event": '{"type": "page"}'}
        assert "would" in (await person.post(f"{HERE}/{slug}/mappings/a/test", data=test)).text
        assert (await person.post(f"{HERE}/{slug}/connection")).status_code == 200
        for path in ("", f"/{slug}", f"/{slug}/filters", f"/{slug}/mappings", f"/{slug}/mappings/a"):
            assert (await person.post(f"{HERE}{path}", data={"do": "save"})).status_code == 403


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("", {"type": "webhook"}),
        ("/S", {"do": "fly", "updated_at": "2026-01-01T00:00:00Z"}),
        ("/S", {"do": "enable", "updated_at": "soon"}),
        ("/S/filters", {"id": "9x", "updated_at": "2026-01-01T00:00:00Z"}),
        ("/S/filters", {"kind": "sample", "percent": "many"}),
        ("/S/mappings", {"start": "action:fly"}),
        ("/S/mappings/a", {"do": "fly"}),
        ("/S/mappings/a", {"do": "restore", "version": "1", "restore": "-1"}),
        ("/S/mappings/a", {"do": "save", "version": "x" * 50}),
    ],
    ids=["connect", "do", "seen", "id", "percent", "start", "mapping do", "restore", "version"],
)
async def test_a_form_of_nobodys_is_refused(
    person: httpx.AsyncClient, slug: str, path: str, form: dict[str, str]
) -> None:
    """Whatever is sent, the answer is a 400 or 409 with a sentence."""
    answer = await person.post(f"{HERE}{path.replace('/S', f'/{slug}', 1)}", data=form)
    assert answer.status_code in {400, 409}, answer.text
