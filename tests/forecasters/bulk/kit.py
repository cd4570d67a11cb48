"""Invented records in a zip, and the folders that bulk forecasts of them make."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

import llm4top
from llm4top.forecasters.bulk.work import REFUSED_FOLDER

EXAMPLE = Path(llm4top.__file__).parent / "examples" / "example.xml"
OWN_ID = "NCT99999901"


def record(number: int) -> str:
    """The example with another id and title."""
    text = EXAMPLE.read_text("utf-8")
    assert OWN_ID in text
    text = text.replace(OWN_ID, f"NCT9{number:07d}")
    return text.replace("<brief_title>", f"<brief_title>{'Long term ' * (number % 5)}", 1)


def make_zip(path: Path, count: int, *, broken: tuple[int, ...] = ()) -> Path:
    """A zip of records, some of which are cut off."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(count):
            text = record(number)
            cut = len(text) // 2 if number in broken else len(text)
            archive.writestr(f"NCT9{number:07d}.xml", text[:cut])
    return path


def rows_in(folder: Path) -> list[dict[str, Any]]:
    """All rows of a folder in their order."""
    files = sorted(folder.glob("part-*.parquet"))
    return [row for file in files for row in pq.read_table(file).to_pylist()]


def refused_in(folder: Path) -> list[dict[str, Any]]:
    """All refused records of a folder in their order."""
    files = sorted((folder / REFUSED_FOLDER).glob("*.parquet"))
    return [row for file in files for row in pq.read_table(file).to_pylist()]
