"""How long the prompts of a data set's trials are, beside the budgets that models read within."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from llm4top.errors import DatasetError, ModelError

if TYPE_CHECKING:
    from llm4top.tasks import Task
    from llm4top.workspace._workspace import Workspace

SAMPLE = 500
"""Trials that are measured, at most: a tokenizer reads some hundred of them in a second."""

CHARACTERS_A_TOKEN = 4
"""What an estimate takes a token for, where no tokenizer is asked."""

_KEPT = 32


@dataclass(frozen=True, slots=True)
class TextLengths:
    """Lengths in tokens of the whole prompts of a random sample of ``rows`` trials.

    Question and frame count as well: a prompt that is longer than its budget is shortened.
    """

    tokens: tuple[int, ...]
    rows: int

    @property
    def is_sample(self) -> bool:
        """Whether some trials were not measured."""
        return len(self.tokens) < self.rows

    def longer(self, budget: int) -> int:
        """How many of the measured prompts are longer than ``budget``."""
        return sum(tokens > budget for tokens in self.tokens)

    def interval(self, budget: int) -> tuple[float, float] | None:
        """95 % Wilson interval of the share that is longer; None where all were measured."""
        if not self.is_sample or not self.tokens:
            return None
        from scipy.stats import binomtest

        found = binomtest(self.longer(budget), len(self.tokens)).proportion_ci(method="wilson")
        return float(found.low), float(found.high)


def budgets() -> dict[str, int]:
    """The token budget of each preset of a training, the smallest first."""
    from llm4top.training._config import preset_value
    from llm4top.training._presets import PRESETS

    return {name: int(preset_value(name, "max_tokens")) for name in PRESETS}


def tokenizers(workspace: Workspace) -> dict[str, tuple[str, Path]]:
    """The base models here whose tokenizer can be asked: what to call each, and its file."""
    from llm4top.forecasters import resolve_base
    from llm4top.workspace._places import base_place
    from llm4top.workspace._train_plan import base_models

    found = {}
    for name, called in base_models(workspace).items():
        try:
            file = resolve_base(base_place(workspace, name)) / "tokenizer.json"
        except ModelError:
            continue
        if file.is_file():
            found[name] = (called, file)
    return found


@lru_cache(maxsize=_KEPT)
def text_lengths(
    folder: Path,
    sha256: str,  # noqa: ARG001
    task: Task,
    tokenizer: Path | None,
) -> TextLengths:
    """Measure the data set in ``folder``; kept for the next time under its content's hash.

    Without a ``tokenizer``'s file it is an estimate, from ``CHARACTERS_A_TOKEN``. Takes seconds.
    Raises ``DatasetError`` where its trials, ``ModelError`` where the tokenizer cannot be read.
    """
    texts, rows = _prompts(folder, task)
    if tokenizer is None:
        return TextLengths(tuple(math.ceil(len(t) / CHARACTERS_A_TOKEN) for t in texts), rows)
    return TextLengths(tuple(_count(texts, tokenizer)), rows)


def _prompts(folder: Path, task: Task) -> tuple[list[str], int]:
    """The prompts of the sample, uncut, and how many trials there are."""
    from llm4top.data._store import decode_trial
    from llm4top.prompts import chat_message, trial_sections
    from llm4top.prompts._prompt import CLOSING, OPENING

    stored, rows = _sample(folder / "trials.parquet")
    texts = []
    for text in stored:
        sections = trial_sections(decode_trial(text), hidden_fields=task.hidden_fields)
        texts.append(OPENING + chat_message(sections, task) + CLOSING)
    return texts, rows


def _sample(file: Path) -> tuple[list[str], int]:
    """The stored text of trials drawn at random, the same ones each time."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    found: list[str] = []
    try:
        with pq.ParquetFile(file) as parquet:
            rows = parquet.metadata.num_rows
            drawn = sorted(random.Random(0).sample(range(rows), min(SAMPLE, rows)))
            first, at = 0, 0
            for batch in parquet.iter_batches(columns=["trial"]):
                inside = []
                while at < len(drawn) and drawn[at] < first + len(batch):
                    inside.append(drawn[at] - first)
                    at += 1
                found += batch.column("trial").take(pa.array(inside, pa.int64())).to_pylist()
                first += len(batch)
    except (OSError, KeyError, pa.ArrowException) as error:
        raise DatasetError(
            f"its trials cannot be read: {error}.", hint="Make the data set again."
        ) from error
    return found, rows


def _count(texts: Sequence[str], file: Path) -> list[int]:
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception as error:  # the library raises nothing narrower
        raise ModelError(
            f"its tokenizer cannot be read: {error}.",
            where=file.parent.name,
            hint="Download the model again.",
        ) from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return [len(found.ids) for found in tokenizer.encode_batch(texts, add_special_tokens=False)]
