"""Rewards on the floor's phone, in a real Chromium."""

import random
from collections.abc import Callable, Iterator

import httpx
import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.screens import SIZES
from tests.browser.test_floor import phone, serve
from tests.house import House

pytestmark = pytest.mark.browser
BUTTON = "[data-reward] button"


def give(house: House, member_id: str, points: int) -> None:
    with house.operator() as operator:
        headers = {"idempotency-key": str(random.random())}
        body = {"points": points, "reason": "Sorry for the cold coffee"}
        assert operator.post(f"/members/{member_id}/points", json=body, headers=headers).status_code == 201


@pytest.fixture
def faults(house: House) -> Iterator[Callable[..., None]]:
    """Switches trouble of the sandbox on, and all of it off again in the end."""
    address = f"{house.sandbox}/sandbox/faults"
    yield lambda **wanted: None if httpx.post(address, json=wanted).is_success else pytest.fail(str(wanted))
    httpx.delete(address)


async def bought(page: Page) -> None:
    await expect(page.locator("#phone-screen .ticket")).to_have_count(1)


async def test_a_reward_is_within_reach_then_bought_once(house: House, open_page: OpenPage) -> None:
    """Too dear, it says how many points are missing; with enough a double click buys one, and its coupon comes."""
    member = house.enrol(phone(), "Olga")
    page = await open_page()
    await serve(page, member)
    await expect(page.locator(BUTTON)).to_be_disabled()
    await expect(page.locator("[data-reward]")).to_contain_text("100 points · 50 to go")
    give(house, member["id"], 160)
    await expect(page.locator(BUTTON)).to_be_enabled()
    await page.locator(BUTTON).dblclick()
    await bought(page)
    await expect(page.locator("#points")).to_have_text("110")
    await expect(page.locator(BUTTON)).to_be_enabled()
    await page.locator(BUTTON).click()
    await expect(page.locator("#points")).to_have_text("10")
    await expect(page.locator(BUTTON)).to_be_disabled()


async def test_what_nobody_knows_yet_is_said(house: House, open_page: OpenPage, faults: Callable[..., None]) -> None:
    """When the answer is lost the phone says so and holds the button, until the look-up finds the coupon."""
    member = house.enrol(phone(), "Olga")
    give(house, member["id"], 150)
    page = await open_page()
    await serve(page, member, points=200)
    fault = {"path": f"/v1/loyalties/members/{member['card']}/redemption", "method": "POST"}
    faults(lose_answer_next=fault)
    await page.locator(BUTTON).click()
    await expect(page.locator("[data-waiting]")).to_contain_text("It is not known yet")
    await expect(page.locator(BUTTON)).to_be_disabled()
    await expect(page.locator("[data-waiting]")).to_have_count(0)
    await bought(page)
    await expect(page.locator("#points")).to_have_text("100")
    await expect(page.locator(BUTTON)).to_be_enabled()


@pytest.mark.parametrize("size", SIZES)
async def test_rewards_fit_every_screen(house: House, open_page: OpenPage, size: tuple[int, int]) -> None:
    """At each size the button is big enough for a finger, inside the phone, and nothing scrolls sideways."""
    member = house.enrol(phone(), "Olga")
    page = await open_page(viewport={"width": size[0], "height": size[1]})
    await serve(page, member)
    button = page.locator(BUTTON)
    await button.evaluate("button => button.scrollIntoView({block: 'center'})")
    box, inside = await button.bounding_box(), await page.locator(".phone").bounding_box()
    assert box
    assert inside
    assert box["height"] >= 44
    assert inside["x"] < box["x"] < box["x"] + box["width"] < inside["x"] + inside["width"]
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
