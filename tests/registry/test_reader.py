import errno
import os
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from llm4top.errors import MalformedRecordError, RegistryError, UnknownFormatError
from llm4top.registry.fields import ALLOWED_FIELDS
from llm4top.registry.limits import Limits
from llm4top.registry.reader import read_records
from llm4top.registry.trial import Record, RegistryOutcome
from llm4top.registry.withheld_reasons import UNKNOWN as UNKNOWN_ELEMENT
from tests.profiles import examples
from tests.registry.builders import TOP_HEADER, dump, study, top_row, xml


def test_one_xml_record(tmp_path):
    body = """
  <overall_status>Terminated</overall_status>
  <why_stopped>
    Slow accrual
  </why_stopped>
  <start_date type="Anticipated">May 2031</start_date>
  <enrollment type="Actual">17</enrollment>
  <phase>Phase 2</phase>
  <never_heard_of>x</never_heard_of>
"""
    (tmp_path / "one.txt").write_bytes(xml(body))
    (record,) = read_records(tmp_path)
    assert record.nct_id == "NCT90000001"
    assert (record.trial.phase, record.trial.planned_start) == ("Phase 2", "2031-05")
    assert record.trial.planned_enrolment is None
    assert record.registry_outcome == RegistryOutcome(
        status="Terminated",
        why_stopped="Slow accrual",
        start_date="2031-05",
        start_date_type="Anticipated",
        enrolment=17,
        enrolment_type="Actual",
    )
    withheld = {w.field: w for w in record.withheld}
    assert set(withheld) == {
        "id_info/nct_id", "overall_status", "why_stopped", "enrollment", "never_heard_of",
    }  # fmt: skip
    assert withheld["never_heard_of"].reason == UNKNOWN_ELEMENT
    assert withheld["why_stopped"].excerpt == "Slow accrual"
    assert record.source.format == "legacy-xml"
    assert len(record.source.sha256) == 64


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("  <enrollment>many</enrollment>\n", "line 7, enrollment: “many” is not a whole number."),
        ("  <start_date>soon</start_date>\n", "line 7, start_date: “soon” is not a date."),
    ],
)
def test_a_wrong_value_names_line_and_element(body, words, tmp_path):
    (tmp_path / "a.xml").write_bytes(xml(body))
    reader = read_records(tmp_path / "a.xml")
    assert list(reader) == []
    (error,) = reader.summary.refusals
    assert isinstance(error, MalformedRecordError)
    assert words in str(error)


def test_an_id_of_the_wrong_shape(tmp_path):
    (tmp_path / "a.xml").write_bytes(xml(nct_id="NCT123"))
    reader = read_records(tmp_path / "a.xml")
    assert list(reader) == []
    assert "“NCT123” is not an NCT id. It reads NCT and eight digits" in str(
        reader.summary.refusals[0]
    )


def test_a_draft_without_an_id(tmp_path):
    (tmp_path / "a.xml").write_bytes(xml().replace(b"<nct_id>NCT90000001</nct_id>", b""))
    (record,) = read_records(tmp_path / "a.xml")
    assert record.nct_id is None


def test_a_folder_is_read_in_order_and_hidden_files_are_not(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "2.dat").write_bytes(xml(nct_id="NCT90000002"))
    (tmp_path / "a.json").write_bytes(dump(study("NCT90000001")))
    (tmp_path / "c.csv").write_text(TOP_HEADER + top_row(nctid="NCT90000003"))
    (tmp_path / "notes.txt").write_text("notes")
    (tmp_path / "notes.xml").write_text("notes")
    (tmp_path / ".hidden").write_bytes(xml())
    reader = read_records(tmp_path)
    assert [r.nct_id[-1] for r in reader] == list("123")
    assert str(reader.summary) == "3 read, 1 skipped (1 UnknownFormatError)"
    assert "notes.xml: the file is plain text, not a record." in str(reader.summary.refusals[0])
    assert [note.message for note in reader.summary.notes] == [
        "1 file that is not a record was passed over: notes.txt."
    ]


@pytest.mark.parametrize("make", ["folder", "zip", "list"])
def test_a_source_without_a_record_is_noted(make, tmp_path):
    path = tmp_path / "a"
    if make == "folder":
        path.mkdir()
    elif make == "zip":
        with zipfile.ZipFile(path, "w"):
            pass
    else:
        path.write_bytes(b"[]")
    seen = []
    assert list(read_records(path, on_note=seen.append)) == []
    assert [str(note) for note in seen] == [f"{path}: there is no record in it."]


def test_several_paths(tmp_path):
    for n in range(2):
        (tmp_path / f"{n}.xml").write_bytes(xml(nct_id=f"NCT9000000{n}"))
    assert len(list(read_records([tmp_path / "1.xml", str(tmp_path / "0.xml")]))) == 2


def test_a_path_that_does_not_exist(tmp_path):
    with pytest.raises(UnknownFormatError, match=r"there is no such file or folder\. Check"):
        read_records(tmp_path / "nowhere")


def test_a_pipe_in_a_folder_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    reader = read_records(tmp_path)
    assert list(reader) == []
    assert "it is not a file or a folder" in str(reader.summary.refusals[0])


def test_what_the_system_does_not_give_costs_itself_alone(tmp_path, monkeypatch):
    (tmp_path / "a.xml").write_bytes(xml())
    (tmp_path / "b.xml").symlink_to(tmp_path / "gone")
    (tmp_path / "c.xml").write_bytes(xml())
    (tmp_path / "d").mkdir()
    (tmp_path / "e").mkdir()
    opened, listed = Path.open, os.scandir

    def no_file(self, *arguments):
        if self.name == "c.xml":
            raise FileNotFoundError(errno.ENOENT, "No such file or directory")
        return opened(self, *arguments)

    def no_folder(path):
        if Path(path).name == "d":
            raise PermissionError(errno.EACCES, "Permission denied")
        return listed(path)

    monkeypatch.setattr(Path, "open", no_file)
    monkeypatch.setattr(os, "scandir", no_folder)
    reader = read_records(tmp_path)
    assert len(list(reader)) == 1
    assert list(map(str, reader.summary.refusals)) == [
        f"{tmp_path / 'b.xml'}: it is a link to a file that is not there. Give a record's file.",
        f"{tmp_path / 'c.xml'}: it cannot be read: No such file or directory. It was moved or "
        "deleted in the meantime. Give its new path.",
        f"{tmp_path / 'd'}: it cannot be read: Permission denied. Check its permissions.",
    ]


def test_a_path_that_cannot_be_looked_at(tmp_path):
    with pytest.raises(UnknownFormatError, match=r"cannot be read: File name too long\. Check"):
        read_records(tmp_path / ("x" * 300))


def test_a_link_to_a_folder_is_not_followed(tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "a.xml").write_bytes(xml())
    assert len(list(read_records(tmp_path))) == 1


def test_sources_hash_what_was_read(tmp_path):
    (tmp_path / "a.json").write_bytes(dump([study(), study(), study(title="Another")]))
    first, second, third = (r.source for r in read_records(tmp_path))
    assert first.sha256 == second.sha256 != third.sha256
    assert (first.member, first.name) == ("#1", f"{tmp_path / 'a.json'}!#1")


def only_refusals(path, data: bytes) -> None:
    path.write_bytes(data)
    seen = []
    for record in read_records(path, limits=Limits(), on_refusal=seen.append):
        assert isinstance(record, Record)
        hash(record.trial)
        str(record).encode()
    assert all(isinstance(error, RegistryError) and error.hint for error in seen)


@examples(150, suppress_health_check=list(HealthCheck))
@given(
    st.sampled_from(
        [b"", b"<clinical_study>", b"PK\x03\x04", b"[{", b'{"protocolSection":', b"nctid,"]
    ),
    st.binary(max_size=300),
)
def test_arbitrary_bytes_never_raise(tmp_path_factory, start, data):
    only_refusals(tmp_path_factory.mktemp("any") / "a", start + data)


SHAPES = [
    xml(
        "<eligibility><criteria><textblock>a</textblock></criteria></eligibility><enrollment>1</enrollment>"
    ),
    dump([study(designModule={"phases": ["PHASE1"], "enrollmentInfo": {"count": 1}})]),
    (TOP_HEADER + top_row()).encode(),
]


@examples(200, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(SHAPES), st.data())
def test_mutated_records_never_raise(tmp_path_factory, shape, data):
    changed = bytearray(shape)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(changed) - 1))
        length = data.draw(st.integers(0, 9))
        changed[at : at + length] = data.draw(st.binary(max_size=6))
        if not changed:
            return
    only_refusals(tmp_path_factory.mktemp("any") / "a", bytes(changed))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)


@examples(150, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_a_wrong_type_anywhere_in_a_study_never_raises(tmp_path_factory, data):
    made = study()
    path = data.draw(st.sampled_from([p for f in ALLOWED_FIELDS for p in f.api])).split(".")
    cut = data.draw(st.integers(1, len(path)))
    level = made
    for key in path[: cut - 1]:
        below = level.setdefault(key.removesuffix("[]"), [{}] if key.endswith("[]") else {})
        level = below[0] if isinstance(below, list) else below
    level[path[cut - 1].removesuffix("[]")] = data.draw(JSON)
    only_refusals(tmp_path_factory.mktemp("any") / "a", dump([made]))
