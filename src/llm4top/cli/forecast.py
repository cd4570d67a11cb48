"""``llm4top forecast``: the chance of success of every trial in files, folders and zips."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llm4top.cli.console import note, standard_error
from llm4top.cli.exit_codes import IN_PART, NOTHING_DONE
from llm4top.cli.forecast_engine import Engine
from llm4top.cli.forecast_run import Output, Tally, forecast_all
from llm4top.cli.load_model import load_model, load_options
from llm4top.cli.options import (
    ModelChoice,
    ModelLoading,
    ServedLoading,
    listed,
)
from llm4top.cli.portfolio_summary import PortfolioSummary, write_sums
from llm4top.cli.streams import STANDARD_INPUT, Records, Target, opened, written
from llm4top.lazy import quick_imports
from llm4top.text import DISCLAIMER, counted, printable, thousands

if TYPE_CHECKING:
    from llm4top.forecasters.base_rate_shift import TargetRates
    from llm4top.forecasters.forecaster import Forecaster


EXAMPLES = Path(__file__).parent.parent / "examples"


def forecast(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Records: XML or JSON files, TOP's CSV, zips, folders; - is standard input.",
            metavar="PATHS",
        ),
    ] = None,
    *,
    choice: ModelChoice,
    writing: Output,
    loading: ModelLoading,
    served: ServedLoading,
    engine: Engine,
    example: Annotated[
        bool,
        typer.Option(
            "--example",
            help="Forecast the invented examples that ship with LLM4TOP.",
        ),
    ] = False,
    question: Annotated[
        str | None,
        typer.Option(
            help="Questions of the embedded models, separated by commas: outcome, completion, "
            "duration, why-it-fails.",
            metavar="QUESTIONS",
        ),
    ] = None,
    base_rate: Annotated[
        str | None,
        typer.Option(
            help="Adapt the forecasts to this base rate: 0.56 or 56 %, one for each phase "
            "(phase 2=0.55, phase 3=0.7), or a CSV or data set to measure it on.",
            metavar="RATE",
        ),
    ] = None,
) -> None:
    """Forecast the chance of success of every trial in PATHS.

    Writes one line per trial to standard output as soon as it is done, and names refused records
    on standard error. Records that the question does not apply to, such as observational studies,
    get no number: their "status" is "not applicable", with a "reason". Copies of a trial, by NCT
    id, are named, and counted once in the expected number of successes.

    CSV has one row per trial. "probability", its interval and "base_rate" refer to "label"; where a
    question has several answers, "probabilities" has all of them. "score" is the log-odds before
    calibration, which orders trials with equal chances. docs/forecast-format.md describes every
    column of CSV and key of JSON.

    A forecast assumes that trials succeed as often as the model's training trials of the same
    phase did. If yours succeed more or less often, --base-rate adapts chance and interval to that
    share, and "unadapted_probability" has the chance before. A CSV to measure the share on needs
    the columns nctid, phase and label; of a data set, the test split is not used.

    --question asks the embedded models several questions, one after the other. For a question about
    a quantity, "median" is its median in "unit", and "p10" to "p90" its 80 % interval.
    Of outcome, why-it-fails and duration together, the table's notes also sum up the failures by
    reason and how many trials have ended by each year.

    With --out, Ctrl-C or a full disk leaves the finished forecasts in FILE.partial, and --resume
    continues it. Exits with 0 if no record was refused, 1 if some were, 2 if there was nothing to
    forecast.

    For very many records, --engine ray (or --format parquet in this process) writes Parquet files
    into the folder --out, each a shard of a few hundred records; the same command again continues
    with the shards that are not finished. PATHS may then be Parquet files too. docs/scale.md has
    more.

    [bold]Examples[/bold]

        llm4top forecast --example

        llm4top forecast NCT01234567.xml ctg-studies.json

        llm4top forecast AllPublicXML.zip --out forecasts.csv --resume

        llm4top forecast NCT01234567.xml --out report.html

        llm4top forecast drafts/ --model runs/qwen3-8b-top --sort chance

        llm4top forecast drafts/ --question outcome,duration --format csv

        llm4top forecast drafts/ --question outcome,why-it-fails,duration --portfolio sums.csv

        llm4top forecast drafts/ --base-rate "phase 2=0.55, phase 3=0.7"

        llm4top forecast drafts/ --model http://127.0.0.1:8000/v1#Qwen/Qwen3-8B

        llm4top forecast AllPublicXML.zip --engine ray --out forecasts/
    """
    sources = [*(paths or ()), *([EXAMPLES] if example else ())]
    if not sources:
        raise typer.BadParameter("give a file or a folder, or --example.", param_hint="PATHS")
    models = [choice.model] if question is None else _models(question, choice, writing, sources)
    options = load_options(choice.task, loading, served)
    if engine.is_bulk(writing):
        engine.check(writing, sources, models, loading.device)
        _forecast_into_folder(sources, {"model": models[0], **options}, writing, engine, base_rate)
        return
    _forecast(sources, models, partial(load_model, **options), writing, base_rate)


def _models(
    question: str, choice: ModelChoice, writing: Output, sources: Sequence[Path]
) -> list[str]:
    """The embedded models that answer these questions; ``typer.BadParameter`` where they cannot."""
    from llm4top.forecasters.bundles.paths import EMBEDDED_NAME, embedded_names, question_name

    asked = list(dict.fromkeys(listed(question) or ()))
    # Known before the first answer, which may take an hour.
    known = {name.partition(":")[2] or "outcome": name for name in embedded_names()}
    unknown = [name for name in asked if name not in known]
    fault = ""
    if unknown:
        fault = f"no embedded model answers {unknown[0]!r:.60}; they answer {', '.join(known)}."
    elif not asked:
        fault = "names no question."
    elif choice.model != EMBEDDED_NAME or choice.task is not None:
        fault = "is for the embedded models: leave out --model and --task."
    elif len(asked) > 1 and (writing.output in ("json", "html") or writing.resume):
        fault = "with several questions needs --format table, csv or jsonl, without --resume."
    elif len(asked) > 1 and STANDARD_INPUT in sources:
        fault = "with several questions cannot read standard input: give a file."
    if fault:
        raise typer.BadParameter(fault, param_hint="--question")
    return [question_name(name) for name in asked]


def _forecast(
    sources: list[Path],
    models: list[str],
    load: Callable[[str], Forecaster],
    writing: Output,
    base_rate: str | None,
) -> None:
    writing.check()
    if writing.output != "table" and isinstance(sys.stdout, io.TextIOWrapper):
        # What programs read is UTF-8, whatever the terminal's encoding.
        sys.stdout.reconfigure(encoding="utf-8", errors="strict")
    with (
        opened(sources) as records,
        written(writing.out, resume=writing.resume, resumable=writing.resumable) as target,
    ):
        told = len(models) > 1 and writing.output == "table"
        summary = PortfolioSummary() if told or writing.portfolio else None
        found = [_answer(models[0], load, records, writing, target, base_rate, summary)]
        for model in models[1:]:
            with opened(sources, again=True) as same:
                before = target.done
                found.append(_answer(model, load, same, writing, target, base_rate, summary, True))
                target.done += before
    skills = {}
    for forecaster, rates, tally in found:
        if len(models) > 1:
            note(f"Question: {printable(forecaster.task.question)}")
        if writing.output == "table" and tally.done:
            _explain_base_rates(forecaster, rates)
        skills[forecaster.task.name] = skill = _skill(forecaster)
        if skill and tally.done:
            note(skill)
        _conclude(tally, records.refused, forecaster.identity)
    for line in summary.lines(skills.get("why-it-fails", "")) if summary and told else ():
        note(printable(line))
    if summary and writing.portfolio:
        write_sums(summary.sums(), writing.portfolio)
    _exit(found[-1][2], records.refused, records.explain_nothing)


def _forecast_into_folder(
    sources: list[Path],
    options: dict[str, Any],
    writing: Output,
    engine: Engine,
    base_rate: str | None,
) -> None:
    """Forecast all records into a folder of Parquet files, on this machine or on Ray."""
    with _status(f"Loading {options['model']}"), quick_imports():
        from llm4top.cli.forecast_bulk import forecast_into_folder
        from llm4top.forecasters.base_rate_shift import target_rates

        # Ray's processes read the weights; here the model is only checked.
        forecaster = load_model(**options, weights=not engine.on_ray)
        rates = None if base_rate is None else target_rates(base_rate, forecaster.task)
    tally, refused = forecast_into_folder(forecaster, options, sources, writing, engine, rates)
    skill = _skill(forecaster)
    if skill and tally.done:
        note(skill)
    _conclude(tally, refused, forecaster.identity)
    _exit(tally, refused)


def _skill(forecaster: Forecaster) -> str:
    """What an embedded model of another question than "outcome" says of its own skill."""
    from llm4top.forecasters.bundles.paths import embedded_folder, embedded_names

    others = [embedded_folder(name) for name in embedded_names()[1:]]
    manifest = forecaster.manifest
    if manifest is None or forecaster.folder not in others or not manifest.evaluations:
        return ""
    return f"Skill: {printable(manifest.evaluations[0].note)}"


def _answer(
    model: str,
    load: Callable[[str], Forecaster],
    records: Records,
    writing: Output,
    target: Target,
    base_rate: str | None,
    summary: PortfolioSummary | None = None,
    continued: bool = False,
) -> tuple[Forecaster, TargetRates | None, Tally]:
    """Forecast all records with one model; what it was adapted to, and the counts."""
    with _status(f"Loading {model}"), quick_imports():
        from llm4top.forecasters.base_rate_shift import target_rates

        forecaster = load(model)
        rates = None if base_rate is None else target_rates(base_rate, forecaster.task)
    watched, keep = (records, None) if summary is None else (summary.watch(records), summary.add)
    tally = forecast_all(
        forecaster, watched, writing, target, rates, continued=continued, keep=keep
    )
    return forecaster, rates, tally


def _explain_base_rates(forecaster: Forecaster, target: TargetRates | None) -> None:
    """Note which trials the column of base rates is about."""
    if target is not None:
        measured = f", {printable(target.measured)}" if target.measured else ", as you gave it"
        note(f"Base rate: what the forecasts are adapted to ({target.text}{measured}).")
        return
    manifest = forecaster.manifest
    if manifest is None or manifest.data is None or not manifest.base_rates:
        return
    pooled = manifest.base_rates.get("all")
    trials = counted(pooled.n, "training trial") if pooled else "training trials"
    note(
        f"Base rate: the share observed in the same phase among the {trials} of "
        f"{printable(manifest.data.name)}, not among all trials."
    )


def _conclude(tally: Tally, refused: int, bundle: str) -> None:
    """Note how many there were and by which model."""
    for line in tally.lines():
        note(printable(line))
    apart = f"{thousands(tally.left_out)} not applicable, " if tally.left_out else ""
    others = f"{apart}{thousands(refused)} refused"
    note(f"{thousands(tally.done)} forecast by {bundle}, {others}. {DISCLAIMER}")


def _exit(tally: Tally, refused: int, explain: Callable[[], None] | None = None) -> None:
    """Exit with the code that tells what was done."""
    if tally.done + tally.left_out == 0:
        if not refused and explain is not None:
            explain()
        raise typer.Exit(NOTHING_DONE)
    if refused:
        raise typer.Exit(IN_PART)


@contextmanager
def _status(words: str) -> Iterator[None]:
    """Show what is being done meanwhile, on a terminal only."""
    console = standard_error()
    if not console.is_terminal:
        yield
        return
    with console.status(words):
        yield
