"""The sizes of screens that every page is held to."""

import os

from playwright.async_api import Page

SIZES = [(1280, 800), (1024, 768), (768, 1024), (390, 844)]


async def fits(page: Page) -> None:
    """At every size nothing is wider than the screen. `SHOTS=<folder>` keeps a picture of each, to be looked at.

    The page must have come: name something of it with `expect` first, for a click on a link does not wait.
    """
    for width, height in SIZES:
        await page.set_viewport_size({"width": width, "height": height})
        if folder := os.environ.get("SHOTS"):
            name = page.url.split("/", 3)[-1].split("?")[0].replace("/", "-")
            await page.screenshot(path=f"{folder}/{name}-{width}.png", full_page=True)
        assert await page.locator("html").evaluate("html => html.scrollWidth") <= width, (page.url, width)
    await page.set_viewport_size({"width": SIZES[0][0], "height": SIZES[0][1]})
