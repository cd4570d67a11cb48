"""Detect what a file is from its first bytes, never from its name.

Whatever LLM4TOP does not read is named for what it is, with the next step: one table for first
bytes, one for root elements, one for keys of JSON, one for columns.
"""

import csv
import re
import zlib
from typing import Any, BinaryIO, NamedTuple

from llm4top.errors import RegistryError, UnknownFormatError, UnsafeRecordError
from llm4top.registry.normalize_text import printable
from llm4top.registry.top_csv import COLUMNS, column_name
from llm4top.registry.zip_reader import ends_as_zip

HEAD = 65_536
"""The bytes that tell a format: a CSV may have a long first line."""

_BOM = b"\xef\xbb\xbf"
_KNOWN = "LLM4TOP reads legacy XML, API v2 JSON, TOP's CSV, and zips and folders of them."
_WRITE = f"{_KNOWN} Write a record of your own with llm4top template."
_UNPACK = "Unpack it and give the folder."
_EXPORT = "Export the studies as JSON from ClinicalTrials.gov, or as TOP's CSV, and give that file."
_DOCUMENT = (
    "LLM4TOP reads registry records, not documents: give the trial's record from "
    "ClinicalTrials.gov as JSON, or make a record of a synopsis (llm4top draft)."
)
_DOWNLOAD = "On ClinicalTrials.gov choose Download and the format JSON, and give that file."
_OTHER_REGISTRY = "LLM4TOP reads records of ClinicalTrials.gov only; give the trial's record there."


class Foreign(NamedTuple):
    """What a file is that LLM4TOP does not read, and what to do.

    ``stub``: whether a zip may follow, as in an archive that unpacks itself; ``columns``: whether
    it is a CSV, recognised by its columns; ``unsafe``: whether opening it would be.
    """

    what: str
    hint: str
    stub: bool = False
    columns: bool = False
    unsafe: bool = False

    def refusal(self, name: str, line: int | None = None) -> RegistryError:
        """The error that names it."""
        kind = UnsafeRecordError if self.unsafe else UnknownFormatError
        return kind(self.what, file=name, line=line, hint=self.hint)


PLAIN_TEXT = Foreign("the file is plain text, not a record.", _WRITE, stub=True)
EMPTY = Foreign("the file is empty.", _KNOWN)
_BINARY = Foreign("the file holds binary data of an unknown kind.", _KNOWN, stub=True)
_NOISE = _BINARY._replace(stub=False)
_ZEROS = Foreign(
    "the file holds nothing but zero bytes, as after a copy or download that was cut off.",
    "Copy or download it again.",
)


def _archive(kind: str) -> Foreign:
    return Foreign(f"the file is {kind} archive.", _UNPACK)


def _document(kind: str) -> Foreign:
    return Foreign(f"the file is {kind}, not a record.", _DOCUMENT)


def _table(kind: str) -> Foreign:
    return Foreign(f"the file is {kind}.", _EXPORT)


_FIRST_BYTES: tuple[tuple[int, bytes, Foreign], ...] = (
    (0, b"\x1f\x8b", _archive("a gzip")),
    (0, b"BZh", _archive("a bzip2")),
    (0, b"\xfd7zXZ", _archive("an xz")),
    (0, b"7z\xbc\xaf", _archive("a 7z")),
    (0, b"Rar!", _archive("a RAR")),
    (0, b"\x28\xb5\x2f\xfd", _archive("a zstd")),
    (0, b"\x04\x22\x4d\x18", _archive("an lz4")),
    (0, b"\x1f\x9d", _archive("a compress (.Z)")),
    (257, b"ustar", _archive("a tar")),
    (0, b"SQLite format 3\x00", _table("a SQLite database")),
    (0, b"PAR1", _table("a Parquet table")),
    (0, b"ARROW1", _table("an Arrow table")),
    (0, b"\x89HDF\r\n", _table("an HDF5 file")),
    (0, b"\x93NUMPY", _table("a NumPy array")),
    (0, b"HEADER RECORD*******LIBRARY", _table("a SAS transport file")),
    (
        0,
        b"\x80",
        Foreign(
            "the file is a Python pickle, which may run code when it is opened.",
            "LLM4TOP never opens one. " + _EXPORT,
            unsafe=True,
        ),
    ),
    (0, b"%PDF-", _document("a PDF document")),
    (0, b"{\\rtf", _document("an RTF document")),
    (
        0,
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        _document("an old Office document (.doc, .xls)"),
    ),
    (0, b"%!PS", _document("a PostScript document")),
    (0, b"\x89PNG\r\n", _document("a picture")),
    (0, b"\xff\xd8\xff", _document("a picture")),
    (0, b"GIF8", _document("a picture")),
    (0, b"II*\x00", _document("a picture")),
    (0, b"MM\x00*", _document("a picture")),
    (8, b"WEBP", _document("a picture")),
)
DOCUMENTS = (
    ("word/", _document("a Word document")),
    ("xl/", _document("an Excel workbook")),
    ("ppt/", _document("a PowerPoint document")),
    ("[Content_Types].xml", _document("a document of Office")),
    ("mimetype", _document("a document (OpenDocument or e-book)")),
)
"""Documents that are zips, by a member's first letters."""

_ZIP = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08", b"PK00PK")
_PICKLE = re.compile(rb"\x80[\x02-\x05]")

_WEB_PAGE = Foreign("the file is a web page (HTML), not a record.", _DOWNLOAD)
_CLASSIC = Foreign(
    "the file is an answer of the classic API of ClinicalTrials.gov, which ended in 2024.",
    "Fetch the studies from API version 2: clinicaltrials.gov/api/v2/studies.",
)
_ICTRP = Foreign("the file is an export of WHO ICTRP.", _OTHER_REGISTRY)
_ISRCTN = Foreign("the file is an export of the ISRCTN registry.", _OTHER_REGISTRY)
_EU = Foreign("the file is an export of the EU Clinical Trials Register.", _OTHER_REGISTRY)
_CTIS = Foreign("the file is an export of CTIS, the EU's registry.", _OTHER_REGISTRY)
_ROOTS = {
    b"html": _WEB_PAGE,
    b"head": _WEB_PAGE,
    b"body": _WEB_PAGE,
    b"svg": _document("a picture"),
    b"w:document": DOCUMENTS[0][1],
    b"w:worddocument": DOCUMENTS[0][1],
    b"pkg:package": DOCUMENTS[0][1],
    b"trials_downloaded_from_ictrp": _ICTRP,
    b"alltrials": _ISRCTN,
    b"fullstudiesresponse": _CLASSIC,
    b"studyfieldsresponse": _CLASSIC,
    b"search_results": Foreign(
        "the file is a list of search results, without the studies' text.", _DOWNLOAD
    ),
    b"rss": Foreign("the file is a news feed, not a record.", _DOWNLOAD),
}
_ROOT = re.compile(
    rb"(?>(?:\s++|<\?.*?\?>|<!--.*?-->|<!DOCTYPE[^>\[]*(?:\[[^\]]*\]\s*)?>)*)<([A-Za-z_][\w.:-]*)",
    re.DOTALL | re.IGNORECASE,
)
_LIST = re.compile(rb"\[\s*(?:[\[\]{\"/\-\d]|true|false|null|NaN|\Z)")
_CALL = re.compile(rb"[A-Za-z_$][\w$.]*\s*(?:\(|=)\s*[\[{]\s*[\"\]}\[{]")
_INSIDE_TEXT = re.compile(rb'"\s*(?:\\[nrt])*[\[{](?:\\[nrt]|\s)*[\[{]?(?:\\[nrt]|\s)*\\"')
_RECORD = re.compile(rb'[\[{\s]*"protocolSection"|<clinical_study[\s>]')
_REMOVE = "Remove what stands before its first bracket, or download the record again."
_NO_BRACKET = Foreign("the JSON lacks its first bracket.", "Download the record again.")
_BLANKS = b" \t\r\n\f\v\x1e"
_CONTROLS = bytes(n for n in range(32) if n not in b"\t\n\v\f\r\x1a\x1b\x1e")


def detect(head: bytes, name: str) -> str:
    """Tell "zip", "xml", "json" or "csv"; raises a ``RegistryError`` that names anything else."""
    found = look(head)
    if isinstance(found, Foreign):
        raise found.refusal(name)
    return found


def file_kind(file: BinaryIO) -> str | Foreign:
    """What an open file is; a zip too where something stands in front of it. Rewinds the file."""
    found = look(file.read(HEAD))
    if isinstance(found, Foreign) and found.stub and ends_as_zip(file):
        found = "zip"
    file.seek(0)
    return found


def look(head: bytes) -> str | Foreign:
    """What a file is that begins with ``head``: a format that is read, or what it is instead."""
    if head.startswith(_ZIP):
        return "zip"
    for offset, mark, foreign in _FIRST_BYTES:
        if head.startswith(mark, offset) and (mark != b"\x80" or _PICKLE.match(head)):
            return _compressed(head) if mark == b"\x1f\x8b" else foreign
    if (encoding := _wide(head)) is not None:
        return Foreign(
            f"the text is in {encoding[:6]}.",
            "Registry records are in UTF-8; save the file as UTF-8 or download it again.",
            unsafe=True,
        )
    if head and not head.strip(b"\x00"):
        return _ZEROS
    controls = len(head) - len(head.translate(None, _CONTROLS))
    # A stray control character costs the record that it is in, not the file.
    text = head.removeprefix(_BOM).lstrip(_BLANKS)
    found = _BINARY if controls > len(head) // 20 else _look_at_text(text)
    if found is PLAIN_TEXT and (record := _RECORD.search(head)):
        before = head[: record.start()].strip()
        found = _before_a_record(before) if before else _NO_BRACKET
    elif found is PLAIN_TEXT and (controls or not _is_text(head)):
        found = _BINARY
    if found is _BINARY and head.startswith(_PROGRAMS):
        return _PROGRAM
    # What begins as a record does is never taken for a stub: its text would be lost.
    return _NOISE if found is _BINARY and text.startswith((b"<", b"{", b"[")) else found


def _before_a_record(before: bytes) -> Foreign:
    begins = printable(before.splitlines()[0][:40].decode("utf-8", "replace"))
    return Foreign(f"“{begins}” stands before the record.", _REMOVE)


def _is_text(head: bytes) -> bool:
    """Whether it may be text in UTF-8, or in an encoding of one byte a character."""
    try:
        head[:-3].decode("utf-8")
    except UnicodeDecodeError:
        return sum(byte >= 0x80 for byte in head[:400]) < 80
    return True


_PROGRAMS = (b"MZ", b"\x7fELF")
_PROGRAM = Foreign("the file is a program, not a record.", _KNOWN, stub=True)


def _look_at_text(text: bytes) -> str | Foreign:
    if not text:
        return EMPTY
    if text.startswith(b"<"):
        root = _ROOT.match(text)
        if root is None:
            return _WEB_PAGE if text[:14].lower() == b"<!doctype html" else "xml"
        return _ROOTS.get(root[1].lower(), "xml")
    if text.startswith(b"{") or _LIST.match(text):
        return "json"
    if _INSIDE_TEXT.match(text):
        return Foreign(
            "the JSON is inside a text: it was encoded twice.",
            "Decode it once and save what comes out, or export the studies again.",
        )
    if _CALL.match(text):
        return Foreign(
            "the JSON is inside a call or an assignment, as in JSONP and JavaScript.",
            "Remove what stands around the outer brackets, or fetch the answer without a callback.",
        )
    return _look_at_columns(text)


def _compressed(head: bytes) -> Foreign:
    """What gzip was used on: a tar, or one file."""
    try:
        inside = zlib.decompressobj(31).decompress(head, 512)
    except zlib.error:
        inside = b""
    return _archive("a tar.gz" if inside[257:262] == b"ustar" else "a gzip")


def _wide(head: bytes) -> str | None:
    """The encoding of text whose characters have several bytes each; None for anything else."""
    for mark, encoding in _WIDE_MARKS:
        if head.startswith(mark) and _is_plain(head[len(mark) : 400], encoding):
            return encoding
    if head.startswith((b"+/v8", b"+/v9", b"+/v+", b"+/v/")):
        return "UTF-7"
    if head.startswith(b"\x4c\x6f\xa7\x94"):
        return "EBCDIC"
    if b"\x00" in head[:4]:
        return next((e for e in _WIDE_UNMARKED if _is_plain(head[:400], e)), None)
    return None


_WIDE_MARKS = (
    (b"\xff\xfe\x00\x00", "UTF-32-LE"),
    (b"\x00\x00\xfe\xff", "UTF-32-BE"),
    (b"\xff\xfe", "UTF-16-LE"),
    (b"\xfe\xff", "UTF-16-BE"),
)
_WIDE_UNMARKED = ("UTF-32-LE", "UTF-32-BE", "UTF-16-LE", "UTF-16-BE")


def _is_plain(data: bytes, encoding: str) -> bool:
    """Whether ``data`` is text in ``encoding`` of mostly ASCII, as registry records are."""
    text = data[: len(data) // 4 * 4].decode(encoding, "replace")
    plain = sum(" " <= character <= "~" or character in "\t\r\n" for character in text)
    return plain > 0.8 * len(text)


# ----------------------------------------------------------------------------- tables of text

_COLUMN_MARKS: tuple[tuple[frozenset[str], Foreign], ...] = (
    (
        frozenset({"nctid", "studytitle"}),
        Foreign("the file is the CSV that ClinicalTrials.gov offers, which cuts the texts.",
                _DOWNLOAD.replace("JSON, and", "JSON instead of CSV, and")),
    ),
    (
        frozenset({"nctid", "nlmdownloaddatedescription"}),
        Foreign("the file is a table of AACT, a database of ClinicalTrials.gov.", _EXPORT),
    ),
    (frozenset({"isrctn"}), _ISRCTN),
    (frozenset({"trialid", "webaddress"}), _ICTRP),
    (frozenset({"trialid", "primarysponsor"}), _ICTRP),
    (frozenset({"eudractnumber"}), _EU),
    (frozenset({"euctnumber"}), _CTIS),
    (frozenset({"trialnumber", "overalltrialstatus"}), _CTIS),
)  # fmt: skip
_DELIMITERS = ",;\t|"


def delimiter_of(line: str) -> str:
    """What separates the cells of a CSV's first line: the commonest of ``, ; tab |``."""
    return max(_DELIMITERS, key=line.count)


def _look_at_columns(text: bytes) -> str | Foreign:
    line = re.split(rb"[\r\n]", text, maxsplit=1)[0].decode("utf-8", "replace")
    if line.lower().startswith("sep="):
        return "csv"
    try:
        cells = next(csv.reader([line], delimiter=delimiter_of(line)), [])
    except csv.Error:
        cells = []
    columns = frozenset(map(column_name, cells))
    for marks, foreign in _COLUMN_MARKS:
        if marks <= {column.replace("_", "") for column in columns}:
            return foreign._replace(columns=True)
    if "nctid" in columns or len(columns.intersection(COLUMNS)) > 2:
        return "csv"
    if b"EudraCT Number:" in text[:2000]:
        return _EU
    return PLAIN_TEXT


# ---------------------------------------------------------------------------------- JSON keys

_XML_AS_JSON = Foreign(
    "the JSON is a legacy XML record turned into JSON.", "Give the XML file itself."
)
_JSON_KEYS: tuple[tuple[frozenset[str], Foreign], ...] = (
    (frozenset({"FullStudiesResponse"}), _CLASSIC),
    (frozenset({"StudyFieldsResponse"}), _CLASSIC),
    (frozenset({"FullStudy"}), _CLASSIC),
    (frozenset({"Study"}), _CLASSIC),
    (frozenset({"ProtocolSection"}), _CLASSIC),
    (frozenset({"clinical_study"}), _XML_AS_JSON),
    (
        frozenset({"study"}),
        Foreign(
            "the JSON is a version from a record's history: the study is inside “study”.",
            "Give the object under “study” alone, or fetch the study from API version 2.",
        ),
    ),
    (frozenset({"ctNumber"}), _CTIS),
    (frozenset({"eudractNumber"}), _EU),
    (frozenset({"TrialID"}), _ICTRP),
    (frozenset({"isrctn"}), _ISRCTN),
    (frozenset({"error"}), Foreign("the JSON is an error message of a web service.", _DOWNLOAD)),
)
_FLAT = re.compile(r"protocolSection[._/]|nct_?id$|brief_?title$|identificationModule", re.I)


def foreign_json(value: Any) -> Foreign | None:
    """What a JSON object is that is not a study of API version 2, where it is recognised."""
    if not isinstance(value, dict) or "protocolSection" in value:
        return None
    for marks, foreign in _JSON_KEYS:
        if marks <= value.keys():
            return foreign
    if isinstance(value.get("studies"), list):
        beside = " and ".join(f"“{key[:40]}”" for key in value if key != "studies")
        return Foreign(
            f"the studies stand beside {beside[:120]}, which no answer of the API has.",
            "Give the list under “studies” alone.",
        )
    for key, inner in value.items():
        first = inner[0] if isinstance(inner, list) and inner else inner
        if isinstance(first, dict) and "protocolSection" in first:
            inside = f"“{key[:40]}”"
            return Foreign(
                f"the study is inside {inside}.", f"Give what stands under {inside} alone."
            )
    if any(_FLAT.match(key) for key in value):
        return Foreign(
            "the JSON is a flattened study: its fields are not in the modules of protocolSection.",
            "Give the study as the API delivers it.",
        )
    return None
