"""The section "Other questions" on the page of a trial."""

import re

import pytest

from llm4top.forecasters.bundles.paths import embedded_names

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(len(embedded_names()) == 1, reason="no embedded question has been made yet"),
]
WAIT = 200_000


def test_the_same_record_is_asked_the_other_questions(page):
    page.goto("/")
    page.get_by_role("button", name="Try an example").click()
    card = page.locator("article.l4-trial")
    card.wait_for(timeout=WAIT)
    card.locator("h3 a").click()
    page.get_by_text("Other questions", exact=True).click()
    page.get_by_role("button", name="Ask the other questions").click()
    table = page.get_by_role("table", name="Other questions")
    table.wait_for(timeout=WAIT)
    said = table.inner_text()
    assert re.search(r"median \d+ months, 80 % \S+ to \d+", said)
    assert "poor enrolment" in said
    assert "be completed, rather than" in said
    assert "little skill" in page.locator("article.l4-detail").inner_text()
    page.reload()
    table.wait_for()
    assert table.inner_text() == said
    page.get_by_role("link", name="embedded:duration").click()
    page.wait_for_url(re.compile(r"/models/embedded:duration$"))
    page.get_by_role("heading", name="Embedded, duration").wait_for()
