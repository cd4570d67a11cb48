"""A report's metadata: the question, the data, the versions, the machine."""

import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from typing import Any, Literal

import psutil
import yaml

from llm4top import __version__
from llm4top.data.audit.findings import AuditReport
from llm4top.data.dataset import Dataset
from llm4top.data.parquet import SPLITS
from llm4top.data.scopes import phases_in, scope
from llm4top.evaluation.reports.formatting import phase_name
from llm4top.evaluation.reports.report import AuditLine, DataFacts, PublishedRow, Question, Report
from llm4top.tasks.task import Task
from llm4top.text import percent

_NOT_PUBLISHED, _NOT_FOUND = "-", "?"


@cache
def published_results() -> tuple[PublishedRow, ...]:
    """Every published result known for TOP, by protocol; for reports on TOP only.

    They are read from ``data/published.yaml``, which says what a grade is. A figure of "not found"
    is one that the source has and the file does not.
    """
    file = files("llm4top.evaluation.reports") / "data/published.yaml"
    content = yaml.safe_load(file.read_text("utf-8"))
    return tuple(
        PublishedRow(
            system=system,
            phase=phase,
            figures={
                column: "not found" if value == _NOT_FOUND else value
                for column, value in zip(group["columns"], values, strict=True)
                if value != _NOT_PUBLISHED
            },
            protocol=content["protocols"][group["protocol"]],
            grade=group["grade"] if isinstance(group["grade"], str) else group["grade"][phase],
            source=group["source"],
        )
        for group in content["groups"]
        for system, phases in group["results"].items()
        for phase, values in phases.items()
    )


_PACKAGES = (
    "torch",
    "transformers",
    "peft",
    "scikit-learn",
    "xgboost-cpu",
    "numpy",
    "scipy",
    "pyarrow",
)

_FAR_BASE_RATE, _LEAST_OF_A_RATE = 0.05, 20
_NEWER = 0.95
"""The share of rows later than every training row from which a split is called newer."""


def new_report(
    kind: Literal["evaluation", "comparison", "benchmark", "selection"],
    title: str,
    task: Task,
    *,
    reproduce: str,
    seed: int,
    draws: int,
    settings: Mapping[str, Any] | None = None,
) -> Report:
    """A report with nothing measured yet; ``model_copy(update=...)`` fills it.

    ``reproduce`` is the command as the user typed it. Versions, machine and time are filled in:
    no host name, no user name and no path is among them.
    """
    return Report(
        kind=kind,
        title=title,
        summary=(),
        asked=Question(
            task=task.name,
            question=task.question,
            labels=task.labels,
            event=task.labels[1] if task.kind == "binary" else None,
        ),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        reproduce=reproduce,
        seed=seed,
        draws=draws,
        versions=versions(),
        machine=machine(),
        settings=dict(settings or {}),
    )


def versions() -> dict[str, str]:
    """This program's version, Python's, and those of the packages that figures depend on."""
    found = {"llm4top": __version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, str]:
    """Cores, memory, device and platform of this machine, each in words."""
    from llm4top.forecasters.model.device import choose_device

    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return {
        "cores": str(cores),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "device": choose_device().reason.partition(":")[0],
        "platform": f"{platform.system()} {platform.machine()}",
    }


def data_facts(dataset: Dataset) -> DataFacts:
    """A data set's counts by split and label, its time spans and its sources.

    Files are named without their folders.
    """
    return DataFacts(
        name=dataset.card.name,
        sha256=dataset.sha256,
        split_rule=dataset.card.split_rule,
        counts=dataset.counts(),
        time_span={split: _span(dataset, split) for split in SPLITS if split in dataset.splits},
        files=tuple(os.path.basename(file.name) for file in dataset.card.provenance),  # noqa: PTH119
        terms=dataset.card.terms,
        warnings=dataset.card.warnings,
    )


def _span(dataset: Dataset, split: str) -> str:
    dates = [
        date for date, own in zip(dataset.start_dates, dataset.splits, strict=True) if own == split
    ]
    known = [date for date in dates if date]
    if not known:
        return "no start dates"
    span = f"{min(known)} to {max(known)}"
    unknown = len(dates) - len(known)
    return span if not unknown else f"{span}, {unknown} without a start date"


def audit_lines(report: AuditReport) -> tuple[AuditLine, ...]:
    """The leak audit as a report shows it."""
    return tuple(
        AuditLine(check=line.check, verdict=line.verdict, field=line.field, finding=line.finding)
        for line in report.lines
    )


def age_note(dataset: Dataset, split: str) -> str:
    """A sentence if the rows of a split are newer than the training rows, or of the same years.

    By start date, or by the first submission where that is unknown. Empty where neither is so, or
    where most rows have no date.
    """
    trained, measured = _dates(dataset, "train"), _dates(dataset, split)
    if not trained or not measured:
        return ""
    later = sum(date > trained[-1] for date in measured)
    if later >= _NEWER * len(measured):
        return "These rows are newer than the training rows."
    low, middle, high = (
        trained[len(trained) // 4],
        measured[len(measured) // 2],
        trained[3 * len(trained) // 4],
    )
    if low <= middle <= high:
        return "These rows are from the same years as the training rows, not later."
    return ""


def _dates(dataset: Dataset, split: str) -> list[str]:
    """The dates of a split, ascending; none where most rows have none."""
    rows = dataset.select(split)
    pairs = zip(rows.start_dates, rows.first_submitted, strict=True)
    known = sorted(filter(None, (start or submitted for start, submitted in pairs)))
    return known if 2 * len(known) > len(rows) else []


def base_rate_notes(dataset: Dataset, measured: Dataset) -> list[str]:
    """Notes on phases whose base rate, which is of training rows, is far from the rows' own."""
    if dataset.task.kind != "binary":
        return []
    event, train, notes = dataset.task.labels[1], dataset.select("train"), []
    for phase in (*phases_in(measured), "pooled"):
        own, base = (_share(scope(rows, phase), event) for rows in (measured, train))
        if own is None or base is None or abs(own - base) < _FAR_BASE_RATE:
            continue
        notes.append(
            f"{phase_name(phase)}: {percent(base)} of the training rows are {event}, and "
            f"{percent(own)} of the rows measured here. The base rate is that of the training "
            "rows, so Brier skill against it is optimistic: see Brier skill, own prevalence."
        )
    return notes


def _share(rows: Dataset, event: str) -> float | None:
    """The event's share; None where the rows are too few to have one."""
    return rows.labels.count(event) / len(rows) if len(rows) >= _LEAST_OF_A_RATE else None
