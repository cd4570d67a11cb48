"""Lengths of prompts beside the budgets: measured, binned, drawn and written down."""

from __future__ import annotations

from pathlib import Path

import pytest

from llm4top.data.dataset import make_dataset
from llm4top.errors import DatasetError, ModelError
from llm4top.forecasters.model.model_files import resolve_base
from llm4top.registry.trial import Trial
from llm4top.tasks.builtin import get_task
from llm4top.workspace.views import lengths as _lengths
from llm4top.workspace.views.lengths import (
    MOST_BINS,
    TextLengths,
    bin_edges,
    binned,
    budgets,
    highest_bar,
    lengths_chart,
    lengths_csv,
    text_lengths,
    tokenizers,
)
from llm4top.workspace.workspace import Workspace

LIMITS = {"small": 100, "large": 200}
TASK = get_task("outcome")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = make_dataset(
        [Trial(phase="Phase 2", criteria="word " * 100 * k) for k in range(1, 7)],
        ["success", "failure"] * 3,
        [f"NCT9000000{k}" for k in range(6)],
        ["train"] * 4 + ["valid"] * 2,
        task=TASK,
        name="invented",
    )
    target = tmp_path_factory.mktemp("lengths") / "invented"
    made.save(target)
    return target


def test_an_estimate_counts_four_characters_a_token(folder: Path) -> None:
    found = text_lengths(folder, "a", TASK, None)
    assert found.rows == len(found.tokens) == 6
    first, second = found.tokens[:2]
    assert abs(second - first - 125) <= 1
    assert not found.is_sample
    assert found.interval(500) is None


def test_a_tokenizer_counts_what_a_model_reads(folder: Path) -> None:
    file = resolve_base("embedded") / "tokenizer.json"
    found = text_lengths(folder, "a", TASK, file)
    # "word" is one token or two; the question and the chat format are in it too.
    assert found.tokens[0] > 100
    assert list(found.tokens) == sorted(found.tokens)


def test_a_large_data_set_is_measured_by_a_sample(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_lengths, "SAMPLE", 3)
    found = text_lengths(folder, "sampled", TASK, None)
    assert (len(found.tokens), found.rows, found.is_sample) == (3, 6, True)
    low, high = found.interval(0) or (0, 0)
    assert 0.4 < low < high == pytest.approx(1)


def test_what_cannot_be_read_says_so(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="its trials cannot be read"):
        text_lengths(tmp_path, "b", TASK, None)
    broken = tmp_path / "tokenizer.json"
    broken.write_text("{")
    with pytest.raises(ModelError, match="its tokenizer cannot be read"):
        text_lengths(folder, "b", TASK, broken)


def test_the_embedded_model_has_a_tokenizer_to_ask(tmp_path: Path) -> None:
    with Workspace.open(tmp_path / "home") as workspace:
        found = tokenizers(workspace)
    called, file = found["embedded"]
    assert called == "Embedded default, its base model"
    assert file.is_file()


def test_budgets_rise() -> None:
    assert list(budgets()) == ["quick", "standard", "thorough"]
    assert list(budgets().values()) == sorted(budgets().values())


def test_bins_hold_every_prompt_and_every_budget() -> None:
    lengths = TextLengths((0, 9, 10, 199, 5000), 5)
    edges = bin_edges(lengths, LIMITS)
    counts = binned(lengths, edges)
    assert edges[0] == 0
    assert 200 < edges[-1] <= 620  # three times the largest budget, to the end of a bin
    assert len(counts) <= MOST_BINS + 1
    assert sum(counts) == 5
    assert counts[-1] == 1
    assert highest_bar(lengths, LIMITS) == counts[0] == 3
    assert [lengths.longer(limit) for limit in (0, 9, 199, 200)] == [4, 3, 1, 1]


def test_the_chart_draws_each_budget_and_the_csv_gives_its_numbers() -> None:
    lengths = TextLengths((50, 60, 150), 3)
    drawn = lengths_chart(lengths, {"small & quick": 100, "large": 200})
    assert "small &amp; quick 100" in drawn
    assert drawn.count("stroke-dasharray") == 2
    rows = lengths_csv(lengths, LIMITS).decode().splitlines()
    assert rows[0] == "from_tokens,below_tokens,trials"
    assert sum(int(row.rpartition(",")[2]) for row in rows[1:]) == 3
    assert rows[-1].split(",")[1] == ""
