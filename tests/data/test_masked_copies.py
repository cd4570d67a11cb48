"""Copies of trials that lack whole fields: nothing is added, and the seed decides."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm4top.data.masked_copies import AT_RANDOM, GROUPS, PATTERNS, emptied, masked, masked_copies
from llm4top.registry.trial import TRIAL_FIELDS, Arm, Intervention, Outcome, Trial

FULL = Trial(
    phase="Phase 2",
    study_type="Interventional",
    brief_title="A compound in asthma",
    conditions=("asthma",),
    icd_codes=("J45.909",),
    interventions=(Intervention("compound", "Drug"),),
    smiles=("CC",),
    arms=(Arm("compound", "Experimental"),),
    number_of_arms=1,
    masking="Double",
    primary_outcomes=(Outcome("Change from baseline"),),
    criteria="Adults.",
    minimum_age="18 Years",
    sponsor_class="Industry",
    brief_summary="A summary.",
)
EMPTY = {field.name: field.default for field in fields(Trial)}


def kept(trial: Trial) -> set[str]:
    return set(trial.to_dict())


def test_every_field_is_in_one_group():
    listed = [name for group in GROUPS.values() for name in group]
    assert sorted(listed) == sorted(TRIAL_FIELDS)


@given(
    seed=st.integers(0, 99),
    patterns=st.lists(st.sampled_from(list(PATTERNS)), min_size=1, unique=True),
    copies=st.integers(1, 3),
)
def test_a_copy_adds_nothing(seed, patterns, copies):
    trials = [FULL, Trial(phase="Phase 1", criteria="Adults."), Trial()]
    made = masked_copies(trials, seed=seed, patterns=patterns, copies=copies)
    assert made.rows.tolist() == [0, 1, 2] * copies
    assert set(made.patterns) <= set(patterns)
    for copy, row in zip(made.trials, made.rows, strict=True):
        for name in TRIAL_FIELDS:
            assert getattr(copy, name) in (getattr(trials[row], name), EMPTY[name])
    again = masked_copies(trials, seed=seed, patterns=patterns, copies=copies)
    assert again.trials == made.trials


def test_patterns_empty_what_they_name():
    assert masked(FULL, "full") is FULL
    assert kept(FULL) - kept(masked(FULL, "no criteria, no phase")) == {"criteria", "phase"}
    assert kept(masked(FULL, "title, arms and endpoints only")) == {
        *("brief_title", "arms", "number_of_arms", "primary_outcomes")
    }
    assert masked(FULL, "empty") == Trial()
    assert emptied(FULL, ["phase"]).phase is None


def test_at_random_empties_three_groups_of_ten():
    made = masked_copies([FULL] * 2000, seed=1)
    assert set(made.patterns) == {AT_RANDOM}
    for name in ("phase", "criteria", "arms"):
        missing = np.mean([not getattr(copy, name) for copy in made.trials])
        assert missing == pytest.approx(0.3, abs=0.04)


def test_chances_are_kept():
    made = masked_copies([FULL] * 1000, seed=1, patterns={"full": 3, "empty": 1, "no phase": 0})
    assert made.patterns.count("full") == pytest.approx(750, abs=60)
    assert "no phase" not in made.patterns


def test_unknown_patterns_are_named():
    with pytest.raises(ValueError, match="no pattern 'thin'; known: full, no criteria"):
        masked_copies([FULL], seed=0, patterns=["thin"])
    with pytest.raises(ValueError, match="no pattern 'at random'"):
        masked(FULL, AT_RANDOM)
    with pytest.raises(ValueError, match="no pattern has a chance above 0"):
        masked_copies([FULL], seed=0, patterns={"full": 0.0})
