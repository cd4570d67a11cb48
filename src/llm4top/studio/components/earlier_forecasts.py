"""Earlier forecasts, to search and page through, with those that are being made above them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nicegui import run as work
from nicegui import ui

from llm4top.errors import NotFoundError
from llm4top.studio.components.elements import Words, section, things
from llm4top.studio.components.list_state import ListState
from llm4top.studio.jobs import standing_of, title_of
from llm4top.workspace.jobs.jobs import discard, submit
from llm4top.workspace.kept_records import delete_batch, files_name
from llm4top.workspace.serving.parsing import Refusal
from llm4top.workspace.views.listing import Listing

if TYPE_CHECKING:
    from llm4top.studio.context import StudioContext
    from llm4top.workspace.batches import Batch
    from llm4top.workspace.run_states import Run
    from llm4top.workspace.serving.request import UploadedFile
    from llm4top.workspace.workspace import Workspace


def address_of(batch: Batch) -> str:
    """The page that shows a batch."""
    state = ListState(run=batch.run_id) if batch.run_id else ListState(batch=batch.id)
    return state.address


def described(batch: Batch) -> str:
    """When a batch was made, by which model, and how much it holds."""
    said = [f"{batch.created:%Y-%m-%d %H:%M} UTC", things(batch.count, "trial")]
    if batch.left_out:
        said.append(f"{batch.left_out} without a forecast")
    return " · ".join(said)


def restore(workspace: Workspace, state: ListState) -> Listing:
    """A batch that was kept. Raises ``NotFoundError`` where there is none."""
    try:
        listing = Listing.read(workspace, state.id)
    except NotFoundError:
        raise NotFoundError(
            "these forecasts do not exist any more.", hint="Make them again from the records."
        ) from None
    if state.run and not listing.refusals and not listing.not_asked:
        # A run of an earlier version has its first refusals only in its result.
        told = workspace.runs.get(state.run).result.get("refusals", ())
        listing.refusals += [Refusal(**values) for values in told]
    return listing


def remove(workspace: Workspace, state: ListState, who: str) -> None:
    """Delete a batch for good, with the records that it was made from; gone already is as good."""
    try:
        if state.run:
            discard(workspace, state.run)
        else:
            delete_batch(workspace, state.batch)
    except NotFoundError:
        return
    workspace.activity.log("deleted", who, "forecasts")


def queue(workspace: Workspace, files: Sequence[UploadedFile], model: str, who: str) -> str:
    """Keep the files and queue a run that forecasts them; the run's id."""
    uploads = []
    for file in files:
        if file.upload_id is not None:
            uploads.append(file.upload_id)
            continue
        with file.path.open("rb") as stream:
            uploads.append(workspace.uploads.add(file.name, stream).id)
    title = f"Forecasts of {files_name([file.name for file in files])}"[:200]
    settings = {"uploads": uploads, "model": model}
    made = submit(workspace, "forecast", settings, title=title, ids_only=True)
    workspace.activity.log("queued", who, title, subject=made.id)
    return made.id


PER_PAGE = 10
ACTIVE = ("running", "stopping", "queued")


async def list_earlier(context: StudioContext, place: ui.element) -> None:
    """Fill ``place`` with what was forecast before; nothing where nothing was."""
    found = await work.io_bound(_look, context, "", 0)
    if found is None or place.is_deleted:
        return
    running, batches, total = found
    with place:
        if running:
            with section("In progress"), ui.element("ul").classes("l4-earlier"):
                for run in running:
                    with ui.element("li"):
                        ui.link(title_of(run), f"/?run={run.id}")
                        Words("span", standing_of(run, running)).classes("l4-muted l4-small")
        if total:
            with section("Earlier forecasts"):
                _Earlier(context, batches, total)


def _look(context: StudioContext, search: str, offset: int) -> tuple[list[Run], list[Batch], int]:
    workspace = context.workspace
    batches = workspace.batches
    running = workspace.runs.list(states=ACTIVE, kind="forecast", limit=20)
    found = batches.list(search=search, limit=PER_PAGE, offset=offset)
    return list(running), found, batches.count(search=search)


class _Earlier:
    """One visitor's list."""

    def __init__(self, context: StudioContext, batches: list[Batch], total: int):
        self._context = context
        self._search = ""
        self._page = 1
        if total > PER_PAGE:
            box = ui.input("Search earlier forecasts", on_change=self._sought)
            box.props('outlined dense clearable debounce="300"').classes("l4-field")
        self._list = ui.element("div").classes("l4-stack")
        self._draw(batches, total)

    async def _sought(self, event: object) -> None:
        self._search, self._page = str(getattr(event, "value", None) or ""), 1
        await self._read()

    async def _turned(self, event: object) -> None:
        self._page = int(getattr(event, "value", 1))
        await self._read()

    async def _read(self) -> None:
        offset = (self._page - 1) * PER_PAGE
        found = await work.io_bound(_look, self._context, self._search, offset)
        if found is not None and not self._list.is_deleted:
            self._draw(*found[1:])

    def _draw(self, batches: list[Batch], total: int) -> None:
        self._list.clear()
        with self._list:
            if not batches:
                Words("p", "No forecasts match.").props('role="status"').classes("l4-muted")
            with ui.element("ul").classes("l4-earlier"):
                for batch in batches:
                    with ui.element("li"):
                        ui.link(batch.name, address_of(batch))
                        Words("span", described(batch)).classes("l4-muted l4-small")
            pages = -(-total // PER_PAGE)
            if pages > 1:
                made = ui.pagination(1, pages, value=self._page, on_change=self._turned)
                made.props('direction-links boundary-numbers max-pages="7"')
