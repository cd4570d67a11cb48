"""From the models to what was measured: a comparison and a benchmark, walked to their ends."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from llm4top.evaluation.reports.render import read_report
from llm4top.testing import make_tiny_model
from llm4top.workspace.workspace import Workspace
from tests.forecasters.bundle_kit import make
from tests.studio._server import Server
from tests.workspace.tiny import save_tiny_dataset

if TYPE_CHECKING:
    from playwright.sync_api import Download, Locator, Page

# Half a minute of work each, and many times that where other things share the processor.
pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(600)]

WAIT = 480_000
"""Milliseconds for a run: its worker is a process of its own, which starts first."""

REPORT = re.compile(r"/reports/[0-9a-f]{32}$")
OVERFLOW = "document.documentElement.scrollWidth - window.innerWidth"
FIGURES = 6


@pytest.fixture(scope="module")
def workspace(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """The server's own workspace, with a data set of one phase and a bundle of a tiny model."""
    folder = tmp_path_factory.mktemp("material")
    make(make_tiny_model(folder / "model"), "none").save(folder / "bundle")
    with Workspace.open(server.home) as made:
        made.datasets.register(save_tiny_dataset(folder / "invented", phases=1))
        made.bundles.add(folder / "bundle", name="tiny")
        yield made


def table(page: Page, name: str) -> Locator:
    return page.get_by_role("region", name=re.compile(f"^{name}, ")).get_by_role("table")


def downloaded(page: Page, button: Locator) -> Download:
    with page.expect_download() as waiting:
        button.click()
    return waiting.value


def fits(page: Page) -> bool:
    """Whether nothing is wider than the window, wide and narrow."""
    widths = []
    for width in (390, 1400):
        page.set_viewport_size({"width": width, "height": 900})
        widths.append(page.evaluate(OVERFLOW))
    return max(widths) <= 0


def test_two_models_are_compared_and_the_comparison_read(page: Page, workspace: Workspace) -> None:
    page.goto("/models")
    page.get_by_role("button", name="Select a model").wait_for()
    page.get_by_label("Compare Embedded default").click()
    page.get_by_label("Compare tiny").click()
    page.get_by_role("button", name="Compare 2 models").click()
    page.wait_for_url(REPORT)
    page.get_by_role("heading", name="Comparison of Embedded default and tiny").wait_for()
    page.get_by_role("heading", name="Figures").wait_for(timeout=WAIT)
    folder = workspace.runs.folder(page.url.rpartition("/")[2]) / "report"
    report = read_report(folder / "report.json")

    said = table(page, "All forecasters").inner_text()
    for name in ("tiny", "Always success", "TF-IDF + logistic regression"):
        assert name in said
    tiny = next(row for row in report.tables[0].rows if row.forecaster == "tiny")
    auc = tiny.figures["roc_auc"]
    assert (
        f"{auc.value:.3f}"[-4:]
        in table(page, "All forecasters").get_by_role("row", name="tiny").inner_text()
    )
    page.get_by_text(re.compile("^40 trials: ")).first.wait_for()

    pairs = table(page, "Paired differences in ROC-AUC")
    told = pairs.get_by_role("row", name=re.compile("^tiny")).first.inner_text()
    assert "no detectable difference (n = 40)" in told or "is better" in told
    page.locator("summary", has_text="Brier score").click()
    table(page, "Paired differences in Brier score").wait_for()

    assert page.locator(".report-part figure svg[role=img]").count() == FIGURES
    roc = page.locator(".report-part figure").nth(1)
    file = downloaded(page, roc.get_by_role("link", name="Data (CSV)"))
    assert file.suggested_filename.endswith("roc.csv")
    rows = list(csv.DictReader(Path(file.path()).read_text().splitlines()))
    assert "tiny" in {row["forecaster"] for row in rows}
    (curves,) = report.curves
    assert len(rows) == sum(len(c.roc) for c in curves.curves if c.kind != "trivial")

    page.locator("summary", has_text="The whole report").click()
    frame = page.frame_locator("iframe")
    assert "Reporting checklist" in frame.locator("body").inner_text()
    file = downloaded(page, page.get_by_role("link", name="Download the report"))
    assert Path(file.path()).read_bytes() == (folder / "report.html").read_bytes()
    assert fits(page)


def test_a_benchmark_is_run_to_its_end_and_read(page: Page, workspace: Workspace) -> None:
    page.goto("/benchmark")
    page.get_by_role("button", name="Run the benchmark").click()
    page.wait_for_url(REPORT)
    page.get_by_role("heading", name="Figures").wait_for(timeout=WAIT)
    folder = workspace.runs.folder(page.url.rpartition("/")[2]) / "report"
    report = read_report(folder / "report.json")
    for sentence in report.summary:
        page.get_by_text(sentence, exact=True).first.wait_for()
    assert "XGBoost" in table(page, "All forecasters").inner_text()
    page.get_by_label("Evaluated on").click()
    page.get_by_role("option").last.click()
    page.get_by_role("heading", name="Phase I, validation split").wait_for()
    assert fits(page)
    page.locator("summary", has_text="The whole report").click()
    frame = page.frame_locator("iframe")
    assert frame.get_by_role("heading", level=1).inner_text() == report.title
    file = downloaded(page, page.get_by_role("link", name="Download the report"))
    assert Path(file.path()).read_bytes() == (folder / "report.html").read_bytes()
    page.get_by_role("link", name="All reports").click()
    page.get_by_role("table", name="Reports").get_by_text("Finished").first.wait_for()
