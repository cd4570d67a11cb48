"""Stored files: uploads that are kept on this machine, with their size; they can be deleted."""

from contextlib import suppress
from functools import partial

from nicegui import ui

from llm4top.errors import NotFoundError
from llm4top.studio.components.elements import (
    Words,
    confirm,
    connected,
    empty,
    in_thread,
    pager,
    table,
)
from llm4top.studio.context import StudioContext
from llm4top.studio.frame import page
from llm4top.text import counted, file_size
from llm4top.workspace.jobs.resolve import uploads_of
from llm4top.workspace.uploads import Upload

PER_PAGE = 50


def register(context: StudioContext) -> None:
    """Add the page that the Forecast page links to."""

    @page(context, "/kept", "Stored files", where="nowhere", section="/")
    async def kept() -> None:
        await connected()
        await _Files(context, ui.element("div").classes("l4-stack")).show()


class _Files:
    """The list of one visitor."""

    def __init__(self, context: StudioContext, place: ui.element):
        self._context = context
        self._place = place
        self._page = 1

    async def show(self) -> None:
        found = await in_thread(self._read)
        if found is None or self._place.is_deleted:
            return
        uploads, used, total, size = found
        self._place.clear()
        with self._place:
            if not total:
                empty("No files are stored in this workspace.", "Make a forecast", "/")
                return
            Words(
                "p",
                f"{counted(total, 'file')}, {file_size(size)} in total. They stay on this machine "
                "until you delete them. Deleting a file deletes its forecasts too.",
            )
            rows = [
                (
                    upload.name,
                    file_size(upload.size),
                    f"{upload.created:%Y-%m-%d %H:%M}",
                    used[upload.id],
                    partial(self._delete_button, upload, used[upload.id]),
                )
                for upload in uploads
            ]
            table(("File", "Size", "Added (UTC)", "Used by", ""), rows, label="Stored files")
            pager(-(-total // PER_PAGE), self._page, self._turn)

    def _read(self) -> tuple[list[Upload], dict[str, str], int, int]:
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
            uses = [counted(made, "forecast")] if made else []
            uses += [counted(runs[upload.id], "run")] if upload.id in runs else []
            used[upload.id] = ", ".join(uses) or "nothing"
        return uploads, used, total, size

    async def _turn(self, page: int) -> None:
        self._page = page
        await self.show()

    def _delete_button(self, upload: Upload, used: str) -> None:
        button = ui.button("Delete", on_click=partial(self._ask_and_delete, upload, used))
        button.props("flat dense no-caps")
        button.props["aria-label"] = f"Delete {upload.name}"

    async def _ask_and_delete(self, upload: Upload, used: str) -> None:
        lost = f"The file and its forecasts are removed. This cannot be undone. Used by: {used}."
        if not await confirm(f"Delete {upload.name}?", lost):
            return
        workspace, who = self._context.workspace, self._context.who()

        def delete() -> None:
            with suppress(NotFoundError):  # deleted in another tab meanwhile
                workspace.uploads.delete(upload.id)
                workspace.activity.log("deleted", who, "a stored file", subject=upload.id)

        await in_thread(delete)
        await self.show()
