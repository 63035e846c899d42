"""A mapping in the browser: a trap in its trigger is told, a test sends nothing, an old version comes back."""

from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import httpx
import pytest
from playwright.async_api import expect

from app.auth.principal import SESSION_COOKIE
from tests.browser.conftest import OpenPage
from tests.browser.screens import fits
from tests.house import House

pytestmark = pytest.mark.browser
TRACK = "/console/destinations/voucherify-actions/mappings/add-custom-event-track-event"
TRAP = 'type = "track" or event = "Coffee Drunk" and event != "Order Completed"'


def admin(house: House) -> dict[str, object]:
    """The browser of somebody who is signed in as admin."""
    cookie = {
        "name": SESSION_COOKIE,
        "value": house.admin_token,
        "domain": urlsplit(house.web).hostname,
        "path": "/",
        "expires": -1,
        "httpOnly": True,
        "secure": False,
        "sameSite": "Strict",
    }
    return {"storage_state": {"cookies": [cookie], "origins": []}}


async def real_event(house: House) -> str:
    """The name of an event that came in by the door."""
    connection = await asyncpg.connect(house._environment["DATABASE_URL"])
    key = await connection.fetchval("SELECT key FROM write_key WHERE source = 'online-store'")
    await connection.close()
    name = f"Coffee Drunk {uuid4().hex[:6]}"
    message = {"event": name, "userId": "u-1", "properties": {"cups": 3}, "writeKey": key}
    async with httpx.AsyncClient(timeout=60) as client:
        assert (await client.post(f"{house.web}/v1/track", json=message)).status_code == 200
    return name


async def test_a_trigger_is_edited_tested_saved_and_restored(house: House, open_page: OpenPage) -> None:
    """The lint says how Segment reads it, the test shows the request without secrets, the old version comes back."""
    name = await real_event(house)
    page = await open_page("/console/destinations", **admin(house))
    await fits(page)
    await page.get_by_role("link", name="Voucherify (Actions)").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Voucherify (Actions)")
    await fits(page)
    await page.get_by_role("link", name="Add Custom Event (Track Event)").click()
    trigger = page.get_by_label("Trigger")
    before = await trigger.input_value()

    await trigger.fill(TRAP)
    came = await page.locator("#position option", has_text=name).get_attribute("value")
    await page.get_by_label("With an event that came").select_option(came)
    await page.get_by_role("button", name="Test what is typed").click()
    known = page.locator("#tested")
    await expect(known).to_contain_text("Segment reads it as")
    await expect(known).to_contain_text("The request")
    await expect(known).to_contain_text("••••••")
    await expect(known).to_contain_text(name)
    await expect(trigger).to_have_value(TRAP)  # only the answer was swapped in
    await fits(page)

    await page.get_by_role("button", name="Save as version").click()
    await expect(page.locator("#versions")).to_contain_text("edited by admin")
    await expect(page.locator("#versions del").first).to_contain_text("Order Completed")
    await fits(page)
    await page.locator("#versions li", has_text="created by").get_by_role("button").click()
    await expect(trigger).to_have_value(before)
    await expect(page.locator("#versions")).to_contain_text("restored by admin")
