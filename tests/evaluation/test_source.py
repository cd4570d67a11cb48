"""Anything that can be evaluated: bundles, saved baselines, base models."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from llm4top.evaluation._source import distinct

from llm4top.errors import BundleError, EvaluationError, TamperedBundleError
from llm4top.evaluation import language_source, load_source
from llm4top.forecasters import save_baseline
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
    save_baseline(tmp_path / "tfidf", fitted, name="my-tfidf")
    return tmp_path / "tfidf", fitted


def test_the_embedded_bundle():
    mine = load_source("embedded", device="cpu")
    loaded = load_forecaster("embedded", device="cpu")
    trials = invented().trials[:5]
    assert mine.kind == "language"
    assert mine.identity == loaded.identity
    assert mine.task == get_task("outcome")
    assert loaded.manifest.data.sha256 == mine.data_sha256
    assert np.allclose(mine.predict_proba(trials), loaded.predict_proba(trials), atol=1e-6)
    assert mine.name == f"{language_source(loaded).name} (embedded)"


def test_what_is_calibrated_are_the_logits():
    scorer = load_source("embedded", device="cpu").load()
    trials = invented().trials[:4]
    raw = scorer.score(trials, None)
    assert scorer.calibration is not None
    assert np.allclose(
        scorer.probabilities(raw, trials),
        scorer.calibration.predict(raw, [trial.phase for trial in trials]).probabilities,
        atol=0,
    )


def test_progress_is_told():
    told = []
    scorer = load_source("embedded", device="cpu").load()
    scorer.score(invented().trials[:4], lambda done, total: told.append((done, total)))
    assert told[-1] == (4, 4)


def test_a_base_model_is_asked_untrained(model):
    mine = load_source(model, task="completion", device="cpu")
    assert mine.name == "tiny-qwen3, zero-shot"
    assert mine.identity.startswith("tiny-qwen3-untrained-")
    assert mine.task.name == "completion"
    assert mine.learnt_from == "nothing: asked untrained"
    loaded = load_forecaster(model, task="completion", device="cpu")
    assert mine.identity == loaded.identity == language_source(loaded).identity
    assert mine.predict_proba(invented().trials[:3]).shape == (3, 2)


def test_a_saved_baseline(baseline):
    folder, fitted = baseline
    mine = load_source(folder)
    trials = invented().select("valid").trials
    assert (mine.name, mine.kind) == ("TF-IDF + logistic regression", "baseline")
    assert mine.identity.startswith("my-tfidf-")
    assert np.allclose(mine.predict_proba(trials), fitted.predict_proba(trials))


def test_nothing_of_that_name():
    with pytest.raises(BundleError, match="neither a bundle nor a base model"):
        load_source("no-such-thing")


def test_a_folder_that_is_neither(tmp_path):
    with pytest.raises(BundleError, match="this folder is not a bundle"):
        load_source(tmp_path)


def test_a_changed_bundle_is_refused(tmp_path):
    import shutil

    from llm4top.forecasters.bundles.paths import embedded_folder

    copy = tmp_path / "copy"
    shutil.copytree(embedded_folder(), copy)
    (copy / "calibration.json").write_text("{}")
    with pytest.raises(TamperedBundleError):
        load_source(copy)


def test_nothing_is_loaded_before_it_is_asked(model, monkeypatch):
    import llm4top.forecasters.load as loading

    def refuse(*args, **kwargs):
        raise AssertionError("loaded")

    monkeypatch.setattr(loading, "load_bundle", refuse)
    monkeypatch.setattr(loading, "load_base", refuse)
    for name in ("embedded", model):
        mine = load_source(name)
        with pytest.raises(AssertionError, match="loaded"):
            mine.load()


def test_another_question_is_refused():
    with pytest.raises(EvaluationError) as caught:
        source().check_task(invented(task="completion"))
    assert str(caught.value) == (
        "mine: it answers 'outcome' (failure, success), and the data set 'invented' asks "
        "'completion' (stopped, completed). Give a data set of the same task, or a forecaster "
        "trained on this one."
    )


def test_equal_names_are_told_apart_by_identity():
    from dataclasses import replace

    first, second = source(name="tuned"), replace(source(name="tuned"), identity="tuned-4567")
    names = [s.name for s in distinct([first, second, source(name="other")])]
    assert names == ["tuned (tuned-0123)", "tuned (tuned-4567)", "other"]


def test_one_forecaster_named_twice_is_refused():
    with pytest.raises(EvaluationError, match="mine-0123 is named twice"):
        distinct([source(), source()])


def test_paths_may_begin_with_the_home(baseline, monkeypatch):
    folder, _ = baseline
    monkeypatch.setenv("HOME", str(folder.parent))
    assert load_source("~/tfidf").kind == "baseline"
    assert load_source(Path("~/tfidf")).kind == "baseline"
