"""The section "Why they may fail, and when they end" of a portfolio, computed on request."""

from collections.abc import Sequence

from nicegui import ui

from llm4top.errors import LLM4TOPError
from llm4top.forecasters.forecast_format import Forecast
from llm4top.studio.components.elements import (
    Words,
    download_button,
    drawing,
    heading,
    in_thread,
    muted,
    table,
)
from llm4top.studio.context import StudioContext, forecast_service
from llm4top.text import counted, csv_text, thousands
from llm4top.workspace.batches import Batch
from llm4top.workspace.kept_records import uploads_behind
from llm4top.workspace.portfolio_questions import ask_portfolio, can_be_asked
from llm4top.workspace.serving.request import UploadedFile
from llm4top.workspace.views.label_bars import bar_chart
from llm4top.workspace.views.portfolio import Distribution, name_of
from llm4top.workspace.views.portfolio_questions import FailureReasons, Timeline
from llm4top.workspace.views.portfolio_sums import PortfolioSums
from llm4top.workspace.views.wording import expected

MOST = 200
"""Trials of a batch up to which its records are asked further questions on a page."""

NAMED = 10
"""Trials that are named of those left out; the rest is counted."""

TITLE = "Why they may fail, and when they end"


def portfolio_questions(context: StudioContext, batch: Batch, trials: Sequence[Forecast]) -> None:
    """Add the section for forecasts of "outcome"; nothing is computed before its button."""
    if trials[0].task != "outcome" or not can_be_asked():
        return
    with ui.element("figure"):
        heading(TITLE, level=3)
        if batch.count > MOST:
            muted(
                f"Up to {MOST} trials can be asked here. For more, use llm4top forecast "
                "--question outcome,why-it-fails,duration."
            )
            return
        muted(
            "Two embedded models answer for each trial: why it would be stopped, and how long it "
            "lasts. The chance of failure is split by the first; the second counts from the "
            "planned start."
        )
        place = ui.element("div").classes("l4-stack").props('role="status"')

        async def ask() -> None:
            button.disable()
            place.clear()
            with place:
                Words("p", "Asking …")
            try:
                found = await _answers(context, batch, trials)
                fault = "" if found else "The records are no longer on this machine."
            except LLM4TOPError as error:
                found, fault = None, str(error)
            if place.is_deleted:
                return
            place.clear()
            with place:
                if found is not None and found.failures and found.timeline:
                    _reasons(found.failures)
                    _timeline(found.timeline)
                    rows = csv_text(found.rows()).encode()
                    download_button("CSV", lambda: rows, "portfolio.csv")
                else:
                    Words("p", fault)
            button.enable()

        button = ui.button("Ask about these trials", on_click=ask).props("outline no-caps")


async def _answers(
    context: StudioContext, batch: Batch, trials: Sequence[Forecast]
) -> PortfolioSums | None:
    """The figures of these trials; None where no record is stored any more."""
    client, space = ui.context.client.id, context.workspace
    behind = await in_thread(uploads_behind, space, batch.id)
    files = [UploadedFile(space.uploads.path(one.id), one.name) for one in behind or ()]
    if not files:
        return None
    return await ask_portfolio(forecast_service(space), files, trials, client=client)


def _reasons(found: FailureReasons) -> None:
    if not found.n:
        Words("p", "No trial has a forecast of its reason.")
        return
    n = found.n
    Words(
        "p", f"About {expected(found.expected, n)} of {counted(n, 'trial')} are expected to fail:"
    )
    drawing(bar_chart([(label, one.expected / n, _of(one)) for label, one in found.by_reason]))
    rows = [_row(label, one) for label, one in found.by_reason]
    table(("Reason", "Failures expected", "95 % range"), rows, label="Failures by reason")
    muted(
        "The model of the reasons has little skill: these figures are hardly better than the "
        "usual shares of the phase. It learned from trials that were stopped early, so a completed "
        "trial that misses its endpoint is not like those it knows."
    )
    _left_out(found.unanswered, "without a forecast of its reason")


def _timeline(found: Timeline) -> None:
    if told := found.told():
        Words("p", f"Ended by the end of the year, of {counted(found.n, 'trial')}:")
        drawing(bar_chart([(str(year), one.expected / found.n, _of(one)) for year, one in told]))
        rows = [_row(str(year), one) for year, one in told]
        table(("Year", "Trials ended", "95 % range"), rows, label="Trials ended by year")
        muted(
            "Starts are as planned, and trials independent: the true ranges are wider. A trial "
            "that lasts 120 months or more is not known to end."
        )
    _left_out(found.undated, "without a planned start")


def _of(found: Distribution) -> str:
    return f"{expected(found.expected, found.n)} of {thousands(found.n)}"


def _row(name: str, found: Distribution) -> tuple[str, str, str]:
    bounds = f"{thousands(found.lower)} to {thousands(found.upper)}"
    return name, expected(found.expected, found.n), bounds


def _left_out(trials: Sequence[Forecast], why: str) -> None:
    if trials:
        names = ", ".join(one.nct_id or name_of(one) for one in trials[:NAMED])
        rest = len(trials) - NAMED
        more = f" and {thousands(rest)} more" if rest > 0 else ""
        muted(f"Not counted: {counted(len(trials), 'trial')} {why} ({names}{more}).")
