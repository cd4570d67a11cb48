"""Activity, Settings and the job drawer, as a person uses them in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from llm4top.workspace.workspace import Workspace
from tests.studio._server import Server

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

MARKUP = "<b>trial</b><script>window.ran = 1</script>.xml"
OVERFLOW = "document.documentElement.scrollWidth - window.innerWidth"


@pytest.fixture(scope="module")
def workspace(server: Server) -> Iterator[Workspace]:
    """The server's own workspace, as a command in a terminal would open it."""
    with Workspace.open(server.home) as made:
        yield made


def test_activity_is_empty_then_full(page: Page, workspace: Workspace) -> None:
    page.goto("/activity")
    page.get_by_text("No activity yet.").wait_for()
    page.get_by_role("link", name="Make a first forecast").wait_for()
    for number in range(60):
        workspace.activity.log("uploaded", "somebody", f"file {number}")
    workspace.activity.log("uploaded", "somebody", MARKUP)
    page.reload()
    table = page.get_by_role("table", name="Activity")
    table.get_by_text(MARKUP).wait_for()
    assert page.evaluate("window.ran") is None
    assert table.locator("tbody tr").count() == 50
    page.get_by_role("button", name="Show earlier").click()
    table.get_by_text("file 0", exact=True).wait_for()
    assert table.locator("tbody tr").count() == 61
    page.get_by_role("button", name="Show earlier").wait_for(state="hidden")


def test_settings_say_where_everything_lies(page: Page, server: Server) -> None:
    page.goto("/settings")
    page.get_by_text(str(server.home), exact=True).wait_for()
    page.get_by_text("llm4top.db in the folder").wait_for()
    page.get_by_text("Embedded default").first.wait_for()


@pytest.mark.parametrize("path", ["/activity", "/settings"])
def test_they_fit_a_narrow_screen(page: Page, workspace: Workspace, path: str) -> None:
    workspace.activity.log("uploaded", "somebody", "x" * 300)
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(path)
    page.locator("h1").wait_for()
    page.get_by_role("button", name="Local only").wait_for()
    assert page.evaluate(OVERFLOW) <= 0


def test_the_drawer_shows_runs_and_stops_them(page: Page, workspace: Workspace) -> None:
    run = workspace.runs.submit("train", {}, title=f"Mine {MARKUP}", device="none of this machine")
    page.goto("/activity")
    page.get_by_role("button", name="1 waiting").click()
    drawer = page.get_by_role("dialog")
    row = drawer.get_by_role("group", name=f"Mine {MARKUP}")
    row.get_by_text("Waiting to start").wait_for()
    row.get_by_role("button", name="Stop").click()
    row.get_by_role("button", name="Resume").wait_for()
    assert workspace.runs.get(run.id).state == "interrupted"
    (entry,) = workspace.activity.list(subject=run.id)
    assert entry.action == "stopped"
    row.get_by_role("button", name="Resume").click()
    row.get_by_text("Waiting to start").wait_for()
    workspace.runs.request_stop(run.id)
    drawer.get_by_role("button", name="Close").click()
    page.get_by_role("button", name="0 running").wait_for()
