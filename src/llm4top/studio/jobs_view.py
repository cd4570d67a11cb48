"""The job drawer, opened from every page: the runs, their progress, stop and resume."""

from collections.abc import Callable, Iterable
from contextlib import suppress

from nicegui import ui

from llm4top.errors import NotFoundError
from llm4top.studio.components import elements
from llm4top.studio.components.run_panel import run_buttons, show_buttons
from llm4top.studio.context import StudioContext
from llm4top.studio.jobs import Jobs, share_of, status_text, title_of
from llm4top.workspace.run_states import Run
from llm4top.workspace.workspace import Workspace

_PAGES = {
    "train": "/train/{id}",
    "benchmark": "/reports/{id}",
    "evaluate": "/reports/{id}",
    "forecast": "/?run={id}",
}


def address_of_run(run: Run) -> str:
    """The address of the page that shows a run; empty if there is none."""
    if run.kind == "ingest":
        made = run.result.get("dataset_id")
        return f"/data/{made}" if made else "/data"
    if run.kind in ("audit", "precedents") and run.settings.get("dataset"):
        return f"/data/{run.settings['dataset']}"
    page = _PAGES.get(run.kind)
    return page.format(id=run.id) if page else ""


def addresses_of(workspace: Workspace, subjects: Iterable[str | None]) -> dict[str, str]:
    """The pages of the things with these ids, by id; those that are gone are left out."""
    found = {}
    for subject in {subject for subject in subjects if subject}:
        if address := _address(workspace, subject):
            found[subject] = address
    return found


def _address(workspace: Workspace, subject: str) -> str:
    looks: tuple[Callable[[], str], ...] = (
        lambda: address_of_run(workspace.runs.get(subject)),
        lambda: f"/?batch={workspace.batches.get(subject).id}",
        lambda: f"/data/{workspace.datasets.get(subject).id}",
        lambda: f"/models/{workspace.bundles.get(subject).id}",
    )
    for look in looks:
        with suppress(NotFoundError):
            return look()
    return ""


POLL = 2.0


class JobsView:
    """The drawer of one visitor's page, and the buttons that open it."""

    def __init__(self, context: StudioContext):
        self._context = context
        self._labels: list[elements.Words] = []
        self._shown: object = None
        self._dialog = ui.dialog().props('position="right" aria-label="Jobs"')
        with self._dialog, ui.card().classes("l4-drawer"):
            with ui.element("div").classes("l4-drawer-head"):
                elements.heading("Jobs")
                ui.button("Close", on_click=self._dialog.close).props("flat no-caps")
            self._body = ui.element("div").classes("l4-drawer-body")
        ui.timer(POLL, self._refresh)

    def button(self, place: str) -> None:
        """A button that says how many run; ``place`` is its class in the style sheet."""
        made = ui.element("button").classes(f"l4-jobs {place}")
        with made.props('type="button" aria-haspopup="dialog"').on("click", self._open):
            self._labels.append(elements.Words("span", "0 running"))
            ui.icon("chevron_right").props('aria-hidden="true"')

    async def _open(self) -> None:
        self._context.jobs.refresh()
        self._shown = None
        self._dialog.open()
        await self._refresh()

    async def _refresh(self) -> None:
        jobs = await elements.in_thread(self._context.jobs.look)
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
            if jobs.away:
                elements.Words("p", jobs.away).classes("l4-box l4-warn").props('role="status"')
            if not jobs.active and not jobs.recent:
                elements.Words(
                    "p", "Nothing is running. Work that takes some time will appear here."
                )
            for run in jobs.active:
                self._row(run, jobs)
            if jobs.recent:
                elements.heading("Recent", level=3)
            for run in jobs.recent:
                self._row(run, jobs)

    def _row(self, run: Run, jobs: Jobs) -> None:
        with ui.element("div").classes("l4-job").props('role="group"') as row:
            row.props["aria-label"] = title_of(run)
            elements.linked(title_of(run), address_of_run(run)).classes("l4-what")
            elements.muted(status_text(run, jobs.active), "div")
            share = share_of(run) if run.state == "running" else None
            if share is not None:
                elements.progress_bar().set_value(share)
            buttons = run_buttons(self._context, run, self._refresh)
            show_buttons(run, *buttons)
            for button in buttons:
                button.props("flat dense", remove="outline")
                button.props["aria-label"] = f"{button.text}: {title_of(run)}"
