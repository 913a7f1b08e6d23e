"""A real browser: Debian's Chromium, driven by Playwright, and the rules of axe that its pages are tried by."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, Request, async_playwright

AXE = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"
PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1280, "height": 800}
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
PICTURES = os.environ.get("ONECARD_SCREENSHOTS")
"""A directory: where pictures of pages are put, if at all."""
TINY_TARGET = """() => [...document.querySelectorAll('a, button, input:not([type=hidden]), select, summary')]
    .filter(one => one.checkVisibility() && getComputedStyle(one).display !== 'inline')
    .map(one => [one.getBoundingClientRect(), one.outerHTML.slice(0, 80)])
    .filter(([box]) => box.width > 1 && (box.width < 24 || box.height < 24)).map(([, said]) => said)"""


def find_chromium() -> str:
    """Where the browser is; without it, or without axe, the test is skipped, and fails under CI."""
    path = shutil.which("chromium")
    if path is None or not AXE.exists():
        give_up = pytest.fail if os.environ.get("CI") else pytest.skip
        give_up("Chromium and axe-core are not installed: run `make peers`")
    return path


@asynccontextmanager
async def open_browser() -> AsyncIterator[Browser]:
    """A headless browser, for as many visitors as one likes."""
    path = find_chromium()
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=arguments)
        yield browser
        await browser.close()


@dataclass(slots=True)
class Visitor:
    """One person at one browser, and whatever went wrong there."""

    page: Page
    url: str
    faults: list[str] = field(default_factory=list)
    """Requests to somebody else, what the page's policy forbade, errors of scripts."""

    async def go(self, path: str) -> None:
        await self.page.goto(self.url + path)

    async def press(self, name: str, *, role: Any = "button") -> None:
        """Press a button, or another thing, by what it is called, and wait for the page it leads to."""
        async with self.page.expect_navigation():
            await self.page.get_by_role(role, name=name).first.click()

    async def sees(self, words: str) -> bool:
        return words in await self.page.inner_text("body")

    async def check(self, *, ignoring: str | None = None) -> None:
        """Nothing wrong by axe, nothing too small to touch, nothing wider than the screen, nothing wrong before.

        A browser counts a page that says what is wrong as a fault: `ignoring` names its status.
        """
        self.faults = [fault for fault in self.faults if ignoring is None or ignoring not in fault]
        await self.page.evaluate(AXE.read_text(encoding="utf-8"))
        tags: dict[str, Any] = {"runOnly": {"type": "tag", "values": RULES}}
        found = await self.page.evaluate("(options) => axe.run(document, options)", tags)
        said = [
            f"{one['id']}: {one['help']}: {[node['html'][:120] for node in one['nodes'][:3]]}"
            for one in found["violations"]
        ]
        assert not said, (self.page.url, said)
        assert await self.page.evaluate(TINY_TARGET) == [], self.page.url
        width = await self.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert width <= 0, f"{self.page.url} is {width} pixels wider than the screen"
        assert not self.faults, self.faults

    async def take_picture(self, name: str) -> None:
        """Keep a picture of the page, where pictures are wanted."""
        if PICTURES:
            await self.page.screenshot(path=f"{PICTURES}/{name}.png", full_page=True)


@asynccontextmanager
async def visit(browser: Browser, url: str, **context: Any) -> AsyncIterator[Visitor]:
    """Somebody new, with a browser of these properties (Playwright's `new_context`)."""
    opened = await browser.new_context(**context)
    page = await opened.new_page()
    visitor = Visitor(page, url)

    def look(request: Request) -> None:
        if not request.url.startswith(url):
            visitor.faults.append(f"asked {request.url}")

    page.on("request", look)
    page.on("pageerror", lambda error: visitor.faults.append(str(error)))
    page.on("console", lambda said: visitor.faults.append(said.text) if said.type == "error" else None)
    yield visitor
    await opened.close()
