"""The few sentences that a report begins with."""

from __future__ import annotations

from collections.abc import Sequence

from llm4top.evaluation.metrics.metrics import METRICS
from llm4top.evaluation.reports.formatting import (
    CHECKS,
    counts_text,
    interval,
    p_value,
    reading,
    signed,
    with_interval,
)
from llm4top.evaluation.reports.report import Difference, ForecasterRow, Table
from llm4top.text import thousands


def summary(
    table: Table, differences: Sequence[Difference], *, measured: Sequence[str]
) -> tuple[str, ...]:
    """What the figures say, in words: those measured, what is beside them, and the differences.

    ``measured`` are the forecasters that were asked about.
    """
    lines = [_rows(table)]
    lines += [_figures(row) for row in table.rows if row.forecaster in measured]
    lines += _beside(table, measured)
    main = "roc_auc" if "roc_auc" in table.rows[0].figures else "log_loss"
    lines += [
        told(difference)
        for difference in differences
        if difference.metric == main
        and (difference.first in measured or _kind(table, difference.first) == "baseline")
    ]
    lines += same_figures(table)
    return tuple(lines)


def same_figures(table: Table) -> list[str]:
    """A sentence for each pair of honest forecasters that do not differ in a single figure."""
    honest = [row for row in table.rows if row.kind not in ("trivial", "cheating")]
    return [
        f"{one.forecaster} and {other.forecaster} have the same figures throughout: on these rows "
        "they are one forecaster."
        for i, one in enumerate(honest)
        for other in honest[i + 1 :]
        if one.figures and one.figures == other.figures
    ]


def told(difference: Difference) -> str:
    """One comparison in words; one that chance explains is no difference."""
    metric = METRICS[difference.metric]
    corrected = ""
    if difference.p_adjusted is not None:
        corrected = f", p {p_value(difference.p_adjusted)}"
        if difference.family > 1:
            corrected += f" corrected for {difference.family} comparisons"
    value = f"{signed(difference.figure.value)} {interval(difference.figure)}".rstrip()
    return (
        f"{metric.label}, {difference.first} minus {difference.second}: {value}{corrected}; "
        f"{reading(difference, metric.better)}."
    )


def _rows(table: Table) -> str:
    where = f"{thousands(table.n)} trials of the {CHECKS[table.check]}"
    return f"Measured on {where}: {counts_text(table.counts)}."


def _figures(row: ForecasterRow) -> str:
    keys = [k for k in ("roc_auc", "average_precision", "log_loss", "brier") if k in row.figures]
    parts = [f"{METRICS[key].label} {with_interval(row.figures[key])}" for key in keys]
    return f"{row.forecaster}: {', '.join(parts)}."


def _beside(table: Table, measured: Sequence[str]) -> list[str]:
    lines = []
    for row in table.rows:
        if row.forecaster in measured:
            continue
        if row.kind == "cheating":
            lines.append(
                f"{row.forecaster}: cheating, it reads the outcome's status. ROC-AUC "
                f"{with_interval(row.figures['roc_auc'])}."
            )
        elif row.kind == "trivial" and (f1 := row.figures.get("f1")) is not None:
            lines.append(
                f"{row.forecaster} (trivial): F1 at the chosen threshold {with_interval(f1)}, "
                f"Brier score {with_interval(row.figures['brier'])}."
            )
        else:
            lines.append(_figures(row))
    return lines


def _kind(table: Table, forecaster: str) -> str:
    return next(row.kind for row in table.rows if row.forecaster == forecaster)
