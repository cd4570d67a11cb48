"""``llm4top evaluate``: one forecaster on one split, beside the baselines."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from llm4top.cli.completion import model_names
from llm4top.cli.report import (
    BatchTokensOption,
    DataOption,
    DeviceOption,
    DrawsOption,
    FormatOption,
    OutOption,
    QuantizeOption,
    ReportFormat,
    SeedOption,
    SplitChoice,
    SplitOption,
    show,
    watching,
)

ModelArgument = Annotated[
    str,
    typer.Argument(
        help="A bundle's name or folder, a run, a saved baseline, or a base model.",
        metavar="BUNDLE",
        autocompletion=model_names,
    ),
]


def evaluate(
    model: ModelArgument,
    data: DataOption,
    split: SplitOption = SplitChoice.valid,
    out: OutOption = None,
    output: FormatOption = ReportFormat.text,
    seed: SeedOption = 0,
    draws: DrawsOption = 1000,
    device: DeviceOption = "auto",
    quantize: QuantizeOption = None,
    batch_tokens: BatchTokensOption = None,
) -> None:
    """Measure how good BUNDLE is on one split of a data set.

    Beside it always stand "always success", the base rate of the phase, TF-IDF with logistic
    regression (learnt from the data set's own training split) and the leak oracle, which cheats.
    Every figure has a 95 % interval. Thresholds are chosen on the validation split. A look at a
    test split is written into the test ledger before it is taken, and every report says how many
    looks there were.

    [bold]Examples[/bold]

        llm4top evaluate embedded --data data/top

        llm4top evaluate runs/qwen3-8b-top --data data/top --out reports/top

        llm4top evaluate runs/qwen3-8b-top --data data/top --split test --out reports/test

        llm4top evaluate Qwen/Qwen3-8B --data data/top --format csv > zero-shot.csv
    """
    options: dict[str, object] = {"data": data, "split": split.value, "out": out}
    options |= {"seed": seed, "draws": draws, "device": device, "quantize": quantize}
    options |= {"batch_tokens": batch_tokens}
    with watching() as hear:
        from llm4top.data.dataset import load_dataset
        from llm4top.evaluation.evaluate import evaluate as run
        from llm4top.evaluation.source import load_source

        dataset = load_dataset(data)
        source = load_source(
            model, task=dataset.task, device=device, quantize=quantize, batch_tokens=batch_tokens
        )
        report = run(
            source,
            dataset,
            split=split.value,
            seed=seed,
            draws=draws,
            reproduce=command_line("evaluate", [model], options),
            on_progress=hear,
        )
    show(report, output, out, sys.stdout)


DEFAULTS = {"seed": 0, "draws": 1000, "device": "auto"}


def command_line(command: str, models: list[str], options: dict[str, object]) -> str:
    """The command that makes the report again, with paths as they were typed."""
    words = ["llm4top", command, *models]
    for name, value in options.items():
        if value is not None and value != DEFAULTS.get(name):
            words += [f"--{name.replace('_', '-')}", _text(value)]
    return shlex.join(words)


def _text(value: object) -> str:
    return value.as_posix() if isinstance(value, Path) else str(value)
