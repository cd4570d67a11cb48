"""What a benchmark found, in plain sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from llm4top.evaluation._report import Difference, Figure, ForecasterRow, Table
from llm4top.evaluation._summary import same_figures
from llm4top.evaluation._wording import count

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
        told = f"The best language model there is {first.forecaster}, "
        yield told + _told(first.figures["roc_auc"]) + _beside(table, first, differences) + "."
    yield from same_figures(table)


def _headline(
    table: Table,
    best: ForecasterRow,
    trivial: ForecasterRow | None,
    differences: Sequence[Difference],
    *,
    beaten: bool,
) -> str:
    """Who is best of all rows but the oracle, trivial ones included."""
    where = f"{table.title} ({count(table.n)} trials): "
    own = f"{best.forecaster}, {_told(best.figures['roc_auc'])}"
    own += ", worse than chance" if _auc(best) < _CHANCE else ""
    if trivial is not None and beaten:
        return (
            f"{where}no forecaster that learns ranks better than {trivial.forecaster}, which has "
            f"ROC-AUC {_told(trivial.figures['roc_auc'])}; the best of them is {own}."
        )
    text = f"{where}the highest ROC-AUC is that of {own}{_beside(table, best, differences)}"
    if trivial is not None:
        text += f"; {trivial.forecaster} has {_told(trivial.figures['roc_auc'])}"
    return f"{text}."


def _beside(table: Table, row: ForecasterRow, differences: Sequence[Difference]) -> str:
    for d in differences:
        here = (d.phase, d.check, d.metric) == (table.phase, table.check, "roc_auc")
        if here and d.first == row.forecaster and d.p_adjusted is not None:
            if d.p_adjusted < 0.05:
                sign = "above" if (d.figure.value or 0) > 0 else "below"
                return f", {abs(d.figure.value or 0):.3f} {sign} {d.second} (corrected p " + (
                    f"{d.p_adjusted:.3f})" if d.p_adjusted >= 0.001 else "< .001)"
                )
            return f", no detectable difference from {d.second} (n = {table.n})"
    return ""


def _auc(row: ForecasterRow) -> float:
    figure = row.figures.get("roc_auc")
    return figure.value or 0.0 if figure else 0.0


def _told(figure: Figure) -> str:
    if figure.lower is None or figure.upper is None:
        return f"{figure.value:.3f}"
    return f"{figure.value:.3f} [{figure.lower:.3f}, {figure.upper:.3f}]"
