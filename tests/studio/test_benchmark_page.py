"""Runs that end in a report: started, watched, read inside the page, downloaded."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from llm4top.workspace.run_states import Process
from llm4top.workspace.workspace import Workspace
from tests.studio._server import Server, outside
from tests.workspace.tiny import save_tiny_dataset

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

WAIT = 120_000
"""Milliseconds for a run: its worker is a process of its own, which starts first."""

NO_ID = "0" * 32
REPORT = re.compile(r"/reports/[0-9a-f]{32}$")
OVERFLOW = "document.documentElement.scrollWidth - window.innerWidth"
HOSTILE = """<!doctype html><title>x</title><p id="words">Words</p>
<script>document.getElementById("words").textContent = "ran";
parent.document.title = "pwned"</script>
<img src=x onerror="top.document.title='pwned'"><a href="https://evil.example/">out</a>"""


@pytest.fixture(scope="module")
def workspace(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """The server's own workspace, with a small data set."""
    with Workspace.open(server.home) as made:
        folder = save_tiny_dataset(tmp_path_factory.mktemp("data") / "invented")
        made.datasets.register(folder)
        yield made


@pytest.fixture(scope="module")
def reported(workspace: Workspace) -> str:
    """The id of a run that is done; it waited for a device that no worker has."""
    made = workspace.runs.submit("evaluate", {}, title="Comparison of <b>two</b>", device="mine")
    run = workspace.runs.claim(Process.current(), device="mine", kinds=("evaluate",))
    assert run is not None
    assert run.id == made.id
    folder = workspace.runs.folder(run.id) / "report"
    folder.mkdir(parents=True)
    (folder / "report.html").write_text(HOSTILE)
    summary = ["No detectable difference (n = 40)."]
    workspace.runs.finish(run.id, {"report": "report", "summary": summary})
    return run.id


def test_without_data_it_says_what_is_needed(page: Page) -> None:
    page.goto("/benchmark")
    page.get_by_text("There is none yet").wait_for()
    page.get_by_text("Reports of benchmarks, evaluations and comparisons").wait_for()


def test_a_report_is_listed_and_read_and_can_do_nothing_else(
    chromium: Browser, server: Server, reported: str
) -> None:
    asked: list[str] = []
    # Of its own: the browser writes each script that it stops to the console.
    with chromium.new_context(base_url=server.address) as context:
        context.on("request", lambda request: asked.append(request.url))
        page = context.new_page()
        page.goto("/benchmark")
        listed = page.get_by_role("table", name="Reports")
        listed.get_by_role("link", name="Comparison of <b>two</b>").click()
        page.get_by_text("No detectable difference (n = 40).").wait_for()
        frame = page.frame_locator("iframe")
        frame.get_by_text("Words").wait_for()
        assert page.locator("iframe").get_attribute("sandbox") == ""
        frame.get_by_role("link", name="out").click()
        page.wait_for_timeout(300)
        assert page.title() == "Report · LLM4TOP"
        assert [url for url in outside(asked) if "evil" in url] == []
        page.set_viewport_size({"width": 390, "height": 900})
        assert page.evaluate(OVERFLOW) <= 0
        with page.expect_download() as waiting:
            page.get_by_role("link", name="Download the report").click()
        assert waiting.value.suggested_filename == "report.html"
        assert Path(waiting.value.path()).read_text() == HOSTILE
    answer = server.ask(f"/reports/{reported}/download")
    assert answer.headers["content-disposition"].startswith("attachment")
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_a_benchmark_is_started_watched_and_stopped(page: Page, workspace: Workspace) -> None:
    page.goto("/benchmark")
    page.get_by_role("button", name="Run the benchmark").click()
    page.wait_for_url(REPORT)
    run = workspace.runs.get(page.url.rpartition("/")[2])
    assert (run.kind, run.settings["test"], run.settings["preset"]) == ("benchmark", False, "quick")
    page.get_by_text("Benchmark on invented (88 trials)").wait_for()
    page.get_by_role("button", name="Stop").click()
    page.get_by_role("button", name="Resume").wait_for(timeout=WAIT)
    page.get_by_text("Interrupted").first.wait_for()


def test_runs_without_a_report(page: Page, workspace: Workspace, server: Server) -> None:
    page.goto(f"/reports/{NO_ID}")
    page.get_by_role("alert").get_by_text("there is no run").wait_for()
    (benchmark,) = workspace.runs.list(kind="benchmark")
    for name in (NO_ID, benchmark.id, "..%2f..%2fetc%2fpasswd"):
        assert server.ask(f"/reports/{name}/download").status == 404
