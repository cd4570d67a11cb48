"""Importing a bundle from a zip file, and exporting one."""

import shutil
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path, PurePath

from nicegui import ui
from nicegui.events import UploadEventArguments
from starlette.background import BackgroundTask
from starlette.responses import FileResponse, Response

from llm4top.errors import BundleError, LLM4TOPError, NotFoundError
from llm4top.forecasters.bundles.paths import is_embedded
from llm4top.studio.components.drop_zone import stored_files
from llm4top.studio.components.elements import error_box, in_thread
from llm4top.studio.context import StudioContext
from llm4top.studio.guard.refusals import NOT_FOUND, Refusal, refusal_body
from llm4top.workspace.bundles import WorkspaceBundle
from llm4top.workspace.workspace import Workspace

MAX_BYTES = 1_000_000_000
"""Of one zip from a browser; ``llm4top bundle import`` takes larger ones."""


def import_button(context: StudioContext, on_done: Callable[[], Awaitable[None]]) -> None:
    """A button that imports a bundle's zip; ``on_done`` is awaited after an import."""

    async def take(event: UploadEventArguments) -> None:
        chooser.reset()
        faults.clear()
        who, name = context.who(), event.file.name or "the file"
        button.props("loading")
        try:
            async with stored_files([event.file]) as stored:
                made = await in_thread(_add, context.workspace, stored[0].path, name, who)
        except LLM4TOPError as error:
            with faults:
                error_box(error)
            return
        finally:
            button.props(remove="loading")
        if made is not None:
            ui.notify(f"Imported {made.name}; every file matches its manifest.")
            await on_done()

    def refuse() -> None:
        ui.notify(
            f"Not imported: choose one zip file of at most {MAX_BYTES // 10**6} MB.", type="warning"
        )

    chooser = ui.upload(
        max_file_size=MAX_BYTES, auto_upload=True, on_upload=take, on_rejected=refuse
    ).classes("l4-chooser")
    chooser.props('accept=".zip" aria-hidden="true"')
    button = ui.button("Import a bundle", icon="upload_file").props("outline no-caps")
    button.classes("l4-start")
    button.on("click", js_handler=f"() => getElement({chooser.id}).$refs.qRef.pickFiles()")
    faults = ui.element("div")


def packed(workspace: Workspace, bundle_id: str, path: str) -> Response:
    """The bundle as a zip to download, verified while it is packed; an error page if that fails."""
    folder = Path(tempfile.mkdtemp(prefix="llm4top-"))
    try:
        bundle = workspace.bundles.get(bundle_id)
        file = workspace.bundles.export(bundle_id, folder / "bundle.zip")
    except LLM4TOPError as error:
        shutil.rmtree(folder, ignore_errors=True)
        return refused(error, path)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    name = bundle.facts["name"] if is_embedded(bundle.id) else bundle.name
    gone = BackgroundTask(shutil.rmtree, folder, ignore_errors=True)
    return FileResponse(
        file,
        media_type="application/zip",
        filename=f"{name}.zip",
        headers={"Cache-Control": "no-store"},
        background=gone,
    )


def refused(error: LLM4TOPError, path: str) -> Response:
    """An error page in place of a download."""
    refusal = (
        NOT_FOUND
        if isinstance(error, NotFoundError)
        else Refusal(409, "not-possible", str(error.message), error.hint or "")
    )
    body, kind = refusal_body(refusal, path)
    return Response(body, refusal.status, media_type=kind, headers={"Cache-Control": "no-store"})


def _add(workspace: Workspace, file: PurePath, name: str, who: str) -> WorkspaceBundle:
    try:
        made = workspace.bundles.add(Path(file))
    except LLM4TOPError as error:
        # Its temporary place means nothing to the person: name the file as they do.
        hint = error.hint or "Give a zip file that a Studio or `llm4top bundle export` made."
        raise BundleError(error.message, where=name, hint=hint) from error
    workspace.activity.log("imported", who, made.name, subject=made.id)
    return made
