"""The forms that the door takes calls in: the short paths, the old import, and what is well-formed but no call."""

import json
from typing import Any
from uuid import uuid4

import pytest

from tests.segment.test_door import post, rejects, stored, track
from tests.web import Web

SHORT = {"i": "identify", "t": "track", "p": "page", "s": "screen", "g": "group", "a": "alias"}


@pytest.mark.parametrize("letter", SHORT)
async def test_a_call_may_be_named_by_its_first_letter(web: Web, write_key: str, letter: str) -> None:
    """`/v1/t` is `/v1/track`, and so on: what the browser's library posts to."""
    ids = {"userId": "u-1", "groupId": "g", "previousId": "p", "event": "Tested"}
    message = {**ids, "messageId": str(uuid4()), "type": "whatever"}
    async with web.client() as client:
        answer = await client.post(f"/v1/{letter}", json={**message, "writeKey": write_key})
    (event,) = await stored(web, message)
    assert (answer.status_code, event["type"]) == (200, SHORT[letter])


@pytest.mark.parametrize("path", ["/v1/b", "/v1/batch", "/v1/import"])
async def test_a_batch_has_three_names(web: Web, write_key: str, path: str) -> None:
    """All three take the same body."""
    message = track()
    assert (await post(web, write_key, message, path=path)).json() == {"success": True}
    assert len(await stored(web, message)) == 1


async def test_old_clients_import_actions(web: Web, write_key: str) -> None:
    """`/v1/import` reads `action` where there is no `type`; a type wins; elsewhere `action` is no type."""
    old = {"action": "identify", "userId": "u-1", "messageId": str(uuid4())}
    both = track(action="identify")
    assert (await post(web, write_key, old, both, path="/v1/import")).status_code == 200
    first, second = await stored(web, old, both)
    assert (first["type"], "action" in first) == ("identify", False)
    assert (second["type"], second["action"]) == ("track", "identify")
    elsewhere = {**old, "messageId": str(uuid4())}
    await post(web, write_key, elsewhere)
    assert await rejects(web, elsewhere["messageId"]) == [("bad_request", "till")]


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("/v1/batch", {"batch": []}, "empty_batch"),
        ("/v1/batch", {"batch": None}, "empty_batch"),
        ("/v1/batch", {}, "empty_batch"),
        ("/v1/batch", {"batch": {}}, "bad_request"),
        ("/v1/batch", {"batch": "many"}, "bad_request"),
        ("/v1/page", {"userId": "u", "name": 7}, "name_not_string"),
        ("/v1/screen", {"userId": "u", "category": []}, "category_not_string"),
        ("/v1/alias", {"anonymousId": "a", "previousId": "p"}, "id_required"),
    ],
)
async def test_what_is_json_but_no_call_is_a_reject(
    web: Web, write_key: str, path: str, body: dict[str, Any], code: str
) -> None:
    """Well-formed JSON is answered 200 whatever it is; the reject has Segment's code and not the write key."""
    mark = str(uuid4())
    async with web.client() as client:
        answer = await client.post(path, json={**body, "mark": mark, "writeKey": write_key})
    assert (answer.status_code, answer.json()) == (200, {"success": True})
    assert await rejects(web, mark) == [(code, "till")]
    assert await rejects(web, write_key) == []


@pytest.mark.parametrize("body", [[], 7, None, "text"])
@pytest.mark.parametrize("path", ["/v1/batch", "/v1/track", "/v1/import"])
async def test_json_that_is_no_object_is_a_reject_of_nobody(web: Web, path: str, body: Any) -> None:
    """A list, a number, null and a text have no write key: they are answered 200 and stored as a reject of nobody's."""
    async with web.database.connection() as connection:
        last = await connection.fetchval("SELECT coalesce(max(id), 0) FROM reject")
    async with web.client() as client:
        answer = await client.post(path, content=json.dumps(body))
    assert answer.status_code == 200
    async with web.database.connection() as connection:
        rows = await connection.fetch("SELECT code, source, message FROM reject WHERE id > $1", last)
    assert [tuple(row) for row in rows] == [("unknown_source", None, {"message": body})]


async def test_a_disabled_source_takes_nothing_in(web: Web) -> None:
    """Under the key of a source that is switched off a message is answered 200 and kept as its reject."""
    async with web.database.connection() as connection:
        await connection.execute(
            "INSERT INTO source (slug, name, enabled, created_at) VALUES ('off', '', false, now())"
        )
        await connection.execute("INSERT INTO write_key (key, source, created_at) VALUES ('key-off', 'off', now())")
    message = track(mark=str(uuid4()))
    assert (await post(web, "key-off", message)).json() == {"success": True}
    assert await stored(web, message) == []
    assert await rejects(web, message["mark"]) == [("source_disabled", "off")]
