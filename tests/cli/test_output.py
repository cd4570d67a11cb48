"""The formats of a forecast."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import replace

import pytest
from rich.console import Console

from llm4top.cli._output import (
    CSV_COLUMNS,
    CsvWriter,
    JsonLinesWriter,
    JsonWriter,
    TableWriter,
)
from llm4top.forecasters import Forecast
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
)


def rows_of(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))


def test_csv_has_the_documented_columns_and_one_row_a_trial() -> None:
    stream = io.StringIO()
    writer = CsvWriter(stream)
    writer.write(RECORD, FORECAST)
    writer.close()
    head, row = rows_of(stream.getvalue())
    assert ",".join(head) == (
        "record,nctid,phase,task,probability,lower,upper,base_rate,warnings,bundle"
    )
    assert tuple(head) == CSV_COLUMNS
    assert row == [
        "dump.zip!NCT9999/NCT99999901.xml",
        "NCT99999901",
        "Phase 2",
        "outcome",
        "0.623000",
        "0.510000",
        "0.720000",
        "0.409000",
        "no phase; text cut to fit: 3 of 9 tokens",
        "embedded@1a2b3c",
    ]


def test_absent_values_are_empty_cells() -> None:
    stream = io.StringIO()
    nothing = replace(FORECAST, nct_id=None, phase=None, lower=None, upper=None, base_rate=None)
    CsvWriter(stream).write(
        replace(RECORD, nct_id=None, trial=Trial()), replace(nothing, warnings=())
    )
    assert rows_of(stream.getvalue())[1][1:3] == ["", ""]
    assert rows_of(stream.getvalue())[1][5:9] == ["", "", "", ""]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_no_cell_is_a_formula(start: str) -> None:
    stream = io.StringIO()
    name = f"{start}cmd|' /C calc'!A0.xml"
    CsvWriter(stream).write(RECORD, replace(FORECAST, record=name, warnings=(name,)))
    row = rows_of(stream.getvalue())[1]
    assert row[0] == row[8] == "'" + name.replace("\r", " ").replace("\t", " ")
    assert float(row[4]) == 0.623


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
    assert set(CSV_COLUMNS) <= set(first)
    assert second["lower"] is None


@pytest.mark.parametrize("count", [0, 1, 3])
def test_json_is_one_document(count: int) -> None:
    stream = io.StringIO()
    writer = JsonWriter(stream)
    for _ in range(count):
        writer.write(RECORD, FORECAST)
    writer.close()
    assert len(json.loads(stream.getvalue())["forecasts"]) == count


def table(*forecasts: Forecast, record: Record = RECORD, width: int = 100) -> str:
    stream = io.StringIO()
    writer = TableWriter(Console(file=stream, width=width))
    for forecast in forecasts:
        writer.write(record, forecast)
    writer.close()
    return stream.getvalue()


def test_the_table_is_for_people() -> None:
    lines = table(FORECAST, FORECAST).splitlines()
    assert lines[0].split() == ["Trial", "Phase", "Chance", "Interval", "Base", "rate", "Title"]
    figures = "62 % 51 to 72 % 41 %"
    assert " ".join(lines[1].split()) == f"NCT99999901 2 {figures} {TITLE}"
    assert lines[2:4] == ["  ! no phase", "  ! text cut to fit: 3 of 9 tokens"]
    assert sum(line.startswith("Trial") for line in lines) == 1


def test_the_table_fits_a_narrow_screen() -> None:
    assert max(len(line) for line in table(FORECAST, width=60).splitlines()) <= 66


def test_a_record_cannot_steer_the_terminal() -> None:
    trial = Trial(brief_title="[red]\x1b[2J\x07 title[/red]")
    text = table(FORECAST, record=replace(RECORD, trial=trial))
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "[red]" in text


@pytest.mark.parametrize(
    ("probability", "shown"), [(0.001, "< 1 %"), (0.999, "> 99 %"), (0.0, "0 %"), (1.0, "100 %")]
)
def test_no_chance_is_rounded_to_certainty(probability: float, shown: str) -> None:
    assert shown in table(replace(FORECAST, probability=probability))
