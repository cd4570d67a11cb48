"""Edits of a trial: paths that a person can type, the registry's choices, the leak guard."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm4top.errors import EditError
from llm4top.registry.edit_fields import EDITABLE, LISTS
from llm4top.registry.edits import Edit, apply_edits, numbered_lines
from llm4top.registry.trial import TRIAL_FIELDS, Arm, Intervention, Outcome, Trial

TRIAL = Trial(
    phase="Phase 2",
    conditions=("Asthma",),
    interventions=(Intervention("Drug A", "Drug", None, ("Experimental",)),),
    arms=(Arm("One", "Experimental"), Arm("Two", "Active Comparator")),
    number_of_arms=2,
    masking="Double",
    primary_outcomes=(Outcome("Survival", "1 year"),),
    criteria="Inclusion Criteria:\n- Adults\n- Asthma\nExclusion Criteria:\n- Pregnancy",
    planned_enrolment=100,
)


def edited(*edits: Any) -> Trial:
    return apply_edits(TRIAL, edits).trial


@pytest.mark.parametrize(
    ("edit", "field", "value"),
    [
        ("phase=Phase 3", "phase", "Phase 3"),
        ("phase=3", "phase", "Phase 3"),
        ("phase=PHASE2|PHASE3", "phase", "Phase 2/Phase 3"),
        ("masking=open label", "masking", "None (Open Label)"),
        ("masking=Double (Participant, Investigator)", "masking", None),
        ("allocation=NON_RANDOMIZED", "allocation", "Non-Randomized"),
        ("Purpose = treatment", "primary_purpose", "Treatment"),
        ("model=parallel", "intervention_model", "Parallel Assignment"),
        ("sex=female", "sex", "Female"),
        ("enrollment=1,400", "planned_enrolment", 1400),
        ("minimum age=18 years", "minimum_age", "18 Years"),
        ("max-age=N/A", "maximum_age", None),
        ("healthy_volunteers=yes", "healthy_volunteers", True),
        ("start=May 2031", "planned_start", "2031-05"),
        ("phase=", "phase", None),
        ("conditions=Asthma; COPD", "conditions", ("Asthma", "COPD")),
        ("conditions+=COPD", "conditions", ("Asthma", "COPD")),
        ("conditions-=asthma", "conditions", ()),
        ("endpoints[1].time_frame=2 years", "primary_outcomes", (Outcome("Survival", "2 years"),)),
        ("endpoints-=1", "primary_outcomes", ()),
        ('title="A: new title"', "brief_title", "A: new title"),
    ],
)
def test_a_field_takes_what_a_person_types(edit: str, field: str, value: Any) -> None:
    changed = edited(edit)
    if field == "masking" and value is None:
        value = "Double (Participant, Investigator)"
    assert getattr(changed, field) == value
    others = [name for name in TRIAL_FIELDS if name != field]
    assert [getattr(changed, name) for name in others] == [getattr(TRIAL, n) for n in others]


@pytest.mark.parametrize(
    ("edit", "lines"),
    [
        ("criteria-=3", ["- Adults", "- Pregnancy"]),
        ("criteria-=Asthma", ["- Adults", "- Pregnancy"]),
        ("criteria[3]=Severe asthma", ["- Adults", "- Severe asthma", "- Pregnancy"]),
        ("criteria+=Smoking", ["- Adults", "- Asthma", "- Pregnancy", "- Smoking"]),
        ("criteria[2]+=Consent", ["- Adults", "- Consent", "- Asthma", "- Pregnancy"]),
    ],
)
def test_criteria_are_edited_by_line(edit: str, lines: list[str]) -> None:
    changed = edited(edit)
    assert [line for line in numbered_lines(changed, "criteria") if line[0] == "-"] == lines
    assert TRIAL.criteria is not None
    assert "Severe" not in TRIAL.criteria


def test_edits_follow_each_other_by_the_numbers_that_are_left() -> None:
    assert edited("criteria-=2", "criteria-=2").criteria == (
        "Inclusion Criteria:\nExclusion Criteria:\n- Pregnancy"
    )


def test_items_are_edited_by_part_and_added_whole() -> None:
    changed = edited(
        "interventions[1].name=Drug B", 'arms+={"label": "Three", "role": "placebo comparator"}'
    )
    assert changed.interventions[0].name == "Drug B"
    assert changed.arms[2] == Arm("Three", "Placebo Comparator")
    assert changed.number_of_arms == 3


def test_a_role_that_no_arm_has_any_more_is_not_kept_by_interventions() -> None:
    changed = edited("arms[1].role=Placebo Comparator")
    assert changed.interventions[0].arm_roles == ("Placebo Comparator",)
    assert changed.number_of_arms == 2


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (
            "phase=Phase 9",
            r"phase: 'Phase 9' is not a choice of the registry. Choose one of: Early",
        ),
        ("masking=somewhat", r"masking: 'somewhat' is not a choice.*None \(Open Label\), Single"),
        ("arms[1].role=boss", r"arms\[1\].role: 'boss' is not a choice.*Experimental, Active"),
        ("enrollment=many", "planned_enrolment: 'many' is not a whole number. Write it in digits"),
        ("enrollment=99999999999", "planned_enrolment: 99999999999 is too large. 10000000 is"),
        ("minimum_age=18", "minimum_age: '18' is not an age. Write it with its unit.*18 Years"),
        ("has_dmc=maybe", "has_dmc: 'maybe' is neither yes nor no. Write yes or no."),
        ("start=soon", "planned_start: 'soon' is not a date. Write it as May 2031"),
        ("criteria-=9", "criteria: there is no line 9; the last is 5."),
        ("arms[3].label=x", r"arms\[3\].label: there is no item 3; the last is 2."),
        ("arms[1].colour=red", "arms: an item has no 'colour'. Its parts are label, role"),
        ("criteria-=Nothing like it", "criteria: no line reads 'Nothing like it'. Give its number"),
        ("phase+=Phase 3", "phase: it has one value, not a list. Write phase=VALUE."),
        ("criteria+=", r"criteria: there is nothing to add."),
        ("arms.label=x", r"arms.label: a part is of one item. Write arms\[1\].label=VALUE."),
        ("status=Completed", "'status': a trial has no such field that can be changed. The fields"),
        ("why_stopped=x", "a trial has no such field"),
        ("no edit", "edit: 'no edit' is no edit. Write FIELD=VALUE"),
        ({"path": 3}, "edit: 3 is no path."),
        ({"path": "phase", "operation": "drop"}, "edit: 'drop' is no operation. Use set, add or"),
        (7, "edit: 7 is no edit."),
    ],
)
def test_errors_name_the_field_and_what_is_allowed(edit: Any, message: str) -> None:
    with pytest.raises(EditError, match=message):
        edited(edit)


def test_a_sentence_that_tells_the_outcome_is_withheld_as_in_a_record() -> None:
    found = apply_edits(TRIAL, ["summary=A trial of drug A.", "summary+=It met no aim.",
                                "summary+=The primary endpoint was met."])  # fmt: skip
    assert found.trial.brief_summary == "A trial of drug A.\nIt met no aim."
    assert [item.field for item in found.withheld] == ["brief_summary"]
    assert "met its aim" in found.withheld[0].reason


def test_every_allowed_field_can_be_edited_and_nothing_else() -> None:
    assert tuple(EDITABLE) == TRIAL_FIELDS


@pytest.mark.parametrize(
    "text", ["phase=Phase 3", "criteria-=3", "criteria[3]=x", "arms[1].label=y"]
)
def test_an_edit_is_json_and_text_and_back(text: str) -> None:
    edit = Edit.parse(text)
    assert edit.text == text
    assert Edit.from_dict(json.loads(json.dumps(edit.to_dict()))) == edit


@given(
    st.sampled_from(sorted(EDITABLE)),
    st.one_of(st.text(max_size=30), st.integers(), st.booleans(), st.none()),
)
def test_any_value_gives_a_trial_or_an_error_that_names_the_field(name: str, value: Any) -> None:
    before, refused = TRIAL.to_dict(), None
    try:
        trial = apply_edits(TRIAL, [Edit(name, "set", value)]).trial
    except EditError as error:
        refused, trial = error, TRIAL
    assert TRIAL.to_dict() == before
    assert Trial.from_dict(trial.to_dict()) == trial
    if refused is not None:
        assert (refused.where or "").startswith(name)
    elif value is None:
        assert getattr(trial, name) in ((), None)


def test_lists_are_what_can_be_added_to() -> None:
    assert {EDITABLE[name].kind in LISTS for name in ("criteria", "arms", "keywords")} == {True}
    assert EDITABLE["phase"].kind not in LISTS
