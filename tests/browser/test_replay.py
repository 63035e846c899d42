"""An order that failed is found, looked at and sent again by an operator, through real processes, in a browser."""

import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.screens import SIZES, fits
from tests.browser.test_floor import phone
from tests.house import House

pytestmark = pytest.mark.browser


@pytest_asyncio.fixture
async def refused_order(house: House) -> AsyncIterator[dict[str, Any]]:
    """An order that Voucherify refused, once."""
    member = house.enrol(phone(), "Olga")
    async with httpx.AsyncClient(timeout=60) as client:
        refusal = {"fail_next": {"method": "POST", "path": "/v1/orders", "status": 400}}
        await client.post(f"{house.sandbox}/sandbox/faults", json=refusal)
        yield house.pay(member["id"], {"coffee": 1}).json()
        await client.delete(f"{house.sandbox}/sandbox/faults")


async def folds(page: Page) -> None:
    """It fits every screen, and on a phone no column of a list is out of sight."""
    await fits(page)
    width, height = SIZES[-1]
    await page.set_viewport_size({"width": width, "height": height})
    for cell in await page.locator(".folds td:visible").all():
        box = await cell.bounding_box()
        assert box is not None
        assert box["x"] + box["width"] <= width, await cell.text_content()
    await page.set_viewport_size({"width": SIZES[0][0], "height": SIZES[0][1]})


async def test_an_operator_sends_a_failed_order_again(
    house: House, open_page: OpenPage, refused_order: dict[str, Any]
) -> None:
    """Found by its status, shown with its answer, looked at without being sent, then begun, and seen delivered."""
    page = await open_page()
    order = refused_order["id"]
    row = page.locator(".deliveries tbody tr")
    for _ in range(120):
        await page.goto(f"/console/deliveries?order_id={order}&status=failed")
        if await row.count():
            break
        await page.wait_for_timeout(500)
    await expect(row).to_contain_text("planned_failure")
    await folds(page)
    await row.get_by_role("link").first.click()
    await expect(page.locator(".try")).to_contain_text("HTTP 400")
    await folds(page)
    await page.get_by_role("link", name="Raw").click()
    await page.get_by_role("link", name="Replay this").click()
    await expect(page.locator(".verdict")).to_have_text(
        re.compile(r"1 of 1 deliveries would be sent to Voucherify \(Actions\) again\.")
    )
    await expect(page.locator(".labels")).to_contain_text("safe")
    await expect(page.locator(".preview")).to_contain_text("the same as it was")
    await folds(page)
    await page.get_by_role("button", name="Send 1 again").click()
    await expect(page.get_by_label("Why?")).to_be_focused()  # a replay needs its reason
    await page.get_by_label("Why?").fill("Voucherify was mended.")
    await page.get_by_role("button", name="Send 1 again").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text(re.compile(r"Replay \d+"))
    progress = page.locator("#progress")
    await expect(progress).to_contain_text("1 of 1 looked at")  # it moves by itself
    await expect(progress.locator("dl")).to_contain_text(re.compile(r"delivered\s*1"))
    await folds(page)
    await progress.get_by_role("link", name="1", exact=True).click()
    await expect(row).to_contain_text("delivered")
    house.trace(order)  # and it has earned
    await page.goto("/console/jobs")
    await expect(page.locator("tr", has_text="replay")).to_contain_text("well")
    await folds(page)
