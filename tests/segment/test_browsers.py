"""Pages of other sites at the door: what a browser asks first, what it may read, and what it sends as it leaves."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
import pytest_asyncio
from litestar import Litestar, get
from litestar.enums import MediaType
from playwright.async_api import Browser

from tests.browser.conftest import chromium  # noqa: F401 - a fixture
from tests.segment.test_door import stored, track
from tests.web import Web, served

ORIGIN = {"origin": "https://shop.example"}


@pytest.mark.parametrize("path", ["/v1/batch", "/v1/b", "/v1/import", "/v1/t", "/v1/identify"])
async def test_a_page_of_another_site_may_post(web: Web, path: str) -> None:
    """The question before a request with a key in its header is answered yes, without a key."""
    asked = {"access-control-request-method": "POST", "access-control-request-headers": "authorization,content-type"}
    async with web.client() as client:
        answer = await client.options(path, headers={**ORIGIN, **asked})
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["access-control-allow-methods"] == "POST"
    assert answer.headers["access-control-allow-headers"] == "*, authorization"
    assert int(answer.headers["access-control-max-age"]) > 0


Ask = Callable[[httpx.AsyncClient], Any]


@pytest.mark.parametrize(
    ("ask", "status"),
    [
        (lambda client: client.post("/v1/t", json={"userId": "u", "event": "E"}, headers=ORIGIN), 200),
        (lambda client: client.post("/v1/b", content=b"{", headers=ORIGIN), 400),
        (lambda client: client.post("/v1/b", content=b" " * 2_000_000, headers=ORIGIN), 400),
        (lambda client: client.post("/v1/dance", json={}, headers=ORIGIN), 404),
    ],
    ids=["taken", "broken", "too large", "no such call"],
)
async def test_a_page_may_read_every_answer(web: Web, ask: Ask, status: int) -> None:
    """Also what went wrong is readable, with the times to wait."""
    async with web.client() as client:
        answer = await ask(client)
    assert answer.status_code == status
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["access-control-expose-headers"] == "retry-after, x-ratelimit-reset"


async def test_a_failure_of_the_door_is_readable_too(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page sees that it was a 500 and not that it may not look."""
    monkeypatch.setattr(web.app.state, "write_keys", None)
    async with web.client() as client:
        answer = await client.post("/v1/t", json={}, headers=ORIGIN)
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert answer.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("path", ["/members", "/pos/orders", "/health", "/webhooks/voucherify"])
async def test_no_other_part_is_open_to_pages(web: Web, path: str) -> None:
    """Only the door may be read from other sites."""
    async with web.client() as client:
        answers = [await client.options(path, headers=ORIGIN), await client.get(path, headers=ORIGIN)]
    assert not any("access-control-allow-origin" in answer.headers for answer in answers)


@pytest.mark.parametrize("type_", ["text/plain", "text/plain;charset=UTF-8", "application/x-www-form-urlencoded", None])
async def test_a_body_is_json_whatever_it_says_it_is(web: Web, write_key: str, type_: str | None) -> None:
    """What `sendBeacon` sends is no application/json, and is taken all the same."""
    message = track()
    async with web.client() as client:
        body = httpx.Request("POST", web.url, json={**message, "writeKey": write_key}).content
        headers = {"content-type": type_} if type_ else {}
        answer = await client.post("/v1/t", content=body, headers=headers)
    assert answer.json() == {"success": True}
    assert len(await stored(web, message)) == 1


@get("/", role="public", media_type=MediaType.HTML)
async def page() -> str:
    return "<!doctype html><title>A shop</title>"


@pytest_asyncio.fixture
async def shop() -> AsyncIterator[str]:
    """A page that is served from another origin."""
    async with served(Litestar([page], openapi_config=None)) as url:
        yield url


SCRIPT = """async ([door, key, first, last]) => {
    const headers = {"content-type": "application/json", "authorization": "Basic " + btoa(key + ":")};
    const answer = await fetch(door + "/v1/t", {method: "POST", headers, body: JSON.stringify(first)});
    const broken = await fetch(door + "/v1/b", {method: "POST", body: "{"});
    const sent = navigator.sendBeacon(door + "/v1/b", JSON.stringify({batch: [last], writeKey: key}));
    return [await answer.json(), broken.status, (await broken.json()).code, sent];
}"""


@pytest.mark.browser
async def test_a_real_browser_writes_from_another_origin(
    web: Web,
    write_key: str,
    shop: str,
    chromium: Browser,  # noqa: F811 - the fixture
) -> None:
    """Chromium lets a page of another origin post with a key in the header, read answers, and send its last words."""
    first, last = track(), track()
    context = await chromium.new_context()
    try:
        opened = await context.new_page()
        await opened.goto(shop)
        told = await opened.evaluate(SCRIPT, [web.url, write_key, first, last])
        async with asyncio.timeout(60):
            while len(await stored(web, first, last)) < 2:  # noqa: ASYNC110 - the rows come from elsewhere
                await asyncio.sleep(0.05)
    finally:
        await context.close()
    assert told == [{"success": True}, 400, "bad_request", True]
