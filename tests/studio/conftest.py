"""A running Studio on a free loopback port, and a real browser that looks at it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.studio._server import Server, outside, start_server, stop_server

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize

VIEWPORT: ViewportSize = {"width": 1400, "height": 900}
PATIENCE = 60_000
"""Milliseconds that a page may take, on a machine with much else to do."""

CHROMIUM_ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A Studio with a workspace folder that did not exist; one for the whole test file."""
    made = start_server(tmp_path_factory.mktemp("studio") / "home")
    yield made
    stop_server(made)


@pytest.fixture
def fresh_server(tmp_path: Path) -> Iterator[Server]:
    """A Studio of its own for one test."""
    made = start_server(tmp_path / "home")
    yield made
    stop_server(made)


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """Debian's chromium, driven by Playwright; the test is skipped where it is not installed.

    It ends with the tests of this room. While it lives, Playwright's event loop counts as running
    in this thread: ``asyncio.run`` needs another one.
    """
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("no chromium here; install the package `chromium` to run the browser tests")
    sync_api = pytest.importorskip("playwright.sync_api")
    sync_api.expect.set_options(timeout=PATIENCE)
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=CHROMIUM_ARGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def profile(chromium: Browser, server: Server) -> Iterator[Profile]:
    """A browser profile at the server's address; one for the whole test file."""
    context = chromium.new_context(
        base_url=server.address, viewport=VIEWPORT, color_scheme="light", reduced_motion="reduce"
    )
    context.set_default_timeout(PATIENCE)
    yield Profile(context)
    context.close()


class Profile:
    """A browser profile whose tab every test finds as if it were new.

    A new tab is a process that reads all scripts again, which takes longer than most tests.
    """

    def __init__(self, context: BrowserContext):
        self.context = context
        self.tab = context.new_page()
        self.asked: list[str] = []
        self.faults: list[str] = []
        context.on("request", lambda request: self.asked.append(request.url))
        context.on("page", self._listen)
        self._listen(self.tab)

    def _listen(self, page: Page) -> None:
        page.on("websocket", lambda opened: self.asked.append(opened.url))
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("console", lambda m: self.faults.append(m.text) if m.type == "error" else None)

    def clear(self) -> None:
        """Forget everything but the browser's cache, and keep one tab."""
        for page in self.context.pages:
            if page is not self.tab:
                page.close()
        if self.tab.is_closed():
            self.tab = self.context.new_page()
        if self.tab.url.startswith("http"):
            self.tab.evaluate("localStorage.clear(); sessionStorage.clear()")
        self.tab.goto("about:blank")
        self.tab.set_viewport_size(VIEWPORT)
        self.tab.emulate_media(color_scheme="light")
        self.context.clear_cookies()


@pytest.fixture
def browser_context(profile: Profile) -> Iterator[BrowserContext]:
    """A browser profile at the server's address; at its end only loopback may have been asked.

    It also fails the test for errors that a page wrote to the console or threw.
    """
    profile.asked.clear()
    profile.faults.clear()
    yield profile.context
    profile.clear()
    assert profile.asked, "the test asked for no page"
    assert outside(profile.asked) == []
    assert [fault for fault in profile.faults if "status of 4" not in fault] == []


@pytest.fixture
def page(browser_context: BrowserContext, profile: Profile) -> Page:
    """An empty page in the browser; ``page.goto("/")`` opens the Studio."""
    return profile.tab
