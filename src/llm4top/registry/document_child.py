"""The process that reads one Word file or PDF: bytes on standard input, JSON on standard output."""

import io
import json
import logging
import resource
import sys
import warnings
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

_LONGEST_HEADING = 80
_DEEPEST_TABLE = 4
_MOST_PARTS = 5_000
_LIGATURES = str.maketrans(
    {"\ufb00": "ff", "\ufb01": "fi", "\ufb02": "fl", "\ufb03": "ffi", "\ufb04": "ffl"}
)


class _RefusedError(Exception):
    """A document that is not read; ``kind`` is "limit", "format" or "damaged"."""

    def __init__(self, kind: str, message: str, hint: str = ""):
        self.error = {"kind": kind, "message": message, "hint": hint}
        super().__init__(message)


def main(arguments: list[str]) -> None:
    """Read the document and write its passages, or why it is not read."""
    limits: dict[str, Any] = json.loads(arguments[0])
    _confine(limits)
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    data = sys.stdin.buffer.read()
    try:
        read = _pdf if b"%PDF-" in data[:1024] else _word
        answer: dict[str, Any] = {"passages": list(_bounded(read(data, limits), limits))}
    except _RefusedError as refused:
        answer = {"error": refused.error}
    except MemoryError:
        answer = {"error": _RefusedError("limit", "reading it takes too much memory.").error}
    except Exception as error:  # the libraries raise nearly anything on a damaged file
        words = f"it is damaged ({type(error).__name__})."
        answer = {"error": _RefusedError("damaged", words).error}
    # Lone surrogates, which some PDFs hold, are no text.
    sys.stdout.buffer.write(json.dumps(answer).encode("ascii"))


def _confine(limits: dict[str, Any]) -> None:
    seconds = int(limits["cpu_seconds"])
    for limit, value in (
        (resource.RLIMIT_AS, int(limits["memory_bytes"])),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
    ):
        # macOS knows some of these limits and refuses to set them.
        with suppress(ValueError, OSError):
            resource.setrlimit(limit, (value, value))


def _bounded(
    passages: Iterable[dict[str, Any]], limits: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    left, lines = int(limits["characters"]), int(limits["lines"])
    for passage in passages:
        lines -= 1 + passage["text"].count("\n")
        left -= len(passage["text"]) + len(passage["heading"] or "")
        if left < 0 or lines < 0:
            what = "characters" if left < 0 else "lines"
            most = f"{limits[what]:,}".replace(",", " ")
            raise _RefusedError(
                "limit", f"it has more than {most} {what}.", "Give the synopsis alone."
            )
        yield passage


def _passage(text: str, where: str, heading: str | None = None) -> dict[str, Any]:
    return {"text": text, "where": where, "heading": heading}


def _pdf(data: bytes, limits: dict[str, Any]) -> Iterator[dict[str, Any]]:
    from pypdf import PdfReader

    reader = PdfReader(io.BytesIO(data))
    if reader.is_encrypted and not reader.decrypt(""):
        raise _RefusedError("damaged", "it is encrypted.", "Save it without a password first.")
    if len(reader.pages) > limits["pages"]:
        raise _RefusedError(
            "limit",
            f"it has {len(reader.pages)} pages, the limit is {limits['pages']}.",
            "Give the pages of the synopsis alone.",
        )
    for number, page in enumerate(reader.pages, 1):
        yield from _page(page, number)


def _page(page: Any, number: int) -> Iterator[dict[str, Any]]:
    """The lines of a page; the rows of a table of two columns as headings with their text."""
    from llm4top.registry.pdf_tables import may_hold_a_table, rows_of

    plain = page.extract_text().translate(_LIGATURES)
    rows = None
    if may_hold_a_table(plain):
        with suppress(Exception):  # the layout is of help where it can be read; the text is there
            rows = rows_of(page.extract_text(extraction_mode="layout").translate(_LIGATURES), plain)
    if rows is None:
        for line, text in enumerate(plain.splitlines(), 1):
            yield _passage(text, f"page {number}, line {line}")
        return
    for row in rows:
        where, text = f"page {number}, line {row.line}", "\n".join(row.lines)
        heading = row.label if row.label and len(row.label) <= _LONGEST_HEADING else None
        if row.label and heading is None:
            text = f"{row.label}\n{text}"
        yield _passage(text, where, heading)


def _word(data: bytes, limits: dict[str, Any]) -> Iterator[dict[str, Any]]:
    try:
        parts = zipfile.ZipFile(io.BytesIO(data)).infolist()
    except zipfile.BadZipFile:
        raise _RefusedError("damaged", "it is a damaged Word file or archive.") from None
    if not any(part.filename == "word/document.xml" for part in parts):
        raise _RefusedError("format", "it is an archive, and no Word file (.docx).")
    # A part that claims less than it holds is cut there by zipfile, which checks its size.
    if len(parts) > _MOST_PARTS or sum(p.file_size for p in parts) > limits["unpacked_bytes"]:
        raise _RefusedError(
            "limit",
            f"unpacked, it has more than {limits['unpacked_bytes'] // 1_000_000} MB.",
        )
    from docx import Document

    yield from _blocks(Document(io.BytesIO(data)).iter_inner_content())


def _blocks(blocks: Iterable[Any]) -> Iterator[dict[str, Any]]:
    """Paragraphs and rows in the order of the document."""
    from docx.text.paragraph import Paragraph

    paragraphs = tables = 0
    for block in blocks:
        if isinstance(block, Paragraph):
            paragraphs += 1
            yield _paragraph(block, f"paragraph {paragraphs}")
        else:
            tables += 1
            for number, row in enumerate(block.rows, 1):
                yield _row(_cells(row, block), f"table {tables}, row {number}")


def _paragraph(paragraph: Any, where: str) -> dict[str, Any]:
    style = (paragraph.style.name if paragraph.style is not None else "") or ""
    text = paragraph.text
    if style.startswith("Heading") and len(text) <= _LONGEST_HEADING:
        return _passage("", where, text)
    return _passage(_marked(paragraph, style), where)


def _marked(paragraph: Any, style: str) -> str:
    """A paragraph's text, behind a mark where it is an item of a list."""
    text: str = paragraph.text
    properties = paragraph._p.pPr
    listed = style.startswith("List") or (properties is not None and properties.numPr is not None)
    return f"- {text}" if listed and text.strip() else text


def _cells(row: Any, table: Any) -> list[str]:
    """The texts of a row's cells; a cell that spans several columns counts once."""
    from docx.table import _Cell

    return [_cell_text(_Cell(tc, table), 1) for tc in row._tr.tc_lst]


def _cell_text(cell: Any, depth: int) -> str:
    from docx.text.paragraph import Paragraph

    lines = []
    for block in cell.iter_inner_content():
        if isinstance(block, Paragraph):
            style = (block.style.name if block.style is not None else "") or ""
            lines.append(_marked(block, style))
        elif depth < _DEEPEST_TABLE:
            from docx.table import _Cell

            rows = [
                [_cell_text(_Cell(tc, block), depth + 1) for tc in r._tr.tc_lst] for r in block.rows
            ]
            lines += ["; ".join(part for part in row if part) for row in rows]
    return "\n".join(lines).strip()


def _row(cells: list[str], where: str) -> dict[str, Any]:
    """A row of two cells is a heading with its text; any other one is text."""
    filled = [cell for cell in cells if cell]
    if len(filled) == 2 and cells[0] == filled[0] and len(filled[0]) <= _LONGEST_HEADING:
        return _passage(filled[1], where, " ".join(filled[0].split()))
    return _passage("; ".join(filled), where)


if __name__ == "__main__":
    main(sys.argv[1:])
