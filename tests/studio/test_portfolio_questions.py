"""The section "Why they may fail, and when they end" of a portfolio."""

import re
from pathlib import Path

import pytest

import llm4top
from llm4top.forecasters.bundles.paths import embedded_names

EXAMPLES = Path(llm4top.__file__).parent / "examples"
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(len(embedded_names()) == 1, reason="no embedded question has been made yet"),
]
WAIT = 200_000


def test_a_portfolio_says_why_its_trials_may_fail_and_when_they_end(page):
    page.goto("/")
    names = ("example.xml", "example_with_results.xml")
    page.set_input_files("input[type=file]", [EXAMPLES / name for name in names])
    page.get_by_role("heading", name="2 trials").wait_for(timeout=WAIT)
    page.get_by_role("tab", name="Portfolio").click()
    page.get_by_role("button", name="Ask about these trials").click()
    reasons = page.get_by_role("table", name="Failures by reason")
    reasons.wait_for(timeout=WAIT)
    assert re.search(r"poor enrolment\s+0\.\d\s+0 to \d", reasons.inner_text())
    years = page.get_by_role("table", name="Trials ended by year")
    assert re.search(r"2033\s+0\.\d\s+0 to 1", years.inner_text())
    said = page.locator(".l4-figures").inner_text()
    assert "The model of the reasons has little skill" in said
    assert "Not counted: 1 trial without a planned start (NCT99999902)." in said
    for width in (390, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        inside = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
        assert page.evaluate(inside), f"nothing sticks out at {width} px"
