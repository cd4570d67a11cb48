"""``llm4top compare``: several forecasters, one look, differences in words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.test_evaluate import EMBEDDED, evaluate, write_top

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The made-up files, ingested."""
    from llm4top.data.ingest import ingest

    folder = tmp_path_factory.mktemp("top")
    ingest([write_top(folder / "files")], folder / "data", task="outcome")
    return folder / "data"


def compare(*args: str | Path):
    return evaluate(*args, command="compare")


def test_several_forecasters_on_the_same_rows(
    data: Path, tiny_bundle: Path, tiny_model: Path, home: Path, tmp_path: Path
) -> None:
    result = compare(
        "embedded",
        tiny_bundle,
        tiny_model,
        "--data",
        data,
        "--split",
        "test",
        "--device",
        "cpu",
        "--out",
        tmp_path / "report",
    )
    assert result.exit_code == 0, result.output
    text = result.stdout
    for name in (EMBEDDED, "tiny", "tiny-qwen3, zero-shot"):
        assert f"\n{name} " in text
    assert "ROC-AUC, tiny minus llm4top-mini (embedded): " in text
    assert "corrected for 5 comparisons" in text
    assert "1 look at these test rows so far" in text
    looks = (home / "test-ledger.jsonl").read_text().splitlines()
    assert len(looks) == 1
    look = json.loads(looks[0])
    assert look["what"] == "compare"
    assert look["bundle"].count(", ") == 2
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    assert report["kind"] == "comparison"
    assert report["title"] == "3 forecasters on data, test split"


def test_one_is_not_enough(data: Path) -> None:
    result = compare("embedded", "--data", data)
    assert result.exit_code == 2
    assert "give two or more" in result.stderr


def test_the_same_one_twice_is_refused(data: Path) -> None:
    result = compare("embedded", "embedded", "--data", data)
    assert result.exit_code == 2
    assert "is named twice. Name each forecaster once." in result.stderr
