import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm4top.registry import leak_guard
from llm4top.registry.leak_grammar import MARKS, OwnIdentifiers
from llm4top.registry.leak_guard import guard, guard_fields
from llm4top.registry.leak_rules import RULES
from llm4top.registry.reader import read_records
from llm4top.registry.trial import Arm
from tests.profiles import examples
from tests.registry.builders import dump, study, xml

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
    "The study got terminated early because of slow accrual.",
    "STUDY TERMINATED DUE TO LACK OF FUNDING.",
    "We had to close the study because the sponsor left.",
    "Study terminated.",
    "Recruitment was slower than expected and the study was ended.",
    "Funding was withdrawn.",
    "FDA placed the trial on clinical hold.",
    "The IND was withdrawn by the sponsor.",
    "The sponsor decided to stop development of the compound.",
    "The drug is no longer available from the manufacturer.",
    "Accrual closed 3/2005.",
    "(Arm I closed 12/22/99)",
    "A fourth arm, lower dose plus placebo, was discontinued.",
    "Study completed.",
    "The trial is now complete.",
    "The study ended in May, 1997.",
    "The study was conducted between November 1, 2013 and May 1, 2014.",
    "Study was never initiated.",
    "Zero patients accrued.",
    "A total of 43 patients were enrolled.",
    "Forty-three children have been randomized.",
    "Overall, 500 patients (100 of each age) were recruited.",
    "Of the 188 randomized subjects, 162 completed the study.",
    "The trial recruited 7,154 women.",
    "Actual enrollment was 43.",
    "Enrolment: 43 (actual).",
    "The accrual goal was not met.",
    "Examplol reduced urate compared with placebo (p<0.001).",
    "We found that examplol was superior to placebo.",
    "The hazard ratio for death was 0.72 (95% CI, 0.55 to 0.94).",
    "There was no significant difference between the groups.",
    "Examplol did not improve survival compared with placebo.",
    "Results were published in 2019.",
    "The primary endpoint was met (p=0.012).",
    "The trial met its primary endpoint.",
    "The study met its primary endpoint of PASI 75.",
    "This study has successfully met both co-primary end points.",
    "Study status: terminated.",
    "Enrolment of the families occurred between May 2001 and October 2004.",
    "All children were enrolled by March 31, 2004, and followed for a year.",
    "The visits were not completed due to COVID.",
    "A total of 534 were allocated to placebo.",
    "The study enrolled 3,900 grandchildren.",
    "Conclusion: Infants with gout do not seem to benefit from examplol.",
    "We observed no significant difference for weight at 3 months between the groups.",
    "Invented Sciences has terminated its U.S. development of examplol for gout.",
]
INNOCENT = [
    "Protocol development occurred between October 2001 and June 2002.",
    "All patients will be enrolled by March 2031.",
    "A total of 534 will be allocated to placebo.",
    "If the visits were not completed due to COVID, they are made up for.",
    "Gout was found in people who discontinued the development programme.",
    "Patients who were terminated from a previous study.",
    "Previous studies showed that the drug was safe.",
    "A previous trial met its primary endpoint.",
    "Patients who met the criteria of the trial and its primary endpoint is survival.",
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
    "A total of 43 patients will be enrolled.",
    "The planned enrolment is 200 patients.",
    "Patients 18 years or older were eligible.",
    "Between 20 and 30 patients are randomized to each arm.",
    "An interim analysis will be performed after 100 patients have been randomized.",
    "Once 20 patients are enrolled in stage 1, accrual is closed.",
    "In a previous trial 200 patients were enrolled.",
    "A value of p < 0.05 was considered significant.",
    "The sample size was calculated to detect a hazard ratio of 0.7 with 90% power.",
    "Patients withdrawn from the study will be replaced.",
    "The study ends when the last patient has completed 12 months of follow-up.",
    "Participation in another trial that ended less than 30 days ago.",
    "If fewer than 3 of 14 patients respond, the trial is stopped.",
    "Closed-loop insulin delivery is compared with open-loop.",
    "Subjects who completed questionnaire A at baseline.",
    "In rats the drug reduced tumour growth (p<0.01).",
    "Earlier work found a lower mortality (hazard ratio 0.8, 95% CI 0.7 to 0.9) [12].",
    "The results of the study will be published.",
    "Patients who discontinued a prior trial because of toxicity.",
    "One eye of each patient was randomly assigned to laser.",
    "HIV status: unknown.",
    "Vaccination status: completed.",
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


@examples(60)
@given(st.lists(st.sampled_from([*TELLING, *INNOCENT, "- Adults", "(see below)", "[a; b]"])))
def test_what_is_left_is_left_alone(sentences):
    for text in (" ".join(sentences), "\n".join(sentences)):
        for field in ("criteria", "brief_summary"):
            left = guard(text, field, [])
            cut = []
            assert left is None or guard(left, field, cut) == left
            assert cut == []


@examples(60)
@given(st.lists(st.sampled_from(INNOCENT), min_size=1))
def test_plans_stay_whatever_stands_beside_them(sentences):
    text = " ".join(sentences)
    assert guard(text, "criteria", []) == text


@pytest.mark.parametrize(
    ("title", "left"),
    [
        ("Examplol in Gout (0457-009)(TERMINATED)", "Examplol in Gout (0457-009)"),
        ("Examplol in Gout [SUSPENDED]", "Examplol in Gout"),
        ("Examplol in Gout (Terminated Early)", "Examplol in Gout"),
        ("Examplol in Gout (Study halted prematurely)", "Examplol in Gout"),
        ("Examplol in Gout - Withdrawn", "Examplol in Gout"),
        ("Examplol in Gout \u2013 TERMINATED", "Examplol in Gout"),
        ("Examplol in Gout TERMINATED", "Examplol in Gout"),
        ("Examplol in Gout, Terminated Early", "Examplol in Gout"),
        ("Examplol in Gout - Study Closed to Accrual", "Examplol in Gout"),
        ("Examplol in Gout (No Longer Recruiting)", "Examplol in Gout"),
        ("*TERMINATED* Examplol in Gout", "Examplol in Gout"),
        ("TERMINATED: Examplol in Gout", "Examplol in Gout"),
        ("WITHDRAWN PRIOR TO ENROLLMENT - Examplol in Gout", "Examplol in Gout"),
        ("Withdrawn Prior to Enrollment Examplol in Gout", "Examplol in Gout"),
        ("Examplol bei Gicht (abgebrochen)", "Examplol bei Gicht"),
        ("[\u00c9tude termin\u00e9e] Examplol dans la goutte", "Examplol dans la goutte"),
        ("Withdrawn", None),
    ],
)
def test_a_title_keeps_its_words_without_the_status(title, left):
    cut = []
    assert guard(title, "official_title", cut) == left
    assert [(w.field, w.reason) for w in cut] == [
        ("official_title", "states the status of the trial")
    ]


@pytest.mark.parametrize(
    "title",
    [
        "Closed-Loop Insulin in Type 1 Diabetes",
        "Completed Suicide Prevention in Veterans",
        "Antidepressants: Continued vs. Stopped",
        "Adalimumab Tapered, Stopped or Continued",
        "Closed Reduction of Fractures - a Trial",
        "Patients Who Completed Study 301",
        "Steroids Withdrawn in Lupus (SWIL)",
    ],
)
def test_a_title_that_states_no_status_stays(title):
    assert guard(title, "brief_title", []) == title


def test_of_several_conditions_on_a_line_the_others_stay():
    text = (
        "- Adults; stage III (closed to accrual as of 10/19/2006); arm B was closed in 2004; ECOG 0"
    )
    assert guard(text, "criteria", []) == "- Adults; stage III; ECOG 0"


def test_of_a_bracket_with_several_sentences_the_others_stay():
    text = "Dose. [AS PER AMENDMENT: Arm C has been discontinued. Arms A and B go on.] Then."
    assert guard(text, "brief_summary", []) == "Dose. [Arms A and B go on.] Then."


@pytest.mark.parametrize(
    "identifier",
    [
        "2004-001234-56",
        "EudraCT 2004-001234-56",
        "EudraCT Number: 2004-001234-56",
        "2023-501234-12-00",
        "2004\u2011001234\u201156",
        "ISRCTN12345678",
        "UMIN000012345",
        "JPRN-UMIN000012345",
        "JapicCTI-101234",
        "jRCT2031200123",
        "ChiCTR-TRC-10001234",
        "ChiCTR2000012345",
        "ACTRN12605000123456",
        "DRKS00001234",
        "CTRI/2008/091/000123",
        "KCT0001234",
        "NTR1234",
        "NL8123",
        "IRCT20101234567N1",
        "PACTR201001234567890",
        "TCTR20151234567",
        "RBR-6abcd9",
        "SLCTR/2008/001",
        "U1111-1234-5678",
        "IND 12,345",
        "IND #12345",
        "BB-IND 12345",
        "IDE G010123",
        "CDR0000067890",
        "NCI-2012-01234",
        "NCI-P97-0123",
        "nct01234567",
        "NCT number 01234567",
    ],
)
def test_identifiers_of_every_registry_are_replaced(identifier):
    cut = []
    text = f"The trial ({identifier}) compares two doses."
    assert guard(text, "official_title", cut) == "The trial ([identifier]) compares two doses."
    assert cut[0].reason == "an identifier would let a model recall the trial"


@pytest.mark.parametrize(
    "text",
    [
        "Doses of 2004-2010 mg, 40-50 mg and 0-00 units",
        "The controls and the function of CD4 in kindred 12345",
        "HCoV-NL63 in 2004-05",
        "Per-protocol analysis; a kind of 1234",
    ],
)
def test_what_only_looks_like_an_identifier_stays(text):
    assert guard(text, "criteria", []) == text


def test_a_record_s_own_identifiers_are_replaced_however_they_are_joined():
    values = {
        "brief_title": "Examplol (P04567) in gout",
        "criteria": "Patients of ACTG 320 or actg-320, not of ACTG 3201\nCD4 of 320",
        "keywords": ["A-123/45", "gout"],
    }
    cut = guard_fields(values, ["P04567", "ACTG 320", "A123-45", "X-1", "2004"])
    assert values["brief_title"] == "Examplol ([identifier]) in gout"
    assert values["criteria"] == (
        "Patients of [identifier] or [identifier], not of ACTG 3201\nCD4 of 320"
    )
    assert values["keywords"] == ["[identifier]", "gout"]
    assert [w.excerpt for w in cut] == ["P04567", "ACTG 320", "actg-320", "A-123/45"]
    kept = {"criteria": "X-1 in 2004"}
    assert guard_fields(kept, ["X-1", "2004"]) == []
    assert kept == {"criteria": "X-1 in 2004"}


_PASTED = st.lists(
    st.sampled_from([*TELLING, *INNOCENT, "Adults", " (see [b] below) ", "[a; b]", "A-123/45", "é"])
    | st.sampled_from([" ", "\n", "; ", ". ", "(", ")", " (", "[", "] ", "- "]),
    max_size=10,
).map("".join)


@examples(120)
@given(_PASTED, _PASTED, _PASTED)
def test_what_is_passed_over_unseen_would_have_stayed(first, second, third):
    def trial() -> dict[str, object]:
        texts = {"brief_title": first[:90], "brief_summary": second, "criteria": third}
        return {**texts, "keywords": [third[:40], "gout"], "arms": [Arm(first, None, second)]}

    quick, thorough = trial(), trial()
    cut = guard_fields(quick, ["A123-45"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(leak_guard, "_holding", lambda texts, found: texts)
        patch.setattr(OwnIdentifiers, "stand_in", lambda self, text: True)
        assert guard_fields(thorough, ["A123-45"]) == cut
    assert quick == thorough


@examples(300)
@given(st.text(alphabet="( )[]a;", max_size=40))
def test_brackets_are_found_with_the_blank_before_them(text):
    for brackets, plain in (
        (leak_guard._BRACKETS, r" ?\([^()]*\)| ?\[[^\[\]]*\]"),
        (leak_guard._OUTER, r" ?\([^()]*(?:\([^()]*\)[^()]*)+\)"),
    ):
        spans = [match.span() for match in re.finditer(plain, text)]
        assert list(leak_guard._spans(brackets, text)) == spans
        upper = re.sub(plain, lambda match: match[0].replace("a", "A"), text)
        assert leak_guard._sub(brackets, lambda words: words.replace("a", "A"), text) == upper


@pytest.mark.parametrize(
    "text",
    [
        "12 " * 20_000 + "were enrolled",
        "terminated in " * 10_000,
        "(" * 20_000 + "closed",
        "the study of a b c d " * 5_000 + "was",
        "- terminated" * 10_000,
    ],
)
def test_no_text_takes_long(text):
    began = time.process_time()
    for field in ("brief_title", "criteria"):
        guard(text, field, [])
    assert time.process_time() - began < 5


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
