"""The Data page in a real browser: files become a data set, which is read, searched and deleted."""

from __future__ import annotations

import io
import re
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from llm4top.data.dataset import make_dataset
from llm4top.errors import LLM4TOPError, TaskError, UploadError
from llm4top.registry.trial import Trial
from llm4top.studio.components.data_card import cell, cut, title
from llm4top.studio.components.data_import import split_settings
from llm4top.studio.pages.data import rows_html
from llm4top.workspace.cleanup import delete_dataset
from llm4top.workspace.jobs.intake import queue_ingest
from llm4top.workspace.jobs.job_settings import checked_settings
from llm4top.workspace.run_states import Run
from llm4top.workspace.serving.request import UploadedFile
from llm4top.workspace.views.browse import ListedTrial
from llm4top.workspace.views.lengths import TextLengths
from llm4top.workspace.workspace import Workspace
from tests.studio._server import Server
from tests.workspace.tiny import RECORD, over, save_tiny_dataset, wait_for

if TYPE_CHECKING:
    from playwright.sync_api import Page

TASK = """
name: enrolment
kind: binary
question: Will it enrol in time?
labels: [late, in time]
"""

HOSTILE = "<img src=x onerror=window.ran=1> & study"
OVERFLOW = "document.documentElement.scrollWidth - window.innerWidth"
WAIT = 120_000
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


TOP = "nctid,status,why_stop,label,phase,diseases,icdcodes,drugs,smiless,criteria\n"


def top_zip() -> dict[str, Any]:
    """Three of TOP's files in a folder of a zip, with four trials each."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, split in enumerate(("train", "valid", "test")):
            rows = "".join(
                f"NCT9000{number}00{k},completed,,{k % 2},phase 2,\"['asthma']\","
                f"\"[\"\"['J45']\"\"]\",['drug'],['C'],Adults {number} {k}\n"
                for k in range(4)
            )
            archive.writestr(f"somewhere/data/phase_II_{split}.csv", TOP + rows)
    return {"name": "top.zip", "mimeType": "application/zip", "buffer": packed.getvalue()}


def _file(name: str, text: str) -> dict[str, Any]:
    return {"name": name, "mimeType": "application/octet-stream", "buffer": text.encode()}


@pytest.mark.browser
def test_dropped_records_become_a_data_set(page: Page) -> None:
    page.goto("/data")
    page.get_by_text("No data sets yet.").wait_for()
    page.get_by_label("Name").fill("My trials")
    page.get_by_text("How to split the trials").click()
    page.get_by_label("Column of the labels").fill("outcome")
    page.get_by_label("Split").click()
    page.get_by_role("option", name="At random").click()
    page.get_by_text("too optimistic").wait_for()
    page.set_input_files("input[type=file]", [_file("labels.csv", "nctid,outcome\n")])
    page.get_by_text("a CSV of labels alone is not a data set.").wait_for()
    page.set_input_files("input[type=file]", records())
    page.wait_for_url(re.compile("/data/[0-9a-f]{32}$"), timeout=WAIT)
    page.get_by_role("heading", name="My trials").wait_for()
    page.get_by_text("10 trials of 10; 1 to 10 shown.").wait_for()
    page.get_by_text("Split: random, stratified by label: shares 0.8 / 0.1 / 0.1").wait_for()


@pytest.mark.browser
def test_a_zip_of_top_becomes_its_data_set(page: Page) -> None:
    page.goto("/data")
    page.get_by_label("Name").fill("Zipped")
    page.set_input_files("input[type=file]", [top_zip()])
    page.wait_for_url(re.compile("/data/[0-9a-f]{32}$"), timeout=WAIT)
    counts = page.get_by_role("table", name="Trials by phase and split")
    assert counts.inner_text().split("\n")[0].split() == ["Phase", "train", "valid", "test"]
    assert counts.inner_text().split("\n")[1].split("\t") == ["All", *["4 (50\u00a0%)"] * 3]
    page.get_by_role("cell", name="phase_II_train.csv").wait_for()


@pytest.mark.browser
def test_a_missing_column_of_labels_is_named_with_those_there_are(page: Page) -> None:
    page.goto("/data")
    page.set_input_files("input[type=file]", records())
    said = "labels.csv: has no column label. Its columns are: nctid, outcome."
    page.get_by_role("status").get_by_text(said).wait_for(timeout=WAIT)
    page.get_by_text("Last lines of the log").click()
    page.get_by_role("button", name="Start over").wait_for()


def _begun(workspace: Workspace, title: str) -> Run:
    """The run of that title, once it is there."""
    end = time.monotonic() + WAIT / 1000
    while time.monotonic() < end:
        for run in workspace.runs.list(limit=None):
            if run.title == title:
                return run
        time.sleep(0.05)
    raise AssertionError(f"no run began that is called {title}")


@pytest.mark.browser
def test_what_failed_is_there_again_until_it_is_deleted_with_its_files(
    page: Page, workspace: Workspace
) -> None:
    def kept() -> set[str]:
        return {upload.name for upload in workspace.uploads.list(limit=None)}

    record = _file("unlabelled.xml", records(1)[0]["buffer"].decode())
    page.goto("/data")
    page.get_by_label("Name", exact=True).fill("No labels")
    page.set_input_files("input[type=file]", [record, _file("no-labels.csv", "nctid,x\n")])
    # Others that failed before stand on the page as well.
    assert wait_for(workspace, _begun(workspace, "Data set No labels"), over).state == "failed"
    assert kept() >= {"unlabelled.xml", "no-labels.csv"}
    page.goto("/data")
    shown = page.get_by_role("heading", name="Data set No labels", exact=True).locator("..")
    shown.get_by_role("button", name="Start over").wait_for()
    shown.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    shown.wait_for(state="hidden")
    assert not kept() & {"unlabelled.xml", "no-labels.csv"}


@pytest.mark.browser
def test_a_data_set_is_read_searched_and_opened(page: Page, workspace: Workspace) -> None:
    stored = workspace.datasets.add(_invented(workspace), name="Invented")
    page.goto("/data")
    page.get_by_role("link", name="Invented").click()
    page.get_by_role("heading", name="Trials by start year, 2010 to 2014").wait_for()
    balance = page.get_by_role("table", name="Trials by phase and split")
    assert balance.get_by_role("row").count() == 4  # the heading, all, phases 2 and 3
    page.get_by_role("heading", name="The standard budget of").wait_for()
    cuts = page.get_by_role("table", name="Trials that a budget shortens")
    assert cuts.get_by_role("row").count() == 4
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Download the lengths").click()
    assert waiting.value.suggested_filename == "lengths.csv"
    page.get_by_text("120 trials of 120; 1 to 50 shown.").wait_for()
    page.get_by_role("button", name="Next").click()
    page.get_by_text("51 to 100 shown.").wait_for()
    page.get_by_label("Search titles").fill("STUDY onerror")
    page.get_by_text("1 trial of 120; 1 to 1 shown.").wait_for()
    page.get_by_role("button", name=HOSTILE).click()
    opened = page.get_by_role("dialog")
    opened.get_by_text("Never shown to a model").wait_for()
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
    page.get_by_text("Not yet checked").wait_for()
    page.get_by_role("button", name="Run the leak audit").click()
    page.get_by_role("button", name="Run it again").wait_for(timeout=WAIT)
    page.reload()
    page.get_by_role("table", name="Leak audit").wait_for()


@pytest.mark.browser
def test_a_data_set_is_renamed_to_a_name_that_is_free(page: Page, workspace: Workspace) -> None:
    folder = save_tiny_dataset(workspace.folder / "datasets" / "another")
    other = workspace.datasets.add(folder, name="Taken")
    stored = workspace.datasets.register(_invented(workspace), name="Before")
    page.goto(f"/data/{stored.id}")
    for name in ("Taken", "After <b>"):
        page.get_by_role("button", name="Rename").click()
        dialog = page.get_by_role("dialog", name="Rename this data set")
        dialog.get_by_label("Name").fill(name)
        dialog.get_by_role("button", name="Rename").click()
        dialog.wait_for(state="hidden")
    page.get_by_role("heading", name="After <b>").wait_for()
    page.get_by_text("another data set has this name").wait_for()
    assert workspace.datasets.get(stored.id).name == "After <b>"
    assert workspace.activity.list(subject=stored.id)[0].action == "renamed"
    workspace.datasets.delete(other.id)


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
    made = queue_ingest(own, files, asked, "somebody")
    uploads = {upload.id: upload.name for upload in own.uploads.list()}
    assert [uploads[k] for k in made.settings["uploads"]] == ["a.xml"]
    assert uploads[made.settings["labels_upload"]] == "labels.csv"
    assert own.activity.list()[0].what == "Data set N"


def test_a_yaml_file_is_the_question(own: Workspace, tmp_path: Path) -> None:
    files = _given(tmp_path, a__xml="<a/>", labels__csv="nctid,label\n", own__yaml=TASK)
    asked = {"name": "N", "task": "outcome", "label_column": "label"}
    made = queue_ingest(own, files, asked, "somebody")
    uploads = {upload.id: upload.name for upload in own.uploads.list()}
    assert uploads[made.settings["task_upload"]] == "own.yaml"
    assert "task" not in made.settings


def test_a_broken_task_file_is_named_as_its_owner_calls_it(own: Workspace, tmp_path: Path) -> None:
    files = _given(tmp_path, a__xml="<a/>", labels__csv="", own__yaml="kind: binary\n")
    with pytest.raises(TaskError, match=r"^own\.yaml: is not a task:\n  - name: "):
        queue_ingest(own, files, {"name": "N"}, "somebody")
    assert own.uploads.count() == 0


@pytest.mark.parametrize(
    ("rule", "fields", "made"),
    [
        ("", {"train_before": "2010"}, {}),
        ("own", {}, {"split": {"rule": "own"}}),
        ("time", {}, {"split": {"rule": "time"}}),
        (
            "time",
            {"train_before": " 2010 ", "valid_before": "2012-06"},
            {"split": {"rule": "time", "valid_from": "2010", "test_from": "2012-06"}},
        ),
        ("random", {"seed": "3"}, {"split": {"rule": "random", "seed": 3}}),
        ("random", {"seed": ""}, {"split": {"rule": "random"}}),
    ],
)
def test_a_chosen_split_is_what_the_run_is_asked(
    rule: str, fields: dict[str, str], made: dict[str, Any]
) -> None:
    asked = split_settings(rule, **fields)
    assert asked == made
    checked_settings("ingest", {"name": "N", "uploads": ["a"], **asked})


@pytest.mark.parametrize(
    ("rule", "fields", "said"),
    [
        ("time", {"valid_before": "2012"}, "the date before which to train is missing"),
        ("random", {"seed": "-1"}, "the seed is not a whole number"),
    ],
)
def test_a_split_that_contradicts_itself(rule: str, fields: dict[str, str], said: str) -> None:
    with pytest.raises(UploadError, match=said):
        split_settings(rule, **fields)


def test_counts_bear_the_share_of_the_second_of_two_labels() -> None:
    assert cell({"failure": 1, "success": 3}, "success") == ("4", "(75\u00a0%)")
    assert cell({"late": 2000}, None) == ("2\u202f000", "")
    assert cell({}, "success") == ("0", "")


def test_every_text_of_a_trial_is_escaped() -> None:
    hostile = '"><img src=x>'
    row = ListedTrial(7, hostile, hostile, "", hostile, hostile, hostile, "")
    made = rows_html([row])
    assert "<img" not in made
    assert made.count("&quot;&gt;&lt;img src=x&gt;") == 5
    assert 'data-position="7"' in made
    assert 'data-title="Start" class="l4-none"' in made


def test_the_figure_of_lengths_says_its_reading() -> None:
    limits = {"standard": 100}
    every, some = TextLengths((50, 60), 2), TextLengths((50, 150), 900)
    assert (
        title(every, limits, estimated=True)
        == "The standard budget of 100 tokens holds every trial"
    )
    assert title(some, limits, estimated=False).startswith(
        "About 50\u00a0% of the trials are longer"
    )
    assert cut(every, 55) == "50\u00a0%"
    assert cut(some, 100) == "50\u00a0% (9 to 91\u00a0%)"


def test_files_of_top_are_no_labels(own: Workspace, tmp_path: Path) -> None:
    files = _given(tmp_path, phase_I_train__csv="nctid\n", titles_and_dates__csv="nctid\n")
    asked = {"name": "N", "task": "outcome", "label_column": "label"}
    made = queue_ingest(own, files, asked, "somebody")
    assert len(made.settings["uploads"]) == 2
    assert "labels_upload" not in made.settings


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"labels__csv": ""}, "a CSV of labels alone is not a data set"),
        ({"own__yaml": ""}, "own.yaml: a task file alone is not a data set"),
        ({"a__xml": "", "b__yaml": "", "c__yml": ""}, "2 task files: a data set answers one"),
        ({"a__xml": "", "own__yaml": TASK}, "own.yaml: asks a question of its own, and its"),
        ({"a__xml": "", "b__csv": "", "c__csv": ""}, "2 CSV files that are not TOP's"),
    ],
)
def test_files_that_make_no_data_set(
    own: Workspace, tmp_path: Path, files: dict[str, str], said: str
) -> None:
    asked = {"name": "N", "task": "outcome", "label_column": "label"}
    with pytest.raises(UploadError) as caught:
        queue_ingest(own, _given(tmp_path, **files), asked, "somebody")
    assert said in str(caught.value)
    assert own.uploads.count() == 0


def test_what_cannot_be_queued_leaves_no_upload(own: Workspace, tmp_path: Path) -> None:
    asked = {"name": "", "task": "outcome", "label_column": "label"}
    with pytest.raises(LLM4TOPError, match="settings of this ingest run are wrong"):
        queue_ingest(own, _given(tmp_path, a__xml="<a/>"), asked, "somebody")
    assert own.uploads.count() == 0


def test_deleting_a_data_set_deletes_what_it_was_made_from(own: Workspace, tmp_path: Path) -> None:
    from llm4top.workspace.run_states import Process

    asked = {"name": "N", "task": "outcome", "label_column": "label"}
    files = _given(tmp_path, a__xml="<a/>", labels__csv="nctid,label\n")
    run = queue_ingest(own, files, asked, "somebody")
    stored = own.datasets.add(save_tiny_dataset(own.folder / "datasets" / "tiny"))
    claimed = own.runs.claim(Process.current(), device="cpu")
    assert claimed is not None
    assert claimed.id == run.id
    own.runs.finish(run.id, {"dataset_id": stored.id}, attempt=claimed.attempt)
    delete_dataset(own, stored.id, "somebody")
    assert (own.uploads.count(), own.datasets.count()) == (0, 0)
    assert own.activity.list()[0].action == "deleted"
