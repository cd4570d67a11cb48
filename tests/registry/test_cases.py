"""Awkward files, each standing for its kind: what is read of them, and what is said."""

import json
import re
from pathlib import Path
from typing import NamedTuple

import pytest

from llm4top.registry.reader import read_records
from llm4top.registry.trial import Record
from llm4top.tasks.builtin import LABEL_RULES
from tests.registry.builders import study

CASES = Path(__file__).parent.parent / "cases"
ONE = ("NCT09000001",)
FOUR = tuple(f"NCT0900000{n}" for n in range(1, 5))
NOT_UNPACKED = "archive. Unpack it and give the folder."
AGAIN = "Export the studies again from ClinicalTrials.gov."


class Right(NamedTuple):
    """The NCT ids of a file, the ends of its refusals and of its notes."""

    ids: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


EXPECTED = {
    # Archives
    "gzip-and-tar/a24_gz__input.json.gz": Right((), (f"the file is a gzip {NOT_UNPACKED}",)),
    "gzip-and-tar/d06_targz__records.tar.gz": Right((), (f"the file is a tar.gz {NOT_UNPACKED}",)),
    "gzip-and-tar/d06b_tar__records.tar": Right((), (f"the file is a tar {NOT_UNPACKED}",)),
    "gzip-and-tar/d06c_gz__NCT09000001.xml.gz": Right((), (f"is a gzip {NOT_UNPACKED}",)),
    "gzip-and-tar/d06d_xz__NCT09000001.xml.xz": Right((), (f"is an xz {NOT_UNPACKED}",)),
    "gzip-and-tar/d06e_bz2__NCT09000001.xml.bz2": Right((), (f"is a bzip2 {NOT_UNPACKED}",)),
    "gzip-and-tar/d06f_7z__records.7z": Right((), (f"the file is a 7z {NOT_UNPACKED}",)),
    "gzip-and-tar/d20_gzmember__input.zip": Right(
        (), (f"input.zip!NCT09000001.xml.gz: the file is a gzip {NOT_UNPACKED}",)
    ),
    "registry-zip-contents-txt/AllPublicXML.zip": Right(
        FOUR[:2], (), ("1 file that is not a record was passed over: Contents.txt.",)
    ),
    "sqlite-and-prefix-zip/d09_prefix__input.zip": Right(ONE),
    "sqlite-and-prefix-zip/d16c_spanned__input.zip": Right(ONE),
    "sqlite-and-prefix-zip/d23_sqlite__aact.db": Right(
        (),
        (
            "the file is a SQLite database. Export the studies as JSON from ClinicalTrials.gov, or "
            "as TOP's CSV, and give that file.",
        ),
    ),
    "zip-in-zip/input.zip": Right(
        ("NCT09000002",),
        (
            "input.zip!inner.zip: there is an archive inside the archive. Unpack it and read it by "
            "itself.",
        ),
    ),
    "zip-json-export/ctg-studies.json.zip": Right(FOUR),
    "zip-mac/input.zip": Right(ONE),
    "zip-truncated/input.zip": Right(
        (),
        ("the archive is broken: it is cut off: its end is missing. Download the archive again.",),
    ),
    "zip-windows-folders/input.zip": Right(ONE),
    "zip-windows-litter/input.zip": Right(
        ONE, (), ("2 files that are not records were passed over: Thumbs.db, desktop.ini.",)
    ),
    # Files of other kinds
    "classic-api-json/input.json": Right(
        (),
        (
            "the file is an answer of the classic API of ClinicalTrials.gov, which ended in 2024. "
            "Fetch the studies from API version 2: clinicaltrials.gov/api/v2/studies.",
        ),
    ),
    "csv-site-download/ctg-studies.csv": Right(
        (),
        (
            "the file is the CSV that ClinicalTrials.gov offers, which cuts the texts. On "
            "ClinicalTrials.gov choose Download and the format JSON instead of CSV, and give that "
            "file.",
        ),
    ),
    "history-api-json/input.json": Right(
        (),
        (
            "the JSON is a version from a record's history: the study is inside “study”. Give the "
            "object under “study” alone, or fetch the study from API version 2.",
        ),
    ),
    "html-page-as-xml/b17_html__NCT09000001.xml": Right(
        (),
        (
            "the file is a web page (HTML), not a record. On ClinicalTrials.gov choose Download "
            "and the format JSON, and give that file.",
        ),
    ),
    "html-page-as-xml/d07_html__search_result.zip": Right(
        (),
        (
            "search_result.zip!NCT09000001.xml: the file is a web page (HTML), not a record. On "
            "ClinicalTrials.gov choose Download and the format JSON, and give that file.",
        ),
    ),
    "ictrp-ctis-euctr-isrctn/2031-500001-11-00.json": Right(
        (),
        (
            "the file is an export of CTIS, the EU's registry. LLM4TOP reads records of "
            "ClinicalTrials.gov only; give the trial's record there.",
        ),
    ),
    "jsonp-and-double-json/a26_double__input.json": Right(
        (),
        (
            "the JSON is inside a text: it was encoded twice. Decode it once and save what comes "
            "out, or export the studies again.",
        ),
    ),
    "jsonp-and-double-json/a57_callback__input.js": Right(
        (),
        (
            "the JSON is inside a call or an assignment, as in JSONP and JavaScript. Remove what "
            "stands around the outer brackets, or fetch the answer without a callback.",
        ),
    ),
    "utf16-json/input.json": Right(
        (),
        (
            "the text is in UTF-16. Registry records are in UTF-8; save the file as UTF-8 or "
            "download it again.",
        ),
    ),
    "wrapper-keys/input.json": Right(
        (),
        (
            "#1, line 1: the studies stand beside “fetchedAt” and “query”, which no answer of the "
            "API has. Give the list under “studies” alone.",
        ),
    ),
    "xmltodict-json/input.json": Right(
        (),
        (
            "#1, line 1: the JSON is a legacy XML record turned into JSON. Give the XML file "
            "itself.",
        ),
    ),
    # JSON
    "count-types/input.json": Right(
        (),
        (
            "#1, protocolSection.designModule.enrollmentInfo.count: expected a whole number, found "
            "str. Correct the record or download it again.",
        ),
    ),
    "fields-answer/input.json": Right(ONE),
    "json-pages-appended/a02_pages_as_lines__input.jsonl": Right(FOUR),
    "json-pages-appended/a02c_pages_concat_pretty__input.json": Right(FOUR),
    "json-pages-array/input.json": Right(FOUR),
    "nan-infinity/input.json": Right(
        (), (f"#1, line 1: the JSON is broken: NaN is not a JSON value. {AGAIN}",)
    ),
    "ndjson-blank-lines/input.jsonl": Right(FOUR[:3]),
    "ndjson-broken-line/input.jsonl": Right(
        (FOUR[0], FOUR[2]), (f"input.jsonl, line 2: the line ends within a study. {AGAIN}",)
    ),
    "ndjson-u2028/input.ndjson": Right(FOUR[:3]),
    "trailing-comma/input.json": Right(
        (),
        (
            "#1, line 1: the JSON is broken: Expecting property name enclosed in double quotes. "
            f"{AGAIN}",
        ),
    ),
    # CSV
    "csv-cr-only/input.csv": Right(FOUR[:2]),
    "csv-excel-bom/input.csv": Right(FOUR[:2]),
    "csv-index-column/input.csv": Right(FOUR[:2]),
    "csv-nctid-beyond-512-bytes/input.csv": Right(ONE),
    "csv-odd-cells/input.csv": Right(
        tuple(f"NCT0900000{n}" for n in (2, 3, 4, 6, 7)),
        (
            "#1, line 2, diseases: the cell is not a list. Fetch the file again from the "
            "benchmark's repository.",
            "#5, line 22, drugs: the list holds more than texts. Fetch the file again from the "
            "benchmark's repository.",
            "#8, line 37, diseases: the cell is not a list. Fetch the file again from the "
            "benchmark's repository.",
        ),
    ),
    "csv-semicolon-tab/input.csv": Right(
        (),
        (
            "line 1: the cells of the CSV are separated by semicolons, TOP's by commas, so it has "
            "no column nctid, phase, diseases, icdcodes, drugs, smiless, criteria. Save it with "
            "commas between the cells.",
        ),
    ),
    "csv-two-label-columns/input.csv": Right(
        (),
        (
            "line 1: the column label appears twice. Delete the one that is not to be read, or "
            "give it another name.",
        ),
    ),
    # XML as a file; what its elements hold is tested beside their readers
    "xml-bad-nct/input.xml": Right(
        (),
        (
            "line 8, id_info/nct_id: “NCT0900001” is not an NCT id. It reads NCT and eight digits; "
            "leave it out of a draft that has none yet.",
        ),
    ),
    "xml-encodings/input.xml": Right(
        (),
        (
            "line 1: the XML declares the encoding “windows-1252”. Only UTF-8, ASCII and "
            "ISO-8859-1 are read. Download the record again from ClinicalTrials.gov.",
        ),
    ),
    "xml-entities/input.xml": Right(
        (),
        (
            "line 10: the XML is broken: Entity 'nbsp' not defined. Download the record again from "
            "ClinicalTrials.gov.",
        ),
    ),
    "xml-namespace/input.xml": Right(
        (),
        (
            "line 2: the root element is <{http://clinicaltrials.gov/schema}clinical_study>, not "
            "<clinical_study>. LLM4TOP reads the legacy XML of ClinicalTrials.gov, one study a "
            "file.",
        ),
    ),
    "xml-no-org-id/input.xml": Right(ONE),
    "xml-truncated/input.xml": Right(
        (),
        (
            "line 28: the XML is broken: expected '>'. Download the record again from "
            "ClinicalTrials.gov.",
        ),
    ),
}


def read(path: Path) -> tuple[list[Record], list[str], list[str]]:
    reader = read_records(path)
    records = list(reader)
    return records, list(map(str, reader.summary.refusals)), list(map(str, reader.summary.notes))


@pytest.mark.parametrize("name", EXPECTED)
def test_a_file_gives_its_records_and_says_what_it_lacks(name):
    records, refusals, notes = read(CASES / name)
    right = EXPECTED[name]
    assert tuple(record.nct_id for record in records) == right.ids
    for said, ends in ((refusals, right.refusals), (notes, right.notes)):
        assert len(said) == len(ends)
        assert all(text.startswith(str(CASES / name)) for text in said)
        assert all(text.endswith(end) for text, end in zip(said, ends, strict=True))


def test_rows_that_end_in_a_return_keep_the_lines_of_their_cells():
    records, _, _ = read(CASES / "csv-cr-only" / "input.csv")
    expected, _, _ = read(CASES / "csv-excel-bom" / "input.csv")
    assert [record.trial for record in records] == [record.trial for record in expected]


def test_a_line_separator_within_a_text_ends_no_record():
    path = CASES / "ndjson-u2028" / "input.ndjson"
    assert "\u2028* second\x85line\u2029end" in path.read_text("utf-8")
    records, _, _ = read(path)
    assert (records[0].trial.criteria or "").split()[-5:] == ["second", "-", "line", "-", "end"]
    assert len(records) == 3


def test_latin1_keeps_its_letters():
    ((record,), _, _) = read(CASES / "xml-latin1" / "input.xml")
    assert record.trial.brief_title == "Examplol in Adults With Gout café"


def test_layout_and_line_ends_change_no_value():
    ((record,), _, _) = read(CASES / "xml-minified-crlf" / "input.xml")
    ((plain,), _, _) = read(CASES / "xml-no-org-id" / "input.xml")
    assert record.trial == plain.trial


def test_labels_written_as_floats_words_and_truth_values():
    records, _, _ = read(CASES / "top-label-float" / "input.csv")
    assert [LABEL_RULES["outcome"](record) for record in records] == [
        "success", "failure", None, "success", "success", "2",
    ]  # fmt: skip


def test_criteria_of_any_length_are_kept_whole(tmp_path):
    lines = "\n".join(f"* Criterion {n} of very many" for n in range(30_000))
    made = study(eligibilityModule={"eligibilityCriteria": lines})
    (tmp_path / "a.json").write_text(json.dumps(made, indent=1))
    ((record,), refusals, _) = read(tmp_path / "a.json")
    assert refusals == []
    assert len(re.findall("of very many", record.trial.criteria or "")) == 30_000
