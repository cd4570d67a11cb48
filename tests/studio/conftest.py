"""A running Studio on a free loopback port, and a real browser that looks at it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.studio._server import Server, outside, start_server, stop_server

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

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


@pytest.fixture
def browser_context(chromium: Browser, server: Server) -> Iterator[BrowserContext]:
    """A browser profile at the server's address; at its end only loopback may have been asked.

    It also fails the test for errors that a page wrote to the console or threw.
    """
    asked: list[str] = []
    faults: list[str] = []
    context = chromium.new_context(
        base_url=server.address,
        viewport={"width": 1400, "height": 900},
        color_scheme="light",
        reduced_motion="reduce",  # drawing what moves took a fifth of the browser's time
    )

    def listen(page: Page) -> None:
        page.on("websocket", lambda opened: asked.append(opened.url))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda m: faults.append(m.text) if m.type == "error" else None)

    context.set_default_timeout(PATIENCE)
    context.on("request", lambda request: asked.append(request.url))
    context.on("page", listen)
    yield context
    context.close()
    assert asked, "the test asked for no page"
    assert outside(asked) == []
    assert [fault for fault in faults if "status of 4" not in fault] == []


@pytest.fixture
def page(browser_context: BrowserContext) -> Page:
    """An empty page in the browser; ``page.goto("/")`` opens the Studio."""
    return browser_context.new_page()
