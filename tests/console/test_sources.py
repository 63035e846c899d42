"""Sources over HTTP: their keys, their counts, and the screens of list, feed and schema."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio

from app.auth.principal import SESSION_COOKIE
from app.segment.schema import SchemaReader
from tests.conftest import MakeDatabase
from tests.console.arrivals import feed, names, send, track
from tests.web import Web, open_web


@pytest_asyncio.fixture(scope="module")
async def web(make_database: MakeDatabase, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Web]:
    async with open_web(tmp_path_factory.mktemp("sources"), await make_database("sources")) as opened:
        yield opened


async def test_only_admins_read_write_keys(
    admin: httpx.AsyncClient, operator: httpx.AsyncClient, source: dict[str, Any]
) -> None:
    """An operator sees the end of a key and its id; in the list, in one source, and on the screen."""
    (key,) = source["keys"]
    for path in (
        "/api/sources",
        f"/api/sources/{source['slug']}",
        "/console/sources",
        f"/console/sources/{source['slug']}",
    ):
        assert key["key"] in (await admin.get(path)).text
        assert key["key"] not in (await operator.get(path)).text
    masked = (await operator.get(f"/api/sources/{source['slug']}")).json()["keys"]
    assert masked == [{**key, "key": f"••••••{key['key'][-4:]}"}]


async def test_only_admins_change_sources(operator: httpx.AsyncClient, source: dict[str, Any]) -> None:
    """Every change is refused to an operator, over the API and by the forms."""
    at = f"/api/sources/{source['slug']}"
    for answer in (
        await operator.post("/api/sources", json={"name": "Mine"}),
        await operator.patch(at, json={"enabled": False}),
        await operator.post(f"{at}/keys"),
        await operator.delete(f"{at}/keys/{source['keys'][0]['id']}"),
        await operator.post("/console/sources", data={"name": "Mine"}),
        await operator.post(f"/console/sources/{source['slug']}", data={"do": "disable"}),
    ):
        assert answer.status_code == 403


@pytest.mark.parametrize(
    ("wanted", "status", "words"),
    [
        ({"name": "  "}, 400, "name: give one"),
        ({"name": "x" * 81}, 400, "80 characters"),
        ({"name": "Kiosk", "slug": "Kiosk 1"}, 400, "slug: give one"),
        ({"name": "☕"}, 400, "slug: give one"),
        ({"name": "Unknown"}, 400, "stands for"),
        ({"name": "Another till", "slug": "till"}, 409, "'till' already"),
        ({"name": "Kiosk", "colour": "red"}, 400, "colour"),
    ],
    ids=["no name", "long name", "bad slug", "no slug", "reserved", "taken", "unknown field"],
)
async def test_a_source_that_can_not_be_made_is_refused(
    admin: httpx.AsyncClient, wanted: dict[str, str], status: int, words: str
) -> None:
    """With a sentence that says what to mend."""
    answer = await admin.post("/api/sources", json=wanted)
    assert answer.status_code == status
    assert words in answer.json()["detail"]


async def test_a_key_is_rotated_without_a_gap(web: Web, admin: httpx.AsyncClient, source: dict[str, Any]) -> None:
    """Two keys write at once; a third is refused; the old one can go, the last one of an enabled source can't."""
    at = f"/api/sources/{source['slug']}"
    both = (await admin.post(f"{at}/keys")).json()
    assert both["keys"][0] == source["keys"][0]
    await send(web, source, track("by the old"))
    await send(web, both, track("by the new"))
    assert names(await feed(admin, source)) == ["by the new", "by the old"]
    third = await admin.post(f"{at}/keys")
    assert (third.status_code, "has 2 write keys already" in third.json()["detail"]) == (409, True)
    left = await admin.delete(f"{at}/keys/{source['keys'][0]['id']}")
    assert left.json()["keys"] == both["keys"][1:]
    last = await admin.delete(f"{at}/keys/{both['keys'][1]['id']}")
    assert (last.status_code, "the only write key" in last.json()["detail"]) == (409, True)
    assert (await admin.delete(f"{at}/keys/000000000000")).status_code == 404


async def test_of_two_who_delete_a_key_each_one_is_told(admin: httpx.AsyncClient, source: dict[str, Any]) -> None:
    """An enabled source is never left without a key, also when both keys are deleted at the same moment."""
    at = f"/api/sources/{source['slug']}"
    for _ in range(5):
        keys = (await admin.post(f"{at}/keys")).json()["keys"]
        answers = await asyncio.gather(*(admin.delete(f"{at}/keys/{key['id']}") for key in keys))
        assert sorted(answer.status_code for answer in answers) == [200, 409]
        assert len((await admin.get(at)).json()["keys"]) == 1


async def test_a_disabled_source_is_refused_and_seen(
    web: Web, admin: httpx.AsyncClient, source: dict[str, Any]
) -> None:
    """What it sends is answered 200 and shown as refused; it may lose its last key, and needs one to be enabled."""
    at = f"/api/sources/{source['slug']}"
    assert (await admin.patch(at, json={"enabled": False})).json()["enabled"] is False
    await send(web, source, track())
    (row,) = (await feed(admin, source))["rows"]
    assert (row["code"], row["name"], row["person"], row["message"]["event"]) == (
        "source_disabled",
        "Coffee Drunk",
        "u-1",
        "Coffee Drunk",
    )
    assert (await admin.delete(f"{at}/keys/{source['keys'][0]['id']}")).json()["keys"] == []
    refused = await admin.patch(at, json={"enabled": True})
    assert (refused.status_code, "no write key" in refused.json()["detail"]) == (409, True)
    await admin.post(f"{at}/keys")
    assert (await admin.patch(at, json={"enabled": True, "name": " Kiosk  two "})).json()["name"] == "Kiosk two"


async def test_the_list_counts_what_came(web: Web, admin: httpx.AsyncClient, source: dict[str, Any]) -> None:
    """Accepted by the log, refused by code and hour; older hours do not count, and unknown keys are told apart."""
    await send(web, source, track(), track())
    async with web.database.connection() as connection:
        await connection.execute(
            """INSERT INTO reject_count (source, code, hour, count)
               SELECT $1, 'event_not_defined', date_trunc('hour', now()) - hours * interval '1 hour', 3
               FROM generate_series(0, 2) AS hours
               UNION ALL SELECT '', 'unknown_source', date_trunc('hour', now()) + interval '1 hour', 7""",
            source["slug"],
        )
    listed = (await admin.get("/api/sources")).json()
    (found,) = [one for one in listed["sources"] if one["slug"] == source["slug"]]
    assert (found["accepted"], found["refused"]) == (2, {"event_not_defined": 6})
    assert listed["unknown"]["unknown_source"] >= 7
    page = (await admin.get("/console/sources")).text
    assert f'href="/console/sources/{source["slug"]}?refused=yes&amp;text=event_not_defined"' in page


async def test_the_list_counts_so_many_events_at_most(
    web: Web, admin: httpx.AsyncClient, source: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where more came than is counted, it says since when it counts."""
    await send(web, source, *[track(f"Event {n}") for n in range(5)])
    monkeypatch.setattr("app.segment.sources.COUNTED", 2)
    listed = (await admin.get("/api/sources")).json()
    assert [one["accepted"] for one in listed["sources"] if one["slug"] == source["slug"]] == [2]
    assert listed["accepted_since"] > listed["since"]


async def test_there_is_no_such_source(operator: httpx.AsyncClient) -> None:
    """A slug that no source has, or can have, is a 404 everywhere."""
    for slug in ("nobody", "%00", "UPPER", "a" * 300):
        for path in ("", "/events", "/live", "/events/e1", "/schema", "/schema/properties"):
            assert (await operator.get(f"/api/sources/{slug}{path}")).status_code == 404
        assert (await operator.get(f"/console/sources/{slug}")).status_code == 404


async def test_an_empty_feed_says_how_to_begin(
    admin: httpx.AsyncClient, operator: httpx.AsyncClient, source: dict[str, Any], web: Web
) -> None:
    """With a line to paste, which has the key for an admin; and the line works."""
    page = (await admin.get(f"/console/sources/{source['slug']}")).text
    assert "Nothing has arrived yet" in page
    assert f"curl -u {source['keys'][0]['key']}: {web.settings.public_url}/v1/track" in page
    assert "curl -u WRITE_KEY:" in (await operator.get(f"/console/sources/{source['slug']}")).text
    body = '{"userId": "u-1", "event": "Coffee Drunk", "properties": {"cups": 2}}'
    assert body.replace('"', "&#34;") in page.replace("&quot;", "&#34;") or body in page
    async with web.client() as client:
        answer = await client.post("/v1/track", content=body, auth=(source["keys"][0]["key"], ""))
    assert answer.status_code == 200
    page = (await admin.get(f"/console/sources/{source['slug']}")).text
    assert "Nothing has arrived yet" not in page
    assert "Kiosk &lt;1&gt;" in page
    assert "<1>" not in page


async def test_forms_change_a_source(web: Web, source: dict[str, Any], admin: httpx.AsyncClient) -> None:
    """Each form of the list does what its button says and leads back; what is refused comes with the reason."""
    at, cookies = f"/console/sources/{source['slug']}", {SESSION_COOKIE: web.admin_token}
    key = source["keys"][0]["id"]
    async with httpx.AsyncClient(base_url=web.url, cookies=cookies) as browser:
        for form in (
            {"do": "rename", "name": "Corner kiosk"},
            {"do": "add_key"},
            {"do": "delete_key", "key": key},
            {"do": "disable"},
        ):
            answer = await browser.post(at, data=form)
            assert (answer.status_code, answer.headers["location"]) == (303, f"/console/sources#{source['slug']}")
        for form, status, words in (
            ({"do": "delete_key", "key": key}, 404, "no such write key"),
            ({"do": "explode"}, 400, "do: choose one of"),
        ):
            answer = await browser.post(at, data=form)
            assert (answer.status_code, words in answer.text) == (status, True)
        await browser.post(at, data={"do": "enable"})
        taken = await browser.post("/console/sources", data={"name": "Typed <name>", "slug": source["slug"]})
        assert taken.status_code == 409
        assert 'value="Typed &lt;name&gt;"' in taken.text
        new = await browser.post("/console/sources", data={"name": f"New {uuid4().hex[:6]}", "slug": ""})
        assert new.status_code == 303
    found = (await admin.get(f"/api/sources/{source['slug']}")).json()
    assert (found["name"], found["enabled"], len(found["keys"])) == ("Corner kiosk", True, 1)
    assert found["keys"][0]["id"] != key


async def test_the_schema_marks_what_breaks_mappings(
    web: Web, operator: httpx.AsyncClient, source: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A property that came as text and as a number is marked, in the list, in the properties, and over the API."""
    await send(web, source, track(properties={"cups": 2, "size": None}), track(properties={"cups": "2", "size": "L"}))
    reader = SchemaReader(web.database, "a", web.settings.worker.partitions, 10)
    monkeypatch.setattr("app.segment.schema.REST", 0.0)
    while await reader.run_once():
        pass
    at = f"/api/sources/{source['slug']}/schema"
    (kind,) = (await operator.get(at)).json()["events"]
    assert (kind["type"], kind["name"], kind["count"], kind["mixed"]) == ("track", "Coffee Drunk", 2, 1)
    asked = {"type": "track", "name": "Coffee Drunk"}
    found = (await operator.get(f"{at}/properties", params=asked)).json()["properties"]
    assert [(one["path"], one["types"], one["mixed"]) for one in found] == [
        ("properties.cups", {"number": 1, "string": 1}, True),
        ("properties.size", {"null": 1, "string": 1}, False),
    ]
    assert "1 mixed" in (await operator.get(f"/console/sources/{source['slug']}/schema")).text
    page = (await operator.get(f"/console/sources/{source['slug']}/schema", params=asked)).text
    assert page.count("</svg> mixed") == 1
    assert "properties.size" in page
