"""Awkward records, each standing for its kind: the values that are read of them."""

import pytest

from llm4top.registry.reader import read_records
from llm4top.registry.trial import Trial
from llm4top.registry.withheld_reasons import UNKNOWN as UNKNOWN_ELEMENT
from tests.registry.builders import dump, study, xml
from tests.registry.test_cases import CASES

NCT = "NCT09000001"


def trial_of(name: str) -> Trial:
    (record,) = read_records(CASES / name)
    return record.trial


@pytest.mark.parametrize(
    ("file", "phase"),
    [
        ("a08_dup__input.json", "Phase 2"),
        ("a08_rev__input.json", "Phase 1/Phase 2"),
        ("a08_roman__input.json", "Phase 2"),
        ("b10_nospace__input.xml", "Phase 1/Phase 2"),
        ("b10_rom__input.xml", "Phase 2"),
        ("b10_slash__input.xml", "Phase 1/Phase 2"),
        ("b10_v2__input.xml", "Phase 2"),
        ("b10_v2pipe__input.xml", "Phase 2/Phase 3"),
        ("c13_pipe__input.csv", "Phase 1/Phase 2"),
        ("c13_rom__input.csv", "Phase 2"),
        ("c13_v2__input.csv", "Phase 2"),
    ],
)
def test_phase_other_spellings(file, phase):
    assert trial_of(f"phase-other-spellings/{file}").phase == phase


@pytest.mark.parametrize(
    ("number", "masking"),
    [
        (1, "Double (Participant, Investigator)"),
        (2, "Double"),
        (3, "Double (Participant, Investigator)"),
        (4, "Single (Outcomes Assessor)"),
        (5, "Quadruple (Participant, Care Provider, Investigator, Outcomes Assessor)"),
        (6, "Quadruple (Participant, Care Provider, Investigator, Outcomes Assessor)"),
    ],
)
def test_xml_2017_masking_words(number, masking):
    assert trial_of(f"xml-2017-masking-words/b19_old{number}__input.xml").masking == masking


def test_xml_before_2017_design():
    trial = trial_of("xml-before-2017-design/input.xml")
    assert (trial.allocation, trial.intervention_model, trial.masking, trial.primary_purpose) == (
        "Randomized",
        "Parallel Assignment",
        "Double (Participant, Investigator)",
        "Treatment",
    )


def test_xml_firstreceived_date():
    (record,) = read_records(CASES / "xml-firstreceived-date" / "input.xml")
    assert record.registry_outcome.first_submitted == "2031-05-12"


@pytest.mark.parametrize(
    ("file", "first"),
    [
        ("b06_markup_b__input.xml", "- Gout proven by crystal analysis"),
        ("b06b_br__input.xml", "- Gout"),
    ],
)
def test_xml_markup_in_textblock(file, first):
    assert trial_of(f"xml-markup-in-textblock/{file}").criteria == (
        f"Inclusion Criteria:\n{first}\n- Age 18 or more\nExclusion Criteria:\n- Pregnancy"
    )


def test_history_archive_xml():
    (record,) = read_records(CASES / "history-archive-xml" / "input.xml")
    assert record.nct_id == NCT
    assert record.trial.brief_title == "Examplol in Adults With Gout"


def test_arm_roles_from_arm_side():
    trial = trial_of("arm-roles-from-arm-side/input.json")
    assert [(item.name, item.arm_roles) for item in trial.interventions] == [
        ("Examplol", ("Experimental",)),
        ("Placebo", ("Placebo Comparator",)),
    ]


def test_latin1_c1():
    assert trial_of("latin1-c1/input.xml").brief_title == "Examplol in Adults With Gout \u2013 x"


def test_module_null():
    assert trial_of("module-null/input.json").interventions == ()


# ------------------------------------------------------------------------ markup, repeats, blanks


MARKED = """
  <official_title>Ef<b>fect</b> of H<sub>2</sub>O <![CDATA[& salt]]></official_title>
  <brief_summary><textblock><p>One</p><p>Two<!-- note --> and</p> three</textblock></brief_summary>
  <condition>Gout<br/>acute</condition>
  <intervention><intervention_name><i>In</i> <b>vitro</b></intervention_name></intervention>
  <primary_outcome><measure>Urate &lt;b&gt;low&lt;/b&gt;</measure></primary_outcome>
  <eligibility><criteria><textblock>Inclusion Criteria:<ul><li>Gout</li><li>Age <b>18</b></li></ul>
  <?page 2?>Exclusion Criteria:<br/>Pregnancy</textblock></criteria></eligibility>
"""


def read(tmp_path, body):
    path = tmp_path / "a.xml"
    path.write_bytes(xml(body))
    reader = read_records(path)
    return list(reader), [str(error) for error in reader.summary.refusals]


def test_all_text_of_a_record_is_read_without_its_markup(tmp_path):
    (record,), _ = read(tmp_path, MARKED)
    trial = record.trial
    assert trial.official_title == "Effect of H2O & salt"
    assert trial.brief_summary == "One\nTwo and\nthree"
    assert trial.conditions == ("Gout", "Gout acute")
    assert trial.interventions[0].name == "In vitro"
    assert trial.primary_outcomes[0].measure == "Urate low"
    assert trial.criteria == (
        "Inclusion Criteria:\n- Gout\n- Age 18\nExclusion Criteria:\n- Pregnancy"
    )


def test_why_a_trial_stopped_is_read_whole(tmp_path):
    (record,), _ = read(tmp_path, "<why_stopped>Slow <b>accrual</b> only</why_stopped>")
    assert record.registry_outcome.why_stopped == "Slow accrual only"


def test_what_stands_twice_is_put_together_where_that_is_right(tmp_path):
    text = "<eligibility><criteria><textblock>{}</textblock></criteria></eligibility>"
    (record,), _ = read(
        tmp_path,
        "<phase>Phase 2</phase><phase>Phase 1</phase>"
        + text.format("Inclusion Criteria: Gout")
        + text.format("Exclusion Criteria: none"),
    )
    assert record.trial.phase == "Phase 1/Phase 2"
    assert record.trial.criteria == ("Inclusion Criteria:\n- Gout\nExclusion Criteria:\n- none")


@pytest.mark.parametrize(
    ("element", "outer", "texts"),
    [
        ("official_title", "", ("One", "Two")),
        ("brief_title", "", ("Another",)),
        ("study_type", "", ("Interventional", "Observational")),
        ("overall_status", "", ("Completed", "Terminated")),
        ("nct_id", "id_info", ("NCT90000002",)),
        ("measure", "primary_outcome", ("A", "B")),
    ],
)
def test_what_stands_twice_and_says_two_things_is_refused(tmp_path, element, outer, texts):
    body = "".join(f"<{element}>{text}</{element}>" for text in texts)
    body = f"<{outer}>{body}</{outer}>" if outer else body
    records, (refusal,) = read(tmp_path, body)
    assert records == []
    assert refusal.endswith(
        f"{element}: <{element}> stands twice and says two things. Keep the one that is right."
    )


def test_what_stands_twice_and_says_the_same_is_read(tmp_path):
    (record,), _ = read(tmp_path, "<brief_title>An invented  trial</brief_title>")
    assert record.trial.brief_title == "An invented trial"


def test_blank_elements_are_absent(tmp_path):
    tags = ("phase", "study_type", "enrollment", "number_of_arms", "start_date", "completion_date")
    body = "".join(f"<{tag}> \n </{tag}>" for tag in tags)
    (record,), _ = read(
        tmp_path, body + "<eligibility><criteria> </criteria><gender> </gender></eligibility>"
    )
    assert record.trial == Trial(brief_title="An invented trial", conditions=("Gout",))
    assert record.registry_outcome.enrolment is None


def test_criteria_without_a_textblock_are_read(tmp_path):
    body = "<eligibility><criteria>Gout\nPain</criteria></eligibility>"
    (record,), _ = read(tmp_path, body)
    assert record.trial.criteria == "- Gout\n- Pain"


def test_markup_and_windows_characters_of_json_are_read_as_text(tmp_path):
    made = study(
        title="Gout \x96 <b>acute</b>",
        eligibilityModule={"eligibilityCriteria": "<ul><li>Gout \\<1 year</li><li>Pain</li></ul>"},
    )
    (tmp_path / "a.json").write_bytes(dump(made))
    (record,) = read_records(tmp_path)
    assert record.trial.brief_title == "Gout \u2013 acute"
    assert record.trial.criteria == "- Gout <1 year\n- Pain"


@pytest.mark.parametrize(
    "text",
    [
        "ClinicalTrials.gov processed this data on June 01, 2031",
        "Information obtained from ClinicalTrials.gov on June 1, 2031",
    ],
)
def test_headers_of_all_eras_tell_the_day(tmp_path, text):
    (record,), _ = read(
        tmp_path, f"<required_header><download_date>{text}</download_date></required_header>"
    )
    assert record.source.processed == "2031-06-01"


# -------------------------------------------------------------------- what is not in any record

TYPO = b"""<clinical_study>
  <brief_title>Examplol in Adults With Gout</brief_title>
  <Phase>Phase 2</Phase>
  <conditions>Gout</conditions>
  {}<eligibilty><criteria><textblock>Adults</textblock></criteria></eligibilty>
</clinical_study>"""


def test_a_record_with_nothing_to_forecast_from_is_refused(tmp_path):
    (tmp_path / "typo.xml").write_bytes(TYPO.replace(b"{}", b""))
    reader = read_records(tmp_path)
    assert list(reader) == []
    assert str(reader.summary.refusals[0]).endswith(
        "typo.xml: the record holds nothing to forecast from: no phase, conditions, "
        "interventions, arms, outcome measures, criteria, summary or description. "
        "“Phase” is not part of a registry record, so it is not read; did you mean <phase>? "
        "“conditions” is not part of a registry record, so it is not read; did you mean "
        "<condition>? “eligibilty” is not part of a registry record, so it is not read; did you "
        "mean <eligibility>?"
    )


def test_a_title_alone_is_refused(tmp_path):
    made = {"protocolSection": {"identificationModule": {"briefTitle": "Gout"}}}
    (tmp_path / "a.json").write_bytes(dump(made))
    reader = read_records(tmp_path)
    assert list(reader) == []
    assert str(reader.summary.refusals[0]).endswith("writes a record to fill in.")


def test_what_no_record_has_is_named_in_the_account(tmp_path):
    (tmp_path / "a.xml").write_bytes(TYPO.replace(b"{}", b"<condition>Gout</condition>"))
    made = study(eligibiltyModule={"sex": "ALL"})
    (tmp_path / "b.json").write_bytes(dump({**made, "protocolSecton": {}}))
    legacy, modern = read_records(tmp_path)
    said = {w.field: w.reason.removeprefix(UNKNOWN_ELEMENT) for w in legacy.withheld}
    assert said["eligibilty"] == "; did you mean <eligibility>?"
    said = {w.field: w.reason.removeprefix(UNKNOWN_ELEMENT) for w in modern.withheld}
    assert said["protocolSection.eligibiltyModule"] == "; did you mean “eligibilityModule”?"
    assert said["protocolSecton"] == "; did you mean “protocolSection”?"
