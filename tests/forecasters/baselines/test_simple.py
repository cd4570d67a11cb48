"""The baselines: what they count and read, and that they are scikit-learn classifiers."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV, cross_val_predict

from llm4top.errors import ModelError, TaskError
from llm4top.forecasters.baselines.catalog import BASELINES, make_baseline
from llm4top.forecasters.baselines.simple import (
    AlwaysForecaster,
    BaseRateForecaster,
    TfidfForecaster,
    baseline_text,
)
from llm4top.registry.reader import read_records
from llm4top.registry.trial import Intervention, Trial
from llm4top.tasks.task import Task

THREE = Task("t", "multiclass", "?", ("high", "low", "none"), ("A", "B", "C"))


def of_phase(phase: str | None, count: int) -> list[Trial]:
    return [Trial(phase=phase)] * count


def test_base_rates_are_shrunk_towards_the_pooled_rate():
    X = of_phase("Phase 1", 10) + of_phase("Phase 2", 30)
    y = [1] * 10 + [0] * 30
    forecaster = BaseRateForecaster(prior_trials=10).fit(X, y)
    rates = forecaster.predict_proba([Trial(phase=p) for p in ("Phase 1", "Phase 2", "Phase 3")])
    np.testing.assert_allclose(rates[:, 1], [12.5 / 20, 2.5 / 40, 0.25])
    np.testing.assert_allclose(rates.sum(axis=1), 1.0)
    assert forecaster.predict([Trial(phase="Phase 1"), Trial()]).tolist() == [1, 0]


def planted(count: int) -> tuple[list[Trial], list[str]]:
    words = ("safe and well known", "risky and new")
    X = [Trial(phase="Phase 2", criteria=f"Adults. {words[i % 2]}.") for i in range(count)]
    return X, ["failure" if i % 2 else "success" for i in range(count)]


def test_tfidf_learns_a_planted_word():
    X, y = planted(20)
    forecaster = TfidfForecaster().fit(X, y)
    assert forecaster.classes_.tolist() == ["failure", "success"]
    assert forecaster.score(X, y) == 1.0
    assert forecaster.predict_proba(X)[0, 1] > 0.5


@pytest.mark.parametrize("forecaster", [BaseRateForecaster(), TfidfForecaster()])
def test_they_are_classifiers_over_trials(forecaster):
    X, y = planted(20)
    assert is_classifier(forecaster)
    with pytest.raises(NotFittedError):
        clone(forecaster).predict_proba(X)
    assert cross_val_predict(forecaster, X, y, cv=2, method="predict_proba").shape == (20, 2)
    assert clone(forecaster).fit(X, y).predict_proba([]).shape == (0, 2)
    with pytest.raises(TaskError, match="'win' is not a label"):
        clone(forecaster).fit(X, ["win"] * 20)
    with pytest.raises(ValueError, match="X has 20 trials and y 2 labels"):
        clone(forecaster).fit(X, ["success", "failure"])


@pytest.mark.parametrize("kind", [BaseRateForecaster, TfidfForecaster])
def test_many_labels(kind):
    X, _ = planted(12)
    forecaster = kind(THREE).fit(X, [0, 1, 2] * 4)
    assert forecaster.classes_.tolist() == [0, 1, 2]
    np.testing.assert_allclose(forecaster.predict_proba(X).sum(axis=1), 1.0)


def test_tfidf_settings_can_be_searched():
    X, y = planted(20)
    grid = {"regularisation": [0.1, 1.0], "class_weight": [None, "balanced", {"success": 2.0}]}
    search = GridSearchCV(TfidfForecaster(), grid, cv=2, scoring="neg_log_loss").fit(X, y)
    assert search.best_score_ > -0.69


def test_a_weight_is_as_good_as_a_row_more():
    X, y = planted(20)
    # The same texts in both, so that terms have the same weights.
    trials, labels = [*X, *X[:6]], [*y, *y[:6]]
    weights = [2.0] * 6 + [1.0] * 14 + [0.0] * 6
    weighted = TfidfForecaster().fit(trials, labels, sample_weight=weights)
    repeated = TfidfForecaster().fit(trials, labels)
    assert weighted.predict_proba(X) == pytest.approx(repeated.predict_proba(X), abs=1e-4)
    with pytest.raises(ValueError, match="needs finite numbers from 0"):
        TfidfForecaster().fit(X, y, sample_weight=[np.inf] * 20)


def test_thin_copies_are_learned_from():
    X, y = planted(20)
    plain, thin = (TfidfForecaster(thin_copies=flag).fit(X, y) for flag in (False, True))
    assert thin.words_.terms == plain.words_.terms
    assert thin.base_rates_ == plain.base_rates_
    assert thin.score(X, y) == 1.0
    assert (thin.predict_proba(X) != plain.predict_proba(X)).any()


def test_what_tfidf_reads():
    trial = Trial(
        phase="Phase 1/Phase 2",
        brief_title="never read",
        conditions=("asthma",),
        interventions=(Intervention("compound", "Drug", "never read"),),
        icd_codes=("J45.9",),
        criteria="Adults.",
    )
    assert baseline_text(trial) == "phase_phase_1_phase_2\nasthma\ncompound\nicd_J45_9\n- Adults."
    assert baseline_text(Trial()) == "phase_none\n"


def test_always_says_the_event():
    X, y = planted(20)
    forecaster = AlwaysForecaster().fit(X, y)
    assert forecaster.predict_proba(X[:2]).tolist() == [[0.0, 1.0]] * 2
    assert set(forecaster.predict(X)) == {"success"}
    assert forecaster.predict_proba([]).shape == (0, 2)


def test_always_says_the_commonest_of_many_labels():
    X, _ = planted(7)
    forecaster = AlwaysForecaster(THREE).fit(X, [0, 1, 2, 2, 1, 2, 0])
    assert forecaster.predict_proba(X[:1]).tolist() == [[0.0, 0.0, 1.0]]
    equals = AlwaysForecaster(THREE).fit(X[:4], [2, 1, 1, 2])
    assert equals.predict(X[:1]).tolist() == [1]


def test_every_baseline_has_a_name_and_a_label():
    assert list(BASELINES) == [
        *("always", "base-rate", "logistic", "forest", "adaboost", "xgboost", "knn-forest"),
        *("feed-forward", "tfidf", "extra-trees", "structured", "nearest", "sentence"),
    ]
    assert [n for n, b in BASELINES.items() if b.kind == "trivial"] == ["always", "base-rate"]
    assert len({b.label for b in BASELINES.values()}) == len(BASELINES)
    assert all(b.summary.endswith(".") for b in BASELINES.values())


@pytest.mark.parametrize("name", [name for name in BASELINES if name != "sentence"])
def test_baselines_by_name(name):
    X, y = planted(30)
    forecaster = make_baseline(name, "completion", seed=3)
    assert is_classifier(forecaster)
    assert getattr(forecaster, "seed", 3) == 3
    with pytest.raises(NotFittedError):
        forecaster.predict_proba(X)
    forecaster.fit(X, [int(label == "success") for label in y])
    assert forecaster.predict_proba(X).shape == (30, 2)


def test_names_that_are_none():
    with pytest.raises(ModelError, match=r"no baseline 'oracle'\. Known: always, base-rate"):
        make_baseline("oracle")
    with pytest.raises(TaskError, match="no task 'nothing'"):
        make_baseline("always", "nothing")


@pytest.mark.parametrize("name", ["base-rate", "tfidf"])
def test_hidden_fields_are_not_read(name):
    blind = Task(
        *("blind", "binary", "?", ("failure", "success"), ("No", "Yes")),
        hidden_fields=("phase", "conditions", "interventions", "icd_codes", "criteria"),
    )
    X, y = planted(20)
    forecaster = make_baseline(name, blind)
    if name == "tfidf":
        # One word is left, the one that says that there is no phase.
        forecaster.set_params(min_count=1)
    found = forecaster.fit(X, y).predict_proba([*X, Trial()])
    np.testing.assert_allclose(found, found[:1].repeat(21, axis=0))


YARDSTICKS = {
    ("pooled", "I"): 0.740,
    ("pooled", "II"): 0.726,
    ("pooled", "III"): 0.748,
    ("I", "I"): 0.777,
    ("II", "II"): 0.697,
    ("III", "III"): 0.735,
}
"""ROC-AUC on TOP's validation rows of the same model over raw criteria, measured by others."""


@pytest.fixture(scope="module")
def top_rows(test_data):
    """TOP's learning part by phase: training rows without any validation id, validation rows."""
    top = test_data / "top"

    def rows(part: str, phase: str) -> dict[str | None, tuple[Trial, int]]:
        found = read_records(top / f"phase_{phase}_{part}.csv")
        return {r.nct_id: (r.trial, int(r.registry_outcome.label or 0)) for r in found}

    valid = {phase: rows("valid", phase) for phase in ("I", "II", "III")}
    held_out = {nct_id for part in valid.values() for nct_id in part}
    learn = {
        phase: {nct: row for nct, row in rows("train", phase).items() if nct not in held_out}
        for phase in valid
    }
    learn["pooled"] = learn["I"] | learn["II"] | learn["III"]
    return learn, valid


@pytest.mark.slow
@pytest.mark.parametrize(("learnt_from", "phase"), list(YARDSTICKS))
def test_tfidf_reaches_the_benchmarks_yardstick(top_rows, learnt_from, phase):
    learn, valid = top_rows
    trials, labels = zip(*learn[learnt_from].values(), strict=True)
    X, y = zip(*valid[phase].values(), strict=True)
    found = TfidfForecaster().fit(trials, labels).predict_proba(X)[:, 1]
    assert roc_auc_score(y, found) == pytest.approx(YARDSTICKS[learnt_from, phase], abs=0.015)


def test_tfidf_reads_titles_where_it_is_asked_to():
    trials = [
        Trial(brief_title=word, official_title="Study of it", conditions=("asthma",))
        for word in ("alpha", "beta") * 6
    ]
    labels = ["success", "failure"] * 6

    with_titles = TfidfForecaster(titles=True).fit(trials, labels)
    without = TfidfForecaster().fit(trials, labels)

    first, second = with_titles.predict_proba(trials[:2])[:, 1]
    assert first > 0.6 > 0.4 > second
    assert np.ptp(without.predict_proba(trials)[:, 1]) == 0
    assert with_titles.sections_[:3] == ("phase", "brief_title", "official_title")
    assert "brief_title" not in without.sections_
