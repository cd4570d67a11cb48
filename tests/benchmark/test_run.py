"""The benchmark from files to report, on invented trials and a random model."""

import json

import numpy as np
import pytest

from llm4top.benchmark.run import FINISHED, benchmark, plan
from llm4top.errors import ConfigError, ModelNotFoundError, TaskError
from llm4top.evaluation.probes.leak_oracle import ORACLE, ORACLE_ADDED
from llm4top.evaluation.reports.render import read_report
from llm4top.training.run_folder import RunFolder
from tests.benchmark.conftest import quick_settings, write_top

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("home")]

CALIBRATED = "TF-IDF + logistic regression, calibrated"
BASELINES = ["Always success", "Base rate by phase", "TF-IDF + logistic regression"]


def rows_of(report, phase, check):
    table = next(t for t in report.tables if (t.phase, t.check) == (phase, check))
    return [row.forecaster for row in table.rows]


def tables_of(result):
    return [table.model_dump() for table in result.report.tables]


@pytest.fixture(scope="module")
def finished(top, tmp_path_factory):
    """A benchmark of three baselines in two phases and pooled, on all three checks."""
    folder = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LLM4TOP_HOME", str(folder / "home"))
        return benchmark(quick_settings(top, folder / "out"), reproduce="llm4top benchmark")


def test_baselines_alone(finished):
    report = finished.report
    assert finished.failures == ()
    rows = {(t.phase, t.check): t.n for t in report.tables}
    assert [rows[phase, "valid"] for phase in ("I", "II", "pooled")] == [40, 40, 80]
    assert [rows[phase, "test"] for phase in ("I", "II", "pooled")] == [24, 24, 48]
    assert rows["I", "newest"] + rows["II", "newest"] == rows["pooled", "newest"] == 64
    own = "TF-IDF + logistic regression (phase I only)"
    assert rows_of(report, "I", "valid") == [*BASELINES, own, CALIBRATED, ORACLE, ORACLE_ADDED]
    assert rows_of(report, "pooled", "test") == [*BASELINES, CALIBRATED, ORACLE, ORACLE_ADDED]
    # The leak shows: far above everything honest, and compared with nothing.
    table = report.tables[2]
    by_name = {row.forecaster: row for row in table.rows}
    assert by_name[ORACLE].kind == "cheating"
    best = by_name["TF-IDF + logistic regression"].figures["roc_auc"].value
    assert by_name[ORACLE_ADDED].figures["roc_auc"].value > best + 0.1
    assert by_name["Always success"].figures["roc_auc"].value == 0.5
    assert by_name["Base rate by phase"].figures["brier_skill"].value == pytest.approx(0)
    assert not any("oracle" in f"{d.first} {d.second}" for d in report.differences)
    assert len(report.looks) == 1
    assert report.published  # files under TOP's names
    assert report.audit
    assert report.checklist
    assert report.reproduce == "llm4top benchmark"


def test_the_report_is_written_in_three_forms(settings):
    chosen = settings(test=False, newest=False, phases=("pooled",))
    result = benchmark(chosen)
    assert read_report(result.files["json"]) == result.report
    assert "TF-IDF" in result.files["html"].read_text("utf-8")
    assert "TF-IDF" in result.files["md"].read_text("utf-8")
    assert result.report.looks == ()
    assert result.report.looks_note == "No test row was looked at."


def test_equal_seeds_give_equal_tables(settings, tmp_path):
    few = {"newest": False, "phases": ("pooled",), "baselines": ("base-rate", "tfidf")}
    first = benchmark(settings(**few))
    second = benchmark(settings(**few, out=tmp_path / "again"))
    assert tables_of(first) == tables_of(second)
    assert first.report.differences == second.report.differences
    other = benchmark(settings(**few, out=tmp_path / "other", seed=1))
    assert tables_of(first) != tables_of(other)


def test_a_stopped_benchmark_goes_on_behind_its_last_piece(settings, finished):
    def stop(progress):
        if progress.done == 4:
            raise KeyboardInterrupt

    chosen = settings()
    with pytest.raises(KeyboardInterrupt):
        benchmark(chosen, progress=stop)
    done = {what for what, is_done in plan(chosen) if is_done}
    assert len(done) == 3
    cached = []
    resumed = benchmark(
        chosen, progress=lambda p: cached.append(p.stage) if p.detail == FINISHED else None
    )
    assert set(cached) == done
    assert tables_of(resumed) == tables_of(finished)
    assert all(is_done for _, is_done in plan(chosen))


def test_every_call_that_shows_test_figures_is_a_look(settings):
    chosen = settings(newest=False, phases=("pooled",), baselines=("base-rate", "tfidf"))
    benchmark(chosen)
    again = benchmark(chosen)  # everything is cached, and still it is looked at
    assert len(again.report.looks) == 2
    assert "2 looks" in again.report.looks_note


def test_language_models(settings, tiny_model):
    chosen = settings(bases=(str(tiny_model),), phases=("I", "pooled"))
    result = benchmark(chosen)
    assert result.failures == ()
    report = result.report
    ways = ["tiny, zero-shot", "tiny, 1-shot", "tiny + probe", "tiny + LoRA"]
    expected = [name for way in ways for name in (way, f"{way}, calibrated")]
    blends = [f"Blend: tiny + {how} and TF-IDF + logistic regression" for how in ("probe", "LoRA")]
    for check in ("valid", "test", "newest"):
        found = rows_of(report, "pooled", check)
        assert found == [*BASELINES, *expected, CALIBRATED, *blends, ORACLE, ORACLE_ADDED]
        assert set(expected) < set(rows_of(report, "I", check))
    titles = " ".join(v.title for v in report.variants)
    assert "ablation" in titles.lower()
    assert {v.forecaster for v in report.variants} == {"tiny, zero-shot", "tiny + LoRA"}
    # No test row, and none of the newest, is in what fine-tuning saw.
    runs = sorted((chosen.out / "runs").iterdir())
    assert sorted(run.name.partition("-")[0] for run in runs) == ["lora", "lora", "probe", "probe"]
    assert all(RunFolder(run).state()["state"] == "done" for run in runs)
    cached = []
    again = benchmark(
        chosen, progress=lambda p: cached.append(p.detail == FINISHED) if p.stage else None
    )
    assert tables_of(again) == tables_of(result)


def test_weights_that_learnt_from_labels_are_not_asked_about_the_newest(settings, tmp_path):
    few = write_top(tmp_path / "top", {"train": 48, "valid": 24, "test": 8})
    chosen = settings(data=few, bases=("embedded",), phases=("pooled",), probe_trials=0, test=False)
    result = benchmark(chosen)
    assert result.failures == ()
    assert "embedded, as shipped" in rows_of(result.report, "pooled", "valid")
    assert not any("embedded" in name for name in rows_of(result.report, "pooled", "newest"))


def test_one_failure_does_not_stop_the_others(settings, monkeypatch):
    from llm4top.benchmark import baselines

    made = baselines.make_baseline

    def break_one(name, *rest, **more):
        if name == "base-rate":
            raise TaskError("the coin fell on its edge.")
        return made(name, *rest, **more)

    monkeypatch.setattr(baselines, "make_baseline", break_one)
    result = benchmark(settings(newest=False, phases=("pooled",), test=False))
    assert result.failures == ("Base rate by phase on all phases: the coin fell on its edge.",)
    assert "TF-IDF + logistic regression" in rows_of(result.report, "pooled", "valid")
    assert any("the coin fell on its edge" in note for note in result.report.notes)


def test_wrong_names_are_told_before_the_data_are_read(settings, tmp_path):
    chosen = settings(baselines=("tfdif",), data=tmp_path / "absent")
    with pytest.raises(ConfigError, match="no baseline tfdif; there are always, base-rate"):
        benchmark(chosen)
    with pytest.raises(ConfigError, match="'sentence' needs the folder of a sentence encoder"):
        benchmark(settings(baselines=("sentence",)))
    with pytest.raises(ModelNotFoundError, match="nobody/nothing is not on this machine"):
        benchmark(settings(bases=("nobody/nothing",)))


def test_arrays_hold_what_was_asked(settings):
    chosen = settings(newest=False, test=False, baselines=("tfidf",), phases=("pooled",))
    benchmark(chosen)
    (piece,) = (chosen.out / "pieces").glob("baseline-*")
    key = json.loads((piece / "inputs.json").read_text())
    assert key["baseline"] == "tfidf"
    from safetensors.numpy import load_file

    arrays = load_file(piece / "arrays.safetensors")
    assert arrays["valid"].shape == (80, 2)
    assert np.allclose(arrays["valid"].sum(axis=1), 1)


@pytest.mark.parametrize("name", ["tfidf", "baselines"])
def test_a_bundle_without_a_language_model_is_measured_as_it_is(name, settings, tmp_path):
    from tests.forecasters.kinds_kit import VALID, fitted

    fitted(name).save(tmp_path / name, validation=VALID)
    chosen = {"test": False, "newest": False, "phases": ("pooled",)}
    result = benchmark(settings(bases=(str(tmp_path / name),), **chosen))
    assert result.failures == ()
    rows = rows_of(result.report, "pooled", "valid")
    assert f"{name}, as shipped" in rows
    assert not [row for row in rows if "LoRA" in row or "zero-shot" in row]


def test_a_bundle_of_another_question_without_a_language_model_is_refused(settings, tmp_path):
    from llm4top.errors import BundleError
    from llm4top.forecasters.baselines.catalog import make_baseline
    from tests.forecasters.kinds_kit import TRAIN

    made = make_baseline("tfidf", "completion").fit(*TRAIN)
    made.save(tmp_path / "other")
    with pytest.raises(BundleError, match="answers 'completion', not 'outcome'"):
        benchmark(settings(bases=(str(tmp_path / "other"),), test=False, newest=False))


@pytest.mark.parametrize(
    ("ways", "expected"),
    [
        (("zero-shot", "lora"), ["tiny, zero-shot", "tiny + LoRA"]),
        (("few-shot", "probe"), ["tiny, 1-shot", "tiny + probe"]),
    ],
)
def test_a_base_model_is_used_in_the_ways_that_are_asked_for(ways, expected, settings, tiny_model):
    work = plan(settings(bases=(str(tiny_model),), ways=ways, newest=False, probe_trials=0))
    assert [title for title, _ in work if "tiny" in title] == expected


def test_a_way_that_is_none_is_told(settings):
    with pytest.raises(
        ConfigError, match="must be 'zero-shot', 'few-shot', 'probe' or 'lora', not 'zero'"
    ):
        settings(ways=("zero",))
