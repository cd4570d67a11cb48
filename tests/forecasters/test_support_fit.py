from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from scipy.special import expit, logit

from llm4top.errors import CalibrationError
from llm4top.forecasters.base_rates import measure_base_rates
from llm4top.forecasters.calibration.calibrated import Calibrated
from llm4top.forecasters.cross_fit import LearningRows
from llm4top.forecasters.support_fit import (
    Judged,
    calibrate_copies,
    learn_support,
    score_groups,
)
from llm4top.registry.trial import Intervention, Trial

N = 600
SECTIONS = ("phase", "conditions", "interventions", "criteria")
TEXT = "adults with severe asthma who gave written consent and took no other study medicine"
PHASES = ("Phase 2", "Phase 3")


def world(noise, *, seed=0, drift=0.0):
    """Rows whose signal the copies without criteria show less of, the more ``noise`` there is."""
    rng = np.random.default_rng(seed)
    signal, third = rng.normal(size=N), rng.random(N) < 0.5
    late = np.arange(N) >= N // 2
    chance = expit(signal + 0.8 * third - 0.4 + drift * late)
    labels = (rng.random(N) < chance).astype(np.int64)
    trials = [
        Trial(
            phase=PHASES[int(t)],
            conditions=("asthma",),
            interventions=(Intervention("medicine"),),
            criteria=TEXT,
        )
        for t in third
    ]
    rows = LearningRows(trials, labels, [f"NCT{i:08d}" for i in range(N)])
    copies = {"full": trials, "no criteria": [replace(t, criteria=None) for t in trials]}
    known = signal + 0.8 * third - 0.4
    blurred = signal * (1 - noise) + noise * rng.normal(size=N) + 0.8 * third - 0.4
    logits = {"full": two(known), "no criteria": two(blurred)}
    starts = ["2001-01" if not one else "2008-06" for one in late]
    return rows, logits, copies, np.arange(N) % 5, starts


def two(scores):
    return np.column_stack([np.zeros(len(scores)), scores])


def learnt(noise, **changes):
    rows, logits, copies, folds, starts = world(noise, **changes)
    rates = measure_base_rates(2, rows.phases, rows.labels.tolist())
    return learn_support(rows, logits, copies, folds, rates, sections=SECTIONS, starts=starts)


def test_a_field_costs_as_much_as_the_forecasts_lose_without_it():
    nothing, all_of_it = learnt(0.0), learnt(1.0)
    facts = nothing.learned.facts(Trial(phase="Phase 2", conditions=("asthma",) * 3))
    shares = [stage.share(replace(facts, missing=("criteria",))) for stage in (nothing, all_of_it)]
    assert shares[0] > 0.8
    assert shares[1] < 0.3
    assert nothing.n == 2 * N
    assert nothing.learned.fields == ("criteria", "phase", "conditions", "interventions")


def test_the_spread_holds_what_changed_between_periods():
    assert learnt(0.2).spread.known < 0.05
    assert learnt(0.2, drift=2.0).spread.known > 0.2


def test_later_trials_decide_the_spread_where_there_are_any():
    rows, logits, copies, folds, starts = world(0.2)
    rates = measure_base_rates(2, rows.phases, rows.labels.tolist())
    sure = np.full(N, 0.9)
    wrong = {"full": Calibrated(np.column_stack([1 - sure, sure]), sure - 0.01, sure + 0.01)}
    later = [Judged.of(rows, copies, wrong, rates, starts)]
    stage = learn_support(rows, logits, copies, folds, rates, sections=SECTIONS, later=later)
    assert stage.spread.known > 1.0
    assert stage.spread.scale >= 1.0


def test_the_scale_makes_large_groups_covered():
    rows, logits, copies, folds, starts = world(0.2)
    rates = measure_base_rates(2, rows.phases, rows.labels.tolist())
    for drift, many in ((0.0, False), (2.5, True)):
        new, shown, seen, _, _ = world(0.2, seed=5, drift=drift)
        chance = expit(shown["full"][:, 1])
        wide = Calibrated(np.column_stack([1 - chance, chance]), chance * 0.9, chance**0.9)
        later = [Judged.of(new, seen, {"full": wide}, rates, starts)]
        stage = learn_support(rows, logits, copies, folds, rates, sections=SECTIONS, later=later)
        bounds = stage.apply(wide, new.trials, rates).calibrated
        groups = score_groups(new.phases, chance, of=3, least=40)
        held = [
            bounds.lower[g].mean() - 0.05 <= new.labels[g].mean() <= bounds.upper[g].mean() + 0.05
            for g in groups
        ]
        assert np.mean(held) >= 0.8
        assert (float((bounds.upper - bounds.lower).mean()) > 0.3) is many


def test_copies_are_calibrated_by_fits_that_have_not_seen_their_rows():
    rows, logits, copies, folds, _ = world(0.2)
    phases = {name: [t.phase for t in trials] for name, trials in copies.items()}
    first = calibrate_copies(logits, rows.labels, phases, folds)
    turned = rows.labels.copy()
    turned[folds == 0] = 1 - turned[folds == 0]
    again = calibrate_copies(logits, turned, phases, folds)
    for name in logits:
        same = first[name].probabilities[:, 1] == again[name].probabilities[:, 1]
        assert same[folds == 0].all()
        assert not same[folds != 0].all()
        order = np.argsort(logits[name][folds == 1, 1])
        rising = first[name].probabilities[folds == 1, 1][order]
        assert np.corrcoef(logit(rising), np.arange(len(rising)))[0, 1] > 0.8


def test_groups_are_parts_of_a_cell_in_the_order_of_their_chances():
    chances = np.linspace(0, 1, 100)[::-1]
    groups = score_groups(["a"] * 90 + ["b"] * 10, chances, of=3, least=20)
    assert [len(group) for group in groups] == [30, 30, 30]
    for lower, higher in pairwise(groups):
        assert chances[lower].max() < chances[higher].min()


def test_a_field_costs_the_forecasts_of_several_answers_too():
    found = []
    for noise in (0.0, 1.0):
        rows, logits, copies, folds, starts = world(noise)
        third = np.random.default_rng(1).random(N) < 0.3
        rows = replace(rows, labels=np.where(third, 2, rows.labels))
        logits = {name: np.column_stack([z, z.mean(axis=1)]) for name, z in logits.items()}
        rates = measure_base_rates(3, rows.phases, rows.labels.tolist())
        stage = learn_support(rows, logits, copies, folds, rates, sections=SECTIONS, starts=starts)
        assert stage.spread.known < 0.1
        found.append(stage.costs["criteria"])
    assert found[0] < 0.2
    assert found[1] > 1.0


def test_without_base_rates_there_is_nothing_to_draw_to():
    rows, logits, copies, folds, _ = world(0.2)
    with pytest.raises(CalibrationError, match="there are none"):
        learn_support(rows, logits, copies, folds, {}, sections=None)
