"""A batch as it is listed: models, copies, ties, searching; and what warnings mean."""

from dataclasses import replace

import pytest

from llm4top.forecasters.forecast_warnings import WARNING_RULES
from llm4top.workspace.serving.parsing import Refusal
from llm4top.workspace.views.caveats import caveat_of, is_learnt, is_out_of_scope, sorted_warnings
from llm4top.workspace.views.listing import Listing, ListQuery, copies_of, ties_of
from tests.workspace.views.test_portfolio import item


def line(chance=0.5, *, sha="1", row_id="", **more):
    return replace(item(chance, **more), source_sha256=sha * 64, id=row_id or sha)


def kept(workspace, items, left=()):
    batch = workspace.forecasts.add(None, items)
    workspace.batches.leave_out(batch, left)
    return Listing.read(workspace, batch)


def test_models_are_told_apart_and_the_newest_is_shown(workspace):
    batch = workspace.forecasts.add(None, [line(0.2, sha="1"), line(0.3, sha="2")])
    workspace.forecasts.add(None, [line(0.6, sha="1", bundle="new-0123456789ab")], batch=batch)
    listing = Listing.read(workspace, batch)
    assert listing.models == ["new-0123456789ab", "tiny-0123456789ab"]
    (shown,) = listing.items()
    assert shown.probability == 0.6
    (other,) = listing.others(shown)
    assert other.probability == 0.2
    old = listing.items("tiny-0123456789ab")
    assert [i.probability for i in old] == [0.2, 0.3]
    assert listing.others(old[1]) == []


def test_what_was_refused_and_what_was_not_asked_are_told_apart(workspace):
    left = [Refusal("a", "EmptyError", "x"), Refusal("b", "NotApplicable", "y")]
    listing = kept(workspace, [line()], left)
    assert [r.record for r in listing.refusals] == ["a"]
    assert [r.record for r in listing.not_asked] == ["b"]


def test_trials_are_searched_filtered_and_sorted(workspace):
    trials = [
        line(0.2, sha="1", title="Exemplamab", nct_id="NCT00000001", phase="Phase 1"),
        line(0.9, sha="2", title="Fictivorelin", nct_id="NCT00000002"),
        line(0.5, sha="3", title="Other", nct_id=None, record="draft exemplamab.xml"),
    ]
    listing = kept(workspace, trials)
    titles = lambda **query: [i.title for i in listing.shown(ListQuery(**query))]  # noqa: E731
    assert titles() == ["Exemplamab", "Fictivorelin", "Other"]
    assert titles(words="EXEMPLAMAB") == ["Exemplamab", "Other"]
    assert titles(words="nct00000002") == ["Fictivorelin"]
    assert titles(sort="chance down") == ["Fictivorelin", "Other", "Exemplamab"]
    assert titles(chosen={"phases": frozenset({"Phase 1"})}) == ["Exemplamab"]
    assert titles(model="unknown", words="no such") == []


def test_copies_are_further_records_of_a_trial():
    first, again, draft, same = (
        line(row_id="a"),
        line(sha="2", row_id="b"),
        line(sha="3", row_id="c", nct_id=None),
        line(sha="3", row_id="d", nct_id=None),
    )
    assert copies_of([first, again, draft, same]) == {"b": first, "d": draft}


def test_ties_count_trials_that_share_a_chance():
    assert ties_of([item(p) for p in (0.1, 0.1, 0.1, 0.5, 0.5, 0.9)]) == (5, 2)
    assert ties_of([]) == (0, 0)


@pytest.mark.parametrize(
    ("warning", "caveat"),
    [
        ("This trial was in the model's training data: this is not a forecast.", "learnt"),
        (
            "This trial was used to tune and calibrate the model: its chance is optimistic.",
            "learnt",
        ),
        ("device trial: outside what the model has learnt", "scope"),
        ("Phase 4: a phase outside what the model has learnt", "scope"),
        ("the record has no eligibility criteria", "limit"),
        ("not calibrated: the model's own probability", "limit"),
        ("record already has results: withheld", "note"),
    ],
)
def test_warnings_by_what_they_mean(warning, caveat):
    assert caveat_of(warning) == caveat
    trial = item(warnings=(warning,))
    assert is_learnt(trial) is (caveat == "learnt")
    assert is_out_of_scope(trial) is (caveat == "scope")


def test_grave_warnings_come_first():
    grave, routine = sorted_warnings(
        ["record already has results: withheld", "the record has no conditions", "x"]
    )
    assert grave == ["the record has no conditions"]
    assert routine == ["record already has results: withheld", "x"]


def test_every_rule_that_undermines_a_number_is_known_here():
    """A rule whose words change must change here too: stored warnings are sentences."""
    import inspect

    from llm4top.forecasters import forecast_warnings

    source = inspect.getsource(forecast_warnings)
    for words in (
        "was in the model's training data",
        "was used to tune and calibrate the model",
        "outside what the model has learnt",
        "the record has no ",
        "not calibrated",
    ):
        assert words in source
    assert len(WARNING_RULES) >= 10
