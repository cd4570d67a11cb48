"""``select`` with ``final_fit: all``: whatever is chosen learned from train and valid together."""

from __future__ import annotations

import random

import numpy as np
import pytest

from llm4top.data.dataset import make_dataset
from llm4top.forecasters.baselines.catalog import make_baseline
from llm4top.forecasters.bundles.read import load_bundle
from llm4top.forecasters.bundles.verify import read_manifest
from llm4top.forecasters.calibration.calibrated import softmax
from llm4top.forecasters.calibration.methods import make_calibrator
from llm4top.forecasters.calibration.pool import FLOOR, log_probabilities
from llm4top.forecasters.cross_fit import LearningRows, cross_fit
from llm4top.registry.trial import Trial
from llm4top.training.run import Training
from llm4top.training.selection import select as select_module
from llm4top.training.selection.candidates import make_select_settings
from llm4top.training.selection.select import plan_selection, select

pytestmark = pytest.mark.slow


def invented(train=64, valid=60, test=10):
    """Trials whose criteria tell the label most of the time."""
    rng = random.Random(0)
    trials, labels = [], []
    for i in range(train + valid + test):
        good = rng.random() < 0.5
        hint = good if rng.random() < 0.8 else not good
        trials.append(
            Trial(
                phase=("Phase 1", "Phase 2")[i % 2],
                conditions=("hypertension",) if hint else ("depression",),
                criteria=f"Adults. Visit {rng.randint(0, 9)}.",
            )
        )
        labels.append("success" if good else "failure")
    splits = ["train"] * train + ["valid"] * valid + ["test"] * test
    numbers = [f"NCT9{i:07d}" for i in range(len(trials))]
    return make_dataset(trials, labels, numbers, splits, task="outcome", name="invented")


@pytest.fixture(scope="module")
def make_settings(tiny_model_folder, tmp_path_factory):
    data = tmp_path_factory.mktemp("data") / "invented"
    invented().save(data)

    def make(out, **given):
        quick = {"preset": "quick", "device": "cpu", "max_tokens": 128, "lora_rank": 4}
        quick |= {"batch_size": 16, "accumulation": 1, "gradient_checkpointing": False}
        values = {
            "data": data,
            "out": out,
            "bases": (str(tiny_model_folder),),
            "settings": quick,
            "probe": False,
            "baselines": ("tfidf",),
            "draws": 200,
            "final_fit": "all",
            "folds": 3,
        }
        return make_select_settings(None, {**values, **given})

    return make


def learning():
    data = invented()
    return data.take([i for i, split in enumerate(data.splits) if split != "test"])


def test_a_baseline_is_fitted_on_all_and_calibrated_out_of_fold(make_settings, tmp_path):
    plan = plan_selection(make_settings(tmp_path / "s"))
    assert (plan.folds, plan.final_fits) == (3, 4)

    selection = select(make_settings(tmp_path / "s"))
    assert selection.winner.kind == "baseline"
    assert any("(final_fit: all)" in note for note in selection.notes)
    assert "fitted on all 124 train and valid trials" in (tmp_path / "s/report.md").read_text()
    loaded = load_bundle(tmp_path / "s" / "bundle")
    data = learning()
    rows = LearningRows.of(data)
    assert loaded.manifest.final_fit.trials == len(rows) == 124
    assert {loaded.trained_on_part(i) for i in data.nct_ids} == {"train"}

    made = make_baseline("tfidf")
    fitted = made.fit(rows.trials, rows.labels)
    expected = log_probabilities(fitted.predict_proba(rows.trials), floor=FLOOR)
    assert loaded.logits(data.trials) == pytest.approx(expected, abs=1e-6)
    cross = cross_fit(make_baseline("tfidf"), rows, folds=3, seed=0)
    calibrator = make_calibrator().fit(cross.logits, rows.labels, rows.phases)
    assert loaded.calibration.to_dict() == calibrator.to_dict()
    own = [next(iter(e.forecasters)) for e in loaded.manifest.evaluations]
    assert own == ["this baseline, out-of-fold, calibrated", "the model that chose, calibrated"]
    # The losing language model is not fitted again.
    assert not (tmp_path / "s" / "language").exists()


def test_a_blend_of_final_fits_and_nothing_is_done_twice(make_settings, tmp_path, monkeypatch):
    original = select_module.assess_blend

    def assess_blend(*args):
        outcome, pool, losses = original(*args)
        return outcome.model_copy(update={"taken": True, "reason": "Forced."}), pool, losses

    monkeypatch.setattr(select_module, "assess_blend", assess_blend)
    fits, fit = [], Training.fit

    def watched(self, rows, choice, part):
        fits.append(part)
        if fits == ["fold 1 of 2", "fold 2 of 2"]:
            raise KeyboardInterrupt
        return fit(self, rows, choice, part)

    monkeypatch.setattr(Training, "fit", watched)
    settings = make_settings(tmp_path / "s", folds=2)
    with pytest.raises(KeyboardInterrupt):
        select(settings)
    selection = select(settings)
    assert fits[2:] == ["fold 2 of 2", "all"]
    assert selection.winner.kind == "stack"
    assert selection.language_bundle == "language"
    loaded = load_bundle(tmp_path / "s" / "bundle", device="cpu")
    assert loaded.manifest.final_fit == read_manifest(tmp_path / "s" / "language").final_fit
    assert loaded.manifest.final_fit.folds == 2
    assert loaded.manifest.reload_check.max_difference < 1e-4
    assert {loaded.trained_on_part(i) for i in learning().nct_ids} == {"train"}
    assert loaded.calibration.to_dict()["n"] == 124
    assert "this blend, out-of-fold, calibrated" in loaded.manifest.evaluations[0].forecasters
    assert np.isfinite(softmax(loaded.logits(learning().trials[:3]))).all()

    again = select(settings)
    assert fits[4:] == []
    assert again.winner.log_loss == selection.winner.log_loss
