"""The text of a synopsis: plain text, Word (.docx) or PDF, passage by passage.

Word and PDF files are read in a process of their own, with bounded memory and time, because both
formats can be made to take any amount of either.
"""

import json
import os
import re
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from llm4top.errors import LimitError, MalformedRecordError, RegistryError, UnknownFormatError
from llm4top.registry.input_files import check_file, unreadable
from llm4top.registry.normalize_text import clean
from llm4top.text import file_size, thousands


@dataclass(frozen=True, slots=True)
class DocumentLimits:
    """The caps on a document; one beyond them is refused with ``LimitError``."""

    file_bytes: int = 20_000_000
    unpacked_bytes: int = 60_000_000
    """Bytes of a Word file's parts together."""
    pages: int = 100
    characters: int = 200_000
    lines: int = 4_000
    memory_bytes: int = 1_500_000_000
    cpu_seconds: int = 20
    wall_seconds: float = 40.0


@dataclass(frozen=True, slots=True)
class Passage:
    """A line, a paragraph or a cell.

    Attributes:
        text: Its text; several lines where it is a cell of a table.
        where: "line 3", "page 2, line 5", "paragraph 4" or "table 1, row 2".
        heading: The heading that the document itself marks as one: the first cell of the row, or
            the text in a style for headings.
    """

    text: str
    where: str
    heading: str | None = None


_OLD_WORD = b"\xd0\xcf\x11\xe0"
_MODULE = "llm4top.registry.document_child"
_MARKUP = re.compile(r"\s*<(\?xml|!doctype|!--|html|clinical_study)", re.IGNORECASE)
_STEP = "Copy the synopsis out of it and give that as plain text."


def read_document(
    path: str | os.PathLike[str], *, name: str | None = None, limits: DocumentLimits | None = None
) -> list[Passage]:
    """The passages of a document, in their order.

    Args:
        path: A .txt, .docx or .pdf file; what it is is told by its content.
        name: What errors call it; its path where None.
        limits: Caps on what is read; the defaults where None.

    Raises:
        UnknownFormatError: There is no such file, or it is no text, Word file or PDF.
        MalformedRecordError: It is damaged or encrypted, or there is no text in it.
        LimitError: It is larger, or takes longer to read, than the limits allow.
    """
    limits, file = limits or DocumentLimits(), Path(path)
    shown = name or str(path)
    try:
        if not file.exists():
            raise UnknownFormatError("there is no such file.", file=shown, hint="Check the path.")
        if file.is_dir():
            raise UnknownFormatError(
                "it is a folder.", file=shown, hint="Give the file of one synopsis."
            )
        check_file(file)
        size = file.stat().st_size
        if size > limits.file_bytes:
            raise LimitError(
                f"it has {file_size(size)}, the limit is {file_size(limits.file_bytes)}.",
                file=shown,
                hint=_STEP,
            )
        data = file.read_bytes()
    except OSError as error:
        raise unreadable(error, shown) from None
    if data.startswith(b"PK\x03\x04") or b"%PDF-" in data[:1024]:
        found = _in_a_child(data, shown, limits)
    else:
        found = passages_of(_decoded(data, shown), name=shown, limits=limits)
    if not any(passage.text.strip() or passage.heading for passage in found):
        raise MalformedRecordError(
            "there is no text in it; it may hold pictures of pages.", file=shown, hint=_STEP
        )
    return found


def passages_of(
    text: str, *, name: str = "the text", limits: DocumentLimits | None = None
) -> list[Passage]:
    """The lines of plain text as passages, the empty ones among them.

    Raises ``LimitError`` for a text beyond the limits; ``name`` is what it calls the text.
    """
    longest = (limits or DocumentLimits()).characters
    if len(text) > longest:
        raise LimitError(
            f"it has {thousands(len(text))} characters, the limit is {thousands(longest)}.",
            file=name,
            hint="Give the synopsis alone.",
        )
    lines = clean(text.replace("\f", "\n")).splitlines()
    most = (limits or DocumentLimits()).lines
    if len(lines) > most:
        raise LimitError(
            f"it has {thousands(len(lines))} lines, the limit is {thousands(most)}.",
            file=name,
            hint="Give the synopsis alone.",
        )
    return [Passage(line, f"line {number}") for number, line in enumerate(lines, 1)]


def _decoded(data: bytes, name: str) -> str:
    if data.startswith(_OLD_WORD):
        raise UnknownFormatError(
            "it is a file of an old version of Word.", file=name, hint="Save it as .docx first."
        )
    encodings = ["utf-16"] if data[:2] in (b"\xff\xfe", b"\xfe\xff") else ["utf-8-sig", "cp1252"]
    for encoding in encodings:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if _MARKUP.match(text):
            raise UnknownFormatError(
                "it is XML or HTML, and no synopsis.",
                file=name,
                hint="A record of the registry needs no draft: give it to `llm4top forecast`, or "
                "to `llm4top whatif` to change it.",
            )
        if "\0" not in text:
            return text
    raise UnknownFormatError(
        "it is no plain text, Word file (.docx) or PDF.", file=name, hint=_STEP
    )


def _in_a_child(data: bytes, name: str, limits: DocumentLimits) -> list[Passage]:
    command = [sys.executable, "-m", _MODULE, json.dumps(asdict(limits))]
    try:
        done = subprocess.run(
            command, input=data, capture_output=True, timeout=limits.wall_seconds, check=False
        )
    except subprocess.TimeoutExpired:
        raise _overdue(name, limits.wall_seconds) from None
    if done.returncode in (-24, 128 + 24):  # SIGXCPU: its processor time is used up
        raise _overdue(name, limits.cpu_seconds)
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        raise MalformedRecordError(
            "the process that reads documents stopped on it.", file=name, hint=_STEP
        ) from None
    if "error" in answer:
        raise _refusal(answer["error"], name)
    return [Passage(**values) for values in answer["passages"]]


def _overdue(name: str, seconds: float) -> LimitError:
    return LimitError(f"reading it takes more than {seconds:g} seconds.", file=name, hint=_STEP)


def _refusal(error: dict[str, str], name: str) -> RegistryError:
    kinds = {"limit": LimitError, "format": UnknownFormatError}
    kind = kinds.get(error["kind"], MalformedRecordError)
    return kind(error["message"], file=name, hint=error.get("hint") or _STEP)
