"""One table of several forecasters: order, figures, comparisons, curves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from llm4top.errors import EvaluationError, ScoreError
from llm4top.evaluation.metrics.metrics import measure
from llm4top.evaluation.predictions import Scores
from llm4top.evaluation.reports.table import Entry, measure_table

N = 80
IDS = tuple(f"NCT9{i:07d}" for i in range(N))
Y = np.arange(N) % 2


def entry(name, event, kind="baseline", **kwargs):
    event = np.asarray(event)
    scores = Scores(
        name, "valid", ("failure", "success"), np.stack([1 - event, event], axis=1), Y, IDS
    )
    return Entry(scores, kind, "train", **kwargs)


@pytest.fixture
def entries():
    rng = np.random.default_rng(0)
    return [
        entry("good", np.clip(0.3 + 0.4 * Y + rng.normal(0, 0.1, N), 0, 1), "language"),
        entry("always", np.ones(N), "trivial"),
        entry("base rate", np.full(N, 0.5), "trivial", identity="base-1", note="By phase."),
        entry("oracle", 0.1 + 0.8 * Y, "cheating"),
    ]


def table(entries, against="good", reference=None, **kwargs):
    return measure_table(
        entries,
        title="All phases",
        phase="pooled",
        check="valid",
        against=against,
        reference=reference,
        draws=100,
        seed=5,
        **kwargs,
    )


def test_rows_stand_in_the_order_given(entries):
    found = table(entries, note="A note.").table
    assert [row.forecaster for row in found.rows] == ["good", "always", "base rate", "oracle"]
    assert [row.kind for row in found.rows] == ["language", "trivial", "trivial", "cheating"]
    assert (found.n, found.counts, found.note) == (N, {"failure": 40, "success": 40}, "A note.")
    assert (found.rows[2].identity, found.rows[2].note) == ("base-1", "By phase.")
    other = table(entries[::-1]).table
    assert [row.forecaster for row in other.rows] == ["oracle", "base rate", "always", "good"]
    assert other.rows[-1].figures == found.rows[0].figures


def test_figures_are_those_of_measure(entries):
    decisions = (np.arange(N) % 3 == 0).astype(np.int64)
    entries[0] = replace(entries[0], decisions=decisions)
    reference = np.full((N, 2), 0.5)
    found = table(entries, reference=reference).table.rows[0].figures
    expected = measure(
        entries[0].scores, decisions=decisions, reference=reference, draws=100, seed=5
    )
    assert found == expected.figures
    assert found["brier_skill"].value > 0


def test_the_oracle_is_in_the_table_and_in_no_comparison(entries):
    found = table(entries)
    pairs = {(d.first, d.second) for d in found.differences}
    assert pairs == {("always", "good"), ("base rate", "good")}
    assert {d.family for d in found.differences} == {2}
    assert found.differences[0].phase == "pooled"


def test_curves_belong_to_the_table(entries):
    curves = table(entries).curves
    assert curves is not None
    assert (curves.phase, curves.check, curves.n, curves.prevalence) == ("pooled", "valid", N, 0.5)
    assert [c.forecaster for c in curves.curves] == ["good", "always", "base rate", "oracle"]


def test_the_same_seed_gives_the_same_table(entries):
    assert table(entries) == table(entries)


def test_more_than_two_labels_have_no_curves():
    y = np.arange(N) % 3
    scores = Scores("even", "valid", ("a", "b", "c"), np.full((N, 3), 1 / 3), y, IDS)
    other = Scores("other", "valid", ("a", "b", "c"), np.eye(3)[y] * 0.4 + 0.2, y, IDS)
    found = table([Entry(scores, "trivial", ""), Entry(other, "language", "")], against="even")
    assert found.curves is None
    assert found.table.counts == {"a": 27, "b": 27, "c": 26}
    assert {d.metric for d in found.differences} >= {"log_loss", "brier"}


def test_names_must_differ(entries):
    with pytest.raises(EvaluationError, match="two forecasters are called 'good'"):
        table([entries[0], entries[0]])


def test_what_is_compared_with_must_be_there(entries):
    with pytest.raises(EvaluationError, match="'nobody' is none of the forecasters") as caught:
        table(entries, against="nobody")
    assert "There are: good, always, base rate, oracle." in str(caught.value)


def test_all_are_about_the_same_rows(entries):
    shorter = replace(entries[1], scores=entries[1].scores.take(range(40)))
    with pytest.raises(ScoreError, match="were not scored on the same rows"):
        table([entries[0], shorter])
