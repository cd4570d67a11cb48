"""``llm4top compare``: several forecasters on the same rows, with paired differences."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from llm4top.cli.completion import model_names
from llm4top.cli.evaluate import command_line
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

ModelsArgument = Annotated[
    list[str],
    typer.Argument(
        help="Two or more: bundles, runs, saved baselines, base models. The first is the one "
        "that all others are compared with.",
        metavar="BUNDLES",
        autocompletion=model_names,
    ),
]


def compare(
    models: ModelsArgument,
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
    """Measure BUNDLES on the same rows, and say which differences are statistically significant.

    Differences to the first one are paired: DeLong's test for ROC-AUC, the paired bootstrap for
    log-loss and Brier score, corrected for the number of comparisons (Holm). The trivial
    baselines, TF-IDF with logistic regression and the leak oracle stand beside. A look at a test
    split is written into the test ledger, once for all of them.

    [bold]Examples[/bold]

        llm4top compare runs/lora runs/full embedded --data data/top

        llm4top compare runs/lora Qwen/Qwen3-8B --data data/top --out reports/lora-or-not

        llm4top compare runs/lora embedded --data data/top --split test --format json
    """
    if len(models) < 2:
        raise typer.BadParameter("give two or more.", param_hint="BUNDLES")
    options: dict[str, object] = {"data": data, "split": split.value, "out": out}
    options |= {"seed": seed, "draws": draws, "device": device, "quantize": quantize}
    options |= {"batch_tokens": batch_tokens}
    with watching() as hear:
        from llm4top.data.dataset import load_dataset
        from llm4top.evaluation.evaluate import compare as run
        from llm4top.evaluation.source import load_source

        dataset = load_dataset(data)
        sources = [
            load_source(
                model,
                task=dataset.task,
                device=device,
                quantize=quantize,
                batch_tokens=batch_tokens,
            )
            for model in models
        ]
        report = run(
            sources,
            dataset,
            split=split.value,
            seed=seed,
            draws=draws,
            reproduce=command_line("compare", models, options),
            on_progress=hear,
        )
    show(report, output, out, sys.stdout)
