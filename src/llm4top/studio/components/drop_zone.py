"""Files on their way in and out: a zone to drop them on, those refused, and downloads."""

import shutil
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from nicegui import ui
from nicegui.elements.upload_files import FileUpload
from nicegui.events import GenericEventArguments, MultiUploadEventArguments

from llm4top.studio.components.elements import Words, in_thread
from llm4top.text import counted, thousands
from llm4top.workspace.serving.parsing import Refusal
from llm4top.workspace.serving.request import UploadedFile
from llm4top.workspace.views.caveats import sentence


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


FOLD = 3
"""More refusals than this are folded into one line: results come first."""
SHOWN = 200
"""Refusals that are listed at most."""


def refused_list(refusals: Sequence[Refusal]) -> None:
    """Refused files, each with its reason and what to do; many are folded."""
    with ui.element("section").classes("l4-refused").props('aria-label="Refused"'):
        if len(refusals) <= FOLD:
            for refusal in refusals:
                _refused(refusal)
            return
        counts = Counter(sentence(refusal.reason) for refusal in refusals)
        (reason, most), *rest = counts.most_common()
        others = f" {counted(len(refusals) - most, 'other')} for other reasons." if rest else ""
        with ui.element("details"):
            summary = f"{counted(len(refusals), 'file or record', 'files and records')} refused."
            Words("summary", f"{summary} {thousands(most)}: {reason}{others}")
            for refusal in refusals[:SHOWN]:
                _refused(refusal)
            _rest(refusals)


def _refused(refusal: Refusal) -> None:
    with ui.element("details"):
        with ui.element("summary"):
            Words("strong", f"{refusal.record}:")
            Words("span", f" refused. {sentence(refusal.reason)}")
            Words("span", " Why?").classes("l4-why")
        where = [f"line {refusal.line}"] if refusal.line is not None else []
        where += [refusal.element] if refusal.element else []
        if where:
            Words("p", f"Where: {', '.join(where)}.")
        Words("p", refusal.hint or "Check that it is a ClinicalTrials.gov record.")


def not_applicable_list(refusals: Sequence[Refusal]) -> None:
    """Records that the question does not apply to, each with the reason."""
    with ui.element("section").classes("l4-not-asked").props('aria-label="Not forecast"'):
        with ui.element("details") as box:
            what = counted(len(refusals), "record")
            Words("summary", f"{what} not forecast: the question does not apply.")
            for refusal in refusals[:SHOWN]:
                with ui.element("p"):
                    _not_applicable(refusal)
            _rest(refusals)
        if len(refusals) <= FOLD:
            box.props("open")


def _not_applicable(refusal: Refusal) -> None:
    """A record's id and title, which link to what was read of it, and the reason."""
    subject = refusal.subject or {}
    known = (subject.get("nct_id"), subject.get("title"))
    named = ", ".join(str(part) for part in known if part) or refusal.record
    if subject and refusal.id:
        ui.link(named, f"/not-forecast/{refusal.id}")
    else:
        Words("strong", named)
    Words("span", f": {sentence(refusal.reason)}")


def _rest(refusals: Sequence[Refusal]) -> None:
    if len(refusals) > SHOWN:
        more = thousands(len(refusals) - SHOWN)
        Words("p", f"and {more} more. The exports list all of them.").classes("l4-muted")


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
