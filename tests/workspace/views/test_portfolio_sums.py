"""What a portfolio adds up to: the trials that count, a table, and JSON."""

import json

import pytest

from llm4top.workspace.views.portfolio_questions import key_of
from llm4top.workspace.views.portfolio_sums import COLUMNS, sums_of
from tests.workspace.views.test_portfolio_questions import in_bin, lasting, outcome, reason

LEARNT = ("this trial is in the model's training data",)


@pytest.fixture
def sums():
    outcomes = [
        outcome("a", 0.6, nct_id="NCT1"),
        outcome("b", 0.2, nct_id="NCT2", same_trial_as="z"),
        outcome("c", 0.9, nct_id="NCT1"),
        outcome("d", 0.9, nct_id="NCT4", warnings=LEARNT),
    ]
    reasons = [reason(name, 0.25, 0.5, 0.25, 0.0) for name in "abcd"]
    durations = [lasting(name, in_bin(0), same_trial_as="z") for name in "abcd"]
    return sums_of(outcomes, reasons, durations, {key_of(outcomes[0]): "2031-01"})


def test_the_same_trials_count_for_every_question(sums):
    assert [one.record for one in sums.counted.trials] == ["a", "b"]
    assert sums.successes.expected == pytest.approx(0.8)
    assert (sums.successes.lower, sums.successes.upper) == (0, 2)
    assert {k: v.expected for k, v in sums.failures.by_reason}["efficacy"] == pytest.approx(0.6)
    assert sums.timeline.n == 1
    assert {why: [one.record for one in trials] for why, trials in sums.not_counted} == {
        "further records of a trial that is counted": ["c"],
        "the model has learnt from them or was tuned on them": ["d"],
        "no planned start": ["b"],
    }


def test_the_table_has_a_row_for_each_figure(sums):
    heading, *rows = sums.rows()
    assert tuple(heading) == COLUMNS
    assert all(len(row) == len(COLUMNS) for row in rows)
    assert rows[0][:6] == ["label", "success", 2, "0.8000", 0, 2]
    assert next(row[:3] for row in rows if row[0] == "ended by the end of")[1:] == ["2031", 1]
    assert rows[-1][:3] == ["not counted", "no planned start", 1]


def test_the_json_form_says_the_same(sums):
    values = json.loads(json.dumps(sums.to_dict()))
    assert (values["label"], values["trials"]) == ("success", 2)
    assert values["successes"]["expected"] == pytest.approx(0.8)
    assert next(one["reason"] for one in values["failures"]["by_reason"]) == "efficacy"
    assert values["timeline"]["ended"][0]["year"] == 2031
    assert values["not_counted"][0] == {
        "why": "further records of a trial that is counted",
        "count": 1,
        "records": ["c"],
    }
    assert any("little skill" in note for note in values["notes"])


def test_questions_that_were_not_asked_have_no_figures():
    found = sums_of([outcome("a", 0.6)])
    assert (found.failures, found.timeline) == (None, None)
    assert found.to_dict()["failures"] is None
    assert len(found.rows()) == 2
    alone = sums_of([], durations=[lasting("a", in_bin(0))])
    assert (alone.successes, alone.label) == (None, "")
    assert alone.timeline.n == 0
