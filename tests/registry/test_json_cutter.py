import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm4top.errors import LimitError, MalformedRecordError, RegistryError, UnknownFormatError
from llm4top.registry import json_cutter
from llm4top.registry.limits import Limits
from llm4top.registry.reader import read_records
from tests.profiles import examples
from tests.registry.builders import dump, study

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
        monkeypatch.setattr(json_cutter, "CHUNK", max(chunk, 200))
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
    "no end": (b'[{"a": "' + b"x" * 21_000_000, "more than 20\u202f000\u202f000 bytes"),
    "blanks in a page": (
        b'{"totalCount":' + b" " * 21_000_000,
        "more than 20\u202f000\u202f000 bytes",
    ),
    "lines in a list": (
        b'{"a":[1,\n' + b'{"b":1},\n' * 2_300_000 + b"1]}",
        "more than 20\u202f000\u202f000 bytes",
    ),
    "too large": (dump([study(x=["y" * 100] * 210_000)]), "more than 20\u202f000\u202f000 bytes"),
    "too many values": (dump([study(x=[0] * 2_000_001)]), "more than 2\u202f000\u202f000 values"),
    "long text": (dump([study(x="y" * 5_000_001)]), "5\u202f000\u202f001 characters"),
}


@pytest.mark.slow
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
    title = rb'"identificationModule": {"briefTitle": "a\u0000b\ud800c"}'
    data = b'{"protocolSection": {%s, "designModule": {"phases": ["NA"]}}}' % title
    path = tmp_path / "a"
    path.write_bytes(data)
    (record,) = read_records(path)
    assert record.trial.brief_title == "a b c"


class Slow(io.BytesIO):
    """A stream that gives few bytes at a time."""

    def __init__(self, data: bytes, chunk: int):
        super().__init__(data)
        self.chunk = chunk

    def read(self, size=-1, /):
        return super().read(min(size, self.chunk))


PAGE = {"studies": STUDIES[:2], "totalCount": 5, "nextPageToken": "x"}
ANSWERS = {
    "pages as lines": (dump(PAGE) + b"\n" + dump({"studies": STUDIES[2:]}), 5),
    "pages, indented": (
        json.dumps(PAGE, indent=2).encode()
        + json.dumps({"studies": STUDIES[2:]}, indent=2).encode(),
        5,
    ),
    "a list of pages": (dump([PAGE, {"studies": STUDIES[2:]}]), 5),
    "a first page": (dump({"totalCount": 4, "studies": STUDIES, "nextPageToken": "x"}), 4),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_every_page_is_read_and_what_is_missing_is_noted(name, tmp_path):
    data, total = ANSWERS[name]
    path = tmp_path / "a.json"
    path.write_bytes(data)
    reader = read_records(path)
    assert [record.nct_id for record in reader] == IDS
    (note,) = reader.summary.notes
    assert str(note) == (
        f"{path}: this file holds 3 of the {total} studies that its search found: {total - 3} "
        "missing, on further pages. Fetch the next pages too (pageToken), or larger ones "
        "(pageSize, at most 1000)."
    )
    assert reader.summary.refusals == []


def test_a_page_with_a_token_and_no_total_is_noted_and_two_whole_searches_are_not(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(dump({"studies": STUDIES, "nextPageToken": "x"}))
    seen = []
    list(read_records(path, on_note=seen.append))
    assert [note.message for note in seen] == [
        "this file holds 3 studies of a search that has further pages; how many are missing is "
        "not said in it."
    ]
    whole = dump({"totalCount": 3, "studies": STUDIES})
    path.write_bytes(whole + dump({"totalCount": 1, "studies": STUDIES[:1]}) + b"\n")
    reader = read_records(path)
    assert (len(list(reader)), reader.summary.noted) == (4, 0)


@pytest.mark.parametrize(
    ("data", "line", "words"),
    [
        (dump({"studies": STUDIES, "fetched": "x"}), 1, "beside the studies stands “fetched”"),
        (dump({"studies": STUDIES})[:-1] + b', "a": }', 1, "broken behind the studies"),
        (dump({"studies": STUDIES}) + b"\ngarbage {", 2, "“garbage” stands where a study should"),
        (dump(STUDIES) + b"]", 1, "“]” stands where a study should"),
        (dump({"studies": STUDIES}) + b"}", 1, "“}” stands where a study should"),
        (b"[/* saved */\n" + dump(STUDIES)[1:], 1, "“/* saved */” stands where"),
        (dump(STUDIES)[:-1] + b"}", 1, "“}” stands where a study should"),
        (dump({"studies": STUDIES})[:-1], 1, "ends in the middle of a study"),
    ],
)
def test_bytes_around_studies_are_never_passed_over(data, line, words, tmp_path):
    found, seen = read(tmp_path / "a", data)
    assert found == IDS
    assert words in str(seen[0])
    assert seen[0].line == line


@pytest.mark.parametrize("cut", [25, 40, -1, -2])
@pytest.mark.parametrize("position", [0, 1, 2])
@pytest.mark.parametrize(("begin", "between", "end"), [(b"", b"\n", b""), (b"[", b",\n", b"]")])
def test_a_line_that_breaks_off_costs_itself_alone(position, cut, begin, between, end, tmp_path):
    lines = [dump(study(i, note='a "quoted" {text}')) for i in IDS]
    lines[position] = lines[position][:cut]
    found, (error, *more) = read(tmp_path / "a", begin + between.join(lines) + end)
    assert found == [i for n, i in enumerate(IDS) if n != position]
    assert not more or (end and position == 2)  # then the list has no end either
    assert error.line == position + 1


def test_a_study_that_breaks_off_before_another_document(tmp_path):
    first = json.dumps(STUDIES[0], indent=2).encode()[:-20]
    found, (error,) = read(
        tmp_path / "a", first + b"\n" + json.dumps(STUDIES[1], indent=2).encode()
    )
    assert found == IDS[1:2]
    assert error.message == "the line ends within a study."


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_a_very_long_line_costs_itself_alone(end, tmp_path, monkeypatch):
    monkeypatch.setattr(json_cutter, "CHUNK", 500)
    data = b"\n".join([dump(STUDIES[0]), dump(study(x="y{[" * 3000)), dump(STUDIES[1])]) + end
    found, (error,) = read(tmp_path / "a", data, Limits(record_bytes=1000))
    assert found == IDS[:2]
    assert (type(error), error.line) == (LimitError, 2)


def test_a_deep_study_costs_itself_alone(tmp_path):
    deep = b'{"a":' * 300 + b"1" + b"}" * 300
    found, (error,) = read(tmp_path / "a", dump(STUDIES[0]) + b"," + deep + dump(STUDIES[1]))
    assert found == IDS[:2]
    assert isinstance(error, LimitError)


def test_a_key_that_appears_twice_is_refused_by_name(tmp_path):
    once = dump(STUDIES[0])
    found, (error,) = read(tmp_path / "a", once[:-1] + b", " + once[1:])
    assert found == []
    assert "the key “protocolSection” appears twice in one object" in str(error)


def test_junk_of_any_size_is_passed_by_without_being_held(tmp_path, monkeypatch):
    monkeypatch.setattr(json_cutter, "CHUNK", 1000)
    held = []
    fill = json_cutter._Cutter._fill
    monkeypatch.setattr(
        json_cutter._Cutter, "_fill", lambda self: held.append(len(self._buffer)) or fill(self)
    )
    junk = b"[1" + b"x" * 100_000 + b' "' + b"y\n" * 100_000 + b'", ' + dump(STUDIES[0]) + b"]"
    found, (error,) = read(tmp_path / "a", junk)
    assert found == IDS[:1]
    assert "“1" + "x" * 39 + "” stands where" in str(error)
    assert max(held) < 10_000


ANSWER = st.tuples(
    st.lists(st.sampled_from(STUDIES), max_size=3),
    st.sampled_from(["study", "list", "page", "lines"]),
    st.sampled_from([None, 0, 1, 4]),
    st.sampled_from([b"", b"\n", b"\r\n", b"\xef\xbb\xbf", b"\n\n"]),
)


def pieces_of(cuts):
    return [found for found in cuts if isinstance(found, json_cutter.Piece)]


def written(answer) -> tuple[bytes, int]:
    studies, layout, indent, behind = answer
    if layout == "list":
        made = [studies]
    elif layout == "page":
        made = [{"totalCount": len(studies), "studies": studies}]
    else:
        made = studies
    between = b"\n" if layout == "lines" else b""
    return between.join(json.dumps(m, indent=indent).encode() for m in made) + behind, len(studies)


@examples(200)
@given(st.lists(ANSWER, min_size=1, max_size=4), st.integers(1, 40))
def test_any_answers_in_one_file_give_all_their_studies(answers, chunk):
    written_ = [written(answer) for answer in answers]
    data = b"".join(part for part, _ in written_)
    cuts = list(json_cutter.cut(Slow(data, chunk), "x", Limits()))
    assert [type(c) for c in cuts] == [json_cutter.Piece] * sum(n for _, n in written_)
    assert all(json.loads(c.data) in STUDIES for c in cuts)


@examples(200)
@given(ANSWER.filter(lambda a: a[0]), st.data())
def test_what_is_cut_off_or_appended_is_never_silent(answer, data):
    whole = written(answer)[0].removesuffix(b"\xef\xbb\xbf").rstrip()
    garbage = data.draw(st.binary(min_size=1, max_size=9))
    cuts = list(json_cutter.cut(Slow(whole + garbage, 50), "x", Limits()))
    assert (
        len(pieces_of(cuts)) < len(cuts)
        or b"{" in garbage
        or not garbage.replace(b"\xef\xbb\xbf", b"").strip(b", \t\r\n\f\x1a\x1e[]")
    )
    end = data.draw(st.integers(1, len(whole) - 1))
    cuts = list(json_cutter.cut(Slow(whole[:end], 50), "x", Limits()))
    # Studies one after the other are whole wherever one ends.
    assert len(pieces_of(cuts)) < len(cuts) or whole[:end].rstrip(b", \r\n")[-1:] == b"}"


@examples(60)
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

    pieces = list(json_cutter.cut(Slow(data, chunk), "x", Limits()))
    assert [json.loads(piece.data) for piece in pieces] == values
    lines = data.split(b"\n")
    assert all(piece.data[:1] in lines[piece.line - 1] for piece in pieces)
