import json
from itertools import pairwise
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from llm4top.errors import CalibrationError
from llm4top.forecasters.calibration.methods import (
    CALIBRATORS,
    NoCalibration,
    calibrator_from_dict,
    cross_calibrate,
    make_calibrator,
)
from llm4top.forecasters.calibration.platt import PlattCalibrator
from llm4top.forecasters.calibration.venn_abers import VennAbersCalibrator
from tests.profiles import examples

FITTED = ("venn-abers", "platt")


def binary_data(n=60, seed=0, slope=1.0):
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=n)
    y = (rng.random(n) < expit(slope * scores + 0.2)).astype(int)
    return np.stack([np.full(n, 3.0), 3.0 + scores], axis=1), y


def many_label_data(n=300, k=3, seed=0):
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n, k)) * 2
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    y = np.array([rng.choice(k, p=row) for row in chances])
    return logits, y


@st.composite
def calibration_sets(draw):
    n = draw(st.integers(20, 45))
    grid = draw(st.sampled_from([2, 5, 40]))
    scores = np.array(draw(st.lists(st.integers(0, grid), min_size=n, max_size=n))) / 3
    y = np.array(draw(st.lists(st.integers(0, 1), min_size=n, max_size=n)))
    y[:5], y[5:10] = 0, 1
    return np.stack([np.zeros(n), scores], axis=1), y


def isotonic_by_brute_force(scores, y, score, label):
    """Vovk's definition, by the library: fit with one more row and read the fit at it."""
    model = IsotonicRegression(y_min=0, y_max=1)
    model.fit(np.append(scores, score), np.append(y, label))
    return model.predict([score])[0]


@examples(25)
@given(calibration_sets())
def test_venn_abers_equals_isotonic_regression_with_the_test_score_added(data):
    logits, y = data
    scores = logits[:, 1]
    tested = np.unique(np.concatenate([scores, scores - 0.1, scores + 0.1]))
    p0, p1 = (
        VennAbersCalibrator()
        .fit(logits, y)
        .multiprobability(np.stack([np.zeros(len(tested)), tested], axis=1))
    )
    for score, lower, upper in zip(tested, p0[:, 0], p1[:, 0], strict=True):
        assert lower == pytest.approx(isotonic_by_brute_force(scores, y, score, 0), abs=1e-12)
        assert upper == pytest.approx(isotonic_by_brute_force(scores, y, score, 1), abs=1e-12)


@pytest.mark.parametrize("method", FITTED)
@examples(25)
@given(data=calibration_sets())
def test_probabilities_lie_in_their_interval_and_rise_with_the_score(method, data):
    tested = np.linspace(-5, 20, 200)
    given_logits = np.stack([np.zeros(200), tested], axis=1)
    result = make_calibrator(method).fit(*data).predict(given_logits)
    event = result.probabilities[:, 1]
    np.testing.assert_allclose(result.probabilities.sum(axis=1), 1, atol=1e-12)
    assert (result.lower >= 0).all()
    assert (result.upper <= 1).all()
    assert (result.lower <= event).all()
    assert (event <= result.upper).all()
    assert (np.diff(event) >= -1e-12).all()
    if method == "venn-abers":
        assert (np.diff(result.lower) >= 0).all()
        assert (np.diff(result.upper) >= 0).all()


@st.composite
def kinds_of_scores(draw):
    """Calibration data with tied scores, scores in clusters, or scores that never meet."""
    kind = draw(st.sampled_from(["tied", "clustered", "continuous"]))
    n = draw(st.integers(20, 120))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    centres = rng.normal(size=draw(st.integers(2, 6))) * 3
    scores = rng.normal(size=n) * 2 if kind == "continuous" else rng.choice(centres, n)
    if kind == "clustered":
        scores = scores + rng.uniform(-1, 1, n) * draw(st.sampled_from([1e-9, 1e-4, 1e-2]))
    y = (rng.random(n) < expit(scores)).astype(int)
    y[:5], y[5:10] = 0, 1
    return np.stack([np.zeros(n), scores], axis=1), y


def exact_pair(scores, y, score):
    """Vovk's pair at a score, by the max-min formula of isotonic regression.

    Its value at a point is the largest over all starts, up to the point, of the smallest mean over
    all ends, from the point on; the added trial stands at the point itself.
    """
    distinct = np.unique(np.append(scores, score))
    at = int(np.searchsorted(distinct, score))
    place = np.searchsorted(distinct, scores)
    pair = []
    for label in (0, 1):
        rows = np.bincount(place, minlength=len(distinct)).astype(float)
        events = np.bincount(place[y == 1], minlength=len(distinct)).astype(float)
        rows[at] += 1
        events[at] += label
        starts = [np.append(0, np.cumsum(part)) for part in (rows, events)]
        means = [
            (starts[1][at + 1 :] - starts[1][first]) / (starts[0][at + 1 :] - starts[0][first])
            for first in range(at + 1)
        ]
        pair.append(max(mean.min() for mean in means))
    return pair


def told(p0, p1):
    return p1 / (1 - p0 + p1)


@examples(40)
@given(kinds_of_scores())
def test_what_is_reported_is_within_the_exact_pairs_of_the_trials_nearest_in_score(data):
    logits, y = data
    scores = logits[:, 1]
    calibrator = VennAbersCalibrator().fit(logits, y)
    found = calibrator.predict(logits)
    pairs = {score: exact_pair(scores, y, score) for score in np.unique(scores)}
    reach = 0.05 * scores.std() / 2
    for score, event, lower, upper in zip(
        scores, found.probabilities[:, 1], found.lower, found.upper, strict=True
    ):
        near = [pair for other, pair in pairs.items() if abs(other - score) <= reach]
        low0, low1 = np.min(near, axis=0)
        high0, high1 = np.max(near, axis=0)
        assert told(low0, low1) - 1e-9 <= event <= told(high0, high1) + 1e-9
        assert lower <= high0 + 1e-9
        assert upper >= low1 - 1e-9
        if len(near) == 1:
            assert event == pytest.approx(told(low0, low1), abs=1e-9)


@pytest.mark.parametrize("spread", [0.0, 1e-9, 1e-3, 0.2])
def test_clusters_of_scores_keep_their_own_chances_whatever_the_window(spread):
    # The case of 98 of 100 at one score and 4 of 100 at another, and clusters in their place.
    rng = np.random.default_rng(0)
    scores = np.repeat([5.0, -5.0], 100) + spread * rng.uniform(-0.5, 0.5, 200)
    y = np.concatenate([np.arange(100) < 98, np.arange(100) < 4]).astype(int)
    y = np.concatenate([rng.permutation(y[:100]), rng.permutation(y[100:])])
    logits = np.stack([np.zeros(200), scores], axis=1)
    calibrator = VennAbersCalibrator().fit(logits, y)
    middle = np.array([[0.0, 5.0], [0.0, -5.0]])
    result = calibrator.predict(middle)
    exact = [told(*exact_pair(scores, y, score)) for score in (5.0, -5.0)]
    np.testing.assert_allclose(result.probabilities[:, 1], exact, atol=0.02)
    np.testing.assert_allclose(exact, [0.971, 0.049], atol=0.03)
    p0, p1 = calibrator.multiprobability(middle)
    assert (result.lower <= p0[:, 0] + 1e-9).all()
    assert (result.upper >= p1[:, 0] - 1e-9).all()
    # Of all trials, edges of a cluster included.
    errors = (calibrator.predict(logits).probabilities[:, 1] - y) ** 2
    assert errors.mean() < 0.032


@examples(25)
@given(calibration_sets(), st.sampled_from([1e-6, -1e-6]))
def test_a_rounding_difference_cannot_jump_a_step(data, noise):
    # The calibration trials themselves stand right on the steps.
    logits, y = data
    if np.ptp(logits[:, 1]) == 0:
        return
    calibrator = VennAbersCalibrator().fit(logits, y)
    before = calibrator.predict(logits)
    after = calibrator.predict(logits + np.array([0.0, noise]))
    # No step is higher than 1, and each is climbed over half a window or half a gap of 1/3.
    window = calibrator.to_dict()["columns"][0]["window"]
    bound = 2 * abs(noise) / min(window / 2, 1 / 6)
    np.testing.assert_allclose(before.probabilities, after.probabilities, atol=2 * bound)
    np.testing.assert_allclose(before.lower, after.lower, atol=bound)
    np.testing.assert_allclose(before.upper, after.upper, atol=bound)


def test_venn_abers_never_says_impossible_or_certain():
    # Perfectly separated: plain isotonic regression would say 0 and 1.
    logits = np.stack([np.zeros(40), np.arange(40.0)], axis=1)
    result = VennAbersCalibrator().fit(logits, np.repeat([0, 1], 20)).predict(logits)
    assert result.probabilities.min() > 0.02
    assert result.probabilities.max() < 0.98


def test_platt_equals_logistic_regression_towards_platts_targets():
    logits, y = binary_data(80)
    scores = logits[:, 1] - logits[:, 0]
    events, misses = y.sum(), (1 - y).sum()
    target = np.where(y == 1, (events + 1) / (events + 2), 1 / (misses + 2))
    reference = LogisticRegression(C=np.inf, tol=1e-12, max_iter=1000).fit(
        np.tile(scores, 2)[:, None],
        np.repeat([1, 0], 80),
        sample_weight=np.concatenate([target, 1 - target]),
    )
    expected = reference.predict_proba(scores[:, None])[:, 1]
    result = PlattCalibrator().fit(logits, y).predict(logits)
    np.testing.assert_allclose(result.probabilities[:, 1], expected, atol=1e-5)


def test_platt_stays_finite_where_the_scores_separate_the_labels():
    logits = np.stack([np.zeros(40), np.repeat([-1e4, 1e4], 20)], axis=1)
    result = PlattCalibrator().fit(logits, np.repeat([0, 1], 20)).predict(logits)
    np.testing.assert_allclose(
        result.probabilities[:, 1], np.repeat([1 / 22, 21 / 22], 20), rtol=1e-4
    )


@pytest.mark.parametrize("scores", [np.linspace(1, 0, 40), np.full(40, 0.3)])
def test_platt_gives_the_base_rate_where_scores_say_nothing_or_the_opposite(scores):
    logits = np.stack([np.zeros(40), scores], axis=1)
    y = np.repeat([0, 1], [10, 30])
    result = PlattCalibrator().fit(logits, y).predict(logits)
    mean_target = (30 * 31 / 32 + 10 * 1 / 12) / 40
    np.testing.assert_allclose(result.probabilities[:, 1], mean_target, atol=1e-9)
    assert (result.lower < 0.73).all()
    assert (result.upper > 0.73).all()


def coverage(method, repeats, n=300):
    """Share of scores whose true chance lies in the interval; the truth is a logistic curve."""
    held = []
    for seed in range(repeats):
        logits, y = binary_data(n, seed=seed, slope=0.8)
        tested, _ = binary_data(300, seed=seed + 10_000)
        truth = expit(0.8 * (tested[:, 1] - tested[:, 0]) + 0.2)
        result = make_calibrator(method).fit(logits, y).predict(tested)
        held.append(np.mean((result.lower <= truth) & (truth <= result.upper)))
    return np.mean(held)


@pytest.mark.parametrize(("method", "repeats"), [("platt", 60), ("venn-abers", 15)])
def test_the_interval_holds_the_true_chance_about_as_often_as_it_says(method, repeats):
    assert 0.9 <= coverage(method, repeats) <= 1.0


def test_vector_scaling_mends_overconfidence_and_keeps_what_is_right():
    logits, y = many_label_data(2000)
    right = PlattCalibrator().fit(logits, y).predict(logits).probabilities
    mended = PlattCalibrator().fit(logits * 5, y).predict(logits * 5).probabilities
    truth = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert np.abs(right - truth).mean() < 0.03
    assert np.abs(mended - truth).mean() < 0.03


@pytest.mark.parametrize("method", FITTED)
@pytest.mark.parametrize("k", [3, 5])
def test_many_labels_sum_to_one_and_bound_the_predicted_label(method, k):
    logits, y = many_label_data(k=k)
    result = make_calibrator(method).fit(logits, y).predict(logits)
    assert result.probabilities.shape == (300, k)
    np.testing.assert_allclose(result.probabilities.sum(axis=1), 1, atol=1e-12)
    best = result.probabilities.max(axis=1)
    np.testing.assert_array_equal(result.reported, result.probabilities.argmax(axis=1))
    assert (result.lower <= best).all()
    assert (best <= result.upper).all()


@pytest.mark.parametrize("method", [*FITTED, "none"])
@pytest.mark.parametrize("k", [2, 3])
def test_a_shift_common_to_all_logits_changes_nothing(method, k):
    logits, y = many_label_data(k=k) if k > 2 else binary_data()
    calibrator = make_calibrator(method).fit(logits, y)
    shifted = logits + np.linspace(-50, 50, len(logits))[:, None]
    np.testing.assert_allclose(
        calibrator.predict(logits).probabilities,
        calibrator.predict(shifted).probabilities,
        atol=1e-9,
    )


@pytest.mark.parametrize("method", [*FITTED, "none"])
@pytest.mark.parametrize("k", [2, 3])
def test_a_calibration_survives_json_exactly(method, k):
    logits, y = many_label_data(k=k) if k > 2 else binary_data()
    calibrator = make_calibrator(method).fit(logits, y)
    back = calibrator_from_dict(json.loads(json.dumps(calibrator.to_dict(), allow_nan=False)))
    before, after = calibrator.predict(logits), back.predict(logits)
    np.testing.assert_array_equal(before.probabilities, after.probabilities)
    np.testing.assert_array_equal(before.lower, after.lower)
    np.testing.assert_array_equal(before.upper, after.upper)


def test_no_calibration_is_the_softmax_without_an_interval():
    calibrator = NoCalibration().fit([], [])
    result = calibrator.predict([[0.0, np.log(3.0)]])
    np.testing.assert_allclose(result.probabilities, [[0.25, 0.75]])
    assert np.isnan(result.lower).all()
    assert np.isnan(result.upper).all()


GOOD, LABELS = binary_data(40, seed=3)


@pytest.mark.parametrize("method", FITTED)
@pytest.mark.parametrize(
    ("logits", "y", "message"),
    [
        (GOOD[:19], LABELS[:19], "19 rows are too few to calibrate on: 20 are the least"),
        (GOOD, np.zeros(40, int), "label 1 is absent"),
        (GOOD, np.arange(40) < 4, "label 1 has 4 rows in the calibration data: 5 are the least"),
        (GOOD, LABELS[:39], "40 rows of answer logits and 39 labels differ in length"),
        (GOOD, np.full(40, 2), "labels must be whole numbers from 0 to 1"),
        (GOOD, np.full(40, "success"), "labels must be whole numbers from 0 to 1"),
        (GOOD[:, :1], LABELS, r"have the shape \[40, 1\], not \[trials, labels\]"),
        (GOOD * np.nan, LABELS, "the answer logits of row 0 are not finite"),
        (np.where(np.arange(40)[:, None] == 7, np.inf, GOOD), LABELS, "row 7 are not finite"),
    ],
)
def test_data_that_cannot_support_a_calibration_are_refused_by_name(method, logits, y, message):
    with pytest.raises(CalibrationError, match=message):
        make_calibrator(method).fit(logits, y)


@pytest.mark.parametrize("method", FITTED)
def test_predictions_that_cannot_be_made_are_refused(method):
    with pytest.raises(CalibrationError, match="has not been fitted"):
        make_calibrator(method).predict(GOOD)
    with pytest.raises(CalibrationError, match="has not been fitted"):
        make_calibrator(method).to_dict()
    calibrator = make_calibrator(method).fit(GOOD, LABELS)
    with pytest.raises(CalibrationError, match="about 3 labels, the calibration about 2"):
        calibrator.predict(np.zeros((4, 3)))
    with pytest.raises(CalibrationError, match="row 1 are not finite"):
        calibrator.predict([[0.0, 1.0], [np.nan, 1.0]])


def test_an_unknown_method_is_refused_with_the_known_ones():
    with pytest.raises(CalibrationError, match="Known calibrations: venn-abers, platt, none"):
        make_calibrator("isotonic")
    with pytest.raises(CalibrationError, match="its method is 'isotonic'"):
        calibrator_from_dict({"method": "isotonic"})
    with pytest.raises(CalibrationError, match="its method is None"):
        calibrator_from_dict({})


def venn_abers_state(**changes):
    state = VennAbersCalibrator().fit(GOOD, LABELS).to_dict()
    state["columns"][0]["pair"].update(changes)
    return state


def platt_state(**changes):
    return {**PlattCalibrator().fit(GOOD, LABELS).to_dict(), **changes}


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (venn_abers_state(values0=[2.0], breaks0=[0.0]), "not within 0 and 1"),
        (venn_abers_state(values0=[0.5, 0.4], breaks0=[0.0, 1.0]), "steps do not rise"),
        (venn_abers_state(values0=[0.5], breaks0=[0.0, 1.0]), "differ in number"),
        (venn_abers_state(values0=[0.9], breaks0=[-9.0]), "lower probability exceeds its upper"),
        (venn_abers_state(values0=[float("nan")], breaks0=[0.0]), "of its fields are wrong"),
        (venn_abers_state(code="print()"), "of its fields are wrong"),
        ({"method": "venn-abers", "n": 20, "columns": []}, "fits no number of labels"),
        (platt_state(theta=[1.0]), "do not fit its number of labels"),
        (platt_state(n_labels=3), "do not fit its number of labels"),
        (platt_state(theta=[-1.0, 0.0]), "slope or scale is negative"),
        (platt_state(covariance=[[1.0, 2.0], [0.0, 1.0]]), "not symmetric"),
        (platt_state(covariance=[[1.0, 2.0], [2.0, 1.0]]), "negative variances"),
        (platt_state(theta=[float("inf"), 0.0]), "of its fields are wrong"),
        ({"method": "none", "n": 3}, "more than its name"),
    ],
)
def test_a_stored_calibration_that_contradicts_itself_is_refused(state, reason):
    with pytest.raises(CalibrationError, match=reason):
        calibrator_from_dict(state)


def test_a_window_that_is_no_width_is_refused():
    for window in (-1.0, float("nan"), None):
        state = VennAbersCalibrator().fit(GOOD, LABELS).to_dict()
        state["columns"][0]["window"] = window
        with pytest.raises(CalibrationError, match="of its fields are wrong"):
            calibrator_from_dict(state)


def test_a_calibration_stored_without_its_scores_still_loads():
    logits = np.stack([np.zeros(200), np.repeat([-5.0, 5.0], 100)], axis=1)
    y = np.concatenate([np.arange(100) < 4, np.arange(100) < 98]).astype(int)
    calibrator = VennAbersCalibrator().fit(logits, y)
    state = calibrator.to_dict()
    for column in state["columns"]:
        del column["points"], column["rows"]
    before, after = calibrator.predict(logits), calibrator_from_dict(state).predict(logits)
    np.testing.assert_allclose(after.probabilities, before.probabilities, atol=1e-12)
    np.testing.assert_allclose(after.lower, before.lower, atol=1e-12)


@pytest.mark.parametrize(
    "wrong", [{"points": [1.0, 0.0], "rows": [1, 1]}, {"points": [0.0, 1.0], "rows": [1]}]
)
def test_scores_that_are_not_in_order_are_refused(wrong):
    state = VennAbersCalibrator().fit(GOOD, LABELS).to_dict()
    state["columns"][0].update(wrong)
    with pytest.raises(CalibrationError, match="its scores do not rise"):
        calibrator_from_dict(state)


def test_an_interval_that_does_not_hold_its_probabilities_is_refused():
    state = VennAbersCalibrator().fit(GOOD, LABELS).to_dict()
    state["columns"][0]["interval"].update(
        breaks0=[99.0], values0=[0.1], breaks1=[9.0], values1=[0.2]
    )
    with pytest.raises(CalibrationError, match="does not hold its probabilities"):
        calibrator_from_dict(state)


class Watched(NoCalibration):
    """Notes which rows each fit and each prediction has seen."""

    seen: ClassVar[list[tuple[set, set]]] = []

    def fit(self, logits, y, phases=None):
        self.rows = set(logits[:, 1].tolist())
        return self

    def predict(self, logits, phases=None):
        self.seen.append((self.rows, set(logits[:, 1].tolist())))
        return super().predict(logits)


def test_cross_calibration_never_shows_a_fit_its_own_rows():
    logits, y = binary_data(100)
    cross_calibrate(Watched(), logits, y, folds=4)
    everything = set(logits[:, 1].tolist())
    assert len(Watched.seen) == 4
    for fitted, predicted in Watched.seen:
        assert not fitted & predicted
        assert fitted | predicted == everything
    assert set.union(*(predicted for _, predicted in Watched.seen)) == everything


@pytest.mark.parametrize("method", CALIBRATORS)
def test_cross_calibration_repeats_itself_and_leaves_the_calibrator_alone(method):
    logits, y = binary_data(100)
    calibrator = make_calibrator(method)
    result = cross_calibrate(calibrator, logits, y, seed=1)
    again = cross_calibrate(calibrator, logits, y, seed=1)
    np.testing.assert_array_equal(result.probabilities, again.probabilities)
    assert result.probabilities.shape == (100, 2)
    if method != "none":
        with pytest.raises(CalibrationError, match="has not been fitted"):
            calibrator.predict(logits)


def test_cross_calibrated_figures_do_not_flatter_themselves():
    rng = np.random.default_rng(5)
    logits = np.stack([np.zeros(400), rng.normal(size=400)], axis=1)
    y = rng.integers(0, 2, 400)

    def log_loss(result):
        return -np.log(result.probabilities[np.arange(400), y]).mean()

    own = log_loss(VennAbersCalibrator().fit(logits, y).predict(logits))
    crossed = log_loss(cross_calibrate(VennAbersCalibrator(), logits, y))
    # The scores say nothing: honest figures cannot beat the coin.
    assert own < np.log(2)
    assert crossed > np.log(2) - 0.005


def test_cross_calibration_refuses_folds_that_cannot_be_drawn():
    logits, y = binary_data(60)
    with pytest.raises(CalibrationError, match="1 folds cannot be drawn"):
        cross_calibrate(PlattCalibrator(), logits, y, folds=1)
    rare = (np.arange(60) < 6).astype(int)
    with pytest.raises(CalibrationError, match="7 folds cannot be drawn: the rarest label has 6"):
        cross_calibrate(PlattCalibrator(), logits, rare, folds=7)
    with pytest.raises(CalibrationError, match="label 1 has 4 rows"):
        cross_calibrate(PlattCalibrator(), logits, rare, folds=3)


def test_the_stored_steps_hold_no_row_of_the_data():
    state = VennAbersCalibrator().fit(GOOD, LABELS).to_dict()
    pair = state["columns"][0]["pair"]
    assert len(pair["breaks0"]) < 40
    assert all(a < b for a, b in pairwise(pair["values0"]))
