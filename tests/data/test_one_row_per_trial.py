from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from llm4top.data.pool import Candidate, pool

SPLITS = ("train", "valid", "test")


def candidate(nct_id, own_split="train", **changes):
    values = {
        "label": "success",
        "phase": "Phase 1",
        "file": f"phase_I_{own_split}.csv",
        "start_date": None,
        "first_submitted": None,
        "processed": None,
        "format": "top-csv",
        "source_sha256": "",
    }
    return Candidate(nct_id=nct_id, own_split=own_split, **{**values, **changes})


def test_the_strictest_split_keeps_the_trial():
    rows = [candidate("NCT1", split) for split in SPLITS]
    rows += [candidate("NCT2", "train"), candidate("NCT2", "valid")]
    pooled = pool(rows, keep_own_split=True)
    assert list(pooled.kept) == [2, 4]
    assert pooled.dropped == [
        ("NCT1", "also in a test file: left out of train"),
        ("NCT1", "also in a test file: left out of valid"),
        ("NCT2", "also in a validation file: left out of train"),
    ]


def test_a_new_split_uses_train_and_valid_and_never_a_test_trial():
    rows = [candidate("NCT1", split) for split in SPLITS]
    rows += [candidate("NCT2", "train"), candidate("NCT2", "valid")]
    pooled = pool(rows, keep_own_split=False)
    assert pooled.kept == {3: ("phase_I_train.csv", "phase_I_valid.csv")}
    assert Counter(reason for _, reason in pooled.dropped) == {
        "also in a test file: left out of train": 1,
        "also in a test file: left out of valid": 1,
        "in a test file of its source, which no other split may use": 1,
    }


def test_copies_are_merged_and_their_files_remembered():
    rows = [
        candidate("NCT1", phase="Phase 1/Phase 2"),
        candidate("NCT1", phase="Phase 1/Phase 2", file="phase_II_train.csv"),
    ]
    pooled = pool(rows, keep_own_split=True)
    assert pooled.kept == {0: ("phase_I_train.csv", "phase_II_train.csv")}
    assert pooled.notes["copies of one trial merged into one row"] == 1


def test_copies_that_disagree_are_all_left_out():
    rows = [candidate("NCT1"), candidate("NCT1", label="failure")]
    rows += [candidate("NCT2"), candidate("NCT2", phase="Phase 2")]
    pooled = pool(rows, keep_own_split=True)
    assert pooled.kept == {}
    assert Counter(pooled.dropped) == {
        ("NCT1", "copies with different labels"): 2,
        ("NCT2", "copies with different phases"): 2,
    }


def test_the_newest_registry_record_stands_for_its_trial():
    rows = [
        candidate("NCT1", None, processed="2021-02-03", label="completed"),
        candidate("NCT1", None, processed="2023-02-03", label="stopped", file="new.zip"),
    ]
    pooled = pool(rows, keep_own_split=True)
    assert pooled.kept == {1: ("new.zip",)}
    assert pooled.notes["older records of a trial replaced by the newest"] == 1


def test_a_record_out_of_question_still_bars_its_trial():
    rows = [candidate("NCT1"), candidate("NCT1", "valid", in_question=False), candidate("NCT2")]
    pooled = pool(rows, keep_own_split=True)
    assert list(pooled.kept) == [2]
    assert pooled.dropped == [("NCT1", "also in a validation file: left out of train")]


CANDIDATES = st.lists(
    st.builds(
        candidate,
        nct_id=st.integers(0, 8).map(lambda n: f"NCT{n}"),
        own_split=st.sampled_from(SPLITS),
        label=st.sampled_from(["success", "failure"]),
        in_question=st.booleans(),
    ),
    max_size=40,
)


@given(CANDIDATES, st.booleans())
def test_no_trial_is_ever_in_two_splits(rows, keep_own_split):
    pooled = pool(rows, keep_own_split=keep_own_split)
    ids = [rows[position].nct_id for position in pooled.kept]
    assert len(ids) == len(set(ids))
    where = {row.nct_id: set() for row in rows}
    for row in rows:
        where[row.nct_id].add(row.own_split)
    for position in pooled.kept:
        kept = rows[position]
        assert kept.in_question
        if keep_own_split:
            stricter = SPLITS[SPLITS.index(kept.own_split) + 1 :]
            assert not where[kept.nct_id] & set(stricter)
        else:
            assert "test" not in where[kept.nct_id]


@given(CANDIDATES)
def test_every_record_in_question_is_kept_merged_or_dropped(rows):
    pooled = pool(rows, keep_own_split=True)
    merged = sum(pooled.notes.values())
    assert len(pooled.kept) + merged + len(pooled.dropped) == sum(r.in_question for r in rows)
