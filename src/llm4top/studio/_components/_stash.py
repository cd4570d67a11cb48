"""Dropped files on disk for as long as they are read: owner-only, under names of our own."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from nicegui import run
from nicegui.elements.upload_files import FileUpload

from llm4top.workspace._forecast_request import UploadedFile


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
