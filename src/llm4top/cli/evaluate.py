"""``llm4top evaluate`` and ``llm4top compare``: forecasters measured on one split."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from llm4top.cli.console import note, safe, table_of
from llm4top.cli.log_to import Reaching, log_finished, log_target
from llm4top.cli.options import Measuring, ModelLoading, ReportFormat, model_names, tell_privacy
from llm4top.cli.watch import watching
from llm4top.text import CsvRows, percent, thousands

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table as RichTable

    from llm4top.evaluation.reports.report import Figure, ForecasterRow, Report, Table

CSV_COLUMNS = ("phase", "check", "forecaster", "kind", "identity", "metric")
CSV_FIGURES = ("value", "lower", "upper", "n")

_BINARY = {"roc_auc": "ROC-AUC", "average_precision": "AP", "brier": "Brier", "f1": "F1"}
_SEVERAL = {"roc_auc": "ROC-AUC", "balanced_accuracy": "Bal. acc."}
_SEVERAL |= {"macro_f1": "Macro F1", "brier": "Brier"}
# A file has all metrics; a terminal of 80 columns has room for four and a name.


def show(report: Report, form: ReportFormat, out: Path | None, stream: TextIO) -> None:
    """Print the report to ``stream`` and write its files into ``out``, where one is given."""
    if form == "json":
        stream.write(report.model_dump_json(indent=1) + "\n")
    elif form == "csv":
        _write_csv(report, stream)
    else:
        from rich.console import Console

        print_report(report, report.tables, Console(file=stream, highlight=False))
    if out is not None:
        from llm4top.evaluation.reports.render import write_report

        note(f"Report: {write_report(report, out)['html']}")


def _write_csv(report: Report, stream: TextIO) -> None:
    """One row for each figure of each forecaster in each table."""
    writer = CsvRows(stream)
    writer.writerow((*CSV_COLUMNS, *CSV_FIGURES))
    for table in report.tables:
        for row in table.rows:
            who = (table.phase, table.check, row.forecaster, row.kind, row.identity)
            for metric, figure in row.figures.items():
                figures = (figure.value, figure.lower, figure.upper, figure.n)
                writer.writerow((*who, metric, *figures))


def print_report(report: Report, tables: Sequence[Table], console: Console) -> None:
    """The report's findings with those of its ``tables`` that a terminal has room for."""
    console.print(f"[bold]{safe(report.title)}[/]")
    console.print(safe(report.asked.question), style="dim")
    for table in tables:
        console.print()
        console.print(_heading(table))
        console.print(_table(table))
    console.print()
    for line in report.summary:
        console.print(f"- {safe(line)}")
    _print_notes(report, console)


def _heading(table: Table) -> str:
    counts = ", ".join(
        f"{thousands(count)} {safe(label)} ({percent(count / table.n)})"
        for label, count in table.counts.items()
    )
    return f"[bold]{safe(table.title)}[/]: {thousands(table.n)} trials, {counts}"


def _table(table: Table) -> RichTable:
    shown = _BINARY if "f1" in table.rows[0].figures else _SEVERAL
    made = table_of(["Forecaster"])
    made.columns[0].min_width = 14
    for heading in shown.values():
        made.add_column(heading, justify="right", no_wrap=True)
    for row in table.rows:
        style = {"cheating": "red", "trivial": "dim"}.get(row.kind)
        made.add_row(_name(row), *(_figure(row.figures[key]) for key in shown), style=style)
    return made


def _name(row: ForecasterRow) -> str:
    mark = {"cheating": " (CHEATING)", "trivial": " (trivial)"}
    return safe(row.forecaster) + mark.get(row.kind, "")


def _figure(figure: Figure) -> str:
    """A figure with its 95 % interval below it, so that four of them fit a narrow terminal."""
    from llm4top.evaluation.reports.formatting import interval, number

    return f"{number(figure.value)}\n{interval(figure)}".rstrip()


def _print_notes(report: Report, console: Console) -> None:
    """What a reader of the figures should know; the same note once."""
    from llm4top.evaluation.reports.formatting import CHECK_NOTES, CHECKS

    several = len({table.check for table in report.tables}) > 1

    def of(check: str, text: str) -> str:
        return f"{CHECKS[check].capitalize()}: {text}" if several else text

    rows = [row for table in report.tables[:1] for row in table.rows]
    for row in rows:
        if row.note:
            console.print(f"[dim]{safe(row.forecaster)}: {safe(row.note)}[/]")
    checks = dict.fromkeys(of(t.check, CHECK_NOTES[t.check]) for t in report.tables)
    tables = dict.fromkeys(of(t.check, t.note) for t in report.tables if t.note)
    for text in (*checks, *tables, *report.notes):
        console.print(f"[dim]{safe(text)}[/]")
    console.print(
        "[dim]Intervals: 95 %, bootstrap; that of ROC-AUC stratified by label, those of "
        "calibration slope and intercept Wald.[/]"
    )


_DEFAULTS = {"seed": 0, "draws": 1000, "device": "auto", "allow_remote": False}


def evaluate(
    model: Annotated[
        str,
        typer.Argument(
            help="A bundle's name or folder, the folder of a run, a base model, or a model on a "
            "server (URL#NAME).",
            metavar="BUNDLE",
            autocompletion=model_names,
        ),
    ],
    measuring: Measuring,
    loading: ModelLoading,
    reaching: Reaching,
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

        llm4top evaluate runs/qwen3-8b-top --data data/top --log-to mlflow
    """
    _measure("evaluate", [model], measuring, loading, reaching)


def compare(
    models: Annotated[
        list[str],
        typer.Argument(
            help="Two or more: bundles, runs, base models, models on servers (URL#NAME). All "
            "others are compared with the first.",
            metavar="BUNDLES",
            autocompletion=model_names,
        ),
    ],
    measuring: Measuring,
    loading: ModelLoading,
    reaching: Reaching,
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
    _measure("compare", models, measuring, loading, reaching)


def _measure(
    command: str,
    models: Sequence[str],
    measuring: Measuring,
    loading: ModelLoading,
    reaching: Reaching,
) -> None:
    served: dict[str, Any] = {
        "tokenizer": reaching.tokenizer,
        "allow_remote": reaching.allow_remote,
    }
    target = log_target(reaching.log_to, allow_remote=reaching.allow_remote)
    with watching(lines=False) as progress:
        from llm4top.data.dataset import load_dataset
        from llm4top.evaluation.candidates import open_forecaster
        from llm4top.evaluation.evaluate import compare as compare_all
        from llm4top.evaluation.evaluate import evaluate as evaluate_one

        dataset = load_dataset(measuring.data)
        options = {**asdict(measuring), **asdict(loading), **served}
        forecasters = [
            open_forecaster(model, dataset, **asdict(loading), **served) for model in models
        ]
        tell_privacy(models)
        del options["output"]
        chosen: dict[str, Any] = {name: options[name] for name in ("split", "seed", "draws")}
        chosen |= {"reproduce": command_line(command, models, options), "on_progress": progress}
        if command == "evaluate":
            report = evaluate_one(forecasters[0], dataset, **chosen)
        else:
            report = compare_all(forecasters, dataset, **chosen)
    show(report, measuring.output, measuring.out, sys.stdout)
    log_finished(report, target)


def command_line(command: str, models: Sequence[str], options: dict[str, object]) -> str:
    """The command that makes the report again, with paths as they were typed."""
    words = ["llm4top", command, *models]
    for name, value in options.items():
        if value is not None and value != _DEFAULTS.get(name):
            words.append(f"--{name.replace('_', '-')}")
            if value is not True:
                words.append(value.as_posix() if isinstance(value, Path) else str(value))
    return shlex.join(words)
