"""From trials to logits: batches under a budget, and failures that are sentences."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from llm4top.errors import ModelError
from llm4top.forecasters.model import scoring
from llm4top.forecasters.model.base_model import load_base
from llm4top.forecasters.model.scoring import TrialScorer, score_prompts
from llm4top.prompts.prompt import PromptSpec
from llm4top.tasks.builtin import OUTCOME


@pytest.fixture
def base(tiny_model_folder):
    return load_base(tiny_model_folder, device="cpu")


def test_the_budget_changes_nothing_but_the_batches(base, trials, monkeypatch):
    sizes = []
    real = scoring.answer_logits

    def watched(model, input_ids, lengths, answer_ids):
        sizes.append(tuple(input_ids.shape))
        return real(model, input_ids, lengths, answer_ids)

    monkeypatch.setattr(scoring, "answer_logits", watched)
    spec = PromptSpec(max_tokens=300)
    results = []
    for budget in (1, 700, 100_000, None):
        sizes.clear()
        scorer = TrialScorer(base, OUTCOME, spec, batch_tokens=budget)
        results.append(scorer.logits(scorer.prompts(trials)))
        if budget:
            assert all(rows == 1 or rows * longest <= budget for rows, longest in sizes)
    for result in results:
        assert result.shape == (len(trials), 2)
        assert result.dtype == np.float64
        np.testing.assert_allclose(result, results[0], atol=1e-4)


def test_out_of_memory_on_the_way_gives_the_same_logits(base, trials, monkeypatch):
    scorer = TrialScorer(base, OUTCOME, PromptSpec(max_tokens=300), batch_tokens=3000)
    prompts = scorer.prompts(trials)
    expected = scorer.logits(prompts)
    real = scoring.answer_logits

    def short_of_memory(model, input_ids, lengths, answer_ids):
        if input_ids.numel() > 700:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(model, input_ids, lengths, answer_ids)

    monkeypatch.setattr(scoring, "answer_logits", short_of_memory)
    np.testing.assert_allclose(scorer.logits(prompts), expected, atol=1e-4)


def test_a_budget_beyond_the_model_is_refused(base):
    with pytest.raises(ModelError, match="prompts may take 5000 tokens, but the model takes 4096"):
        TrialScorer(base, OUTCOME, PromptSpec(max_tokens=5000))


def test_broken_weights_do_not_become_forecasts(base, trials):
    base.model.lm_head.weight.data.fill_(float("nan"))
    scorer = TrialScorer(base, OUTCOME, PromptSpec())
    with pytest.raises(ModelError, match="the answer logits are not finite numbers"):
        scorer.logits(scorer.prompts(trials[:1]))


def test_no_prompts(base):
    assert score_prompts(base.model, [], (1, 2), budget=10).shape == (0, 2)
