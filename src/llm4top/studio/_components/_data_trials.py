"""The trials of a data set: searched and paged on the server, one opened in full."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from nicegui import run as work
from nicegui import ui

from llm4top.studio._components._parts import choice, things
from llm4top.studio._pieces import Words, facts, heading
from llm4top.workspace._words import thousands

if TYPE_CHECKING:
    from llm4top.workspace._browse import ListedTrial, OpenedTrial, TrialTable

PAGE = 50
_NAMES = {"icd_codes": "ICD codes", "smiles": "SMILES", "has_dmc": "Has a data monitoring board"}
_COLUMNS = ("Trial", "NCT id", "Phase", "Start", "Split", "Label")


class TrialBrowser:
    """What one visitor searches for, and the page of trials that is shown."""

    def __init__(self, table: TrialTable, splits: tuple[str, ...], labels: tuple[str, ...]):
        self._table = table
        self._text, self._split, self._label = "", "", ""
        self._found = table.search()
        self._first = 0
        with ui.element("div").classes("l4-controls"):
            search = ui.input("Search titles, NCT ids, drugs, conditions").props(
                'outlined dense clearable debounce=250 type="search"'
            )
            search.classes("l4-field").on_value_change(lambda e: self._ask(text=e.value or ""))
            every = {"": "All"}
            choice("Split", every | {s: s for s in splits}, "", lambda v: self._ask(split=v))
            choice("Label", every | {s: s for s in labels}, "", lambda v: self._ask(label=v))
        self._said = Words("p", "").props('role="status"').classes("l4-muted")
        self._place = ui.element("div").classes("l4-scroll")
        with ui.element("div").classes("l4-actions"):
            self._back = ui.button("Previous", on_click=partial(self._turn, -PAGE))
            self._next = ui.button("Next", on_click=partial(self._turn, PAGE))
            for button in (self._back, self._next):
                button.props("flat no-caps")
        self._dialog = ui.dialog().props('aria-label="Trial"')
        self._show()

    def _ask(
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
        self._said.set_text(f"{things(count, 'trial')} of {thousands(len(self._table))}{shown}.")
        self._back.set_enabled(self._first > 0)
        self._next.set_enabled(last < count)
        self._place.clear()
        if not count:
            return
        with self._place, ui.element("table").classes("l4-table l4-trials"):
            Words("caption", "Trials").classes("l4-hidden")
            with ui.element("thead"), ui.element("tr"):
                for column in _COLUMNS:
                    Words("th", column).props('scope="col"')
            with ui.element("tbody"):
                for row in self._table.rows(self._found[self._first : last]):
                    self._row(row)

    def _row(self, row: ListedTrial) -> None:
        cells = (row.nct_id, row.phase, row.start_date, row.split, row.label)
        with ui.element("tr"):
            with ui.element("th").props('scope="row"'):
                title = Words("button", row.title).classes("l4-title").props('type="button"')
                title.on("click", partial(self._open, row.position))
            for column, text in zip(_COLUMNS[1:], cells, strict=True):
                cell = Words("td", text).props(f'data-title="{column}"')
                if not text:
                    cell.classes("l4-none")

    async def _open(self, position: int) -> None:
        opened = await work.io_bound(self._table.open_trial, position)
        if opened is None:
            return
        self._dialog.clear()
        with self._dialog, ui.card().classes("l4-opened"):
            _trial(opened)
            ui.button("Close", on_click=self._dialog.close).props("flat no-caps")
        self._dialog.open()


def _trial(opened: OpenedTrial) -> None:
    row = opened.row
    heading(row.title)
    facts([("NCT id", row.nct_id), ("Split", row.split), ("Label", row.label)])
    heading("What a model may read", level=3)
    facts(
        (_NAMES.get(name) or name.replace("_", " ").capitalize(), _in_words(value))
        for name, value in opened.trial.to_dict().items()
        if value not in (None, "", [], ())
    )
    heading("What no model reads", level=3)
    aside = (
        ("Status", opened.status),
        ("Why stopped", opened.why_stopped),
        ("Start date", row.start_date),
        ("Read from", ", ".join(opened.files)),
    )
    facts((name, value or "not known") for name, value in aside)


def _in_words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(_in_words(v) for v in value.values() if v not in (None, "", [], ()))
    if isinstance(value, (list, tuple)):
        return "; ".join(_in_words(v) for v in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
