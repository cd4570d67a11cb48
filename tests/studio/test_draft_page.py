"""A synopsis becomes a draft, its forecast and its JSON, in a real browser."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from llm4top.registry.draft import Draft
from llm4top.registry.draft_fields import DRAFT_FIELDS
from llm4top.studio.components.draft_form import GROUPS
from llm4top.workspace.workspace import Workspace
from tests.registry.documents import SYNOPSES, word_file
from tests.studio._server import Server

if TYPE_CHECKING:
    from playwright.sync_api import Page

OVERFLOW = "document.documentElement.scrollWidth - window.innerWidth"
WAIT = 90_000


def test_the_form_has_every_field_once() -> None:
    names = [name for group in GROUPS.values() for name in group]
    assert sorted(names) == sorted(DRAFT_FIELDS)


@pytest.mark.browser
def test_a_pasted_synopsis_is_confirmed_saved_and_forecast(page: Page, server: Server) -> None:
    page.goto("/")
    page.get_by_role("link", name="Write a draft").click()
    page.get_by_label("Synopsis", exact=True).fill((SYNOPSES / "numbered.txt").read_text())
    page.get_by_role("button", name="Read the synopsis").click()
    unread = page.get_by_role("heading", name="Not used from the synopsis").locator("..")
    unread.get_by_text("Planned start: “Q3 2031” is no month or day.").wait_for()
    phase = page.locator(".l4-draft-field").filter(has=page.get_by_label("Phase", exact=True))
    phase.get_by_text("“Phase IIb” is Phase 2").click()
    phase.locator("blockquote").get_by_text("Phase IIb").wait_for()
    page.get_by_role("button", name="Show what each section costs").click()
    page.get_by_text("As it is: ").wait_for(timeout=WAIT)
    costs = page.get_by_role("table", name="What each section costs in width")
    assert costs.get_by_role("row").count() == 12
    page.get_by_role("button", name="Planned start").click()
    start = page.get_by_label("Planned start")
    focused = "field => field === document.activeElement"
    page.wait_for_function(focused, arg=start.element_handle())
    start.fill("Q3 2031")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("alert").get_by_text("planned_start: “Q3 2031” is no date.").wait_for()
    start.fill("September 2031")
    page.get_by_role("button", name="Save").click()
    page.wait_for_url("**/drafts/*")
    assert start.input_value() == "2031-09"
    for width in (1400, 390):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate(OVERFLOW) <= 0
    with page.expect_download() as given:
        page.get_by_role("button", name="Export JSON").click()
    assert given.value.suggested_filename.startswith("a-randomised-double-blind")
    exported = Path(given.value.path()).read_text("utf-8")
    assert Draft.from_json(exported).trial.planned_start == "2031-09"
    page.get_by_role("button", name="Forecast", exact=True).click()
    page.wait_for_url("**/trials/*", timeout=WAIT)
    page.get_by_role("heading", name="A randomised, double-blind").first.wait_for()
    with Workspace.open(server.home) as workspace:
        (kept,) = workspace.drafts.list()
        assert kept.study == json.loads(exported)


@pytest.mark.browser
def test_a_dropped_word_file_and_one_that_is_none(page: Page, tmp_path: Path) -> None:
    page.goto("/draft")
    odd = {"name": "odd.pdf", "mimeType": "application/pdf", "buffer": b"%PDF-1.4 <b>no</b>"}
    page.get_by_role("button", name="Read the synopsis").wait_for()
    page.set_input_files("input[type=file]", [odd])  # type: ignore[list-item]
    page.get_by_role("alert").get_by_text("odd.pdf: it is damaged").wait_for(timeout=WAIT)
    page.set_input_files("input[type=file]", [str(word_file(tmp_path / "synopsis.docx"))])
    title = page.get_by_label("Brief title")
    title.wait_for(timeout=WAIT)
    assert title.input_value() == "Placebase in people with early gout"
    page.get_by_role("button", name="Save").click()
    page.wait_for_url("**/drafts/*")
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    page.wait_for_url("**/draft")
