"""Opening what is evaluated: bundles of every kind and base models."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from llm4top.errors import BundleError, EvaluationError, TamperedBundleError
from llm4top.evaluation.candidates import check_task, distinct, open_forecaster
from llm4top.forecasters.baselines.catalog import make_baseline
from llm4top.forecasters.load import load_forecaster
from llm4top.tasks.builtin import get_task
from llm4top.testing import make_tiny_model
from tests.evaluation.evaluate_kit import invented, source


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return make_tiny_model(tmp_path_factory.mktemp("model") / "tiny-qwen3")


@pytest.fixture
def baseline(tmp_path):
    learn = invented().select("train")
    fitted = make_baseline("tfidf").fit(learn.trials, np.array(learn.label_indices))
    fitted.save(tmp_path / "tfidf", name="my-tfidf")
    return tmp_path / "tfidf", fitted


def test_the_embedded_bundle():
    mine = open_forecaster("embedded", invented(), device="cpu")
    loaded = load_forecaster("embedded", device="cpu")
    trials = invented().trials[:5]
    assert mine.kind == loaded.kind
    assert mine.identity == loaded.identity
    assert mine.task == get_task("outcome")
    assert loaded.manifest.data.sha256 == mine.data.sha256
    assert np.allclose(mine.predict_proba(trials), loaded.predict_proba(trials), atol=1e-6)
    assert mine.label == f"{loaded.name} (embedded)"


def test_a_base_model_forecasts_untrained(model):
    data = invented(task="completion")
    mine = open_forecaster(model, data, device="cpu")
    assert mine.label == "tiny-qwen3, zero-shot"
    assert mine.identity.startswith("tiny-qwen3-untrained-")
    assert mine.task.name == "completion"
    assert mine.trained_on_text == "nothing: not trained"
    loaded = load_forecaster(model, task="completion", device="cpu")
    assert mine.identity == loaded.identity
    assert mine.predict_proba(data.trials[:3]).shape == (3, 2)


def test_a_saved_baseline(baseline):
    folder, fitted = baseline
    mine = open_forecaster(folder, invented())
    trials = invented().select("valid").trials
    assert (mine.label, mine.report_kind) == ("TF-IDF + logistic regression", "baseline")
    assert mine.identity.startswith("my-tfidf-")
    assert np.allclose(mine.predict_proba(trials), fitted.predict_proba(trials))


def test_nothing_of_that_name():
    with pytest.raises(BundleError, match="neither a bundle nor a base model"):
        open_forecaster("no-such-thing", invented())


def test_a_folder_that_is_neither(tmp_path):
    with pytest.raises(BundleError, match="this folder is not a bundle"):
        open_forecaster(tmp_path, invented())


def test_a_changed_bundle_is_refused(tmp_path):
    import shutil

    from llm4top.forecasters.bundles.paths import embedded_folder

    copy = tmp_path / "copy"
    shutil.copytree(embedded_folder(), copy)
    (copy / "calibration.json").write_text("{}")
    with pytest.raises(TamperedBundleError):
        open_forecaster(copy, invented())


def test_weights_are_read_at_the_first_use_and_released(model):
    for name in ("embedded", model):
        mine = open_forecaster(name, invented(), device="cpu")
        assert mine.model is None
        mine.predict_proba(invented().trials[:2])
        assert mine.model is not None
        mine.release()
        assert mine.model is None


def test_another_question_is_refused():
    with pytest.raises(EvaluationError) as caught:
        check_task(source(), invented(task="completion"))
    assert str(caught.value) == (
        "mine: it answers 'outcome' (failure, success), and the data set 'invented' asks "
        "'completion' (stopped, completed). Give a data set of the same task, or a forecaster "
        "trained on this one."
    )


def test_equal_names_are_told_apart_by_identity():
    from dataclasses import replace

    first, second = source(name="tuned"), replace(source(name="tuned"), identity="tuned-4567")
    names = [s.label for s in distinct([first, second, source(name="other")])]
    assert names == ["tuned (tuned-0123)", "tuned (tuned-4567)", "other"]


def test_one_forecaster_named_twice_is_refused():
    with pytest.raises(EvaluationError, match="mine-0123 is named twice"):
        distinct([source(), source()])


def test_paths_may_begin_with_the_home(baseline, monkeypatch):
    folder, _ = baseline
    monkeypatch.setenv("HOME", str(folder.parent))
    assert open_forecaster("~/tfidf", invented()).kind == "baseline"
    assert open_forecaster(Path("~/tfidf"), invented()).kind == "baseline"


def test_an_estimator_that_was_fitted_in_python_is_evaluated(baseline):
    from llm4top.evaluation.evaluate import compare

    folder, fitted = baseline
    report = compare([fitted, folder], invented(), draws=100)
    first, second = report.tables[0].rows[:2]
    assert first.forecaster.startswith("TF-IDF + logistic regression")
    assert first.figures["roc_auc"].value == second.figures["roc_auc"].value
