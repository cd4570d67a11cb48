"""Portfolios: the number of successes to expect, filters, sorting, words and figures."""

import itertools
import re

import numpy as np
import pytest
from lxml import etree

from llm4top.forecasters.forecast_format import Forecast
from llm4top.workspace.views.label_bars import ScaleValues, scale
from llm4top.workspace.views.portfolio import (
    DIRECT,
    NOT_STATED,
    SORTS,
    Filter,
    counted,
    expected_from_base,
    expected_successes,
    facets,
    name_of,
    sort_trials,
    successes,
)
from llm4top.workspace.views.portfolio_charts import DOTS, chances_chart, distribution_chart
from llm4top.workspace.views.wording import beside_base, expected, frequency


def item(chance=0.5, *, title="Exemplamab in adults", phase="Phase 2", base=0.3, **more):
    known = {
        "record": "a.xml",
        "nct_id": "NCT99999901",
        "phase": phase,
        "task": "outcome",
        "labels": ("failure", "success"),
        "probabilities": (1 - chance, chance),
        "label": "success",
        "probability": chance,
        "lower": max(chance - 0.1, 0),
        "upper": min(chance + 0.1, 1),
        "base_rate": base,
        "warnings": (),
        "bundle": "tiny-0123456789ab",
        "prompt_sha256": "0" * 64,
        "tokens": 100,
        "tokens_cut": 0,
    }
    known |= {"title": title, "sponsor_class": "Industry", "source_format": "legacy-xml"}
    return Forecast(**{**known, "source_sha256": "1" * 64, **more})


def by_enumeration(chances):
    mass = np.zeros(len(chances) + 1)
    for outcome in itertools.product((0, 1), repeat=len(chances)):
        mass[sum(outcome)] += np.prod(
            [p if o else 1 - p for p, o in zip(chances, outcome, strict=True)]
        )
    return mass


def test_the_distribution_is_that_of_all_outcomes_enumerated():
    chances = np.random.default_rng(0).random(10)
    found = expected_successes(chances)
    np.testing.assert_allclose(found.mass, by_enumeration(chances), atol=1e-14)
    assert found.expected == pytest.approx(chances.sum())
    assert found.n == 10


def test_equal_chances_give_the_binomial_distribution():
    from scipy.stats import binom

    n = 2 * DIRECT + 3
    found = expected_successes([0.3] * n)
    np.testing.assert_allclose(found.mass, binom.pmf(np.arange(n + 1), n, 0.3), atol=1e-12)
    assert found.deviation == pytest.approx(binom.std(n, 0.3))
    assert (found.lower, found.upper) == tuple(binom.ppf([0.025, 0.975], n, 0.3))


@pytest.mark.parametrize(("chances", "mass"), [([], [1]), ([0, 1, 1], [0, 0, 1, 0]), ([1], [0, 1])])
def test_nothing_and_certainty(chances, mass):
    found = expected_successes(chances)
    assert found.mass.tolist() == mass
    assert found.mode == found.lower == found.upper == mass.index(1)


@pytest.mark.parametrize("wrong", [-0.1, 1.1, float("nan")])
def test_no_chance_outside_of_0_and_1(wrong):
    with pytest.raises(ValueError, match="a probability is between 0 and 1"):
        expected_successes([0.5, wrong])


def test_ten_thousand_trials():
    chances = np.random.default_rng(1).random(10_000)
    found = expected_successes(chances)
    k = np.arange(10_001)
    assert found.mass.sum() == pytest.approx(1)
    assert (found.mass * k).sum() == pytest.approx(chances.sum())
    assert found.lower < found.expected < found.upper


def test_the_calibration_moves_all_chances_together():
    from scipy.special import expit, logit
    from scipy.stats import norm

    chances, bounds = [0.4] * 100, [(0.3, 0.55)] * 100
    found = expected_successes(chances, bounds)
    alone = expected_successes(chances)
    assert found.expected == pytest.approx(alone.expected) == pytest.approx(40)
    assert (found.exact_lower, found.exact_upper) == (alone.lower, alone.upper)
    assert found.lower < alone.lower < alone.upper < found.upper
    # The same by drawing the calibration's error and then the trials.
    rng = np.random.default_rng(0)
    z = norm.rvs(size=40_000, random_state=rng)
    distance = np.where(z < 0, logit(0.4) - logit(0.3), logit(0.55) - logit(0.4))
    drawn = rng.binomial(100, expit(logit(0.4) + z * distance / 1.96))
    assert np.quantile(drawn, [0.025, 0.975]) == pytest.approx([found.lower, found.upper], abs=1.5)
    assert found.deviation == pytest.approx(drawn.std(), rel=0.03)


def test_chances_without_intervals_are_taken_as_exact():
    bounds = [(None, None), (0.0, 1.0)]
    certain = expected_successes([0.0, 1.0], bounds)
    assert certain.mass.tolist() == [0, 1, 0]
    half = expected_successes([0.5, 0.5], [(None, None)] * 2)
    np.testing.assert_allclose(half.mass, expected_successes([0.5, 0.5]).mass)


def test_a_portfolio_counts_each_trial_once_and_leaves_out_what_the_model_does_not_know():
    learnt = "This trial was in the model's training data: this is not a forecast."
    outside = "device trial: outside what the model has learnt"
    trials = [
        item(nct_id="NCT1"),
        item(nct_id="NCT1", record="again.xml"),
        item(nct_id="NCT2", warnings=(learnt,)),
        item(nct_id="NCT3", warnings=(outside,)),
        item(nct_id=None),
        item(nct_id=None),
    ]
    parts = counted(trials)
    assert [t.record for t in parts.copies] == ["again.xml", "a.xml"]
    assert list(parts.trials) == [trials[0], trials[4]]
    assert (list(parts.learnt), list(parts.out_of_scope)) == ([trials[2]], [trials[3]])
    assert len(counted(trials, ["learnt", "scope"]).trials) == 4


def test_trials_add_up_only_where_they_answer_the_same_question():
    pair = [item(0.4), item(0.6)]
    assert successes(pair).expected == pytest.approx(1)
    assert successes(pair[:1]) is None
    assert successes([item(), item(bundle="other-0123456789ab")]) is None
    assert successes([item(), item(task="phase")]) is None
    three = {"labels": ("a", "b", "c"), "probabilities": (0.2, 0.3, 0.5)}
    assert successes([item(**three), item(**three)]) is None


def test_base_rates_add_up_only_where_all_are_known():
    assert expected_from_base([item(base=0.3), item(base=0.5)]) == pytest.approx(0.8)
    assert expected_from_base([item(base=0.3), item(base=None)]) is None
    assert expected_from_base([]) is None


def test_filters_and_facets():
    trials = [
        item(phase="Phase 2", area="eye (H00-H59)"),
        item(phase="Phase 3", area="eye (H00-H59)", sponsor_class="NIH"),
        item(phase=None, sponsor_class=None),
    ]
    assert facets(trials) == {
        "phases": {"Phase 2": 1, "Phase 3": 1, NOT_STATED: 1},
        "areas": {"eye (H00-H59)": 2, "unknown": 1},
        "sponsors": {"Industry": 1, "NIH": 1, NOT_STATED: 1},
    }
    assert Filter().apply(trials) == trials
    assert Filter(phases=frozenset({"Phase 3", NOT_STATED})).apply(trials) == trials[1:]
    both = Filter(areas=frozenset({"eye (H00-H59)"}), sponsors=frozenset({"NIH"}))
    assert both.apply(trials) == trials[1:2]


@pytest.mark.parametrize("by", SORTS)
def test_every_sort_sorts_both_ways(by):
    trials = [item(0.2, base=None), item(0.9, title="b", phase=None, sponsor_class=None), item(0.5)]
    assert len(sort_trials(trials, by)) == 3
    if by == "chance":
        assert [t.probability for t in sort_trials(trials, by)] == [0.2, 0.5, 0.9]
        descending = sort_trials(trials, by, descending=True)
        assert [t.probability for t in descending] == [0.9, 0.5, 0.2]


def test_no_other_sort():
    with pytest.raises(ValueError, match="sorted by chance, above base"):
        sort_trials([], "size")


def test_a_trial_without_a_title_is_called_by_its_number_or_its_file():
    assert name_of(item()) == "Exemplamab in adults"
    assert name_of(item(title="")) == "NCT99999901"
    assert name_of(item(title="", nct_id=None)) == "a.xml"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.001, "Fewer than 1 in 100 similar trials succeed"),
        (0.07, "About 7 in 100 similar trials succeed"),
        (0.58, "About 6 in 10 similar trials succeed"),
        (0.904, "About 9 in 10 similar trials succeed"),
        (0.96, "About 96 in 100 similar trials succeed"),
        (0.999, "More than 99 in 100 similar trials succeed"),
    ],
)
def test_frequency(value, words):
    assert frequency(value) == words


def test_another_event_is_quoted():
    assert frequency(0.58, "completed") == "About 6 in 10 similar trials are “completed”"


@pytest.mark.parametrize(
    ("value", "base", "of", "words"),
    [
        (0.48, 0.47, "Phase 2", "About the phase 2 average (47\u00a0%)"),
        (
            0.55,
            0.48,
            "Phase 2",
            "Slightly above the phase 2 average (48\u00a0%); the difference may be chance",
        ),
        (0.64, 0.47, "Phase 2", "Above the phase 2 average (47\u00a0%)"),
        (0.87, 0.29, "Phase 2", "Well above the phase 2 average (29\u00a0%)"),
        (0.30, 0.47, "all", "Below the average of all phases (47\u00a0%)"),
        (0.30, 0.47, None, "Below the base rate (47\u00a0%)"),
        (0.30, 0.47, "N/A", "Below the N/A average (47\u00a0%)"),
        (0.5, None, "Phase 2", ""),
    ],
)
def test_beside_the_base_rate(value, base, of, words):
    assert beside_base(value, value - 0.1, value + 0.1, base, of) == words


def test_numbers():
    assert expected(1.64, 2) == "1.6"
    assert expected(1301.6, 1500) == "1\u202f302"


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("bounds", [(0.46, 0.69), (None, None)])
@pytest.mark.parametrize("base", [None, 0.0, 0.47, 1.0])
def test_the_scale_is_well_formed_and_says_itself(large, bounds, base):
    drawn = scale(ScaleValues(0.58, *bounds, base, "Phase 2"), large=large)
    root = etree.fromstring(drawn)
    said = root.get("aria-label")
    assert said.startswith("Chance 58\u00a0%")
    assert ("95\u00a0% interval 46 to 69\u00a0%" in said) is (bounds[0] is not None)
    assert ("base rate" in said) is (base is not None)
    assert 'cx="58.00%"' in drawn
    assert ('x="46.00%" width="23.00%"' in drawn) is (bounds[0] is not None)


def test_the_distribution_is_drawn_with_its_interval_and_the_base_rates():
    drawn = distribution_chart(expected_successes([0.5, 0.6, 0.7]), 1.2)
    root = etree.fromstring(drawn)
    assert root.get("aria-label") == (
        "How many of 3 trials: 1.8 expected, 0 to 3 with 95 % probability."
    )
    assert len(root.findall(".//{*}rect")) == 4
    assert "base rates 1.2" in drawn


def test_base_rates_far_from_the_distribution_do_not_squeeze_it():
    many = expected_successes([0.5] * 1000)
    assert "← base rates 100<" in distribution_chart(many, 100)
    assert "base rates 900 →<" in distribution_chart(many, 900)
    near = distribution_chart(many, 430)
    assert "stroke-dasharray" in near
    assert ">430<" in near or ">440<" in near or ">420<" in near


def test_many_trials_are_drawn_as_a_band_and_few_as_dots():
    hostile = "<script>alert(1)</script>"
    few = chances_chart([item(0.2, nct_id=hostile), item(0.7, lower=None, upper=None)])
    assert len(etree.fromstring(few).findall(".//{*}circle")) == 2
    assert "<script>" not in few
    assert "&lt;script&gt;" in few
    many = chances_chart([item(k / 1000) for k in range(1000)])
    assert etree.fromstring(many).find(".//{*}polygon") is not None
    assert "circle" not in many
    linked = etree.fromstring(chances_chart([item(), item()], lambda _: "/trials/1?a=1&b=2"))
    assert [a.get("href") for a in linked.iterfind(".//{*}a")] == ["/trials/1?a=1&b=2"] * 2
    assert {"1", "2"} <= {t.text for t in linked.iterfind(".//{*}text")}
    assert len(re.findall(r"[\d.]+,[\d.]+", many)) == 3 * DOTS


def test_the_distribution_of_many_trials_draws_only_likely_counts():
    drawn = distribution_chart(expected_successes([0.5] * 5000))
    assert len(etree.fromstring(drawn).findall(".//{*}rect")) < 400


def test_figures_stand_on_bars_only_where_they_fit():
    texts = [
        [t.text for t in etree.fromstring(distribution_chart(d)).iterfind(".//{*}text")]
        for d in (expected_successes([0.02] * 5), expected_successes([0.5] * 10_000))
    ]
    assert "90\u00a0%" in texts[0]
    assert not any("<" in text for text in texts[0])
    # At 390 pixels a count of five signs needs some fifty.
    assert 3 <= len(texts[1]) <= 6


@pytest.mark.parametrize("by", ["chance", "above base"])
def test_the_score_decides_between_equal_chances(by):
    trials = [item(0.3, score=s, record=f"{s}.xml") for s in (0.1, 0.3, None, 0.2)]
    for descending, order in ((False, [None, 0.1, 0.2, 0.3]), (True, [0.3, 0.2, 0.1, None])):
        found = sort_trials(trials, by, descending=descending)
        assert [t.score for t in found] == order
