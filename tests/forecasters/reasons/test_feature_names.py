"""Features in plain words: no code and no logarithm reaches a person."""

import math

import pytest

from llm4top.forecasters.baselines.features import code_word
from llm4top.forecasters.baselines.structured import FEATURE_NAMES, structured_features
from llm4top.forecasters.reasons.feature_names import (
    NOT_STATED,
    number_name,
    number_value,
    word_name,
)
from llm4top.registry.areas import CHAPTERS
from llm4top.registry.codes import PHASES
from llm4top.registry.trial import Intervention, Trial

TRIAL = Trial(
    phase="Phase 2/Phase 3",
    conditions=("asthma", "gout"),
    interventions=(Intervention("exemplamab", "Drug"),),
    criteria="Inclusion: adults of 21 years, on placebo. Exclusion: ECOG > 2",
    masking="Double",
    planned_enrolment=1200,
)


@pytest.mark.parametrize(
    ("term", "name"),
    [
        ("two weeks", "“two weeks”"),
        ("fev_1", "“fev_1”"),
        ("phase_phase_2_phase_3", "Phase 2/Phase 3"),
        ("phase_none", "no phase stated"),
        ("icd_e11_21", "ICD code E11.21"),
        ("icd_g20 icd_g92_03", "ICD code G20 before ICD code G92.03"),
        ("category_c4a", "ICD category C4A"),
        ("placebo icd_e78_01", "“placebo” before ICD code E78.01"),
    ],
)
def test_words_and_codes(term, name):
    assert word_name(term) == name


def test_every_coded_word_is_named():
    words = [code_word("phase", phase) for phase in PHASES.values()]
    words += [code_word("chapter", name) for name in CHAPTERS]
    assert not any("_" in word_name(word) for word in words)


@pytest.mark.parametrize(
    ("name", "words", "value"),
    [
        ("phase, lowest", "lowest phase", "Phase 2"),
        ("parties masked", "masking", "double"),
        ("conditions", "number of conditions", "2"),
        ("planned enrolment", "planned enrolment", "1\u202f200"),
        ("youngest age", "youngest age named", "21 years"),
        ("criteria mention: placebo", "the criteria mention placebo", "yes"),
        ("criteria mention: HIV", "the criteria mention HIV", "no"),
        ("criteria, words of exclusion", "words of exclusion in the criteria", "3"),
        ("drugs mention: antibody", "an antibody (-mab) among the interventions", "yes"),
        ("sponsor: Industry", "sponsor: Industry", NOT_STATED),
        ("interventions: Drug", "interventions of the type Drug", "1"),
    ],
)
def test_numbers(name, words, value):
    assert number_name(name) == words
    assert number_value(name, structured_features(TRIAL)[name]) == value


def test_every_number_has_a_name_of_its_own_and_a_value():
    names = [number_name(name) for name in FEATURE_NAMES]
    assert len(set(names)) == len(names)
    numbers = structured_features(TRIAL)
    for name in FEATURE_NAMES:
        assert number_value(name, numbers[name])
        assert number_value(name, math.nan) == NOT_STATED
