"""Exports: CSV, spreadsheet and report, with hostile text in every cell."""

import csv
import io
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from openpyxl import load_workbook

from llm4top.forecasters.forecast_format import COLUMNS, Forecast
from llm4top.registry.trial import Withheld
from llm4top.text import LONGEST_CELL, safe_cell
from llm4top.workspace.serving.parsing import Refusal
from llm4top.workspace.views.exports import EXPORTS, to_csv, to_html, to_xlsx
from tests.workspace.views.test_portfolio import item

HOSTILE = '<script>alert("x")</script>'


def rows_of(content):
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))


@pytest.mark.parametrize(
    "start",
    ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =1", "\uff1d1+1", "\u00a0=1"],
)
def test_what_could_begin_a_formula_becomes_text(start):
    row = rows_of(to_csv([item(title=start, record=start, nct_id=start, warnings=(start,))]))[0]
    for column in ("title", "record", "nct_id", "warnings"):
        assert row[column].startswith("'")
    sheet = load_workbook(io.BytesIO(to_xlsx([item(title=start, record=start)])))["Forecasts"]
    for cell in (sheet["A2"], sheet["C2"]):
        assert cell.data_type == "s"
        assert cell.quotePrefix


def test_other_text_stays_as_it_is():
    assert safe_cell("Exemplamab = a - b") == "Exemplamab = a - b"
    assert safe_cell("two\nlines\x00") == "two lines "
    assert len(safe_cell("=" + "x" * 2 * LONGEST_CELL)) == LONGEST_CELL


def test_csv_holds_every_column_and_numbers_stay_numbers():
    row = rows_of(to_csv([item(0.25, base=None, lower=None, upper=None, warnings=("a", "b"))]))[0]
    assert list(row) == list(COLUMNS)
    assert row["probability"] == "0.250000"
    assert row["base_rate"] == row["lower"] == ""
    assert row["warnings"] == "a; b"
    assert row["source_sha256"] == "1" * 64


def test_what_got_no_forecast_is_in_every_export():
    left = [
        Refusal("=x.xml", "EmptyError", "is empty", "Drop another.", line=3),
        Refusal("y.xml", "NotApplicable", "a patient registry"),
    ]
    rows = rows_of(to_csv([item()], left))
    assert [row["status"] for row in rows] == ["forecast", "refused", "not applicable"]
    assert rows[1]["record"] == "'=x.xml"
    assert rows[1]["reason"] == "Is empty (line 3). Drop another."
    sheet = load_workbook(io.BytesIO(to_xlsx([item()], left, ["Filtered: 1 of 2"])))
    assert list(sheet["Not forecast"].iter_rows(values_only=True))[1:] == [
        ("=x.xml", "refused", "Is empty (line 3). Drop another."),
        ("y.xml", "not applicable", "A patient registry."),
    ]
    assert ("Filtered: 1 of 2",) in list(sheet["About"].iter_rows(values_only=True))
    page = to_html([item()], left, [HOSTILE]).decode()
    for words in ("<h2>Not forecast</h2>", "A patient registry.", "&lt;script&gt;"):
        assert words in page


def test_csv_without_trials_is_its_header():
    assert to_csv([]).decode() == ",".join(COLUMNS) + "\n"


def test_the_spreadsheet_reads_back():
    book = load_workbook(
        io.BytesIO(to_xlsx([item(0.25), item(0.75, nct_id=None, title="\x0bodd\x01 title")]))
    )
    rows = list(book["Forecasts"].iter_rows(values_only=True))
    names = [name for name in COLUMNS if name not in ("status", "reason")]
    assert rows[0] == tuple(COLUMNS[name] for name in names)
    assert book["Forecasts"].auto_filter.ref.startswith("A1:")
    assert rows[1][names.index("probability")] == 0.25
    assert rows[2][names.index("title")] == " odd  title"
    about = [row[0] for row in book["About"].iter_rows(values_only=True)]
    assert about[0] == "2 forecasts by tiny-0123456789ab"
    assert "A research estimate: not medical or investment advice." in about
    assert about[2].startswith("Expected to succeed, if the trials are independent: 1.0 of 2")


def test_the_report_shows_markup_as_text_and_asks_for_nothing():
    trials = [
        item(0.3, title=HOSTILE, record=HOSTILE, warnings=(HOSTILE,)),
        item(0.8, nct_id="NCT99999902"),
    ]
    page = to_html(trials, made=datetime(2031, 5, 1, 12, 0, tzinfo=UTC)).decode()
    assert "<script" not in page
    assert page.count("&lt;script&gt;") >= 3
    assert "2031-05-01 12:00 UTC" in page
    assert "About 1.1 of 2 trials can be expected to succeed" in page
    assert "not medical or investment advice" in page
    for address in ("http://", "https://", "src=", "@import", "url("):
        assert address not in page.replace("http://www.w3.org/2000/svg", "")


def test_a_report_of_one_trial_has_no_portfolio():
    page = to_html([item(0.3)]).decode()
    assert "Forecasts of 1 trial<" in page
    assert "can be expected" not in page
    assert "About 3 in 10 similar trials succeed." in page


def test_a_report_of_none_is_still_a_page():
    assert "Forecasts of 0 trials" in to_html([]).decode()


@pytest.mark.parametrize("kind", EXPORTS)
def test_every_export_writes_bytes(kind):
    write, media_type = EXPORTS[kind]
    assert write([item(), item(phase=None, sponsor_class=None, title="")])
    assert "/" in media_type


def test_texts_like_errors_stay_texts_in_the_spreadsheet():
    sheet = load_workbook(io.BytesIO(to_xlsx([item(title="#N/A", record="\x01=1+1")])))["Forecasts"]
    assert (sheet["C2"].value, sheet["C2"].data_type) == ("#N/A", "s")
    assert (sheet["A2"].value, sheet["A2"].data_type) == (" =1+1", "s")


def test_a_stored_forecast_comes_back_with_what_was_withheld():
    withheld = (
        Withheld("status", "tells the outcome", "Completed"),
        Withheld("results", "it does"),
    )
    kept = replace(item(), withheld=withheld)
    back = Forecast.from_dict(kept.to_dict())
    assert back == kept
    assert hash(back.withheld) == hash(withheld)
    assert list(back.withheld[1:]) == [withheld[1]]
    assert back.withheld[-1].reason == "it does"
    assert back != replace(item(), withheld=withheld[:1])
