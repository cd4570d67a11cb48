"""Documents that are hostile, damaged or no documents are refused by name, within bounds."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from llm4top.errors import LimitError, MalformedRecordError, UnknownFormatError
from llm4top.registry.document_text import DocumentLimits, passages_of, read_document
from tests.registry.documents import pdf_file, word_file


def test_lines_have_their_numbers() -> None:
    found = passages_of("A\n\nB")
    assert [(passage.text, passage.where) for passage in found] == [
        ("A", "line 1"),
        ("", "line 2"),
        ("B", "line 3"),
    ]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_encodings(tmp_path: Path, encoding: str) -> None:
    file = tmp_path / "a.txt"
    file.write_text("Größe €", encoding=encoding)
    assert read_document(file)[0].text == "Größe €"


@pytest.mark.parametrize(
    ("content", "kind", "words"),
    [
        (b"\xd0\xcf\x11\xe0....", UnknownFormatError, "an old version of Word"),
        (b"\x00\x01\x02", UnknownFormatError, "no plain text, Word file"),
        (b"  \n ", MalformedRecordError, "there is no text in it"),
    ],
)
def test_what_is_no_synopsis(
    tmp_path: Path, content: bytes, kind: type[Exception], words: str
) -> None:
    file = tmp_path / "odd.bin"
    file.write_bytes(content)
    with pytest.raises(kind, match=words) as caught:
        read_document(file, name="odd.bin")
    assert str(caught.value).startswith("odd.bin: ")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnknownFormatError, match=r"nowhere\.txt: there is no such file"):
        read_document(tmp_path / "nowhere.txt")


def test_caps_on_plain_text(tmp_path: Path) -> None:
    file = tmp_path / "large.txt"
    file.write_text("word " * 100)
    with pytest.raises(LimitError, match="it has 500 bytes, the limit is 100 bytes"):
        read_document(file, limits=DocumentLimits(file_bytes=100))
    with pytest.raises(LimitError, match="it has 500 characters, the limit is 400"):
        read_document(file, limits=DocumentLimits(characters=400))


@pytest.mark.slow
def test_caps_on_word_files_and_pdfs(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.docx"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", b" " * 70_000_000)
    with pytest.raises(LimitError, match=r"bomb\.docx: unpacked, it has more than 60 MB"):
        read_document(bomb)
    other = tmp_path / "other.zip"
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("record.xml", "<a/>")
    with pytest.raises(UnknownFormatError, match=r"it is an archive, and no Word file"):
        read_document(other)
    cut = tmp_path / "cut.docx"
    cut.write_bytes(word_file(tmp_path / "whole.docx").read_bytes()[:2000])
    with pytest.raises(MalformedRecordError, match=r"cut\.docx: it is a damaged Word file"):
        read_document(cut)
    long = pdf_file(tmp_path / "long.pdf", ["A"], pages=4)
    with pytest.raises(LimitError, match="it has 4 pages, the limit is 3"):
        read_document(long, limits=DocumentLimits(pages=3))
    with pytest.raises(LimitError, match="it has more than 2 characters"):
        read_document(long, limits=DocumentLimits(characters=2))
    damaged = tmp_path / "damaged.pdf"
    damaged.write_bytes(b"%PDF-1.4\nnothing else")
    with pytest.raises(MalformedRecordError, match=r"damaged\.pdf: it is damaged"):
        read_document(damaged)


@pytest.mark.slow
def test_a_document_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    file = pdf_file(tmp_path / "slow.pdf", ["A"])
    with pytest.raises(LimitError, match=r"slow\.pdf: reading it takes more than 0.001 seconds"):
        read_document(file, limits=DocumentLimits(wall_seconds=0.001))
