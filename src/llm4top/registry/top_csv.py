"""The CSV of the Trial Outcome Prediction benchmark (TOP): one trial a row."""

import ast
import csv
import hashlib
import re
from collections import Counter
from collections.abc import Iterator

from llm4top.errors import LimitError, MalformedRecordError, RegistryError, UnknownFormatError
from llm4top.registry import codes as _codes
from llm4top.registry.criteria import normal_criteria
from llm4top.registry.json_cutter import CHUNK, Readable
from llm4top.registry.limits import Limits, beyond
from llm4top.registry.normalize_text import clean, one_line, plain
from llm4top.registry.record_builder import RecordBuilder, checked_nct_id
from llm4top.registry.trial import Intervention, Record, Source
from llm4top.text import thousands

COLUMNS = ("nctid", "phase", "diseases", "icdcodes", "drugs", "smiless", "criteria")
"""The columns without which a CSV is not TOP's; status, why_stop and label may be absent."""

_SPELLINGS = {
    **{name.replace("_", ""): name for name in (*COLUMNS, "status", "why_stop", "label")},
    "nctnumber": "nctid",
    "whystopped": "why_stop",
    "smiles": "smiless",
    "icdcode": "icdcodes",
}


def column_name(text: str) -> str:
    """A column's name whatever its spelling: "NCT Number" and "NCT_ID" are ``nctid``."""
    plain = "_".join(text.strip(" \t\ufeff").lower().replace("-", " ").replace("_", " ").split())
    return _SPELLINGS.get(plain.replace("_", ""), plain)


_NO_MOLECULE = "S1SSSSSSS1"  # upstream's stand-in where it found no structure
_SMILES = re.compile(r"[A-Za-z0-9@+\-\[\]\\/()=#$%.:*~]+")


def is_smiles(text: str) -> bool:
    """Whether ``text`` may be a structure, unlike the stand-in or a server's "Status: 503"."""
    return text != _NO_MOLECULE and _SMILES.fullmatch(text) is not None


_AGAIN = "Fetch the file again from the benchmark's repository."


def read_rows(
    stream: Readable, file: str, member: str | None, limits: Limits
) -> Iterator[Record | RegistryError]:
    """Each row's record; an error stands in for a row that cannot be read."""
    name = f"{file}!{member}" if member else file
    reader = csv.reader(_text_lines(stream, name, limits), strict=True)
    try:
        header = _header(next((row for row in reader if row), []), name)
    except csv.Error as error:
        raise _csv_error(error, name, 1) from None
    number = 0
    while True:
        line = reader.line_num + 1
        number += 1
        position = f"{member}#{number}" if member else f"#{number}"
        row_name = f"{file}!{position}"
        try:
            row = next(reader)
            if row:
                yield _row(_cells(header, row, row_name, line, limits), file, position, line)
            else:
                number -= 1
        except StopIteration:
            return
        except csv.Error as error:
            yield _csv_error(error, row_name, line)
        except RegistryError as error:
            yield error


def _header(cells: list[str], name: str) -> list[str]:
    """The columns by their own names."""
    header = [column_name(cell) for cell in cells]
    missing = [column for column in COLUMNS if column not in header]
    if missing:
        line = ",".join(cells)
        separator = next((s for s in _OTHER_SEPARATORS if line.count(s) >= len(COLUMNS) - 1), None)
        if separator is not None:
            raise UnknownFormatError(
                f"the cells of the CSV are separated by {_OTHER_SEPARATORS[separator]}, TOP's by "
                f"commas, so it has no column {', '.join(missing)}.",
                file=name,
                line=1,
                hint="Save it with commas between the cells.",
            )
        if {"nctid", "label"} <= set(header) and len(missing) == len(COLUMNS) - 1:
            raise UnknownFormatError(
                "the CSV holds labels, not records.",
                file=name,
                line=1,
                hint="Give it as the label file when a data set is made (ingest --labels).",
            )
        raise UnknownFormatError(
            f"the CSV has no column {', '.join(missing)}.",
            file=name,
            line=1,
            hint="TOP's files have nctid, status, why_stop, label, phase, diseases, icdcodes, "
            "drugs, smiless and criteria.",
        )
    known = frozenset(_SPELLINGS.values())
    twice = [column for column, n in Counter(header).items() if n > 1 and column in known]
    if twice:
        raise MalformedRecordError(
            f"the column {', '.join(twice)} appears twice.",
            file=name,
            line=1,
            hint="Delete the one that is not to be read, or give it another name.",
        )
    return header


_SEPARATOR_LINE = re.compile(rb"sep=.\r?\n", re.IGNORECASE)
_FIRST_LINE = re.compile(rb"[^\r\n]*\r(?!\n)")
_LINE_OF_A_CELL = b"\v"
_OTHER_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}


def _text_lines(stream: Readable, name: str, limits: Limits) -> Iterator[str]:
    """The lines of a CSV file, none of them longer than a record may be."""
    buffer, chunk = b"", stream.read(CHUNK)
    if chunk.startswith(b"\xef\xbb\xbf"):
        chunk = chunk[3:]
    if found := _SEPARATOR_LINE.match(chunk):  # Excel's own
        chunk = chunk[found.end() :]
    by_return_alone = _FIRST_LINE.match(chunk) is not None
    while chunk or buffer:
        if by_return_alone:  # then a line feed ends no row, but a line of a cell
            chunk = chunk.replace(b"\n", _LINE_OF_A_CELL)
        # Line ends are those of any system. The last line may go on, or end in half a "\r\n".
        lines = (buffer + chunk).splitlines(keepends=True)
        buffer = lines.pop() if chunk else b""
        for line in lines:
            if line.endswith(b","):  # only a last line without an end
                raise MalformedRecordError(
                    "the file ends within its last row.",
                    file=name,
                    hint="If the row is whole, end it with a line break. " + _AGAIN,
                )
            # A byte that is no UTF-8 becomes a lone surrogate, which refuses its own row only.
            yield line.decode("utf-8", "surrogateescape")
        if len(buffer) > limits.record_bytes:
            raise LimitError(
                f"a line has more than {thousands(limits.record_bytes)} bytes.",
                file=name,
                hint=beyond("record_bytes"),
            )
        if chunk:
            chunk = stream.read(CHUNK)


def _cells(
    header: list[str], row: list[str], name: str, line: int, limits: Limits
) -> dict[str, str]:
    """The cells of a row by column."""
    if len(row) != len(header):
        raise MalformedRecordError(
            f"the row has {len(row)} cells, the header {len(header)}.",
            file=name,
            line=line,
            hint=_AGAIN,
        )
    cells = dict(zip(header, row, strict=True))
    for column, text in cells.items():
        if len(text) > limits.csv_field:
            raise LimitError(
                f"a cell has {thousands(len(text))} characters, the limit is "
                f"{thousands(limits.csv_field)}.",
                file=name,
                line=line,
                element=column,
                hint=beyond("csv_field"),
            )
        if any("\ud800" <= character <= "\udfff" for character in text if character > "\x7f"):
            raise MalformedRecordError(
                "the row is not in UTF-8.",
                file=name,
                line=line,
                element=column,
                hint="Save the file as CSV in UTF-8.",
            )
    line_of_a_cell = _LINE_OF_A_CELL.decode()
    return {
        column: plain(clean(text.replace(line_of_a_cell, "\n"))) for column, text in cells.items()
    }


def _row(cells: dict[str, str], file: str, position: str, line: int) -> Record:
    draft = RecordBuilder(f"{file}!{position}")
    draft.nct_id = checked_nct_id(draft, cells["nctid"], "nctid", line)
    phase = one_line(cells["phase"])
    draft.set("phase", _codes.phase(phase) if phase else None)
    draft.set("conditions", _texts(draft, cells["diseases"], "diseases", line))
    draft.set("icd_codes", _icd_codes(draft, cells["icdcodes"], line))
    for drug in _texts(draft, cells["drugs"], "drugs", line):
        draft.append("interventions", Intervention(drug))
    # Never zipped with the drugs: the two lists differ in length and order.
    smiles = _texts(draft, cells["smiless"], "smiless", line)
    draft.set("smiles", [molecule for molecule in smiles if is_smiles(molecule)])
    draft.set("criteria", normal_criteria(cells["criteria"]))
    status = one_line(cells.get("status", ""))
    draft.outcome["status"] = _codes.status(status) if status else None
    draft.outcome["why_stopped"] = one_line(cells.get("why_stop", ""))
    draft.outcome["label"] = one_line(cells.get("label", ""))
    for column, text in cells.items():
        if column not in _ALLOWED and text.strip():
            draft.withhold(column, text)
    digest = hashlib.sha256("\x1f".join(cells.values()).encode("utf-8")).hexdigest()
    return draft.record(Source(file, position, "top-csv", None, digest))


_ALLOWED = frozenset(COLUMNS) - {"nctid"}


def _literal(draft: RecordBuilder, text: str, column: str, line: int) -> list[object]:
    """A Python list written as text; read as a literal, never evaluated."""
    if not text.strip():
        return []
    try:
        value = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        value = None
    if not isinstance(value, list):
        raise draft.malformed("the cell is not a list.", column, line=line, hint=_AGAIN)
    return value


def _texts(draft: RecordBuilder, text: str, column: str, line: int) -> list[str]:
    values = _literal(draft, text, column, line)
    if not all(isinstance(value, str) for value in values):
        raise draft.malformed("the list holds more than texts.", column, line=line, hint=_AGAIN)
    return [flat for value in values if (flat := one_line(clean(str(value))))]


def _icd_codes(draft: RecordBuilder, text: str, line: int) -> list[str]:
    """The codes of all diseases, each once: a list of lists that are themselves texts."""
    codes: dict[str, None] = {}
    for inner in _texts(draft, text, "icdcodes", line):
        codes.update(dict.fromkeys(_texts(draft, inner, "icdcodes", line)))
    return list(codes)


def _csv_error(error: csv.Error, name: str, line: int) -> RegistryError:
    if "field larger than field limit" in str(error):
        return LimitError(
            f"a cell is longer than {thousands(csv.field_size_limit())} characters.",
            file=name,
            line=line,
            hint="A quotation mark may be missing. " + _AGAIN,
        )
    return MalformedRecordError(f"the CSV is broken: {error}.", file=name, line=line, hint=_AGAIN)
