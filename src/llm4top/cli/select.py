"""``llm4top select``: try base models and settings, choose the best, and explain why."""

from __future__ import annotations

import shlex
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llm4top.cli import options
from llm4top.cli.console import note, print_json, safe, standard_error, table_of
from llm4top.cli.exit_codes import NOTHING_DONE
from llm4top.cli.watch import watching
from llm4top.text import counted, thousands

if TYPE_CHECKING:
    from llm4top.progress import Progress
    from llm4top.training.selection.candidates import SelectSettings
    from llm4top.training.selection.select import SelectionPlan
    from llm4top.training.selection.selection_file import Selection


@dataclass(frozen=True)
class Flags:
    """Settings of a selection that have an option; None or empty where it was not given."""

    data: Annotated[
        Path | None, typer.Option(help="Folder of a data set made by `llm4top ingest`.")
    ] = None
    base: Annotated[
        list[str] | None,
        typer.Option(help="A base model: a downloaded one, or a folder. May be repeated."),
    ] = None
    out: Annotated[Path | None, typer.Option(help="Folder of the selection.")] = None
    seeds: Annotated[
        str | None, typer.Option(help="Seeds, separated by commas.", show_default="0")
    ] = None
    preset: options.PresetOption = None
    grid: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="A training setting; several values are tried in turn. May be repeated.",
            metavar="KEY=V1,V2",
        ),
    ] = None
    eta: Annotated[
        int | None,
        typer.Option(help="Each rung keeps one candidate in this many.", show_default="3"),
    ] = None
    least_steps: Annotated[
        int | None, typer.Option(help="Fewest steps of a rung.", show_default="20")
    ] = None
    baselines: options.BaselinesOption = None
    encoder: options.EncoderOption = None
    no_probe: Annotated[
        bool, typer.Option("--no-probe", help="Do not try a frozen probe of each base model.")
    ] = False
    no_blend: Annotated[
        bool,
        typer.Option("--no-blend", "--no-stack", help="Do not try a blend of model and baseline."),
    ] = False
    final_fit: Annotated[
        str | None,
        typer.Option(
            help="What the chosen forecaster learns from in the end: train, or all (train and "
            "valid, calibrated on out-of-fold predictions).",
            show_default="train",
        ),
    ] = None
    folds: Annotated[
        int | None,
        typer.Option(help="Folds of these predictions.", show_default="5"),
    ] = None

    def settings(self) -> dict[str, Any]:
        """What was given, under the names that ``SelectSettings`` has for it."""
        shared, varied = _grid(self.grid or [])
        if self.preset is not None:
            shared["preset"] = self.preset
        values = {
            "data": self.data,
            "bases": self.base,
            "out": self.out,
            "seeds": _numbers(self.seeds),
            "eta": self.eta,
            "least_steps": self.least_steps,
            "baselines": options.listed(self.baselines),
            "encoder": self.encoder,
            "probe": False if self.no_probe else None,
            "stack": False if self.no_blend else None,
            "final_fit": self.final_fit,
            "folds": self.folds,
            "settings": shared or None,
            "grid": varied or None,
        }
        return {name: value for name, value in values.items() if value is not None}


def select(
    flags: Flags,
    config: Annotated[
        Path | None,
        typer.Option(help="A YAML file with a list of candidates; options override it."),
    ] = None,
    dry_run: options.DryRunOption = False,
    output: options.TableFormat = "table",
) -> None:
    """Try base models and settings on a data set, choose the best, and explain the choice.

    Candidates are trained for a few steps, the best of them for more, the last one in full
    (successive halving on validation log-loss). It meets a frozen probe of each base model, which
    has no steps and takes one pass over the trials. The better one is then compared with the
    baselines, alone and blended with the best of them. The test split is never read. After Ctrl-C
    or a crash, run the same command again to resume: finished runs are not repeated.

    [bold]Examples[/bold]

        llm4top select --data data/top --base Qwen/Qwen3-1.7B --base Qwen/Qwen3-8B --out sel

        llm4top select --data data/top --base Qwen/Qwen3-8B --out sel --seeds 0,1,2 --preset quick

        llm4top select --data data/top --base Qwen/Qwen3-8B --out sel --set lora_rank=8,16,32

        llm4top select --data data/top --base Qwen/Qwen3-8B --out sel --final-fit all

        llm4top select --data data/top --config candidates.yaml --out sel --dry-run

        llm4top select --data data/top --base Qwen/Qwen3-8B --out sel --format json > chosen.json
    """
    from llm4top.training.selection.candidates import make_select_settings

    settings = make_select_settings(config, flags.settings())
    if dry_run:
        _plan(settings, output)
        return
    _run(settings, output)


def _numbers(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is not a list of whole numbers such as 0,1,2.", param_hint="--seeds"
        ) from None


def _grid(pairs: list[str]) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    """Settings with one value, which all candidates share, and those with several."""
    shared: dict[str, Any] = {}
    varied: dict[str, list[Any]] = {}
    for name, text in map(options.key_value, pairs):
        values = options.yaml_value(f"[{text}]", what="a list of YAML values")
        if len(values) == 1:
            shared[name] = values[0]
        else:
            varied[name] = values
    return shared, varied


def _plan(settings: SelectSettings, output: str) -> None:
    from llm4top.training.selection.select import plan_selection

    plan = plan_selection(settings)
    if output == "json":
        print_json(_plan_values(plan))
    else:
        _print_plan(plan, len(settings.seeds))
    for name, report in plan.checks.items():
        for check in report.checks:
            if not check.ok:
                note(f"{name}: {check.name}: {check.detail} {check.hint}".rstrip())
    if not plan.ok:
        note("The selection would fail: see above.")
        raise typer.Exit(NOTHING_DONE)


def _plan_values(plan: SelectionPlan) -> dict[str, Any]:
    return {
        "candidates": {
            c.name: {k: list(v) if isinstance(v, tuple) else v for k, v in c.settings.items()}
            for c in plan.candidates
        },
        "baselines": list(plan.baselines),
        "runs": plan.runs,
        "final_fits": plan.final_fits,
        "rungs": [asdict(rung) for rung in plan.rungs],
        "faults": {
            name: [f"{c.name}: {c.detail} {c.hint}".rstrip() for c in report.checks if not c.ok]
            for name, report in plan.checks.items()
            if not report.ok
        },
    }


def _print_plan(plan: SelectionPlan, seeds: int) -> None:
    console = standard_error()
    console.print(f"{counted(len(plan.candidates), 'candidate')}, {counted(seeds, 'seed')}:")
    for candidate in plan.candidates:
        console.print(f"  {safe(candidate.name)}")
    headings = ("rung", "candidates", "keeps", "runs", "steps", "tokens", "PFLOP")
    table = table_of(headings, justify="right")
    for rung in plan.rungs:
        steps = thousands(rung.most_steps)
        if rung.least_steps != rung.most_steps:
            steps = f"{thousands(rung.least_steps)}-{steps}"
        tokens = _millions(rung.tokens_learnt + rung.tokens_read)
        cells = (rung.number, rung.candidates, rung.keep, rung.runs, steps, tokens)
        table.add_row(*map(str, cells), f"{rung.petaflop:.3g}")
    console.print(table)
    total = sum(rung.petaflop for rung in plan.rungs)
    memory = [r.memory.total for r in plan.checks.values() if r.memory is not None]
    most = f"; at most {max(memory) / 1e9:.1f} GB of memory" if memory else ""
    console.print(
        f"{counted(plan.runs, 'run')}, {total:.3g} PFLOP at most{most}; "
        f"{counted(len(plan.baselines), 'baseline')} to compare with."
    )
    if plan.final_fits:
        console.print(
            f"The final fit adds up to {counted(plan.final_fits, 'training')} of the chosen model: "
            f"{plan.folds} folds, and all of train and valid."
        )


def _millions(tokens: int) -> str:
    return f"{tokens / 1e6:.1f} M" if tokens >= 1e5 else thousands(tokens)


def _run(settings: SelectSettings, output: str) -> None:
    from llm4top.training.selection.select import select as run

    command = shlex.join(["llm4top", *sys.argv[1:]])
    try:
        with watching() as show:

            def progress(now: Progress) -> None:
                if now.stage == "selection":  # a line for each of its steps stays on the screen
                    note(f"[{now.done}/{now.total}] {now.detail}")
                else:
                    show(now)

            selection = run(settings, reproduce=command, progress=progress)
    except KeyboardInterrupt:
        note("Stopped. Run the same command again to resume.")
        raise
    if output == "json":
        print_json(selection.model_dump(mode="json"))
    else:
        _print_result(selection, settings.out)


def _print_result(selection: Selection, out: Path) -> None:
    """Every rung and baseline, why the choice was made, and where the chosen one is stored."""
    console = standard_error()
    table = table_of(("", "log-loss", ""), title="Validation log-loss")
    for rung in selection.rungs:
        fates = {drop.candidate: f"dropped: {drop.reason}" for drop in rung.dropped}
        for one in rung.candidates:
            name = f"rung {rung.number}: {one.candidate}"
            table.add_row(safe(name), _figure(one.log_loss), safe(fates.get(one.candidate, "kept")))
    for baseline in selection.baselines:
        checked = {True: "holds in time", False: "does not hold in time", None: baseline.note}
        words = checked[baseline.confirmed]
        table.add_row(safe(baseline.label), _figure(baseline.log_loss), safe(words))
    if selection.stack.log_loss is not None:
        taken = "taken" if selection.stack.taken else "not taken"
        table.add_row("blend", _figure(selection.stack.log_loss), taken)
    console.print(table)
    for sentence in selection.why:
        console.print(safe(sentence))
    typer.echo(str(out / selection.winner.folder))
    if selection.winner.kind == "baseline":
        note(f"The best language model: {out / selection.language_bundle}")
    note(f"Next: llm4top forecast PATHS --model {out}")


def _figure(figure: Any) -> str:
    if figure is None or figure.value is None:
        return "-"
    if figure.lower is None:
        return f"{figure.value:.4f}"
    return f"{figure.value:.4f} \\[{figure.lower:.4f}, {figure.upper:.4f}]"
