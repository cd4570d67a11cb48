"""Masking: no name survives in a prompt, one name has one mask, ordinary words stay."""

from __future__ import annotations

import random
import re
import zipfile

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from llm4top.evaluation.probes.masking import MASKS, is_ordinary, mask_names
from llm4top.evaluation.probes.masking_words import SALTS, trial_acronyms
from llm4top.prompts.sections import trial_sections
from llm4top.registry.reader import read_records
from llm4top.registry.trial import Arm, Collaborator, Intervention, Outcome, Trial
from tests.profiles import examples

TRIAL = Trial(
    phase="Phase 2",
    brief_title="Zolparinib With Best Care in Lung Disease (BRIGHTER)",
    official_title="The BRIGHTER Study of ZOLPARINIB (ZP-4711) in Chronic Lung Disease (CLD)",
    conditions=("chronic lung disease",),
    keywords=("zolparinib", "lung"),
    interventions=(
        Intervention("Zolparinib 10 mg tablets", "Drug", "Zolparinib twice daily."),
        Intervention("Placebo", "Drug", "Looks like zolparinib."),
        Intervention("merotaxel hydrochloride + gofersen", "Drug"),
        Intervention("Breathing School", "Behavioral"),
    ),
    intervention_mesh=("Zolparinib", "Merotaxel"),
    smiles=("CCO",),
    arms=(Arm("zolparinib/merotaxel", "Experimental", "zolparinib"), Arm("Placebo")),
    primary_outcomes=(Outcome("FEV1 after Merotaxel", "1 year", "with IL-2 and CA-125"),),
    criteria="No merotaxel-containing therapy.\nNo gofersens.\nProtocol AB-12345-C at Northfield "
    "University. ECOG 0 or 1; QLQ-C30; breathing school.",
    sponsor_class="Industry",
    collaborators=(Collaborator("Acme Pharmaceuticals, Inc. (APX)", "Industry"),),
    brief_summary="Acme gives zolparinib to patients of APX.",
)


def shown(trial):
    return "\n".join(section.text for section in trial_sections(trial))


def stands_in(name, text):
    before = r"(?<!\w)" if re.match(r"\w", name) else ""
    after = r"(?!\w)" if re.search(r"\w\Z", name) else ""
    return re.search(f"{before}{re.escape(name.lower())}{after}", text.lower()) is not None


def test_every_field_is_masked():
    masked = mask_names(TRIAL)
    assert masked.brief_title == "Drug A With Best Care in Lung Disease ([acronym])"
    assert masked.official_title == (
        "The [acronym] Study of Drug A (Drug A) in Chronic Lung Disease (CLD)"
    )
    assert [i.name for i in masked.interventions] == [
        "Drug A 10 mg tablets",
        "Placebo",
        "Drug B hydrochloride + Drug C",
        "Intervention A",
    ]
    assert masked.interventions[1].description == "Looks like Drug A."
    assert masked.interventions[0].type == "Drug"
    assert masked.intervention_mesh == ("Drug A", "Drug B")
    assert masked.smiles == ()
    assert masked.keywords == ("Drug A", "lung")
    assert masked.arms == (Arm("Drug A/Drug B", "Experimental", "Drug A"), Arm("Placebo"))
    assert masked.primary_outcomes[0].measure == "FEV1 after Drug B"
    assert masked.primary_outcomes[0].description == "with IL-2 and CA-125"
    assert masked.criteria == (
        "- No Drug B-containing therapy.\n- No Drug C.\n- Protocol [identifier] at Sponsor B. "
        "ECOG 0 or 1; QLQ-C30; Intervention A."
    )
    assert masked.collaborators == (Collaborator("Sponsor A. (Sponsor A)", "Industry"),)
    assert masked.brief_summary == "Sponsor A gives Drug A to patients of Sponsor A."
    assert (masked.phase, masked.sponsor_class) == (TRIAL.phase, TRIAL.sponsor_class)
    assert masked.conditions == TRIAL.conditions


def test_each_kind_is_masked_alone():
    drugs = mask_names(TRIAL, ["drugs"])
    assert "BRIGHTER" in drugs.brief_title
    assert "Acme" in drugs.brief_summary
    assert "zolparinib" not in shown(drugs).lower()
    sponsors = mask_names(TRIAL, ["sponsors"])
    assert sponsors.brief_title == TRIAL.brief_title
    assert sponsors.brief_summary == "Sponsor A gives zolparinib to patients of Sponsor A."
    assert sponsors.smiles == TRIAL.smiles
    identifiers = mask_names(TRIAL, ["identifiers"])
    assert identifiers.official_title == (
        "The [acronym] Study of ZOLPARINIB (ZP-4711) in Chronic Lung Disease (CLD)"
    )
    assert "Protocol [identifier] at Northfield University" in identifiers.criteria
    assert mask_names(TRIAL, []) == TRIAL


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["10 mg zolparinib", "40 mg zolparinib"], ["10 mg Drug A", "40 mg Drug A"]),
        (["zolparinib (zp4711)", "zp4711"], ["Drug A (Drug A)", "Drug A"]),
        (["merotaxel, gofersen and carbox"], ["Drug A, Drug B and Drug C"]),
        (["placebo to match zolparinib"], ["placebo to match Drug A"]),
        (["comparator: zolparinib / duration of treatment: 6 weeks"],
         ["comparator: Drug A / duration of treatment: 6 weeks"]),
        (["sodium nitrite"], ["Drug A"]),
        (["rbv", "peg"], ["Drug A", "Drug B"]),
        (["Usual care", "1st line chemotherapy", "Sham injection"], None),
    ],
)  # fmt: skip
def test_names_and_their_parts(names, expected):
    trial = Trial(interventions=tuple(map(Intervention, names)))
    masked = [item.name for item in mask_names(trial).interventions]
    assert masked == (names if expected is None else expected)


def test_short_names_are_masked_in_free_text_in_capitals_only():
    trial = Trial(
        interventions=(Intervention("ax"), Intervention("RBV")), criteria="ax RBV, rbv or AX"
    )
    assert mask_names(trial).criteria == "- ax Drug B, rbv or Drug A"


def test_aliases_and_trade_marks_that_texts_give():
    trial = Trial(
        interventions=(Intervention("gemtuz ozoga"),),
        official_title="Study of Gemtuz Ozoga (XMA-67; Mylorex) and Regenex® in Leukaemia",
        criteria="No Mylorex or XMA-67 or regenex before.",
    )
    masked = mask_names(trial)
    assert masked.official_title == "Study of Drug A (Drug A; Drug A) and Drug B® in Leukaemia"
    assert masked.criteria == "- No Drug A or Drug A or Drug B before."


def test_letters_go_on_after_z():
    names = [f"compound{chr(97 + i % 26)}{chr(97 + i // 26)}" for i in range(30)]
    trial = Trial(interventions=tuple(map(Intervention, names)))
    masked = [item.name for item in mask_names(trial).interventions]
    assert masked[25:28] == ["Drug Z", "Drug AA", "Drug AB"]
    assert len(set(masked)) == 30


@pytest.mark.parametrize(
    ("title", "acronyms"),
    [
        ("Prevention of Thrombosis (PREVENT)", ("PREVENT",)),
        ("Treatment for Adolescents With Depression Study (TADS)", ("TADS",)),
        ("A Study in Human Papilloma Virus (HPV) Infection", ()),
        ("A Trial of Methotrexate (MTX)", ()),
        ("BRAVE: A Trial of Courage", ("BRAVE",)),
        ("The BRAVE-2 Trial", ("BRAVE-2",)),
        ("Phase III Study of Courage", ()),
        ("A PHASE II STUDY OF COURAGE (BRAVE)", ("BRAVE",)),
        ("Known Disease (KNWD) Treatment", ()),
        ("Courage in Old Age (65 Years)", ()),
    ],
)
def test_acronyms_of_the_trial(title, acronyms):
    assert trial_acronyms(Trial(official_title=title, conditions=("KNWD",))) == acronyms


@pytest.mark.parametrize(
    "code",
    ["ABC-123", "NSC #706363", "2004-001234-56", "RTOG-0236", "ISRCTN12345678"],
)
def test_codes_are_masked(code):
    trial = Trial(criteria=f"Enrolled in {code} before")
    assert mask_names(trial).criteria == "- Enrolled in [identifier] before"


@pytest.mark.parametrize("text", ["IL-2", "CA-125", "SF-36", "HIV-1", "COVID-19", "ICD-10", "CD34"])
def test_markers_and_scales_stay(text):
    assert mask_names(Trial(criteria=f"Measured by {text} twice")).criteria.split()[3] == text


WORD = st.text("abcdexyz", min_size=2, max_size=9)
NAME = st.one_of(
    WORD,
    st.lists(WORD, min_size=1, max_size=3).map(" ".join),
    st.builds("{} {}".format, WORD, st.sampled_from([*SALTS])),
    st.builds("{}-{}".format, WORD, st.integers(1, 9999)),
    st.builds("{} ({})".format, WORD, WORD),
    st.builds("{0}{2}{1}".format, WORD, WORD, st.sampled_from([" and ", "/", " + ", ", ", " in "])),
    st.builds("{1} mg {0} tablets".format, WORD, st.integers(1, 500)),
    st.text("abcxyzAB019-+/()[]®, é", min_size=1, max_size=20),
)
ITEM = st.builds(
    Intervention,
    name=NAME,
    type=st.sampled_from([None, "Drug", "Procedure"]),
    description=st.none() | WORD,
)
FILLER = st.sampled_from(["the", "patients", "(with)", "mg", "A", "-", "\n", "II", "Drug:"])


@st.composite
def trials(draw):
    items = tuple(draw(st.lists(ITEM, max_size=4)))
    mesh = tuple(draw(st.lists(NAME, max_size=2)))
    sponsors = tuple(map(Collaborator, draw(st.lists(NAME, max_size=2))))
    names = [*(i.name for i in items), *mesh, *(s.name for s in sponsors)]
    words = st.one_of(FILLER, st.sampled_from(names) if names else FILLER)
    spelled = words.flatmap(lambda w: st.sampled_from([w, w.upper(), w.title(), w.lower()]))
    text = st.lists(spelled, max_size=8).map(" ".join)
    return Trial(
        brief_title=draw(text),
        conditions=(draw(text),),
        keywords=(draw(text),),
        interventions=items,
        intervention_mesh=mesh,
        arms=(Arm(draw(text), None, draw(text)),),
        primary_outcomes=(Outcome(draw(text), draw(text), draw(text)),),
        collaborators=sponsors,
        criteria=draw(text),
        detailed_description=draw(text),
    )


@examples(200)
@given(trial=trials())
@example(
    trial=Trial(interventions=(Intervention("ab cd"), Intervention("cd ef")), criteria="AB CD EF")
)
def test_no_name_survives_in_a_prompt(trial):
    text = shown(mask_names(trial))
    drugs = [*(i.name for i in trial.interventions), *trial.intervention_mesh]
    for name in drugs:
        if len(name.strip()) >= 4 and not is_ordinary(name) and name.lower() not in SALTS:
            assert not stands_in(name.strip(), text), name
    for sponsor in trial.collaborators:
        if len(sponsor.name.strip()) >= 4:
            assert not stands_in(sponsor.name.strip(), text), sponsor.name


@examples(60)
@given(trial=trials(), what=st.sets(st.sampled_from(MASKS)))
def test_masking_keeps_the_shape_and_is_repeatable(trial, what):
    masked = mask_names(trial, what)
    assert masked == mask_names(trial, what)
    assert len(masked.interventions) == len(trial.interventions)
    assert [i.type for i in masked.interventions] == [i.type for i in trial.interventions]
    assert (masked.criteria or "").count("\n") <= (trial.criteria or "").count("\n")


def test_no_name_survives_in_real_records(test_data, tmp_path):
    seen = 0
    with zipfile.ZipFile(test_data / "registry" / "AllPublicXML-sample.zip") as archive:
        members = sorted(name for name in archive.namelist() if name.endswith(".xml"))
        for member in random.Random(0).sample(members, 250):
            (tmp_path / "record.xml").write_bytes(archive.read(member))
            trial = next(read_records(tmp_path / "record.xml")).trial
            text = shown(mask_names(trial))
            names = [*(i.name for i in trial.interventions), *trial.intervention_mesh]
            names = [n for n in names if not is_ordinary(n) and n.lower() not in SALTS]
            for name in (*names, *(c.name for c in trial.collaborators)):
                if len(name) >= 4:
                    seen += 1
                    assert not stands_in(name, text), (member, name)
    assert seen > 300
