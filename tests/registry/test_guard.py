import pytest

from llm4top.registry import read_records
from llm4top.registry._guard import guard
from llm4top.registry._marks import MARKS
from llm4top.registry._telling import RULES

from .builders import dump, study, xml

TELLING = [
    "The study was terminated in 2004.",
    "THIS STUDY HAS BEEN DISCONTINUED.",
    "This trial has been withdrawn.",
    "The trial was prematurely closed for enrolment.",
    "The trial was suspended after 7 months.",
    "The study was stopped early because of slow recruitment.",
    "Accrual has been halted because of toxicity.",
    "The placebo arm has been discontinued as of August 3, 1989.",
    "This study is closed to accrual.",
    "Closed to new patients on 2/15/99.",
    "Enrollment in the Observational cohort has been completed as of February 2003.",
    "Recruitment ended in December 1982.",
    "The trial has concluded.",
    "Recruitment began in 1986 and was completed in January 1989.",
    "The study has completed accrual of 26 patients.",
    "The results of the study showed that the drug worked.",
    "Results from this trial demonstrated a benefit.",
    "Our study demonstrated an improvement.",
    "Interim analysis has shown triple therapy superior.",
    "The main results were published in 1997.",
    "The drug failed to meet its primary endpoint.",
    "The trial did not meet its primary endpoint.",
    "The study objectives were not met.",
    "The arm was dropped due to futility.",
    "The DSMB recommended that the trial be stopped.",
    "Not analysed due to the early study termination.",
]
INNOCENT = [
    "Patients who were terminated from a previous study.",
    "Previous studies showed that the drug was safe.",
    "A previous trial was stopped because of toxicity.",
    "Another study was terminated for lack of efficacy.",
    "If more than 3 patients relapse, the trial will be terminated early.",
    "Accrual is suspended until safety is reviewed.",
    "The study will be closed to accrual once 40 patients are enrolled.",
    "Treatment continues until the study is terminated.",
    "For 30 days after study drug is discontinued.",
    "Subjects may be withdrawn from the study at any time.",
    "Failure of prior therapy due to lack of efficacy.",
    "Chemotherapy completed at least 4 weeks before entry.",
    "Patients who have completed study 301 are eligible.",
    "The results of this study will show whether it is safe.",
    "Normal test results within 14 days.",
    "The participant has not stopped smoking.",
    "Closed head injury within 6 months.",
    "Metformin was discontinued at least 3 weeks before randomization.",
    "The study is expected to be completed in May 2031.",
    "Once accrual to stage 1 is completed, stage 2 opens.",
    "Data from the study drug's earlier trials.",
]


@pytest.mark.parametrize("sentence", TELLING)
def test_telling_sentences_are_cut(sentence):
    cut = []
    text = f"Before it. {sentence} After it.\n- A bullet"
    assert guard(text, "brief_summary", cut) == "Before it. After it.\n- A bullet"
    assert [w.field for w in cut] == ["brief_summary"]
    assert cut[0].excerpt.startswith(sentence[:40])
    assert cut[0].reason


@pytest.mark.parametrize("sentence", INNOCENT)
def test_innocent_sentences_stay(sentence):
    cut = []
    assert guard(f"Before it. {sentence} After it.", "criteria", cut) == (
        f"Before it. {sentence} After it."
    )
    assert cut == []


def test_of_a_criterion_only_the_bracket_is_cut():
    cut = []
    text = "- Prostate cancer (closed to accrual as of 10/19/2006) (phase I)\n- Adults"
    assert guard(text, "criteria", cut) == "- Prostate cancer (phase I)\n- Adults"
    assert cut[0].excerpt == "(closed to accrual as of 10/19/2006)"


def test_a_bullet_of_which_nothing_is_left_is_dropped():
    assert guard("- Adults\n- This study has been terminated.", "criteria", []) == "- Adults"
    assert guard("This study has been terminated.", "brief_summary", []) is None


@pytest.mark.parametrize(
    ("text", "left", "excerpt"),
    [
        ("See NCT00055523.", "See [identifier].", "NCT00055523"),
        ("See NCT 00400637 too", "See [identifier] too", "NCT 00400637"),
        ("At https://x.org/a?b=c, see.", "At [contact], see.", "https://x.org/a?b=c"),
        ("On www.x.org/a.", "On [contact].", "www.x.org/a"),
        ("Mail a.b@c-d.org now", "Mail [contact] now", "a.b@c-d.org"),
        ("Please call 1-888-849-6482.", "Please call [contact].", "1-888-849-6482"),
        ("Telephone: +45 6541 3425 x", "Telephone: [contact] x", "+45 6541 3425"),
    ],
)
def test_identifiers_and_contacts_are_replaced(text, left, excerpt):
    cut = []
    assert guard(text, "criteria", cut) == left
    assert cut[0].excerpt == excerpt


@pytest.mark.parametrize(
    "text", ["ratio 1:100-200-3000", "doses of 100-200-300 mg", "CD4+ 200 cells"]
)
def test_numbers_stay(text):
    assert guard(f"{text}, phone visits", "criteria", []) == f"{text}, phone visits"


def test_letters_whose_lower_case_is_longer_do_not_shift_the_cut():
    text = "İİİİ dose. The study was terminated early. After."
    assert guard(text, "brief_summary", []) == "İİİİ dose. After."


def test_every_free_text_of_both_formats_is_guarded(tmp_path):
    tell = "Good text. This trial has been terminated."
    body = f"""
  <official_title>{tell}</official_title>
  <brief_summary><textblock>{tell}</textblock></brief_summary>
  <detailed_description><textblock>{tell}</textblock></detailed_description>
  <primary_outcome><measure>{tell}</measure><time_frame>{tell}</time_frame>
    <description>{tell}</description></primary_outcome>
  <secondary_outcome><measure>{tell}</measure></secondary_outcome>
  <arm_group><arm_group_label>{tell}</arm_group_label><description>{tell}</description></arm_group>
  <intervention><intervention_name>{tell}</intervention_name>
    <description>{tell}</description></intervention>
  <keyword>NCT00055523</keyword>
  <eligibility><criteria><textblock>{tell}</textblock></criteria></eligibility>
"""
    (tmp_path / "a.xml").write_bytes(xml(body, title=tell))
    outcome = {"measure": tell, "timeFrame": tell, "description": tell}
    modules = {
        "descriptionModule": {"briefSummary": tell, "detailedDescription": tell},
        "outcomesModule": {"primaryOutcomes": [outcome], "secondaryOutcomes": [{"measure": tell}]},
        "armsInterventionsModule": {
            "armGroups": [{"label": tell, "description": tell}],
            "interventions": [{"name": tell, "description": tell}],
        },
        "conditionsModule": {"keywords": ["NCT00055523"]},
        "eligibilityModule": {"eligibilityCriteria": tell},
    }
    made = study(title=tell, **modules)
    made["protocolSection"]["identificationModule"]["officialTitle"] = tell
    (tmp_path / "b.json").write_bytes(dump(made))
    legacy, modern = read_records(tmp_path)
    for record in (legacy, modern):
        text = str(record.trial.to_dict())
        assert "terminated" not in text
        assert "NCT0" not in text
        assert text.count("Good text.") == 13
        assert record.trial.keywords == ("[identifier]",)
        cut = [w for w in record.withheld if "of the trial" in w.reason or "trial was" in w.reason]
        assert len(cut) == 13
    assert legacy.trial.criteria == modern.trial.criteria == "- Good text."


def test_the_rules_are_well_formed():
    for rule in (*RULES, *MARKS):
        assert rule.reason
        assert rule.literals
        assert all(literal == literal.lower() for literal in rule.literals)


def test_no_trial_of_the_sample_holds_an_identifier(test_data):
    for record in read_records([test_data / "registry" / "xml", test_data / "registry" / "api_v2"]):
        assert "NCT0" not in str(record.trial.to_dict())
