"""Slices: which rows belong to which, and what a small one says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from llm4top.data.dataset import make_dataset
from llm4top.errors import ScoreError
from llm4top.evaluation.predictions import Scores
from llm4top.evaluation.slices import slice_table, slices_of, too_small
from llm4top.registry.areas import therapeutic_area
from llm4top.registry.trial import Trial
from llm4top.tasks.task import Task
from tests.evaluation.evaluate_kit import by_condition, invented


def scores_of(rows, name="mine", probabilities=None):
    return Scores(
        name,
        "valid",
        rows.task.labels,
        by_condition(rows.trials) if probabilities is None else probabilities,
        np.array(rows.label_indices),
        rows.nct_ids,
    )


def dated(years, labels=None):
    """One row for each year, labels in turn."""
    n = len(years)
    return make_dataset(
        [Trial()] * n,
        labels or [("failure", "success")[i % 2] for i in range(n)],
        [f"NCT9{i:07d}" for i in range(n)],
        ["valid"] * n,
        task="outcome",
        start_dates=[None if y is None else f"{y}-07-01" for y in years],
    )


def spans(rows):
    return {s.value: len(s.rows) for s in slices_of(rows) if s.by == "start year"}


@pytest.fixture(scope="module")
def valid():
    return invented(valid=120).select("valid")


def test_each_kind_of_slice_is_there(valid):
    parts = slices_of(valid)
    assert list(dict.fromkeys(part.by for part in parts)) == [
        "registry status",
        "phase",
        "start year",
        "therapeutic area",
        "sponsor class",
    ]
    phases = {part.value: part for part in parts if part.by == "phase"}
    assert list(phases) == ["Phase 1", "Phase 1/Phase 2", "Phase 2"]
    for value, part in phases.items():
        assert {valid.trials[i].phase for i in part.rows} == {value}
    for by in ("phase", "start year", "therapeutic area", "sponsor class"):
        held = sorted(int(i) for part in parts if part.by == by for i in part.rows)
        assert held == list(range(len(valid)))


def test_completed_only(valid):
    part = next(p for p in slices_of(valid) if p.by == "registry status")
    assert part.value == "completed only"
    assert {valid.statuses[i] for i in part.rows} == {"Completed"}
    assert len(part.rows) == valid.statuses.count("Completed")


def test_what_is_the_same_for_all_is_no_slice(valid):
    n = len(valid)
    plain = replace(
        valid,
        trials=(Trial(phase="Phase 3"),) * n,
        start_dates=(None,) * n,
        statuses=("Completed",) * n,
    )
    assert slices_of(plain) == ()
    assert slices_of(replace(plain, statuses=(None,) * n)) == ()


def test_start_years_by_five():
    assert spans(dated([1990, 1994] * 20 + [1995] * 30)) == {"1990-1994": 40, "1995-1999": 30}


def test_years_with_few_rows_join_their_neighbours():
    assert spans(dated([1990] * 4 + [1997] * 36 + [2003] * 40 + [2011] * 3)) == {
        "1990-1999": 40,
        "2000-2014": 43,
    }


def test_a_span_needs_both_labels():
    years = [1990] * 30 + [1995] * 30
    labels = ["success"] * 30 + ["failure", "success"] * 15
    assert spans(dated(years, labels)) == {}  # one span of all years: no slice
    assert spans(dated([*years, None], [*labels, "success"])) == {"1990-1999": 60, "unknown": 1}


def test_years_without_enough_rows_at_all():
    assert spans(dated([1990] * 3 + [None] * 3)) == {"1990-1994": 3, "unknown": 3}


@pytest.mark.parametrize(
    ("trial", "area"),
    [
        (Trial(icd_codes=("C50.9",)), "neoplasms (C00-D48)"),
        (Trial(icd_codes=("D30",)), "neoplasms (C00-D48)"),
        (Trial(icd_codes=("D50.0",)), "blood and immune mechanism (D50-D89)"),
        (Trial(icd_codes=("H59.9",)), "eye (H00-H59)"),
        (Trial(icd_codes=("H60",)), "ear (H60-H95)"),
        (Trial(icd_codes=("b20",)), "infections (A-B)"),
        (Trial(icd_codes=("T88.7",)), "injury and poisoning (S-T)"),
        (Trial(icd_codes=("Y45.1",)), "external causes (V-Y)"),
        (Trial(icd_codes=("U07.1",)), "special purposes (U)"),
        (Trial(icd_codes=("R18.0", "C17.3", "C05.2")), "neoplasms (C00-D48)"),
        (Trial(icd_codes=("I10", "C17.3")), "circulatory system (I)"),
        (Trial(icd_codes=("nonsense",), conditions=("Asthma",)), "respiratory system (J)"),
        (Trial(condition_mesh=("Lung Neoplasms",), conditions=("x",)), "neoplasms (C00-D48)"),
        (Trial(conditions=("HIV Infections", "Hepatitis C")), "infections (A-B)"),
        (Trial(conditions=("Type 2 Diabetes",)), "endocrine, nutritional, metabolic (E)"),
        (Trial(keywords=("schizophrenia",)), "mental and behavioural (F)"),
        (Trial(conditions=("Choroidal Neovascularization",)), "eye (H00-H59)"),
        (Trial(conditions=("Neovascularization",)), "unknown"),
        (
            Trial(conditions=("Congenital Adrenal Hyperplasia",)),
            "endocrine, nutritional, metabolic (E)",
        ),
        (Trial(conditions=("Renal Failure",)), "genitourinary system (N)"),
        (Trial(conditions=("Heartburn",)), "digestive system (K)"),
        (Trial(conditions=("Phelan-McDermid Syndrome",)), "congenital malformations (Q)"),
        (Trial(conditions=("Something else",)), "unknown"),
        (Trial(), "unknown"),
    ],
)
def test_the_therapeutic_area(trial, area):
    assert therapeutic_area(trial) == area


def test_every_figure_has_an_interval_and_small_slices_say_so(valid):
    table = slice_table(valid, [scores_of(valid)], phase="pooled", check="valid", draws=100, seed=1)
    assert (table.phase, table.check) == ("pooled", "valid")
    small = [row for row in table.rows if row.note]
    large = [row for row in table.rows if not row.note]
    assert small
    assert large
    for row in small:
        assert row.figures == {}
        assert "too small to measure" in row.note
    for row in large:
        assert list(row.figures) == ["roc_auc", "average_precision", "log_loss", "brier"]
        assert row.n == sum(row.counts.values()) == row.figures["roc_auc"].n
        assert all(f.lower <= f.value <= f.upper for f in row.figures.values())


def test_a_slice_is_measured_as_its_rows_alone(valid):
    from llm4top.evaluation.metrics.metrics import measure

    scores = scores_of(valid)
    table = slice_table(valid, [scores], phase="pooled", check="valid", draws=100, seed=3)
    row = next(r for r in table.rows if r.value == "Phase 1")
    own = scores.take([t.phase == "Phase 1" for t in valid.trials])
    assert row.figures["brier"] == measure(own, draws=100, seed=3).figures["brier"]


@pytest.mark.parametrize(
    ("counts", "note"),
    [
        ({"failure": 15, "success": 5}, ""),
        ({"failure": 14, "success": 5}, "19 rows, 5 of them success"),
        ({"failure": 4, "success": 90}, "94 rows, 4 of them failure"),
        ({"failure": 0, "success": 90}, "90 rows, 0 of them failure"),
    ],
)
def test_what_is_too_small(counts, note):
    said = too_small(counts)
    assert bool(said) is bool(note)
    assert note in said


def test_more_than_two_labels():
    task = Task("why", "multiclass", "Why?", ("a", "b", "c"), ("A", "B", "C"))
    n = 60
    rows = make_dataset(
        [Trial(phase=f"Phase {1 + i % 2}") for i in range(n)],
        ["abc"[i % 3] for i in range(n)],
        [f"NCT9{i:07d}" for i in range(n)],
        ["valid"] * n,
        task=task,
    )
    even = np.full((n, 3), 1 / 3)
    table = slice_table(
        rows, [scores_of(rows, probabilities=even)], phase="pooled", check="valid", draws=100
    )
    assert list(table.rows[0].figures) == ["balanced_accuracy", "macro_f1", "log_loss", "brier"]


def test_scores_of_other_rows_are_refused(valid):
    scores = scores_of(valid)
    with pytest.raises(ScoreError, match="the scores are not about these rows"):
        slice_table(valid.take(range(50)), [scores], phase="pooled", check="valid")
