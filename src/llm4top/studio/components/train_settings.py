"""The settings of a training as labelled fields, with default, help and error."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from nicegui import ui
from nicegui.elements.mixins.value_element import ValueElement

from llm4top.prompts.sections import SECTION_HEADINGS
from llm4top.studio.components.elements import Words, muted
from llm4top.workspace.views.setting_fields import SettingField, entry_of, setting_fields

_WORDS = {"auto": "automatic", "all": "everything", **SECTION_HEADINGS}


class SettingFields:
    """The fields in groups; an empty field keeps the preset's value.

    ``on_change`` is called whenever a field changes.
    """

    def __init__(self, preset: str, on_change: Callable[[], None]):
        self._on_change = on_change
        self._fields: dict[str, SettingField] = {}
        self._entries: dict[str, ValueElement[Any]] = {}
        self._defaults: dict[str, Words] = {}
        for title, fields in setting_fields().items():
            with ui.element("fieldset").classes("l4-group"):
                Words("legend", title)
                with ui.element("div").classes("l4-settings"):
                    for field in fields:
                        self._add(field)
        self.set_preset(preset)

    def set_preset(self, preset: str) -> None:
        """Show the defaults of this preset."""
        for name, words in self._defaults.items():
            words.set_text(f"Default: {self._fields[name].default(preset)}.")

    def values(self) -> dict[str, Any]:
        """The changed settings by name."""
        return {
            name: self._fields[name].read(entry.value)
            for name, entry in self._entries.items()
            if entry.value not in (None, "", [])
        }

    def fill(self, settings: Mapping[str, Any]) -> None:
        """Enter these settings and clear all others."""
        for name, entry in self._entries.items():
            field = self._fields[name]
            empty: Any = [] if field.several else ""
            entry.set_value(entry_of(field, settings[name]) if name in settings else empty)

    def show_faults(self, faults: Iterable[str]) -> list[str]:
        """Show each fault ("epochs: must be ...") at its field; the others are returned."""
        left: list[str] = []
        shown: dict[str, str] = {}
        for fault in faults:
            name, _, words = fault.partition(": ")
            if words and name.partition(".")[0] in self._entries:
                shown.setdefault(name.partition(".")[0], words[:1].upper() + words[1:] + ".")
            else:
                left.append(fault)
        for name, entry in self._entries.items():
            if shown.get(name) != entry.props.get("error-message"):
                entry.props["error"] = name in shown
                entry.props["error-message"] = shown.get(name)
                entry.update()
        return left

    def _add(self, field: SettingField) -> None:
        self._fields[field.name] = field
        with ui.element("div").classes("l4-setting"):
            if field.options:
                named = {word: _WORDS.get(word, word) for word in field.options}
                if not field.several:
                    named = {"": "default", **named}
                entry: ValueElement[Any] = ui.select(
                    named,
                    value=[] if field.several else "",
                    multiple=field.several,
                    label=field.label,
                    on_change=self._on_change,
                )
                entry.props("options-dense" + (" use-chips" if field.several else ""))
            else:
                entry = ui.input(field.label, on_change=self._on_change)
            entry.props("outlined dense").classes("l4-field")
            self._entries[field.name] = entry
            muted(field.help, "div")
            self._defaults[field.name] = muted("", "div")
