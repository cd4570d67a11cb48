"""VariantRunner in several ways: samples, reuse of answers, progress, paired differences."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from llm4top.errors import EmptyClassError, EvaluationError, ScoreError, TooFewRowsError
from llm4top.evaluation.probes.variants import VariantRunner, sampled, variant_row
from llm4top.forecasters.calibration.platt import PlattCalibrator
from llm4top.tasks.builtin import COMPLETION
from tests.evaluation.asking_kit import forecaster, quick, rows


@pytest.mark.parametrize("limit", [2, 5, 10, 37, 59])
def test_a_sample_keeps_the_labels_shares(limit):
    data = rows()
    few = sampled(data, limit, seed=1)
    assert len(few) == limit
    counts = Counter(few.labels)
    assert set(counts) == set(data.task.labels)
    assert abs(counts["success"] - 0.4 * limit) <= 1
    assert list(few.nct_ids) == sorted(few.nct_ids)
    assert few.nct_ids == sampled(data, limit, seed=1).nct_ids


def test_the_seed_draws_the_sample():
    assert sampled(rows(), 20, seed=1).nct_ids != sampled(rows(), 20, seed=2).nct_ids
    data = rows()
    assert sampled(data, None, 0) is data
    assert sampled(data, 60, 0) is data


def test_a_limit_below_the_labels_is_refused():
    with pytest.raises(EvaluationError, match="1 rows cannot hold every label of task 'outcome'"):
        sampled(rows(), 1, 0)


def test_the_answers_are_the_forecasters_own():
    model, data = forecaster(), rows(20)
    runner = VariantRunner(model, data)
    np.testing.assert_allclose(
        runner.full.probabilities, model.predict_proba(data.trials), atol=1e-5
    )
    assert runner.name == "tiny"
    assert runner.check == "valid"
    assert runner.full.ids == data.nct_ids


def test_only_changed_prompts_are_asked_again(monkeypatch):
    model, data = quick(), rows(20)
    seen = []
    runner = VariantRunner(model, data, variants=3, on_progress=seen.append)
    counts = []
    real = model.logits_of
    monkeypatch.setattr(
        model,
        "logits_of",
        lambda prompts, **more: counts.append(len(prompts)) or real(prompts, **more),
    )
    same = runner.run()
    assert same.changed == 0
    np.testing.assert_array_equal(same.scores.probabilities, runner.full.probabilities)
    one = [data.trials[1], *list(data.trials)[1:]]
    other = runner.run(trials=one)
    assert other.changed == 1
    assert counts == [0, 0]  # the first trial's prompt is now the second's, which was answered
    done = [progress.done for progress in seen]
    assert done == sorted(done)
    assert (seen[-1].done, seen[-1].total) == (60, 60)


def test_differences_are_paired():
    model, data = quick(), rows(40)
    runner = VariantRunner(model, data, draws=50)
    full = runner.measured(runner.full)
    masked = runner.run(trials=[*list(data.trials)[1:], data.trials[0]])
    measured = runner.measured(masked.scores)
    row = variant_row("rolled", measured, full)
    for metric in ("roc_auc", "log_loss", "brier"):
        apart = row.difference[metric]
        assert apart.value == pytest.approx(
            measured.figures[metric].value - full.figures[metric].value
        )
        draws = measured.draws[metric] - full.draws[metric]
        assert (apart.lower, apart.upper) == pytest.approx(
            tuple(np.quantile(draws, [0.025, 0.975]))
        )
    assert row.n == apart.n == 40
    same = variant_row("same", full, full).difference["roc_auc"]
    assert (same.value, same.lower, same.upper) == (0, 0, 0)


def test_calibration_is_applied():
    model, data = quick(), rows(60)
    logits = model.answer_logits(data.trials)
    calibration = PlattCalibrator().fit(logits, np.array(data.label_indices))
    runner = VariantRunner(model, data, calibration=calibration)
    np.testing.assert_allclose(
        runner.full.probabilities, calibration.predict(logits).probabilities, atol=1e-4
    )
    assert runner.calibration_note == f"Probabilities are calibrated ({calibration.method})."


def test_unmeasurable_rows_are_refused_before_the_model_is_asked(monkeypatch):
    model, data = forecaster(), rows(20)
    monkeypatch.setattr(model, "logits_of", lambda *a, **k: pytest.fail("it was asked"))
    with pytest.raises(EmptyClassError, match="no row with label 'success'"):
        VariantRunner(model, data.take([i for i in range(20) if data.labels[i] == "failure"]))
    with pytest.raises(TooFewRowsError, match="1 row; two or more are needed"):
        VariantRunner(model, data.take([0]))
    with pytest.raises(TooFewRowsError, match="0 rows"):
        VariantRunner(model, data.take([]))


def test_rows_of_several_splits_or_another_task_are_refused():
    data = rows(20)
    with pytest.raises(EvaluationError, match="the rows are of the splits test, valid"):
        VariantRunner(forecaster(), replace(data, splits=("valid",) * 10 + ("test",) * 10))
    names = {"failure": "stopped", "success": "completed"}
    other = replace(data, task=COMPLETION, labels=tuple(names[label] for label in data.labels))
    with pytest.raises(
        ScoreError, match="the model answers task 'outcome', the rows are about 'completion'"
    ):
        VariantRunner(forecaster(), other)
