"""What every figure of a report is made of: the series drawn, and the finished drawing."""

import base64
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure as Canvas

from llm4top.evaluation.reports.formatting import heading
from llm4top.evaluation.reports.report import Curves, CurveSet, ForecasterRow, Kind, Table
from llm4top.evaluation.reports.svg import COLOURS, to_svg
from llm4top.text import csv_text, one_line

MOST_SERIES = 6
FEW_OF_A_LABEL = 20
"""With fewer trials of a label a single one moves a curve by more than a twentieth."""
_ORACLE = "oracle"


@dataclass(frozen=True, slots=True)
class Drawing:
    """A figure on the page: ``title`` says its reading, ``note`` how to look at it.

    ``csv`` is its data, the content of a file called ``file``.
    """

    svg: str
    title: str
    note: str
    csv: str
    file: str

    @property
    def data(self) -> str:
        """The CSV as a ``data:`` address."""
        return f"data:text/csv;base64,{base64.b64encode(self.csv.encode()).decode()}"


@dataclass(frozen=True, slots=True)
class Series:
    """How one forecaster is drawn in every figure: a name of ``COLOURS``, and dashes."""

    forecaster: str
    kind: Kind
    colour: str

    @property
    def drawn(self) -> str:
        """The colour as matplotlib takes it."""
        return COLOURS[self.colour]

    @property
    def variable(self) -> str:
        """The colour as a page takes it, which may have its own for dark ones."""
        return f"var(--{self.colour}, {self.drawn})"

    @property
    def dashed(self) -> bool:
        """The leak oracle is dashed, and nothing else."""
        return self.kind == "cheating"


def choose_series(tables: Iterable[Table]) -> tuple[Series, ...]:
    """At most six forecasters, the same in all figures of a report, in the order of its tables.

    Always the leak oracle and TF-IDF where they are there, and the best language model; then those
    with the highest mean ROC-AUC, those in more tables first.
    The trivial ones are drawn as reference lines, not as series.
    """
    rows = [row for table in tables for row in table.rows if row.kind != "trivial"]
    kinds = {row.forecaster: row.kind for row in rows}
    tally = Counter(row.forecaster for row in rows)
    by_value = sorted(kinds, key=lambda name: (-tally[name], -_mean_auc(name, rows)))
    oracle = [name for name in by_value if kinds[name] == "cheating"][:1]
    honest = [name for name in by_value if kinds[name] != "cheating"]
    tfidf = [
        name
        for name in honest
        if kinds[name] == "baseline" and "tfidf" in name.casefold().replace("-", "")
    ][:1]
    language = [name for name in honest if kinds[name] == "language"][:1]
    chosen = list(dict.fromkeys([*tfidf, *language, *honest]))[: MOST_SERIES - 1]
    honest_series = [
        Series(name, kinds[name], f"series-{i}")
        for i, name in enumerate((n for n in kinds if n in chosen), start=1)
    ]
    return (*honest_series, *(Series(name, "cheating", _ORACLE) for name in oracle))


def _mean_auc(name: str, rows: Sequence[ForecasterRow]) -> float:
    values = [
        figure.value
        for row in rows
        if row.forecaster == name
        and (figure := row.figures.get("roc_auc"))
        and figure.value is not None
    ]
    return sum(values) / len(values) if values else 0.0


def drawn_curves(curves: CurveSet, series: Sequence[Series]) -> list[tuple[Series, Curves]]:
    """The series that these curves have, each with its curves."""
    own = {one.forecaster: one for one in curves.curves}
    return [(one, own[one.forecaster]) for one in series if one.forecaster in own]


def curve_drawing(
    figure: Canvas,
    curves: CurveSet,
    drawn: Sequence[tuple[Series, Curves]],
    *,
    name: str,
    title: str,
    note: str,
    header: Sequence[str],
    rows: Iterable[Sequence[object]],
) -> Drawing:
    """A finished figure of curves; a screen reader gets its table's name and what is drawn too."""
    names = ", ".join(one_line(one.forecaster) for one, _ in drawn)
    svg = to_svg(
        figure,
        name=name,
        title=f"{heading(curves)}: {title}",
        description=f"{note} Drawn: {names}." if names else note,
    )
    return drawing(svg, title, note, name, header, rows)


def drawing(
    svg: str,
    title: str,
    note: str,
    name: str,
    header: Sequence[str],
    rows: Iterable[Sequence[object]],
) -> Drawing:
    """A finished figure with its data as CSV; ``name`` is its file's name."""
    return Drawing(svg, title, note, csv_text([header, *rows]), f"{name}.csv")
