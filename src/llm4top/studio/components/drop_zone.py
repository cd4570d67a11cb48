"""The place to drop files: a button for the keyboard, a drop zone for the mouse."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from nicegui import ui
from nicegui.elements.upload_files import FileUpload
from nicegui.events import GenericEventArguments, MultiUploadEventArguments

from llm4top.studio.components.elements import Words, things
from llm4top.workspace.serving.parsing import Refusal

_LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class Limits:
    """What one drop may hold: ``accept`` as ".xml,.zip", bytes and files of all together."""

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
        """The refusal of one file; ``why`` is the uploader's word for what it breaks."""
        megabytes = self.max_bytes // 1_000_000
        reason, hint = {
            "max-total-size": (
                f"With it, the files are larger than {things(megabytes, 'megabyte')} together.",
                "Drop it by itself, or split it.",
            ),
            "max-files": (
                f"Only {things(self.max_files, 'file')} are taken at once.",
                "Drop it afterwards, or pack the files into one zip.",
            ),
            "duplicate": ("It is being read already.", "Wait for it."),
        }.get(why, (f"Not an {self.kinds} file.", f"Drop {self.kinds} files."))
        return Refusal(name, "LimitError" if "max" in why else "UnknownFormatError", reason, hint)


def not_taken(told: Any, limits: Limits) -> Sequence[Refusal]:
    """What the browser told of the files it kept back; whatever else it tells is left out."""
    entries = [entry for entry in told if isinstance(entry, dict)] if isinstance(told, list) else []
    return [
        limits.refusal(str(entry.get("name", ""))[:_LONGEST_NAME], str(entry.get("why", "")))
        for entry in entries
    ]


OnFiles = Callable[[Sequence[FileUpload]], Awaitable[None]]
OnRefused = Callable[[Sequence[Refusal]], Awaitable[None]]

_REJECTED = """(entries) => emit(entries.slice(0, 1000).map(
    (entry) => ({name: entry.file.name, why: entry.failedPropValidation})))"""


@dataclass(slots=True)
class _Takers:
    """Who takes the files, as long as the page is there."""

    on_files: OnFiles
    on_refused: OnRefused

    def forget(self) -> None:
        self.on_files, self.on_refused = _nobody, _toast


async def _nobody(_: Sequence[FileUpload]) -> None:
    """Take files that arrive when the page is gone."""


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
    """A zone that takes files by drop or choice and hands all of them on together.

    ``max_bytes`` (of all together) and ``max_files`` are asked of the browser; whoever takes the
    files checks them again. Files that the browser keeps back go to ``on_refused``, each with its
    reason; a toast names them where it is None.
    """
    limits = Limits(accept, max_bytes, max_files)
    # The web framework remembers the chooser's route for good, and with it whatever it can reach:
    # a page that is gone must not be among that.
    takers = _Takers(on_files, on_refused or _toast)
    ui.context.client.on_delete(takers.forget)

    async def take(event: MultiUploadEventArguments) -> None:
        chooser.reset()
        await takers.on_files(event.files)

    async def refuse(event: GenericEventArguments) -> None:
        await takers.on_refused(not_taken(event.args, limits))

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
    _reach(zone, button, chooser)
    return chooser


def _reach(zone: ui.element, button: ui.button, chooser: ui.upload) -> None:
    """The button and the zone hand on to the hidden chooser."""
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
    said = f"{first.record}: refused. {first.reason} {first.hint}{more}"
    ui.notify(said, type="warning", multi_line=True)
