"""Few-shot forecasting: the plain forecaster's mechanics behind prompts with examples."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone

from llm4top.benchmark.language_models import few_shot
from llm4top.errors import PromptError
from llm4top.forecasters.language import LanguageForecaster
from llm4top.forecasters.model.base_model import load_base
from llm4top.prompts.examples import FewShotWriter
from llm4top.prompts.prompt import PromptSpec
from llm4top.tasks.builtin import OUTCOME
from tests.forecasters.conftest import invented_trials

LABELS = [OUTCOME.labels[i % 2] for i in range(30)]
SPEC = PromptSpec(1500)


@pytest.fixture(scope="module")
def base(tiny_model):
    return load_base(tiny_model, device="cpu")


@pytest.fixture(scope="module")
def trials():
    return invented_trials(12)


@pytest.fixture(scope="module")
def pool():
    return invented_trials(30)


def test_it_forecasts(base, pool, trials):
    forecaster = few_shot(base, "outcome", pool, LABELS, spec=SPEC)
    probabilities = forecaster.predict_proba(trials)
    assert probabilities.shape == (len(trials), 2)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert forecaster.classes_.tolist() == list(OUTCOME.labels)
    assert all(prompt.text.count("<|im_start|>user") == 5 for prompt in forecaster.prompts(trials))
    plain = LanguageForecaster.from_model(base, spec=SPEC).predict_proba(trials)
    assert np.abs(plain - probabilities).max() > 1e-3


@pytest.mark.parametrize("batch_tokens", [1, 4000, 20_000])
def test_the_batch_size_changes_nothing(base, pool, trials, batch_tokens):
    expected = few_shot(base, OUTCOME, pool, LABELS, spec=SPEC).answer_logits(trials)
    batched = few_shot(base, OUTCOME, pool, LABELS, spec=SPEC, batch_tokens=batch_tokens)
    np.testing.assert_allclose(batched.answer_logits(trials), expected, atol=1e-4)


def test_seed_and_shots_decide(base, pool, trials):
    def logits(**settings):
        made = few_shot(base, OUTCOME, pool, LABELS, spec=SPEC, **settings)
        return made.answer_logits(trials)

    np.testing.assert_array_equal(logits(seed=3), logits(seed=3))
    assert np.abs(logits(seed=3) - logits(seed=4)).max() > 1e-3
    assert np.abs(logits(shots=2) - logits(shots=3)).max() > 1e-3


def test_the_writer_is_the_scorers_and_a_clone_is_zero_shot(base, pool, trials):
    forecaster = few_shot(base, OUTCOME, pool, LABELS, spec=SPEC)
    assert isinstance(forecaster.scorer.writer, FewShotWriter)
    assert forecaster.max_tokens == SPEC.max_tokens
    plain = LanguageForecaster.from_model(base, spec=SPEC).answer_logits(trials)
    np.testing.assert_allclose(clone(forecaster).answer_logits(trials), plain, atol=1e-4)


def test_a_budget_too_small_is_an_error(base, pool):
    with pytest.raises(PromptError, match="8 examples do not fit into half of a budget"):
        few_shot(base, OUTCOME, pool, LABELS, shots=8, spec=PromptSpec(600))
