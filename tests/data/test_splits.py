import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm4top.data.splits import (
    OwnSplit,
    RandomSplit,
    RowFacts,
    TimeSplit,
    check_disjoint,
    real_shares,
    walk_forward,
)
from llm4top.errors import SplitError

DATES = st.none() | st.dates().map(lambda d: d.isoformat())
ROWS = st.lists(
    st.builds(
        RowFacts,
        nct_id=st.integers(0, 99_999_999).map(lambda n: f"NCT{n:08d}"),
        label=st.sampled_from(["failure", "success"]),
        start_date=DATES,
        first_submitted=DATES,
    ),
    max_size=60,
    unique_by=lambda row: row.nct_id,
)


def rows(*starts):
    return [RowFacts(f"NCT{n:08d}", "success", start) for n, start in enumerate(starts)]


def test_own_split():
    facts = [RowFacts("NCT1", "success", own_split="valid")]
    assert OwnSplit().assign(facts) == ["valid"]
    with pytest.raises(SplitError, match=r"no split of their own. Split by start date or at rand"):
        OwnSplit().assign(rows("2001"))


def test_cut_points_put_a_row_on_the_cut_after_it():
    rule = TimeSplit(valid_from="2004-08", test_from="2006")
    starts = ("1999", "2004-07-31", "2004-08", "2004-08-01", "2005-12-31", "2006", "2006-01")
    expected = ["train", "train", "valid", "valid", "valid", "test", "test"]
    assert rule.assign(rows(*starts)) == expected


def test_cut_points_without_a_test_split():
    assert TimeSplit(valid_from="2004").assign(rows("2003", "2030")) == ["train", "valid"]


def test_shares_go_from_old_to_new_and_one_date_stays_together():
    rule = TimeSplit(shares=(0.5, 0.25, 0.25))
    assert rule.assign(rows("2004", "2001", "2002", "2003")) == ["test", "train", "train", "valid"]
    years = ("2001", "2001", "2002", "2002", "2003", "2003", "2004", "2004")
    assert rule.assign(rows(*years)) == ["train"] * 4 + ["valid"] * 2 + ["test"] * 2


def test_rows_of_one_date_are_parted_by_number_where_a_split_would_be_empty_or_far_off():
    rule = TimeSplit(shares=(0.5, 0.25, 0.25))
    assert rule.assign(rows("2001", "2001", "2001", "2001")) == ["train", "train", "valid", "test"]
    # Of 100 trials 40 share one date in the middle.
    dates = [f"{1950 + n}" for n in range(30)] + ["1985"] * 40 + [f"{1990 + n}" for n in range(30)]
    splits = TimeSplit(shares=(0.4, 0.2, 0.4)).assign(rows(*dates))
    assert [splits.count(split) for split in ("train", "valid", "test")] == [40, 20, 40]
    assert splits == sorted(splits, key=("train", "valid", "test").index)
    together = TimeSplit(shares=(0.4, 0.2, 0.4), keep_dates=True).assign(rows(*dates))
    assert "valid" not in together


def test_what_came_of_shares_is_told_where_it_is_not_what_was_asked_for():
    rule = TimeSplit(shares=(0.8, 0.1, 0.1))
    assert real_shares(rule, ["train"] * 8 + ["valid", "test"]) == str(rule)
    assert real_shares(rule, ["train"] * 5 + ["test"] * 5).endswith("; real shares 0.5 / 0 / 0.5")
    fixed = TimeSplit(valid_from="2004")
    assert real_shares(fixed, ["train"]) == str(fixed)


def test_an_old_trial_without_a_start_is_not_the_newest_by_its_registration():
    facts = [
        *(RowFacts(f"NCT0000010{n}", "success", f"{1990 + n}", "1999-11") for n in range(6)),
        RowFacts("NCT00000001", "success", None, "1999-11"),
        RowFacts("NCT00000002", "success", None, "1992"),
        RowFacts("NCT00000003", "success", None, None),
    ]
    by_cut = TimeSplit(valid_from="1994").assign(facts)
    assert by_cut[:6] == ["train"] * 4 + ["valid"] * 2
    assert by_cut[6:] == [None, "train", None]
    by_shares = TimeSplit(shares=(0.5, 0.25, 0.25)).assign(facts)
    assert by_shares[6:] == [None, "train", None]


def test_where_most_starts_are_unknown_all_are_dated_by_their_first_submission():
    facts = [RowFacts("NCT1", "success", None, "2005-01-01")]
    assert TimeSplit(valid_from="2004").assign(facts) == ["valid"]


@pytest.mark.parametrize(("undated", "split"), [("drop", None), ("train", "train")])
def test_rows_without_a_date(undated, split):
    rule = TimeSplit(valid_from="2004", undated=undated)
    assert rule.assign(rows(None, "2005")) == [split, "valid"]


def test_first_submission_and_nct_number_as_date():
    facts = [
        RowFacts("NCT00000002", "success", "2001", "2009-01-01"),
        RowFacts("NCT00000001", "success", "2009", "2001-01-01"),
    ]
    by_submission = TimeSplit(valid_from="2005", dating="first_submitted")
    assert by_submission.assign(facts) == ["valid", "train"]
    by_number = TimeSplit(shares=(0.5, 0.5, 0.0), dating="nct_number")
    assert by_number.assign(facts) == ["valid", "train"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "needs cut points or shares, one of the two"),
        ({"valid_from": "2004", "shares": (0.8, 0.1, 0.1)}, "one of the two"),
        ({"test_from": "2004", "shares": (0.8, 0.1, 0.1)}, "one of the two"),
        ({"test_from": "2004"}, "one of the two"),
        ({"valid_from": "2006", "test_from": "2004"}, "would begin before the validation"),
        ({"valid_from": "2006", "dating": "nct_number"}, "NCT numbers are split by shares"),
        ({"shares": (0.5, 0.1, 0.1)}, r"shares 0.5 / 0.1 / 0.1 are not a split. Give three shares"),
        ({"shares": (0.0, 0.5, 0.5)}, "are not a split"),
        ({"shares": (1.5, -0.5, 0.0)}, "are not a split"),
        ({"valid_from": "June 2004"}, "'June 2004' is not a date. Write it as 2004, 2004-06"),
        ({"valid_from": "2004", "test_from": "2005-13"}, "'2005-13' is not a date"),
    ],
)
def test_settings_that_are_no_split_by_time(settings, message):
    with pytest.raises(SplitError, match=message):
        TimeSplit(**settings)


@given(ROWS, st.integers(0, 5))
def test_a_random_split_is_the_same_in_any_row_order(facts, seed):
    rule = RandomSplit(seed=seed)
    split_of = dict(zip([row.nct_id for row in facts], rule.assign(facts), strict=True))
    backwards = facts[::-1]
    assert rule.assign(backwards) == [split_of[row.nct_id] for row in backwards]


def test_a_random_split_keeps_the_share_of_labels_and_depends_on_its_seed():
    facts = [RowFacts(f"NCT{n:08d}", "success" if n % 5 else "failure") for n in range(500)]
    splits = RandomSplit((0.6, 0.2, 0.2), seed=1).assign(facts)
    for split, size in (("train", 300), ("valid", 100), ("test", 100)):
        labels = [row.label for row, s in zip(facts, splits, strict=True) if s == split]
        assert len(labels) == size
        assert labels.count("failure") == size / 5
    assert RandomSplit((0.6, 0.2, 0.2), seed=2).assign(facts) != splits


def test_a_random_split_keeps_the_rows_of_a_trial_together():
    facts = [RowFacts(f"NCT{n // 2:08d}", "success") for n in range(40)]
    splits = RandomSplit((0.5, 0.25, 0.25)).assign(facts)
    check_disjoint([row.nct_id for row in facts], splits)


@given(ROWS, st.sampled_from([(0.6, 0.2, 0.2), (0.8, 0.1, 0.1), (0.5, 0.5, 0.0)]))
def test_no_split_with_a_share_is_empty_while_there_are_rows_for_it(facts, shares):
    splits = [split for split in TimeSplit(shares=shares).assign(facts) if split is not None]
    dated = sum(row.start_date is not None for row in facts)
    if dated < 20 or 2 * dated < sum(bool(r.start_date or r.first_submitted) for r in facts):
        return
    for split, share in zip(("train", "valid", "test"), shares, strict=True):
        assert (splits.count(split) > 0) == (share > 0)


@given(ROWS)
def test_training_rows_are_older_than_validation_rows_and_those_older_than_test_rows(facts):
    rule = TimeSplit(shares=(0.6, 0.2, 0.2))
    dates = {"train": [], "valid": [], "test": []}
    by_start = 2 * sum(row.start_date is not None for row in facts) >= sum(
        bool(row.start_date or row.first_submitted) for row in facts
    )

    def date_of(row):
        first, second = row.start_date, row.first_submitted
        return (first or second) if by_start else (second or first)

    for row, split in zip(facts, rule.assign(facts), strict=True):
        if not (row.start_date or row.first_submitted):
            assert split is None
        elif split is not None:
            dates[split].append(date_of(row))
    for older, newer in (("train", "valid"), ("valid", "test"), ("train", "test")):
        if dates[older] and dates[newer]:
            assert max(dates[older]) <= min(dates[newer])


def test_trials_in_two_splits_are_named():
    ids = [f"NCT{n:08d}" for n in range(7)] * 2
    with pytest.raises(SplitError, match=r"7 trials are in more than one split: NCT00000000, .* "):
        check_disjoint(ids, ["train"] * 7 + ["test"] * 7)
    check_disjoint(ids, ["train"] * 14)


def test_rules_tell_what_they_do():
    assert str(TimeSplit(valid_from="2004", undated="train")) == (
        "by start date (first submission where most have none): valid from 2004, no test split; "
        "rows without one in train"
    )
    assert "shares 0.8 / 0.1 / 0.1, seed 3" in str(RandomSplit(seed=3))


def test_walking_forward_checks_each_cut_on_what_came_next():
    starts = ("2001", "2004-05", "2005", "2006-02", None)
    first, second = walk_forward(rows(*starts), ["2004", "2006"])
    assert first == ["train", "valid", "valid", None, None]
    assert second == ["train", "train", "train", "valid", None]


@pytest.mark.parametrize("cuts", [[], ["2006", "2004"], ["2004", "2004"], ["May"]])
def test_walking_forward_takes_dates_in_order(cuts):
    with pytest.raises(SplitError, match=r"from old to new|is not a date"):
        walk_forward(rows("2001"), cuts)
