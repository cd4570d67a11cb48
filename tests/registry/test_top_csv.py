import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm4top.errors import LimitError, MalformedRecordError, UnknownFormatError
from llm4top.registry.limits import Limits
from llm4top.registry.reader import read_records
from llm4top.registry.trial import Intervention
from tests.profiles import examples
from tests.registry.builders import TOP_HEADER, top_row


def read(path, text: str | bytes, limits: Limits | None = None):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    reader = read_records(path, limits=limits)
    return list(reader), reader.summary.refusals


def test_a_row(tmp_path):
    (record,), _ = read(tmp_path / "phase_I.csv", TOP_HEADER + top_row())
    trial, outcome = record.trial, record.registry_outcome
    assert trial.phase == "Phase 1/Phase 2"
    assert trial.conditions == ("gout", "arthritis")
    assert trial.icd_codes == ("M10.9", "M1A")
    assert trial.interventions == (Intervention("inventumab"),)
    assert trial.smiles == ("CCO", "CCN")
    assert trial.criteria == "Inclusion Criteria:\n- Gout for at least a year"
    assert (outcome.status, outcome.why_stopped, outcome.label) == (
        "Terminated", "slow accrual", "0",
    )  # fmt: skip
    assert {w.field for w in record.withheld} == {"nctid", "status", "why_stop", "label"}
    assert (record.source.format, record.source.member) == ("top-csv", "#1")


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ({"nctid": "NCT1"}, "is not an NCT id"),
        ({"diseases": "gout"}, "diseases: the cell is not a list"),
        ({"diseases": "__import__('os').abort()"}, "diseases: the cell is not a list"),
        ({"diseases": "[" * 5000}, "diseases: the cell is not a list"),
        ({"drugs": "[1]"}, "drugs: the list holds more than texts"),
        ({"icdcodes": "['x']"}, "icdcodes: the cell is not a list"),
        ({"label": '0","1'.replace('"', "")}, None),
    ],
)
def test_a_bad_row_costs_itself_alone(cells, words, tmp_path):
    text = TOP_HEADER + top_row(**cells) + top_row(nctid="NCT90000002")
    records, refusals = read(tmp_path / "a.csv", text)
    assert records[-1].nct_id == "NCT90000002"
    if words is None:
        assert refusals == []
    else:
        (error,) = refusals
        assert isinstance(error, MalformedRecordError)
        assert words in str(error)
        assert "a.csv!#1, line 2" in str(error)


def test_a_row_with_too_few_cells(tmp_path):
    records, (error,) = read(tmp_path / "a.csv", TOP_HEADER + "a,b\n" + top_row())
    assert len(records) == 1
    assert "the row has 2 cells, the header 10" in str(error)


def test_bytes_that_are_no_utf8_cost_their_row(tmp_path):
    text = (TOP_HEADER + top_row(why_stop="@") + top_row()).encode().replace(b"@", b"\xff")
    records, (error,) = read(tmp_path / "a.csv", text)
    assert len(records) == 1
    assert "why_stop: the row is not in UTF-8" in str(error)


def test_a_mark_and_windows_line_ends(tmp_path):
    text = b"\xef\xbb\xbf" + (TOP_HEADER + top_row()).encode().replace(b"\n", b"\r\n")
    records, refusals = read(tmp_path / "a.csv", text)
    assert (len(records), refusals) == (1, [])


def test_a_broken_header(tmp_path):
    _, (error,) = read(tmp_path / "a.csv", 'nctid,"status"x,phase\n')
    assert type(error).__name__ == "MalformedRecordError"
    assert "a.csv, line 1" in str(error)


def test_a_csv_of_another_kind(tmp_path):
    _, (error,) = read(tmp_path / "a.csv", "nctid,title\nNCT90000001,a\n")
    assert isinstance(error, UnknownFormatError)
    assert "no column phase, diseases" in str(error)


HEADERS = {
    "other spellings": "NCT Number,Status,Why Stop,Label,Phase,Diseases,ICD-Codes,Drugs,SMILES,"
    "Criteria\n",
    "marked for Excel": "sep=,\r\n" + TOP_HEADER,
    "after a blank line": "\n" + TOP_HEADER,
    "quoted": ",".join(f'"{name}"' for name in TOP_HEADER.strip().split(",")) + "\n",
}


@pytest.mark.parametrize("name", HEADERS)
def test_headers_as_programs_write_them(name, tmp_path):
    (record,), refusals = read(tmp_path / "a.csv", HEADERS[name] + top_row())
    assert refusals == []
    assert (record.trial.smiles, record.registry_outcome.label) == (("CCO", "CCN"), "0")


@examples(100)
@given(st.data())
def test_a_csv_that_is_cut_off_or_appended_to_is_never_silent(tmp_path_factory, data):
    ids = [f"NCT9000000{n}" for n in range(3)]
    whole = (TOP_HEADER + "".join(top_row(nctid=i) for i in ids)).encode()
    path = tmp_path_factory.mktemp("any") / "a.csv"
    end = data.draw(st.integers(len(TOP_HEADER) + 1, len(whole) - 2))
    records, refusals = read(path, whole[:end])
    # A file cannot tell that rows are missing behind a whole one.
    assert refusals or whole[:end].rstrip().endswith(b'a year"')
    assert [record.nct_id for record in records] == ids[: len(records)]
    garbage = data.draw(st.binary(min_size=1, max_size=9).filter(lambda b: b.strip(b" \r\n")))
    records, refusals = read(path, whole + garbage)
    assert refusals


HOSTILE = {
    "long cell": (top_row(criteria="x" * 200_000), None, "longer than 131\u202f072"),
    "lower cap": (top_row(criteria="x" * 200), Limits(csv_field=100), "has 200 characters"),
    "no closing quote": ('"' + "x\n" * 200_000, None, "longer than 131\u202f072"),
    "no line end": ("x" * 21_000_000, None, "a line has more than 20\u202f000\u202f000 bytes"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_each_cap_refuses_by_name(name, tmp_path):
    text, limits, words = HOSTILE[name]
    path = tmp_path / "a.csv"
    path.write_bytes((TOP_HEADER + text).encode())
    reader = read_records(path, limits=limits)
    assert list(reader) == []
    assert isinstance(reader.summary.refusals[0], LimitError)
    assert words in str(reader.summary.refusals[0])


def test_the_benchmarks_files(test_data):
    reader = read_records(sorted((test_data / "top").glob("phase_*.csv")))
    records = list(reader)
    assert reader.summary.skipped == 0
    assert len(records) == 3201
    assert {r.registry_outcome.label for r in records} == {"0", "1"}
    assert "S1SSSSSSS1" not in {smiles for r in records for smiles in r.trial.smiles}
    assert "Phase 1/Phase 2" in {r.trial.phase for r in records}


def test_a_servers_answer_and_the_stand_in_are_no_structures(tmp_path):
    path = tmp_path / "a.csv"
    smiles = "['CCO', 'Status: 503; Status: 503', 'S1SSSSSSS1', 'C/C=C\\\\C', '[Na+].[Cl-]']"
    path.write_text(TOP_HEADER + top_row(smiless=smiles))
    (record,) = read_records(path)
    assert record.trial.smiles == ("CCO", "C/C=C\\C", "[Na+].[Cl-]")
