"""The trials of a data set: search, pages, and one trial in full."""

from collections.abc import Sequence
from functools import partial
from html import escape
from typing import Any

from nicegui import ui
from nicegui.events import GenericEventArguments

from llm4top.studio.components.elements import Words, choice, facts, heading, in_thread
from llm4top.text import counted, thousands
from llm4top.workspace.views.browse import ListedTrial, OpenedTrial, TrialTable

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
            choice("Split", every | {s: s for s in splits}, "", lambda v: self._search(split=v))
            choice("Label", every | {s: s for s in labels}, "", lambda v: self._search(label=v))
        self._status = Words("p", "").props('role="status"').classes("l4-muted")
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
        opened = await in_thread(self._table.open_trial, event.args)
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
    heading(row.title)
    facts([("NCT id", row.nct_id), ("Split", row.split), ("Label", row.label)])
    heading("What a model may read", level=3)
    facts(
        (_NAMES.get(name) or name.replace("_", " ").capitalize(), _in_words(value))
        for name, value in opened.trial.to_dict().items()
        if value not in (None, "", [], ())
    )
    heading("Never shown to a model", level=3)
    aside = (
        ("Status", opened.status),
        ("Why stopped", opened.why_stopped),
        ("Start date", row.start_date),
        ("Read from", ", ".join(opened.files)),
    )
    facts((name, value or "unknown") for name, value in aside)


def _in_words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(_in_words(v) for v in value.values() if v not in (None, "", [], ()))
    if isinstance(value, (list, tuple)):
        return "; ".join(_in_words(v) for v in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
