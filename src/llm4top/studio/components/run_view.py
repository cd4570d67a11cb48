"""The page of a training: status, curves, figures, log, results."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nicegui import ui

from llm4top.errors import LLM4TOPError
from llm4top.studio.components import elements
from llm4top.studio.components.bundle_facts import (
    comparison_of_bundle,
    make_default,
    measured_tables,
)
from llm4top.studio.components.run_panel import NOTE, RunPanel
from llm4top.studio.context import StudioContext
from llm4top.studio.jobs import title_of
from llm4top.text import about, duration, thousands
from llm4top.workspace.run_states import Run, RunEvent, RunState
from llm4top.workspace.views import svg
from llm4top.workspace.views.wording import metric, probe_in_words

FROM_TERMINAL = (
    "This training was started in a terminal, and its model is in {bundle}. To see its figures and "
    "forecast with it here, add it to the models: llm4top bundle import {bundle}"
)
HEIGHT = 220
MOST_POINTS = 600
LOSS, VALIDATION = "var(--series-1, #0072b2)", "var(--series-5, #d55e00)"
_LEFT = 8
"""Percent of the width for the labels of the vertical axis."""


class Curves:
    """Loss, validation log-loss and ROC-AUC by step; a resumed run replaces repeated steps.

    The saved model is that of the lowest validation log-loss, ``best``.
    """

    def __init__(self) -> None:
        self.loss: dict[int, float] = {}
        self.validation: dict[int, float] = {}
        self.roc_auc: dict[int, float] = {}

    @property
    def best(self) -> int | None:
        """The step of the lowest validation log-loss; None before the first evaluation."""
        return min(self.validation, key=lambda step: self.validation[step], default=None)

    def take(self, events: Iterable[RunEvent]) -> bool:
        """Read events of a training; whether there is anything new to draw."""
        before = self._sizes()
        for event in events:
            details = event.details
            if details.get("event") == "training":
                step = int(details.get("step", 0))
                for curve in (self.loss, self.validation, self.roc_auc):
                    for later in [known for known in curve if known > step]:
                        del curve[later]
            elif details.get("event") == "log":
                _add(self.loss, details, "loss")
            elif details.get("event") == "evaluation":
                _add(self.validation, details, "eval_log_loss")
                _add(self.roc_auc, details, "eval_roc_auc")
        return before != self._sizes()

    def _sizes(self) -> tuple[int, ...]:
        return tuple(map(len, (self.loss, self.validation, self.roc_auc)))

    def words(self) -> str:
        """The latest losses in words, also for screen readers."""
        parts = []
        for name, curve in (("Training loss", self.loss), ("Validation", self.validation)):
            if curve:
                last = max(curve)
                parts.append(f"{name} {curve[last]:.3f} at step {thousands(last)}.")
        if (best := self.best) is not None and best != max(self.validation):
            parts.append(f"Best validation {self.validation[best]:.3f} at step {thousands(best)}.")
        return " ".join(parts)

    def roc_words(self) -> str:
        """The latest ROC-AUC in words; empty before the first evaluation."""
        if not self.roc_auc:
            return ""
        last = max(self.roc_auc)
        return f"Validation ROC-AUC {self.roc_auc[last]:.3f} at step {thousands(last)}."

    def drawing(self, total: int) -> str:
        """Both losses over the steps from 0 to ``total``, which may be 0 where it is unknown."""
        return _chart({LOSS: self.loss}, {VALIDATION: self.validation}, total, self, self.words())

    def roc_drawing(self, total: int) -> str:
        """The validation ROC-AUC over the same steps."""
        return _chart({}, {VALIDATION: self.roc_auc}, total, self, self.roc_words())


def _chart(
    lines: Mapping[str, Mapping[int, float]],
    dotted: Mapping[str, Mapping[int, float]],
    total: int,
    curves: Curves,
    label: str,
) -> str:
    """Curves by colour; ``dotted`` ones have a mark at each point, the best one with a ring."""
    drawn = {**lines, **dotted}
    values = [value for curve in drawn.values() for value in curve.values()]
    last = max([total, 1, *curves.loss, *curves.validation])
    ticks = _ticks(min(values, default=0.0), max(values, default=1.0))
    low, high = ticks[0], ticks[-1]

    def y(value: float) -> float:
        return HEIGHT * (high - value) / (high - low)

    marks = []
    for value in ticks:
        marks.append(svg.line((_LEFT, y(value)), (100, y(value))))
        marks.append(svg.text(0, y(value) + 4, f"{value:g}"))
    # The lines have a drawing of their own, which is as wide as the page lets it be.
    inner = [
        _polyline([(1000 * step / last, y(value)) for step, value in sorted(curve.items())], colour)
        for colour, curve in drawn.items()
    ]
    marks.append(
        f'<svg x="{_LEFT}%" width="{100 - _LEFT}%" height="{HEIGHT}" '
        f'viewBox="0 0 1000 {HEIGHT}" preserveAspectRatio="none">{"".join(inner)}</svg>'
    )
    for colour, curve in dotted.items():
        for step, value in curve.items():
            best = step == curves.best
            ring = f"; stroke: {svg.MUTED}; stroke-width: 2; stroke-opacity: 1" if best else ""
            x = _LEFT + (100 - _LEFT) * step / last
            dot = svg.dot(x, y(value), 6 if best else 4, colour, ring)
            marks.append(svg.titled(f"Step {step}: {value:.4f}{', best' if best else ''}", dot))
    marks.append(svg.text(_LEFT, HEIGHT + 20, "0"))
    marks.append(svg.text(100, HEIGHT + 20, f"step {thousands(last)}"))
    return svg.chart(marks, label, HEIGHT + 28)


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers, at most eight, the first not above ``low`` and the last not below ``high``."""
    least = max(high - low, 1e-3) / 5
    power = 10.0 ** math.floor(math.log10(least))
    step = next(k * power for k in (1, 2, 5, 10) if k * power >= least)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [round(k * step, 10) for k in range(first, max(last, first + 1) + 1)]


def _add(curve: dict[int, float], details: Mapping[str, Any], name: str) -> None:
    step, value = details.get("step"), details.get(name)
    if isinstance(step, int) and isinstance(value, int | float) and math.isfinite(value):
        curve[step] = float(value)


def _polyline(points: Sequence[tuple[float, float]], colour: str) -> str:
    if len(points) > MOST_POINTS:
        points = [*points[:: math.ceil(len(points) / MOST_POINTS)], points[-1]]
    if len(points) < 2:
        return ""
    places = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return (
        f'<polyline points="{places}" vector-effect="non-scaling-stroke" '
        f'style="fill: none; stroke: {colour}; stroke-width: 2"/>'
    )


_PER_READ = 5000
"""Events that are read from the store at a time."""


class RunView:
    """A training, read once a second while it works.

    Everything comes from the store: a page that is opened later shows the same.
    """

    def __init__(self, context: StudioContext, run: Run):
        self._context = context
        self._curves = Curves()
        self._last_event = 0
        self._shown: tuple[Any, ...] = ()
        elements.heading(title_of(run))
        note = f"{NOTE} Stop keeps the last checkpoint."
        RunPanel(context, run, self._read, home="/train", note=note)
        self._figure()
        self._figures = ui.element("div")
        self._result = ui.element("div")
        self._draw(run)

    def _figure(self) -> None:
        with ui.element("div").classes("l4-figures") as self._curve_box:
            with ui.element("figure").classes("l4-curves"):
                elements.heading("Loss", level=3)
                with ui.element("figcaption").classes("l4-small"):
                    elements.Words("span", "training").classes("l4-key l4-key-loss")
                    elements.Words("span", "validation (log-loss)").classes(
                        "l4-key l4-key-validation"
                    )
                self._chart = elements.drawing("")
                self._latest = elements.muted("")
            with ui.element("figure").classes("l4-curves") as self._roc_box:
                elements.heading("Validation ROC-AUC", level=3)
                caption = elements.Words(
                    "figcaption", "0.5 is no better than chance, 1 is perfect."
                )
                caption.classes("l4-small")
                self._roc = elements.drawing("")
                self._roc_latest = elements.muted("")
        self._curve_box.set_visibility(False)

    async def _read(self, run: Run) -> None:
        events = await elements.in_thread(self._events, run.id)
        if events is None or self._curve_box.is_deleted:
            return
        total = run.progress.get("total", 0) if run.progress.get("stage") == "training" else 0
        curves = self._curves
        if curves.take(events):
            self._chart.set_content(curves.drawing(total))
            self._latest.set_text(curves.words())
            self._roc.set_content(curves.roc_drawing(total))
            self._roc_latest.set_text(curves.roc_words())
            self._roc_box.set_visibility(bool(curves.roc_auc))
            # A single point is not a curve yet.
            self._curve_box.set_visibility(max(len(curves.loss), len(curves.validation)) > 1)
        self._draw(run)

    def _events(self, run_id: str) -> list[RunEvent]:
        """The events since the last read."""
        events: list[RunEvent] = []
        while True:
            found = self._context.workspace.runs.events(
                run_id, self._last_event, kind="folder", limit=_PER_READ
            )
            events += found
            if found:
                self._last_event = found[-1].id
            if len(found) < _PER_READ:
                return events

    def _draw(self, run: Run) -> None:
        now = (run.state, run.attempt, run.progress, run.error)
        if now == self._shown:
            return
        self._shown = now
        self._figures.clear()
        with self._figures:
            elements.facts(figures_of(run))
        if run.state is RunState.DONE:
            self._result.clear()
            with self._result, elements.section("Results"):
                self._results(run)

    def _results(self, run: Run) -> None:
        if step := best_step(run):
            elements.Words("p", step)
        if tried := run.result.get("tried"):
            elements.Words("p", probe_in_words(tried))
            with elements.folded("Every layer that was tried"):
                elements.table(*layer_table(tried), label="Log-loss by layer")
        metrics = run.result.get("metrics") or {}
        if metrics.get("forecasters"):
            found = [run.result.get("out_of_fold"), metrics]
            measured_tables({"evaluations": [one for one in found if one]})
        difference = run.result.get("reload_difference")
        if difference is not None:
            elements.Words(
                "p",
                "The model was reloaded from its files and gave the same probabilities "
                f"(largest difference {difference:.1g}).",
            )
        if run.folder is not None and (bundle := run.result.get("bundle")):
            elements.Words("p", FROM_TERMINAL.format(bundle=bundle))
        if bundle_id := run.result.get("bundle_id"):
            name = str(run.result.get("name"))
            wanted = str(run.settings.get("name") or "")
            with ui.element("p"):
                elements.Words("span", "Saved as ")
                ui.link(name, f"/models/{bundle_id}")
                elements.Words("span", f" (from “{wanted}”)." if wanted and wanted != name else ".")
            place = ui.element("div").classes("l4-stack")
            with place:
                ui.timer(0, lambda: self._compare(place, str(bundle_id)), once=True)

    async def _compare(self, place: ui.element, bundle_id: str) -> None:
        """Compare the model with the default, and offer to make it the default."""
        context = self._context

        async def use() -> None:
            if await make_default(context, bundle_id):
                ui.navigate.to("/")

        try:
            found = await elements.in_thread(comparison_of_bundle, context, bundle_id)
        except LLM4TOPError:
            return  # The model has been deleted since.
        if found is None or place.is_deleted:
            return
        with place:
            for sentence in found.sentences:
                elements.Words("p", sentence)
            elements.muted("“Use for forecasts” makes it the default of this workspace.")
            ui.button("Use for forecasts", on_click=use).props(elements.PRIMARY).classes("l4-start")


def best_step(run: Run) -> str:
    """The step whose weights the model has, in words; empty if that is not known."""
    best, steps = run.result.get("best_step"), run.result.get("steps")
    loss = run.result.get("best_log_loss")
    if best is None or steps is None:
        return ""
    at = f", with a validation log-loss of {loss:.3f}" if isinstance(loss, int | float) else ""
    if best == steps:
        return f"The model has the weights of the last step, {thousands(steps)}{at}."
    return (
        f"The best step was {thousands(best)} of {thousands(steps)}{at}. The model has the "
        "weights of that step; later steps were discarded."
    )


def layer_table(
    tried: Sequence[Mapping[str, Any]],
) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Columns and rows of a probe's validation log-losses: a row a layer, a column a pooling."""
    names = {"answer": "At the answer's position", "mean": "Mean over the prompt"}
    losses = {(one["layer"], one["pooling"]): metric(one["eval_log_loss"]) for one in tried}
    rows = [
        (str(layer), *(losses.get((layer, pooling), "-") for pooling in names))
        for layer in sorted({one["layer"] for one in tried})
    ]
    return ("Layer", *(f"{name}: log-loss" for name in names.values())), rows


def figures_of(run: Run) -> list[tuple[str, str]]:
    """Figures of a training in words, as far as they are known."""
    progress = run.progress
    found = []
    if progress.get("stage") == "training" and progress.get("total"):
        unit = "Trials read" if run.settings.get("tuning") == "probe" else "Training step"
        found.append((unit, f"{thousands(progress['done'])} of {thousands(progress['total'])}"))
    if run.state is RunState.RUNNING:
        if progress.get("tokens_per_second"):
            found.append(("Tokens per second", thousands(round(progress["tokens_per_second"]))))
        if progress.get("eta_seconds") is not None:
            found.append(("Time left in this stage", about(progress["eta_seconds"])))
        if progress.get("memory"):
            found.append(("Memory", f"{progress['memory'] / 1e9:.1f}\u00a0GB"))
        if progress.get("gpu_memory"):
            found.append(("GPU memory", f"{progress['gpu_memory'] / 1e9:.1f}\u00a0GB"))
    if run.device:
        found.append(("Device", run.device))
    base, preset = run.settings.get("base"), run.settings.get("preset", "standard")
    if base:
        found.append(("Base model and preset", f"{base}, {preset}"))
    if run.state is RunState.DONE and run.result.get("seconds"):
        steps = run.result["steps"]
        in_steps = f", {thousands(steps)} steps" if steps else ""
        found.append(("Duration", duration(run.result["seconds"]) + in_steps))
    return found
