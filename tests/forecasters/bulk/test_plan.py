from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from llm4top.data.dataset import CARD_FILE, TRIALS_FILE
from llm4top.errors import UnknownFormatError
from llm4top.forecasters.bulk.plan import Shard, plan
from tests.forecasters.bulk.kit import make_zip, record


def write(folder: Path, *names: str) -> None:
    folder.mkdir(exist_ok=True)
    for number, name in enumerate(names):
        (folder / name).write_text(record(number), encoding="utf-8")


def test_a_zip_is_divided_by_its_members(tmp_path: Path) -> None:
    shards = plan([make_zip(tmp_path / "a.zip", 5)], 2)
    assert [(s.number, s.kind, s.start, s.stop) for s in shards] == [
        (0, "members", 0, 2),
        (1, "members", 2, 4),
        (2, "members", 4, 5),
    ]
    assert [s.expected for s in shards] == [2, 2, 1]
    assert shards[1].place == f"{tmp_path / 'a.zip'}, members 3 to 4"


def test_a_folder_is_divided_by_its_files_and_what_is_in_its_zips(tmp_path: Path) -> None:
    write(tmp_path / "in", "a.xml", "b.xml", "c.xml", "z.xml")
    make_zip(tmp_path / "in" / "n.zip", 3)
    shards = plan([tmp_path / "in"], 2)
    assert [s.files or (s.start, s.stop) for s in shards] == [
        ("a.xml", "b.xml"),
        ("c.xml",),
        (0, 2),
        (2, 3),
        ("z.xml",),
    ]
    assert [s.number for s in shards] == [0, 1, 2, 3, 4]
    assert shards[2].name == str(tmp_path / "in" / "n.zip")
    assert shards[0].place == f"{tmp_path / 'in'}, a.xml to b.xml"


def test_a_data_set_is_its_rows_and_its_card_is_no_record(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / CARD_FILE).write_text("{}")
    pq.write_table(pa.table({"nct_id": ["a", "b", "c"], "trial": ["{}"] * 3}), folder / TRIALS_FILE)
    shards = plan([folder], 2)
    assert [(s.kind, s.start, s.stop) for s in shards] == [("rows", 0, 2), ("rows", 2, 3)]
    assert {s.name for s in shards} == {str(folder / TRIALS_FILE)}


def test_a_parquet_file_of_something_else_is_left_to_the_reader(tmp_path: Path) -> None:
    pq.write_table(pa.table({"price": [1.0]}), tmp_path / "prices.parquet")
    (shard,) = plan([tmp_path / "prices.parquet"])
    assert (shard.kind, shard.files) == ("files", ())


def test_large_files_stand_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "in", "a.json", "b.json", "c.json")
    size = (tmp_path / "in" / "a.json").stat().st_size
    monkeypatch.setattr("llm4top.forecasters.bulk.plan._MOST_BYTES", 2 * size + 200)
    assert [s.files for s in plan([tmp_path / "in"], 9)] == [("a.json", "b.json"), ("c.json",)]


def test_keys_tell_content_apart_and_not_where_it_is_opened(tmp_path: Path) -> None:
    (first,) = plan([make_zip(tmp_path / "a.zip", 2)])
    (again,) = plan([make_zip(tmp_path / "a.zip", 2)])
    (other,) = plan([make_zip(tmp_path / "a.zip", 2, broken=(1,))])
    assert first.key == again.key
    assert first.key != other.key
    assert Shard.from_json(first.to_json()) == first


def test_names_are_those_that_the_user_gave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "in", "a.xml")
    monkeypatch.chdir(tmp_path)
    (shard,) = plan([Path("in")])
    assert (shard.name, shard.path) == ("in", str(tmp_path / "in"))


def test_a_path_that_is_not_there_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(UnknownFormatError, match="there is no such file or folder"):
        plan([tmp_path / "nothing.zip"])
