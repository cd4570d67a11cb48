"""Files on their way in and out: dropped ones while they are read, made ones for download."""

import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from nicegui import ui
from nicegui.elements.upload_files import FileUpload

from llm4top.studio.components.elements import in_thread
from llm4top.workspace.serving.request import UploadedFile


async def download(make: Callable[[], bytes], name: str, media_type: str) -> None:
    """Make the content of a file and give it to the visitor under ``name``.

    The browser fetches it by a separate request: on the page's connection tens of megabytes would
    be packed at once, and the server would not answer others meanwhile.
    """
    folder = TemporaryDirectory(prefix="llm4top-")
    ui.context.client.on_delete(folder.cleanup)
    file = Path(folder.name) / name

    def write() -> None:
        content = make()
        with suppress(FileNotFoundError):  # the visitor has left
            file.write_bytes(content)

    await in_thread(write)
    if file.is_file():
        ui.download.file(file, name, media_type)


@asynccontextmanager
async def stored_files(uploads: Sequence[FileUpload]) -> AsyncIterator[list[UploadedFile]]:
    """Dropped files in a folder that only this user can read; deleted at the end of the block.

    On disk a file is named by a number; its own name is only shown.
    """
    folder = Path(tempfile.mkdtemp(prefix="llm4top-"))
    try:
        stored = []
        for number, upload in enumerate(uploads):
            place = folder / str(number)
            await upload.save(place)
            stored.append(UploadedFile(place, upload.name or "upload"))
        yield stored
    finally:
        await in_thread(shutil.rmtree, folder, ignore_errors=True)
