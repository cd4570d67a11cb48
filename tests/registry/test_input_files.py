"""What a file seems to hold, told without reading it."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from llm4top.registry.input_files import expected_records
from llm4top.registry.limits import Limits
from tests.registry.builders import dump, study, xml


def zipped(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "."), content)
    return path


@pytest.mark.parametrize(
    ("content", "count"),
    [(xml(), 1), (dump([study(), study()]), None), (b"nctid,label\n", None), (b"noise", 1)],
)
def test_a_file_by_itself(tmp_path: Path, content: bytes, count: int | None) -> None:
    file = tmp_path / "0f"
    file.write_bytes(content)
    assert expected_records(file) == count


def test_a_zip_is_told_from_its_directory(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.mkdir("NCT0000xxxx")
        for name in ("NCT0000xxxx/a.xml", "b/b.XML", "__MACOSX/a.xml", ".DS_Store", "Contents.txt"):
            archive.writestr(name, b"not looked at")
    assert expected_records(tmp_path / "a.zip") == 2
    assert expected_records(zipped(tmp_path / "b.zip", a__xml=b"", b__json=b"[]")) is None
    assert (
        expected_records(zipped(tmp_path / "c.zip", a__xml=b"", b__xml=b""), Limits(zip_members=1))
        is None
    )


def test_what_cannot_be_read_is_not_known(tmp_path: Path) -> None:
    assert expected_records(tmp_path / "absent") is None
    broken = zipped(tmp_path / "a.zip", a__xml=xml())
    broken.write_bytes(broken.read_bytes()[:-20])
    assert expected_records(broken) is None
