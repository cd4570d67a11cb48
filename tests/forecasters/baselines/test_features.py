"""A trial as numbers and text: the values, and that hidden and withheld things stay out."""

from __future__ import annotations

import math
from dataclasses import fields, replace

import numpy as np
import pytest

from llm4top.forecasters.baselines.feature_matrix import fit_features, remembered
from llm4top.forecasters.baselines.features import (
    FEATURE_NAMES,
    all_text,
    code_word,
    feature_table,
    icd_chapter,
    trial_features,
    visible_trials,
)
from llm4top.registry.trial import Arm, Collaborator, Intervention, Outcome, Trial
from llm4top.tasks.builtin import OUTCOME
from llm4top.tasks.task import Task
from tests.forecasters.baseline_kit import planted

FULL = Trial(
    phase="Phase 1/Phase 2",
    study_type="Interventional",
    brief_title="A short title",
    official_title="A longer official title",
    conditions=("asthma", "cough"),
    condition_mesh=("Asthma",),
    icd_codes=("J45.909", "J45.20", "R05"),
    keywords=("inhaler",),
    interventions=(
        Intervention("compound", "Drug", "once daily", ("Experimental",)),
        Intervention("Placebo", "Drug"),
    ),
    intervention_mesh=("Compounds",),
    smiles=("CCO", "CC"),
    arms=(Arm("A", "Experimental", "gets it"), Arm("B", "Placebo Comparator")),
    number_of_arms=2,
    allocation="Randomized",
    intervention_model="Parallel Assignment",
    masking="Double (Participant, Investigator)",
    primary_purpose="Treatment",
    primary_outcomes=(Outcome("score", "12 weeks"),),
    secondary_outcomes=(Outcome("other"), Outcome("third")),
    criteria="Inclusion Criteria:\n- Adults of 18\n- Asthma\nExclusion Criteria:\n- Smokers",
    sex="Female",
    minimum_age="18 Years",
    maximum_age="6 Months",
    healthy_volunteers=False,
    sponsor_class="Industry",
    collaborators=(Collaborator("Somebody", "Industry"),),
    has_dmc=True,
    planned_enrolment=120,
    planned_start="2031-05",
    brief_summary="A summary.",
    detailed_description="Details.",
)


def test_the_numbers_of_a_trial():
    numbers = trial_features(FULL)
    expected = {
        "phase, lowest": 1,
        "phase, highest": 2,
        "phase is mixed": 1,
        "phase does not apply": 0,
        "conditions": math.log(3),
        "ICD codes": math.log(4),
        "ICD categories": math.log(3),
        "ICD chapter: respiratory": 1,
        "ICD chapter: symptoms": 1,
        "ICD chapter: neoplasms": 0,
        "interventions: Drug": math.log(3),
        "interventions: Device": 0,
        "placebo among interventions": 1,
        "molecules": math.log(3),
        "longest molecule": math.log(4),
        "study type: Interventional": 1,
        "model: Parallel": 1,
        "purpose: Treatment": 1,
        "randomised": 1,
        "parties masked": 2,
        "arms": math.log(3),
        "arms: Experimental": math.log(2),
        "data monitoring committee": 1,
        "planned enrolment": math.log(121),
        "primary outcomes": math.log(2),
        "secondary outcomes": math.log(3),
        "sponsor: Industry": 1,
        "sponsor: NIH": 0,
        "collaborator from industry": 1,
        "sex: Female": 1,
        "minimum age": 18,
        "maximum age": 0.5,
        "healthy volunteers": 0,
        "criteria, characters": math.log1p(len(FULL.criteria or "")),
        "criteria, numbers": math.log(2),
        "inclusion criteria": math.log(3),
        "exclusion criteria": math.log(2),
        "title, words": math.log(5),
    }
    assert {name: numbers[name] for name in expected} == pytest.approx(expected)


def test_an_empty_trial_has_no_numbers_at_all():
    numbers = trial_features(Trial())
    assert tuple(numbers) == FEATURE_NAMES == tuple(trial_features(FULL))
    assert all(math.isnan(value) for value in numbers.values())
    assert feature_table([]).shape == (0, len(FEATURE_NAMES))


def test_the_planned_start_is_never_read():
    assert all(math.isnan(value) for value in trial_features(Trial(planned_start="2031")).values())
    assert "2031" not in all_text(Trial(planned_start="2031"))


def test_an_absent_field_is_an_average_one_and_no_flag():
    """A field that is given to half of the trials, at random, with one value: no column is left."""
    X = [Trial(phase="Phase 1", sponsor_class="NIH" if i % 2 else None) for i in range(20)]
    features = fit_features(X, topics=5, seed=0)
    assert features.kept == ()
    assert (np.ptp(features.rows(X), axis=0) == 0).all()


def test_no_age_limit_beside_a_coded_sex_means_every_age():
    numbers = trial_features(Trial(sex="All"))
    assert (numbers["minimum age"], numbers["maximum age"]) == (0, 100)
    assert math.isnan(trial_features(Trial(minimum_age="old"))["minimum age"])


@pytest.mark.parametrize(
    ("phase", "low", "high", "none"),
    [
        ("Early Phase 1", 0.5, 0.5, 0),
        ("Phase 2/Phase 3", 2, 3, 0),
        ("N/A", math.nan, math.nan, 1),
        ("something else", math.nan, math.nan, 1),
    ],
)
def test_phases(phase, low, high, none):
    numbers = trial_features(Trial(phase=phase))
    found = [numbers[f"phase, {which}"] for which in ("lowest", "highest")]
    np.testing.assert_equal([*found, numbers["phase does not apply"]], [low, high, none])


@pytest.mark.parametrize(
    ("code", "chapter"),
    [
        ("A00", "infections"),
        ("C50.911", "neoplasms"),
        ("D49", "neoplasms"),
        ("D50.0", "blood"),
        ("H59.9", "eye"),
        ("H60", "ear"),
        ("O9A.1", "pregnancy"),
        ("T88", "injury"),
        ("z99.2", "health status"),
        ("E90", None),
        ("", None),
    ],
)
def test_chapters_of_icd_10(code, chapter):
    assert icd_chapter(code) == chapter


def test_the_text_holds_every_text_of_the_trial():
    text = all_text(FULL)
    parts = [
        "phase_phase_1_phase_2",
        "icd_J45_909",
        "asthma",
        "Asthma",
        "inhaler",
        "compound",
        "Compounds",
        "score",
        "third",
        "Somebody",
        "Smokers",
    ]
    for part in (*parts, "A longer official title", "A summary.", "once daily", "gets it"):
        assert part in text
    assert all_text(Trial()) == "phase_none"
    assert code_word("phase", "N/A") == "phase_n_a"


def test_a_hidden_field_cannot_be_read():
    everything = tuple(field.name for field in fields(Trial))
    blind = Task("blind", "binary", "?", ("a", "b"), ("No", "Yes"), hidden_fields=everything)
    assert visible_trials(blind, [FULL]) == [Trial()]
    seen = visible_trials(OUTCOME, [FULL])[0]
    assert (seen.planned_enrolment, seen.planned_start) == (None, None)
    assert seen == replace(FULL, planned_enrolment=None, planned_start=None)


def test_the_matrix_is_standardised_and_keeps_gaps():
    X, _ = planted(40)
    features = fit_features(X, topics=5, seed=0)
    rows = features.rows(X)
    assert rows.shape == (40, features.width)
    numbers = rows[:, : len(features.kept)]
    np.testing.assert_allclose(np.nanmean(numbers, axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(np.nanstd(numbers, axis=0), 1)
    assert np.isnan(numbers).any()
    assert not np.isnan(rows[:, len(features.kept) :]).any()
    assert features.rows([]).shape == (0, features.width)
    assert np.isnan(features.rows([Trial()])[0, : len(features.kept)]).all()


def test_the_same_trials_give_the_same_features_and_share_the_work():
    X, _ = planted(30)
    first = fit_features(X, topics=4, seed=0)
    assert fit_features(list(X), topics=4, seed=0) is first
    assert fit_features(X, topics=4, seed=1) is not first
    assert fit_features(X[:-1], topics=4, seed=0) is not first
    assert first.rows(X) is first.rows(list(X))


def test_what_is_remembered_is_bounded():
    made = []
    for i in range(40):
        remembered(("bounded", i), lambda i=i: made.append(i))
    remembered(("bounded", 39), lambda: made.append("again"))
    remembered(("bounded", 0), lambda: made.append("again"))
    assert made == [*range(40), "again"]


def test_features_of_very_few_trials():
    X, _ = planted(2)
    assert fit_features(X, topics=50, seed=0).rows(X).shape[0] == 2
    alike = [Trial(phase="Phase 1", criteria="Adults")] * 3
    assert fit_features(alike, topics=50, seed=0).rows(alike).shape[0] == 3
