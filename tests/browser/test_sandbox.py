"""The sandbox's own pages in a browser: what is in it, what it sent, and the switches, without any script."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from app.sandbox.app import create_app
from tests.browser.screens import fits
from tests.sandbox.programme import LOYALTY, buy, coupon, coupons, join, loyalty, redeem, send
from tests.sandbox.serving import KEYS, Sink, config_for, served

pytestmark = pytest.mark.browser
REFUSED = "status of 400"
"""What Chromium says of a form that is refused with its reason in the page."""


@dataclass
class Stand:
    """A sandbox with a member who bought something, the receiver of its webhooks, and a page that shows it."""

    url: str
    api: httpx.AsyncClient
    sink: Sink
    page: Page
    card: str
    code: str

    async def go(self, path: str = "") -> None:
        await self.page.goto(f"/sandbox{path}")
        await expect(self.page.locator("footer")).to_be_visible()


@pytest_asyncio.fixture
async def stand(chromium: Browser, make_database: Callable[[str], Awaitable[str]]) -> AsyncIterator[Stand]:
    """An error in the page's console, or a request to anybody else, fails the test."""
    sink, troubles = Sink(), list[str]()
    receiver = await asyncio.start_server(sink.answer, "127.0.0.1", 0)
    sink.url = f"http://127.0.0.1:{receiver.sockets[0].getsockname()[1]}/webhooks"
    database = await make_database("sandbox_pages")
    async with (
        served(lambda url: create_app(config_for(database, sink.url, url=url))) as (url, _),
        httpx.AsyncClient(base_url=url, headers=KEYS, timeout=60) as api,
    ):
        await loyalty(api, 50)
        await coupons(api)
        await send(api, "POST", "/v1/customers", {"source_id": "u-1", "name": "Mia Kowalska", "email": "mia@x.io"})
        card, code = await join(api), await coupon(api)
        await buy(api, "o-1", 18_40)
        await redeem(api, await coupon(api), source_id="o-2", amount=2000, status="CREATED")
        context = await chromium.new_context(base_url=url, viewport={"width": 1280, "height": 800})
        page = await context.new_page()
        page.on("console", lambda said: troubles.append(said.text) if said.type in {"error", "warning"} else None)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("request", lambda sent: None if sent.url.startswith((url, "data:")) else troubles.append(sent.url))
        yield Stand(url, api, sink, page, card, code)
        await context.close()
    receiver.close()
    assert [said for said in troubles if REFUSED not in said] == []


async def test_a_member_is_found_with_card_and_ledger(stand: Stand) -> None:
    """From the search to the customer, the balance and its movements, and to the card with the codes to be scanned."""
    page = stand.page
    await stand.go()
    await page.get_by_role("link", name="Customers").click()
    await page.get_by_label("Name, e-mail, phone").fill("kowal")
    await page.get_by_role("button", name="Search").click()
    await page.get_by_role("link", name="Mia Kowalska").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Mia Kowalska")
    await expect(page.get_by_text("68 points")).to_be_visible()
    ledger = page.locator("section", has=page.get_by_role("heading", name="Ledger"))
    await expect(ledger.locator("tbody tr")).to_have_count(1)
    await expect(ledger).to_contain_text("+18")
    await fits(page)
    await page.get_by_role("link", name=stand.card).first.click()
    for kind in ("QR code", "Bar code"):
        image = page.get_by_role("img", name=kind)
        assert await image.evaluate("image => image.complete && image.naturalWidth") > 0
    await fits(page)


async def test_a_campaign_shows_its_rules_and_codes(stand: Stand) -> None:
    """The rule that gave the points, and the codes with who holds them."""
    page = stand.page
    await stand.go("/dashboard/campaigns")
    await fits(page)
    await page.get_by_role("link", name=LOYALTY).click()
    await expect(page.locator("section", has_text="Earning rules")).to_contain_text("order.paid")
    await expect(page.get_by_role("link", name=stand.card)).to_be_visible()
    await fits(page)
    await stand.go("/dashboard/customers")
    await fits(page)


async def test_a_failed_webhook_is_sent_again(stand: Stand) -> None:
    """It waits with what was wrong; re-sent from the page, it is delivered."""
    page, sink = stand.page, stand.sink
    await sink.wait(10)
    sink.status = 503
    await send(stand.api, "POST", "/v1/customers", {"source_id": "u-2", "name": "Bo"})
    row = page.locator(".lines li", has_text="customer.created").first
    for _ in range(50):
        await stand.go("/dashboard/webhooks?state=WAITING")
        if await row.get_by_text("503").count():
            break
        await asyncio.sleep(0.1)
    await expect(row).to_contain_text("waiting")
    await row.locator("summary").click()
    await expect(row.locator("pre")).to_contain_text('"u-2"')
    await fits(page)
    sink.status, before = 202, len(sink.got)
    await row.get_by_role("button", name="Re-send").click()
    await sink.wait(before + 1)
    for _ in range(50):
        await page.reload()
        if "delivered" in await row.inner_text():
            break
    await expect(row).to_contain_text("delivered")
    hook = page.locator("tr", has_text="Project events")
    await hook.get_by_role("button", name="Switch off").click()
    await expect(hook.get_by_role("button", name="Switch on")).to_be_visible()


async def test_the_clock_and_the_faults_are_forms(stand: Stand) -> None:
    """A day ahead, a fault that is planned and happens, a wrong one that is named, and all of it off again."""
    page = stand.page
    await stand.go()
    await page.get_by_role("button", name="+ 1 day").click()
    await expect(page.locator(".now")).to_contain_text("1 d ahead of real time")
    await page.get_by_label("Path begins with").fill("/v1/orders")
    await page.get_by_role("button", name="Plan").click()
    planned = page.locator("tr", has_text="fail_next")
    await expect(planned).to_contain_text("/v1/orders")
    await page.get_by_label("An order that is sent as PAID again").check()
    await page.get_by_label("Answers wait, ms").fill("5")
    await page.locator("#faults").get_by_role("button", name="Apply").click()
    await expect(page.get_by_label("An order that is sent as PAID again")).to_be_checked()
    await expect(planned).to_have_count(1)
    await fits(page)
    assert (await stand.api.get("/v1/orders")).status_code == 503
    await page.reload()
    await expect(planned).to_have_count(0)
    await page.get_by_label("Rate").fill("often")
    await page.get_by_role("button", name="Plan").click()
    await expect(page.get_by_role("alert")).to_have_text(
        "fail_next.rate must be a number from 0.0 to 1.0, but is 'often'"
    )
    await page.get_by_role("button", name="All off").click()
    await expect(page.get_by_label("Answers wait, ms")).to_have_value("0")
    await page.get_by_role("button", name="Back to real time").click()
    await expect(page.locator(".now")).to_contain_text("real time")


async def test_keys_are_masked_until_asked_for(stand: Stand) -> None:
    """Only their ends are in the page; a click shows them to whoever sits at this machine."""
    page = stand.page
    await stand.go()
    keys = page.locator("#keys")
    await expect(keys).not_to_contain_text("app-token")
    await keys.get_by_role("link", name="Show").click()
    await expect(keys).to_contain_text("app-token")
    await expect(keys).to_contain_text("secretKey")
    await keys.get_by_role("link", name="Hide").click()
    await expect(keys).not_to_contain_text("app-token")


async def test_the_log_shows_what_was_asked_and_answered(stand: Stand) -> None:
    """Both bodies of a call; narrowed to trouble, only what went wrong."""
    page = stand.page
    await stand.api.get("/v1/orders/none")
    await stand.go()
    await page.get_by_role("link", name="Requests").click()
    call = page.locator(".lines li", has_text=re.compile(r"POST /v1/orders\b"))
    await call.locator("summary").click()
    await expect(call.locator("pre").first).to_contain_text('"source_id": "o-1"')
    await page.get_by_label("Outcome").select_option("trouble")
    await page.get_by_role("button", name="Show").click()
    await expect(page.locator(".lines li")).to_have_count(1)
    await expect(page.locator(".lines li")).to_contain_text("404")
    await fits(page)


async def test_a_reset_says_first_what_it_deletes(stand: Stand) -> None:
    """The numbers stand beside the button; afterwards they are gone."""
    page = stand.page
    await stand.go()
    await page.get_by_text("Reset the sandbox").click()
    await expect(page.locator("#reset")).to_contain_text("This deletes 1 customers, 2 campaigns")
    await page.get_by_role("button", name="Delete all of it").click()
    await expect(page.locator(".counts")).to_contain_text(re.compile(r"Customers\s*0"))
    await page.get_by_role("link", name="Customers").click()
    await expect(page.get_by_text("No customers yet.")).to_be_visible()
