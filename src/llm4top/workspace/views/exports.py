"""Forecasts to take away: CSV, a spreadsheet, and a report that is one HTML page.

The text of a record is a stranger's: what a spreadsheet could run as a formula is made text
(CWE-1236), what a browser could run as markup is escaped.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING, Any

from llm4top.forecasters.forecast_format import COLUMNS, Cell, Forecast, csv_cells, left_out_row
from llm4top.text import (
    DISCLAIMER,
    csv_text,
    interval,
    looks_like_formula,
    one_line,
    percent,
    thousands,
)
from llm4top.workspace.serving.parsing import NOT_APPLICABLE, Refusal
from llm4top.workspace.views import label_bars, portfolio
from llm4top.workspace.views.caveats import sorted_warnings
from llm4top.workspace.views.portfolio_charts import chances_chart, distribution_chart
from llm4top.workspace.views.wording import expected

if TYPE_CHECKING:
    from jinja2 import Environment


def status_of(refusal: Refusal) -> str:
    """What became of a record without a forecast, as tables call it."""
    return "not applicable" if refusal.code == NOT_APPLICABLE else "refused"


def _told(refusal: Refusal) -> dict[str, Cell]:
    where = f" (line {refusal.line})" if refusal.line is not None else ""
    hint = f" {refusal.hint}" if refusal.hint else ""
    reason = refusal.reason[:1].upper() + refusal.reason[1:].rstrip(".")
    return {
        "record": refusal.record,
        "status": status_of(refusal),
        "reason": f"{reason}{where}.{hint}",
    }


def to_csv(
    trials: Sequence[Forecast],
    left_out: Sequence[Refusal] = (),
    about: Sequence[str] = (),  # noqa: ARG001 - a table of values has no place for it
) -> bytes:
    """``COLUMNS`` as UTF-8 CSV; probabilities with six decimals, absent values empty.

    ``left_out`` are records without a forecast: a row each, behind the forecasts.
    """
    rows = chain((t.row() for t in trials), (left_out_row(**_told(r)) for r in left_out))
    return csv_text(chain([COLUMNS], map(csv_cells, rows))).encode()


def distribution_csv(distribution: portfolio.Distribution) -> bytes:
    """The data behind the figure of successes: each count with its probability."""
    lines = ["successes,probability"]
    lines += [f"{k},{mass:.9f}" for k, mass in enumerate(distribution.mass)]
    return ("\n".join(lines) + "\n").encode()


def to_xlsx(
    trials: Sequence[Forecast],
    left_out: Sequence[Refusal] = (),
    about: Sequence[str] = (),
) -> bytes:
    """``COLUMNS`` as a spreadsheet: numbers stay numbers, every text is text and no formula.

    ``left_out`` has a sheet of its own; ``about`` are lines of the last sheet.
    """
    from openpyxl import Workbook

    book = Workbook(write_only=True)
    sheet = book.create_sheet("Forecasts")
    sheet.freeze_panes = "A2"
    columns = [name for name in COLUMNS if name not in ("status", "reason")]
    for position, name in enumerate(columns):
        sheet.column_dimensions[_letter(position)].width = 60 if name == "title" else 16
    sheet.auto_filter.ref = f"A1:{_letter(len(columns) - 1)}{len(trials) + 1}"
    sheet.append([COLUMNS[name] for name in columns])
    for trial in trials:
        row = trial.row()
        sheet.append([_sheet_cell(sheet, name, row[name]) for name in columns])
    if left_out:
        _left_out_sheet(book, left_out)
    last = book.create_sheet("About")
    for line in _about(trials, about):
        last.append([_sheet_cell(last, "about", line)])
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def _left_out_sheet(book: Any, left_out: Sequence[Refusal]) -> None:
    sheet = book.create_sheet("Not forecast")
    sheet.freeze_panes = "A2"
    for letter, width in (("A", 40), ("B", 16), ("C", 100)):
        sheet.column_dimensions[letter].width = width
    sheet.append(["Record", "Status", "Reason"])
    for refusal in left_out:
        sheet.append([_sheet_cell(sheet, name, value) for name, value in _told(refusal).items()])


def to_html(
    trials: Sequence[Forecast],
    left_out: Sequence[Refusal] = (),
    about: Sequence[str] = (),
    *,
    made: datetime | None = None,
) -> bytes:
    """A report as one HTML page that asks for nothing else: no script, no request.

    ``left_out`` has a section of its own; ``about`` are lines below the heading. ``made`` is the
    time it bears; now where it is None. Every text is shown as text.
    """
    parts = portfolio.counted(trials)
    distribution = portfolio.successes(parts.trials)
    from_base = portfolio.expected_from_base(parts.trials)
    label = trials[0].label if trials else ""
    page = environment().get_template("forecasts.html")
    return page.render(
        trials=[_shown(trial) for trial in trials],
        n=thousands(len(trials)),
        made=(made or datetime.now(UTC)).strftime("%Y-%m-%d %H:%M UTC"),
        bundles=sorted({trial.bundle for trial in trials}),
        about=about,
        left_out=[_told(refusal) for refusal in left_out],
        counted=thousands(len(parts.trials)),
        not_counted=not_counted(parts),
        distribution=distribution,
        expected=expected(distribution.expected, distribution.n) if distribution else "",
        from_base=from_base,
        event_verb=label_bars.event_verb(label),
        event_count=label_bars.event_count(label),
        answers_chart=label_bars.answers_chart(parts.trials),
        successes_chart=distribution_chart(distribution, from_base) if distribution else "",
        chances_chart=chances_chart(parts.trials) if distribution else "",
        disclaimer=DISCLAIMER,
    ).encode()


EXPORTS: dict[str, tuple[Callable[..., bytes], str]] = {
    "csv": (to_csv, "text/csv; charset=utf-8"),
    "xlsx": (to_xlsx, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    "html": (to_html, "text/html; charset=utf-8"),
}
"""For each format: what writes it (trials, left out, about), and its media type."""


def _sheet_cell(sheet: Any, name: str, value: Cell) -> Any:
    """A value for a spreadsheet; a cell of its own, which is slow, only where it needs one."""
    from openpyxl.cell import WriteOnlyCell

    if isinstance(value, str):
        text, risky = one_line(value), looks_like_formula(value)
        # A text like "#N/A" would be taken for an error.
        if not (risky or looks_like_formula(text) or text.startswith("#")):
            return text
        cell: Any = WriteOnlyCell(sheet, text)
        cell.data_type = "s"
        cell.quotePrefix = risky
        return cell
    if value is None or name not in ("probability", "lower", "upper", "base_rate"):
        return value
    cell = WriteOnlyCell(sheet, value)
    cell.number_format = "0%"
    return cell


def _letter(position: int) -> str:
    from openpyxl.utils import get_column_letter

    return get_column_letter(position + 1)


def _about(trials: Sequence[Forecast], more: Sequence[str]) -> list[str]:
    bundles = ", ".join(sorted({trial.bundle for trial in trials}))
    lines = [f"{len(trials)} forecasts by {bundles}" if trials else "No forecasts", DISCLAIMER]
    parts = portfolio.counted(trials)
    found = portfolio.successes(parts.trials)
    if found is not None:
        verb = label_bars.event_verb(trials[0].label)
        lines.append(
            f"Expected to {verb}, if the trials are independent: {found.expected:.1f} of {found.n} "
            f"({found.lower} to {found.upper} with 95 % probability, the calibration's "
            "uncertainty included)"
        )
        lines += [f"Not counted: {words}" for words in not_counted(parts)]
    return [*lines, *more]


def not_counted(parts: portfolio.Counted) -> list[str]:
    """In words, how many trials a portfolio leaves out, by reason."""
    said = (
        (parts.copies, "further records of a trial that is counted already"),
        (parts.learnt, "trials that the model has learnt from or was tuned on"),
        (parts.out_of_scope, "trials unlike those that the model has learnt from"),
    )
    return [f"{thousands(len(trials))} {words}" for trials, words in said if trials]


def _shown(trial: Forecast) -> dict[str, Any]:
    """A trial as the report's template takes it."""
    return {
        "title": portfolio.name_of(trial),
        "about": (
            trial.nct_id,
            portfolio.phase_of(trial),
            trial.area,
            portfolio.sponsor_of(trial),
            trial.record,
        ),
        "withheld": len(trial.withheld),
        "grave": sorted_warnings(trial.warnings)[0],
        "routine": sorted_warnings(trial.warnings)[1],
        "record_sha256": trial.source_sha256,
        "forecast": trial,
        "drawing": label_bars.scale_of(trial),
        "named": label_bars.answer_named(trial),
        "chance": percent(trial.probability),
        "interval": interval(trial.lower, trial.upper),
        "reading": " ".join(label_bars.reading_of(trial)),
    }


@cache
def environment() -> Environment:
    """The templates of the exports; every text in them is escaped."""
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=ChoiceLoader(
            [
                PackageLoader("llm4top.workspace", "templates"),
                PackageLoader("llm4top.evaluation.reports", "templates"),
            ]
        ),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
