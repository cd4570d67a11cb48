"""The fields of a draft as a form, with the registry's choices and what each was read from."""

from collections.abc import Mapping

from nicegui import ui

from llm4top.errors import DraftError
from llm4top.registry.draft import Draft
from llm4top.registry.draft_fields import DRAFT_FIELDS, DraftField
from llm4top.registry.synopsis import Reading, Unread
from llm4top.studio.components.elements import Words, folded, muted, section

GROUPS: dict[str, tuple[str, ...]] = {
    "Trial": ("brief_title", "official_title", "phase", "study_type"),
    "Condition": ("conditions", "keywords"),
    "Treatment": ("interventions", "arms"),
    "Design": (
        "allocation",
        "intervention_model",
        "masking",
        "primary_purpose",
        "planned_enrolment",
        "planned_start",
        "has_dmc",
    ),
    "Endpoints": ("primary_outcomes", "secondary_outcomes"),
    "Population": ("criteria", "sex", "minimum_age", "maximum_age", "healthy_volunteers"),
    "Sponsor": ("sponsor_class", "collaborators"),
    "Descriptions": ("brief_summary", "detailed_description"),
    "MeSH terms": ("condition_mesh", "intervention_mesh"),
}
"""Every field of a draft, as the form groups them."""

_EXAMPLES = {
    "minimum_age": "18 Years",
    "maximum_age": "75 Years",
    "planned_start": "May 2031",
    "planned_enrolment": "180",
}
_LONGEST_SOURCE = 300
_LONGEST_TEXT = 100_000


class DraftForm:
    """The form of one visitor. ``changes`` are the texts that differ from the draft's."""

    def __init__(self, draft: Draft):
        self._texts = draft.texts
        self._fields: dict[str, ui.input | ui.textarea | ui.select] = {}
        readings: dict[str, list[Reading]] = {}
        for reading in draft.synopsis.readings if draft.synopsis else ():
            readings.setdefault(reading.field, []).append(reading)
        for title, names in GROUPS.items():
            with section(title), ui.element("div").classes("l4-draft-fields"):
                for name in names:
                    field = DRAFT_FIELDS[name]
                    wide = " l4-draft-wide" if field.lines or name.endswith("title") else ""
                    with ui.element("div").classes("l4-draft-field" + wide):
                        self._fields[name] = self._field(field)
                        if name in readings:
                            _source(readings[name])

    def _field(self, field: DraftField) -> ui.input | ui.textarea | ui.select:
        text = self._texts.get(field.name, "")
        if field.choices:
            options = list(dict.fromkeys([*field.choices, text] if text else field.choices))
            chosen = ui.select(options, label=field.heading, value=text or None, clearable=True)
            return chosen.props("outlined dense options-dense")
        if field.lines:
            area = ui.textarea(field.heading, value=text)
            area.props(f"outlined dense autogrow maxlength={_LONGEST_TEXT}")
            hint = " | ".join(field.parts)
            if hint:
                area.props["hint"] = f"One a line: {hint}"
            return area
        line = ui.input(field.heading, value=text).props("outlined dense maxlength=2000")
        if field.name in _EXAMPLES:
            line.props["placeholder"] = _EXAMPLES[field.name]
        return line

    @property
    def changes(self) -> dict[str, str]:
        """By field, the text that the visitor has changed."""
        now = {name: str(field.value or "") for name, field in self._fields.items()}
        return {name: text for name, text in now.items() if text != self._texts.get(name, "")}

    def settle(self, draft: Draft) -> None:
        """Show the values of the draft as it is kept now, and no faults."""
        self._texts = draft.texts
        for name, field in self._fields.items():
            field.error = None
            text = self._texts.get(name, "")
            if isinstance(field, ui.select):
                if text and text not in field.options:
                    field.set_options([*DRAFT_FIELDS[name].choices, text])
                field.set_value(text or None)
            else:
                field.set_value(text)

    def show_faults(self, error: DraftError) -> None:
        """Mark the fields that have a value that they may not have."""
        faults = dict(fault.split(": ", 1) for fault in error.faults if ": " in fault)
        for name, field in self._fields.items():
            field.error = faults.get(name)

    def focus(self, name: str) -> None:
        """Put the cursor into a field."""
        self._fields[name].run_method("focus")


def _source(readings: list[Reading]) -> None:
    """What the value of a field was read from, and how it was mapped."""
    notes = dict.fromkeys(reading.note for reading in readings if reading.note)
    places = list(dict.fromkeys(reading.where for reading in readings))
    summary = f"From {'; '.join(places)}" + (f": {'; '.join(notes)}" if notes else "")
    with folded(summary, "l4-draft-source"):
        for source in dict.fromkeys(reading.source for reading in readings):
            shown = source if len(source) <= _LONGEST_SOURCE else source[:_LONGEST_SOURCE] + " …"
            Words("blockquote", shown)


def not_used(unread: tuple[Unread, ...]) -> None:
    """What of the synopsis gave no value, and why."""
    if not unread:
        return
    with section("Not used from the synopsis"), ui.element("ul").classes("l4-draft-unread"):
        for item in unread:
            with ui.element("li"):
                name = DRAFT_FIELDS[item.field].heading if item.field else ""
                about = f"{name}: " if name else ""
                why = item.why if item.why.endswith(".") else f"{item.why}."
                Words("strong", f"{item.where}. ")
                Words("span", f"{about}{why}")
                muted(item.source[:_LONGEST_SOURCE], "div")


def missing_fields(names: tuple[str, ...], form: DraftForm) -> None:
    """The fields without a value, each a button that leads to it."""
    if not names:
        Words("p", "No field is missing.")
        return
    Words("p", "These fields have no value:")
    with ui.element("div").classes("l4-draft-missing"):
        for name in names:
            button = ui.button(DRAFT_FIELDS[name].heading, on_click=lambda n=name: form.focus(n))
            button.props("flat dense no-caps")


def costs_of(values: Mapping[str, object]) -> list[tuple[str, str, str]]:
    """Rows of the table of costs, from the answer of ``answer_draft``."""
    found = values.get("sections")
    rows = found if isinstance(found, list) else []
    return [(row["section"].capitalize(), row["state"], row["words"]) for row in rows]
