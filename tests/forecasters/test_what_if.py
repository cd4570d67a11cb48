"""What-if: variants of a trial side by side, their paired intervals, sweeps."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from llm4top.errors import EditError
from llm4top.forecasters.base_rates import BaseRate
from llm4top.forecasters.bundles.paths import embedded_folder, is_bundle
from llm4top.forecasters.calibration.methods import NoCalibration, make_calibrator
from llm4top.forecasters.calibration.sampled import sampled_probabilities
from llm4top.forecasters.forecast import as_record
from llm4top.forecasters.forecast_format import Forecast, NotApplicable
from llm4top.forecasters.forecaster import Forecaster
from llm4top.forecasters.load import load_forecaster
from llm4top.forecasters.paired_noise import difference_bounds, drawn_probabilities
from llm4top.forecasters.support import Spread, Support
from llm4top.forecasters.support_facts import Learned
from llm4top.forecasters.variants import ASSOCIATIONS, COLUMNS, Difference, rows_of
from llm4top.forecasters.what_if import (
    answer_what_if,
    fields_read,
    sweep,
    sweepable_fields,
    what_if,
)
from llm4top.registry.trial import Trial

TRIAL = Trial(
    phase="Phase 2",
    study_type="Interventional",
    brief_title="Drug A in asthma",
    conditions=("Asthma",),
    masking="Double",
    criteria="Inclusion Criteria:\n- Adults with asthma\nExclusion Criteria:\n- Pregnancy",
)
RNG = np.random.default_rng(1)


@pytest.fixture(scope="module")
def embedded() -> Forecaster:
    if not is_bundle(embedded_folder()):
        pytest.skip("the embedded model has not been made yet")
    return load_forecaster(device="cpu")


@pytest.fixture(scope="module", params=["platt", "venn-abers"])
def calibrated(request: pytest.FixtureRequest):
    rng = np.random.default_rng(0)
    labels = np.arange(300) % 2
    logits = np.zeros((300, 2))
    logits[:, 1] = rng.normal(labels - 0.5, 1.0)
    phases = ["Phase 2" if n % 3 else "Phase 3" for n in range(300)]
    return make_calibrator(request.param).fit(logits, labels, phases)


def test_variants_stand_beside_the_original_with_paired_intervals(embedded: Forecaster) -> None:
    found = what_if(
        embedded,
        TRIAL,
        {
            "phase": ["phase=Phase 3"],
            "condition": ["conditions=Heart Failure", "title=Drug A in heart failure"],
            "masking": ["masking=Open label"],
            "said": ["summary=The primary endpoint was met."],
            "observed": ["study_type=Observational"],
        },
    )
    by_name = {variant.name: variant for variant in found.variants}
    alone = next(iter(embedded.forecast([TRIAL])))
    assert isinstance(alone, Forecast)
    assert isinstance(found.original.forecast, Forecast)
    assert found.original.forecast.probability == pytest.approx(alone.probability, abs=1e-4)
    for variant in (by_name["phase"], by_name["condition"]):
        told = variant.difference
        assert told is not None
        assert told.lower is not None
        assert told.upper is not None
        assert told.lower <= told.value <= told.upper
        # Far narrower than the two intervals side by side.
        assert isinstance(variant.forecast, Forecast)
        widths = variant.forecast.upper - variant.forecast.lower  # type: ignore[operator]
        assert told.upper - told.lower < 1.5 * widths
        assert told.parts == 4
    condition, phase = by_name["condition"].difference, by_name["phase"].difference
    assert condition is not None
    assert phase is not None
    assert condition.upper - condition.lower < phase.upper - phase.lower  # type: ignore[operator]
    assert by_name["masking"].words == "no difference; not read by this model: Masking"
    assert by_name["said"].withheld[0].excerpt == "The primary endpoint was met."
    assert "withheld, because it tells an outcome" in by_name["said"].words
    assert isinstance(by_name["observed"].forecast, NotApplicable)
    assert by_name["observed"].difference is None


def test_the_export_has_the_sentence_about_associations(embedded: Forecaster) -> None:
    found = what_if(embedded, TRIAL, [["phase=Phase 3"]])
    assert found.variants[0].name == "phase=Phase 3"
    values = json.loads(json.dumps(found.to_dict()))
    assert values["notes"][0] == ASSOCIATIONS
    assert values["variants"][0]["edits"] == [
        {"path": "phase", "operation": "set", "value": "Phase 3"}
    ]
    heading, *rows = rows_of(values)
    assert tuple(heading) == COLUMNS
    assert [row[0] for row in rows] == ["as registered", "phase=Phase 3"]
    assert all(row[-1] == ASSOCIATIONS for row in rows)


def test_another_base_rate_moves_the_difference_too(embedded: Forecaster) -> None:
    found = what_if(embedded, TRIAL, [["conditions=Melanoma"]], base_rate=0.05)
    told = found.variants[0].difference
    assert told is not None
    assert told.lower is not None
    assert told.upper is not None
    before = what_if(embedded, TRIAL, [["conditions=Melanoma"]]).variants[0].difference
    assert before is not None
    assert abs(told.value) < abs(before.value)
    assert told.lower <= told.value <= told.upper


def test_a_sweep_has_a_variant_for_each_value(embedded: Forecaster) -> None:
    found = sweep(embedded, TRIAL, "phase", edits=["masking=None"])
    assert found.sweep == "phase"
    assert found.original.name == "as edited"
    assert found.original.trial.masking == "None (Open Label)"
    assert [v.name for v in found.variants][:2] == ["Early Phase 1", "Phase 1"]
    same = next(v for v in found.variants if v.name == "Phase 2")
    assert same.difference is not None
    assert same.difference.value == 0
    sizes = sweep(embedded, TRIAL, "enrollment", [20, 2000])
    assert {v.words for v in sizes.variants} == {
        "no difference; not read by this model: Planned enrolment"
    }


def test_no_field_that_is_said_to_be_unread_moves_a_forecast(embedded: Forecaster) -> None:
    read = fields_read(embedded)
    full = {
        "masking": "Double",
        "allocation": "Randomized",
        "intervention_model": "Parallel Assignment",
        "primary_purpose": "Treatment",
        "number_of_arms": "2",
        "arms": "One; Two",
        "primary_outcomes": "Survival",
        "secondary_outcomes": "Pain",
        "sex": "Female",
        "sponsor_class": "NIH",
        "collaborators": "Somebody",
        "has_dmc": "yes",
        "planned_enrolment": "4000",
        "brief_summary": "A trial of drug A.",
        "detailed_description": "A long text about it.",
        "intervention_mesh": "Aspirin",
        "smiles": "CC",
    }
    assert not read.intersection(full)
    found = sweep(
        embedded, TRIAL, "phase", ["Phase 2"], edits=[f"{n}={v}" for n, v in full.items()]
    )
    (before,) = embedded.forecast([TRIAL])
    after = found.original.forecast
    assert isinstance(before, Forecast)
    assert isinstance(after, Forecast)
    assert after.probability == pytest.approx(before.probability, abs=1e-6)
    assert after.upper == pytest.approx(before.upper, abs=1e-6)
    assert {"minimum_age", "criteria", "phase", "study_type"} <= read


def test_a_sweep_needs_values(embedded: Forecaster) -> None:
    with pytest.raises(EditError, match=r"conditions: it has no list of values.*sweep over one of"):
        sweep(embedded, TRIAL, "conditions")
    with pytest.raises(EditError, match=r"phase: 0 values to sweep over. Give some; 24 are"):
        sweep(embedded, TRIAL, "phase", [])
    assert {"phase", "masking", "minimum_age"} <= {one.name for one in sweepable_fields()}


def test_more_than_six_variants_and_wrong_edits_are_refused(embedded: Forecaster) -> None:
    with pytest.raises(EditError, match="variants: there are 7; 6 are the most"):
        what_if(embedded, TRIAL, [[f"enrollment={n}"] for n in range(7)])
    with pytest.raises(EditError, match="larger, phase: 'x' is not a choice"):
        what_if(embedded, TRIAL, {"larger": ["phase=x"]})


def test_work_on_one_trial_takes_and_gives_json(embedded: Forecaster) -> None:
    record = as_record(TRIAL, 1)
    asked = {"variants": [{"name": "a", "edits": [{"path": "phase", "value": "Phase 3"}]}]}
    answer = json.loads(json.dumps(answer_what_if(embedded, record, asked)))
    assert Trial.from_dict(answer["trial"]) == TRIAL
    assert [v["name"] for v in answer["variants"]] == ["a"]
    with pytest.raises(EditError, match=r"a: two variants have this name. Rename one."):
        answer_what_if(embedded, record, {"variants": 2 * [{"name": "a", "edits": []}]})
    answer = answer_what_if(embedded, record, {"sweep": "sex", "edits": ["phase=Phase 3"]})
    assert [v["name"] for v in answer["variants"]] == ["All", "Female", "Male"]


def test_words_of_a_difference() -> None:
    assert Difference(0.05, 0.02, 0.08).words == "5.0 points higher (+2.0 to +8.0)"
    assert "only 2 of 4 parts of the model move" in Difference(0.05, 0.02, 0.08, 2, 4).words
    assert "all 4 parts of the model move" in Difference(0.05, 0.02, 0.08, 4, 4).words
    assert Difference(-0.05, -0.1, 0.01).words.endswith("cannot be told from noise")
    assert Difference(-0.05, None, None).words.endswith("nothing to tell it from noise")
    assert Difference(0.05, None, None).told_from_noise is None
    assert Difference(0.0, -0.1, 0.1).words == "no difference"


def test_draws_of_a_calibration_have_its_interval(calibrated) -> None:
    logits = np.array([[0.0, 0.8], [0.0, 0.8], [0.0, -0.5]])
    phases = ["Phase 2", "Phase 2", "Phase 2"]
    drawn = sampled_probabilities(calibrated, logits, phases, 400, np.random.default_rng(0))
    assert drawn is not None
    point = calibrated.predict(logits, phases)
    spread = np.quantile(drawn[:, :, 1], [0.025, 0.975], axis=0)
    assert np.abs(spread[0] - point.lower).max() < 0.08
    assert np.abs(spread[1] - point.upper).max() < 0.08
    np.testing.assert_array_equal(drawn[:, 0], drawn[:, 1])
    assert np.allclose(drawn.sum(axis=2), 1)


def test_equal_scores_of_one_phase_differ_by_nothing(calibrated) -> None:
    class Source:
        calibration = calibrated
        support = None
        base_rates = {}  # noqa: RUF012

    trials = [Trial(phase="Phase 2"), Trial(phase="Phase 2"), Trial(phase="Phase 3")]
    logits = np.array([[0.0, 0.8]] * 3)
    drawn = drawn_probabilities(Source(), logits, trials, draws=300)
    assert drawn is not None
    lower, upper = difference_bounds(drawn, np.zeros(2), 1)
    assert lower[0] == upper[0] == 0
    assert lower[1] <= 0 <= upper[1]


def test_without_calibration_there_is_no_interval() -> None:
    logits = np.zeros((1, 2))
    assert sampled_probabilities(NoCalibration(), logits, [None], 10, RNG) is None


def test_platt_of_three_labels_is_drawn_too() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(90) % 3
    logits = rng.normal(size=(90, 3)) + 2 * np.eye(3)[labels]
    platt = make_calibrator("platt").fit(logits, labels, None)
    drawn = sampled_probabilities(platt, logits[:4], None, 50, rng)
    assert drawn is not None
    assert drawn.shape == (50, 4, 3)
    assert np.abs(drawn.mean(axis=0) - platt.predict(logits[:4]).probabilities).max() < 0.1


def test_of_several_labels_the_support_widens_the_draws_of_a_thin_variant() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(90) % 3
    platt = make_calibrator("platt").fit(rng.normal(size=(90, 3)) + np.eye(3)[labels], labels)
    learned = Learned.of([TRIAL] * 30, sections=("phase", "conditions", "criteria"))
    costs = dict.fromkeys((*learned.fields, "thin"), 0.3)
    spread = Spread(known=0.05, unknown=0.1, no_phase=0.1)

    class Source:
        calibration = platt
        support = Support(learned=learned, costs=costs, spread=spread, n=30)
        base_rates = {"all": BaseRate(n=200, shares=(0.2, 0.5, 0.3))}  # noqa: RUF012

    trials = [TRIAL, TRIAL, replace(TRIAL, criteria=None), Trial()]
    logits = np.tile([1.0, 0.0, 0.0], (4, 1))
    drawn = drawn_probabilities(Source(), logits, trials, draws=400)
    assert drawn is not None
    np.testing.assert_allclose(drawn.sum(axis=2), 1)
    np.testing.assert_array_equal(drawn[:, 0], drawn[:, 1])
    assert np.median(drawn[:, 3], axis=0) == pytest.approx([0.2, 0.5, 0.3], abs=0.05)
    lower, upper = difference_bounds(drawn, np.zeros(3), 0)
    assert (upper - lower).tolist() == sorted(upper - lower)
