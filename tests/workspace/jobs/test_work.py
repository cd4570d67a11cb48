"""What each kind of run does, from its settings to its result."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from llm4top.errors import BundleError, DatasetError, LLM4TOPError
from llm4top.forecasters.baselines.simple import BaseRateForecaster
from llm4top.forecasters.forecast_format import Forecast
from llm4top.forecasters.precedents.precedents import Precedents
from llm4top.progress import Progress
from llm4top.registry.trial import Trial
from llm4top.workspace.jobs.forecast_job import _Journal, items_of
from llm4top.workspace.jobs.ingest_job import bounded_memory
from llm4top.workspace.jobs.jobs import submit
from llm4top.workspace.jobs.resolve import base_place
from llm4top.workspace.jobs.work import Job, do
from llm4top.workspace.precedents import delete_index, index_card, index_folder
from llm4top.workspace.run_states import Process, Run
from llm4top.workspace.views.export_batch import EXPORT_NAMES, export_batch
from llm4top.workspace.views.listing import Listing, ListQuery
from llm4top.workspace.workspace import Workspace
from tests.forecasters.precedents.kit import dataset
from tests.workspace.tiny import RECORD, save_tiny_dataset

pytestmark = pytest.mark.slow


class Steps(list[Progress]):
    """Hears how far a run is, and may stop it."""

    def __init__(self, stop_at: int | None = None):
        super().__init__()
        self.stop_at = stop_at

    def __call__(self, step: Progress) -> None:
        self.append(step)
        if self.stop_at is not None and step.stage == "Forecasting" and step.done == self.stop_at:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_dataset(tmp_path_factory.mktemp("data") / "invented")


def work(workspace: Workspace, kind: str, settings: dict[str, Any]) -> tuple[Run, dict[str, Any]]:
    """Submit, claim and do a run here and now."""
    submit(workspace, kind, settings)
    return again(workspace, Steps())


def again(workspace: Workspace, steps: Steps) -> tuple[Run, dict[str, Any]]:
    run = workspace.runs.claim(Process.current(), device="cpu")
    assert run is not None
    workspace.runs.folder(run.id).mkdir(exist_ok=True)
    result = do(Job(workspace, run, "cpu", steps))
    json.dumps(result)
    return workspace.runs.finish(run.id, result, attempt=run.attempt), result


def records(count: int) -> list[str]:
    return [RECORD.format(n=n, title=f"=Study {n}") for n in range(count)]


def test_uploads_become_a_data_set(local: Workspace) -> None:
    ids = [
        local.uploads.add(f"r{n}.xml", io.BytesIO(text.encode())).id
        for n, text in enumerate(records(10))
    ]
    ids.append(local.uploads.add("notes.xml", io.BytesIO(b"<rss/>")).id)
    rows = "".join(f"NCT9000000{n},{n % 2}\n" for n in range(10))
    labels = local.uploads.add("labels.csv", io.BytesIO(f"nctid,label\n{rows}".encode()))
    settings = {
        "name": "My trials",
        "uploads": ids,
        "labels_upload": labels.id,
        "split": {"rule": "random", "seed": 3},
    }
    run, result = work(local, "ingest", settings)
    kept = local.datasets.get(result["dataset_id"])
    assert (kept.name, kept.rows, result["refused"]) == ("My trials", 10, 1)
    assert len(result["refusals"]) == 1
    assert len(local.datasets.load(kept.id)) == 10
    # Nothing of the making is left in the run's folder.
    assert list(local.runs.folder(run.id).iterdir()) == []


OWN = """
name: enrolment
kind: binary
question: Will it enrol in time?
labels: [late, in time]
"""


def test_a_question_of_ones_own_comes_with_its_task_file(local: Workspace) -> None:
    ids = [
        local.uploads.add(f"r{n}.xml", io.BytesIO(text.encode())).id
        for n, text in enumerate(records(4))
    ]
    rows = "".join(f"NCT9000000{n},{'late' if n % 2 else 'in time'}\n" for n in range(4))
    labels = local.uploads.add("labels.csv", io.BytesIO(f"nctid,enrolled\n{rows}".encode()))
    task = local.uploads.add("enrolment.yaml", io.BytesIO(OWN.encode()))
    settings = {
        "name": "Own",
        "uploads": ids,
        "task_upload": task.id,
        "labels_upload": labels.id,
        "label_column": "enrolled",
        "split": {"rule": "random"},
    }
    _, result = work(local, "ingest", settings)
    loaded = local.datasets.load(result["dataset_id"])
    assert loaded.task.question == "Will it enrol in time?"
    assert set(loaded.labels) == {"late", "in time"}
    assert {file.name for file in loaded.card.provenance} >= {"r0.xml", "labels.csv"}
    submit(local, "ingest", {**settings, "label_column": "label"})
    with pytest.raises(DatasetError, match=r"^labels\.csv: has no column label\. Its .* enrolled"):
        again(local, Steps())


def test_reading_is_bounded_in_memory() -> None:
    with bounded_memory(200_000_000):
        assert len(bytearray(50_000_000)) == 50_000_000
        with pytest.raises(MemoryError):
            bytearray(2_000_000_000)
    assert len(bytearray(400_000_000)) == 400_000_000


def test_uploads_under_the_names_of_top_are_its_folder(local: Workspace) -> None:
    header = "nctid,status,why_stop,label,phase,diseases,icdcodes,drugs,smiless,criteria\n"
    ids = []
    number = 0
    for split in ("train", "valid", "test"):
        rows = ""
        for label in (0, 1, 0, 1):
            number += 1
            rows += (
                f"NCT900000{number:02},completed,,{label},phase 2,\"['asthma']\","
                '"[""[\'J45\']""]","[\'drug\']","[\'C\']",Adults\n'
            )
        content = io.BytesIO((header + rows).encode())
        ids.append(local.uploads.add(f"phase_II_{split}.csv", content).id)
    _, result = work(local, "ingest", {"name": "TOP", "uploads": ids})
    card = local.datasets.load(result["dataset_id"]).card
    assert {split: sum(counts.values()) for split, counts in card.balance.items()} == {
        "train": 4,
        "valid": 4,
        "test": 4,
    }


def test_a_data_set_is_audited(local: Workspace, data: Path) -> None:
    run, result = work(local, "audit", {"data": str(data)})
    written = json.loads((local.runs.folder(run.id) / result["file"]).read_text())
    assert result["verdict"] == "fail"  # its condition tells the label
    assert not result["passed"]
    assert written["rows"] == 88


def test_an_index_of_precedents_is_built_and_not_written_over_by_chance(
    local: Workspace, tmp_path: Path
) -> None:
    dataset(["2001", None, "2003-04"]).save(tmp_path / "dated")
    settings = {"data": str(tmp_path / "dated"), "model": None}
    _, result = work(local, "precedents", settings)
    assert (result["trials"], result["first"], result["last"]) == (2, "2001", "2003-04")
    assert result["left_out"] == {"without a completion date": 1}
    assert len(Precedents.load(index_folder(local))) == 2
    submit(local, "precedents", settings)
    with pytest.raises(BundleError, match=r"^precedents: already holds an index"):
        again(local, Steps())
    assert index_card(local) is not None
    delete_index(local, "somebody")
    assert index_card(local) is None
    assert local.activity.list()[0].what == "index of precedents"


def test_many_forecasts_are_written_stored_and_gone_on_with(local: Workspace) -> None:
    ids = [
        local.uploads.add(f"=r{n}.xml", io.BytesIO(text.encode())).id
        for n, text in enumerate(records(5))
    ]
    other = records(1)[0].replace("Interventional", "Observational")
    ids.insert(1, local.uploads.add("cohort.xml", io.BytesIO(other.encode())).id)
    ids.append(local.uploads.add("notes.xml", io.BytesIO(b"<rss/>")).id)
    run = submit(local, "forecast", {"uploads": ids})
    with pytest.raises(KeyboardInterrupt):
        again(local, Steps(stop_at=3))
    local.runs.interrupt(run.id, "stopped")
    folder = local.runs.folder(run.id)
    journal = folder / ".forecasts.partial"
    first = journal.read_bytes()
    assert first.count(b"\n") == 3
    journal.write_bytes(first + b'{"broken off')

    local.runs.resume(run.id)
    steps = Steps()
    _, result = again(local, steps)
    told = [(step.done, step.total) for step in steps if step.stage == "Forecasting"]
    assert told == [(4, 5), (5, 5)]
    assert (result["forecasts"], result["refused"]) == (5, 2)
    apart, unreadable = result["refusals"]
    assert (apart["record"], apart["code"]) == ("cohort.xml", "NotApplicable")
    assert apart["reason"].startswith("an observational study: 'outcome' is a question about")
    assert unreadable["record"] == "notes.xml"
    assert (folder / "forecasts.jsonl").read_bytes().startswith(first)
    items = list(items_of(folder / "forecasts.jsonl"))
    assert [item.record for item in items] == [f"=r{n}.xml" for n in range(5)]
    rows = list(csv.DictReader((folder / "forecasts.csv").read_text("utf-8").splitlines()))
    assert [row["title"] for row in rows] == [f"'=Study {n}" for n in range(5)]
    stored = local.forecasts.list(run_id=run.id, order="position")
    assert [row.nct_id for row in stored] == [f"NCT9000000{n}" for n in range(5)]
    assert not journal.exists()


@pytest.mark.parametrize("kind", ["baseline", "blend"])
def test_bundles_of_every_kind_are_listed_forecast_and_exported(
    local: Workspace, kind: str, request: pytest.FixtureRequest
) -> None:
    bundle = local.bundles.add(request.getfixturevalue(f"{kind}_bundle"))
    assert bundle.id in [found.id for found in local.bundles.list()]
    upload = local.uploads.add("r.xml", io.BytesIO(records(1)[0].encode())).id
    settings = {"uploads": [upload], "model": bundle.id, "base_rate": "60 %"}
    run, result = work(local, "forecast", settings)
    assert (result["forecasts"], result["bundle"]) == (1, bundle.identity)
    (stored,) = local.forecasts.list(run_id=run.id)
    forecast = Forecast.from_dict(stored.values, id=stored.id)
    assert (forecast.adapted_to, forecast.target_rate) == ("0.6", 0.6)
    assert forecast.variant == f"{bundle.identity} at 0.6"
    assert 0 < forecast.probability < 1
    assert (forecast.tokens == 0) is (kind == "baseline")
    listing = Listing.read(local, run.id)
    for export in map(export_batch, EXPORT_NAMES):
        assert export.write(local, listing, ListQuery(), {bundle.identity: bundle.name})
    assert local.bundles.set_default(bundle.id).is_default


def test_models_are_evaluated_and_compared(local: Workspace, data: Path, tmp_path: Path) -> None:
    from llm4top.data.dataset import load_dataset
    from llm4top.forecasters.baselines.catalog import make_baseline

    dataset = load_dataset(data)
    learn = dataset.select("train")
    for name in ("tfidf", "base-rate"):
        fitted = make_baseline(name, dataset.task).fit(learn.trials, learn.label_indices)
        fitted.save(tmp_path / name, name=name)
    models = [str(tmp_path / name) for name in ("tfidf", "base-rate")]
    settings = {"data": str(data), "models": models[:1], "draws": 100}
    run, result = work(local, "evaluate", settings)
    assert result["summary"]
    assert (local.runs.folder(run.id) / result["report"] / "report.html").is_file()
    _, compared = work(local, "evaluate", {**settings, "models": models})
    assert compared["title"] != result["title"]


def test_a_benchmark_goes_on_behind_its_last_piece(local: Workspace, data: Path) -> None:
    settings = {
        "data": str(data),
        "baselines": ["always", "base-rate"],
        "phases": ["pooled"],
        "draws": 100,
        "newest": False,
        "probe_trials": 0,
    }
    run, result = work(local, "benchmark", settings)
    report = local.runs.folder(run.id) / result["report"]
    assert (report / "report.html").is_file()
    made = {p: p.stat().st_mtime_ns for p in (report / "pieces").rglob("*") if p.is_file()}
    resumed = replace(local.runs.get(run.id), resuming=True)
    do(Job(local, resumed, "cpu", Steps()))
    kept = {p: p.stat().st_mtime_ns for p in (report / "pieces").rglob("*") if p.is_file()}
    assert made == kept


def test_the_embedded_model_carries_a_base_to_train(local: Workspace) -> None:
    assert Path(base_place(local, "embedded"), "config.json").is_file()
    assert base_place(local, "Qwen/Qwen3-8B") == "Qwen/Qwen3-8B"
    with pytest.raises(LLM4TOPError):
        base_place(local, "0" * 32)


def test_a_bundle_without_a_base_cannot_be_trained(
    local: Workspace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    trials = [Trial(phase=phase) for phase in ("Phase 1", "Phase 2")]
    BaseRateForecaster().fit(trials, ["success", "failure"]).save(tmp_path / "rates")
    monkeypatch.setattr(local.bundles, "folder", lambda _: tmp_path / "rates")
    with pytest.raises(BundleError, match="contains no base model to train"):
        base_place(local, "0" * 32)


def test_a_worker_that_was_thought_lost_cannot_write_into_the_newer_journal(tmp_path: Path) -> None:
    path, line = tmp_path / "journal", {"bundle": "b", "nct_id": "NCT90000001", "record": "1.xml"}
    with _Journal(path, "b", fresh=True) as frozen:
        frozen.add(line)
        with _Journal(path, "b", fresh=False) as newer:
            assert (newer.lines, newer.first_of) == (1, {"NCT90000001": "1.xml"})
            frozen.add({**line, "record": "of the past"})
            newer.add({**line, "record": "2.xml"})
    assert [json.loads(text)["record"] for text in path.read_text().splitlines()] == [
        "1.xml",
        "2.xml",
    ]
    assert path.stat().st_mode & 0o777 == 0o600
