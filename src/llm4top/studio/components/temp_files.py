"""Dropped files on disk for as long as they are read: owner-only, under names of our own."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from nicegui import run, ui
from nicegui.elements.upload_files import FileUpload

from llm4top.workspace.serving.request import UploadedFile


async def download(make: Callable[[], bytes], name: str, media_type: str) -> None:
    """Make the file's content and give it to the visitor under ``name``.

    It goes by a request of its own: on the page's connection tens of megabytes would be packed
    at once, and the server would answer nobody meanwhile.
    """
    folder = TemporaryDirectory(prefix="llm4top-")
    ui.context.client.on_delete(folder.cleanup)
    file = Path(folder.name) / name

    def write() -> None:
        content = make()
        with suppress(FileNotFoundError):  # the visitor has left
            file.write_bytes(content)

    await run.io_bound(write)
    if file.is_file():
        ui.download.file(file, name, media_type)


@asynccontextmanager
async def kept(uploads: Sequence[FileUpload]) -> AsyncIterator[list[UploadedFile]]:
    """The files in a folder that only their owner can read; gone when the block is left.

    A file's name is only shown: on disk it is a number.
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
        await run.io_bound(shutil.rmtree, folder, ignore_errors=True)
