"""The fields of a trial as a form: each change is an edit."""

from collections.abc import Callable, Collection
from functools import partial
from typing import Any

from nicegui import ui

from llm4top.registry.edit_fields import EDITABLE, EditableField
from llm4top.registry.edits import Edit, numbered_lines
from llm4top.registry.trial import Trial
from llm4top.studio.components import elements

DESIGN = ("phase", "allocation", "intervention_model", "masking", "primary_purpose")
SIZE = ("planned_enrolment", "minimum_age", "maximum_age", "sex", "healthy_volunteers")
WORDS = ("brief_title", "conditions")
LISTS = ("criteria", "interventions", "arms", "primary_outcomes")
NOT_STATED = ""
"""The value of a choice that the record does not state."""

OnEdit = Callable[[Edit], str | None]
"""Takes an edit; what is wrong with it, None where it was made."""


class WhatIfForm:
    """The form of one trial, in the place where it is made.

    ``draw`` shows a trial; an edit by the visitor goes to ``on_edit``, which may draw again.
    Fields that are not in ``reads`` say that the model does not read them.
    """

    def __init__(self, reads: Collection[str], on_edit: OnEdit):
        self._reads = frozenset(reads)
        self._on_edit = on_edit
        self._trial = Trial()
        self._groups: dict[str, ui.element] = {}
        with ui.element("div").classes("l4-edit-form"):
            for heading, names in (("Design", DESIGN), ("Participants and size", SIZE)):
                with elements.section(heading):
                    self._groups[heading] = ui.element("div").classes("l4-edit-grid")
                self._groups |= dict.fromkeys(names, self._groups[heading])
            with elements.section("Title and conditions"):
                self._groups |= dict.fromkeys(WORDS, ui.element("div").classes("l4-edit-list"))
            for name in LISTS:
                with elements.section(EDITABLE[name].heading):
                    if name not in self._reads:
                        elements.muted("Not read by this model.")
                    self._groups[name] = ui.element("div").classes("l4-edit-list")

    def draw(self, trial: Trial) -> None:
        """Show all fields of ``trial``."""
        self._trial = trial
        for group in set(self._groups.values()):
            group.clear()
        for name in (*DESIGN, *SIZE, *WORDS):
            with self._groups[name]:
                self._single(EDITABLE[name])
        for name in LISTS:
            with self._groups[name]:
                self._list(EDITABLE[name])

    def changed(self, trial: Trial, name: str) -> None:
        """Show ``trial`` after an edit of one field; what was typed stays as it is."""
        before, self._trial = self._trial, trial
        if name in LISTS and len(_items(before, name)) != len(_items(trial, name)):
            self._groups[name].clear()
            with self._groups[name]:
                self._list(EDITABLE[name])

    def _single(self, field: EditableField) -> None:
        value = getattr(self._trial, field.name)
        label = field.heading
        send = partial(self._send, Edit(field.name, "set"))
        if field.kind in ("choice", "flag"):
            made = _choice(label, field, value, send)
        else:
            text = "; ".join(value) if isinstance(value, tuple) else value
            made = _text(label, "" if text is None else str(text), send)
        if field.name not in self._reads:
            made.props('hint="Not read by this model"')

    def _list(self, field: EditableField) -> None:
        items = _items(self._trial, field.name)
        for number, item in enumerate(items, 1):
            with ui.element("div").classes("l4-edit-item"):
                if field.kind == "lines":
                    self._line(field, number, str(item))
                else:
                    self._parts(field, number, item)
                remove = ui.button(icon="close").props("flat dense round size=sm")
                remove.props["aria-label"] = f"Remove {field.heading.lower()}, {number}"
                edit = Edit(field.name, "remove", number)
                remove.on_click(partial(self._on_edit, edit))
        with ui.element("div").classes("l4-edit-item"):
            new = elements.text_field(f"Add: {field.heading.lower()}", longest=2000)
            new.classes("l4-grow")
            add = ui.button("Add", icon="add").props("flat no-caps")
        new.on("keydown.enter", lambda: self._add(field, new))
        add.on_click(lambda: self._add(field, new))

    def _line(self, field: EditableField, number: int, line: str) -> None:
        heading = field.name == "criteria" and not line.startswith("- ")
        if heading:
            elements.Words("strong", line).classes("l4-grow")
            return
        edit = Edit(field.name, "set", number=number)
        _text(f"Line {number}", line.removeprefix("- "), partial(self._send, edit), lines=True)

    def _parts(self, field: EditableField, number: int, item: Any) -> None:
        first, *others = field.parts
        shown = [
            first,
            *(part for part in others if part.kind == "choice" or part.name == "time_frame"),
        ]
        for part in shown:
            label = f"{part.heading} {number}"
            send = partial(self._send, Edit(field.name, "set", number=number, part=part.name))
            value = getattr(item, part.name)
            if part.kind == "choice":
                _choice(label, part, value, send)
            else:
                _text(label, value or "", send, lines=part is first)

    def _send(self, edit: Edit, made: Any, value: Any) -> None:
        """Make the edit with the value of a field, or say at the field what is wrong."""
        if edit.number is not None and edit.part is None and not str(value or "").strip():
            return  # a line is removed by its button, not while it is typed
        given = value if isinstance(value, str | bool) else None
        fault = self._on_edit(Edit(edit.field, "set", given, edit.number, edit.part))
        made.error = fault

    def _add(self, field: EditableField, new: ui.input) -> None:
        text = str(new.value or "").strip()
        if text:
            self._on_edit(Edit(field.name, "add", text))


def _items(trial: Trial, name: str) -> list[Any]:
    return (
        numbered_lines(trial, name)
        if EDITABLE[name].kind == "lines"
        else list(getattr(trial, name))
    )


def _choice(label: str, field: EditableField, value: Any, send: Callable[..., None]) -> Any:
    if field.kind == "flag":
        options: dict[Any, str] = {NOT_STATED: "not stated", True: "Yes", False: "No"}
    else:
        options = {NOT_STATED: "not stated"} | {name: name for name in field.choices}
        if value is not None:
            options.setdefault(value, str(value))
    made = ui.select(options, value=NOT_STATED if value is None else value, label=label)
    made.props("outlined dense options-dense").classes("l4-choice")
    return _sending(made, send)


def _text(label: str, value: str, send: Callable[..., None], *, lines: bool = False) -> Any:
    made = (ui.textarea if lines else ui.input)(label, value=value)
    made.props('outlined dense debounce="400"' + (" autogrow" if lines else ""))
    made.classes("l4-grow")
    return _sending(made, send)


def _sending(made: Any, send: Callable[..., None]) -> Any:
    """The field, which sends its value as it changes."""
    # The framework's own validation would take away what an edit says is wrong.
    made.without_auto_validation()
    made.on_value_change(lambda event: send(made, event.value))
    return made
