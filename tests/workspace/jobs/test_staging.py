"""Uploads are laid out under plain names, and errors name them by these."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from llm4top.errors import DatasetError, UploadError
from llm4top.workspace.jobs.ingest_job import Staging, link_name
from llm4top.workspace.workspace import Workspace


@pytest.mark.parametrize(
    ("name", "link"),
    [
        ("labels.csv", "labels.csv"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("...", "upload"),
        ("my labels é.csv", "my_labels_.csv"),
        ("x" * 300 + ".csv", "x" * 96 + ".csv"),
        ("\x00\n", "_"),
    ],
)
def test_a_link_bears_a_plain_name(name: str, link: str) -> None:
    assert link_name(name) == link


def test_errors_name_the_files_and_not_their_places(local: Workspace, tmp_path: Path) -> None:
    kept = local.uploads.add("labels.csv", io.BytesIO(b"nctid\n"))

    def fail() -> None:
        with Staging(local.uploads, tmp_path) as staging:
            file = staging.one(kept.id)
            assert file is not None
            assert file.read_text() == "nctid\n"
            where = tmp_path / ".top-abc" / "phase_I.csv"
            raise DatasetError(f"{file} is wrong.", where=str(where))

    with pytest.raises(DatasetError, match=r"^phase_I\.csv: labels\.csv is wrong\.$"):
        fail()
    assert list(tmp_path.glob("sources")) == []


def test_files_of_top_lie_together(local: Workspace, tmp_path: Path) -> None:
    names = ("phase_I_train.csv", "r.xml", "titles_and_dates.csv", "r.xml")
    ids = [local.uploads.add(name, io.BytesIO(b"x")).id for name in names]
    with Staging(local.uploads, tmp_path) as staging:
        top, *others = staging.all(ids)
        assert {file.name for file in top.iterdir()} == {names[0], names[2]}
        assert [file.name for file in others] == ["r.xml", "r.xml"]
    said = r"phase_I_train\.csv: was brought in twice"
    with Staging(local.uploads, tmp_path) as staging, pytest.raises(UploadError, match=said):
        staging.all([ids[0], ids[0]])
