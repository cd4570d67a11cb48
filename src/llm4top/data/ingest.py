"""From files to a data set: read, label, pool by trial, split, and write with a card."""

import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from llm4top.data.dataset import Dataset, load_dataset
from llm4top.data.labels import LabelFile, read_label_file
from llm4top.data.plan import make_plan, plan_card
from llm4top.data.sources import (
    SourcePath,
    check_phases,
    dates_files,
    find_sources,
    top_dates,
    unpacked_top,
)
from llm4top.data.splits import OwnSplit, SplitRule, TimeSplit
from llm4top.data.spool import Reading, Spool
from llm4top.data.write import check_target, write_dataset, writing
from llm4top.errors import DatasetError, RegistryError
from llm4top.progress import OnProgress, ignore
from llm4top.registry.limits import Limits
from llm4top.registry.trial import ReadNote
from llm4top.tasks.builtin import LABEL_RULES, get_task
from llm4top.tasks.task import LabelRule, Task

PathLike = str | os.PathLike[str]


def ingest(
    sources: PathLike | Sequence[PathLike],
    out: PathLike,
    *,
    task: Task | str = "outcome",
    split: SplitRule | None = None,
    labels: PathLike | None = None,
    label_column: str = "label",
    phases: Sequence[str] = (),
    enrich: PathLike | None = None,
    limit: int | None = None,
    limits: Limits | None = None,
    name: str | None = None,
    overwrite: bool = False,
    on_refusal: Callable[[RegistryError], None] | None = None,
    on_note: Callable[[ReadNote], None] | None = None,
    on_progress: OnProgress = ignore,
) -> Dataset:
    """Make a data set of labelled trials in the folder ``out`` and read it back.

    ``sources``: a folder or a zip with TOP's files under their upstream names (those that are
    there), or registry records as a file, a folder or a zip, or several of these.
    ``labels``: a CSV with ``nctid`` and ``label_column``; without it the task's own rule reads
    the label off the record.
    ``split``: by default the source's own where it has one, else by start date (80 / 10 / 10 %).
    ``phases``: I, II, III, IV; TOP's rows are chosen by their file, others by their own phase.
    ``enrich``: registry records whose trials replace those of the same NCT id, which keep their
    ICD codes and SMILES.
    ``limit``: at most that many labelled records of each source, for a quick look.
    ``on_refusal`` and ``on_note``: as of ``read_records``; a note also names the trials that have
    two different labels.

    Every trial is in one split only. Memory holds no text but that of enriched trials. Raises
    ``DatasetError`` where a path, a column or a phase does not exist, ``out`` is taken or
    cannot be written, or no row is left, ``SplitError`` for a split that the sources do not
    support, and ``RegistryError`` for a zip of TOP's files that is not safe to unpack.
    """
    target = Path(out)
    asked = get_task(task)
    check_target(target, overwrite=overwrite)
    given = [Path(p) for p in ([sources] if isinstance(sources, (str, os.PathLike)) else sources)]
    extra = [Path(path) for path in (labels, enrich) if path is not None]
    find_sources([*given, *extra])  # a wrong path fails before an hour of reading, not after
    with writing(target), unpacked_top(given, target.parent, limits) as ready:
        found = find_sources(ready)
        reading = Reading(
            task=asked,
            rule=_label_rule(asked, labels),
            labels=_labels(labels, asked, label_column, on_note),
            phases=check_phases(phases),
            dates=top_dates(found),
            limits=limits,
            limit=limit,
            on_refusal=on_refusal,
            on_note=on_note,
            on_progress=on_progress,
        )
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".ingest-", dir=target.parent) as scratch:
            with Spool(Path(scratch) / "rows.parquet", reading) as spool:
                for source in found:
                    spool.add_all(source)
            rule = split or _default_split(found)
            plan = make_plan(spool, reading, rule, Path(enrich) if enrich is not None else None)
            files = [*(source.path for source in found), *dates_files(found), *extra]
            history = plan_card(plan, name or target.name, files)
            write_dataset(target, plan.rows(), task=asked, history=history, overwrite=overwrite)
    return load_dataset(target)


def _labels(
    path: PathLike | None, task: Task, column: str, on_note: Callable[[ReadNote], None] | None
) -> LabelFile | None:
    if path is None:
        return None
    file = read_label_file(Path(path), task, column=column)
    if file.conflicts and on_note is not None:
        on_note(ReadNote(str(path), file.conflicts_named))
    return file


def _label_rule(task: Task, labels: PathLike | None) -> LabelRule | None:
    if labels is None and task.name not in LABEL_RULES:
        raise DatasetError(
            f"task {task.name!r} has no rule that reads its label off a record.",
            hint="Add a CSV of labels with the columns nctid and label (--labels).",
        )
    return LABEL_RULES.get(task.name)


def _default_split(sources: Sequence[SourcePath]) -> SplitRule:
    if all(source.own_split for source in sources):
        return OwnSplit()
    return TimeSplit(shares=(0.8, 0.1, 0.1))
