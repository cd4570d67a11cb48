import gzip
import io
import tarfile
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm4top.errors import UnknownFormatError, UnsafeRecordError
from llm4top.registry.detect import Foreign, file_kind, look
from llm4top.registry.reader import read_records
from tests.registry.builders import TOP_HEADER, dump, study, xml


def tar(data: bytes) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        entry = tarfile.TarInfo("a.xml")
        entry.size = len(data)
        archive.addfile(entry, io.BytesIO(data))
    return made.getvalue()


def packed(*names: str) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name in names:
            archive.writestr(name, "application/epub+zip")
    return made.getvalue()


FOREIGN = {
    "empty": (b"", "the file is empty."),
    "blanks": (b" \n\n", "the file is empty."),
    "zeros": (bytes(3000), "nothing but zero bytes"),
    "random": (bytes(range(256)) * 4, "binary data of an unknown kind"),
    "random behind a mark": (b"\xff\xfe" + bytes(range(256)) * 4, "binary data"),
    "gzip": (gzip.compress(xml()), "is a gzip archive. Unpack it and give the folder."),
    "tar.gz": (gzip.compress(tar(xml())), "is a tar.gz archive"),
    "tar": (tar(xml()), "is a tar archive"),
    "7z": (b"7z\xbc\xaf\x27\x1c\0\4" + bytes(90), "is a 7z archive"),
    "xz": (b"\xfd7zXZ\0\0\4" + bytes(90), "is an xz archive"),
    "bzip2": (b"BZh91AY&SY" + bytes(90), "is a bzip2 archive"),
    "rar": (b"Rar!\x1a\7\1\0" + bytes(90), "is a RAR archive"),
    "zstd": (b"\x28\xb5\x2f\xfd" + bytes(90), "is a zstd archive"),
    "sqlite": (b"SQLite format 3\0" + bytes(90), "is a SQLite database"),
    "parquet": (b"PAR1\x15\4" + bytes(90), "is a Parquet table"),
    "pdf": (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "is a PDF document, not a record."),
    "rtf": (b"{\\rtf1\\ansi Protocol}", "is an RTF document"),
    "doc": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(90), "is an old Office document"),
    "docx": (packed("[Content_Types].xml", "word/document.xml"), "is a Word document, not a"),
    "xlsx": (packed("[Content_Types].xml", "xl/workbook.xml"), "is an Excel workbook, not a"),
    "odt": (packed("mimetype", "content.xml"), "is a document (OpenDocument or e-book)"),
    "png": (b"\x89PNG\r\n\x1a\n" + bytes(90), "is a picture"),
    "program": (b"MZ\x90\0\3\0" + bytes(90), "is a program"),
    "web page": (b"<!DOCTYPE html>\n<html><p>x</html>", "is a web page (HTML), not a record."),
    "web page without type": (b"\n<HTML><head/></HTML>", "is a web page (HTML)"),
    "xhtml": (
        b'<?xml version="1.0"?>\n<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0" "x">\n<html/>',
        "is a web page (HTML)",
    ),
    "ictrp": (b"<Trials_downloaded_from_ICTRP><Trial/>", "is an export of WHO ICTRP."),
    "isrctn": (b"TrialID,web address,x\n", "is an export of WHO ICTRP."),
    "isrctn csv": (b"ISRCTN,Title\nISRCTN1,x\n", "export of the ISRCTN registry"),
    "eu": (b"Summary\nEudraCT Number: 2031-500001-11\n", "EU Clinical Trials Register"),
    "ctis": (dump({"ctNumber": "2031-500001-11-00"}), "is an export of CTIS"),
    "site csv": (b'"NCT Number","Study Title","Study URL"\n', "CSV that ClinicalTrials.gov offers"),
    "aact": (b"nct_id|nlm_download_date_description|x\n", "is a table of AACT"),
    "classic api": (dump({"FullStudiesResponse": {}}), "is an answer of the classic API"),
    "classic study": (dump([{"ProtocolSection": {}}]), "is an answer of the classic API"),
    "history": (dump({"study": study()}), "a version from a record's history"),
    "xmltodict": (dump({"clinical_study": {}}), "a legacy XML record turned into JSON"),
    "flat": (dump({"nctId": "NCT90000001", "briefTitle": "a"}), "the JSON is a flattened study"),
    "flat paths": (dump({"protocolSection.identificationModule.nctId": "x"}), "flattened study"),
    "wrapper": (dump({"query": "x", "studies": [study()]}), "the studies stand beside “query”"),
    "error": (dump({"error": "not found"}), "the JSON is an error message"),
    "twice": (dump(dump(study()).decode()), "the JSON is inside a text: it was encoded twice."),
    "call": (b"callback(" + dump(study()) + b");", "inside a call or an assignment"),
    "assignment": (b"studies = " + dump([study()]), "inside a call or an assignment"),
    "utf-16": ("\ufeff[{}]".encode("utf-16-le"), "the text is in UTF-16."),
    "utf-16 without mark": (dump([study()]).decode().encode("utf-16-be"), "in UTF-16."),
    "text before XML": (b"saved 2031\n" + xml(), "“saved 2031” stands before the record. Remove"),
    "headers": (b"HTTP/1.1 200 OK\r\n\r\n" + dump(study()), "“HTTP/1.1 200 OK” stands before"),
    "comment": (b"// studies\n" + dump([study()]), "“// studies” stands before the record."),
    "no bracket": (dump(study())[1:], "the JSON lacks its first bracket."),
    "inside": (dump([{"_source": study()}]), "the study is inside “_source”. Give what stands"),
    "labels": (b"nctid,label\nNCT90000001,1\n", "the CSV holds labels, not records."),
    "plain text": ("Protocol of a caf\xe9 trial\n".encode("latin-1"), "the file is plain text"),
    "ini": (b"[.ShellClassInfo]\nIconFile=a", "the file is plain text"),
}


@pytest.mark.parametrize("name", FOREIGN)
@pytest.mark.parametrize("packing", ["", "zip"])
def test_a_foreign_file_is_named_once_with_the_next_step(name, packing, tmp_path):
    data, words = FOREIGN[name]
    path = tmp_path / "record.xml"
    if packing and not data.startswith(b"PK"):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("record.xml", data)
    else:
        path.write_bytes(data)
    reader = read_records(path)
    assert list(reader) == []
    (error,) = reader.summary.refusals
    assert isinstance(error, UnknownFormatError | UnsafeRecordError)
    assert words in str(error)
    assert error.hint


def test_a_pickle_is_refused_as_unsafe():
    found = look(b"\x80\x04\x95" + bytes(20))
    assert isinstance(found, Foreign)
    assert found.unsafe
    assert "LLM4TOP never opens one." in found.hint


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"PK\x03\x04", "zip"),
        (b"PK\x07\x08PK\x03\x04", "zip"),
        (b"\xef\xbb\xbf\n<?xml version='1.0'?><!-- a --><clinical_study>", "xml"),
        (b"[ ]", "json"),
        (b"[// studies\n{}]", "json"),
        (b"{}", "json"),
        (TOP_HEADER.encode(), "csv"),
        (b"," + b"a," * 20_000 + TOP_HEADER.upper().encode(), "csv"),
        (b"NCT Number;Phase;Label", "csv"),
        (b"sep=;\nnctid;phase", "csv"),
        (b"phase,diseases,drugs\n", "csv"),
    ],
)
def test_what_is_read_is_told_by_its_beginning(head, kind):
    assert look(head) == kind


@given(st.binary(max_size=200))
def test_any_bytes_are_something(data):
    file = io.BytesIO(data)
    found = file_kind(file)
    assert file.tell() == 0
    assert isinstance(found, Foreign) or found in ("zip", "xml", "json", "csv")
