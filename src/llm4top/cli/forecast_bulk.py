"""``llm4top forecast`` into a folder of Parquet files: progress, refusals, and the sums."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from llm4top.cli.console import note
from llm4top.cli.forecast_engine import Engine
from llm4top.cli.forecast_run import Output, Tally
from llm4top.cli.watch import watching
from llm4top.forecasters.base_rate_shift import TargetRates
from llm4top.forecasters.bulk.folder import finished, job_of, note_copies, opened_folder, rows
from llm4top.forecasters.bulk.plan import Shard, plan
from llm4top.forecasters.bulk.ray_cluster import check_ray
from llm4top.forecasters.bulk.rows import Facts
from llm4top.forecasters.bulk.work import REFUSED_FOLDER, ShardForecaster, Work
from llm4top.forecasters.bundles.paths import is_embedded
from llm4top.forecasters.forecast_format import NotApplicable
from llm4top.forecasters.forecaster import Forecaster
from llm4top.forecasters.model.model_source import is_served
from llm4top.progress import Progress, TimeLeft
from llm4top.registry.input_files import PassedOver
from llm4top.registry.trial import NO_RECORD
from llm4top.text import counted, printable, thousands

Made = Generator[tuple[Shard, Facts], None, None]
_SHOWN_REFUSALS = 20


def forecast_into_folder(
    forecaster: Forecaster,
    options: dict[str, Any],
    sources: Sequence[Path],
    writing: Output,
    engine: Engine,
    base_rate: TargetRates | None,
) -> tuple[Tally, int]:
    """Forecast all records into ``writing.out``; the counts, and how many records were refused.

    ``options`` are those with which ``load_forecaster`` made ``forecaster``. Shards that are there
    are kept. Raises ``WorkspaceError`` for the folder of another job, ``EngineError`` where a
    shard fails, and what ``plan`` raises.
    """
    assert writing.out is not None  # checked with the options
    if engine.on_ray:
        check_ray(engine.address)
    out = writing.out
    shards = plan(sources, engine.shard_records)
    if not shards:
        for line in _remarks(shards, {}, sources):
            note(f"Note: {printable(line)}")
        return Tally(forecaster.task), 0
    job = job_of(
        shards,
        sources,
        model=forecaster.identity,
        question=forecaster.task.name,
        base_rate=base_rate.text if base_rate else None,
        quantize=options["quantize"],
        shard_records=engine.shard_records,
    )
    with opened_folder(out, job):
        done = finished(out, shards)
        todo = [shard for shard in shards if shard.number not in done]
        if done:
            there = counted(sum(facts.forecasts for facts in done.values()), "forecast")
            note(f"{there} in {out} already: {len(done)} of {counted(len(shards), 'shard')}.")
        work = Work(str(out.absolute()), base_rate)
        made = (
            _on_ray(todo, forecaster, options, work, sources, engine)
            if engine.on_ray
            else _in_this_process(todo, forecaster, work)
        )
        _watched(made, done, shards, out)
        tally = _conclude(out, shards, done, sources, Tally(forecaster.task), forecaster.task.name)
    return tally, sum(facts.refused for facts in done.values())


def _in_this_process(shards: Sequence[Shard], forecaster: Forecaster, work: Work) -> Made:
    with closing(ShardForecaster(forecaster, work)) as forecast:
        for shard in shards:
            yield shard, forecast(shard)


def _on_ray(
    shards: Sequence[Shard],
    forecaster: Forecaster,
    options: dict[str, Any],
    work: Work,
    sources: Sequence[Path],
    engine: Engine,
) -> Made:
    if not shards:
        return
    from llm4top.forecasters.bulk.ray_engine import Asked, forecast_on_ray

    model = str(options["model"])
    if forecaster.folder is not None and not is_embedded(model):
        model = str(forecaster.folder.absolute())  # where the processes are is another folder
    elif (folder := Path(model).expanduser()).is_dir():
        model = str(folder.absolute())
    tokenizer = options["tokenizer"]
    asked = Asked(
        options
        | {"model": model, "tokenizer": tokenizer and Path(tokenizer).expanduser().absolute()},
        work,
        forecaster.identity,
        # The embedded models are so small that many cores do more than a few GPUs.
        uses_device=forecaster.kind != "baseline"
        and not is_served(model)
        and not is_embedded(model),
    )
    where = engine.address or "this machine"
    note(f"Starting Ray on {where}." if engine.address is None else f"Connecting to Ray: {where}.")
    yield from forecast_on_ray(
        shards, asked, sources=sources, address=engine.address, workers=engine.workers
    )


def _watched(
    made: Generator[tuple[Shard, Facts], None, None],
    done: dict[int, Facts],
    shards: Sequence[Shard],
    out: Path,
) -> None:
    """Take note of each shard as it is finished, and show how far all of them are."""
    shown, left = 0, TimeLeft()
    records = sum(facts.records for facts in done.values())
    try:
        with watching() as progress, closing(made):
            for shard, facts in made:
                done[shard.number] = facts
                records += facts.records
                eta = left(len(done), len(shards))
                figures = {} if eta is None else {"eta_seconds": eta}
                detail = counted(records, "record")
                progress(Progress("Shards", len(done), len(shards), detail, figures))
                shown = _show_refused(out, shard, facts, shown)
    except BaseException:
        # Of what is on the disk, too: Ray's processes may have finished more than was told here.
        kept = sum(facts.forecasts for facts in finished(out, shards).values())
        if kept:
            note(f"{counted(kept, 'forecast')} kept in {out}. Continue with the same command.")
        raise


def _show_refused(out: Path, shard: Shard, facts: Facts, shown: int) -> int:
    """Name the first refused records on standard error; how many were named."""
    if not facts.refused or shown >= _SHOWN_REFUSALS:
        return shown
    table = pq.read_table(out / REFUSED_FOLDER / shard.file)
    for row in table.slice(0, _SHOWN_REFUSALS - shown).to_pylist():
        name = f"{row['file']}!{row['member']}" if row["member"] else row["file"]
        line = f", line {row['line']}" if row["line"] is not None else ""
        element = f", {row['element']}" if row["element"] else ""
        text = f"{name}{line}{element}: {row['reason']} {row['hint'] or ''}"
        note(f"Refused: {printable(text.rstrip())}")
        shown += 1
    return shown


def _conclude(
    out: Path,
    shards: Sequence[Shard],
    done: dict[int, Facts],
    sources: Sequence[Path],
    tally: Tally,
    task: str,
) -> Tally:
    """Note copies beside their rows, count all rows, and say what there is to know of the paths."""
    for shard, found in zip(shards, rows(out, shards), strict=True):
        earlier: list[str | None] = []
        for row in found:
            if row.probability is None:
                tally.leave_out(NotApplicable(row.record, row.nct_id, task, row.reason or ""))
                earlier.append(None)
            else:
                chance, base = row.probability, row.base_rate
                earlier.append(tally.add(row.record, row.nct_id, chance, base))
        note_copies(out / shard.file, earlier)
    for line in _remarks(shards, done, sources):
        note(f"Note: {printable(line)}")
    refused = sum(facts.refused for facts in done.values())
    if refused:
        note(f"All {counted(refused, 'refused record')} with reasons: {out / REFUSED_FOLDER}.")
    note(f"{counted(len(shards), 'Parquet file')} with {thousands(tally.done)} forecasts in {out}.")
    return tally


def _remarks(
    shards: Sequence[Shard], done: dict[int, Facts], sources: Sequence[Path]
) -> Iterator[str]:
    """Remarks of the shards, files that were passed over, paths without a record."""
    passed: dict[str, PassedOver] = {}
    held = [0] * len(sources)
    for shard in shards:
        facts = done[shard.number]
        held[shard.source] += facts.records
        yield from facts.notes
        for name, count, first in facts.passed:
            passed.setdefault(name, PassedOver(name)).add(count, list(first))
    for over in passed.values():
        yield from map(str, over.note())
    for path, count in zip(sources, held, strict=True):
        if not count:
            yield f"{path}: {NO_RECORD}"
