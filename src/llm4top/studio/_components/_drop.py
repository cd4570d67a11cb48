"""The place to drop files: a button for the keyboard, a drop zone for the mouse."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from nicegui import ui
from nicegui.elements.upload_files import FileUpload
from nicegui.events import MultiUploadEventArguments

from llm4top.studio._pieces import Words

OnFiles = Callable[[Sequence[FileUpload]], Awaitable[None]]


def drop_zone(
    words: str,
    *,
    label: str,
    max_bytes: int,
    max_files: int,
    on_files: OnFiles,
    accept: str = ".xml,.json,.zip,.csv",
) -> ui.upload:
    """A zone that takes files by drop or choice and hands all of them on together.

    ``max_bytes`` (of all together) and ``max_files`` are asked of the browser; whoever takes the
    files checks them again.
    """

    async def take(event: MultiUploadEventArguments) -> None:
        chooser.reset()
        await on_files(event.files)

    def refuse() -> None:
        megabytes = max_bytes // 1_000_000
        ui.notify(
            f"Not taken: XML, JSON or zip files, at most {max_files} and {megabytes} MB together.",
            type="warning",
        )

    zone = ui.element("div").classes("l4-drop")
    with zone:
        chooser = ui.upload(
            multiple=True,
            max_total_size=max_bytes,
            max_files=max_files,
            auto_upload=True,
            on_multi_upload=take,
            on_rejected=refuse,
        ).classes("l4-chooser")
        chooser.props(f'accept="{accept}" aria-hidden="true"')
        Words("p", words)
        button = ui.button("Choose files", icon="upload_file").props("no-caps outline")
        button.props["aria-label"] = label
    reference = f"getElement({chooser.id}).$refs.qRef"
    button.on("click", js_handler=f"() => {reference}.pickFiles()")
    zone.on("dragover.prevent", js_handler="(e) => e.currentTarget.classList.add('l4-over')")
    zone.on("dragleave", js_handler="(e) => e.currentTarget.classList.remove('l4-over')")
    zone.on(
        "drop.prevent",
        js_handler="(e) => { e.currentTarget.classList.remove('l4-over'); "
        f"{reference}.addFiles(e.dataTransfer.files); }}",
    )
    return chooser
