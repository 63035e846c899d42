"""The floor in a real Chromium: what a newcomer sees and does."""

import random
import re
import signal
from typing import Any

import pytest
from playwright.async_api import Locator, Page, Request, Route, expect

from tests.browser.conftest import OpenPage
from tests.browser.screens import SIZES
from tests.house import House

pytestmark = pytest.mark.browser


def phone() -> str:
    return f"+4860{random.randrange(10**6, 10**7)}"


def road(page: Page, mood: str, order: str | None) -> Locator:
    """The road of this order in this mood: a moment before, the floor may still show the order before it."""
    return page.locator(f'.road[data-order="{order}"][data-mood="{mood}"]')


async def sold(page: Page) -> str | None:
    """The order on the receipt."""
    return await page.locator(".sold").get_attribute("data-order")


async def serve(page: Page, member: dict[str, Any], points: int = 50) -> None:
    """Put a member at the till and wait until the phone shows whose it is."""
    await page.locator("#member").select_option(member["id"])
    await expect(page.locator("#phone-whose")).to_have_text(member["first_name"])
    await expect(page.locator("#points")).to_have_text(str(points))


async def test_one_click_sells_and_points_and_coupon_arrive(house: House, open_page: OpenPage) -> None:
    """Pay sells once; all stations light up to done; points and coupon are seen arriving, with nothing else pressed."""
    member = house.enrol(phone(), "Olga")
    page = await open_page()
    sales: list[Request] = []
    page.on("request", lambda request: sales.append(request) if request.url.endswith("/pos/orders") else None)
    await serve(page, member)
    await page.locator("#pay").click()
    order = await sold(page)
    await expect(road(page, "done", order)).to_be_visible()
    states = await page.locator(".station").evaluate_all("all => all.map(one => one.dataset.state)")
    assert states == ["done", "done", "skipped", *["done"] * 10]
    await expect(page.locator("#phone-news")).to_contain_text("+17 points")
    await expect(page.locator("#phone-news")).to_contain_text("Coupon arrived: 10 % off")
    await expect(page.locator("#points")).to_have_text("67")
    await expect(page.locator("#phone-screen .ticket")).to_have_count(1)
    await expect(page.locator(".receipt .earned")).to_have_text("+17 points")
    assert len(sales) == 1
    assert house.trace(str(order))["points"] == 17


async def test_the_keyboard_is_enough(house: House, open_page: OpenPage) -> None:
    """From the address bar: skip to the till, pay by F9, a new basket by Enter, pay by Tab and Enter."""
    house.enrol(phone(), "Olga")
    page = await open_page()
    await expect(page.locator("#points")).to_be_visible()
    await page.keyboard.press("Tab")
    await expect(page.locator(".skip")).to_be_focused()
    await page.keyboard.press("Enter")
    await page.keyboard.press("F9")
    await expect(page.locator("#new-basket")).to_be_focused()
    first = await sold(page)
    await page.keyboard.press("Enter")
    await expect(page.locator("#pay")).to_be_visible()
    await expect(page.locator("#new-basket")).to_be_focused()
    await page.keyboard.press("Shift+Tab")
    await expect(page.locator("#pay")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.locator(".receipt")).to_be_visible()
    assert await sold(page) != first


async def test_an_answer_that_gets_lost_sells_once(house: House, open_page: OpenPage) -> None:
    """The till asks again under the same key when it hears nothing, and gets the order that was made the first time."""
    member = house.enrol(phone(), "Olga")
    page = await open_page(expected=("Failed to load resource",))
    await serve(page, member)
    tries: list[tuple[str, int]] = []

    async def lose_the_first_answer(route: Route) -> None:
        answer = await route.fetch()
        number = (await answer.json())["number"]
        tries.append((route.request.headers["idempotency-key"], number))
        await (route.abort() if len(tries) == 1 else route.fulfill(response=answer))

    await page.route("**/pos/orders", lose_the_first_answer)
    await page.locator("#pay").click()
    await expect(page.locator(".said")).to_contain_text("nothing is sold twice")
    await expect(page.locator(".receipt")).to_be_visible()
    assert len(tries) == 2
    assert tries[0] == tries[1]


async def test_a_page_that_is_loaded_again_goes_on_with_its_sale(house: House, open_page: OpenPage) -> None:
    """A reload in the middle of Pay does not forget the key: the same sale is finished, and no other one is made."""
    member = house.enrol(phone(), "Olga")
    page = await open_page(expected=("Failed to load resource",))
    await serve(page, member)
    keys: list[str] = []

    async def lose_it(route: Route) -> None:
        keys.append(route.request.headers["idempotency-key"])
        await route.fetch()
        await route.abort()

    await page.route("**/pos/orders", lose_it)
    await page.locator("#pay").click()
    await expect(page.locator(".said")).to_contain_text("nothing is sold twice")
    await page.unroute("**/pos/orders")
    page.on("request", lambda one: keys.append(one.headers["idempotency-key"]) if "/pos/orders" in one.url else None)
    await page.reload()
    await expect(page.locator(".receipt")).to_be_visible()
    assert len(set(keys)) == 1


async def test_a_killed_worker_is_waited_for_in_words(house: House, open_page: OpenPage) -> None:
    """Without a worker the road says for what it waits and that nothing is lost; started again, it ends done, once."""
    member = house.enrol(phone(), "Olga")
    page = await open_page()
    await serve(page, member)
    house.stop("worker", signal.SIGKILL)
    try:
        await page.locator("#pay").click()
        order = await sold(page)
        await expect(road(page, "slow", order)).to_be_visible()
        await expect(page.locator("#road-sentence")).to_have_text(re.compile(r"Waiting for the worker .* for \d+ s"))
        await expect(page.locator(".road .banner")).to_contain_text("Nothing is lost")
    finally:
        house.start("worker")
    await expect(road(page, "done", order)).to_be_visible()
    await expect(page.locator("#phone-screen .ticket")).to_have_count(1)


async def test_a_coupon_is_used_by_one_tap(house: House, open_page: OpenPage) -> None:
    """The coupon that one basket won takes 10 % off the next, and is gone from the phone when that one is paid."""
    member = house.enrol(phone(), "Olga")
    page = await open_page()
    await serve(page, member)
    await page.locator("#pay").click()
    await page.get_by_role("button", name="Use it next time").click()
    await expect(page.locator(".coupon[aria-pressed=true]")).to_be_visible()
    await expect(page.locator(".totals .discount")).to_be_visible()
    await page.locator("#pay").click()
    await expect(page.locator(".receipt")).to_contain_text("Coupon TEN-")
    await expect(road(page, "done", await sold(page))).to_be_visible()
    await expect(page.locator('.station[data-station="redeem"]')).to_have_attribute("data-state", "done")
    await expect(page.locator("#phone-screen .ticket")).to_have_count(0)


async def test_somebody_new_joins_at_the_till(open_page: OpenPage) -> None:
    """Enrolment gives a card and the welcome points at once; a number that can't be is refused in words."""
    page = await open_page(expected=("400",))
    await page.locator(".enrol summary").click()
    await page.locator("#enrol-phone").fill("601234567")
    await page.locator("#enrol-phone").press("Enter")
    await expect(page.get_by_role("alert")).to_contain_text("country code")
    await page.locator("#enrol-phone").fill(phone())
    await page.locator("#enrol-name").fill("Radka")
    await page.get_by_role("button", name="Enrol").click()
    await expect(page.locator("#phone-whose")).to_have_text("Radka")
    await expect(page.locator("#points")).to_have_text("50")
    await expect(page.locator(".barcode svg")).to_be_visible()


async def test_a_station_tells_what_went_in_and_came_out(house: House, open_page: OpenPage) -> None:
    """A click on a station opens its request, answer and time; Escape closes it and gives the focus back."""
    order = house.pay(house.enrol(phone())["id"], {"coffee": 1}).json()
    house.trace(order["id"])
    page = await open_page(f"/?order={order['id']}")
    await page.locator("#station-deliver").click()
    sheet = page.locator("#station-sheet")
    await expect(sheet).to_contain_text("app/pipeline/deliver.py")
    await expect(sheet.locator("pre").first).to_contain_text(order["id"])
    await expect(sheet).to_contain_text(re.compile(r"Took\s*\d+ ms"))
    await page.keyboard.press("Escape")
    await expect(sheet).to_be_hidden()
    await expect(page.locator("#station-deliver")).to_be_focused()


async def test_orders_of_others_are_seen_as_well(house: House, open_page: OpenPage) -> None:
    """An order that some other till places lights up on the floor by itself."""
    member = house.enrol(phone())
    page = await open_page()
    await expect(page.locator("#live")).to_have_attribute("data-live", "live")
    order = house.pay(member["id"], {"coffee": 1}).json()
    await expect(road(page, "done", order["id"])).to_be_visible()


@pytest.mark.parametrize(("width", "height"), SIZES)
async def test_it_fits_every_screen(open_page: OpenPage, width: int, height: int) -> None:
    """Nothing is wider than the screen, and every control of the till is large enough to be touched."""
    page = await open_page(viewport={"width": width, "height": height})
    await expect(page.locator("#points")).to_be_visible()
    assert await page.evaluate("document.documentElement.scrollWidth") <= width
    boxes = await page.locator("#till button, #till select, #till summary").evaluate_all(
        "all => all.map(one => one.getBoundingClientRect()).filter(box => box.width)"
        ".map(box => [box.width, box.height])"
    )
    assert min(min(box) for box in boxes) >= 44
