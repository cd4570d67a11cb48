"""A zone to drop files on, with a button for the keyboard."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from nicegui import ui
from nicegui.elements.upload_files import FileUpload
from nicegui.events import GenericEventArguments, MultiUploadEventArguments

from llm4top.studio.components.elements import Words
from llm4top.text import counted
from llm4top.workspace.serving.parsing import Refusal

_LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one drop: ``accept`` as ".xml,.zip", total bytes, number of files."""

    accept: str
    max_bytes: int
    max_files: int

    @property
    def kinds(self) -> str:
        """The kinds of file in words: "XML, JSON or zip"."""
        known = {".xml": "XML", ".json": "JSON", ".csv": "CSV"}
        *most, last = [known.get(kind, kind.lstrip(".")) for kind in self.accept.split(",")]
        return f"{', '.join(most)} or {last}" if most else last

    def refusal(self, name: str, why: str) -> Refusal:
        """The refusal of one file; ``why`` is the uploader's name of the limit."""
        megabytes = self.max_bytes // 1_000_000
        reason, hint = {
            "max-total-size": (
                f"With this file, the total is over {counted(megabytes, 'megabyte')}.",
                "Drop it by itself, or split it.",
            ),
            "max-files": (
                f"Only {counted(self.max_files, 'file')} can be dropped at once.",
                "Drop it afterwards, or put all files into one zip.",
            ),
            "duplicate": ("This file is being read already.", "Wait until it is finished."),
        }.get(why, (f"Not an {self.kinds} file.", f"Drop {self.kinds} files."))
        return Refusal(name, "LimitError" if "max" in why else "UnknownFormatError", reason, hint)


def rejected_files(entries: Any, limits: Limits) -> Sequence[Refusal]:
    """The refusals of files that the browser held back; other values are ignored."""
    entries = entries if isinstance(entries, list) else []
    return [
        limits.refusal(str(entry.get("name", ""))[:_LONGEST_NAME], str(entry.get("why", "")))
        for entry in entries
        if isinstance(entry, dict)
    ]


OnFiles = Callable[[Sequence[FileUpload]], Awaitable[None]]
OnRefused = Callable[[Sequence[Refusal]], Awaitable[None]]

_REJECTED = """(entries) => emit(entries.slice(0, 1000).map(
    (entry) => ({name: entry.file.name, why: entry.failedPropValidation})))"""


@dataclass(slots=True)
class _Handlers:
    """The page's handlers of files, as long as the page exists."""

    on_files: OnFiles
    on_refused: OnRefused

    def forget(self) -> None:
        self.on_files, self.on_refused = _ignore, _toast


async def _ignore(_: Sequence[FileUpload]) -> None:
    """Ignore files that arrive when the page is gone."""


def drop_zone(
    words: str,
    *,
    label: str,
    max_bytes: int,
    max_files: int,
    on_files: OnFiles,
    on_refused: OnRefused | None = None,
    accept: str = ".xml,.json,.zip,.csv",
) -> ui.upload:
    """A zone that takes dropped or chosen files and passes all of them on together.

    The browser enforces ``max_bytes`` (in total) and ``max_files``; ``on_files`` has to check them
    again. Files that the browser holds back go to ``on_refused``, each with its reason; by default
    a notification names them.
    """
    limits = Limits(accept, max_bytes, max_files)
    # The framework keeps the chooser's route for good, and with it all it refers to: the page
    # must not be among that.
    handlers = _Handlers(on_files, on_refused or _toast)
    ui.context.client.on_delete(handlers.forget)

    async def take(event: MultiUploadEventArguments) -> None:
        chooser.reset()
        await handlers.on_files(event.files)

    async def refuse(event: GenericEventArguments) -> None:
        await handlers.on_refused(rejected_files(event.args, limits))

    zone = ui.element("div").classes("l4-drop")
    with zone:
        chooser = ui.upload(
            multiple=True,
            max_total_size=max_bytes,
            max_files=max_files,
            auto_upload=True,
            on_multi_upload=take,
        ).classes("l4-chooser")
        chooser.on("rejected", refuse, js_handler=_REJECTED)
        chooser.props(f'accept="{accept}" aria-hidden="true"')
        Words("p", words)
        button = ui.button("Choose files", icon="upload_file").props("no-caps outline")
        button.props["aria-label"] = label
    _connect(zone, button, chooser)
    return chooser


def _connect(zone: ui.element, button: ui.button, chooser: ui.upload) -> None:
    """Connect the button and the zone to the hidden chooser."""
    reference = f"getElement({chooser.id}).$refs.qRef"
    button.on("click", js_handler=f"() => {reference}.pickFiles()")
    zone.on("dragover.prevent", js_handler="(e) => e.currentTarget.classList.add('l4-over')")
    zone.on("dragleave", js_handler="(e) => e.currentTarget.classList.remove('l4-over')")
    zone.on(
        "drop.prevent",
        js_handler="(e) => { e.currentTarget.classList.remove('l4-over'); "
        f"{reference}.addFiles(e.dataTransfer.files); }}",
    )


async def _toast(refused: Sequence[Refusal]) -> None:
    first, *others = refused
    more = f" And {len(others)} more." if others else ""
    words = f"{first.record}: refused. {first.reason} {first.hint}{more}"
    ui.notify(words, type="warning", multi_line=True)
