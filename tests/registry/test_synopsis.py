"""Synopses of different shape: what is read, what it came from, and what was left for a person."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from llm4top.registry.draft import Draft
from llm4top.registry.synopsis import Synopsis
from llm4top.registry.trial import Arm, Intervention, Outcome
from tests.registry.documents import SYNOPSES, pdf_file, word_file


def synopsis_of(draft: Draft) -> Synopsis:
    assert draft.synopsis is not None
    return draft.synopsis


def doubts(draft: Draft) -> dict[str | None, str]:
    return {item.field: item.why for item in synopsis_of(draft).unread}


def test_numbered_headings() -> None:
    draft = Draft.from_file(SYNOPSES / "numbered.txt")
    trial = draft.trial
    assert trial.phase == "Phase 2"
    assert trial.brief_title == (
        "A randomised, double-blind, placebo-controlled study of exemplamab in adults with "
        "moderate asthma"
    )
    assert trial.interventions == (
        Intervention(
            "Exemplamab", None, "Exemplamab 150 mg, injected under the skin every four weeks"
        ),
        Intervention("Placebo", None, "Placebo, injected under the skin every four weeks"),
    )
    assert (trial.allocation, trial.intervention_model, trial.masking) == (
        "Randomized",
        "Parallel Assignment",
        "Double",
    )
    assert trial.primary_outcomes == (
        Outcome("Change from baseline in FEV1 before bronchodilator", "week 24"),
    )
    assert [item.measure for item in trial.secondary_outcomes] == [
        "Rate of asthma exacerbations over 24 weeks",
        "Change from baseline in the score of the asthma control questionnaire",
    ]
    assert trial.criteria == (
        "Inclusion Criteria:\n- Asthma diagnosed by a physician at least one year ago\n"
        "- Inhaled steroids at a stable dose for three months\n- Written informed consent\n"
        "Exclusion Criteria:\n- Current smoker\n- Any other chronic lung disease"
    )
    assert (trial.minimum_age, trial.maximum_age, trial.sex) == ("18 Years", "75 Years", "All")
    assert trial.planned_enrolment == 180


def test_nothing_is_guessed_silently() -> None:
    draft = Draft.from_file(SYNOPSES / "numbered.txt")
    (phase,) = [item for item in synopsis_of(draft).readings if item.field == "phase"]
    assert (phase.source, phase.where) == ("Phase IIb", "line 10, “Phase”")
    assert phase.note == "“Phase IIb” is Phase 2"
    assert doubts(draft)["sponsor_class"] == (
        "a forecast uses the class of the sponsor, never its name. "
        "Choose one of: Industry, NIH, U.S. Fed, Other."
    )
    assert doubts(draft)["planned_start"] == "“Q3 2031” is no month or day."
    assert draft.trial.sponsor_class is None
    assert draft.trial.planned_start is None
    assert {"sponsor_class", "planned_start", "arms"} <= set(draft.missing)
    assert "EX-0042" not in draft.to_json()
    assert "Invented Biotherapeutics" not in draft.to_json()


def test_headings_before_colons() -> None:
    draft = Draft.from_file(SYNOPSES / "colons.txt")
    trial = draft.trial
    assert trial.phase == "Phase 2/Phase 3"
    assert trial.interventions == (
        Intervention("Testamol", "Drug", "Testamol 40 mg tablet once daily"),
    )
    assert [item.measure for item in trial.secondary_outcomes] == [
        "Share of participants with half as many migraine days"
    ]
    assert "- Age: 18 years or older" in (trial.criteria or "")
    assert (trial.has_dmc, trial.sponsor_class, trial.planned_start) == (
        True,
        "Industry",
        "2031-03",
    )
    assert trial.planned_enrolment is None
    assert doubts(draft)["planned_enrolment"] == "it names several numbers: 60, 240."
    (other,) = [item for item in synopsis_of(draft).unread if item.field is None]
    assert (other.where, other.why) == ("line 25, “Stopping rules”", "no known heading")


@pytest.mark.slow
def test_a_table_of_a_word_file(tmp_path: Path) -> None:
    draft = Draft.from_file(word_file(tmp_path / "synopsis.docx"))
    trial = draft.trial
    assert trial.brief_title == "Placebase in people with early gout"
    assert trial.phase == "Phase 3"
    assert trial.conditions == ("Gout", "Hyperuricaemia")
    assert trial.arms == (
        Arm("Placebase", "Experimental", "10 mg a day"),
        Arm("Placebo", "Placebo Comparator"),
    )
    assert trial.number_of_arms == 2
    assert trial.primary_outcomes == (Outcome("Serum urate below 6 mg/dl", "month 6"),)
    assert (trial.minimum_age, trial.maximum_age, trial.sex) == ("40 Years", "80 Years", "All")
    assert (trial.planned_enrolment, trial.sponsor_class, trial.has_dmc) == (1200, "NIH", False)
    assert trial.masking is None
    assert doubts(draft)["masking"].startswith(
        "the design names None (Open Label) and Double. Choose one of: None (Open Label), Single"
    )
    places = {item.field: item.where for item in synopsis_of(draft).readings}
    assert places["phase"] == "table 1, row 2, “Clinical phase”"
    assert places["criteria"] == "table 1, row 8, “Key inclusion criteria”"


@pytest.mark.slow
def test_a_pdf_is_read_as_its_text_is(tmp_path: Path) -> None:
    text = (SYNOPSES / "colons.txt").read_text()
    draft = Draft.from_file(pdf_file(tmp_path / "synopsis.pdf", text.splitlines()))
    assert draft.trial == Draft.from_text(text).trial
    assert synopsis_of(draft).readings[0].where == "page 1, line 1, “Study title”"


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ("Phase: 1b/2a", "phase", "Phase 1/Phase 2"),
        ("PHASE\nA Phase III study", "phase", "Phase 3"),
        ("Phase: Phase 2 or Phase 3", "phase", None),
        ("Phase: Phase I/III", "phase", None),
        ("Design: not randomised", "allocation", "Non-Randomized"),
        ("Blinding: double-blind", "masking", "Double"),
        ("Sex: women only", "sex", "Female"),
        ("Population: at least 12 years old", "minimum_age", "12 Years"),
        ("Age: 6 to 18 months", "maximum_age", "18 Months"),
        ("Healthy volunteers: No", "healthy_volunteers", False),
        ("Sample size: N = 48 (24 per arm)", "planned_enrolment", 48),
        ("Sample size: 1 200 patients, power 80 %", "planned_enrolment", 1200),
        ("Comparator: not applicable", "interventions", ()),
        ("Interventions: 10 mg a day", "interventions", ()),
        ("Endpoints: survival", "primary_outcomes", ()),
    ],
)
def test_what_a_section_says(text: str, field: str, value: object) -> None:
    draft = Draft.from_text(f"Title: A\n{text}")
    assert getattr(draft.trial, field) == value
    if value is None or (value == () and "not applicable" not in text):
        assert field in doubts(draft)


def test_two_sections_that_disagree_leave_the_field_empty() -> None:
    draft = Draft.from_text("Title: A\nPhase: 2\nStudy phase: 3\n")
    assert draft.trial.phase is None
    assert doubts(draft)["phase"] == "the synopsis says “Phase 2” and “Phase 3”"


def test_a_text_without_headings_is_all_listed() -> None:
    draft = Draft.from_text("A study of exemplamab.\nIt takes a year.")
    assert synopsis_of(draft).readings == ()
    (item,) = synopsis_of(draft).unread
    assert item.source == "A study of exemplamab.\nIt takes a year."
    assert item.why == "it stands before the first heading"


@pytest.mark.parametrize(
    "text",
    [
        "Arms: " + "(" * 150_000,
        "Primary endpoint: " + "[time frame: " * 10_000,
        "Inclusion criteria:\n" + "1) a " * 30_000,
        "Endpoints:\nPrimary: a" + " " * 190_000 + "b [",
    ],
    ids=lambda text: text[:10],
)
def test_a_hostile_text_takes_no_longer_than_others(text: str) -> None:
    start = time.process_time()
    Draft.from_text(f"Title: A\n{text}")
    assert time.process_time() - start < 5
