from dataclasses import replace

import numpy as np
import pytest
from scipy.special import logit

from llm4top.errors import BundleError, TamperedBundleError
from llm4top.forecasters.base_rates import BaseRate
from llm4top.forecasters.baselines.simple import TfidfForecaster
from llm4top.forecasters.calibration.calibrated import Calibrated
from llm4top.forecasters.forecast_format import Forecast, NotApplicable
from llm4top.forecasters.forecaster import as_forecaster
from llm4top.forecasters.load import load_forecaster
from llm4top.forecasters.support import KIND_SHARES, Spread, Support
from llm4top.forecasters.support_facts import Learned
from llm4top.registry.trial import Intervention, Trial

CRITERIA = (
    "Inclusion Criteria:\n- adults with severe asthma\n- written consent of the patient\n"
    "Exclusion Criteria:\n- pregnancy or lactation\n- known allergy to the study medicine"
)
TYPICAL = Trial(
    phase="Phase 2",
    conditions=("severe asthma",),
    interventions=(Intervention("study medicine"),),
    criteria=CRITERIA,
)
RATES = {
    "Phase 2": BaseRate(n=400, shares=(0.6, 0.4)),
    "all": BaseRate(n=1000, shares=(0.4, 0.6)),
}
LEARNED = Learned.of(
    [TYPICAL] * 30,
    sections=("phase", "conditions", "interventions", "criteria"),
    starts=["2001-01"] * 15 + ["2010-05"] * 15,
)
COSTS = {"criteria": 0.5, "phase": 0.1, "conditions": 0.0, "interventions": 0.2, "thin": 0.7}


def support(known=0.0, unknown=0.2, no_phase=0.1, **changes):
    spread = Spread(known=known, unknown=unknown, no_phase=no_phase)
    return Support(**{"learned": LEARNED, "costs": COSTS, "spread": spread, "n": 300, **changes})


def applied(trial, chance=0.8, bounds=(0.7, 0.88), stage=None):
    given = Calibrated(np.array([[1 - chance, chance]]), *(np.array([b]) for b in bounds))
    done = (stage or support()).apply(given, [trial], RATES)
    low, high = float(done.calibrated.lower[0]), float(done.calibrated.upper[0])
    return done.calibrated.probabilities[0, 1], low, high, done.shares[0], done.notes[0]


def test_a_trial_like_the_learning_rows_keeps_its_forecast_to_the_last_bit():
    assert applied(TYPICAL) == (0.8, 0.7, 0.88, 1.0, None)


def test_what_is_missing_draws_the_forecast_and_widens_its_interval():
    chance, low, high, share, note = applied(replace(TYPICAL, criteria=None, phase=None))
    thin = LEARNED.facts(replace(TYPICAL, criteria=None)).thin
    assert share == pytest.approx(np.exp(-0.6 - 0.7 * thin))
    assert logit(chance) == pytest.approx(share * logit(0.8) + (1 - share) * logit(0.6))
    assert low < 0.6 < chance < high
    assert high - low > 0.88 - 0.7
    said = round(100 * (1 - share))
    assert note == (
        "The record has no eligibility criteria and no phase: the forecast is drawn "
        f"{said}\xa0% of the way to the base rate (60\xa0%, all phases), and the interval is "
        "wider."
    )


@pytest.mark.parametrize("share", [0.4, 0.0])
def test_of_several_answers_all_are_drawn_and_the_interval_is_of_the_most_probable(share):
    rates = {"all": BaseRate(n=1000, shares=(0.2, 0.5, 0.3))}
    stage = support(costs={**dict.fromkeys(COSTS, 0.0), "criteria": -np.log(share or 1)})
    trial = replace(TYPICAL, criteria=None) if share else Trial()
    given = Calibrated(np.array([[0.7, 0.2, 0.1]]), np.array([0.6]), np.array([0.78]))
    done = stage.apply(given, [trial], rates)
    drawn = np.log(done.calibrated.probabilities[0])
    pooled = share * np.log([0.7, 0.2, 0.1]) + (1 - share) * np.log([0.2, 0.5, 0.3])
    np.testing.assert_allclose(drawn - drawn[0], pooled - pooled[0])
    assert done.calibrated.reported.tolist() == [0 if share > 0.5 else pooled.argmax()]
    chance = np.exp(drawn.max())
    assert done.calibrated.lower[0] < chance - 0.1
    assert chance + 0.1 < done.calibrated.upper[0]
    assert done.notes[0].endswith("all phases), and the interval is wider.")
    whole = stage.apply(given, [TYPICAL], rates).calibrated
    assert (whole.probabilities[0, 0], whole.lower[0], whole.upper[0]) == (0.7, 0.6, 0.78)


def test_nothing_that_is_missing_raises_the_support():
    stage = support()
    full = LEARNED.facts(TYPICAL)
    for name in ("criteria", "phase", "conditions", "interventions"):
        lacking = replace(TYPICAL, **{name: None if name in ("criteria", "phase") else ()})
        assert stage.share(LEARNED.facts(lacking)) <= stage.share(full) == 1.0
        twice = replace(lacking, criteria=None, phase=None)
        assert stage.share(LEARNED.facts(twice)) <= stage.share(LEARNED.facts(lacking))


@pytest.mark.parametrize(("phase", "rate"), [("Phase 2", 0.4), (None, 0.6), ("Phase 4", 0.6)])
def test_a_record_without_words_gets_the_base_rate_with_its_width(phase, rate):
    chance, low, high, share, note = applied(Trial(phase=phase))
    assert (share, chance) == (0.0, pytest.approx(rate))
    assert low < rate - 0.1
    assert high > rate + 0.1
    of = "Phase 2" if phase == "Phase 2" else "all phases"
    but = " but the phase" if phase else ""
    assert note == (
        f"The record has nothing that the model reads{but}: the forecast is the base rate "
        f"({rate:.0%}, {of}), and the interval is wider.".replace("0%", "0\xa0%")
    )


@pytest.mark.parametrize(
    ("trial", "share", "why"),
    [
        (
            replace(TYPICAL, interventions=(Intervention("pump", "Device"),)),
            KIND_SHARES["no medicine"],
            "the model has learnt from trials of medicines, and this is none",
        ),
        (
            replace(TYPICAL, healthy_volunteers=True),
            KIND_SHARES["healthy volunteers"],
            "it takes healthy volunteers, and the model has learnt from patients",
        ),
        (
            replace(TYPICAL, criteria="\n".join([CRITERIA] * 3)),
            KIND_SHARES["long"],
            "its text is far longer than those that the model has learnt from",
        ),
    ],
)
def test_kinds_that_were_not_learnt_from_have_a_stated_support(trial, share, why):
    stage = support(costs=dict.fromkeys(COSTS, 0.0))
    assert stage.share(LEARNED.facts(trial)) == pytest.approx(share, abs=0.1)
    assert why in str(applied(trial, stage=stage)[-1]).lower()


def test_the_planned_start_widens_and_moves_nothing():
    near, far = (applied(replace(TYPICAL, planned_start=s)) for s in ("2011-02", "2030"))
    assert near[0] == far[0] == pytest.approx(0.8)
    assert far[2] - far[1] > near[2] - near[1] > 0.88 - 0.7
    assert far[-1] == "It starts 20 years outside those learnt from: the interval is wider."


def test_texts_in_an_unknown_language_and_observational_studies_get_no_number():
    stage, spanish = support(), "Pacientes mayores de edad con enfermedad grave del sistema. " * 4
    assert stage.refusal(TYPICAL) is None
    assert stage.refusal(Trial()) is None
    assert stage.refusal(replace(TYPICAL, criteria="adultos con asma")) is None
    assert stage.refusal(replace(TYPICAL, criteria=spanish)) == (
        f"the model knows {round(100 * LEARNED.facts(replace(TYPICAL, criteria=spanish)).known)}"
        "\xa0% of this record's words: it may be in a language that the model has not learnt, "
        "so there is no forecast."
    )
    assert stage.refusal(replace(TYPICAL, study_type="Observational")) == (
        "The model has learnt from no observational study, so there is no forecast."
    )


def test_what_the_learning_rows_had_is_no_stated_kind():
    rows = [replace(TYPICAL, interventions=(Intervention("pump", "Device"),))] * 30
    learned = Learned.of([replace(r, healthy_volunteers=True) for r in rows], sections=None)
    facts = learned.facts(replace(rows[0], healthy_volunteers=True))
    assert (facts.medicine, facts.healthy, facts.years) == (True, False, 0)


def test_layout_and_case_change_no_fact():
    typed = replace(TYPICAL, criteria=CRITERIA.upper().replace("- ", "  * "))
    joined = replace(TYPICAL, criteria=CRITERIA.replace("\n- ", " ").replace("\n", " "))
    assert LEARNED.facts(typed) == LEARNED.facts(joined) == LEARNED.facts(TYPICAL)


def test_costs_must_be_about_the_fields_that_were_learnt_from():
    with pytest.raises(ValueError, match="costs: need one for each field"):
        support(costs={"criteria": 0.5, "thin": 0.1})
    with pytest.raises(ValueError, match="greater than or equal to 0"):
        support(costs={**COSTS, "phase": -0.1})
    with pytest.raises(ValueError, match="words: is no vocabulary"):
        Learned.model_validate({**LEARNED.model_dump(), "words": "bm90aGluZw=="})


@pytest.fixture
def fitted():
    rows = [replace(TYPICAL, conditions=(word,)) for word in ("asthma", "cough") * 20]
    found = as_forecaster(TfidfForecaster().fit(rows, ["success", "failure"] * 20))
    found.support = support()
    return found


def test_a_bundle_keeps_its_support_and_forecasts_with_it(fitted, tmp_path):
    saved = fitted.save(tmp_path / "bundle")
    assert saved.support == fitted.support
    thin, spanish = Trial(phase="Phase 2"), replace(TYPICAL, study_type="Expanded Access")
    first, second, third = load_forecaster(tmp_path / "bundle").forecast([TYPICAL, thin, spanish])
    assert isinstance(first, Forecast)
    assert isinstance(second, Forecast)
    assert isinstance(third, NotApplicable)
    assert second.probability == pytest.approx(second.base_rate)
    assert any("the forecast is the base rate" in text for text in second.warnings)
    assert saved.predict_proba([thin])[0, 1] == pytest.approx(second.base_rate)
    card = (tmp_path / "bundle" / "MODEL_CARD.md").read_text()
    assert "drawn towards the base rate of their phase" in card


def test_a_changed_support_is_refused(fitted, tmp_path):
    fitted.save(tmp_path / "bundle")
    file = tmp_path / "bundle" / "support.json"
    file.write_text(file.read_text().replace('"n": 300', '"n": 301'))
    with pytest.raises(TamperedBundleError, match=r"support\.json"):
        load_forecaster(tmp_path / "bundle")


def test_a_new_calibration_drops_the_support(fitted, tmp_path):
    rows = [TYPICAL, replace(TYPICAL, conditions=("cough",))] * 20
    again = fitted.save(tmp_path / "bundle", validation=(rows, ["success", "failure"] * 20))
    assert again.support is None
    with pytest.raises(BundleError, match="already holds a bundle"):
        fitted.save(tmp_path / "bundle")
