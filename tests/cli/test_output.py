"""The formats of a forecast."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import replace

import pytest

from llm4top.cli._output import (
    CSV_COLUMNS,
    CsvWriter,
    JsonLinesWriter,
    JsonWriter,
    forecast_dict,
)
from llm4top.forecasters import Forecast, NotApplicable
from llm4top.registry import Record, RegistryOutcome, Source, Trial, Withheld
from llm4top.workspace._cells import harmless_cell

TITLE = "An invented trial of exemplamab"
RECORD = Record(
    nct_id="NCT99999901",
    trial=Trial(phase="Phase 2", brief_title=TITLE),
    registry_outcome=RegistryOutcome(status="Terminated"),
    withheld=(Withheld("overall_status", "tells how the trial went", "Terminated"),),
    source=Source("dump.zip", "NCT9999/NCT99999901.xml", "legacy-xml", "2031-06-02", "ab" * 32),
)
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
)
SEVERAL = replace(
    FORECAST,
    task="reason",
    labels=("enrolment", "efficacy", "safety"),
    probabilities=(0.3, 0.5, 0.2),
    label="efficacy",
    probability=0.5,
    base_rate=0.3,
    base_rates=(0.6, 0.3, 0.1),
)


def rows_of(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))


def csv_row(record: Record = RECORD, forecast: Forecast = FORECAST) -> dict[str, str]:
    stream = io.StringIO()
    writer = CsvWriter(stream)
    writer.write(record, forecast)
    writer.close()
    head, row = rows_of(stream.getvalue())
    assert tuple(head) == CSV_COLUMNS
    return dict(zip(head, row, strict=True))


def test_csv_has_the_documented_columns_and_one_row_a_trial() -> None:
    assert csv_row() == {
        "record": "dump.zip!NCT9999/NCT99999901.xml",
        "nctid": "NCT99999901",
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
        "score": "0.410000",
        "probabilities": '{"failure": 0.377, "success": 0.623}',
        "base_rates": '{"failure": 0.591, "success": 0.409}',
        "warnings": "no phase; text cut to fit: 3 of 9 tokens",
        "withheld": "1",
        "tokens": "300",
        "tokens_cut": "3",
        "bundle": "embedded@1a2b3c",
        "prompt_sha256": "cd" * 32,
        "record_sha256": "ab" * 32,
        "status": "forecast",
        "reason": "",
    }


def test_absent_values_are_empty_cells() -> None:
    gone = {"nct_id": None, "phase": None, "lower": None, "upper": None, "base_rate": None}
    nothing = replace(FORECAST, **gone, warnings=(), base_rates=(), score=None)  # type: ignore[arg-type]
    row = csv_row(replace(RECORD, nct_id=None, trial=Trial()), nothing)
    empty = {name for name, value in row.items() if value == ""}
    absent = {"nctid", "title", "phase", "sponsor_class", "lower", "upper", "base_rate", "score"}
    assert empty == absent | {"base_rates", "warnings", "reason"}


def test_a_record_without_a_number_has_its_reason() -> None:
    stream = io.StringIO()
    CsvWriter(stream).leave_out(NotApplicable("=a.xml", "NCT99999901", "outcome", "a registry."))
    head, row = rows_of(stream.getvalue())
    told = {name: value for name, value in zip(head, row, strict=True) if value}
    assert told == {
        "record": "'=a.xml",
        "nctid": "NCT99999901",
        "task": "outcome",
        "status": "not applicable",
        "reason": "a registry.",
    }


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_no_cell_is_a_formula(start: str) -> None:
    name = f"{start}cmd|' /C calc'!A0.xml"
    row = csv_row(RECORD, replace(FORECAST, record=name, warnings=(name,)))
    assert row["record"] == row["warnings"] == "'" + name.replace("\r", " ").replace("\t", " ")
    assert float(row["probability"]) == 0.623


def test_harmless_cells_stay_as_they_are() -> None:
    assert harmless_cell("a=b") == "a=b"
    assert harmless_cell("") == ""


def test_a_row_is_one_line() -> None:
    stream = io.StringIO()
    CsvWriter(stream).write(RECORD, replace(FORECAST, record="two\r\nlines.xml"))
    assert stream.getvalue().count("\n") == 2
    assert rows_of(stream.getvalue())[1][0] == "two lines.xml"


def test_each_json_line_stands_by_itself() -> None:
    stream = io.StringIO()
    writer = JsonLinesWriter(stream)
    writer.write(RECORD, FORECAST)
    writer.write(RECORD, replace(FORECAST, lower=math.nan))
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert first["nctid"] == "NCT99999901"
    assert first["probabilities"] == {"failure": 0.377, "success": 0.623}
    assert first["withheld"] == 1
    assert first["prompt_sha256"] == "cd" * 32
    assert first["tokens_cut"] == 3
    assert first["source"]["processed"] == "2031-06-02"
    assert first["disclaimer"] == "A research estimate: not medical or investment advice."
    assert set(CSV_COLUMNS) - set(first) == {"record_sha256", "status", "reason"}
    assert first["source"]["sha256"] == "ab" * 32
    assert second["lower"] is None


def test_json_says_what_the_probability_is_of() -> None:
    binary = forecast_dict(RECORD, FORECAST)
    assert (binary["event"], binary["label"]) == ("success", "success")
    assert "most_probable" not in binary
    several = forecast_dict(RECORD, SEVERAL, "first.xml")
    assert several["most_probable"] == "efficacy"
    assert "event" not in several
    assert several["probabilities"] == {"enrolment": 0.3, "efficacy": 0.5, "safety": 0.2}
    assert several["base_rates"] == {"enrolment": 0.6, "efficacy": 0.3, "safety": 0.1}
    assert several["same_trial_as"] == "first.xml"


def test_an_old_encoding_and_a_strange_name_lose_nothing() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="latin-1")
    name = "caf\xe9\udcff.xml"
    writer = JsonLinesWriter(stream)
    writer.write(replace(RECORD, trial=Trial(brief_title="\u03b1-blocker")), FORECAST)
    writer.write(RECORD, replace(FORECAST, record=name))
    first, second = map(json.loads, raw.getvalue().decode("ascii").splitlines())
    assert first["title"] == "\u03b1-blocker"
    assert second["record"].startswith("caf\xe9")
    JsonLinesWriter(io.TextIOWrapper(raw, encoding="utf-8")).write(
        RECORD, replace(FORECAST, record=name)
    )


@pytest.mark.parametrize("count", [0, 1, 3])
def test_json_is_one_document(count: int) -> None:
    stream = io.StringIO()
    writer = JsonWriter(stream)
    for _ in range(count):
        writer.write(RECORD, FORECAST)
    writer.close()
    assert len(json.loads(stream.getvalue())["forecasts"]) == count
