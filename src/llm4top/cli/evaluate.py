"""``llm4top evaluate`` and ``llm4top compare``: forecasters measured on one split."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from llm4top.cli.completion import model_names
from llm4top.cli.options import Measuring, ModelLoading
from llm4top.cli.report import show
from llm4top.cli.watch import watching

_DEFAULTS = {"seed": 0, "draws": 1000, "device": "auto"}


def evaluate(
    model: Annotated[
        str,
        typer.Argument(
            help="A bundle's name or folder, the folder of a run, or a base model.",
            metavar="BUNDLE",
            autocompletion=model_names,
        ),
    ],
    measuring: Measuring,
    loading: ModelLoading,
) -> None:
    """Measure how good BUNDLE is on one split of a data set.

    The report compares it with "always success", the base rate of the phase, TF-IDF with logistic
    regression (fitted on the training split of the same data set) and the leak oracle, which
    cheats. Every figure has a 95 % interval. Thresholds are chosen on the validation split. A look
    at a test split is recorded in the test ledger before it is taken, and every report says how
    many looks there were.

    [bold]Examples[/bold]

        llm4top evaluate embedded --data data/top

        llm4top evaluate runs/qwen3-8b-top --data data/top --out reports/top

        llm4top evaluate runs/qwen3-8b-top --data data/top --split test --out reports/test

        llm4top evaluate Qwen/Qwen3-8B --data data/top --format csv > zero-shot.csv
    """
    _measure("evaluate", [model], measuring, loading)


def compare(
    models: Annotated[
        list[str],
        typer.Argument(
            help="Two or more: bundles, runs, base models. All others are compared with the first.",
            metavar="BUNDLES",
            autocompletion=model_names,
        ),
    ],
    measuring: Measuring,
    loading: ModelLoading,
) -> None:
    """Measure BUNDLES on the same rows, and say which differences are statistically significant.

    Differences to the first one are paired: DeLong's test for ROC-AUC, the paired bootstrap for
    log-loss and Brier score, corrected for the number of comparisons (Holm). The report includes
    the trivial baselines, TF-IDF with logistic regression and the leak oracle. A look at a test
    split is recorded in the test ledger, once for all of them.

    [bold]Examples[/bold]

        llm4top compare runs/lora runs/full embedded --data data/top

        llm4top compare runs/lora Qwen/Qwen3-8B --data data/top --out reports/lora-or-not

        llm4top compare runs/lora embedded --data data/top --split test --format json
    """
    if len(models) < 2:
        raise typer.BadParameter("give two or more.", param_hint="BUNDLES")
    _measure("compare", models, measuring, loading)


def _measure(
    command: str, models: Sequence[str], measuring: Measuring, loading: ModelLoading
) -> None:
    with watching(lines=False) as progress:
        from llm4top.data.dataset import load_dataset
        from llm4top.evaluation.candidates import open_forecaster
        from llm4top.evaluation.evaluate import compare as compare_all
        from llm4top.evaluation.evaluate import evaluate as evaluate_one

        dataset = load_dataset(measuring.data)
        forecasters = [open_forecaster(model, dataset, **asdict(loading)) for model in models]
        options = {**asdict(measuring), **asdict(loading)}
        del options["output"]
        chosen: dict[str, Any] = {name: options[name] for name in ("split", "seed", "draws")}
        chosen |= {"reproduce": command_line(command, models, options), "on_progress": progress}
        if command == "evaluate":
            report = evaluate_one(forecasters[0], dataset, **chosen)
        else:
            report = compare_all(forecasters, dataset, **chosen)
    show(report, measuring.output, measuring.out, sys.stdout)


def command_line(command: str, models: Sequence[str], options: dict[str, object]) -> str:
    """The command that makes the report again, with paths as they were typed."""
    words = ["llm4top", command, *models]
    for name, value in options.items():
        if value is not None and value != _DEFAULTS.get(name):
            text = value.as_posix() if isinstance(value, Path) else str(value)
            words += [f"--{name.replace('_', '-')}", text]
    return shlex.join(words)
