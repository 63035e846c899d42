"""A real Chromium, and a page that fails its test for an error in the console or a request to anybody else."""

import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from playwright.async_api import Browser, ConsoleMessage, Page, Request, async_playwright, expect

from tests.house import House

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
# Chromium calls home at every start unless told not to, and as root it needs --no-sandbox.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

SOON = 60_000
"""Milliseconds for whatever a page waits for: other processes do most of it, on machines that may be slow."""
OpenPage = Callable[..., Awaitable[Page]]


@pytest_asyncio.fixture(scope="session")
async def chromium() -> AsyncIterator[Browser]:
    """One Chromium for all tests: the one that CHROMIUM names, else the first on PATH."""
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        message = "No Chromium found: install it (Debian: apt install chromium) or set CHROMIUM to its path."
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    expect.set_options(timeout=SOON)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=found, args=list(FLAGS))
        yield browser
        await browser.close()


@pytest_asyncio.fixture
async def open_page(chromium: Browser, house: House) -> AsyncIterator[OpenPage]:
    """Opens the floor in a fresh profile. When the test ends, whatever went wrong unseen fails it.

    `expected` are words of console errors that the test provokes.
    """
    pages: list[Page] = []
    troubles: list[str] = []

    async def open_one(path: str = "/", expected: tuple[str, ...] = (), **options: object) -> Page:
        context = await chromium.new_context(base_url=house.web, **options)  # type: ignore[arg-type]
        context.set_default_timeout(SOON)
        page = await context.new_page()
        pages.append(page)

        def said(message: ConsoleMessage) -> None:
            if message.type in {"error", "warning"} and not any(words in message.text for words in expected):
                troubles.append(f"console: {message.text}")

        def asked(request: Request) -> None:
            if urlsplit(request.url).netloc != urlsplit(house.web).netloc and not request.url.startswith("data:"):
                troubles.append(f"left the house: {request.url}")

        page.on("console", said)
        page.on("pageerror", lambda error: troubles.append(f"script: {error}"))
        page.on("request", asked)
        await page.goto(path)
        return page

    yield open_one
    for page in pages:
        await page.context.close()
    assert troubles == []
