"""The Data page in a real browser: files become a data set, which is read, searched and deleted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from llm4top.data import make_dataset
from llm4top.errors import LLM4TOPError, UploadError
from llm4top.registry import Trial
from llm4top.studio._components._data_intake import delete_dataset, queue_ingest
from llm4top.workspace import UploadedFile, Workspace
from tests.studio._server import Server
from tests.workspace.tiny import RECORD, save_tiny_dataset

if TYPE_CHECKING:
    from playwright.sync_api import Page

HOSTILE = "<img src=x onerror=window.ran=1> & study"
OVERFLOW = "document.documentElement.scrollWidth - window.innerWidth"
WAIT = 30_000
"""Milliseconds for a run: its worker starts first."""


@pytest.fixture(scope="module")
def workspace(server: Server) -> Iterator[Workspace]:
    """The server's own workspace, as a command in a terminal would open it."""
    with Workspace.open(server.home) as made:
        yield made


def records(count: int = 10) -> list[dict[str, Any]]:
    dated = "<start_date>March 20{n:02}</start_date><phase>"
    record = RECORD.replace("<phase>", dated)
    made = [_file(f"r{n}.xml", record.format(n=n, title=f"Study {n}")) for n in range(count)]
    rows = "".join(f"NCT9000000{n},{n % 2}\n" for n in range(count))
    return [*made, _file("labels.csv", f"nctid,outcome\n{rows}")]


def _file(name: str, text: str) -> dict[str, Any]:
    return {"name": name, "mimeType": "application/octet-stream", "buffer": text.encode()}


@pytest.mark.browser
def test_dropped_records_become_a_data_set(page: Page) -> None:
    page.goto("/data")
    page.get_by_text("There is none yet.").wait_for()
    page.get_by_label("Name").fill("My trials")
    page.get_by_label("Column of the labels").fill("outcome")
    page.set_input_files("input[type=file]", [_file("labels.csv", "nctid,outcome\n")])
    page.get_by_text("a CSV of labels alone makes no data set.").wait_for()
    page.set_input_files("input[type=file]", records())
    page.wait_for_url(re.compile("/data/[0-9a-f]{32}$"), timeout=WAIT)
    page.get_by_role("heading", name="My trials").wait_for()
    page.get_by_text("10 trials of 10; 1 to 10 shown.").wait_for()


@pytest.mark.browser
def test_a_data_set_is_read_searched_and_opened(page: Page, workspace: Workspace) -> None:
    stored = workspace.datasets.add(_invented(workspace), name="Invented")
    page.goto("/data")
    page.get_by_role("link", name="Invented").click()
    page.get_by_role("heading", name="Trials by start year, 2010 to 2014").wait_for()
    balance = page.get_by_role("table", name="Trials by phase, split and label")
    assert "All phases" in balance.inner_text()
    page.get_by_text("120 trials of 120; 1 to 50 shown.").wait_for()
    page.get_by_role("button", name="Next").click()
    page.get_by_text("51 to 100 shown.").wait_for()
    page.get_by_label("Search titles").fill("STUDY onerror")
    page.get_by_text("1 trial of 120; 1 to 1 shown.").wait_for()
    page.get_by_role("button", name=HOSTILE).click()
    opened = page.get_by_role("dialog")
    opened.get_by_text("What no model reads").wait_for()
    assert "slow enrolment" in opened.inner_text()
    assert page.evaluate("window.ran") is None
    opened.get_by_role("button", name="Close").click()
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate(OVERFLOW) <= 0
    page.get_by_role("button", name="Delete this data set").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    page.wait_for_url("**/data")
    assert stored.id not in {found.id for found in workspace.datasets.list()}


@pytest.mark.browser
def test_an_address_without_a_data_set_says_so(page: Page) -> None:
    page.goto("/data/nothing")
    page.get_by_role("alert").get_by_text("data set").wait_for()


@pytest.mark.browser
def test_a_leak_audit_is_run_and_shown(page: Page, workspace: Workspace) -> None:
    folder = save_tiny_dataset(workspace.folder / "datasets" / "tiny")
    stored = workspace.datasets.add(folder, name="Telling")
    page.goto(f"/data/{stored.id}")
    page.get_by_text("Not audited yet").wait_for()
    page.get_by_role("button", name="Look for leaks").click()
    page.get_by_role("button", name="Look again").wait_for(timeout=WAIT)
    page.reload()
    page.get_by_role("table", name="Leak audit").wait_for()


def _invented(workspace: Workspace) -> Path:
    trials = [Trial(phase="Phase 2", brief_title=f"Study {k}") for k in range(119)]
    trials.append(Trial(phase="Phase 3", brief_title=HOSTILE))
    made = make_dataset(
        trials,
        ["success", "failure"] * 60,
        [f"NCT9{k:07d}" for k in range(120)],
        ["train"] * 80 + ["valid"] * 40,
        task="outcome",
        start_dates=[str(2010 + k // 24) for k in range(120)],
        why_stopped=[None] * 119 + ["slow enrolment"],
        name="invented",
    )
    folder = workspace.folder / "datasets" / "invented"
    made.save(folder)
    return folder


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Workspace]:
    with Workspace.open(tmp_path / "home") as made:
        yield made


def _given(folder: Path, **files: str) -> list[UploadedFile]:
    made = []
    for number, (name, text) in enumerate(files.items()):
        place = folder / str(number)
        place.write_text(text, "utf-8")
        made.append(UploadedFile(place, name.replace("__", ".")))
    return made


def test_a_csv_beside_records_holds_their_labels(own: Workspace, tmp_path: Path) -> None:
    files = _given(tmp_path, a__xml="<a/>", labels__csv="nctid,label\n")
    asked = {"name": "N", "task": "outcome", "label_column": "label"}
    made = own.runs.get(queue_ingest(own, files, asked, "somebody"))
    uploads = {upload.id: upload.name for upload in own.uploads.list()}
    assert [uploads[k] for k in made.settings["uploads"]] == ["a.xml"]
    assert uploads[made.settings["labels_upload"]] == "labels.csv"
    assert own.activity.list()[0].what == "Data set N"


def test_files_of_top_are_no_labels(own: Workspace, tmp_path: Path) -> None:
    files = _given(tmp_path, phase_I_train__csv="nctid\n", titles_and_dates__csv="nctid\n")
    asked = {"name": "N", "task": "outcome", "label_column": "label"}
    made = own.runs.get(queue_ingest(own, files, asked, "somebody"))
    assert len(made.settings["uploads"]) == 2
    assert "labels_upload" not in made.settings


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"labels__csv": ""}, "a CSV of labels alone makes no data set"),
        ({"a__xml": "", "b__csv": "", "c__csv": ""}, "2 CSV files that are not TOP's"),
    ],
)
def test_files_that_make_no_data_set(
    own: Workspace, tmp_path: Path, files: dict[str, str], said: str
) -> None:
    asked = {"name": "N", "task": "outcome", "label_column": "label"}
    with pytest.raises(UploadError, match=said):
        queue_ingest(own, _given(tmp_path, **files), asked, "somebody")
    assert own.uploads.count() == 0


def test_what_cannot_be_queued_leaves_no_upload(own: Workspace, tmp_path: Path) -> None:
    asked = {"name": "", "task": "outcome", "label_column": "label"}
    with pytest.raises(LLM4TOPError, match="settings of this ingest run are wrong"):
        queue_ingest(own, _given(tmp_path, a__xml="<a/>"), asked, "somebody")
    assert own.uploads.count() == 0


def test_deleting_a_data_set_deletes_what_it_was_made_from(own: Workspace, tmp_path: Path) -> None:
    from llm4top.workspace import Process

    asked = {"name": "N", "task": "outcome", "label_column": "label"}
    files = _given(tmp_path, a__xml="<a/>", labels__csv="nctid,label\n")
    run = own.runs.get(queue_ingest(own, files, asked, "somebody"))
    stored = own.datasets.add(save_tiny_dataset(own.folder / "datasets" / "tiny"))
    claimed = own.runs.claim(Process.current(), device="cpu")
    assert claimed is not None
    assert claimed.id == run.id
    own.runs.finish(run.id, {"dataset_id": stored.id}, attempt=claimed.attempt)
    delete_dataset(own, stored.id, "somebody")
    assert (own.uploads.count(), own.datasets.count()) == (0, 0)
    assert own.activity.list()[0].action == "deleted"
