"""How long the prompts of a data set's trials are, compared with the token budgets of models."""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

from llm4top.errors import DatasetError, ModelError
from llm4top.tasks.task import Task
from llm4top.text import csv_text, thousands
from llm4top.workspace.views.svg import INK, SERIES, axis, bar, chart, line, step_of, text
from llm4top.workspace.workspace import Workspace

SAMPLE = 500
"""Trials that are measured, at most: a tokenizer reads some hundred of them in a second."""

CHARACTERS_A_TOKEN = 4
"""Characters of a token in an estimate without a tokenizer."""

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
    from llm4top.training.config import PRESETS, preset_value

    return {name: int(preset_value(name, "max_tokens")) for name in PRESETS}


def tokenizers(workspace: Workspace) -> dict[str, tuple[str, Path]]:
    """The base models here that have a tokenizer: what to call each, and its file."""
    from llm4top.forecasters.model.model_files import resolve_base
    from llm4top.workspace.jobs.resolve import base_place
    from llm4top.workspace.jobs.train_plan import base_models

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
    """Measure the data set in ``folder``; cached under its content's hash.

    Without a ``tokenizer``'s file it is an estimate, from ``CHARACTERS_A_TOKEN``. Takes seconds.
    Raises ``DatasetError`` where its trials, ``ModelError`` where the tokenizer cannot be read.
    """
    texts, rows = _prompts(folder, task)
    if tokenizer is None:
        return TextLengths(tuple(math.ceil(len(t) / CHARACTERS_A_TOKEN) for t in texts), rows)
    return TextLengths(tuple(_count(texts, tokenizer)), rows)


def _prompts(folder: Path, task: Task) -> tuple[list[str], int]:
    """The prompts of the sample, uncut, and how many trials there are."""
    from llm4top.data.parquet import decode_trial
    from llm4top.prompts.prompt import CLOSING, OPENING, chat_message
    from llm4top.prompts.sections import trial_sections

    stored, rows = _sample(folder / "trials.parquet")
    texts = []
    for trial in stored:
        sections = trial_sections(decode_trial(trial), hidden_fields=task.hidden_fields)
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


HEIGHT = 180
"""Pixels of the drawing area; the axis is below it."""

TOP = 18
"""Pixels a line of words about a budget takes; they are above the bars."""

MOST_BINS = 40
_WIDTHS = tuple(unit * power for power in (10, 100, 1000, 10_000) for unit in (1, 2, 5))


def bin_edges(lengths: TextLengths, budgets: Mapping[str, int]) -> list[int]:
    """Edges of equal bins from 0 to beyond every budget; the last one is open to the right.

    The longest prompts do not stretch the axis: what is beyond three times the largest budget
    is in the last bin.
    """
    last = max(budgets.values())
    longest = max(lengths.tokens, default=0)
    end = min(max(longest + 1, round(1.1 * last)), 3 * last)
    width = next(width for width in _WIDTHS if end / width <= MOST_BINS)
    return list(range(0, end + width, width))


def binned(lengths: TextLengths, edges: list[int]) -> list[int]:
    """How many prompts are in each bin: at least as long as its lower edge."""
    counts = [0] * (len(edges) - 1)
    for tokens in lengths.tokens:
        counts[min(tokens // edges[1], len(counts) - 1)] += 1
    return counts


def highest_bar(lengths: TextLengths, budgets: Mapping[str, int]) -> int:
    """How many trials the highest bar of the chart counts."""
    return max(binned(lengths, bin_edges(lengths, budgets)))


def lengths_chart(lengths: TextLengths, budgets: Mapping[str, int]) -> str:
    """A bar for each bin of tokens and a line for each budget; the axis is in tokens."""
    edges = bin_edges(lengths, budgets)
    counts = binned(lengths, edges)
    end, head = edges[-1], TOP * len(budgets) + 6
    scale = (HEIGHT - head) / max(*counts, 1)
    marks = []
    for count, (low, high) in zip(counts, pairwise(edges), strict=True):
        if count:
            height = max(count * scale, 1.0)
            open_end = high == end and max(lengths.tokens) >= end
            to = "or more" if open_end else f"to {thousands(high - 1)}"
            left, width = 100 * low / end, 100 * (high - low) / end
            title = f"{thousands(low)} {to} tokens: {thousands(count)}"
            shape = (left + 0.05 * width, 0.9 * width, HEIGHT - height, height)
            marks.append(bar(*shape, SERIES, title=title))
    marks += [_budget(name, k, end, row) for row, (name, k) in enumerate(budgets.items())]
    marks += [axis(HEIGHT), *_ticks(end)]
    named = ", ".join(f"{name} {budget}" for name, budget in budgets.items())
    label = f"Prompts by their length in tokens; the budgets are {named}."
    return chart(marks, label, HEIGHT + 24)


def lengths_csv(lengths: TextLengths, budgets: Mapping[str, int]) -> bytes:
    """The same numbers: a line for each bin; the last one has no end."""
    edges = bin_edges(lengths, budgets)
    rows: list[tuple[object, ...]] = [("from_tokens", "below_tokens", "trials")]
    for count, (low, high) in zip(binned(lengths, edges), pairwise(edges), strict=True):
        rows.append((low, None if high == edges[-1] else high, count))
    return csv_text(rows).encode()


def _budget(name: str, budget: int, end: int, row: int) -> str:
    """A line at a budget, with its words on a row of their own so that none meet."""
    x, y = 100 * budget / end, TOP * row + 12
    anchor, shift = ("start", 5) if x < 60 else ("end", -5)
    words = text(x, y, f"{name} {thousands(budget)}", INK, anchor=anchor, shift=shift)
    return line((x, y - 10), (x, HEIGHT), INK, 1, "; stroke-dasharray: 4 3") + words


def _ticks(end: int) -> list[str]:
    step = step_of(end, _WIDTHS, 6)
    places = ((value, 100 * value / end) for value in range(0, end + 1, step))
    return [
        text(x, HEIGHT + 18, thousands(value), anchor="middle" if 0 < x < 95 else "")
        for value, x in places
    ]
