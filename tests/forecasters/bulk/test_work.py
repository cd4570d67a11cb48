from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from llm4top.data.parquet import encode_trial
from llm4top.errors import ShardError, WorkspaceError
from llm4top.forecasters.bulk.folder import (
    busy,
    finished,
    job_of,
    note_copies,
    opened_folder,
    rows,
)
from llm4top.forecasters.bulk.plan import Shard, plan
from llm4top.forecasters.bulk.rows import FORECASTS
from llm4top.forecasters.bulk.work import ATTEMPTS, BUSY_FOLDER, ShardForecaster, Work
from llm4top.forecasters.forecast import forecast_records
from llm4top.forecasters.forecast_format import COLUMNS
from llm4top.forecasters.forecaster import Forecaster
from llm4top.forecasters.load import load_forecaster
from llm4top.registry.reader import read_records
from tests.forecasters.bulk.kit import make_zip, record, refused_in, rows_in


@pytest.fixture(scope="module")
def forecaster() -> Forecaster:
    return load_forecaster("embedded")


def job(shards: list[Shard], paths: list[Path], **changed: Any) -> dict[str, Any]:
    asked = {
        "model": "m",
        "question": "outcome",
        "base_rate": None,
        "quantize": None,
        "shard_records": 3,
    }
    return job_of(shards, paths, **{**asked, **changed})


def forecast_all(forecaster: Any, paths: list[Path], out: Path, size: int = 3) -> list[Shard]:
    shards = plan(paths, size)
    work = ShardForecaster(forecaster, Work(str(out)), "m1")
    with opened_folder(out, job(shards, paths)):
        for shard in shards:
            work(shard)
    work.close()
    return shards


def test_rows_are_those_of_forecast_records_to_the_last_digit(
    forecaster: Forecaster, tmp_path: Path
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.xml").write_text(record(1), encoding="utf-8")
    (folder / "readme.txt").write_text("A list of records.", encoding="utf-8")
    make_zip(folder / "b.zip", 7, broken=(4,))
    refusals: list[Any] = []
    records = read_records(folder, on_refusal=refusals.append)
    expected = [found.row() for found in forecast_records(forecaster, records, chunk=64)]
    shards = forecast_all(forecaster, [folder], tmp_path / "out")
    assert rows_in(tmp_path / "out") == expected
    assert tuple(FORECASTS.names) == tuple(COLUMNS)
    (refused,) = refused_in(tmp_path / "out")
    assert (refused["file"], refused["member"]) == (str(folder / "b.zip"), "NCT90000004.xml")
    assert (refused["reason"], refused["line"]) == (refusals[0].message, refusals[0].line)
    facts = finished(tmp_path / "out", shards)
    assert sum(found.records for found in facts.values()) == 8
    assert [found.passed for found in facts.values() if found.passed] == [
        ((str(folder), 1, ("readme.txt",)),)
    ]
    assert busy(tmp_path / "out") == []


def test_parquet_has_stored_trials_or_columns_of_trials(
    forecaster: Forecaster, tmp_path: Path
) -> None:
    found = list(read_records(make_zip(tmp_path / "a.zip", 5)))
    stored = pa.table(
        {
            "nct_id": [r.nct_id for r in found],
            "source_sha256": [r.source.sha256 for r in found],
            "trial": [encode_trial(r.trial) for r in found[:4]] + ["{}x"],
        }
    )
    pq.write_table(stored, tmp_path / "stored.parquet", row_group_size=2)
    columns = pa.table({"nctid": ["NCT90000000"], "phase": ["Phase 2"], "conditions": ["asthma"]})
    pq.write_table(columns, tmp_path / "columns.parquet")
    paths = [tmp_path / "stored.parquet", tmp_path / "columns.parquet"]
    forecast_all(forecaster, paths, tmp_path / "out")
    made = rows_in(tmp_path / "out")
    wanted = [f.row() for f in forecast_records(forecaster, [r.trial for r in found[:4]])]
    assert [row["probability"] for row in made[:4]] == [row["probability"] for row in wanted]
    assert made[1]["record"] == f"{paths[0]}!#2"
    assert made[4]["nct_id"] == "NCT90000000"
    assert made[4]["phase"] == "Phase 2"
    (refused,) = refused_in(tmp_path / "out")
    assert refused["member"] == "#5"
    assert "a stored trial is not one" in refused["reason"]


def test_odd_cells_of_parquet_do_not_stop_their_neighbours(
    forecaster: Forecaster, tmp_path: Path
) -> None:
    path = tmp_path / "odd.parquet"
    columns = {
        "nct_id": [7, None],
        "phase": ["Phase 2"] * 2,
        "planned_enrolment": [40.0, float("inf")],
        "why_stopped": ["Lack of efficacy", None],
    }
    pq.write_table(pa.table(columns), path)
    forecast_all(forecaster, [path], tmp_path / "out")
    (made,) = rows_in(tmp_path / "out")
    (refused,) = refused_in(tmp_path / "out")
    assert made["nct_id"] == "7"
    assert (refused["member"], refused["element"]) == ("#2", "column 'planned_enrolment'")
    assert refused["reason"] == "must be a whole number, not inf."


def test_a_damaged_part_of_parquet_is_refused_and_the_rest_is_read(
    forecaster: Forecaster, tmp_path: Path
) -> None:
    file = tmp_path / "trials.parquet"
    table = pa.table(
        {"title": [f"Trial {number}" for number in range(6)], "phase": ["Phase 2"] * 6}
    )
    pq.write_table(table, file, row_group_size=2, compression="none", use_dictionary=False)
    column = pq.read_metadata(file).row_group(1).column(0)
    content = bytearray(file.read_bytes())
    end = column.data_page_offset + column.total_compressed_size
    content[column.data_page_offset : end] = b"\xff" * column.total_compressed_size
    file.write_bytes(content)
    out = tmp_path / "out"
    forecast_all(forecaster, [file], out, size=2)
    assert [row["record"].rpartition("#")[2] for row in rows_in(out)] == ["1", "2", "5", "6"]
    refused = refused_in(out)
    assert [row["member"] for row in refused] == ["#3", "#4"]
    assert refused[0]["reason"].startswith("this part of the file cannot be read (")
    assert refused[0]["hint"] == "The file is damaged: make it again."


def test_finished_shards_are_not_forecast_again(forecaster: Forecaster, tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", 7)
    shards = forecast_all(forecaster, [path], tmp_path / "out")
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").glob("part-*")}
    lost = tmp_path / "out" / shards[1].file
    lost.write_bytes(lost.read_bytes()[:99])
    assert set(finished(tmp_path / "out", shards)) == {0, 2}
    forecast_all(forecaster, [path], tmp_path / "out")
    changed = [p for p, at in before.items() if p.stat().st_mtime_ns != at]
    assert changed == [lost]
    assert len(rows_in(tmp_path / "out")) == 7


def test_copies_are_found_across_shards(forecaster: Forecaster, tmp_path: Path) -> None:
    paths = [make_zip(tmp_path / "a.zip", 4), make_zip(tmp_path / "b.zip", 2)]
    shards = forecast_all(forecaster, paths, tmp_path / "out", 4)
    first, second = rows(tmp_path / "out", shards)
    assert [row.nct_id for row in first] == ["NCT90000000", "NCT90000001", None, None]
    file = tmp_path / "out" / shards[1].file
    note_copies(file, [first[0].record, None])
    assert [row["same_trial_as"] for row in rows_in(tmp_path / "out")[4:]] == [
        f"{paths[0]}!NCT90000000.xml",
        None,
    ]
    assert set(finished(tmp_path / "out", shards)) == {0, 1}
    at = file.stat().st_mtime_ns
    note_copies(file, [first[0].record, None])
    assert file.stat().st_mtime_ns == at
    assert [row.record for row in second] == [f"{paths[1]}!NCT9000000{n}.xml" for n in (0, 1)]


class Failing:
    """The forecaster, until it comes to its second chunk."""

    def __init__(self, forecaster: Forecaster, error: Exception):
        self._forecaster = forecaster
        self._error = error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._forecaster, name)

    def logits_and_parts(self, trials: Any, **options: Any) -> Any:
        raise self._error


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(28, "No space left on device", "x"), "No space left on device (x)."),
        (ValueError("odd"), "ValueError: odd."),
    ],
)
def test_a_failure_names_machine_shard_and_records_and_leaves_nothing(
    forecaster: Forecaster, tmp_path: Path, error: Exception, words: str
) -> None:
    path = make_zip(tmp_path / "a.zip", 4)
    with pytest.raises(ShardError) as told:
        forecast_all(Failing(forecaster, error), [path], tmp_path / "out", 9)
    assert str(told.value) == (
        f"{path}, members 1 to 4: the machine m1 failed at the records {path}!NCT90000000.xml to "
        f"{path}!NCT90000003.xml: {words} What is finished stays: repair it and give the same "
        "command again."
    )
    assert rows_in(tmp_path / "out") == []
    assert busy(tmp_path / "out") == [f"{path}!NCT90000000.xml on the machine m1"]


def test_a_shard_at_which_processes_die_is_given_up(forecaster: Forecaster, tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", 4)
    shards = plan([path])
    work = ShardForecaster(forecaster, Work(str(tmp_path / "out")), "m2")
    with opened_folder(tmp_path / "out", job(shards, [path])):
        left = tmp_path / "out" / BUSY_FOLDER / shards[0].file
        left.write_text(json.dumps({"machine": "m1", "record": "r7", "attempt": ATTEMPTS}))
        with pytest.raises(
            ShardError,
            match="5 processes died there, the last one on the machine m1 at the record r7 or one "
            "of the 63 behind it",
        ):
            work(shards[0])
    with opened_folder(tmp_path / "out", job(shards, [path])):
        assert work(shards[0]).forecasts == 4  # another call counts anew
    work.close()


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"model": "n"}, "The model differs: m, not n."),
        ({"base_rate": "0.5"}, "The base rate differs: none, not 0.5."),
        ({"shard_records": 4}, "The size of shards differs: 3, not 4."),
    ],
)
def test_a_folder_of_another_job_is_refused(
    tmp_path: Path, changed: dict[str, Any], words: str
) -> None:
    path = make_zip(tmp_path / "a.zip", 2)
    shards = plan([path])
    with opened_folder(tmp_path / "out", job(shards, [path])):
        pass
    with (
        pytest.raises(WorkspaceError, match="holds forecasts of another job") as told,
        opened_folder(tmp_path / "out", job(shards, [path], **changed)),
    ):
        pass
    assert words in str(told.value)


def test_other_content_under_the_same_name_is_another_job(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", 2)
    shards = plan([path])
    with (
        opened_folder(tmp_path / "out", job(shards, [path])),
        pytest.raises(WorkspaceError, match="another call is writing forecasts into it"),
        opened_folder(tmp_path / "out", job(shards, [path])),
    ):
        pass
    make_zip(path, 3)
    with (
        pytest.raises(WorkspaceError, match="The content of the paths differs"),
        opened_folder(tmp_path / "out", job(plan([path]), [path])),
    ):
        pass
    (tmp_path / "else").mkdir()
    (tmp_path / "else" / "file").touch()
    with (
        pytest.raises(WorkspaceError, match="exists and is not a folder of forecasts"),
        opened_folder(tmp_path / "else", job(shards, [path])),
    ):
        pass
