"""Data: import, browse, rename, audit and delete data sets."""

import json
from collections.abc import Sequence
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

from nicegui import ui
from nicegui.events import GenericEventArguments

from llm4top.data.card import DatasetCard
from llm4top.errors import LLM4TOPError, NotFoundError
from llm4top.studio.components import data_card, elements
from llm4top.studio.components.data_import import QUESTIONS, ImportForm
from llm4top.studio.components.elements import table
from llm4top.studio.components.precedents_index import PrecedentsIndex
from llm4top.studio.components.run_panel import queue_run, watch_run
from llm4top.studio.context import StudioContext
from llm4top.studio.frame import page
from llm4top.studio.jobs import title_of
from llm4top.tasks.builtin import TASKS
from llm4top.text import counted, thousands
from llm4top.workspace.cleanup import delete_dataset, rename_dataset
from llm4top.workspace.datasets import StoredDataset
from llm4top.workspace.run_states import Run
from llm4top.workspace.views.browse import ListedTrial, OpenedTrial, TrialTable, trial_table
from llm4top.workspace.workspace import Workspace

PAGE = 50
_NAMES = {
    "icd_codes": "ICD codes",
    "smiles": "SMILES",
    "has_dmc": "Has a data monitoring committee",
}
_NONE = ' class="l4-none"'
_CLICKED = """(event) => {
  const title = event.target.closest("[data-position]");
  if (title) emit(Number(title.dataset.position));
}"""
_COLUMNS = ("Trial", "NCT id", "Phase", "Start", "Split", "Label")


class TrialBrowser:
    """The search of one visitor, and the page of trials that is shown."""

    def __init__(self, table: TrialTable, splits: tuple[str, ...], labels: tuple[str, ...]):
        self._table = table
        self._text, self._split, self._label = "", "", ""
        self._found = table.search()
        self._first = 0
        with ui.element("div").classes("l4-controls"):
            search = ui.input("Search titles, NCT ids, drugs, conditions").props(
                'outlined dense clearable debounce=250 type="search"'
            )
            search.classes("l4-field").on_value_change(lambda e: self._search(text=e.value or ""))
            every = {"": "All"}
            elements.choice(
                "Split", every | {s: s for s in splits}, "", lambda v: self._search(split=v)
            )
            elements.choice(
                "Label", every | {s: s for s in labels}, "", lambda v: self._search(label=v)
            )
        self._status = elements.Words("p", "").props('role="status"').classes("l4-muted")
        self._place = ui.html("", sanitize=False).classes("l4-scroll")
        self._place.on("click", self._open, js_handler=_CLICKED)
        with ui.element("div").classes("l4-actions"):
            self._back = ui.button("Previous", on_click=partial(self._turn, -PAGE))
            self._next = ui.button("Next", on_click=partial(self._turn, PAGE))
            for button in (self._back, self._next):
                button.props("flat no-caps")
        self._dialog = ui.dialog().props('aria-label="Trial"')
        self._show()

    def _search(
        self, *, text: str | None = None, split: str | None = None, label: str | None = None
    ) -> None:
        self._text = self._text if text is None else text
        self._split = self._split if split is None else split
        self._label = self._label if label is None else label
        self._found = self._table.search(self._text, split=self._split, label=self._label)
        self._first = 0
        self._show()

    def _turn(self, by: int) -> None:
        self._first = max(self._first + by, 0)
        self._show()

    def _show(self) -> None:
        count, last = len(self._found), min(self._first + PAGE, len(self._found))
        shown = f"; {thousands(self._first + 1)} to {thousands(last)} shown" if count else ""
        self._status.set_text(f"{counted(count, 'trial')} of {thousands(len(self._table))}{shown}.")
        self._back.set_enabled(self._first > 0)
        self._next.set_enabled(last < count)
        rows = self._table.rows(self._found[self._first : last])
        self._place.set_content(rows_html(rows) if rows else "")

    async def _open(self, event: GenericEventArguments) -> None:
        if not isinstance(event.args, int):
            return
        opened = await elements.in_thread(self._table.open_trial, event.args)
        if opened is None:
            return
        self._dialog.clear()
        with self._dialog, ui.card().classes("l4-opened"):
            _trial(opened)
            ui.button("Close", on_click=self._dialog.close).props("flat no-caps")
        self._dialog.open()


def rows_html(rows: Sequence[ListedTrial]) -> str:
    """The page of trials as one piece of HTML, which a browser shows faster than elements.

    Every text of a trial is escaped.
    """
    head = "".join(f'<th scope="col">{column}</th>' for column in _COLUMNS)
    body = "".join(map(_row, rows))
    return (
        '<table class="l4-table l4-trials"><caption class="l4-hidden">Trials</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def _row(row: ListedTrial) -> str:
    texts = (row.nct_id, row.phase, row.start_date, row.split, row.label)
    cells = "".join(
        f'<td data-title="{column}"{"" if text else _NONE}>{escape(text)}</td>'
        for column, text in zip(_COLUMNS[1:], texts, strict=True)
    )
    title = (
        f'<button type="button" class="l4-title" data-position="{row.position}">'
        f"{escape(row.title)}</button>"
    )
    return f'<tr><th scope="row">{title}</th>{cells}</tr>'


def _trial(opened: OpenedTrial) -> None:
    row = opened.row
    elements.heading(row.title)
    elements.facts([("NCT id", row.nct_id), ("Split", row.split), ("Label", row.label)])
    elements.heading("What a model may read", level=3)
    elements.facts(
        (_NAMES.get(name) or name.replace("_", " ").capitalize(), _in_words(value))
        for name, value in opened.trial.to_dict().items()
        if value not in (None, "", [], ())
    )
    elements.heading("Never shown to a model", level=3)
    aside = (
        ("Status", opened.status),
        ("Why stopped", opened.why_stopped),
        ("Start date", row.start_date),
        ("Read from", ", ".join(opened.files)),
    )
    elements.facts((name, value or "unknown") for name, value in aside)


def _in_words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(_in_words(v) for v in value.values() if v not in (None, "", [], ()))
    if isinstance(value, (list, tuple)):
        return "; ".join(_in_words(v) for v in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


LISTED = 200

UNFINISHED = ("queued", "running", "stopping", "failed", "interrupted")
"""States of earlier imports that are shown until they finish or are deleted."""


def register(context: StudioContext) -> None:
    """Add the list of data sets, and a page for each."""

    @page(context, "/data", "Data", icon="dataset", order=20)
    async def data() -> None:
        await elements.connected()
        await _DataPage(context).show()

    @page(
        context,
        "/data/{dataset_id}",
        "Data set",
        where="nowhere",
        section="/data",
        exists=context.workspace.datasets.get,
    )
    async def dataset(dataset_id: str) -> None:
        await elements.connected()
        await _DatasetPage(context, dataset_id).show()


class _DataPage:
    """The data sets, and the form that imports another."""

    def __init__(self, context: StudioContext):
        self._workspace = context.workspace
        self._context = context

    async def show(self) -> None:
        elements.Words(
            "p",
            "Trials with known outcomes, for training and evaluation. They stay on this machine.",
        )
        ImportForm(self._context, _to_dataset)
        unfinished = await elements.in_thread(
            lambda: self._workspace.runs.list(kind="ingest", states=UNFINISHED, limit=5)
        )
        for run in unfinished or ():
            with elements.section(title_of(run)):
                watch_run(self._context, run, _to_dataset, home="/data")
        found = await elements.in_thread(lambda: self._workspace.datasets.list(limit=LISTED))
        with elements.section("Data sets"):
            if not found:
                elements.Words("p", "No data sets yet. Import the first one above.")
                return
            rows = [
                (
                    partial(ui.link, stored.name, f"/data/{stored.id}"),
                    question_of(stored),
                    thousands(stored.rows),
                    f"{stored.created:%Y-%m-%d %H:%M}",
                )
                for stored in found
            ]
            table(("Name", "Question", "Trials", "Created"), rows, label="Data sets")


async def _to_dataset(run: Run) -> None:
    ui.navigate.to(f"/data/{run.result['dataset_id']}")


class _DatasetPage:
    """One data set: its card, its audit, its trials."""

    def __init__(self, context: StudioContext, dataset_id: str):
        self._context = context
        self._workspace = context.workspace
        self._who = context.who()
        self._id = dataset_id

    async def show(self) -> None:
        client = ui.context.client
        with ui.element("div").classes("l4-stack").props('role="status"') as waiting:
            elements.Words("p", "Reading the trials …")
            elements.progress_bar("Reading").props("indeterminate")
        try:
            found = await elements.in_thread(_load, self._workspace, self._id)
        finally:
            if not waiting.is_deleted:
                waiting.delete()
        if found is None or client.is_deleted:
            return
        stored, trials, report = found
        card = DatasetCard.model_validate(stored.card)
        splits = tuple(card.balance)
        ui.link("All data sets", "/data")
        self._name = elements.heading(stored.name)
        elements.Words("p", _sentence(stored, splits))
        elements.Words("p", f"Split: {card.split_rule or 'as given'}.").classes("l4-muted")
        data_card.balance(card)
        data_card.timeline(trials.years(), trials.undated())
        data_card.LengthsView(self._workspace, stored, card)
        with elements.section("Leak audit"):
            self._audit = ui.element("div").classes("l4-stack")
            self._show_audit(report)
        data_card.left_out(card)
        with elements.section("Trials"):
            labels = tuple(dict.fromkeys(name for c in card.balance.values() for name in c))
            TrialBrowser(trials, splits, labels)
        precedents = PrecedentsIndex(self._context, self._id, lambda: self._name.text)
        data_card.origin(stored, card)
        with ui.element("div").classes("l4-controls"):
            ui.button("Rename", on_click=self._rename).props("outline no-caps")
            ui.button("Delete this data set", on_click=self._ask_and_delete).props(
                "outline no-caps"
            )
        await precedents.show()

    def _show_audit(self, report: dict[str, Any] | None) -> None:
        self._audit.clear()
        with self._audit:
            if report is None:
                elements.Words("p", "Not yet checked for fields that reveal the outcome.")
            else:
                data_card.audit_findings(report)
            label = "Run the leak audit" if report is None else "Run it again"
            ui.button(label, on_click=self._begin_audit).props("outline no-caps").classes(
                "l4-start"
            )

    async def _begin_audit(self) -> None:
        title = f"Leak audit of {self._name.text}"
        run = await elements.in_thread(
            queue_run, self._workspace, "audit", {"dataset": self._id}, title, self._who
        )
        if run is None:
            return
        self._audit.clear()
        with self._audit:
            watch_run(self._context, run, self._audited, home=f"/data/{self._id}")

    async def _audited(self, run: Run) -> None:
        report = await elements.in_thread(_report_of, self._workspace, run)
        self._show_audit(report)

    async def _rename(self) -> None:
        with ui.dialog() as dialog, ui.card():
            elements.Words("h2", "Rename this data set")
            field = ui.input("Name", value=self._name.text).props("outlined dense maxlength=120")
            with ui.row():
                ui.button("Rename", on_click=lambda: dialog.submit(str(field.value or ""))).props(
                    elements.PRIMARY
                )
                ui.button("Cancel", on_click=lambda: dialog.submit(None)).props("flat no-caps")
        dialog.props('aria-label="Rename this data set"')
        wanted = await dialog
        dialog.delete()
        if wanted is None:
            return
        try:
            made = await elements.in_thread(
                rename_dataset, self._workspace, self._id, wanted, self._who
            )
        except LLM4TOPError as error:
            elements.warn(error)
            return
        if made is not None:
            self._name.set_text(made)

    async def _ask_and_delete(self) -> None:
        lost = (
            "The data set and the files it came from are removed. This cannot be undone. An index "
            "of precedents that was built from it stays until it is deleted."
        )
        if await elements.confirm("Delete this data set?", lost):
            await elements.in_thread(delete_dataset, self._workspace, self._id, self._who)
            trial_table.cache_clear()
            ui.navigate.to("/data")


def question_of(stored: StoredDataset) -> str:
    """The question of a data set: in short, or in the words of its own task."""
    question = str(stored.card.get("task", {}).get("question") or stored.task)
    known = TASKS.get(stored.task)
    return QUESTIONS[stored.task] if known is not None and known.question == question else question


def _load(
    workspace: Workspace, dataset_id: str
) -> tuple[StoredDataset, TrialTable, dict[str, Any] | None]:
    stored = workspace.datasets.get(dataset_id)
    trials = trial_table(workspace.datasets.folder(dataset_id), stored.sha256)
    done = workspace.runs.list(kind="audit", states=("done",), limit=None)
    for run in done:
        if run.settings.get("dataset") == dataset_id:
            return stored, trials, _report_of(workspace, run)
    return stored, trials, None


def _report_of(workspace: Workspace, run: Run) -> dict[str, Any] | None:
    """The report of an audit; None if its file was deleted."""
    file = Path(workspace.runs.folder(run.id)) / str(run.result.get("file", ""))
    try:
        found: dict[str, Any] = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError, NotFoundError):
        return None
    return found


def _sentence(stored: StoredDataset, splits: tuple[str, ...]) -> str:
    question = question_of(stored)
    parts = " and ".join([", ".join(splits[:-1]), splits[-1]] if len(splits) > 1 else splits)
    return f"{counted(stored.rows, 'trial')} for the question “{question}”, in {parts}."
