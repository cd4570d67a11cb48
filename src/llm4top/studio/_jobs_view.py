"""The job drawer: what runs, how far it is, stop and resume; opened from every page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nicegui import run as background
from nicegui import ui

from llm4top.studio._components._run_actions import Act, run_button
from llm4top.studio._job_links import address_of_run
from llm4top.studio._jobs import Jobs, share_of, standing_of, title_of
from llm4top.studio._pieces import Words, heading
from llm4top.workspace._jobs import resume, retry, stop

if TYPE_CHECKING:
    from llm4top.studio._context import StudioContext
    from llm4top.workspace import Run

POLL = 2.0


class JobsView:
    """The drawer of one visitor's page, and the buttons that open it."""

    def __init__(self, context: StudioContext):
        self._context = context
        self._labels: list[Words] = []
        self._shown: object = None
        self._dialog = ui.dialog().props('position="right" aria-label="Jobs"')
        with self._dialog, ui.card().classes("l4-drawer"):
            with ui.element("div").classes("l4-drawer-head"):
                heading("Jobs")
                ui.button("Close", on_click=self._dialog.close).props("flat no-caps")
            self._body = ui.element("div").classes("l4-drawer-body")
        ui.timer(POLL, self._refresh)

    def button(self, place: str) -> None:
        """A button that says how many run; ``place`` is its class in the style sheet."""
        made = ui.element("button").classes(f"l4-jobs {place}")
        with made.props('type="button" aria-haspopup="dialog"').on("click", self._open):
            self._labels.append(Words("span", "0 running"))
            ui.icon("chevron_right").props('aria-hidden="true"')

    async def _open(self) -> None:
        self._context.jobs.forget()
        self._shown = None
        self._dialog.open()
        await self._refresh()

    async def _refresh(self) -> None:
        jobs = await background.io_bound(self._context.jobs.look)
        if jobs is None:  # the server is closing
            return
        for label in self._labels:
            if label.text != jobs.summary:
                label.set_text(jobs.summary)
        if self._dialog.value and self._shown != jobs:
            self._shown = jobs
            self._draw(jobs)

    def _draw(self, jobs: Jobs) -> None:
        self._body.clear()
        with self._body:
            if not jobs.active and not jobs.recent:
                Words(
                    "p",
                    "Nothing is running. Work that takes longer than a few seconds appears here.",
                )
            for run in jobs.active:
                self._row(run, jobs)
            if jobs.recent:
                heading("Finished", level=3)
            for run in jobs.recent:
                self._row(run, jobs)

    def _row(self, run: Run, jobs: Jobs) -> None:
        with ui.element("div").classes("l4-job").props('role="group"') as row:
            row.props["aria-label"] = title_of(run)
            if address := address_of_run(run):
                ui.link(title_of(run), address).classes("l4-what")
            else:
                Words("div", title_of(run)).classes("l4-what")
            Words("div", standing_of(run, jobs.active)).classes("l4-muted l4-small")
            share = share_of(run) if run.state == "running" else None
            if share is not None:
                bar = ui.linear_progress(share, show_value=False, size="6px")
                bar.props["aria-label"] = "Progress"
            if run.state in {"running", "queued"}:
                self._action("Stop", "stopped", run, stop)
            elif run.state == "interrupted":
                self._action("Resume", "resumed", run, resume)
            elif run.state == "failed":
                self._action("Try again", "retried", run, retry)

    def _action(self, verb: str, done: str, run: Run, act: Act) -> None:
        made = run_button(self._context, run.id, verb, done, act, self._refresh)
        made.props("flat dense", remove="outline")
        made.props["aria-label"] = f"{verb}: {title_of(run)}"
