"""A whole selection on tiny models: rungs, result, resuming, the sealed test split."""

from __future__ import annotations

import json
import random
import shutil

import numpy as np
import pytest

from llm4top.data import parquet
from llm4top.data.dataset import Dataset, make_dataset
from llm4top.errors import ConfigError, PreflightError, TooFewRowsError, TrainingError
from llm4top.forecasters.bundles.read import load_bundle
from llm4top.forecasters.bundles.verify import verify_bundle
from llm4top.forecasters.calibration.calibrated import softmax
from llm4top.forecasters.calibration.pool import FLOOR
from llm4top.registry.trial import Intervention, Trial
from llm4top.training.run_folder import RunFolder
from llm4top.training.selection import runs as runs_module
from llm4top.training.selection.baselines import BaselineModels, chosen_baselines
from llm4top.training.selection.candidates import make_select_settings
from llm4top.training.selection.runs import FinishedRun, middle_run
from llm4top.training.selection.select import check_folder, learning_part, plan_selection, select
from llm4top.training.selection.selection_file import (
    RunOutcome,
    SelectionScorer,
    read_selection,
    row_losses,
)

pytestmark = pytest.mark.slow

SEALED = "sealed test trial"


def invented(train: int = 64, valid: int = 60, test: int = 20) -> Dataset:
    """Trials whose condition tells the label; test rows carry a mark in their title."""
    rng = random.Random(0)
    trials, labels, splits = [], [], []
    for i in range(train + valid + test):
        good = rng.random() < 0.5
        split = "train" if i < train else "valid" if i < train + valid else "test"
        trials.append(
            Trial(
                phase=("Phase 1", "Phase 2")[i % 2],
                brief_title=SEALED if split == "test" else f"Study {i}",
                conditions=("hypertension",) if good else ("depression",),
                interventions=(Intervention(name=f"compound {i % 7}", type="Drug"),),
            )
        )
        labels.append("success" if good else "failure")
        splits.append(split)
    numbers = [f"NCT9{i:07d}" for i in range(len(trials))]
    return make_dataset(trials, labels, numbers, splits, task="outcome", name="invented")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "invented"
    invented().save(folder)
    return folder


@pytest.fixture(scope="module")
def make_settings(tiny_model_folder, data):
    def make(out, **given):
        quick = {"preset": "quick", "device": "cpu", "max_tokens": 128, "lora_rank": 4}
        quick |= {"batch_size": 8, "accumulation": 1, "gradient_checkpointing": False}
        values = {
            "data": data,
            "out": out,
            "bases": (str(tiny_model_folder),),
            "settings": quick,
            "grid": {"learning_rate": [1e-2, 1e-4]},
            "least_steps": 2,
            "baselines": ("tfidf",),
            "draws": 200,
            "probe": False,
        }
        return make_select_settings(None, {**values, **given})

    return make


@pytest.fixture(scope="module")
def sealed():
    """Decoding a trial of the test split fails."""

    def decode(text):
        assert SEALED not in text, "a test trial was read"
        return original(text)

    original = parquet.decode_trial
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parquet, "decode_trial", decode)
        yield


@pytest.fixture(scope="module")
def done(make_settings, sealed, tmp_path_factory):
    """A finished selection, its folder, and what it told of its progress."""
    out = tmp_path_factory.mktemp("selections") / "whole"
    seen = []
    selection = select(make_settings(out), reproduce="as typed", progress=seen.append)
    return selection, out, seen


def test_rungs_drop_and_keep(done):
    selection, _, _ = done
    first, last = selection.rungs
    assert [len(first.candidates), len(last.candidates)] == [2, 1]
    assert first.share == pytest.approx(1 / 3)
    (dropped,) = first.dropped
    assert {*first.kept, dropped.candidate} == {c.candidate for c in first.candidates}
    assert dropped.behind.value >= 0
    assert dropped.behind.n == 60
    assert [c.runs[0].steps for c in first.candidates] == [3, 3]
    assert last.candidates[0].runs[0].steps == 8
    assert last.candidates[0].candidate == first.kept[0]


def test_the_result_is_written_and_says_why(done):
    selection, out, _ = done
    assert read_selection(out) == selection
    assert RunFolder(out).state()["state"] == "done"
    assert selection.why[0].startswith(f"Chosen: {selection.winner.name} (")
    assert selection.winner.log_loss.n == 60
    assert selection.data["rows"] == {"train": 64, "valid": 60}
    report = json.loads((out / "report.json").read_text())
    assert report["kind"] == "selection"
    assert report["reproduce"] == "as typed"
    assert report["summary"] == list(selection.why)
    assert [table["title"] for table in report["variants"]] == ["Rung 1", "Rung 2"]
    assert (out / "report.html").is_file()
    assert "Candidates, rung by rung" in (out / "report.md").read_text()


def test_the_best_of_each_kind_is_left(done):
    selection, out, _ = done
    assert selection.baseline == "tfidf"
    baseline = load_bundle(out / "baseline")
    valid = invented().select("valid")
    assert baseline.predict_proba(valid.trials).shape == (60, 2)
    language = out / selection.language_bundle
    assert verify_bundle(language).ok
    assert (baseline.kind, baseline.calibration.method) == ("baseline", "venn-abers")
    assert baseline.manifest.evaluations[0].split == "valid"
    assert baseline.trained_on_part(valid.nct_ids[0]) == "valid"
    chosen = load_bundle(out, device="cpu")
    assert chosen.identity == selection.winner.identity
    assert chosen.predict_proba(valid.trials[:2]).shape == (2, 2)
    if selection.winner.kind == "baseline":
        assert chosen.identity == baseline.identity


def test_baselines_are_checked_in_time(done):
    selection, _, _ = done
    tfidf, base_rate = selection.baselines
    assert (tfidf.name, base_rate.name) == ("tfidf", "base-rate")
    assert tfidf.confirmed is True
    assert tfidf.newest.upper < 0
    assert base_rate.confirmed is None
    assert (
        "The gain of TF-IDF + logistic regression over the base rate holds in time"
        in (selection.why[2])
    )


def test_progress_is_told(done):
    _, _, seen = done
    begun = [p for p in seen if p.stage == "selection"]
    assert [p.done for p in begun] == list(range(1, len(begun) + 1))
    assert begun[-1].done <= begun[-1].total
    assert begun[0].detail == "baseline: Base rate by phase"
    after = [p.stage for p in seen[seen.index(begun[-3]) :]]
    assert "training" in after


def test_nothing_is_done_twice(done, make_settings, monkeypatch):
    selection, out, _ = done

    def never(*_, **__):
        raise AssertionError("a finished run was begun again")

    monkeypatch.setattr(runs_module, "train", never)
    again = select(make_settings(out))
    assert again.rungs == selection.rungs
    assert again.winner.log_loss == selection.winner.log_loss


def test_a_crash_in_the_middle_of_a_run_is_made_good(done, make_settings, tmp_path):
    selection, _, _ = done
    rate = selection.candidates[selection.language.candidate]["learning_rate"]
    settings = make_settings(tmp_path / "crashed", grid={"learning_rate": [rate]})

    def crash(progress):
        if progress.stage == "training" and progress.done == 5:
            raise RuntimeError("the plug was pulled")

    with pytest.raises(RuntimeError, match="the plug was pulled"):
        select(settings, progress=crash)
    assert RunFolder(settings.out).state()["state"] == "failed"
    (begun,) = (settings.out / "runs").iterdir()
    again = select(settings)
    assert [*(settings.out / "runs").iterdir()] == [begun]
    # As if nothing had happened: the same figures to the last digit.
    assert again.language == selection.language
    assert again.winner.log_loss == selection.winner.log_loss
    assert [e["resume"] for e in RunFolder(begun).events() if e["event"] == "begin"] == [
        False,
        True,
    ]


def test_ctrl_c_leaves_a_selection_that_goes_on(make_settings, tmp_path):
    def stop(progress):
        if progress.detail.startswith("rung 1: "):
            raise KeyboardInterrupt

    out = tmp_path / "stopped"
    with pytest.raises(KeyboardInterrupt):
        select(make_settings(out), progress=stop)
    assert RunFolder(out).state()["state"] == "interrupted"
    assert not (out / "selection.json").exists()


@pytest.fixture
def with_runs(done, tmp_path):
    """A folder for another selection that finds the runs of the finished one."""
    _, out, _ = done
    folder = tmp_path / "another"
    shutil.copytree(out / "runs", folder / "runs")
    (folder / "events.jsonl").touch()
    return folder


def test_a_candidate_that_breaks_is_out(done, with_runs, make_settings, monkeypatch, tmp_path):
    selection, _, _ = done
    rate = selection.candidates[selection.language.candidate]["learning_rate"]
    monkeypatch.setattr(runs_module, "train", _broken)
    settings = make_settings(with_runs, grid={"learning_rate": [rate, 1e-5]}, stack=False)
    chosen = select(settings)
    (dropped,) = chosen.rungs[0].dropped
    assert dropped.candidate.endswith("learning_rate=1e-05")
    assert (dropped.behind, dropped.reason) == (None, "a run of it failed")
    assert chosen.stack.reason == "No blend was tried (--no-stack)."
    assert "out of memory" in (with_runs / "report.md").read_text()
    with pytest.raises(TrainingError, match="no candidate finished rung 1: out of memory"):
        select(make_settings(tmp_path / "t", grid={}))


def _broken(*_, **__):
    raise TrainingError("out of memory.")


def test_a_stack_is_a_bundle_that_gives_the_same(with_runs, make_settings, monkeypatch):
    """Forced, since the invented data give the model nothing that the baseline lacks."""
    from llm4top.training.selection import select as _select

    original = _select.assess_blend

    def assess_blend(*args):
        outcome, pool, losses = original(*args)
        return outcome.model_copy(update={"taken": True, "reason": "Forced."}), pool, losses

    monkeypatch.setattr(_select, "assess_blend", assess_blend)
    selection = select(make_settings(with_runs))
    assert selection.winner.kind == "stack"
    loaded = load_bundle(with_runs, device="cpu")
    assert loaded.identity == selection.winner.identity
    assert loaded.manifest.reload_check.max_difference < 1e-4
    assert loaded.forecaster.floor == FLOOR
    assert loaded.forecaster.parts[1].manifest.baseline.baseline == "tfidf"
    names = list(loaded.manifest.evaluations[0].forecasters)
    assert names[:3] == [
        "this blend, calibrated",
        "the language model alone",
        "TF-IDF + logistic regression",
    ]
    valid = invented().select("valid")
    pooled = softmax(loaded.logits(valid.trials))
    losses = row_losses(pooled, np.array(valid.label_indices))
    assert losses.mean() == pytest.approx(selection.winner.log_loss.value, abs=0.02)


def test_the_plan_counts_runs_and_steps(make_settings, tmp_path):
    settings = make_settings(tmp_path / "s", seeds=(0, 1, 2))
    plan = plan_selection(settings)
    assert plan.ok
    assert plan.runs == (2 + 1) * 3
    assert [(r.candidates, r.keep, r.runs, r.most_steps) for r in plan.rungs] == [
        (2, 1, 6, 3),
        (1, 1, 3, 8),
    ]
    assert all(r.tokens_learnt > 0 and r.petaflop > 0 for r in plan.rungs)
    assert not (tmp_path / "s").exists()


def test_a_probe_meets_the_last_one_trained(make_settings, tmp_path):
    settings = make_settings(tmp_path / "s", grid={}, probe=True, seeds=(0, 1), stack=False)
    plan = plan_selection(settings)
    (rung,) = plan.rungs
    assert (rung.candidates, rung.keep, rung.runs) == (2, 1, 3)

    seen = []
    selection = select(settings, progress=seen.append)
    (rung,) = selection.rungs
    lora, probe = rung.candidates
    assert (len(lora.runs), len(probe.runs)) == (2, 1)
    assert probe.candidate.endswith("tuning=probe")
    assert probe.runs[0].steps == 0
    assert any(p.detail.endswith("tuning=probe, frozen probe") for p in seen)
    assert seen[-1].done == seen[-1].total
    report = (settings.out / "report.md").read_text()
    assert "no steps: a frozen probe" in report
    bundle = load_bundle(settings.out / probe.runs[0].folder / "bundle")
    assert bundle.language.scorer.probe is not None


def test_what_would_fail_is_told_before_anything_begins(make_settings, data, tmp_path):
    out = tmp_path / "s"
    with pytest.raises(PreflightError, match=r"nowhere: base model: .*nowhere"):
        select(make_settings(out, bases=("nowhere",), grid={}))
    with pytest.raises(ConfigError, match="baselines: 'forrest' is none of base-rate, logistic"):
        select(make_settings(out, baselines=("forrest",)))
    with pytest.raises(ConfigError, match="baselines: 'sentence' needs an encoder"):
        select(make_settings(out, baselines=("sentence",)))
    small = tmp_path / "small"
    invented(valid=12).save(small)
    with pytest.raises(TooFewRowsError, match="valid split: 12 rows"):
        select(make_settings(out, data=small))
    assert not out.exists()
    out.mkdir()
    (out / "thesis.txt").touch()
    with pytest.raises(ConfigError, match="holds something else; choose another folder"):
        select(make_settings(out))


def test_a_selection_that_died_at_once_can_be_called_again(tmp_path):
    with RunFolder(tmp_path / "s").locked():
        pass
    check_folder(tmp_path / "s")
    check_folder(tmp_path / "absent")
    (tmp_path / "s" / "run.json").touch()
    with pytest.raises(ConfigError, match="holds something else"):
        check_folder(tmp_path / "s")


def test_one_process_selects(make_settings, monkeypatch, tmp_path):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match="a selection runs in one process"):
        select(make_settings(tmp_path / "s"))


def test_a_folder_in_use_is_refused(make_settings, tmp_path):
    run = RunFolder(tmp_path / "s")
    with run.locked():
        run.add_event("state")
        with pytest.raises(TrainingError, match="is writing here"):
            select(make_settings(run.path))


def test_the_learning_part_has_no_test_row(data):
    part = learning_part(data)
    assert set(part.splits) == {"train", "valid"}
    assert len(part) == 124


def test_the_middle_seed_is_taken():
    losses = {3: 0.5, 4: 0.7, 5: 0.6, 6: 0.8}

    def finished(seed):
        outcome = RunOutcome(candidate="c", seed=seed, steps=1, folder="f", log_loss=None)
        return FinishedRun(outcome, None, np.zeros((2, 2)), np.full(2, losses[seed]))

    runs = [finished(seed) for seed in losses]
    assert middle_run(runs[:1]).outcome.seed == 3
    assert middle_run(runs[:3]).outcome.seed == 5
    assert middle_run(runs).outcome.seed == 5  # the better of the two in the middle


def test_a_gain_on_valid_alone_is_no_gain(tmp_path, monkeypatch):
    """The condition tells the label except in the newest trials, where it misleads."""
    rng = random.Random(1)
    trials, labels, splits, dates = [], [], [], []
    for i in range(300):
        good, newest = rng.random() < 0.5, i >= 240
        trials.append(
            Trial(phase="Phase 2", conditions=("asthma",) if good != newest else ("malaria",))
        )
        labels.append("success" if good else "failure")
        splits.append("valid" if i % 4 == 0 else "train")
        dates.append(f"{2000 + i // 60}-0{1 + i % 60 // 7}-01")
    numbers = [f"NCT{i:08d}" for i in range(300)]
    made = make_dataset(trials, labels, numbers, splits, task="outcome", start_dates=dates)
    scorer = SelectionScorer.of(made.select("valid"), draws=200, split="valid")
    models = BaselineModels(made, scorer, tmp_path / "kept", None, lambda _: None)
    models.fit(chosen_baselines(("tfidf",), None))
    best, outcomes, sentence = models.best()
    assert [o.confirmed for o in outcomes] == [False, None]
    assert outcomes[0].log_loss.value < outcomes[1].log_loss.value
    assert best.name == "base-rate"
    assert "TF-IDF + logistic regression: better on the validation split" in sentence
    assert "but not on the newest trials" in sentence
    # What was said is kept: nothing is fitted a second time.
    second = BaselineModels(made, scorer, tmp_path / "kept", None, lambda _: None)
    monkeypatch.setattr(BaselineModels, "fitted", None)
    second.fit(chosen_baselines(("tfidf",), None))
    assert second.best()[0].name == "base-rate"
