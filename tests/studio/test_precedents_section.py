"""Earlier trials on the page of a trial: without an index, then with one."""

import pytest

from llm4top.workspace.workspace import Workspace
from tests.forecasters.precedents.kit import dataset, years
from tests.studio.test_forecast_page import WAIT

pytestmark = pytest.mark.browser


def test_earlier_trials_are_found_when_asked_for(page, server):
    page.goto("/")
    page.get_by_role("button", name="Try an example").click()
    title = page.locator("article.l4-trial h3 a").first
    title.wait_for(timeout=WAIT)
    title.click()
    section = page.locator("section").filter(has_text="Earlier trials like this one")
    button = section.get_by_role("button", name="Find earlier trials")
    button.wait_for()
    assert section.locator("table").count() == 0
    button.focus()
    page.keyboard.press("Enter")
    section.get_by_text("There is no index of earlier trials on this machine yet.").wait_for()
    assert section.locator("code").inner_text() == "llm4top precedents build DATASET_OR_RECORDS"

    with Workspace.open(server.home) as workspace:
        dataset(years(60)).save(workspace.folder / "datasets" / "dated")
        stored = workspace.datasets.add(workspace.folder / "datasets" / "dated", name="Dated")
    trial = page.url
    page.goto(f"/data/{stored.id}")
    index = page.locator("section").filter(has_text="The page of a forecast shows the earlier")
    index.get_by_text("There is no index yet.").wait_for()
    index.get_by_label("Compare by").click()
    page.get_by_role("option", name="Words alone, which is faster").click()
    index.get_by_role("button", name="Build precedents").click()
    index.get_by_text("60, completed between 2000-01 and 2004-12").wait_for(timeout=WAIT)
    assert "Will this trial succeed" in index.inner_text()
    assert "failure 30, success 30" in index.inner_text()
    # One that is there is replaced only when the visitor agrees.
    index.get_by_role("button", name="Build precedents").click()
    page.get_by_text("It holds 60 trials of Dated.").wait_for()
    page.get_by_role("button", name="Keep").click()

    page.goto(trial)
    button.click()
    rows = section.locator("tbody tr")
    rows.first.wait_for(timeout=WAIT)
    assert rows.count() == 10
    assert "60 trials of the index were completed before" in section.inner_text()
    assert "of the 10 most alike ended with success" in section.inner_text()
    # The registry's address is text: nothing here leads out of this machine.
    assert "https://clinicaltrials.gov/study/NCT" in rows.first.inner_text()
    assert section.locator("a").count() == 0
    rows.first.locator("summary").click()
    rows.first.locator("li").first.wait_for()
    page.set_viewport_size({"width": 390, "height": 800})
    page.wait_for_timeout(200)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
