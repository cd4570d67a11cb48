"""No fold lets a row that checks into what learns, and test rows are in one place only."""

import pytest

from llm4top.benchmark.rows import POOLED, Rows, settle_data
from llm4top.errors import SplitError
from tests.benchmark.conftest import write_top


@pytest.fixture
def dataset(settings):
    return settle_data(settings())


def test_folds_keep_what_checks_apart(dataset):
    rows = Rows(dataset, test=True, newest=True)
    own, newest = rows.folds
    assert list(own.checks) == ["valid", "test"]
    assert list(newest.checks) == ["newest"]
    sealed = set(dataset.select("test").nct_ids)
    assert set(own.checks["test"].nct_ids) == sealed
    for fold in rows.folds:
        learnt = set(fold.learn.nct_ids)
        for checked in fold.checks.values():
            assert not learnt & set(checked.nct_ids)
        assert not sealed & (learnt | set(fold.tuning.nct_ids))
    assert not set(newest.tuning.nct_ids) & set(newest.checks["newest"].nct_ids)
    assert set(newest.tuning.nct_ids) == set(newest.learn.nct_ids)


def test_the_newest_are_newer_than_what_is_learnt(dataset):
    newest = Rows(dataset, test=False, newest=True).folds[1]
    assert max(newest.learn.nct_ids) < min(newest.checks["newest"].nct_ids)
    tuning = newest.tuning
    assert max(tuning.select("train").nct_ids) < min(tuning.select("valid").nct_ids)


def test_a_test_that_is_not_asked_for_is_in_no_check(dataset):
    rows = Rows(dataset, test=False, newest=False)
    assert [list(fold.checks) for fold in rows.folds] == [["valid"]]


def test_phases_go_by_file(dataset):
    rows = Rows(dataset, test=True, newest=False)
    valid = rows.folds[0].checks["valid"]
    assert rows.phases == ("I", "II")
    assert [len(rows.of_phase(valid, p)) for p in ("I", "II", POOLED)] == [40, 40, 80]
    assert {t.phase for t in rows.of_phase(valid, "I").trials} == {"Phase 1"}


def test_data_without_validation_rows_are_refused(settings, tmp_path):
    data = write_top(tmp_path / "only-train", {"train": 120})
    with pytest.raises(SplitError, match="the valid split is empty"):
        settle_data(settings(data=data))


def test_a_data_set_is_made_once(settings):
    chosen = settings()
    first = settle_data(chosen)
    made = sorted((chosen.out / "data").rglob("*"))
    stamps = [path.stat().st_mtime_ns for path in made]
    assert settle_data(chosen).sha256 == first.sha256
    assert [path.stat().st_mtime_ns for path in made] == stamps
    assert settle_data(settings(data=made[0])).sha256 == first.sha256
