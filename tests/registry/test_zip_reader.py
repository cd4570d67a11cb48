import io
import os
import re
import stat
import struct
import zipfile
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm4top.errors import (
    LimitError,
    MalformedRecordError,
    RegistryError,
    UnknownFormatError,
    UnsafeRecordError,
)
from llm4top.registry.limits import Limits
from llm4top.registry.reader import read_records
from tests.profiles import examples
from tests.registry.builders import TOP_HEADER, dump, study, top_row, xml


def pack(path, members: dict[str, bytes], method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def read(path, limits: Limits | None = None) -> tuple[list[str | None], list[RegistryError]]:
    seen: list[RegistryError] = []
    records = list(read_records(path, limits=limits, on_refusal=seen.append))
    return [record.nct_id for record in records], seen


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_all_public_xml_layout(tmp_path, method):
    ids = [f"NCT9000000{n}" for n in range(3)]
    path = pack(
        tmp_path / "all.zip",
        {f"NCT9000xxxx/{i}.xml": xml(nct_id=i) for i in ids} | {"Contents.txt": b"a list"},
        method,
    )
    reader = read_records(path)
    assert [record.nct_id for record in reader] == ids
    assert reader.summary.refusals == []
    assert list(map(str, reader.summary.notes)) == [
        f"{path}: 1 file that is not a record was passed over: Contents.txt."
    ]


def test_members_of_every_format(tmp_path):
    path = pack(
        tmp_path / "mixed.zip",
        {
            "a.bin": dump([study("NCT90000001"), study("NCT90000002")]),
            "b.bin": (TOP_HEADER + top_row(nctid="NCT90000003")).encode(),
            "c.bin": xml(nct_id="NCT90000004"),
        },
    )
    records = list(read_records(path))
    assert [r.nct_id[-1] for r in records] == list("1234")
    assert [r.source.name.partition("!")[2] for r in records] == [
        "a.bin#1", "a.bin#2", "b.bin#1", "c.bin",
    ]  # fmt: skip


def test_a_member_larger_than_a_record_is_streamed(tmp_path):
    studies = [study(f"NCT{90000000 + n}") for n in range(500)]
    path = pack(tmp_path / "export.zip", {"export.json": dump(studies)})
    found, seen = read(path, Limits(record_bytes=1000))
    assert (len(found), seen) == (500, [])


def streamed(path):
    """A zip written without going back: sizes stand behind the data and in the list alone."""

    class Forward(io.RawIOBase):
        def __init__(self):
            self.data = bytearray()

        def writable(self):
            return True

        def write(self, data):
            self.data += data
            return len(data)

    made = Forward()
    pack(made, {"a.xml": xml()})
    path.write_bytes(bytes(made.data))


def with_comment(path):
    pack(path, {"a.xml": xml()})
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = b"made by PK\x05\x06" + bytes(40) + b"PK\x05\x06"


def behind_a_stub(path):
    pack(path, {"a.xml": xml()})
    path.write_bytes(b"MZ unpacks itself \0\1" * 99 + path.read_bytes())


def behind_a_script(path):
    """A stub that the offsets count in, as ``zip -A`` makes it."""
    path.write_bytes(b"#!/bin/sh\nexec unzip $0\n")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("a.xml", xml())


def wide(path):
    """Zip64: sizes and offsets of eight bytes."""
    with (
        zipfile.ZipFile(path, "w") as archive,
        archive.open("a.xml", "w", force_zip64=True) as file,
    ):
        file.write(xml())


def wide_at_its_end(path):
    """The end in its zip64 form, as archives of more than 65 535 members have it."""
    pack(path, {"a.xml": xml()})
    data = path.read_bytes()
    at = data.rindex(b"PK\x05\x06")
    size, offset = struct.unpack_from("<2L", data, at + 12)
    end64 = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 1, 1, size, offset)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, at, 1)
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    path.write_bytes(data[:at] + end64 + locator + end)


def wide_behind_a_stub(path):
    wide_at_its_end(path)
    path.write_bytes(b"MZ\0\1" * 99 + path.read_bytes())


def marked_as_split(path):
    """In one part after all: some programs leave the mark of a split archive in front."""
    pack(path, {"a.xml": xml()})
    path.write_bytes(b"PK\x07\x08" + path.read_bytes())


def with_windows_folders(path):
    pack(path, {"x\\": b"", "x\\a.xml": xml(), "x\\__MACOSX\\._a.xml": b"x", "x\\Thumbs.db": b"\0"})


@pytest.mark.parametrize(
    "make",
    [
        streamed, with_comment, behind_a_stub, behind_a_script, wide, wide_at_its_end,
        wide_behind_a_stub, marked_as_split, with_windows_folders,
    ],
    ids=lambda make: make.__name__,
)  # fmt: skip
def test_unusual_archives_are_read(make, tmp_path):
    path = tmp_path / "a.zip"
    make(path)
    assert read(path) == (["NCT90000001"], [])


def test_files_beside_records_are_passed_over_and_noted(tmp_path):
    path = pack(
        tmp_path / "a.zip",
        {
            "Contents.txt": b"NCT90000001", "LICENSE": b"free", "readme.md": b"# a",
            "Thumbs.db": b"\0", "x/desktop.ini": b"[x]", "x/~$draft.docx": b"",
            "a.xml": xml(), ".DS_Store": b"\0",
        },
    )  # fmt: skip
    reader = read_records(path)
    assert len(list(reader)) == 1
    assert reader.summary.refusals == []
    assert list(map(str, reader.summary.notes)) == [
        f"{path}: 6 files that are not records were passed over: Contents.txt, LICENSE, "
        "readme.md and 3 more."
    ]


@pytest.mark.parametrize("name", ["a.xml", "b.json", "c.csv", "d.pdf"])
def test_what_bears_the_name_of_a_record_is_not_passed_over(name, tmp_path):
    _, (error,) = read(pack(tmp_path / "a.zip", {name: b"Page not found", "e.xml": xml()}))
    assert f"a.zip!{name}: the file is plain text, not a record." in str(error)


def symlink(path):
    entry = zipfile.ZipInfo("link.xml")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(entry, "/etc/passwd")


def nested(path):
    inner = io.BytesIO()
    pack(inner, {"a.xml": xml()})
    pack(path, {"inner.xml": inner.getvalue()}, zipfile.ZIP_STORED)


def bomb(path):
    pack(path, {"bomb.xml": b"<clinical_study>" + b" " * 15_000_000})


def bomb_of_42(path):
    inner = io.BytesIO()
    pack(inner, {"0.dll": b"\0" * 4_000_000})
    pack(path, {f"lib {n}.zip": inner.getvalue() for n in range(16)})


def lying(path):
    """A member that declares less than it unpacks to."""
    pack(path, {"a.xml": xml("<a>" + "b" * 5000 + "</a>")})
    data = path.read_bytes()
    at = data.rindex(b"PK\x01\x02")
    path.write_bytes(data[: at + 24] + struct.pack("<L", 100) + data[at + 28 :])


def encrypted(path):
    pack(path, {"a.xml": xml()})
    data = bytearray(path.read_bytes())
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)


def other_method(path):
    pack(path, {"a.xml": xml()}, zipfile.ZIP_BZIP2)


def overlapping(path):
    """Two entries of the list of members that stand for the same bytes."""
    pack(path, {"a.xml": xml(), "b.xml": xml()})
    data = bytearray(path.read_bytes())
    first = data.index(b"PK\x01\x02")
    second = data.index(b"PK\x01\x02", first + 4)
    data[second + 42 : second + 46] = data[first + 42 : first + 46]
    path.write_bytes(data)


def truncated(path):
    pack(path, {f"{n}.xml": xml() for n in range(9)})
    path.write_bytes(path.read_bytes()[:-200])


def truncated_in_the_middle(path):
    pack(path, {f"{n}.xml": xml() for n in range(9)})
    data = path.read_bytes()
    path.write_bytes(data[:200] + data[-900:])


def bad_checksum(path):
    pack(path, {"a.xml": xml()}, zipfile.ZIP_STORED)
    data = path.read_bytes()
    path.write_bytes(data.replace(b"An invented trial", b"An invented trouble"[:17]))


def garbage_list(path):
    pack(path, {"a.xml": xml()})
    data = path.read_bytes()
    path.write_bytes(data.replace(b"PK\x01\x02", b"PK\x09\x09"))


def appended(path):
    pack(path, {"a.xml": xml()})
    path.write_bytes(path.read_bytes() + b"garbage")


def two_in_one(path):
    pack(path, {"a.xml": xml()})
    path.write_bytes(path.read_bytes() * 2)


def unlisted(path):
    """The offsets of the list fit, and it leaves out the first member."""
    pack(path, {"a.xml": xml(), "b.xml": xml()})
    data = path.read_bytes()
    first = data.index(b"PK\x01\x02")
    second = data.index(b"PK\x01\x02", first + 4)
    end = bytearray(data[data.index(b"PK\x05\x06") :])
    end[8:20] = struct.pack("<2H2L", 1, 1, len(data) - len(end) - second, first)
    path.write_bytes(data[:first] + data[second : len(data) - len(end)] + end)


def last_part(path):
    pack(path, {"a.xml": xml()})
    data = bytearray(path.read_bytes())
    data[-18] = data[-16] = 2
    path.write_bytes(data)


def first_part(path):
    pack(path, {"a.xml": xml()})
    path.write_bytes(b"PK\x07\x08" + path.read_bytes()[:-100])


HOSTILE: dict[Callable, tuple[type[RegistryError], str]] = {
    symlink: (UnsafeRecordError, r"link\.xml: the member is a link"),
    nested: (UnsafeRecordError, "archive inside the archive"),
    bomb: (LimitError, "grows .* times"),
    bomb_of_42: (UnsafeRecordError, "archive inside the archive"),
    lying: (MalformedRecordError, "not the one it declares"),
    encrypted: (UnsafeRecordError, "encrypted"),
    other_method: (UnsafeRecordError, "packed by method 12"),
    overlapping: (UnsafeRecordError, "overlap"),
    truncated: (MalformedRecordError, "cut off|broken"),
    truncated_in_the_middle: (MalformedRecordError, "cut off|fit|broken"),
    bad_checksum: (MalformedRecordError, "checksum"),
    appended: (MalformedRecordError, "7 bytes follow its end"),
    two_in_one: (MalformedRecordError, "begins with members that its list does not name"),
    unlisted: (MalformedRecordError, "begins with members that its list does not name"),
    last_part: (UnknownFormatError, "one part of an archive that was split"),
    first_part: (UnknownFormatError, "one part of an archive that was split"),
    garbage_list: (MalformedRecordError, "damaged"),
}


@pytest.mark.parametrize("make", HOSTILE, ids=lambda make: make.__name__)
def test_hostile_archives_are_refused_by_name(make, tmp_path):
    path = tmp_path / "hostile.zip"
    make(path)
    kind, words = HOSTILE[make]
    found, seen = read(path)
    assert found == []
    assert {type(error) for error in seen} == {kind}
    assert re.search(words, str(seen[0]))
    assert str(path) in str(seen[0])
    assert seen[0].hint


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (Limits(zip_members=2), "has 3 members, the limit is 2"),
        (Limits(zip_total_bytes=1000), "the limit is 1\u202f000"),
        (Limits(zip_member_bytes=100), "the limit is 100"),
        (Limits(record_bytes=100), "the limit is 100"),
    ],
)
def test_each_limit_can_be_lowered(limits, words, tmp_path):
    path = pack(tmp_path / "a.zip", {f"{n}.xml": xml("<a>" + "b" * 400 + "</a>") for n in range(3)})
    found, seen = read(path, limits)
    assert found == []
    assert all(isinstance(error, LimitError) and words in str(error) for error in seen)


def test_seventy_thousand_members_are_counted_before_any_is_unpacked(tmp_path):
    path = pack(tmp_path / "a.zip", {f"{n}.txt": b"" for n in range(70_000)}, zipfile.ZIP_STORED)
    found, seen = read(path, Limits(zip_members=60_000))
    assert found == []
    assert "70\u202f000 members" in str(seen[0])


@pytest.mark.parametrize(
    "name", ["../../escape.xml", "/etc/escape.xml", "C:\\escape.xml", "a/../../escape.xml"]
)
def test_a_name_is_never_a_path(name, tmp_path, monkeypatch):
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    path = pack(folder / "a.zip", {name: xml()})
    monkeypatch.chdir(folder)
    (record,) = read_records(path)
    assert record.nct_id
    assert sorted(os.walk(tmp_path))[-1][2] == ["a.zip"]


def test_control_characters_of_a_name_do_not_reach_the_terminal(tmp_path):
    path = pack(tmp_path / "a.zip", {"a\x1b[31m\n.xml": b"nothing"})
    _, (error,) = read(path)
    assert "a?[31m?.xml" in str(error)


def test_neighbours_of_a_bad_member_go_on(tmp_path):
    path = pack(
        tmp_path / "a.zip",
        {
            "1.xml": xml(nct_id="NCT90000001"),
            "2.xml": b"<clinical_study><brief_title>",
            "3.xml": xml(nct_id="NCT90000003"),
        },
    )
    found, (error,) = read(path)
    assert found == ["NCT90000001", "NCT90000003"]
    assert isinstance(error, MalformedRecordError)
    assert error.file == f"{path}!2.xml"


def test_wide_archives_are_read(tmp_path):
    path = tmp_path / "wide.zip"
    with (
        zipfile.ZipFile(path, "w") as archive,
        archive.open("a.xml", "w", force_zip64=True) as file,
    ):
        file.write(xml())
    assert read(path) == (["NCT90000001"], [])


def test_what_file_managers_add_is_left_out(tmp_path):
    path = pack(tmp_path / "a.zip", {"__MACOSX/._a.xml": b"\0", ".DS_Store": b"\0", "a.xml": xml()})
    assert read(path) == (["NCT90000001"], [])


@examples(60)
@given(st.data())
def test_an_archive_that_is_cut_off_or_appended_to_is_never_silent(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("any") / "a.zip"
    pack(path, {f"{n}.xml": xml(nct_id=f"NCT9000000{n}") for n in range(3)})
    whole = path.read_bytes()
    path.write_bytes(whole[: data.draw(st.integers(1, len(whole) - 1))])
    assert read(path)[1]
    path.write_bytes(whole + data.draw(st.binary(min_size=1, max_size=30)))
    assert read(path)[1]
    path.write_bytes(data.draw(st.sampled_from([xml(), dump(study()), whole])) + whole)
    assert read(path)[1]
