"""``llm4top benchmark``: everything that can forecast, on the same trials, in one report."""

from __future__ import annotations

import shlex
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llm4top.cli import options
from llm4top.cli.console import note, standard_error
from llm4top.cli.evaluate import print_report
from llm4top.cli.exit_codes import IN_PART
from llm4top.cli.log_to import LogToOption, RemoteWorkOption, log_finished, log_target
from llm4top.cli.watch import watching
from llm4top.text import counted

if TYPE_CHECKING:
    from llm4top.benchmark.settings import BenchmarkSettings
    from llm4top.evaluation.mlflow_runs import MlflowTarget
    from llm4top.evaluation.reports.report import Report


@dataclass(frozen=True)
class Flags:
    """Settings of a benchmark under the names that ``BenchmarkSettings`` has for them."""

    data: Annotated[
        Path,
        typer.Option(
            help="TOP's folder, registry records (file, folder, zip), or a data set made by "
            "`llm4top ingest`."
        ),
    ]
    out: Annotated[
        Path, typer.Option(help="Folder of the benchmark: its steps, runs and report.")
    ] = Path("benchmark")
    bases: Annotated[
        list[str] | None,
        typer.Option(
            "--base",
            help="A base model, a bundle or a model on a server (URL#NAME) to measure; may be "
            "repeated.",
            metavar="MODEL",
        ),
    ] = None
    phases: Annotated[
        str, typer.Option(help="Tables to make, of I, II, III, IV and pooled; comma-separated.")
    ] = "I,II,III,pooled"
    task: Annotated[str, typer.Option(help="The question, where the data are records.")] = "outcome"
    preset: Annotated[str, typer.Option(help="How to fine-tune: quick, standard or thorough.")] = (
        "standard"
    )
    training: Annotated[
        list[str] | None,
        typer.Option("--set", help="A training setting; may be repeated.", metavar="KEY=VALUE"),
    ] = None
    baselines: options.BaselinesOption = None
    encoder: options.EncoderOption = None
    ways: Annotated[
        str,
        typer.Option(
            help="How to use each base model: zero-shot, few-shot, probe, lora; comma-separated."
        ),
    ] = "zero-shot,few-shot,probe,lora"
    shots: Annotated[int, typer.Option(help="Examples in few-shot prompts; 0: none.")] = 4
    each_phase: Annotated[
        bool, typer.Option("--each-phase", help="Also fine-tune on each phase alone.")
    ] = False
    newest: Annotated[
        bool, typer.Option(help="Also check on the newest trials of the learning part.")
    ] = True
    test: Annotated[
        bool, typer.Option(help="Look at test rows, where there are any; the ledger records it.")
    ] = True
    probe_trials: Annotated[
        int, typer.Option(help="Trials for prompt ablation and contamination probes; 0: none.")
    ] = 300
    cutoff: Annotated[
        str | None, typer.Option(help="Last date of the base models' training data (ISO).")
    ] = None
    max_tokens: Annotated[
        int | None, typer.Option(help="Maximum tokens of a prompt.", show_default="the preset's")
    ] = None
    limit: Annotated[
        int | None, typer.Option(help="Maximum number of labelled records of each source.")
    ] = None
    device: options.DeviceOption = "auto"
    tokenizer: options.TokenizerOption = None
    allow_remote: RemoteWorkOption = False
    seed: Annotated[int, typer.Option(help="Seed of every draw, fold and fit.")] = 0
    draws: Annotated[int, typer.Option(help="Bootstrap draws behind each interval.")] = 1000


def benchmark(
    flags: Flags, log_to: LogToOption = None, dry_run: options.DryRunOption = False
) -> None:
    """Measure every forecaster on the same trials, phase by phase, and write one report.

    Baselines from a constant forecast to XGBoost and TF-IDF; each base model as it is, with
    examples, with a frozen probe and fine-tuned with LoRA (a model on a server: the first two);
    calibrated and not; with 95 % intervals, paired differences, slices, a leak audit and the leak
    oracle (which cheats, to show what a leak looks like). Without [bold]--base[/bold] only the
    baselines are measured.

    After Ctrl-C or a crash, run the same command again: it resumes after the last completed step.
    Nothing is chosen on test rows, and each look at them is recorded in the test ledger.

    [bold]Examples[/bold]

        llm4top benchmark --data data/top --out runs/top --base embedded

        llm4top benchmark --data data/top --out runs/top --base Qwen/Qwen3-8B --set quantize=4bit

        llm4top benchmark --data AllPublicXML.zip --task completion --phases II,III --out runs/done

        llm4top benchmark --data data/top --base Qwen/Qwen3-8B --ways zero-shot,probe

        llm4top benchmark --data data/top --base http://127.0.0.1:8000/v1#Qwen/Qwen3-8B

        llm4top benchmark --data data/top --base embedded --log-to mlflow

        llm4top benchmark --data data/top --base embedded --dry-run
    """
    from llm4top.benchmark.settings import make_settings

    made = make_settings(
        **{
            **asdict(flags),
            "bases": tuple(flags.bases or ()),
            "phases": options.listed(flags.phases),
            "ways": options.listed(flags.ways),
            "training": options.read_settings(flags.training),
            "baselines": options.listed(flags.baselines),
        }
    )
    if dry_run:
        _print_plan(made)
        return
    options.tell_privacy(made.bases)
    _run(made, log_target(log_to, allow_remote=made.allow_remote))


def _run(settings: BenchmarkSettings, target: MlflowTarget | None) -> None:
    from llm4top.benchmark.run import FINISHED
    from llm4top.benchmark.run import benchmark as run

    try:
        with watching() as progress:
            command = shlex.join(["llm4top", *sys.argv[1:]])
            result = run(
                settings,
                reproduce=command,
                progress=lambda p: None if p.detail == FINISHED else progress(p),
            )
    except KeyboardInterrupt:
        note("Stopped. Run the same command again to resume after the last completed step.")
        raise
    _print_report(result.report)
    if not settings.bases:
        note("No language model was named: add --base embedded, or a model that you downloaded.")
    log_finished(result.report, target)
    note(f"Read it in a browser: {result.files['html']}")
    typer.echo(str(result.files["json"]))
    if result.failures:
        raise typer.Exit(IN_PART)


def _print_plan(settings: BenchmarkSettings) -> None:
    from llm4top.benchmark.run import plan

    work = plan(settings)
    for title, done in work:
        typer.echo(f"{'done ' if done else 'to do'}  {title}")
    note(f"{sum(not done for _, done in work)} of {len(work)} steps are still to be done.")


def _print_report(report: Report) -> None:
    """The tables of all phases together (of each phase, where there is none), and the findings."""
    pooled = [table for table in report.tables if table.phase == "pooled"]
    print_report(report, pooled or report.tables, standard_error())
    left = len(report.tables) - len(pooled or report.tables)
    if left:
        note(f"{counted(left, 'table')} of single phases: in the report.")
    note(report.looks_note)
