import json

import numpy as np
import pytest
from scipy.special import expit, logit

from llm4top.errors import CalibrationError
from llm4top.forecasters.calibration.methods import (
    calibrator_from_dict,
    cross_calibrate,
    make_calibrator,
)
from llm4top.forecasters.calibration.phase_offsets import PRIOR_TRIALS, PhaseOffsets

FITTED = ("venn-abers", "platt")
TRUE_OFFSETS = {"Phase 1": 0.2, "Phase 2": -0.8, "Phase 3": 0.9}


def blind_model(n=1500, seed=0, offsets=TRUE_OFFSETS):
    """Scores of a model that reads everything but the phase."""
    rng = np.random.default_rng(seed)
    phases = rng.choice(list(offsets), n).tolist()
    scores = rng.normal(size=n)
    chances = expit(scores + np.array([offsets[phase] for phase in phases]))
    return np.stack([np.zeros(n), scores], axis=1), (rng.random(n) < chances).astype(int), phases


def intercept(event, y):
    """How far the log-odds are off in the large, by a search on the definition."""
    tested = np.linspace(-2, 2, 4001)
    expected = expit(logit(event)[:, None] + tested).sum(axis=0)
    return tested[np.abs(expected - y.sum()).argmin()]


@pytest.mark.slow
@pytest.mark.parametrize("method", FITTED)
def test_a_model_that_is_blind_to_the_phase_is_calibrated_in_each_phase(method):
    logits, y, phases = blind_model()
    names = np.array(phases)
    pooled = cross_calibrate(make_calibrator(method), logits, y).probabilities[:, 1]
    by_phase = cross_calibrate(make_calibrator(method), logits, y, phases).probabilities[:, 1]
    for phase, offset in TRUE_OFFSETS.items():
        rows = names == phase
        if abs(offset) > 0.5:
            assert abs(intercept(pooled[rows], y[rows])) > 0.4
        assert abs(intercept(by_phase[rows], y[rows])) < 0.15


@pytest.mark.parametrize(("method", "repeats"), [("platt", 30), ("venn-abers", 6)])
def test_the_interval_holds_the_true_chance_in_every_phase(method, repeats):
    held = []
    for seed in range(repeats):
        logits, y, phases = blind_model(300, seed=seed)
        tested, _, of = blind_model(300, seed=1000 + seed)
        truth = expit(tested[:, 1] + np.array([TRUE_OFFSETS[phase] for phase in of]))
        result = make_calibrator(method).fit(logits, y, phases).predict(tested, of)
        held.append(np.mean((result.lower <= truth) & (truth <= result.upper)))
    assert 0.88 <= np.mean(held) <= 1


def test_offsets_are_those_of_the_truth():
    logits, y, phases = blind_model(6000)
    fitted = PhaseOffsets.fit(logits, y, phases)
    found = {name: row[1] - row[0] for name, row in fitted.offsets.items()}
    mean = np.mean(list(TRUE_OFFSETS.values()))
    for phase, offset in TRUE_OFFSETS.items():
        assert found[phase] == pytest.approx(offset - mean, abs=0.12)
    assert fitted.slope == pytest.approx(1, abs=0.1)


def test_a_phase_of_as_many_trials_as_the_prior_is_worth_gets_two_thirds_beside_one_other():
    # Scores say nothing, half of all trials have the event, and phase 3 has it a little oftener.
    n, own = 20_000, PRIOR_TRIALS
    phases = ["Phase 2"] * n + ["Phase 3"] * own
    y = np.array([0, 1] * (n // 2) + [1] * 14 + [0] * (own - 14))
    fitted = PhaseOffsets.fit(np.zeros((n + own, 2)), y, phases)
    apart = [fitted.offsets[p][1] - fitted.offsets[p][0] for p in ("Phase 2", "Phase 3")]
    assert apart[1] - apart[0] == pytest.approx(logit(14 / own) * 2 / 3, rel=0.02)


def test_a_combined_phase_is_corrected_by_its_parts_and_its_own_trials():
    logits, y, phases = blind_model()
    fitted = PhaseOffsets.fit(logits, y, phases)
    zero = np.zeros((1, 2))
    single = {p: fitted.apply(zero, [p]) for p in TRUE_OFFSETS}
    new = fitted.apply(zero, ["Phase 2/Phase 3"])
    np.testing.assert_allclose(new, (single["Phase 2"] + single["Phase 3"]) / 2, atol=1e-12)
    both = {**TRUE_OFFSETS, "Phase 2/Phase 3": -1.5}
    logits, y, phases = blind_model(4000, offsets=both)
    fitted = PhaseOffsets.fit(logits, y, phases)
    gaps = {p: np.diff(fitted.apply(zero, [p]))[0, 0] for p in both}
    assert gaps["Phase 2/Phase 3"] < gaps["Phase 2"] < gaps["Phase 3"]


@pytest.mark.parametrize("method", FITTED)
def test_a_phase_that_is_unknown_or_absent_is_calibrated_as_all_together(method):
    logits, y, phases = blind_model(400)
    calibrator = make_calibrator(method).fit(logits, y, phases)
    tested = np.stack([np.zeros(9), np.linspace(-2, 2, 9)], axis=1)
    without = calibrator.predict(tested).probabilities
    for phase in (None, "N/A", "Phase 4", ""):
        found = calibrator.predict(tested, [phase] * 9).probabilities
        np.testing.assert_array_equal(found, without)
    low, high = (calibrator.predict(tested, [p] * 9).probabilities for p in ("Phase 2", "Phase 3"))
    assert (low[1:-1, 1] < without[1:-1, 1]).all()
    assert (without[1:-1, 1] < high[1:-1, 1]).all()


@pytest.mark.parametrize("method", FITTED)
@pytest.mark.parametrize("phases", [[None] * 60, ["Phase 2"] * 60])
def test_trials_of_one_phase_are_calibrated_as_without_phases(method, phases):
    logits, y, _ = blind_model(60)
    plain = make_calibrator(method).fit(logits, y)
    told = make_calibrator(method).fit(logits, y, phases)
    assert told.to_dict() == plain.to_dict()
    np.testing.assert_array_equal(
        told.predict(logits, phases).probabilities, plain.predict(logits).probabilities
    )


@pytest.mark.parametrize("method", FITTED)
@pytest.mark.parametrize("k", [2, 4])
def test_a_calibration_with_phases_survives_json_exactly(method, k):
    rng = np.random.default_rng(3)
    logits, y = rng.normal(size=(200, k)), rng.integers(0, k, 200)
    phases = rng.choice(["Phase 1", "Phase 1/Phase 2", "Phase 3"], 200).tolist()
    calibrator = make_calibrator(method).fit(logits, y, phases)
    back = calibrator_from_dict(json.loads(json.dumps(calibrator.to_dict(), allow_nan=False)))
    before, after = calibrator.predict(logits, phases), back.predict(logits, phases)
    np.testing.assert_array_equal(before.probabilities, after.probabilities)
    np.testing.assert_allclose(before.probabilities.sum(axis=1), 1, atol=1e-12)
    np.testing.assert_array_equal(before.lower, after.lower)


@pytest.mark.parametrize("method", FITTED)
def test_a_state_without_phases_still_loads(method):
    logits, y, _ = blind_model(60)
    calibrator = make_calibrator(method).fit(logits, y)
    state = calibrator.to_dict()
    state.pop("phases")
    np.testing.assert_array_equal(
        calibrator_from_dict(state).predict(logits, ["Phase 2"] * 60).probabilities,
        calibrator.predict(logits).probabilities,
    )


def test_scores_that_rank_worse_than_chance_leave_the_phase_alone_to_speak():
    logits, y, phases = blind_model()
    fitted = PhaseOffsets.fit(-logits, y, phases)
    assert fitted.slope == 0
    assert fitted.offsets["Phase 2"][1] < fitted.offsets["Phase 3"][1]


def test_scores_that_separate_the_labels_keep_finite_offsets():
    scores = np.repeat([-1e4, 1e4], 20)
    logits = np.stack([np.zeros(40), scores], axis=1)
    phases = ["Phase 2", "Phase 3"] * 20
    y = np.repeat([0, 1], 20)
    result = make_calibrator().fit(logits, y, phases).predict(logits, phases)
    assert np.isfinite(result.probabilities).all()
    assert (result.probabilities[20:, 1] > 0.9).all()


@pytest.mark.parametrize("method", [*FITTED, "none"])
def test_another_number_of_phases_is_refused(method):
    logits, y, phases = blind_model(60)
    with pytest.raises(CalibrationError, match="60 rows of answer logits and 59 phases differ"):
        make_calibrator(method).fit(logits, y).predict(logits, phases[:59])
    if method != "none":
        with pytest.raises(CalibrationError, match="60 rows of answer logits and 59 phases"):
            make_calibrator(method).fit(logits, y, phases[:59])


@pytest.mark.parametrize("method", FITTED)
@pytest.mark.parametrize(
    ("offsets", "reason"),
    [
        ({"Phase 2": [0.0, 0.1, 0.2]}, "its phases are about another number of labels"),
        ({"Phase 2": [0.0, 0.1], "Phase 3": [0.0]}, "fields are wrong"),
        ({}, "fields are wrong"),
    ],
)
def test_phases_that_contradict_the_calibration_are_refused(method, offsets, reason):
    logits, y, phases = blind_model(60)
    state = make_calibrator(method).fit(logits, y, phases).to_dict()
    state["phases"]["offsets"] = offsets
    with pytest.raises(CalibrationError, match=reason):
        calibrator_from_dict(state)
