"""The table of forecasts for people, on wide and narrow terminals."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from llm4top.cli.console import names_apart, short_name
from llm4top.cli.output import TableWriter
from llm4top.forecasters.forecast_format import Forecast
from tests.cli.test_output import FORECAST, TITLE

SEVERAL = replace(
    FORECAST,
    labels=("enrolment", "efficacy", "safety"),
    probabilities=(0.3, 0.5, 0.2),
    label="efficacy",
    probability=0.5,
    base_rate=0.3,
    base_rates=(0.6, 0.3, 0.1),
)


def table(*forecasts: Forecast, width: int = 100) -> str:
    """The table, its no-break spaces as plain ones."""
    stream = io.StringIO()
    several = len(forecasts[0].labels) > 2
    writer = TableWriter(Console(file=stream, width=width), several=several)
    for forecast in forecasts:
        writer.write(forecast)
    writer.close()
    return stream.getvalue().replace("\xa0", " ")


def test_the_table_is_for_people() -> None:
    lines = table(FORECAST, FORECAST).splitlines()
    assert lines[0].split() == ["Trial", "Phase", "Chance", "Interval", "Base", "rate", "Title"]
    figures = "62 % 51 to 72 % 41 %"
    assert " ".join(lines[1].split()) == f"NCT99999901 2 {figures} {TITLE}"
    assert lines[2:4] == ["  ! no phase", "  ! text cut to fit: 3 of 9 tokens"]
    assert sum(line.startswith("Trial") for line in lines) == 1


@pytest.mark.parametrize("width", [40, 50, 60, 66, 80, 120])
def test_a_narrow_terminal_cuts_the_title_alone(width: int) -> None:
    forecast = replace(FORECAST, lower=0, upper=1, warnings=(), title=TITLE * 9)
    lines = table(forecast, width=width)
    assert max(len(line) for line in lines.splitlines()) <= width
    for whole in ("NCT99999901", " 62 %", "0 to 100 %", "41 %", " 2"):
        assert whole in lines
    assert "\u2026" in lines


@pytest.mark.parametrize("width", [40, 80])
def test_a_long_name_is_folded_and_not_cut(width: int) -> None:
    record = "dir/a-very-long-draft.json!#12"
    text = table(replace(FORECAST, nct_id=None, record=record), width=width)
    first = "".join(line[:11].strip() for line in text.splitlines() if "!" not in line)
    assert "a-very-long-draft.json#12" in first


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("a/b/NCT99999901.xml", "NCT99999901.xml"),
        ("drafts/mine.json!#3", "mine.json#3"),
        ("dump.zip!NCT9999xxxx/x.xml", "x.xml"),
        ("dump.zip!part.json#7", "part.json#7"),
    ],
)
def test_short_names_tell_records_apart(name: str, short: str) -> None:
    assert short_name(name) == short


@pytest.mark.parametrize(
    ("one", "other", "told"),
    [
        ("a/x.xml", "b/y.xml", ("x.xml", "y.xml")),
        ("a/x.json!#1", "b/x.json!#1", ("a/x.json#1", "b/x.json#1")),
        ("a.zip!p/x.xml", "b.zip!p/x.xml", ("a.zip/p/x.xml", "b.zip/p/x.xml")),
        ("a/x.xml", "x.xml", ("a/x.xml", "x.xml")),
        ("x.xml", "x.xml", ("x.xml", "x.xml")),
    ],
)
def test_names_of_two_records_differ(one: str, other: str, told: tuple[str, str]) -> None:
    assert names_apart(one, other) == told


def test_the_number_of_a_record_stays_whole() -> None:
    text = table(replace(FORECAST, nct_id=None, record="draft.json!#12"), width=80)
    assert [line[:11].strip() for line in text.splitlines()[1:3]] == ["draft.json", "#12"]


def test_several_answers_are_named_with_their_base_rates() -> None:
    text = " ".join(table(replace(SEVERAL, warnings=()), width=80).split())
    assert "50 % 51 to 72 % 30 %" in text
    assert (
        "> efficacy is the most probable of: enrolment 30 % (base rate 60 %), efficacy 50 % (base "
        "rate 30 %), safety 20 % (base rate 10 %)"
    ) in text


def test_a_copy_names_the_first() -> None:
    assert "  = the same trial as first.json#1" in table(
        replace(FORECAST, same_trial_as="a/first.json!#1")
    )


def test_a_record_cannot_steer_the_terminal() -> None:
    text = table(replace(FORECAST, title="[red]\x1b[2J\x07 title[/red]"))
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "[red]" in text


@pytest.mark.parametrize(
    ("probability", "shown"), [(0.001, "< 1 %"), (0.999, "> 99 %"), (0.0, "0 %"), (1.0, "100 %")]
)
def test_no_chance_is_rounded_to_certainty(probability: float, shown: str) -> None:
    assert shown in table(replace(FORECAST, probability=probability))
