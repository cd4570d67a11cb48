"""Files to take away: made in a thread, fetched by the browser, gone with the page."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from nicegui import run, ui


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
