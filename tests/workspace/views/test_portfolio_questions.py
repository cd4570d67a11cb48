"""Failures by reason and the timeline of a portfolio, against numbers worked out by hand."""

from datetime import date

import pytest

from llm4top.forecasters.distribution import Bins
from llm4top.tasks.builtin import DURATION, SHARE, TASKS, WHY_IT_FAILS
from llm4top.workspace.views.portfolio_questions import failure_reasons, key_of, timeline
from tests.workspace.views.test_portfolio import item


def outcome(record, chance, **more):
    return item(chance, record=record, lower=None, upper=None, **more)


def reason(record, *shares):
    return item(
        record=record, task="why-it-fails", labels=WHY_IT_FAILS.labels, probabilities=shares
    )


def lasting(record, probabilities, **more):
    return item(
        record=record, task="duration", labels=DURATION.labels, probabilities=probabilities, **more
    )


def in_bin(k):
    return tuple(float(k == j) for j in range(len(DURATION.labels)))


def test_failures_are_split_by_the_chances_of_their_reasons() -> None:
    found = failure_reasons(
        [outcome("a", 0.6), outcome("b", 0.2)],
        [reason("b", 0.25, 0.5, 0.25, 0.0), reason("a", 0.5, 0.25, 0.0, 0.25)],
    )
    # poor enrolment .4 x .5 + .8 x .25, efficacy .4 x .25 + .8 x .5, and so on
    expected = {label: one.expected for label, one in found.by_reason}
    assert expected == pytest.approx(
        {"efficacy": 0.5, "poor enrolment": 0.4, "safety": 0.2, "other": 0.1}
    )
    assert next(iter(expected)) == "efficacy", "the most expected reason comes first"
    assert found.expected == pytest.approx(1.2)
    assert (found.n, found.unanswered) == (2, ())
    # efficacy: .1 and .4, so none .9 x .6, both .1 x .4
    efficacy = found.by_reason[0][1]
    assert efficacy.mass == pytest.approx([0.54, 0.42, 0.04])
    assert (efficacy.lower, efficacy.upper) == (0, 2)


def test_the_interval_of_the_chance_of_success_widens_the_number_of_failures() -> None:
    answers = [reason(str(k), 1.0, 0.0, 0.0, 0.0) for k in range(50)]
    sure = failure_reasons([outcome(str(k), 0.5) for k in range(50)], answers).by_reason[0][1]
    unsure = failure_reasons(
        [item(0.5, record=str(k), lower=0.3, upper=0.7) for k in range(50)], answers
    ).by_reason[0][1]
    assert unsure.expected == pytest.approx(sure.expected) == pytest.approx(25)
    assert unsure.lower < sure.lower < sure.upper < unsure.upper


def test_copies_and_trials_without_a_reason_are_no_part_of_the_sum() -> None:
    alone = outcome("b", 0.2)
    found = failure_reasons(
        [outcome("a", 0.6), alone, outcome("c", 0.1, same_trial_as="a")],
        [reason("a", 1.0, 0.0, 0.0, 0.0), reason("c", 1.0, 0.0, 0.0, 0.0)],
    )
    assert (found.n, found.unanswered) == (1, (alone,))
    assert found.expected == pytest.approx(0.4)
    assert failure_reasons([alone], []).by_reason == ()


def test_trials_have_ended_by_their_start_and_duration() -> None:
    # "12 to 18 months" is over after two years; half of "24 to 36 months" after 30 months.
    short, longer = lasting("a", in_bin(2)), lasting("b", in_bin(4))
    starts = {key_of(short): "2031-01-01", key_of(longer): "2030-07-01"}
    found = timeline([short, longer], starts)
    ended = {year: one.expected for year, one in found.ended}
    half = ((date(2033, 1, 1) - date(2030, 7, 1)).days / 30.4375 - 24) / 12
    assert [ended[year] for year in (2030, 2031, 2033, 2041)] == pytest.approx([0, 0, 2, 2])
    assert ended[2032] == pytest.approx(1 + half)
    assert half == pytest.approx(0.5, abs=0.01)
    assert (found.n, found.undated, min(ended)) == (2, (), 2030)
    assert dict(found.ended)[2032].mass == pytest.approx([0, 1 - half, half])
    assert [year for year, _ in found.told()] == [2032, 2033]


def test_trials_without_a_planned_start_are_named_and_not_guessed() -> None:
    dated, undated, copy = (
        lasting("a", in_bin(0)),
        lasting("b", in_bin(0)),
        lasting("c", in_bin(0), same_trial_as="a"),
    )
    starts = {key_of(dated): "2031-05", key_of(undated): None, key_of(copy): "2031-05"}
    found = timeline([dated, undated, copy], starts)
    assert (found.n, found.undated) == (1, (undated,))
    # From 15 May to New Year are 231 days, more than six months.
    assert found.ended[0][0] == 2031
    assert found.ended[0][1].expected == pytest.approx(1)
    none = timeline([undated], {})
    assert (none.ended, none.n, none.undated, none.told()) == ((), 0, (undated,), ())


def test_a_trial_of_the_open_last_bin_is_not_known_to_end() -> None:
    trial = lasting("a", (0.5, *[0.0] * 8, 0.5))
    found = timeline([trial], {key_of(trial): "2031-01-01"})
    assert found.ended[-1][1].expected == pytest.approx(0.5)
    assert [year for year, _ in found.told()] == [2031]


def test_below_is_the_inverse_of_the_quantiles() -> None:
    p = [0.1] * 10
    bins = Bins.of(DURATION)
    assert bins.below(p, bins.quantiles(p, [0.05, 0.5, 0.85])[0]) == pytest.approx(
        [0.05, 0.5, 0.85]
    )
    assert bins.below(p, [-1.0, 0.0, 120.0, 999.0]) == pytest.approx([0, 0, 0.9, 0.9])
    share = next(task for task in TASKS.values() if task.unit == SHARE)
    closed = [1 / len(share.labels)] * len(share.labels)
    assert Bins.of(share).below(closed, [0.0, 1.0, 2.0]) == pytest.approx([0, 1, 1])
