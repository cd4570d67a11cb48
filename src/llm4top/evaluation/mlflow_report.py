"""A report as runs in MLflow: one of the whole, and in it one of each forecaster."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llm4top.evaluation.mlflow_runs import (
    MlflowRun,
    MlflowTarget,
    figure_metrics,
    open_client,
    slug,
)
from llm4top.evaluation.reports.render import write_report
from llm4top.evaluation.reports.report import DataFacts, ForecasterRow, Report, Table

_COMMANDS = {"evaluation": "evaluate", "comparison": "compare"}
_PLAIN = (
    *("phases", "ways", "preset", "shots", "max_tokens", "each_phase", "newest", "test"),
    *("baselines", "probe_trials", "cutoff", "limit", "device"),
)
"""Settings that cannot hold a path."""


def log_report(report: Report, target: MlflowTarget) -> str:
    """Log a report; the id of its run. Raises whatever MLflow raises.

    The run of the report has its settings and its files, each run in it the figures of one
    forecaster on all tables: ``CHECK/PHASE/METRIC`` with ``_lower`` and ``_upper``, the bounds of
    its 95 % interval, and ``CHECK/PHASE/n``. To another machine goes what ``for_elsewhere`` leaves.
    """
    command = _COMMANDS.get(report.kind, report.kind)
    if not target.is_local:
        report = for_elsewhere(report)
    client = open_client(target)
    data = report.data[0] if report.data else None
    settings = {k: v for k, v in report.settings.items() if v is not None}
    parent = MlflowRun.begin(
        client,
        target,
        report.title,
        command=command,
        params={"task": report.asked.task, "draws": report.draws, "seed": report.seed, **settings},
        tags={"llm4top.kind": report.kind, "llm4top.reproduce": report.reproduce},
        data=(data.name, data.sha256) if data else None,
    )
    for name, (row, metrics) in _by_forecaster(report).items():
        run = MlflowRun.begin(
            client,
            target,
            name,
            command=command,
            params={"forecaster": name, "kind": row.kind, "learnt_from": row.learnt_from},
            tags={"llm4top.identity": row.identity},
            data=(data.name, data.sha256) if data else None,
            parent=parent,
        )
        run.log(metrics=metrics)
        run.end("FINISHED")
    with tempfile.TemporaryDirectory() as folder:
        for path in write_report(report, Path(folder)).values():
            client.log_artifact(parent.run_id, str(path))
    parent.end("FINISHED")
    return parent.run_id


def _by_forecaster(report: Report) -> dict[str, tuple[ForecasterRow, dict[str, float]]]:
    """Each forecaster by its name: a row of it, and its figures on every table."""
    found: dict[str, tuple[ForecasterRow, dict[str, float]]] = {}
    for table in report.tables:
        for row in table.rows:
            _, metrics = found.setdefault(row.forecaster, (row, {}))
            metrics |= _metrics(table, row)
    return found


def _metrics(table: Table, row: ForecasterRow) -> dict[str, float]:
    prefix = f"{table.check}/{slug(table.phase)}"
    figures: Mapping[str, Any] = {name: f.model_dump() for name, f in row.figures.items()}
    apart = {f"{prefix}/{slug(k)}_n": f.n for k, f in row.figures.items() if f.n != table.n}
    return {f"{prefix}/n": table.n, **figure_metrics(prefix, figures), **apart}


def for_elsewhere(report: Report) -> Report:
    """The report without what may hold a path, an id or words of a record.

    Kept are the question, plain settings, the tables with their figures, curves, differences and
    slices, and of the data set its name, hash and counts.
    """
    return Report(
        kind=report.kind,
        title=report.title,
        summary=report.summary,
        asked=report.asked,
        created=report.created,
        reproduce="",
        seed=report.seed,
        draws=report.draws,
        versions=report.versions,
        machine={},
        settings={name: report.settings[name] for name in _PLAIN if name in report.settings},
        data=tuple(_nameless(facts) for facts in report.data),
        tables=tuple(
            table.model_copy(
                update={
                    "rows": tuple(row.model_copy(update={"note": ""}) for row in table.rows),
                    "note": "",
                }
            )
            for table in report.tables
        ),
        curves=report.curves,
        differences=report.differences,
        slices=report.slices,
    )


def _nameless(facts: DataFacts) -> DataFacts:
    return facts.model_copy(update={"files": (), "terms": (), "warnings": ()})
