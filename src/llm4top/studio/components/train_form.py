"""The form of a training: data, base model, settings, with checks and the command."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from nicegui import ui
from nicegui.elements.mixins.value_element import ValueElement

from llm4top.errors import ConfigError, LLM4TOPError
from llm4top.prompts.sections import SECTION_HEADINGS
from llm4top.studio.components import elements
from llm4top.studio.components.plan_checker import PlanChecker
from llm4top.studio.components.run_panel import queue_run
from llm4top.studio.context import StudioContext
from llm4top.studio.jobs import title_of
from llm4top.text import counted
from llm4top.workspace.datasets import StoredDataset
from llm4top.workspace.jobs.train_plan import PlanCheck, TrainPlan, time_check
from llm4top.workspace.run_states import Run
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
        self._defaults: dict[str, elements.Words] = {}
        for title, fields in setting_fields().items():
            with ui.element("fieldset").classes("l4-group"):
                elements.Words("legend", title)
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
            elements.muted(field.help, "div")
            self._defaults[field.name] = elements.muted("", "div")


PAUSE = 0.4
"""Seconds after the last change until the settings are checked."""

_MEASURING = (
    "Measuring a few steps on this machine … Loading the model and a minute of training. You can "
    "go on meanwhile; a change of the settings ends it."
)

PRESETS = {
    "quick": "Quick: a few minutes on a GPU, a trial run",
    "standard": "Standard (recommended)",
    "thorough": "Thorough: reads longer texts, takes several times longer",
}


class TrainForm:
    """The choices of one visitor, and the checks of them.

    ``earlier`` are trainings whose settings can be copied.
    """

    def __init__(
        self,
        context: StudioContext,
        checker: PlanChecker,
        datasets: Sequence[StoredDataset],
        bases: dict[str, str],
        earlier: Sequence[Run] = (),
    ):
        self._context = context
        self._checker = checker
        self._datasets = {dataset.id: dataset for dataset in datasets}
        self._bases = bases
        self._task = datasets[0].task
        self._dataset = datasets[0].id
        self._base = next(iter(bases))
        self._preset = "standard"
        self._turn = 0
        self._found: list[PlanCheck] = []
        self._earlier = {run.id: run for run in earlier}
        self._choose()
        with ui.element("section").classes("l4-before") as self._before:
            elements.heading("Before you start")
            self._checks = ui.element("div").props('role="status" aria-live="polite"')
            self._measure = ui.button("Measure time and memory", on_click=self._measured)
            self._measure.props("outline no-caps").classes("l4-start")
            self._measure.set_visibility(False)
        ui.context.client.on_delete(checker.end)
        self._command = ui.element("div").classes("l4-command")
        self._start = ui.button("Start training", on_click=self._begin)
        self._start.props(elements.PRIMARY).classes("l4-start")
        ui.timer(0, self._changed, once=True)

    def _choose(self) -> None:
        tasks = {dataset.task: _question(dataset) for dataset in self._datasets.values()}
        with ui.element("div").classes("l4-controls"):
            elements.choice("Question", tasks, self._task, self._set_task)
            self._data = elements.choice("Data", self._names(), self._dataset, self._set_data)
            self._bases_field = elements.choice(
                "Base model", self._bases, self._base, self._set_base
            )
        elements.muted(
            "Download more base models in a terminal, for example: llm4top download Qwen/Qwen3-8B. "
            "Then reload this page."
        )
        with ui.element("fieldset").classes("l4-effort"):
            elements.Words("legend", "Effort")
            self._presets = ui.radio(
                PRESETS, value=self._preset, on_change=lambda e: self._set_preset(e.value)
            )
        with ui.element("details"):
            elements.Words("summary", "More settings")
            with ui.element("div").classes("l4-stack"):
                self._name = ui.input("Name of the model", on_change=self._soon)
                self._name.props("outlined dense maxlength=120").classes("l4-field")
                if self._earlier:
                    names = {run.id: title_of(run) for run in self._earlier.values()}
                    copied = ui.select(
                        names,
                        label="Copy the settings of",
                        on_change=lambda e: self._copy(str(e.value)),
                    )
                    copied.props("outlined dense options-dense").classes("l4-field")
                self._fields = SettingFields(self._preset, self._soon)

    def _copy(self, run_id: str) -> None:
        """Copy an earlier training's base model, preset and settings."""
        settings = self._earlier[run_id].settings
        if settings.get("base") in self._bases:
            self._bases_field.set_value(settings["base"])
        self._presets.set_value(settings.get("preset", "standard"))
        self._fields.fill(settings)
        self._soon()

    def _names(self) -> dict[str, str]:
        return {
            dataset.id: f"{dataset.name} ({counted(dataset.rows, 'trial')})"
            for dataset in self._datasets.values()
            if dataset.task == self._task
        }

    def _set_task(self, task: str) -> None:
        self._task = task
        names = self._names()
        self._data.set_options(names, value=next(iter(names)))

    def _set_data(self, dataset: str) -> None:
        self._dataset = dataset
        self._soon()

    def _set_base(self, base: str) -> None:
        self._base = base
        self._soon()

    def _set_preset(self, preset: str) -> None:
        self._preset = preset
        self._fields.set_preset(preset)
        self._soon()

    def _soon(self, _: Any = None) -> None:
        if self._turn:  # not while the form is being drawn
            with self._before:
                ui.timer(0, self._changed, once=True)

    def _plan(self) -> TrainPlan:
        more = self._fields.values()
        name = str(self._name.value or "").strip()
        return TrainPlan(self._dataset, self._base, self._preset, name, more)

    async def _changed(self, _: Any = None) -> None:
        """Check the settings once nothing has changed for a moment; show only the newest check."""
        self._turn += 1
        turn = self._turn
        self._start.disable()
        self._measure.set_visibility(False)
        await asyncio.sleep(PAUSE)
        if turn != self._turn:
            return
        workspace = self._context.workspace
        try:
            plan = self._plan()
            config = await elements.in_thread(plan.config, workspace)
            duration = await elements.in_thread(time_check, plan, workspace)
            command = await elements.in_thread(plan.command, workspace)
        except LLM4TOPError as error:
            if turn == self._turn:
                self._show_fault(error)
            return
        if config is None or duration is None or command is None or turn != self._turn:
            return
        self._show_command(command)
        self._checks.clear()
        with self._checks:
            elements.Words("p", "Checking data, model, memory and disk …").classes("l4-muted")
        try:
            checks = await self._checker.check(config)
        except LLM4TOPError as error:
            if turn == self._turn:
                self._show_fault(error)
            return
        if turn == self._turn and not self._before.is_deleted:
            self._fields.show_faults(())
            self._found = [*checks, duration]
            self._show(self._found)
            can_measure = config.tuning != "probe" and all(c.ok is not False for c in checks)
            self._measure.set_visibility(can_measure)
            self._measure.enable()

    async def _measured(self) -> None:
        """Measure a few steps of the training as it is chosen; show what they say of the whole.

        The training can be started meanwhile.
        """
        turn = self._turn
        self._measure.disable()
        try:
            config = await elements.in_thread(self._plan().config, self._context.workspace)
            if config is None:
                return
            waiting = PlanCheck("time", None, _MEASURING)
            self._show([*(c for c in self._found if c.name != "time"), waiting])
            measured = await self._checker.measure(config)
        except LLM4TOPError as error:
            measured = [PlanCheck("time", None, f"not measured: {error.message}", error.hint or "")]
        if turn == self._turn and not self._before.is_deleted:
            self._show([*(c for c in self._found if c.name != "time"), *measured])
            self._measure.enable()

    def _show_fault(self, error: LLM4TOPError) -> None:
        if self._before.is_deleted:
            return
        self._command.clear()
        self._checks.clear()
        with self._checks:
            if not isinstance(error, ConfigError):
                elements.error_box(error)
                return
            faults = self._fields.show_faults(error.faults)
            at_fields = len(error.faults) - len(faults)
            if at_fields:
                elements.Words(
                    "p", f"{counted(at_fields, 'setting')} above cannot be used."
                ).classes("l4-what")
            with ui.element("ul").classes("l4-checks"):
                for fault in faults:
                    _line(False, "settings", fault)

    def _show(self, checks: Sequence[PlanCheck]) -> None:
        self._checks.clear()
        with self._checks, ui.element("ul").classes("l4-checks"):
            for check in checks:
                _line(check.ok, check.name, check.detail, check.hint)
        faults = sum(check.ok is False for check in checks)
        if faults:
            with self._checks:
                elements.Words("p", "This training would fail. Fix the problems marked ✗.").classes(
                    "l4-what"
                )
        else:
            self._start.enable()

    def _show_command(self, command: str) -> None:
        self._command.clear()
        with self._command:
            elements.Words("code", command)
            elements.copy_button(command, "Copy the command")

    async def _begin(self) -> None:
        """Queue the training and open its page."""
        self._start.disable()
        who = self._context.who()
        name = str(self._name.value or "").strip()
        title = name or f"Training on {self._datasets[self._dataset].name}"
        try:
            run = await elements.in_thread(
                queue_run, self._context.workspace, "train", self._plan().settings(), title, who
            )
        except LLM4TOPError as error:
            self._show_fault(error)
            return
        if run is not None:
            self._context.jobs.refresh()
            ui.navigate.to(f"/train/{run.id}")


def _question(dataset: StoredDataset) -> str:
    return str(dataset.card.get("task", {}).get("question") or dataset.task)


def _line(ok: bool | None, name: str, detail: str, hint: str = "") -> None:
    sign, word = {True: ("✓", "passed"), False: ("✗", "problem"), None: ("·", "note")}[ok]
    with ui.element("li").classes("l4-check" + (" l4-bad" if ok is False else "")):
        elements.Words("span", sign).props('aria-hidden="true"')
        elements.Words("span", f"{word}:").classes("l4-hidden")
        elements.Words("strong", name[:1].upper() + name[1:])
        with ui.element("div"):
            elements.Words("div", detail)
            if hint:
                elements.muted(hint, "div")
