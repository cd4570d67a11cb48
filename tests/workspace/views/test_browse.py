"""Trials of a stored data set are searched, paged and opened; its time line is drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from llm4top.data.dataset import make_dataset
from llm4top.errors import DatasetError, NotFoundError
from llm4top.registry.trial import Intervention, Trial
from llm4top.workspace.views.browse import TrialTable, trial_table
from llm4top.workspace.views.data_charts import timeline_chart, timeline_csv

TITLES = (
    'Compound "A" in \\ migraine: brief_title',
    "Café study of MIGRAINE prevention",
    None,
    None,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    trials = [
        Trial(phase=f"Phase {k % 3 + 1}", brief_title=title, conditions=("a condition",))
        for k, title in enumerate(TITLES)
    ]
    trials[3] = Trial(
        conditions=("asthma", "cough"), interventions=(Intervention(name="exemplamab"),)
    )
    trials[2] = Trial(official_title="An official title", conditions=("a condition",))
    made = make_dataset(
        trials,
        ["success", "failure", "success", "failure"],
        [f"NCT9000000{k}" for k in range(4)],
        ["train", "train", "valid", "test"],
        task="outcome",
        start_dates=["2010-01-05", "2010-07", None, "2013"],
        statuses=["Completed", None, None, "Terminated"],
        why_stopped=[None, None, None, "slow enrolment"],
        name="invented",
    )
    target = tmp_path_factory.mktemp("browse") / "invented"
    made.save(target)
    return target


@pytest.fixture
def table(folder: Path) -> TrialTable:
    return TrialTable.open(folder)


def found(table: TrialTable, *args: str, **filters: str) -> set[str]:
    return {row.nct_id for row in table.rows(table.search(*args, **filters))}


def test_titles_are_read_as_they_were_written(table: TrialTable) -> None:
    titles = {row.nct_id: row.title for row in table.rows(table.search())}
    assert titles["NCT90000000"] == TITLES[0]
    assert titles["NCT90000001"] == TITLES[1]
    assert titles["NCT90000002"] == "An official title"
    assert titles["NCT90000003"] == "exemplamab: asthma, cough"


def test_every_word_has_to_be_there_whatever_its_case(table: TrialTable) -> None:
    assert found(table, "migraine") == {"NCT90000000", "NCT90000001"}
    assert found(table, "Migraine CAFÉ") == {"NCT90000001"}
    assert found(table, "nct90000003") == {"NCT90000003"}
    assert found(table, "asthma") == {"NCT90000003"}
    assert found(table, "official condition") == {"NCT90000002"}
    assert found(table, "nowhere") == set()


def test_splits_and_labels_narrow_the_search(table: TrialTable) -> None:
    assert len(table.search()) == len(table) == 4
    assert found(table, split="train", label="success") == {"NCT90000000"}
    assert found(table, "migraine", label="failure") == {"NCT90000001"}


def test_searching_and_paging_decode_no_trial(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Any) -> Trial:
        raise AssertionError("a trial was decoded")

    monkeypatch.setattr("llm4top.data.parquet.decode_trial", refuse)
    made = TrialTable.open(folder)
    assert len(made.rows(made.search("migraine"))) == 2


def test_one_trial_is_opened_with_its_label_side(table: TrialTable) -> None:
    position = table.search("nct90000003")[0]
    opened = table.open_trial(position)
    assert opened.trial.conditions == ("asthma", "cough")
    assert (opened.status, opened.why_stopped) == ("Terminated", "slow enrolment")
    assert opened.row.start_date == "2013"


def test_rows_of_later_parts_of_the_file_are_found(folder: Path, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    stored = pq.read_table(folder / "trials.parquet")
    pq.write_table(stored, tmp_path / "trials.parquet", row_group_size=3)
    made = TrialTable.open(tmp_path)
    for row in made.rows(made.search()):
        conditions = made.open_trial(row.position).trial.conditions
        assert ", ".join(conditions) in row.title + row.subjects


@pytest.mark.parametrize("position", [-1, 4])
def test_a_row_that_is_not_there(table: TrialTable, position: int) -> None:
    with pytest.raises(NotFoundError, match="has no such trial"):
        table.open_trial(position)


def test_a_folder_without_trials_is_told(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="its trials cannot be read"):
        TrialTable.open(tmp_path)
    (tmp_path / "trials.parquet").write_bytes(b"no parquet")
    with pytest.raises(DatasetError, match="its trials cannot be read"):
        TrialTable.open(tmp_path)


def test_a_table_is_read_once(folder: Path) -> None:
    assert trial_table(folder, "a") is trial_table(folder, "a")
    assert trial_table(folder, "b") is not trial_table(folder, "a")
    trial_table.cache_clear()


def test_the_time_line_counts_years_by_split(table: TrialTable) -> None:
    years = table.years()
    assert years == {2010: {"train": 2}, 2013: {"test": 1}}
    assert timeline_csv(years).decode() == ("start_year,train,valid,test\n2010,2,0,0\n2013,0,0,1\n")
    drawn = timeline_chart(years)
    assert "<title>2010, train: 2</title>" in drawn
    assert drawn.count("<rect") == 2
    assert 'aria-label="Trials by start year, 2010 to 2013, stacked by split."' in drawn
