"""The trial page shows what moves the chance when it is asked, and keeps it."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

import llm4top

pytestmark = pytest.mark.browser

EXAMPLE = Path(llm4top.__file__).parent / "examples" / "example.xml"
WAIT = 120_000


def test_reasons_are_shown_on_request_and_kept(page):
    page.goto("/")
    page.set_input_files("input[type=file]", EXAMPLE)
    page.locator("article h3 a, a.l4-title").first.click(timeout=WAIT)
    page.locator("#trial-title").wait_for(timeout=WAIT)
    section = page.locator("section", has=page.get_by_role("heading", name="What moves the chance"))
    assert section.locator("li").count() == 0
    section.get_by_role("button", name="Show what moves the chance").click()
    bars = section.locator(".l4-reasons li")
    expect(bars.first).to_be_visible(timeout=WAIT)
    expect(bars.first).to_contain_text("the chance")
    expect(bars.first.locator("svg[role=img]")).to_have_count(1)
    expect(section).to_contain_text("associations that the model has learnt")
    count = bars.count()
    page.reload()
    expect(bars).to_have_count(count, timeout=WAIT)
    with page.expect_download() as download:
        page.get_by_role("button", name="Report").click()
    assert download.value.suggested_filename == "NCT99999901.html"
    report = Path(download.value.path()).read_text("utf-8")
    assert "<h2>What moves the chance</h2>" in report
    assert "chronic plaque psoriasis" in report.partition("What the model read")[2]
    page.set_viewport_size({"width": 390, "height": 844})
    beyond = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert beyond <= 0
