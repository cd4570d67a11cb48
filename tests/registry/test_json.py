import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm4top.errors import LimitError, MalformedRecordError, RegistryError, UnknownFormatError
from llm4top.registry import Limits, _json, read_records

from .builders import dump, study

IDS = ["NCT90000001", "NCT90000002", "NCT90000003"]
STUDIES = [study(i) for i in IDS]

LAYOUTS = {
    "array": dump(STUDIES),
    "indented array": json.dumps(STUDIES, indent=2).encode(),
    "export": dump({"studies": STUDIES, "nextPageToken": "x"}),
    "export with total": dump({"totalCount": 3, "studies": STUDIES}),
    "lines": b"\n".join(map(dump, STUDIES)),
    "lines with blanks": b"\r\n".join(map(dump, STUDIES)) + b"\r\n\r\n",
    "with mark": b"\xef\xbb\xbf" + dump(STUDIES),
    "one after the other": json.dumps(STUDIES[0], indent=1).encode() * 1
    + dump(STUDIES[1])
    + dump(STUDIES[2]),
}


def read(path, data: bytes, limits: Limits | None = None):
    path.write_bytes(data)
    seen: list[RegistryError] = []
    records = list(read_records(path, limits=limits, on_refusal=seen.append))
    return [record.nct_id for record in records], seen


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("chunk", [1, 7, 64, 1 << 18])
def test_every_layout_at_every_chunk(layout, chunk, tmp_path, monkeypatch):
    if layout != "one after the other":
        monkeypatch.setattr(_json, "CHUNK", max(chunk, 200))
    assert read(tmp_path / "a", LAYOUTS[layout]) == (IDS, [])


def test_one_study(tmp_path):
    assert read(tmp_path / "a", json.dumps(study(), indent=4).encode())[0] == ["NCT90000001"]


@pytest.mark.parametrize(
    ("bad", "kind", "words"),
    [
        (b'{"protocolSection": {"x": nope}}', MalformedRecordError, "the JSON is broken"),
        (b'{"protocolSection": {"x": NaN}}', MalformedRecordError, "NaN"),
        (b'{"protocolSection": {"x": "\xff"}}', MalformedRecordError, "not in UTF-8"),
        (b'{"protocolSection": {"x": 1' + b"0" * 5000 + b"}}", MalformedRecordError, "broken"),
        (b'{"title": "no study"}', UnknownFormatError, "protocolSection"),
        (b"7", MalformedRecordError, "stands where a study should"),
        (b'"text"', MalformedRecordError, "stands where a study should"),
        (b"[[1]]", MalformedRecordError, "“1” stands where a study should"),
        (b'{"protocolSection": []}', MalformedRecordError, "expected an object, found list"),
        (b'{"protocolSection": {}}', MalformedRecordError, "neither an NCT id nor a title"),
    ],
)
def test_neighbours_of_a_bad_study_go_on(bad, kind, words, tmp_path):
    data = b"[" + dump(STUDIES[0]) + b",\n" + bad + b",\n" + dump(STUDIES[1]) + b"]"
    found, (error,) = read(tmp_path / "a", data)
    assert found == IDS[:2]
    assert type(error) is kind
    assert words in str(error)


def test_a_broken_line_costs_itself_alone(tmp_path):
    data = b"\n".join([dump(STUDIES[0]), b'{"protocolSection": {"a": "', dump(STUDIES[1])])
    found, (error,) = read(tmp_path / "a", data)
    assert found == IDS[:2]
    assert error.line == 2


def test_an_error_names_study_line_and_key(tmp_path):
    wrong = study(designModule={"phases": ["PHASE1", 7]})
    data = json.dumps([study(), wrong], indent=1).encode()
    _, (error,) = read(tmp_path / "a.json", data)
    assert str(error).startswith(
        f"{tmp_path / 'a.json'}!#2, protocolSection.designModule.phases[1]: "
        "expected a text, found int."
    )


@pytest.mark.parametrize("data", [b"[", b"{", b'[{"a": "', b'[{"a": 1}', b'{"studies": [{}'])
def test_a_file_that_is_cut_off(data, tmp_path):
    found, seen = read(tmp_path / "a", data)
    assert found == []
    assert any("ends in the middle" in str(e) or "protocolSection" in str(e) for e in seen)


HOSTILE = {
    "deep lists": (b"[" * 1_000_000, "deeper than 256"),
    "deep objects": (b'{"a":' * 1_000_000, "deeper than 256"),
    "no end": (b'[{"a": "' + b"x" * 21_000_000, "more than 20,000,000 bytes"),
    "too large": (dump([study(x=["y" * 100] * 210_000)]), "more than 20,000,000 bytes"),
    "too many values": (dump([study(x=[0] * 2_000_001)]), "more than 2,000,000 values"),
    "long text": (dump([study(x="y" * 5_000_001)]), "5,000,001 characters"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_each_cap_refuses_by_name(name, tmp_path):
    data, words = HOSTILE[name]
    path = tmp_path / "a"
    path.write_bytes(data)
    reader = read_records(path)
    assert list(reader) == []
    assert isinstance(reader.summary.refusals[0], LimitError)
    assert words in str(reader.summary.refusals[0])


def test_a_large_study_costs_itself_alone(tmp_path):
    data = dump([STUDIES[0], study(x="y" * 3000), STUDIES[1]])
    found, (error,) = read(tmp_path / "a", data, Limits(record_bytes=1000))
    assert found == IDS[:2]
    assert "a!#2" in str(error)


def test_control_characters_and_lone_surrogates_are_removed(tmp_path):
    data = rb'{"protocolSection": {"identificationModule": {"briefTitle": "a\u0000b\ud800c"}}}'
    path = tmp_path / "a"
    path.write_bytes(data)
    (record,) = read_records(path)
    assert record.trial.brief_title == "a b c"


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.dictionaries(st.text(max_size=5), st.recursive(
            st.none() | st.booleans() | st.text(max_size=9) | st.integers(),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
            max_leaves=8,
        ), min_size=1),
        max_size=5,
    ),
    st.integers(1, 40),
    st.sampled_from([None, 2]),
)  # fmt: skip
def test_the_cut_finds_what_json_finds(values, chunk, indent):
    data = json.dumps(values, indent=indent).encode()

    class Slow(io.BytesIO):
        def read(self, size=-1, /):
            return super().read(min(size, chunk) if self.tell() else 50)

    pieces = list(_json.cut(Slow(data), "x", Limits()))
    assert [json.loads(piece.data) for piece in pieces] == values
    lines = data.split(b"\n")
    assert all(piece.data[:1] in lines[piece.line - 1] for piece in pieces)
