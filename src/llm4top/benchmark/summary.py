"""What a benchmark found, in plain sentences."""

from collections.abc import Iterator, Sequence

from llm4top.evaluation.reports.formatting import number, p_value, with_interval
from llm4top.evaluation.reports.report import Difference, ForecasterRow, Table
from llm4top.evaluation.reports.summary import same_figures
from llm4top.text import thousands

_HONEST = ("baseline", "language", "stack")
_ORDER = ("test", "newest", "valid")
_CHANCE = 0.5


def summarise(tables: Sequence[Table], differences: Sequence[Difference]) -> tuple[str, ...]:
    """Who ranks best on each check, whether TF-IDF differs, and what a trivial one has.

    About all phases together where there is such a table, else about each phase; the strictest
    check comes first.
    """
    pooled = [table for table in tables if table.phase == "pooled"] or list(tables)
    ordered = sorted(pooled, key=lambda table: _ORDER.index(table.check))
    return tuple(line for table in ordered for line in _about(table, differences))


def _about(table: Table, differences: Sequence[Difference]) -> Iterator[str]:
    honest = [row for row in table.rows if row.kind in _HONEST and _auc(row)]
    if not honest:
        return
    best = max(honest, key=_auc)
    trivial = max((r for r in table.rows if r.kind == "trivial"), key=_auc, default=None)
    beaten = trivial is not None and _auc(trivial) >= _auc(best)
    yield _headline(table, best, trivial, differences, beaten=beaten)
    language = [row for row in honest if row.kind == "language" and row is not best]
    if language and not beaten:
        first = max(language, key=_auc)
        value = with_interval(first.figures["roc_auc"])
        compared = _compared(table, first, differences)
        yield f"The best language model there is {first.forecaster}, {value}{compared}."
    yield from same_figures(table)


def _headline(
    table: Table,
    best: ForecasterRow,
    trivial: ForecasterRow | None,
    differences: Sequence[Difference],
    *,
    beaten: bool,
) -> str:
    """Who ranks best of all rows but the oracle, trivial ones included."""
    where = f"{table.title} ({thousands(table.n)} trials): "
    own = f"{best.forecaster}, {with_interval(best.figures['roc_auc'])}"
    own += ", worse than chance" if _auc(best) < _CHANCE else ""
    if trivial is not None and beaten:
        return (
            f"{where}no trained forecaster ranks better than {trivial.forecaster}, which has "
            f"ROC-AUC {with_interval(trivial.figures['roc_auc'])}; the best of them is {own}."
        )
    text = f"{where}the highest ROC-AUC is that of {own}{_compared(table, best, differences)}"
    if trivial is not None:
        text += f"; {trivial.forecaster} has {with_interval(trivial.figures['roc_auc'])}"
    return f"{text}."


def _compared(table: Table, row: ForecasterRow, differences: Sequence[Difference]) -> str:
    """The paired difference of the row to the one that all are compared with, in words."""
    for d in differences:
        here = (d.phase, d.check, d.metric) == (table.phase, table.check, "roc_auc")
        if here and d.first == row.forecaster and d.p_adjusted is not None:
            if d.p_adjusted >= 0.05:
                return f", no detectable difference from {d.second} (n = {thousands(table.n)})"
            value = d.figure.value or 0.0
            side = "above" if value > 0 else "below"
            p = p_value(d.p_adjusted)
            return f", {number(abs(value))} {side} {d.second} (corrected p {p})"
    return ""


def _auc(row: ForecasterRow) -> float:
    figure = row.figures.get("roc_auc")
    return figure.value or 0.0 if figure else 0.0
