"""The leak oracle: the rule, and that it is told apart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from llm4top.data.dataset import load_dataset, make_dataset
from llm4top.errors import DatasetError
from llm4top.evaluation.metrics.metrics import measure
from llm4top.evaluation.predictions import Scores
from llm4top.evaluation.probes.leak_oracle import ORACLE_NOTE, has_oracle, oracle_probabilities
from llm4top.registry.trial import Trial
from llm4top.tasks.task import Task

CASES = (
    ("Completed", None, 0.9),
    ("Terminated", None, 0.1),
    ("terminated", None, 0.1),
    (" WITHDRAWN ", None, 0.1),
    ("Suspended", None, 0.1),
    ("Completed", "Lack of efficacy", 0.1),
    ("Completed", "  ", 0.9),
    ("Unknown status", None, 0.9),
    (None, None, 0.9),
    (None, "slow accrual", 0.1),
)


def rows(task="outcome", labels=("failure", "success"), statuses=None):
    n = len(CASES)
    return make_dataset(
        [Trial()] * n,
        [labels[i % len(labels)] for i in range(n)],
        [f"NCT9{i:07d}" for i in range(n)],
        ["valid"] * n,
        task=task,
        statuses=[s for s, _, _ in CASES] if statuses is None else statuses,
        why_stopped=[w for _, w, _ in CASES],
    )


def test_the_rule():
    said = oracle_probabilities(rows())
    assert said[:, 1].tolist() == pytest.approx([p for _, _, p in CASES])
    assert said.sum(axis=1).tolist() == pytest.approx([1] * len(CASES))


def test_without_a_status_there_is_no_oracle():
    bare = rows(statuses=[None] * len(CASES))
    assert not has_oracle(bare)
    with pytest.raises(DatasetError, match="needs a binary task and rows with a registry status"):
        oracle_probabilities(bare)


def test_more_than_two_labels_have_no_oracle():
    three = Task("why", "multiclass", "Why?", ("a", "b", "c"), ("A", "B", "C"))
    assert not has_oracle(rows(three, ("a", "b", "c")))


def test_the_completion_task_is_its_own_leak():
    every = rows("completion", ("completed", "stopped"))
    labels = tuple(
        "stopped" if p == 0.1 else "completed" for p in oracle_probabilities(every)[:, 1].round(1)
    )
    scores = Scores(
        "oracle",
        "valid",
        every.task.labels,
        oracle_probabilities(every),
        np.array(replace(every, labels=labels).label_indices),
        every.nct_ids,
    )
    assert measure(scores, draws=100).figures["roc_auc"].value == 1


def test_its_note_says_what_it_is():
    assert "Cheating on purpose" in ORACLE_NOTE


def test_added_to_honest_probabilities_it_shifts_their_log_odds():
    every = rows()
    honest = np.full((len(every), 2), [0.4, 0.6])
    said = oracle_probabilities(every, honest)[:, 1]
    odds = 0.6 / 0.4 * np.where(oracle_probabilities(every)[:, 1] > 0.5, 9, 1 / 9)
    assert said == pytest.approx(odds / (1 + odds))
    certain = np.tile([0.0, 1.0], (len(every), 1))
    assert np.isfinite(oracle_probabilities(every, certain)).all()


@pytest.mark.slow
def test_on_real_trials_it_is_far_above_what_is_honest(test_data, tmp_path):
    from llm4top.data.ingest import ingest
    from llm4top.forecasters.baselines.catalog import make_baseline

    folder = test_data / "top"
    if not folder.is_dir():
        pytest.skip("no TOP files here")
    ingest([folder], tmp_path / "top", task="outcome", on_refusal=lambda _: None)
    top = load_dataset(tmp_path / "top")
    learn, valid = top.select("train"), top.select("valid")
    tfidf = make_baseline("tfidf").fit(learn.trials, np.array(learn.label_indices))
    honest = tfidf.predict_proba(valid.trials)
    y = np.array(valid.label_indices)

    def auc(said):
        scores = Scores("x", "valid", valid.task.labels, said, y, valid.nct_ids)
        return measure(scores, draws=100).figures["roc_auc"]

    assert auc(oracle_probabilities(valid, honest)).lower > auc(honest).upper
