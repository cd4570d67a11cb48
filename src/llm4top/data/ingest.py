"""From files to a data set: read, label, pool by trial, split, and write with a card."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from llm4top.data.dataset import Dataset, check_target, load_dataset, write_dataset, writing
from llm4top.data.labels import LabelFile, read_label_file
from llm4top.data.plan import Plan, make_plan, plan_card
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
from llm4top.errors import DatasetError, RegistryError
from llm4top.files import scratch_folder
from llm4top.progress import OnProgress, ignore
from llm4top.registry.limits import Limits
from llm4top.registry.trial import ReadNote
from llm4top.tasks.builtin import LABEL_RULES, TASKS, get_task
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
    workers: int = 1,
    on_refusal: Callable[[RegistryError], None] | None = None,
    on_note: Callable[[ReadNote], None] | None = None,
    on_progress: OnProgress = ignore,
) -> Dataset:
    """Make a data set of labelled trials in the folder ``out`` and load it.

    Every trial is in one split only. Texts are held on disk, except those of enriched trials, so
    memory does not grow with the sources.

    Args:
        sources: Registry records as a file, a folder or a zip, or several of these; or a folder
            or zip with TOP's files under their upstream names.
        out: The folder to write.
        task: A task, or the name of a built-in one.
        split: The split rule. By default the source's own split where it has one, else by start
            date (80 / 10 / 10 %).
        labels: A CSV with the columns ``nctid`` and ``label_column``. Without it the task's own
            rule reads the label off the record.
        label_column: Name of the column of labels.
        phases: Keep only these of I, II, III and IV; all if empty. TOP's rows have the phase of
            their file, others their own.
        enrich: Registry records whose trials replace those of the same NCT id. ICD codes and
            SMILES of the replaced trials stay.
        limit: Maximum number of labelled records of each source, for a quick look.
        limits: Caps on the size of what is read.
        name: Name of the data set; the folder's where None.
        overwrite: Replace a data set that is in ``out``.
        on_refusal: Called with the error of each record that cannot be read.
        on_note: Called with what a person should know about a source, such as trials that have
            two different labels.
        on_progress: Called with the records read so far.

    Raises:
        DatasetError: A path, column or phase does not exist, ``out`` is taken or cannot be
            written (the disk is full, say), or no row is left.
        SplitError: The sources do not support the split.
        RegistryError: A zip of TOP's files is not safe to unpack.
    """
    target = Path(out)
    given = [Path(p) for p in ([sources] if isinstance(sources, (str, os.PathLike)) else sources)]
    extra = [Path(path) for path in (labels, enrich) if path is not None]
    chosen = get_task(task)
    check_target(target, overwrite=overwrite)
    find_sources([*given, *extra])  # a wrong path fails before an hour of reading, not after
    with writing(target), unpacked_top(given, target.parent, limits) as ready:
        found = find_sources(ready)
        reading = Reading(
            task=chosen,
            rule=_label_rule(chosen, labels),
            labels=_labels(labels, chosen, label_column, on_note),
            phases=check_phases(phases),
            dates=top_dates(found),
            limits=limits,
            limit=limit,
            on_refusal=on_refusal,
            on_note=on_note,
            on_progress=on_progress,
            workers=workers,
        )
        files = [*(source.path for source in found), *dates_files(found), *extra]
        enrichment = Path(enrich) if enrich is not None else None
        with _planned(found, reading, split, enrichment, target.parent) as plan:
            history = plan_card(plan, name or target.name, files)
            write_dataset(target, plan.rows(), task=chosen, history=history, overwrite=overwrite)
    return load_dataset(target)


@contextmanager
def _planned(
    sources: Sequence[SourcePath],
    reading: Reading,
    split: SplitRule | None,
    enrich: Path | None,
    beside: Path,
) -> Iterator[Plan]:
    """Read everything into a scratch folder in ``beside`` and decide the rows and their splits."""
    with scratch_folder(beside, ".ingest-") as scratch:
        with Spool(scratch / "rows.parquet", reading) as spool:
            for source in sources:
                spool.add_all(source)
        yield make_plan(spool, reading, split or _default_split(sources), enrich)


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
    # A question of one's own may have the name of a built-in one.
    rule = LABEL_RULES.get(task.name) if TASKS.get(task.name) == task else None
    if labels is None and rule is None:
        raise DatasetError(
            f"task {task.name!r} has no rule that reads its label off a record.",
            hint="Add a CSV of labels with the columns nctid and label (--labels).",
        )
    return rule


def _default_split(sources: Sequence[SourcePath]) -> SplitRule:
    if all(source.own_split for source in sources):
        return OwnSplit()
    return TimeSplit(shares=(0.8, 0.1, 0.1))
