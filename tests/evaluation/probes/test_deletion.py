"""Deletion curves tell reasons that are true to the model from any others."""

from dataclasses import replace

import pytest

from llm4top.evaluation.probes.deletion import SHARES, deletion_curves
from llm4top.registry.trial import Trial
from tests.forecasters.reasons.test_explain import TRIAL, planted_forecaster


def test_deleting_what_moves_the_forecast_moves_it_further_than_chance():
    told = []
    trials = [TRIAL, replace(TRIAL, phase="Phase 3"), Trial(phase="Phase 2"), TRIAL]
    observational = replace(TRIAL, study_type="Observational")
    found = deletion_curves(
        planted_forecaster(), [*trials, observational], orders=4, on_record=told.append
    )
    assert (found.n, told, found.orders) == (3, [1, 2, 3], 4)
    assert [point.share for point in found.points] == list(SHARES)
    fifth = found.points[1]
    assert fifth.top >= 3
    assert fifth.ratio >= 2
    assert fifth.lower <= fifth.ratio <= fifth.upper
    assert 0 < fifth.top_words < 1
    last = found.points[-1]
    assert last.top >= last.random


def test_no_record_with_enough_pieces_is_an_error():
    with pytest.raises(ValueError, match="no record has a forecast and five pieces"):
        deletion_curves(planted_forecaster(), [Trial(phase="Phase 2")])
