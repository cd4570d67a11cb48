"""What sections of a draft cost in width: those it has, and those it lacks."""

from __future__ import annotations

import pytest

from llm4top.data.masked_copies import GROUPS, emptied
from llm4top.forecasters.load import load_forecaster
from llm4top.forecasters.section_costs import SectionCost, section_costs
from llm4top.registry.trial import Intervention, Trial

pytestmark = pytest.mark.slow

TRIAL = Trial(
    phase="Phase 2",
    brief_title="Exemplamab in adults with moderate asthma",
    conditions=("Asthma",),
    interventions=(Intervention("Exemplamab", "Drug"),),
    criteria="Inclusion Criteria:\n- Adults with asthma\nExclusion Criteria:\n- Current smoker",
)


def test_costs_are_those_of_the_interval() -> None:
    forecaster = load_forecaster("embedded")
    found = section_costs(forecaster, TRIAL)
    assert found is not None
    copies = [TRIAL, emptied(TRIAL, GROUPS["criteria"])]
    expected = forecaster.calibrated(copies)
    assert (found.lower, found.upper) == pytest.approx((expected.lower[0], expected.upper[0]))
    by_name = {item.section: item for item in found.sections}
    assert list(by_name) == list(GROUPS)
    widths = expected.upper - expected.lower
    criteria = by_name["criteria"]
    assert (criteria.given, criteria.lacking) == pytest.approx(tuple(widths), rel=1e-4)
    assert criteria.filled
    sponsor = by_name["sponsor"]
    assert (sponsor.filled, sponsor.cost) == (False, 0.0)


def test_a_missing_section_costs_what_the_support_adds_for_it() -> None:
    forecaster = load_forecaster("embedded")
    thin = emptied(TRIAL, ("criteria", "phase"))
    found = section_costs(forecaster, thin)
    assert found is not None
    by_name = {item.section: item for item in found.sections}
    for name in ("criteria", "phase"):
        assert not by_name[name].filled
        assert by_name[name].cost > 0
        assert by_name[name].lacking == pytest.approx(found.upper - found.lower)
    assert "no eligibility criteria and no phase" in (found.note or "")


def test_what_has_no_forecast_has_no_costs() -> None:
    forecaster = load_forecaster("embedded")
    observational = Trial(study_type="Observational", brief_title="A registry of asthma")
    assert section_costs(forecaster, observational) is None


@pytest.mark.parametrize(
    ("cost", "words"),
    [
        (SectionCost("arms", False, False, 0.3, 0.3), "not read by this model"),
        (SectionCost("design", True, False, 0.6, 0.3), "30 points narrower without it"),
        (SectionCost("arms", True, True, 0.3, 0.3), "as wide without it"),
        (SectionCost("arms", True, True, 0.3, 0.31), "1 point wider without it"),
        (SectionCost("arms", True, True, 0.3, 0.25), "5 points narrower without it"),
        (SectionCost("arms", False, True, 0.3, 0.42), "missing it costs 12 points"),
        (SectionCost("arms", False, True, 0.3, 0.3), "its absence does not widen the interval"),
    ],
)
def test_words(cost: SectionCost, words: str) -> None:
    assert cost.words == words
