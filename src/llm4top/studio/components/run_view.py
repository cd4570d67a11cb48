"""A training as it goes on: curves, figures, log; stop, resume, and its results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nicegui import run as work
from nicegui import ui

from llm4top.errors import LLM4TOPError
from llm4top.studio.components.bundle_facts import with_interval
from llm4top.studio.components.elements import Words, drawing, facts, heading, section, titled_table
from llm4top.studio.components.make_default import make_default, standing_of_bundle
from llm4top.studio.components.run_actions import Act, delete_run_button, run_button
from llm4top.studio.components.run_watch import NOTE
from llm4top.studio.components.train_curves import Curves
from llm4top.studio.jobs import share_of, standing_of, title_of
from llm4top.text import about, duration, thousands
from llm4top.workspace.jobs.jobs import log_tail, resume, retry, stop
from llm4top.workspace.run_states import RunState

if TYPE_CHECKING:
    from llm4top.studio.context import StudioContext
    from llm4top.workspace.run_states import Run, RunEvent

EVERY = 1.0
"""Seconds between two looks."""

LOG_LINES = 60
_PER_LOOK = 5000
"""Events read at one look: a long training is caught up with in several."""

_METRICS = {"log_loss": "Log-loss", "brier": "Brier score", "roc_auc": "ROC-AUC", "f1": "F1 at .5"}


class RunView:
    """Looks at a training once a second while it goes on; what is drawn outlives nothing.

    Everything comes from the store, so that a page that is opened later shows the same.
    """

    def __init__(self, context: StudioContext, run: Run):
        self._context = context
        self._id = run.id
        self._curves = Curves()
        self._seen = 0
        self._shown: tuple[Any, ...] = ()
        self._active: Sequence[Run] = ()
        self._title = heading(title_of(run))
        self._standing = Words("p", "").props('role="status" aria-live="polite"')
        self._bar = ui.linear_progress(0, show_value=False).props("instant-feedback")
        self._bar.props["aria-label"] = "Progress"
        with ui.element("div").classes("l4-controls"):
            self._stop = self._action("Stop", "stopped", stop)
            self._resume = self._action("Resume", "resumed", resume)
            self._retry = self._action("Start over", "retried", retry)
        self._note = Words("p", f"{NOTE} Stop keeps the last checkpoint.").classes(
            "l4-small l4-muted"
        )
        self._figure()
        self._figures = ui.element("div")
        self._result = ui.element("div")
        with ui.element("details") as self._log_box:
            Words("summary", "Log")
            self._log = Words("pre", "").classes("l4-log-tail").props('tabindex="0"')
        self._delete = delete_run_button(context, run, "/train").classes("l4-start")
        self._draw(run)
        ui.timer(EVERY, self._look)

    def _figure(self) -> None:
        with ui.element("div").classes("l4-figures") as self._curve_box:
            with ui.element("figure").classes("l4-curves"):
                heading("Loss", level=3)
                with ui.element("figcaption").classes("l4-small"):
                    Words("span", "training").classes("l4-key l4-key-loss")
                    Words("span", "validation (log-loss)").classes("l4-key l4-key-validation")
                self._chart = drawing("")
                self._latest = Words("p", "").classes("l4-small l4-muted")
            with ui.element("figure").classes("l4-curves") as self._roc_box:
                heading("Validation ROC-AUC", level=3)
                Words("figcaption", "0.5 is no better than chance, 1 is perfect.").classes(
                    "l4-small"
                )
                self._roc = drawing("")
                self._roc_latest = Words("p", "").classes("l4-small l4-muted")
        self._curve_box.set_visibility(False)

    def _action(self, verb: str, done: str, act: Act) -> ui.button:
        return run_button(self._context, self._id, verb, done, act, self._look)

    async def _look(self) -> None:
        found = await work.io_bound(self._read)
        if found is None:
            return
        run, events, lines, self._active = found
        if events:
            self._seen = events[-1].id
        total = run.progress.get("total", 0) if run.progress.get("stage") == "training" else 0
        if self._curves.take(events):
            self._chart.set_content(self._curves.drawing(total))
            self._latest.set_text(self._curves.words())
            self._roc.set_content(self._curves.roc_drawing(total))
            self._roc_latest.set_text(self._curves.roc_words())
            self._roc_box.set_visibility(bool(self._curves.roc_auc))
            # One point alone is not a curve yet.
            points = max(len(self._curves.loss), len(self._curves.validation))
            self._curve_box.set_visibility(points > 1)
        self._log.set_text("\n".join(lines))
        self._log_box.set_visibility(bool(lines))
        self._draw(run)

    def _read(self) -> tuple[Run, list[RunEvent], list[str], Sequence[Run]]:
        runs = self._context.workspace.runs
        run = runs.get(self._id)
        events = runs.events(self._id, self._seen, kind="folder", limit=_PER_LOOK)
        lines = log_tail(self._context.workspace, self._id, LOG_LINES)
        return run, events, lines, self._context.jobs.look().active

    def _draw(self, run: Run) -> None:
        standing = standing_of(run, self._active)
        now = (run.state, run.attempt, run.progress, run.error, standing)
        if now == self._shown:
            return
        self._shown = now
        self._standing.set_text(standing)
        share = share_of(run)
        self._bar.set_value(share or 0)
        self._bar.set_visibility(run.state is RunState.RUNNING and share is not None)
        self._note.set_visibility(not run.state.is_over)
        self._stop.set_visibility(run.state in (RunState.QUEUED, RunState.RUNNING))
        stopped = run.state in (RunState.INTERRUPTED, RunState.FAILED)
        self._resume.set_visibility(stopped)
        self._retry.set_visibility(stopped and run.folder is None)
        self._delete.set_visibility(run.state.is_over)
        self._figures.clear()
        with self._figures:
            facts(figures_of(run))
        if run.state is RunState.DONE:
            self._result.clear()
            with self._result:
                self._done(run)

    def _done(self, run: Run) -> None:
        with section("Results"):
            if kept := kept_step(run):
                Words("p", kept)
            metrics = run.result.get("metrics") or {}
            if metrics.get("forecasters"):
                rows = "validation" if metrics["split"] == "valid" else str(metrics["split"])
                Words("p", f"On {thousands(metrics['n'])} {rows} trials, with 95\u00a0% intervals:")
                _metrics_table(metrics["forecasters"])
            apart = run.result.get("reload_difference")
            if apart is not None:
                Words(
                    "p",
                    "The model was loaded again from its files and gave the same probabilities "
                    f"(largest difference {apart:.1g}).",
                )
            if bundle_id := run.result.get("bundle_id"):
                name = str(run.result.get("name"))
                asked = str(run.settings.get("name") or "")
                changed = f" (from “{asked}”)" if asked and asked != name else ""
                with ui.element("p"):
                    Words("span", "Saved as ")
                    ui.link(name, f"/models/{bundle_id}")
                    Words("span", f"{changed}.")
                place = ui.element("div").classes("l4-stack")
                with place:
                    ui.timer(0, lambda: self._use(place, str(bundle_id)), once=True)

    async def _use(self, place: ui.element, bundle_id: str) -> None:
        """How the model stands beside the others, and the button that makes it the default."""
        context = self._context

        async def use() -> None:
            if await make_default(context, bundle_id):
                ui.navigate.to("/")

        try:
            standing = await work.io_bound(standing_of_bundle, context, bundle_id)
        except LLM4TOPError:
            return  # The model was deleted since.
        if standing is None or place.is_deleted:
            return
        with place:
            for sentence in standing.sentences:
                Words("p", sentence)
            Words("p", "“Use for forecasts” makes it the default of this workspace.").classes(
                "l4-small l4-muted"
            )
            ui.button("Use for forecasts", on_click=use).props(
                "unelevated no-caps text-color=on-accent"
            ).classes("l4-start")


def kept_step(run: Run) -> str:
    """Which step's weights the model has, in words; empty where that is not known."""
    best, steps = run.result.get("best_step"), run.result.get("steps")
    loss = run.result.get("best_log_loss")
    if best is None or steps is None:
        return ""
    at = f", with a validation log-loss of {loss:.3f}" if isinstance(loss, int | float) else ""
    if best == steps:
        return f"The model is the one after the last step, {thousands(steps)}{at}."
    return (
        f"The best step was {thousands(best)} of {thousands(steps)}{at}. The model has the "
        "weights of that step; what came after it was discarded."
    )


def figures_of(run: Run) -> list[tuple[str, str]]:
    """What a training tells of itself, in words; only what is known."""
    told = run.progress
    found = []
    if told.get("stage") == "training" and told.get("total"):
        found.append(("Training step", f"{thousands(told['done'])} of {thousands(told['total'])}"))
    if run.state is RunState.RUNNING:
        if told.get("tokens_per_second"):
            found.append(("Tokens per second", thousands(round(told["tokens_per_second"]))))
        if told.get("eta_seconds") is not None:
            found.append(("Time left in this stage", about(told["eta_seconds"])))
        if told.get("memory"):
            found.append(("Memory", f"{told['memory'] / 1e9:.1f}\u00a0GB"))
        if told.get("gpu_memory"):
            found.append(("GPU memory", f"{told['gpu_memory'] / 1e9:.1f}\u00a0GB"))
    if run.device:
        found.append(("Device", run.device))
    base, preset = run.settings.get("base"), run.settings.get("preset", "standard")
    if base:
        found.append(("Base model and preset", f"{base}, {preset}"))
    if run.state is RunState.DONE and run.result.get("seconds"):
        steps = thousands(run.result["steps"])
        found.append(("Took", f"{duration(run.result['seconds'])}, {steps} steps"))
    return found


def _metrics_table(forecasters: Mapping[str, Mapping[str, Any]]) -> None:
    names = list(next(iter(forecasters.values())))
    rows = [
        [forecaster, *(with_interval(figures.get(name)) for name in names)]
        for forecaster, figures in forecasters.items()
    ]
    headings = [_METRICS.get(name, name.replace("_", " ")) for name in names]
    titled_table(["Forecaster", *headings], rows, label="Figures")
