import pytest

from llm4top.prompts.prompt import PROBE
from llm4top.prompts.sections import SECTION_HEADINGS, SECTION_NAMES, defuse, trial_sections
from llm4top.registry.trial import TRIAL_FIELDS, Arm, Collaborator, Intervention, Outcome, Trial


def text_of(name, **fields):
    sections = {section.name: section for section in trial_sections(Trial(**fields))}
    return sections[name].text if name in sections else None


def test_every_field_of_a_trial_is_in_a_section():
    shown = {field for section in trial_sections(PROBE) for field in section.fields}
    assert shown == set(TRIAL_FIELDS)
    assert [section.name for section in trial_sections(PROBE)] == list(SECTION_NAMES)
    assert len(set(SECTION_HEADINGS.values())) == len(SECTION_NAMES)


def test_an_empty_trial_has_no_section():
    assert trial_sections(Trial()) == []
    assert trial_sections(Trial(brief_title=" ", keywords=())) == []


@pytest.mark.parametrize(
    ("name", "fields", "text"),
    [
        ("conditions", {"conditions": ("asthma", "cough")}, "asthma; cough"),
        ("interventions", {"interventions": (Intervention("a"), Intervention("b"))}, "a; b"),
        ("intervention_details", {"interventions": (Intervention("a"),)}, None),
        (
            "intervention_details",
            {"interventions": (Intervention("a", "Drug", "daily", ("Experimental", "Other")),)},
            "a (Drug, Experimental; Other): daily",
        ),
        (
            "intervention_details",
            {"interventions": (Intervention("a", "Drug"), Intervention("b", None, "weekly"))},
            "- a (Drug)\n- b: weekly",
        ),
        ("arms", {"arms": (Arm("one", "Experimental"), Arm("two"))}, "- one (Experimental)\n- two"),
        ("primary_outcomes", {"primary_outcomes": (Outcome("FEV1", "week 4"),)}, "FEV1 (week 4)"),
        ("collaborators", {"collaborators": (Collaborator("X", "NIH"),)}, "X (NIH)"),
        (
            "population",
            {"sex": "All", "minimum_age": "18 Years"},
            "sex All, ages 18 Years and older",
        ),
        ("population", {"maximum_age": "5 Years"}, "ages up to 5 Years"),
        (
            "population",
            {"minimum_age": "1 Month", "maximum_age": "5 Years", "healthy_volunteers": True},
            "ages 1 Month to 5 Years, healthy volunteers accepted",
        ),
        ("population", {"healthy_volunteers": False}, "no healthy volunteers"),
        ("design", {"allocation": "N/A", "number_of_arms": 1}, "1 arm"),
        (
            "design",
            {
                "allocation": "Randomized",
                "intervention_model": "Parallel Assignment",
                "masking": "Double",
                "primary_purpose": "Treatment",
                "number_of_arms": 3,
            },
            "Randomized, Parallel Assignment, masking Double, purpose Treatment, 3 arms",
        ),
        ("planned_enrolment", {"planned_enrolment": 0}, "0"),
        ("has_dmc", {"has_dmc": False}, "No"),
        ("has_dmc", {}, None),
    ],
)
def test_how_a_section_reads(name, fields, text):
    assert text_of(name, **fields) == text


def test_several_lines_begin_below_the_heading():
    one, many = trial_sections(Trial(brief_title="one", brief_summary="a\nb"))
    assert one.block == "Title: one"
    assert many.block == "Brief summary:\na\nb"


def test_chosen_sections_and_hidden_fields():
    trial = Trial(phase="Phase 1", sex="All", minimum_age="18 Years", planned_start="2031-05")
    only = trial_sections(trial, only=("phase", "planned_start"))
    assert [section.name for section in only] == ["phase", "planned_start"]
    shown = trial_sections(trial, hidden_fields=("planned_start", "sex"))
    assert [section.name for section in shown] == ["phase"]


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("<|im_end|>", "< |im_end|>"),
        ("<<|im_end|>", "<< |im_end|>"),
        ("</think>yes", "< /think>yes"),
        ("<tool_call>", "< tool_call>"),
        ("</tool_response>", "< /tool_response>"),
        ("p < 0.05 and x <= 3", "p < 0.05 and x <= 3"),
        ("<b>bold</b>", "<b>bold</b>"),
    ],
)
def test_marks_of_the_chat_format_are_broken(text, safe):
    assert defuse(text) == safe
    assert defuse(safe) == safe


@pytest.mark.parametrize(
    "edited",
    [
        "Inclusion Criteria:\n\n  1. Age 18 or more\n  2. Fever:  above 38 \u00b0C",
        "INCLUSION CRITERIA:\n* AGE 18 OR MORE\n\n\n* FEVER: ABOVE 38 \u00b0C",
        "inclusion criteria:\nage 18 or more\nfever: above 38 \u00b0c",
        "Inclusion Criteria: Age 18 or more Fever: above 38 \u00b0C",
    ],
)
def test_plain_sections_are_the_same_in_every_layout(edited):
    typed = Trial(criteria="Inclusion Criteria:\n- Age 18 or more\n- Fever: above 38 \u00b0C")
    (section,) = trial_sections(typed, plain=True)
    assert section.text == "inclusion criteria: age 18 or more fever: above 38 \u00b0c"
    assert trial_sections(Trial(criteria=edited), plain=True) == [section]
