"""The few sentences that a report begins with."""

from collections.abc import Sequence
from itertools import combinations

from llm4top.evaluation.metrics.metrics import METRICS
from llm4top.evaluation.reports import formatting
from llm4top.evaluation.reports.report import Difference, ForecasterRow, Table
from llm4top.text import thousands


def summary(
    table: Table, differences: Sequence[Difference], *, measured: Sequence[str]
) -> tuple[str, ...]:
    """The results in sentences: those of the ``measured`` forecasters first, then the references.

    Comparisons are those of the main metric with a measured forecaster or a baseline.
    """
    compared = {row.forecaster for row in table.rows if row.kind == "baseline"} | set(measured)
    main = "roc_auc" if "roc_auc" in table.rows[0].figures else "log_loss"
    return (
        f"Measured on {thousands(table.n)} trials of the {formatting.CHECKS[table.check]}: "
        f"{formatting.counts_text(table.counts)}.",
        *(_figures(row) for row in table.rows if row.forecaster in measured),
        *(_reference(row) for row in table.rows if row.forecaster not in measured),
        *(difference_text(d) for d in differences if d.metric == main and d.first in compared),
        *same_figures(table),
    )


def same_figures(table: Table) -> list[str]:
    """A sentence for each pair of honest forecasters that do not differ in a single figure."""
    honest = [row for row in table.rows if row.kind not in ("trivial", "cheating")]
    return [
        f"{one.forecaster} and {other.forecaster} have the same figures throughout: on these rows "
        "they are one forecaster."
        for one, other in combinations(honest, 2)
        if one.figures and one.figures == other.figures
    ]


def difference_text(difference: Difference) -> str:
    """One comparison in words."""
    metric = METRICS[difference.metric]
    corrected = ""
    if difference.p_adjusted is not None:
        corrected = f", p {formatting.p_value(difference.p_adjusted)}"
        if difference.family > 1:
            corrected += f" corrected for {difference.family} comparisons"
    return (
        f"{metric.label}, {difference.first} minus {difference.second}: "
        f"{formatting.signed_with_interval(difference.figure)}{corrected}; "
        f"{formatting.reading(difference, metric.better)}."
    )


def _figures(row: ForecasterRow) -> str:
    keys = [k for k in ("roc_auc", "average_precision", "log_loss", "brier") if k in row.figures]
    parts = [f"{METRICS[key].label} {formatting.with_interval(row.figures[key])}" for key in keys]
    return f"{row.forecaster}: {', '.join(parts)}."


def _reference(row: ForecasterRow) -> str:
    figures = row.figures
    if row.kind == "cheating":
        return (
            f"{row.forecaster}: cheating, it reads the outcome's status. ROC-AUC "
            f"{formatting.with_interval(figures['roc_auc'])}."
        )
    if row.kind == "trivial" and "f1" in figures:
        return (
            f"{row.forecaster} (trivial): F1 at the chosen threshold "
            f"{formatting.with_interval(figures['f1'])}, "
            f"Brier score {formatting.with_interval(figures['brier'])}."
        )
    return _figures(row)
