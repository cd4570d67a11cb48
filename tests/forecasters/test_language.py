"""The language model behaves as a scikit-learn classifier over trials."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from sklearn.base import clone, is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score

from llm4top.errors import ConfigError, ModelNotFoundError, TaskError
from llm4top.forecasters.language import LanguageForecaster
from llm4top.forecasters.model.base_model import load_base
from llm4top.forecasters.model.tokenizer import answer_token_ids
from llm4top.prompts.prompt import PromptSpec
from llm4top.registry.trial import Trial
from llm4top.tasks.builtin import COMPLETION, OUTCOME
from llm4top.tasks.task import Task
from llm4top.testing import make_tiny_model

pytestmark = pytest.mark.slow

Y = ["success", "failure"] * 6


@pytest.fixture
def zero_shot(tiny_model_folder):
    return LanguageForecaster(tiny_model_folder, tuning="none", device="cpu")


@pytest.fixture
def learner(tiny_model_folder):
    """Few steps: mechanics, not skill."""
    return LanguageForecaster(
        tiny_model_folder,
        device="cpu",
        max_tokens=220,
        lora_rank=2,
        batch_size=6,
        accumulation=1,
        epochs=1,
        learning_rate=5e-3,
    )


def test_parameters_are_stored_untouched(learner):
    sections = ["phase", "criteria"]
    learner.set_params(sections=sections, epochs=2)
    assert learner.get_params()["sections"] is sections
    copied = clone(learner)
    assert copied.get_params() == learner.get_params()
    assert is_classifier(learner)
    # Nonsense is for fit to refuse.
    LanguageForecaster("nowhere", task="none", tuning="wild")


def test_zero_shot_forecasts_without_fit_in_task_order(zero_shot, trials):
    proba = zero_shot.predict_proba(trials)
    assert zero_shot.classes_.tolist() == ["failure", "success"]
    assert proba.shape == (len(trials), 2)
    np.testing.assert_allclose(proba.sum(axis=1), 1.0)
    assert set(zero_shot.predict(trials)) <= {"failure", "success"}
    assert zero_shot.predict_proba([]).shape == (0, 2)


def test_column_one_is_the_chance_of_yes(zero_shot, trials):
    base = load_base(zero_shot.base, device="cpu")
    no, yes = answer_token_ids(base.tokenizer, OUTCOME)
    prompt = zero_shot.prompts(trials[:1])[0]
    import torch

    with torch.no_grad():
        logits = base.model(input_ids=torch.tensor([prompt.token_ids])).logits[0, -1]
    expected = torch.softmax(logits[[no, yes]], 0)[1].item()
    assert zero_shot.predict_proba(trials[:1])[0, 1] == pytest.approx(expected, abs=1e-5)


def test_scores_agree_with_probabilities(zero_shot, trials):
    logits = zero_shot.answer_logits(trials)
    scores = zero_shot.decision_function(trials)
    np.testing.assert_allclose(scores, logits[:, 1] - logits[:, 0])
    np.testing.assert_allclose(1 / (1 + np.exp(-scores)), zero_shot.predict_proba(trials)[:, 1])


def test_order_batch_and_container_change_nothing(zero_shot, trials):
    expected = zero_shot.answer_logits(trials)
    objects = np.empty(len(trials), dtype=object)
    objects[:] = trials
    for budget in (1, 900):
        zero_shot.set_params(batch_tokens=budget)
        again = clone(zero_shot).answer_logits(objects[::-1])[::-1]
        np.testing.assert_allclose(again, expected, atol=1e-4)


def test_a_forecaster_that_trains_is_not_fitted_before_fit(learner, trials):
    with pytest.raises(NotFittedError):
        learner.predict_proba(trials)
    assert not hasattr(learner, "classes_")


def test_fit_learns_what_the_words_tell(tmp_path):
    folder = make_tiny_model(tmp_path / "tiny", hidden=64)
    words = ("asthma in children", "heart failure in adults")
    X = [Trial(phase="Phase 2", conditions=(words[i % 2],)) for i in range(16)]
    y = [i % 2 for i in range(16)]
    forecaster = LanguageForecaster(
        folder,
        device="cpu",
        sections=["conditions"],
        learning_rate=1e-2,
        epochs=6,
        batch_size=8,
        accumulation=1,
    ).fit(X, y, eval_set=(X[:6], y[:6]))
    assert forecaster.score(X, y) == 1.0
    assert forecaster.finetuning_.best_log_loss < 0.3
    assert not forecaster.scorer.model.training


@pytest.mark.parametrize(
    ("y", "classes"),
    [(Y, ["failure", "success"]), ([v == "success" for v in Y], [False, True])],
    ids=["labels", "booleans"],
)
def test_classes_follow_y(learner, trials, y, classes):
    learner.set_params(epochs=0.5).fit(trials, y)
    assert learner.classes_.tolist() == classes
    assert set(learner.predict(trials).tolist()) <= set(classes)


@pytest.mark.parametrize("tuning", ["none", "lora"])
def test_a_label_that_y_lacks_has_no_column(tmp_path, trials, tuning):
    folder = make_tiny_model(tmp_path / "tiny", words=("Yes", "No", "A", "B", "C"))
    task = Task("grade", "multiclass", "Which?", ("high", "low", "none"), ("A", "B", "C"))
    forecaster = LanguageForecaster(
        folder, task, tuning=tuning, device="cpu", max_tokens=220, epochs=0.5
    )
    forecaster.fit(trials, [2, 0] * 6)
    assert forecaster.classes_.tolist() == [0, 2]
    assert forecaster.predict_proba(trials).shape == (12, 2)
    assert set(forecaster.predict(trials).tolist()) <= {0, 2}
    forecaster.set_params(tuning="none").fit(trials, [0, 1, 2] * 4)
    assert forecaster.decision_function(trials).shape == (12, 3)


def test_full_tuning_and_class_weights(learner, trials):
    learner.set_params(tuning="full", class_weight="balanced", epochs=0.5)
    assert learner.fit(trials, Y).predict_proba(trials).shape == (12, 2)


def test_a_new_fit_starts_from_the_base_model(learner, trials):
    learner.set_params(epochs=0.5)
    first = learner.fit(trials, Y).predict_proba(trials)
    second = learner.fit(trials, Y).predict_proba(trials)
    np.testing.assert_array_equal(first, second)


def test_cross_val_predict_keeps_the_columns(learner, trials):
    learner.set_params(epochs=0.5)
    proba = cross_val_predict(learner, trials, Y, cv=2, method="predict_proba")
    assert proba.shape == (12, 2)
    np.testing.assert_allclose(proba.sum(axis=1), 1.0)


def test_cross_val_predict_equals_forecasting(zero_shot, trials):
    expected = zero_shot.predict_proba(trials)
    for y in (Y, [v == "success" for v in Y], [int(v == "success") for v in Y]):
        proba = cross_val_predict(zero_shot, trials, y, cv=3, method="predict_proba")
        np.testing.assert_allclose(proba, expected, atol=1e-4)


def test_scorers_judge_the_right_column(zero_shot, trials):
    """Labels that are what the model says, so it is right every time."""
    zero_shot.set_params(task="completion")
    truth = zero_shot.answer_logits(trials).argmax(axis=1)
    truth[0], truth[1] = 0, 1
    scores = zero_shot.decision_function(trials)
    truth = (scores > np.median(scores)).astype(int)
    auc = cross_val_score(zero_shot, trials, truth, cv=2, scoring="roc_auc")
    np.testing.assert_array_equal(auc, 1.0)


def test_grid_search_chooses_and_refits(learner, trials):
    # Arrays give NumPy's numbers, which pydantic would refuse.
    grid = {"epochs": np.array([0.5, 1.0]), "lora_rank": np.array([2])}
    search = GridSearchCV(learner, grid, cv=2, scoring="neg_log_loss")
    search.fit(trials, Y)
    assert search.best_params_["epochs"] in (0.5, 1.0)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.predict_proba(trials).shape == (12, 2)


def test_scikit_learns_own_calibration_takes_it(zero_shot, trials):
    calibrated = CalibratedClassifierCV(FrozenEstimator(zero_shot), method="sigmoid", cv=2)
    proba = calibrated.fit(trials, Y).predict_proba(trials)
    np.testing.assert_allclose(proba.sum(axis=1), 1.0)


def test_neither_clone_nor_pickle_nor_deep_copy_carries_weights(learner, zero_shot, trials):
    learner.set_params(epochs=0.5).fit(trials, Y)
    for other in (clone(learner), pickle.loads(pickle.dumps(learner)), copy.deepcopy(learner)):
        assert other.get_params() == learner.get_params()
        with pytest.raises(NotFittedError):
            other.predict(trials)
    assert len(pickle.dumps(learner)) < 5_000
    expected = zero_shot.predict_proba(trials)
    again = pickle.loads(pickle.dumps(zero_shot)).predict_proba(trials)
    np.testing.assert_array_equal(again, expected)


def test_a_loaded_model_is_ready_to_forecast(tiny_model_folder, zero_shot, trials):
    base = load_base(tiny_model_folder, device="cpu")
    spec = PromptSpec(max_tokens=1000, sections=("phase", "criteria"))
    forecaster = LanguageForecaster.from_model(base, "completion", spec=spec)
    assert forecaster.classes_.tolist() == list(COMPLETION.labels)
    prompts = forecaster.prompts(trials)
    assert {s.name for p in prompts for s in p.sections} == {"phase", "criteria"}
    logits = forecaster.logits_of(prompts)
    np.testing.assert_array_equal(logits, forecaster.answer_logits(trials))
    np.testing.assert_allclose(clone(forecaster).answer_logits(trials), logits, atol=1e-4)


def test_progress_is_told(zero_shot, trials):
    heard = []
    zero_shot.predict_proba(trials, on_progress=heard.append)
    assert heard[-1].done == heard[-1].total == len(trials)


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"tuning": "wild"}, "tuning: 'wild' is none of lora, full, probe, none"),
        ({"adapter": "somewhere"}, "adapter: goes with tuning 'none'; fit trains a new one"),
        ({"batch_tokens": 0}, "batch_tokens: must be 1 or more, or absent"),
    ],
    ids=lambda value: "" if isinstance(value, str) else next(iter(value)),
)
def test_wrong_settings_are_refused_at_fit(learner, trials, settings, fault):
    with pytest.raises(ConfigError) as caught:
        learner.set_params(**settings).fit(trials, Y)
    assert caught.value.faults == (fault,)


def test_wrong_data_are_refused_before_the_model_is_loaded(trials):
    forecaster = LanguageForecaster("/nowhere")
    with pytest.raises(ValueError, match="X has 12 trials and y 2 labels"):
        forecaster.fit(trials, ["success", "failure"])
    with pytest.raises(TaskError, match="'win' is not a label"):
        forecaster.fit(trials, ["win"] * 12)
    with pytest.raises(ModelNotFoundError):
        forecaster.fit(trials, Y)


def test_validation_labels_are_among_those_of_training(tmp_path, trials):
    folder = make_tiny_model(tmp_path / "tiny", words=("Yes", "No", "A", "B", "C"))
    task = Task("grade", "multiclass", "Which?", ("high", "low", "none"), ("A", "B", "C"))
    forecaster = LanguageForecaster(folder, task, device="cpu")
    with pytest.raises(ConfigError, match=r"labels: \[1, 2\] in validation, \[0, 1\] in training"):
        forecaster.fit(trials, [0, 1] * 6, eval_set=(trials, [1, 2] * 6))


def test_an_adapter_is_forecast_with(learner, trials, tmp_path):
    fitted = learner.set_params(epochs=0.5).fit(trials, Y)
    fitted.scorer.model.save_pretrained(tmp_path / "adapter")
    again = LanguageForecaster(
        learner.base, tuning="none", adapter=tmp_path / "adapter", device="cpu", max_tokens=220
    )
    np.testing.assert_allclose(again.answer_logits(trials), fitted.answer_logits(trials), atol=1e-5)


def test_a_probe_is_fitted_and_leaves_the_model_as_it_is(learner, zero_shot, trials):
    probe = clone(learner).set_params(tuning="probe")
    before = zero_shot.answer_logits(trials)
    probe.fit(trials, Y)
    assert probe.finetuning_.steps == 0
    assert len(probe.finetuning_.history) == 4
    assert probe.predict_proba(trials).shape == (12, 2)
    assert set(probe.predict(trials)) <= {"success", "failure"}
    assert probe.decision_function(trials) == pytest.approx(
        probe.answer_logits(trials)[:, 1] - probe.answer_logits(trials)[:, 0]
    )
    scorer = probe.scorer
    scorer.probe = None
    assert np.abs(scorer.logits(zero_shot.prompts(trials)) - before).max() < 1e-4
    weighted = clone(probe).set_params(class_weight={"success": 20.0}).fit(trials, Y)
    assert weighted.predict_proba(trials)[:, 1].mean() > probe.predict_proba(trials)[:, 1].mean()


def test_a_probe_needs_every_label(tiny_model_folder, trials):
    task = Task(
        name="grades",
        kind="multiclass",
        question="Which of three invented grades fits this trial?",
        labels=("low", "middle", "high"),
        answers=("No", "Yes", "a"),
    )
    probe = LanguageForecaster(tiny_model_folder, task, tuning="probe", device="cpu")
    with pytest.raises(ConfigError, match="y: holds no middle; a probe is fitted on every label"):
        probe.fit(trials, [0, 2] * 6)
