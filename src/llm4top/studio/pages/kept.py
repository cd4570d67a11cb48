"""Kept files: what was brought in and stays on this machine, with its size, to be deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nicegui import run as work
from nicegui import ui

from llm4top.errors import NotFoundError
from llm4top.studio.components.elements import Words, empty, things
from llm4top.studio.frame import page
from llm4top.text import file_size
from llm4top.workspace.jobs.resolve import uploads_of

if TYPE_CHECKING:
    from llm4top.studio.context import StudioContext
    from llm4top.workspace.uploads import Upload

PER_PAGE = 50
_COLUMNS = ("File", "Size", "Brought in (UTC)", "Used by")


def register(context: StudioContext) -> None:
    """Join the frame as a page that the Forecast page leads to."""

    @page(context, "/kept", "Kept files", where="nowhere", section="/")
    async def kept() -> None:
        await ui.context.client.connected()
        await _Kept(context, ui.element("div").classes("l4-stack")).show()


class _Kept:
    """The list as one visitor sees it."""

    def __init__(self, context: StudioContext, place: ui.element):
        self._context = context
        self._place = place
        self._page = 1

    async def show(self) -> None:
        found = await work.io_bound(self._look)
        if found is None or self._place.is_deleted:
            return
        uploads, used, total, size = found
        self._place.clear()
        with self._place:
            if not total:
                empty("No files are kept in this workspace.", "Make a forecast", "/")
                return
            Words(
                "p",
                f"{things(total, 'file')}, {file_size(size)} in all. They stay on this machine "
                "until you delete them; a file goes with all forecasts that were made from it.",
            )
            self._table(uploads, used)
            pages = -(-total // PER_PAGE)
            if pages > 1:
                made = ui.pagination(1, pages, value=self._page, on_change=self._turn)
                made.props('direction-links boundary-numbers max-pages="7"')

    def _look(self) -> tuple[list[Upload], dict[str, str], int, int]:
        workspace = self._context.workspace
        total, size = workspace.uploads.kept()
        offset = (self._page - 1) * PER_PAGE
        uploads = list(workspace.uploads.list(limit=PER_PAGE, offset=offset))
        runs: dict[str, int] = {}
        for run in workspace.runs.list(limit=None):
            for upload_id in uploads_of(run.settings):
                runs[upload_id] = runs.get(upload_id, 0) + 1
        used = {}
        for upload in uploads:
            made = workspace.forecasts.count(upload_id=upload.id)
            said = [things(made, "forecast")] if made else []
            said += [things(runs[upload.id], "run")] if upload.id in runs else []
            used[upload.id] = ", ".join(said) or "nothing"
        return uploads, used, total, size

    async def _turn(self, event: object) -> None:
        self._page = int(getattr(event, "value", 1))
        await self.show()

    def _table(self, uploads: list[Upload], used: dict[str, str]) -> None:
        with ui.element("table").classes("l4-table l4-titled").props('aria-label="Kept files"'):
            with ui.element("thead"), ui.element("tr"):
                for column in (*_COLUMNS, ""):
                    Words("th", column).props('scope="col"')
            with ui.element("tbody"):
                for upload in uploads:
                    self._row(upload, used[upload.id])

    def _row(self, upload: Upload, used: str) -> None:
        async def ask() -> None:
            await self._delete(upload, used)

        cells = (upload.name, file_size(upload.size), f"{upload.created:%Y-%m-%d %H:%M}", used)
        with ui.element("tr"):
            for title, text in zip(_COLUMNS, cells, strict=True):
                Words("td", text).props["data-title"] = title
            with ui.element("td"):
                button = ui.button("Delete", on_click=ask).props("flat dense no-caps")
                button.props["aria-label"] = f"Delete {upload.name}"

    async def _delete(self, upload: Upload, used: str) -> None:
        with ui.dialog() as dialog, ui.card():
            Words("h2", f"Delete {upload.name}?")
            Words(
                "p",
                f"The file and the forecasts that were made from it are removed for good. "
                f"Used by: {used}.",
            )
            with ui.row():
                ui.button("Delete", on_click=lambda: dialog.submit(True)).props(
                    "unelevated no-caps text-color=on-accent"
                )
                ui.button("Keep", on_click=lambda: dialog.submit(False)).props("flat no-caps")
        dialog.props('aria-label="Delete this file?"')
        agreed = await dialog
        dialog.delete()
        if not agreed:
            return
        workspace, who = self._context.workspace, self._context.who()

        def delete() -> None:
            try:
                workspace.uploads.delete(upload.id)
            except NotFoundError:  # deleted in another tab meanwhile
                return
            workspace.activity.log("deleted", who, "a kept file", subject=upload.id)

        await work.io_bound(delete)
        await self.show()
