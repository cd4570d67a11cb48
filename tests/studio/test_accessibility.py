"""axe-core on every page: no serious violation, in both colours, wide and narrow."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from llm4top.workspace.run_states import Process
from llm4top.workspace.workspace import Workspace
from tests.studio._server import Server, start_server, stop_server
from tests.workspace.tiny import save_tiny_dataset

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, ViewportSize

pytestmark = pytest.mark.browser

WIDE: ViewportSize = {"width": 1400, "height": 900}
NARROW: ViewportSize = {"width": 390, "height": 844}
IMPACTS = ("serious", "critical")
RUN = """async () => (await axe.run(document, {resultTypes: ["violations"]})).violations
  .map((v) => ({id: v.id, impact: v.impact, help: v.help,
                nodes: v.nodes.map((n) => n.html.slice(0, 200) + " " + n.failureSummary)}))"""


@pytest.fixture(scope="module")
def axe() -> str:
    """The source of axe-core, as the package that carries it has it."""
    found = importlib.util.find_spec("axe_playwright_python")
    if found is None or found.origin is None:
        pytest.skip("no axe-core here; install the package axe-playwright-python to run this")
    return (Path(found.origin).parent / "axe.min.js").read_text("utf-8")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A Studio with something on each page: a data set, runs of every state, activity."""
    folder = tmp_path_factory.mktemp("axe")
    save_tiny_dataset(folder / "invented", train=64)
    with Workspace.open(folder / "home") as workspace:
        workspace.datasets.register(folder / "invented")
        for state in ("queued", "running", "failed"):
            run = workspace.runs.submit("train", {"base": "x"}, title=state, device="none here")
            if state == "queued":
                continue
            workspace.runs.claim(Process(1, 1.0, "another-machine"), device="none here")
        workspace.activity.log("imported", "somebody", "records.xml")
        (workspace.folder / "run").write_text(run.id)
    made = start_server(folder / "home")
    yield made
    stop_server(made)


@pytest.fixture(scope="module")
def one_page(chromium: Browser, server: Server) -> Iterator[Page]:
    """One page for every test: what the browser has loaded of the Studio it loads once."""
    with chromium.new_context(base_url=server.address, reduced_motion="reduce") as context:
        yield context.new_page()


@pytest.fixture
def page(one_page: Page) -> Page:
    one_page.set_viewport_size(WIDE)
    one_page.emulate_media(color_scheme="light")
    return one_page


def check(page: Page, axe: str) -> None:
    """Fail with what axe finds on the page as it stands, in either colours, wide and narrow."""
    page.evaluate(axe)
    for size in (WIDE, NARROW):
        page.set_viewport_size(size)
        for theme in ("light", "dark"):
            page.emulate_media(color_scheme=theme)
            page.wait_for_timeout(200)
            found = [item for item in page.evaluate(RUN) if item["impact"] in IMPACTS]
            assert found == [], (theme, size, json.dumps(found, indent=1))


PAGES = {
    "/": "Try an example",
    "/draft": "Read the synopsis",
    "/data": "Data sets",
    "/train": "Before you start",
    "/models": "Embedded default",
    "/models/embedded": "Context of use",
    "/benchmark": "Run a benchmark",
    "/activity": "records.xml",
    "/kept": "No files are stored",
    "/what-if": "Choose a trial first",
    "/settings": "Default model",
    "/help": "How to start",
    "/about": "Versions",
    "/api/v1/docs": "/forecasts",
    "/none": "There is no such page.",
}


@pytest.mark.parametrize("path", [*PAGES, "dataset", "training"])
def test_no_page_has_a_serious_violation(page: Page, server: Server, axe: str, path: str) -> None:
    words = PAGES.get(path, "")
    with Workspace.open(server.home) as workspace:
        if path == "dataset":
            (stored,) = workspace.datasets.list()
            path, words = f"/data/{stored.id}", "Where it came from"
        elif path == "training":
            run = next(run for run in workspace.runs.list() if run.state == "running")
            path, words = f"/train/{run.id}", run.title
    page.goto(path)
    page.get_by_text(words).first.wait_for(state="attached")
    page.wait_for_timeout(500)
    check(page, axe)


def test_a_forecast_and_the_job_drawer_have_none(page: Page, axe: str) -> None:
    page.goto("/")
    page.get_by_role("button", name="Try an example").click()
    page.locator("article.l4-trial h3 a").first.wait_for(timeout=90_000)
    other = (files("llm4top") / "examples" / "example_with_results.xml").read_bytes()
    plain = (files("llm4top") / "examples" / "example.xml").read_bytes()
    # A trial that the model does not know: its number is dimmed.
    other = re.sub(rb"(<intervention_type>)\w+", rb"\1Device", other)
    given = {"b.xml": other, "c.xml": re.sub(rb"NCT\d{8}", b"NCT99999907", plain)}
    page.set_input_files(
        "input[type=file]",
        [{"name": n, "mimeType": "text/xml", "buffer": text} for n, text in given.items()],
    )
    page.get_by_role("heading", name="3 trials").wait_for()
    for view, shown in (
        ("Table", "table.l4-trials"),
        ("Portfolio", "figure"),
        ("Cards", "h3 a"),
    ):
        page.get_by_role("tab", name=view).click()
        page.locator(shown).first.wait_for()
        check(page, axe)
    page.locator("article.l4-trial h3 a").first.click()
    page.get_by_text("What the model read").first.wait_for()
    check(page, axe)
    page.set_viewport_size(WIDE)
    page.locator(".l4-jobs-rail").click()
    page.get_by_role("dialog", name="Jobs").wait_for()
    page.wait_for_timeout(700)
    check(page, axe)


def test_an_edited_trial_has_none(page: Page, axe: str) -> None:
    page.goto("/")
    page.get_by_role("button", name="Try an example").click()
    page.locator("article.l4-trial h3 a").first.click(timeout=90_000)
    page.get_by_role("link", name="What if the record read otherwise?").click()
    page.get_by_label("Minimum age").fill("18")
    page.get_by_text("is not an age").first.wait_for()
    page.get_by_role("button", name="Sweep").click()
    page.get_by_text("As a table").wait_for()
    page.wait_for_timeout(700)
    check(page, axe)
