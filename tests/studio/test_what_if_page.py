"""The what-if page in a real browser: edits, undo, variants, a sweep, exports."""

import csv
import json
from pathlib import Path

import pytest

from llm4top.forecasters.variants import ASSOCIATIONS

pytestmark = pytest.mark.browser

WAIT = 200_000
"""Milliseconds for the first forecast of a server: it loads the model."""


@pytest.fixture
def what_if(page):
    page.goto("/")
    page.get_by_role("button", name="Try an example").click()
    page.locator("article.l4-trial h3 a").first.click(timeout=WAIT)
    page.get_by_role("link", name="What if the record read otherwise?").click()
    page.get_by_text("Edit a field to see the forecast move.").wait_for()
    return page


def choose(page, label, option):
    page.get_by_label(label, exact=True).click()
    page.get_by_role("option", name=option, exact=True).click()


def test_edits_move_the_forecast_and_are_kept_side_by_side(what_if):
    page = what_if
    assert page.get_by_text(ASSOCIATIONS).is_visible()
    choose(page, "Phase", "Phase 3")
    result = page.locator(".l4-what-if-result")
    result.get_by_text("As registered:").wait_for()
    page.get_by_role("button", name="Keep as variant").click()
    table = page.get_by_role("table", name="Variants")
    table.get_by_text("Variant 1: phase=Phase 3").wait_for()

    age = page.get_by_label("Minimum age")
    age.fill("18")
    page.get_by_text("'18' is not an age.").wait_for()
    age.fill("21 Years")
    table.get_by_text("edited: phase=Phase 3, minimum_age=21 Years").wait_for()
    page.get_by_text("'18' is not an age.").wait_for(state="detached")
    second = page.get_by_label("Line 2").input_value()
    page.get_by_role("button", name="Remove eligibility criteria, 2", exact=True).click()
    table.get_by_text("criteria-=2").wait_for()
    assert page.get_by_label("Line 2").input_value() != second
    page.get_by_role("button", name="Undo").press("Enter")
    table.get_by_text("criteria-=2").wait_for(state="detached")
    assert page.get_by_label("Line 2").input_value() == second
    page.get_by_role("button", name="Start over").click()
    result.get_by_text("Edit a field to see the forecast move.").wait_for()
    assert table.get_by_text("edited:").count() == 0
    page.get_by_role("button", name="Open Variant 1").click()
    result.get_by_text("As registered:").wait_for()

    with page.expect_download() as download:
        page.get_by_role("button", name="CSV").first.click()
    rows = list(csv.DictReader(Path(download.value.path()).read_text("utf-8").splitlines()))
    assert [row["variant"] for row in rows] == ["as registered", "Variant 1"]
    assert rows[0]["note"] == ASSOCIATIONS


def test_keys_undo_and_a_variant_is_renamed_and_stays_with_the_trial(what_if):
    page = what_if
    result = page.locator(".l4-what-if-result")
    table = page.get_by_role("table", name="Variants")
    choose(page, "Phase", "Phase 3")
    result.get_by_text("As registered:").wait_for()
    assert result.get_by_text("Ctrl+Z").is_visible()
    # The list of choices keeps the focus, and is no text field.
    page.keyboard.press("Control+z")
    result.get_by_text("Edit a field to see the forecast move.").wait_for()
    page.keyboard.press("Control+Shift+z")
    table.get_by_text("edited: phase=Phase 3").wait_for()
    page.get_by_label("Minimum age").press("Control+z")
    page.wait_for_timeout(500)
    assert table.get_by_text("edited: phase=Phase 3").is_visible()

    page.get_by_role("button", name="Keep as variant").click()
    page.get_by_role("button", name="Rename Variant 1").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("as registered")
    dialog.get_by_role("button", name="Rename").click()
    dialog.get_by_text("This name is taken.").wait_for()
    dialog.get_by_label("Name").fill("Larger")
    dialog.get_by_label("Name").press("Enter")
    table.get_by_text("Larger: phase=Phase 3").wait_for()

    page.reload()
    table.get_by_text("Larger: phase=Phase 3").wait_for()
    page.get_by_role("link", name="The trial").click()
    page.get_by_role("table", name="Variants").get_by_text("Larger: phase=Phase 3").wait_for()
    with page.expect_download() as download:
        page.get_by_role("button", name="Report").click()
    assert "Larger: phase=Phase 3" in Path(download.value.path()).read_text("utf-8")


def test_a_sweep_is_drawn_and_downloaded(what_if):
    page = what_if
    page.get_by_role("button", name="Sweep").click()
    page.get_by_role("img", name="Chance by phase:").wait_for()
    with page.expect_download() as download:
        page.get_by_role("button", name="JSON").last.click()
    values = json.loads(Path(download.value.path()).read_text("utf-8"))
    assert values["sweep"] == "phase"
    assert values["notes"][0] == ASSOCIATIONS


def test_reasons_follow_the_edits(what_if):
    page = what_if
    page.get_by_role("button", name="Show what moves the chance").click()
    page.get_by_role("heading", name="By section").wait_for()
    names = page.locator(".l4-reason-name")
    assert "Phase" in names.all_inner_texts()
    choose(page, "Phase", "not stated")
    names.get_by_text("Phase", exact=True).wait_for(state="detached")
    names.first.wait_for()
    assert "Phase" not in names.all_inner_texts()


def test_without_a_trial_the_page_says_where_to_find_one(page):
    page.goto("/what-if")
    page.get_by_role("link", name="To the forecasts").wait_for()
