"""Reasons are true to the model: they add up, and they find what was planted."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import logit

from llm4top import explain
from llm4top.errors import TaskError
from llm4top.forecasters.baselines.base import BaselineForecaster
from llm4top.forecasters.baselines.catalog import make_baseline
from llm4top.forecasters.forecaster import Forecaster, as_forecaster
from llm4top.forecasters.load import load_forecaster
from llm4top.forecasters.reasons.chance import copies_logits, log_odds
from llm4top.forecasters.reasons.explain import explanation_of
from llm4top.forecasters.reasons.explanation import ASSOCIATIONS, Explanation
from llm4top.forecasters.reasons.features import path_amounts
from llm4top.registry.reader import read_records
from llm4top.registry.trial import Intervention, Trial
from llm4top.tasks.builtin import get_task
from llm4top.tasks.task import Task
from tests.forecasters.baseline_kit import planted
from tests.workspace.serving.test_service import ONE

LINES = ["Inclusion Criteria:", "Adults", "Fond of penguins", "Able to walk", "Not pregnant"]
TRIAL = Trial(
    phase="Phase 2",
    study_type="Interventional",
    conditions=("asthma",),
    interventions=(Intervention("compound 7", "Drug"),),
    criteria="\n".join([LINES[0], *(f"- {line}" for line in LINES[1:])]),
    brief_title="A study",
    planned_enrolment=40,
    sex="All",
)


class Planted(BaselineForecaster):
    """Its log-odds are 2 where the criteria name penguins, else -1; phase 2 adds 0.5."""

    sections_ = None

    def __init__(self, task="outcome"):
        self.task = task
        self.classes_ = np.array(get_task(task).labels)

    def fit(self, X, y):
        return self

    def _probabilities(self, trials):
        rows = []
        for trial in trials:
            odds = 2.0 if "penguins" in (trial.criteria or "") else -1.0
            odds += 0.5 if trial.phase == "Phase 2" else 0.0
            chance = 1 / (1 + np.exp(-odds))
            others = len(self.classes_) - 1
            rows.append([*[(1 - chance) / others] * others, chance])
        return np.array(rows)


def planted_forecaster(task="outcome"):
    return Forecaster(get_task(task), "baseline", "", "planted", "planted", model=Planted(task))


def gap(found):
    """How far all that is shown is from the log-odds of the chance."""
    parts = [*found.sections, *found.steps]
    return abs(found.start + sum(part.log_odds for part in parts) - log_odds(found.chance))


def gap_of_pieces(found):
    return abs(sum(piece.log_odds for piece in found.pieces) - found.pieces_total)


def test_the_planted_sentence_is_found():
    found = explain(planted_forecaster(), TRIAL)
    assert (found.pieces_of, found.exact, found.event) == ("criteria", False, "success")
    by_name = {c.name: c.log_odds for c in found.sections}
    assert by_name.pop("criteria") == pytest.approx(3, abs=1e-9)
    assert by_name.pop("phase") == pytest.approx(0.5, abs=1e-9)
    assert list(by_name.values()) == pytest.approx([0] * 5, abs=1e-9)
    assert [piece.text for piece in found.pieces] == LINES
    assert [piece.log_odds for piece in found.pieces] == pytest.approx([0, 0, 3, 0, 0], abs=1e-9)
    assert found.start == pytest.approx(-1)
    assert gap(found) < 1e-6
    strongest = found.sections[0]
    assert strongest.text == "Eligibility criteria"
    assert found.sentence(strongest) == "lifts the chance from 38\u00a0% to 92\u00a0%"
    assert found.sentence(found.pieces[0]) == "leaves the chance at 92\u00a0%"


def test_several_labels_are_each_against_the_rest():
    three = Task("three", "multiclass", "Which?", ("a", "b", "c"), ("One", "Two", "Three"))
    found = explain(planted_forecaster(three), TRIAL)
    assert found.event == "c"
    assert found.sections[0].log_odds == pytest.approx(3, abs=1e-9)
    ordered = Task(
        "ordered", "ordinal", "How long?", ("1", "2", "3"), ("A", "B", "C"), bin_edges=(1.0, 2.0)
    )
    found = explain(planted_forecaster(ordered), replace(TRIAL, criteria="none"))
    assert (found.event, found.pieces_of) == ("more than 2", None)
    assert gap(found) < 1e-6


def test_hidden_fields_move_nothing():
    task = replace(get_task("outcome"), hidden_fields=("criteria",))
    fitted = make_baseline("tfidf", task=task).fit(*planted(40))
    found = explain(as_forecaster(fitted), TRIAL)
    assert "criteria" not in {c.name for c in found.sections}
    assert gap(found) < 1e-6


@pytest.mark.parametrize("name", ["tfidf", "extra-trees", "structured", "base-rate"])
def test_baselines_add_up_and_so_do_their_features(name):
    X, y = planted(60)
    fitted = make_baseline(name).fit(X, y)
    forecaster = as_forecaster(fitted)
    found = explain(forecaster, X[0])
    assert max(gap(found), gap_of_pieces(found)) < 1e-6
    if name == "base-rate":
        assert found.parts == ()
        return
    (part,) = found.parts
    chance = fitted.predict_proba([X[0]])[0, 1]
    assert part.total == pytest.approx(logit(chance) if name == "tfidf" else chance, abs=1e-6)
    adds = part.base + part.others + sum(feature.amount for feature in part.features)
    assert adds == pytest.approx(part.total, abs=1e-9)
    sizes = [abs(feature.amount) for feature in part.features]
    assert sizes == sorted(sizes, reverse=True)
    assert 0 < len(sizes) <= 10


def test_a_feature_that_no_tree_asks_on_the_way_adds_nothing():
    X, y = planted(60)
    fitted = make_baseline("extra-trees").fit(X, y)
    trees, row = fitted.learner_, fitted.rows([X[0]]).toarray()[0].astype(np.float32)
    base, amounts = path_amounts(trees, [1], row)
    asked = set(trees.feature.tolist())
    assert all(j in asked for j in np.flatnonzero(amounts).tolist())
    other = path_amounts(trees, [0], row)
    assert (base + other[0], *(amounts + other[1])) == pytest.approx((1, *np.zeros(len(row))))


@pytest.mark.slow
def test_the_embedded_model_adds_up_and_is_the_same_each_time():
    forecaster = load_forecaster("embedded", device="cpu")
    (record,) = read_records(ONE.path)
    (forecast,) = forecaster.forecast([record])
    found = explain(forecaster, record)
    assert found.chance == pytest.approx(forecast.probability, abs=1e-9)
    assert max(gap(found), gap_of_pieces(found)) < 1e-6
    assert [step.name for step in found.steps] == ["Support"]
    assert len(found.parts) == 3
    values = explanation_of(forecaster, record, {})
    assert Explanation.from_dict(json.loads(json.dumps(values))) == found
    assert values["note"] == ASSOCIATIONS
    adapted = explanation_of(forecaster, record, {"base_rate": "0.3", "seed": 1})
    assert [step["name"] for step in adapted["steps"]] == ["Support", "Base rate"]
    assert gap(Explanation.from_dict(adapted)) < 1e-6
    copies = [record.trial, replace(record.trial, planned_enrolment=7), record.trial]
    assert copies_logits(forecaster, copies) == pytest.approx(forecaster.logits(copies), abs=1e-3)


def test_a_record_without_a_forecast_has_no_reasons():
    trial = replace(TRIAL, study_type="Observational")
    with pytest.raises(TaskError, match=r"#1: there is nothing to explain: an observational study"):
        explain(planted_forecaster(), trial)


def test_an_empty_record_has_no_sections():
    found = explain(planted_forecaster(), Trial())
    assert (found.sections, found.pieces, found.pieces_of) == ((), (), None)
    assert gap(found) < 1e-6
