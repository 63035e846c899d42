"""An event whose answer was lost, until somebody has decided what happened: through real processes, in a browser."""

import re
from collections.abc import AsyncIterator
from uuid import uuid4

import asyncpg
import httpx
import pytest
import pytest_asyncio
from playwright.async_api import expect

from tests.browser.conftest import OpenPage
from tests.browser.screens import fits
from tests.browser.test_floor import phone
from tests.house import House

pytestmark = pytest.mark.browser
LOOKED_UP = 40_000
"""Milliseconds for a look-up, which gives Voucherify ten seconds first."""


@pytest_asyncio.fixture
async def unclear_event(house: House) -> AsyncIterator[str]:
    """The name of an event that a gateway swallowed on its way to Voucherify: nobody knows whether it arrived."""
    member, name = house.enrol(phone(), "Olga"), f"Cup returned {uuid4().hex[:6]}"
    connection = await asyncpg.connect(house._environment["DATABASE_URL"])
    key = await connection.fetchval("SELECT key FROM write_key WHERE source = 'online-store'")
    await connection.close()
    async with httpx.AsyncClient(timeout=60) as client:
        doors = ("/segmentio/event-processing", "/v1/events")
        swallow = [{"method": "POST", "path": path, "status": 504} for path in doors]
        await client.post(f"{house.sandbox}/sandbox/faults", json={"fail_next": swallow})
        message = {"event": name, "userId": member["id"], "properties": {"metadata": {"cups": 2}}, "writeKey": key}
        assert (await client.post(f"{house.web}/v1/track", json=message)).status_code == 200
        yield name
        await client.delete(f"{house.sandbox}/sandbox/faults")


async def test_an_operator_decides_what_nobody_can_know(house: House, open_page: OpenPage, unclear_event: str) -> None:
    """It appears with what was sent and how it was looked up; decided, it leaves the page for the history."""
    page = await open_page()
    link = page.locator(".unclear-link")
    for _ in range(LOOKED_UP // 500):
        await page.reload()
        await expect(page.locator("#road .road")).to_be_visible()
        if await link.count():
            break
        await page.wait_for_timeout(500)
    await link.click()
    case = page.locator("article", has_text=unclear_event)
    await expect(case).to_contain_text("Olga")
    await expect(case.locator("pre").first).to_contain_text('"cups": 2')
    await expect(case.locator(".steps li")).to_have_text(
        [re.compile(r"^\s*Sent"), re.compile(r"^\s*Looked up.*not found", re.DOTALL)]
    )
    await case.get_by_role("radio", name="Not done").check()
    await case.get_by_role("button", name="Decide").click()
    await expect(case.get_by_label("How do you know?")).to_be_focused()  # a decision needs its reason
    await case.get_by_label("How do you know?").fill("Not in the customer's activity.")
    await case.get_by_role("button", name="Decide").click()
    await expect(page.locator("article", has_text=unclear_event)).to_have_count(0)
    made = page.locator(".made tr", has_text="Not in the customer's activity.")
    await expect(made).to_contain_text("Not done")
    await expect(made).to_contain_text("development")
    await fits(page)
