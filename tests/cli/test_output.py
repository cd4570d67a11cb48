"""The formats of a forecast."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import replace

import pytest

from llm4top.cli.output import CsvWriter, JsonLinesWriter, JsonWriter
from llm4top.forecasters.forecast_format import COLUMNS, Forecast, NotApplicable
from llm4top.registry.trial import Withheld
from llm4top.text import safe_cell

TITLE = "An invented trial of exemplamab"
FORECAST = Forecast(
    record="dump.zip!NCT9999/NCT99999901.xml",
    nct_id="NCT99999901",
    phase="Phase 2",
    task="outcome",
    labels=("failure", "success"),
    probabilities=(0.377, 0.623),
    label="success",
    probability=0.623,
    lower=0.51,
    upper=0.72,
    base_rate=0.409,
    warnings=("no phase", "text cut to fit: 3 of 9 tokens"),
    bundle="embedded@1a2b3c",
    prompt_sha256="cd" * 32,
    tokens=300,
    tokens_cut=3,
    score=0.41,
    base_rates=(0.591, 0.409),
    base_rate_of="Phase 2",
    title=TITLE,
    withheld=(Withheld("overall_status", "tells how the trial went", "Terminated"),),
    source_format="legacy-xml",
    source_processed="2031-06-02",
    source_sha256="ab" * 32,
)


QUANTITY = ("unit", "median", "p10", "p90")
ADAPTED = [name for name in COLUMNS if name.startswith(("adapted", "target", "unadapted"))]


def rows_of(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))


def csv_row(forecast: Forecast = FORECAST) -> dict[str, str]:
    stream = io.StringIO()
    writer = CsvWriter(stream)
    writer.write(forecast)
    writer.close()
    head, row = rows_of(stream.getvalue())
    assert head == list(COLUMNS)
    return dict(zip(head, row, strict=True))


def test_csv_has_the_documented_columns_and_one_row_a_trial() -> None:
    assert csv_row() == {
        "record": "dump.zip!NCT9999/NCT99999901.xml",
        "nct_id": "NCT99999901",
        "title": TITLE,
        "phase": "Phase 2",
        "area": "unknown",
        "sponsor_class": "",
        "task": "outcome",
        "label": "success",
        "probability": "0.623000",
        "lower": "0.510000",
        "upper": "0.720000",
        "base_rate": "0.409000",
        "base_rate_of": "Phase 2",
        **dict.fromkeys(QUANTITY, ""),
        **dict.fromkeys(ADAPTED, ""),
        "score": "0.410000",
        "probabilities": '{"failure": 0.377, "success": 0.623}',
        "base_rates": '{"failure": 0.591, "success": 0.409}',
        "warnings": "no phase; text cut to fit: 3 of 9 tokens",
        "withheld": "1",
        "tokens": "300",
        "tokens_cut": "3",
        "bundle": "embedded@1a2b3c",
        "prompt_sha256": "cd" * 32,
        "source_sha256": "ab" * 32,
        "same_trial_as": "",
        "status": "forecast",
        "reason": "",
    }


def test_absent_values_are_empty_cells() -> None:
    gone = {"nct_id": None, "phase": None, "lower": None, "upper": None, "base_rate": None}
    gone |= {"base_rate_of": None, "score": None}
    nothing = replace(FORECAST, **gone, warnings=(), base_rates=(), title="")  # type: ignore[arg-type]
    row = csv_row(nothing)
    empty = {name for name, value in row.items() if value == ""}
    absent = {"nct_id", "title", "phase", "sponsor_class", "lower", "upper", "base_rate", "score"}
    absent |= {
        "base_rate_of",
        "base_rates",
        "warnings",
        "same_trial_as",
        "reason",
        *ADAPTED,
        *QUANTITY,
    }
    assert empty == absent


def test_a_number_below_zero_is_a_number() -> None:
    row = csv_row(replace(FORECAST, score=-1.5, probability=1e-9))
    assert (row["score"], row["probability"]) == ("-1.500000", "0.000000")


def test_a_record_without_a_number_has_its_reason() -> None:
    stream = io.StringIO()
    CsvWriter(stream).leave_out(NotApplicable("=a.xml", "NCT99999901", "outcome", "a registry."))
    head, row = rows_of(stream.getvalue())
    told = {name: value for name, value in zip(head, row, strict=True) if value}
    assert told == {
        "record": "'=a.xml",
        "nct_id": "NCT99999901",
        "task": "outcome",
        "status": "not applicable",
        "reason": "a registry.",
    }


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_no_cell_is_a_formula(start: str) -> None:
    name = f"{start}cmd|' /C calc'!A0.xml"
    row = csv_row(replace(FORECAST, record=name, warnings=(name,)))
    assert row["record"] == row["warnings"] == "'" + name.replace("\r", " ").replace("\t", " ")
    assert float(row["probability"]) == 0.623


def test_harmless_cells_stay_as_they_are() -> None:
    assert safe_cell("a=b") == "a=b"
    assert safe_cell("") == ""


def test_a_row_is_one_line() -> None:
    stream = io.StringIO()
    CsvWriter(stream).write(replace(FORECAST, record="two\r\nlines.xml"))
    assert stream.getvalue().count("\n") == 2
    assert rows_of(stream.getvalue())[1][0] == "two lines.xml"


def test_each_json_line_stands_by_itself() -> None:
    stream = io.StringIO()
    writer = JsonLinesWriter(stream)
    writer.write(FORECAST)
    writer.write(replace(FORECAST, lower=math.nan))
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert first["nct_id"] == "NCT99999901"
    assert first["probabilities"] == {"failure": 0.377, "success": 0.623}
    assert [item["field"] for item in first["withheld"]] == ["overall_status"]
    assert first["prompt_sha256"] == "cd" * 32
    assert first["tokens_cut"] == 3
    assert first["source_processed"] == "2031-06-02"
    assert first["disclaimer"] == "A research estimate: not medical or investment advice."
    assert set(COLUMNS) <= set(first)
    assert first["sections"] == []
    assert second["lower"] is None


def test_an_old_encoding_and_a_strange_name_lose_nothing() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="latin-1")
    name = "caf\xe9\udcff.xml"
    writer = JsonLinesWriter(stream)
    writer.write(replace(FORECAST, title="\u03b1-blocker"))
    writer.write(replace(FORECAST, record=name))
    first, second = map(json.loads, raw.getvalue().decode("ascii").splitlines())
    assert first["title"] == "\u03b1-blocker"
    assert second["record"].startswith("caf\xe9")
    JsonLinesWriter(io.TextIOWrapper(raw, encoding="utf-8")).write(replace(FORECAST, record=name))


@pytest.mark.parametrize("count", [0, 1, 3])
def test_json_is_one_document(count: int) -> None:
    stream = io.StringIO()
    writer = JsonWriter(stream)
    for _ in range(count):
        writer.write(FORECAST)
    writer.close()
    assert len(json.loads(stream.getvalue())["forecasts"]) == count
