"""The JSON and CSV forms of a forecast, those of version 0.1.0, and their documentation."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from llm4top.errors import WorkspaceError
from llm4top.forecasters.forecast_format import (
    COLUMNS,
    FORMAT,
    Forecast,
    NotApplicable,
)
from llm4top.forecasters.same_trials import mark_same_trials
from llm4top.prompts.prompt import SectionAccount
from llm4top.registry.trial import Withheld

DOCUMENT = Path(__file__).parents[2] / "docs" / "forecast-format.md"

FORECAST = Forecast(
    record="a.xml",
    nct_id="NCT99999901",
    phase="Phase 2",
    task="reason",
    labels=("enrolment", "efficacy", "safety"),
    probabilities=(0.3, 0.5, 0.2),
    label="efficacy",
    probability=0.5,
    lower=None,
    upper=None,
    unit="months",
    median=26.5,
    p10=14.0,
    p90=None,
    base_rate=0.3,
    warnings=("no phase",),
    bundle="tiny-0123456789ab",
    prompt_sha256="cd" * 32,
    tokens=300,
    tokens_cut=3,
    score=0.41,
    base_rates=(0.6, 0.3, 0.1),
    base_rate_of="all",
    adapted_to="enrolment=0.5, efficacy=0.4, safety=0.1",
    target_rate=0.4,
    target_rates=(0.5, 0.4, 0.1),
    unadapted_probability=0.45,
    unadapted_lower=0.4,
    unadapted_upper=0.5,
    unadapted_probabilities=(0.35, 0.45, 0.2),
    parts=(("language", 0.5), ("tfidf", 0.4)),
    title="An invented trial",
    area="skin (L)",
    sponsor_class="Industry",
    withheld=(Withheld("overall_status", "tells how the trial went", "Terminated"),),
    sections=(SectionAccount("phase", "Phase", 6, 5, "Phase 2"),),
    unread=("ICD-10 codes",),
    source_format="legacy-xml",
    source_processed="2031-06-02",
    source_sha256="ab" * 32,
    same_trial_as="first.xml",
    id="0" * 32,
)

STORED_BY_0_1_0 = {
    "record": "a.xml",
    "nct_id": "NCT99999901",
    "phase": "Phase 2",
    "task": "reason",
    "labels": ["enrolment", "efficacy", "safety"],
    "probabilities": [0.3, 0.5, 0.2],
    "label": "efficacy",
    "probability": 0.5,
    "lower": None,
    "upper": None,
    "base_rate": 0.3,
    "warnings": ["no phase"],
    "bundle": "tiny-0123456789ab",
    "prompt_sha256": "cd" * 32,
    "tokens": 300,
    "tokens_cut": 3,
    "score": 0.41,
    "base_rates": [0.6, 0.3, 0.1],
    "base_rate_of": "all",
    "title": "An invented trial",
    "area": "skin (L)",
    "sponsor": "Industry",
    "source_format": "legacy-xml",
    "source_sha256": "ab" * 32,
    "withheld": [
        {"field": "overall_status", "reason": "tells how the trial went", "excerpt": "Terminated"}
    ],
    "sections": [
        {"name": "phase", "heading": "Phase", "text": "Phase 2", "tokens": 6, "kept": 5, "cut": 1}
    ],
    "unread": ["ICD-10 codes"],
}


def test_the_json_form_reads_back() -> None:
    values = json.loads(json.dumps(FORECAST.to_dict()))
    assert Forecast.from_dict(values) == FORECAST
    assert Forecast.from_dict(values, id="1" * 32).id == "1" * 32
    assert values["probabilities"] == {"enrolment": 0.3, "efficacy": 0.5, "safety": 0.2}
    assert values["sections"][0]["cut"] == 1
    assert Forecast.from_dict(FORECAST.to_dict(sections=False)) == replace(FORECAST, sections=())


def test_absent_values_read_back() -> None:
    bare = replace(FORECAST, base_rates=(), base_rate=None, nct_id=None, prompt_sha256=None, id="")
    assert bare.to_dict()["base_rates"] is None
    assert Forecast.from_dict(bare.to_dict()) == bare


def test_what_version_0_1_0_stored_reads_back() -> None:
    new = {"source_processed": None, "same_trial_as": None, "adapted_to": None}
    new |= dict.fromkeys(("target_rate", "unadapted_probability"))
    new |= dict.fromkeys(("unadapted_lower", "unadapted_upper", "unit", "median", "p10", "p90"))
    new |= dict.fromkeys(("target_rates", "unadapted_probabilities", "parts"), ())
    assert Forecast.from_dict(STORED_BY_0_1_0, id="0" * 32) == replace(FORECAST, **new)
    early = {"score", "base_rates", "base_rate_of", "unread"}
    values = {name: value for name, value in STORED_BY_0_1_0.items() if name not in early}
    found = Forecast.from_dict(values)
    assert (found.score, found.base_rates, found.base_rate_of, found.unread) == (None, (), None, ())
    assert found.probabilities == (0.3, 0.5, 0.2)


def test_a_later_format_is_refused() -> None:
    with pytest.raises(WorkspaceError, match=f"format {FORMAT + 1}; this version reads up to"):
        Forecast.from_dict({**FORECAST.to_dict(), "format": FORMAT + 1})


def test_the_row_has_the_columns_in_their_order() -> None:
    row, values = FORECAST.row(), FORECAST.to_dict()
    assert list(row) == list(COLUMNS)
    joined = {"probabilities", "base_rates", "warnings", "withheld"}
    for name in set(row) - joined:
        assert row[name] == values[name], name
    assert json.loads(str(row["probabilities"])) == values["probabilities"]
    assert row["withheld"] == 1


def test_a_record_without_a_number_has_a_row_and_an_object() -> None:
    other = NotApplicable("a.xml", "NCT99999901", "outcome", "a registry.", title="T")
    assert list(other.row()) == list(COLUMNS)
    told = {name: value for name, value in other.row().items() if value is not None}
    assert told == {k: v for k, v in other.to_dict().items() if k != "format"}
    assert told["status"] == "not applicable"


def test_records_of_one_trial_name_the_first() -> None:
    names = [("a", "NCT1"), ("b", None), ("c", "NCT1"), ("d", None), ("e", "NCT2")]
    made = [replace(FORECAST, record=r, nct_id=n, same_trial_as=None) for r, n in names]
    found = [f.same_trial_as for f in mark_same_trials(made, {"NCT2": "z"})]
    assert found == [None, None, "a", None, "z"]


def documented(heading: str) -> list[str]:
    """The names in the first column of the table below a heading."""
    section = DOCUMENT.read_text("utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"^\| `(\w+)` \|", section, flags=re.MULTILINE)


def test_the_documentation_lists_every_key_and_column() -> None:
    assert documented("JSON") == list(FORECAST.to_dict())
    assert documented("CSV") == list(COLUMNS)
    assert f'"format": {FORMAT}' in DOCUMENT.read_text("utf-8")
