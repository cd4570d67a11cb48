"""The pieces of a trial, and trials without them."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm4top.data.masked_copies import GROUPS
from llm4top.forecasters.reasons.pieces import HEADINGS, filled_sections, pieces_of, without
from llm4top.registry.trial import Intervention, Trial

CRITERIA = "Inclusion Criteria:\n- Adults\n- Able to walk\nExclusion Criteria:\n- Smokers"


def test_every_section_has_a_heading():
    assert HEADINGS.keys() == GROUPS.keys()


def test_lines_items_and_values_are_pieces():
    trial = Trial(
        phase="Phase 2",
        criteria=CRITERIA,
        interventions=(Intervention("one", "Drug"), Intervention("two")),
        planned_enrolment=40,
        has_dmc=True,
    )
    assert filled_sections(trial) == ["phase", "interventions", "criteria", "design"]
    lines = ["Inclusion Criteria:", "Adults", "Able to walk", "Exclusion Criteria:", "Smokers"]
    assert [piece.text for piece in pieces_of(trial, "criteria")] == lines
    assert [piece.text for piece in pieces_of(trial, "interventions")] == ["one", "two"]
    shown = [piece.text for piece in pieces_of(trial, "design")]
    assert shown == ["has dmc yes", "planned enrolment 40"]
    adults, walk = pieces_of(trial, "criteria")[1:3]
    kept = without(trial, [walk, adults]).criteria
    assert kept == "Inclusion Criteria:\nExclusion Criteria:\n- Smokers"
    one, _ = pieces_of(trial, "interventions")
    assert without(trial, [one]).interventions == (Intervention("two"),)
    assert without(trial, []) is trial


def test_long_lines_are_cut_at_sentences_and_short_neighbours_are_joined():
    text = " ".join(f"Sentence number {n} of a long summary without any line." for n in range(20))
    trial = Trial(brief_summary=text)
    assert len(pieces_of(trial, "descriptions", most=100)) == 20
    few = pieces_of(trial, "descriptions", most=4)
    assert len(few) == 4
    assert " ".join(piece.text for piece in few) == text


def test_a_long_line_without_sentences_is_cut_at_its_labels():
    labels = ["PATIENT CHARACTERISTICS: " + "Adults " * 30, "Renal: Creatinine normal"]
    labels += ["Other medical history: None of note", "No heart disease"]
    trial = Trial(criteria=" ".join(labels))
    pieces = [piece.text for piece in pieces_of(trial, "criteria")]
    assert pieces == [labels[0].strip(), labels[1], " ".join(labels[2:])]


@given(st.lists(st.sampled_from(["a b", "- c.", "", "D; e", "f" * 300 + ". g"]), max_size=12))
def test_all_pieces_together_are_the_section(lines):
    trial = Trial(criteria="\n".join(lines) or None, conditions=("x", "y"))
    for section in filled_sections(trial):
        pieces = pieces_of(trial, section, most=5)
        assert section not in filled_sections(without(trial, pieces))
        assert len(pieces) <= 5
        for piece in pieces:
            assert without(trial, [piece]) != trial


@pytest.mark.parametrize("name", ["brief_title", "phase"])
def test_a_short_text_is_one_piece(name):
    trial = replace(Trial(), **{name: "Phase 2"})
    (piece,) = pieces_of(trial, filled_sections(trial)[0])
    assert without(trial, [piece]) == Trial()
