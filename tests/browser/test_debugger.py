"""The live debugger of a source in a real browser: events of a real sender, seen as they come."""

import re
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import expect

from app.auth.principal import SESSION_COOKIE
from tests.browser.conftest import OpenPage
from tests.browser.screens import fits
from tests.house import House

pytestmark = pytest.mark.browser


@pytest_asyncio.fixture
async def source(house: House) -> AsyncIterator[dict[str, Any]]:
    """A source of this test."""
    async with httpx.AsyncClient(base_url=house.web, timeout=60) as client:
        answer = await client.post(
            "/api/sources",
            json={"name": f"Kiosk {uuid4().hex[:6]}"},
            headers={"authorization": f"Bearer {house.admin_token}"},
        )
        yield answer.json()


def signed_in(house: House) -> dict[str, Any]:
    """The state of a browser in which an admin is signed in."""
    cookie = {"name": SESSION_COOKIE, "value": house.admin_token, "domain": "127.0.0.1", "path": "/"}
    more = {"expires": -1, "httpOnly": True, "secure": False, "sameSite": "Strict"}
    return {"cookies": [{**cookie, **more}], "origins": []}


async def send(house: House, source: dict[str, Any], message: dict[str, Any]) -> None:
    async with httpx.AsyncClient(base_url=house.web, timeout=60) as client:
        call, key = message.pop("call", "track"), source["keys"][0]["key"]
        assert (await client.post(f"/v1/{call}", json=message, auth=(key, ""))).status_code == 200


async def test_events_are_seen_as_they_come(house: House, open_page: OpenPage, source: dict[str, Any]) -> None:
    """The first event appears by itself; pause holds back and goes on; a row opens with its keys; the filter stays."""
    page = await open_page(f"/console/sources/{source['slug']}", storage_state=signed_in(house))
    feed, live = page.locator("#feed > li"), page.locator("#live-words")
    await expect(page.locator("#nothing")).to_contain_text(source["keys"][0]["key"])
    await expect(live).to_have_text("live")

    await send(house, source, {"event": "Coffee Drunk", "userId": "u-1", "properties": {"cups": 2, "note": "<b>x"}})
    await expect(feed).to_have_count(1)
    await expect(feed.first).to_contain_text("Coffee Drunk")
    await expect(page.locator("#nothing")).to_have_count(0)

    await page.get_by_role("button", name="Pause").click()
    await send(house, source, {"event": "Cup Returned", "properties": {"cups": 1}})
    await expect(live).to_have_text("paused, 1 more arrived")
    await expect(feed).to_have_count(1)
    await page.get_by_role("button", name="Go on").click()
    await expect(feed).to_have_count(2)
    await expect(feed.first).to_contain_text("neither a userId nor an anonymousId")

    row, sheet = feed.nth(1).get_by_role("button"), page.locator("#sheet")
    await feed.first.get_by_role("button").focus()
    await page.keyboard.press("ArrowDown")
    await expect(row).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(sheet.locator("#pretty")).to_contain_text("cups 2")
    await expect(sheet.locator("#raw")).to_be_hidden()
    await sheet.get_by_role("button", name="Raw").click()
    await expect(sheet.locator("#raw")).to_contain_text('"note": "<b>x"')
    await expect(sheet.locator("#pretty")).to_be_hidden()
    await fits(page)
    await page.keyboard.press("Escape")
    await expect(sheet).to_be_hidden()
    await expect(row).to_be_focused()

    await page.get_by_label("Name").fill("coffee")
    await page.get_by_role("button", name="Show", exact=True).click()
    await expect(page).to_have_url(re.compile("name=coffee"))
    await expect(feed).to_have_count(1)
    await expect(live).to_have_text("live")
    await send(house, source, {"event": "Cup Returned", "userId": "u-1"})
    await send(house, source, {"event": "Coffee Spilt", "userId": "u-1"})
    await expect(feed).to_have_count(2)
    await expect(feed.first).to_contain_text("Coffee Spilt")
    await fits(page)


async def test_an_admin_changes_a_source(house: House, open_page: OpenPage, source: dict[str, Any]) -> None:
    """A key is shown when asked for, and rotated; disabling says first what it means, and can be undone."""
    page = await open_page("/console/sources", storage_state=signed_in(house))
    card, (key,) = page.locator(f"#{source['slug']}"), source["keys"]
    await expect(card.locator(".key code").first).to_have_text(f"••••••{key['key'][-4:]}")
    await card.get_by_role("button", name="Show").click()
    await expect(card.locator(".key code").first).to_have_text(key["key"])
    await card.get_by_role("button", name="Rotate").click()
    await expect(card.locator(".key")).to_have_count(2)
    await card.get_by_text("Delete…").first.click()
    await card.get_by_role("button", name="Delete this key").first.click()
    await expect(card.locator(".key")).to_have_count(1)
    await expect(card.locator(".key code").first).not_to_have_text(f"••••••{key['key'][-4:]}")
    await card.get_by_text("Disable…").click()
    await expect(card).to_contain_text("not taken in later")
    await card.get_by_role("button", name="Disable").click()
    await expect(card.locator(".state")).to_contain_text("disabled")
    await card.get_by_role("button", name="Enable").click()
    await expect(card.locator(".state")).to_contain_text("enabled")
    await fits(page)
